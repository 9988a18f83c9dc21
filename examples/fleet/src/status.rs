//! Who looks: from outside, so that nothing waits for this process.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use actix_iterable_queue::report::{ProcessStatus, Totals};
use actix_iterable_queue::{Snapshot, State};
use clap::Args;

use crate::{Ended, Queue, count, totals};

const EVERY: Duration = Duration::from_secs(1);
/// On a terminal each view is in the place of the one before.
const CLEAR: &str = "\x1b[H\x1b[2J";

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    queue: Queue,
    /// Look once
    #[arg(long)]
    once: bool,
}

pub(crate) async fn run(options: Options) -> Ended {
    let clear = if std::io::stdout().is_terminal() && !options.once { CLEAR } else { "" };
    let mut before = None;
    loop {
        let seen = options.queue.builder().inspect().await?;
        let now = Instant::now();
        let view = match &seen {
            Some(snapshot) => view(snapshot, before.map(|(totals, at)| (totals, now.duration_since(at)))),
            None => missing(&options),
        };
        print!("{clear}{view}");
        std::io::stdout().flush()?;
        if options.once || seen.as_ref().is_some_and(ended) {
            return Ok(if seen.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        before = seen.map(|snapshot| (snapshot.totals, now));
        tokio::time::sleep(EVERY).await;
    }
}

fn missing(options: &Options) -> String {
    let wait = if options.once { "" } else { "; status waits for it" };
    format!("there is no queue {} in this Redis: no feed has begun it{wait}\n", options.queue.queue.escape_debug())
}

fn ended(queue: &Snapshot) -> bool {
    matches!(queue.state, State::Drained | State::Aborted)
}

fn view(now: &Snapshot, before: Option<(Totals, Duration)>) -> String {
    let mut view = format!(
        "{} is {}: {} wait, {} in flight; {}\n",
        now.name.as_deref().unwrap_or_default().escape_debug(),
        now.state,
        now.buffered,
        now.leased,
        totals(&now.totals)
    );
    if let Some(oldest) = now.oldest {
        let _ = writeln!(view, "  the oldest was put {:.1} s ago", oldest.as_secs_f64());
    }
    match now.state {
        State::Drained => view += "  it has ended: everything is done; the next feed begins a new queue\n",
        State::Aborted => {
            let discarded = count(now.totals.discarded, "item");
            let _ = writeln!(view, "  it was aborted, and {discarded} discarded; the next feed begins a new queue");
        }
        _ => {}
    }
    if let Some((before, time)) = before {
        let rate = |of: fn(&Totals) -> u64| of(&now.totals).saturating_sub(of(&before)) as f64 / time.as_secs_f64();
        let (put, done) = (rate(|totals| totals.accepted), rate(|totals| totals.acked));
        let _ = writeln!(view, "  {put:.0} put and {done:.0} done a second");
    }
    // Whoever was there at the end need not have said goodbye.
    for process in now.processes.iter().filter(|_| !ended(now)) {
        let _ = writeln!(view, "  {}", line(process));
    }
    for blocker in now.blockers() {
        let _ = writeln!(view, "  waits: {blocker}");
    }
    view
}

fn line(process: &ProcessStatus) -> String {
    format!(
        "{:<24} holds {:>6}; producers: {}, consumers: {}; seen {:.1} s ago",
        process.name.escape_debug().to_string(),
        process.leased,
        process.producers,
        process.consumers,
        process.last_seen.as_secs_f64()
    )
}
