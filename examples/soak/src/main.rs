//! `soak [--seconds N] [--seed N] [--rounds N] [--threads N]`: random plans of everything at once, with
//! crashes, each judged by a ledger.
//!
//! A round draws from its seed who puts, who consumes, who is killed and when, and how it ends. It runs
//! to its end by itself; then nothing may be lost, done twice, from nowhere or out of order, each asker
//! has heard its answer or why there is none, everybody was told of the end once, the queue's own numbers add up, and nothing has panicked but what was
//! planned to.
//!
//! ```sh
//! cargo run --release -p soak -- --seconds 60
//! ```
//!
//! The exit code is 0 if all rounds were right. One that was not is printed with the command that runs
//! the same plan again: the plan is the same, what the threads make of it need not be.

mod actors;
mod asks;
mod hands;
mod judge;
mod plan;
mod puts;
mod round;
mod takes;

use std::panic;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use actix_iterable_queue::IterableQueue;
use asks::Job;
use clap::Parser;
use judge::{Tally, count};
use plan::Plan;

/// Runs random plans of everything at once, and judges each.
#[derive(Parser)]
#[command(name = "soak")]
struct Args {
    /// How long to begin new rounds
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// The seed of the first round; the next ones count up
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// At most so many rounds
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    rounds: Option<u64>,
    /// The most threads of a round that put and take, 2 to 1024; 4 for each core unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=1024))]
    threads: Option<u16>,
}

/// Much longer than any round takes: only one that hangs meets it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Panics that no plan has asked for, whoever has caught them.
static UNPLANNED: AtomicU64 = AtomicU64::new(0);

/// Where the watchdog finds the queue of a round that hangs.
pub(crate) type Eye = Arc<Mutex<Option<IterableQueue<Job>>>>;

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("off")).init();
    let args = Args::parse();
    count_unplanned_panics();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let threads = args.threads.map_or((4 * cores).min(64), usize::from);

    let began = Instant::now();
    let mut total = Tally::default();
    let mut right = true;
    for n in 0..args.rounds.unwrap_or(u64::MAX) {
        if began.elapsed() >= Duration::from_secs(args.seconds) {
            break;
        }
        let plan = Plan::draw(args.seed.wrapping_add(n), threads);
        match watched(&plan) {
            Ok(tally) => total += tally,
            Err(what) => {
                right = false;
                total.rounds += 1;
                println!("round {n}, seed {}: {what}", plan.seed);
                println!("  {plan:?}");
                println!("  again: cargo run --release -p soak -- --seed {} --rounds 1 --threads {threads}", plan.seed);
                if what.hangs {
                    break;
                }
            }
        }
    }
    println!("{total} in {:.1} s, up to {}", began.elapsed().as_secs_f64(), count(threads as u64, "thread"));
    // One may have come after its round.
    if right && UNPLANNED.load(Relaxed) == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What is wrong with a round.
#[derive(Debug)]
struct Wrong {
    what: String,
    hangs: bool,
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

/// Runs a round on a thread of its own, so that one that hangs can be told.
fn watched(plan: &Plan) -> Result<Tally, Wrong> {
    let eye = Eye::default();
    let (done, ended) = channel();
    let thread = thread::spawn({
        let (plan, eye) = (plan.clone(), Arc::clone(&eye));
        move || done.send(round::run(&plan, &eye)).is_ok()
    });
    match ended.recv_timeout(PATIENCE) {
        Ok(result) => {
            let _ = thread.join(); // it has nothing more to say
            let what = match (UNPLANNED.swap(0, Relaxed), result) {
                (0, Ok(tally)) => return Ok(tally),
                (0, Err(what)) => what,
                (panics, result) => {
                    let rest = result.err().map_or_else(String::new, |what| format!("; {what}"));
                    format!("panics that were not planned: {panics}, see above{rest}")
                }
            };
            Err(Wrong { what, hangs: false })
        }
        Err(RecvTimeoutError::Disconnected) => {
            UNPLANNED.store(0, Relaxed); // it is among them
            Err(Wrong { what: "it panicked; see above".to_owned(), hangs: false })
        }
        Err(RecvTimeoutError::Timeout) => {
            let seen = eye.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(IterableQueue::snapshot);
            let seen = seen.map_or("nobody has a handle of its queue".to_owned(), |seen| seen.to_string());
            Err(Wrong { what: format!("it hangs\n{seen}"), hangs: true })
        }
    }
}

/// Planned faults are silent; all other panics are printed.
fn count_unplanned_panics() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let said = info.payload().downcast_ref::<String>().map(String::as_str);
        if !said.or(info.payload().downcast_ref().copied()).is_some_and(|text| text.starts_with("a planned fault")) {
            UNPLANNED.fetch_add(1, Relaxed);
            report(info);
        }
    }));
}
