//! `pool [--items N] [--panic-percent P] [--workers N] [--seed N]`: workers that crash on purpose,
//! and everything arrives all the same.
//!
//! Whether an attempt at an item crashes is decided by a hash of seed, item and attempt. So it is
//! known beforehand which items are acked, and which use up their attempts and become dead letters.
//! A table beside the queue keeps account of every single item; the queue is not asked.
//!
//! ```sh
//! cargo run --release -p pool -- --items 200000 --panic-percent 1
//! ```
//!
//! Ctrl-c shuts it down in order: nothing more is put, and what was put is finished. The exit code
//! is 0 if every item that was put was acked or became a dead letter, once, as foretold.

use std::error::Error;
use std::fmt;
use std::panic;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_iterable_queue::prelude::*;
use clap::Parser;
use futures::join;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};

/// Has workers crash on purpose, and checks that everything arrives all the same.
#[derive(Parser)]
#[command(name = "pool")]
struct Args {
    /// How many items to put
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    items: usize,
    /// How many of a hundred attempts crash, 0 to 100
    #[arg(long, value_name = "P", default_value_t = 1.0, value_parser = percent)]
    panic_percent: f64,
    /// How many workers, 1 to 64
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,
    /// Another seed has other attempts crash
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

fn percent(text: &str) -> Result<f64, String> {
    let percent: f64 = text.parse().map_err(|_| "not a number")?;
    if (0.0..=100.0).contains(&percent) { Ok(percent) } else { Err("not within 0 to 100".to_owned()) }
}

const MAX_ATTEMPTS: u32 = 5;
/// How long ctrl-c waits for what was put.
const GRACE: Duration = Duration::from_secs(30);
const PLANNED: &str = "a planned crash";

#[actix::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    env_logger::init();
    let args = Args::parse();
    keep_planned_crashes_quiet();

    let queue = IterableQueue::builder().name("items").capacity(1024).max_attempts(MAX_ATTEMPTS).build()?;
    let run = Arc::new(Run::new(&args, &queue));
    // Before the work begins: dead letters that nobody asked for are not kept.
    let mut dead_letters = queue.dead_letters()?;
    let pool = WorkerPool::builder(&queue).workers(usize::from(args.workers)).start({
        let run = Arc::clone(&run);
        move |_index| Worker(Arc::clone(&run))
    })?;
    let producer = queue.producer()?;
    queue.seal();

    let began = Instant::now();
    let put = async {
        run.bar.suspend(|| println!("items to put: {}; ctrl-c ends it in order", args.items));
        let put = producer.put_all((0..args.items).inspect(|&item| run.put(item))).await;
        drop(producer); // the workers may come to their end
        // An error has the item that was refused: the first one that was not put.
        put.unwrap_or_else(PutError::into_inner)
    };
    let read_dead_letters = async {
        while let Some(letter) = dead_letters.get().await {
            run.end(letter.item, DEAD);
        }
    };
    let shutdown = queue.shutdown_on_signal(GRACE)?;
    let (shutdown, put, ()) = join!(shutdown, put, read_dead_letters);
    if shutdown.drained.outcome == Outcome::Complete {
        pool.drained().await?;
    } // otherwise nobody waits for what is in hand
    run.bar.finish_and_clear();

    for &item in &shutdown.left {
        run.end(item, LEFT);
    }
    let totals = queue.snapshot().totals;
    // When the grace was over, a worker may have had an item in hand, and then crashed.
    let dropped = totals.discarded as usize - shutdown.left.len();
    let count = |state| run.states[..put].iter().filter(|found| found.load(SeqCst) == state).count();
    let (acked, dead, twice) = (count(ACKED), count(DEAD), count(TWICE));
    let (left, lost) = (count(LEFT) + dropped, count(PUT) - dropped);
    let surprises = (0..put).filter(|&item| run.is_surprise(item)).count();

    println!("{put} put = {acked} acked + {dead} dead-lettered, {left} left over");
    println!("{lost} lost, {twice} handled twice after an ack, {surprises} ended otherwise than foretold");
    let seconds = began.elapsed().as_secs_f64();
    let deaths: u64 = pool.workers().iter().map(|worker| worker.totals.deaths).sum();
    let redelivered = totals.redelivered;
    println!("{deaths} crashed, {redelivered} redelivered, {seconds:.2} s, {:.0} items/s", put as f64 / seconds);
    // The queue counts the same as the table.
    let agreed = [totals.accepted, totals.acked, totals.dead_lettered] == [put, acked, dead].map(|n| n as u64);
    if !agreed {
        println!("the queue counts otherwise: {totals:?}");
    }
    let right = put == acked + dead && lost + twice + surprises == 0 && agreed;
    Ok(if right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A real service would leave the hook alone: the pool catches panics, whatever it says.
fn keep_planned_crashes_quiet() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if info.payload().downcast_ref() != Some(&PLANNED) {
            report(info);
        }
    }));
}

/// Each has an arbiter to itself. When it crashes, the pool makes another one.
struct Worker(Arc<Run>);

impl Actor for Worker {
    type Context = Context<Self>;
}

impl Handler<Item<usize>> for Worker {
    type Result = ();

    fn handle(&mut self, item: Item<usize>, _: &mut Self::Context) {
        self.0.begin(*item);
        if self.0.crashes(*item, item.attempt()) {
            panic::panic_any(PLANNED); // drops the item unsettled: it comes back
        }
        // Before the ack: from now on nobody may be handed it.
        self.0.end(*item, ACKED);
        item.ack();
    }
}

impl Handler<Drained> for Worker {
    type Result = ();

    fn handle(&mut self, _: Drained, _: &mut Self::Context) {}
}

const NOT_PUT: u8 = 0;
const PUT: u8 = 1;
const ACKED: u8 = 2;
const DEAD: u8 = 3;
const LEFT: u8 = 4;
/// Handed out, or ended, when it had already ended.
const TWICE: u8 = 5;

/// What is to happen to each item, and what has.
struct Run {
    seed: u64,
    share: f64,
    states: Vec<AtomicU8>,
    /// It is hidden where standard error is not a terminal.
    bar: ProgressBar,
}

impl Run {
    fn new(args: &Args, queue: &IterableQueue<usize>) -> Self {
        let queue = queue.clone();
        let news = move |_: &ProgressState, line: &mut dyn fmt::Write| {
            let totals = queue.snapshot().totals;
            let crashes = totals.redelivered + totals.dead_lettered;
            let _ = write!(line, "{crashes} crashed, {} dead-lettered", totals.dead_lettered);
        };
        let style = ProgressStyle::with_template("{bar:30} {human_pos} of {human_len}, {news}, {eta} to go")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .with_key("news", news);
        let bar = ProgressBar::new(args.items as u64).with_style(style);
        bar.enable_steady_tick(Duration::from_millis(100));
        let states = (0..args.items).map(|_| AtomicU8::new(NOT_PUT)).collect();
        Self { seed: args.seed, share: args.panic_percent / 100.0, states, bar }
    }

    fn crashes(&self, item: usize, attempt: u32) -> bool {
        let hash = mix(mix(mix(self.seed) ^ item as u64) ^ u64::from(attempt));
        ((hash >> 11) as f64) < self.share * (1_u64 << 53) as f64
    }

    fn is_surprise(&self, item: usize) -> bool {
        let foretold = if (1..=MAX_ATTEMPTS).all(|attempt| self.crashes(item, attempt)) { DEAD } else { ACKED };
        let state = self.states[item].load(SeqCst);
        matches!(state, ACKED | DEAD) && state != foretold
    }

    fn put(&self, item: usize) {
        self.states[item].store(PUT, SeqCst);
    }

    fn begin(&self, item: usize) {
        if self.states[item].load(SeqCst) != PUT {
            self.states[item].store(TWICE, SeqCst);
        }
    }

    fn end(&self, item: usize, state: u8) {
        if self.states[item].swap(state, SeqCst) != PUT {
            self.states[item].store(TWICE, SeqCst);
        }
        self.bar.inc(1);
    }
}

/// Makes a number look random: the last step of SplitMix64.
fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}
