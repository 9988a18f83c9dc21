//! `fleet feed|work|status|audit`: programs that share one queue over Redis, as many of each as you like, on as many
//! machines as you like.
//!
//! ```sh
//! cargo build --release -p fleet
//! alias fleet=target/release/fleet
//! fleet work --trace one &            # these wait until a feed has begun the queue
//! fleet work --trace two &
//! fleet status &
//! fleet feed --items 200000           # ends when all of it is done; so do the others
//! fleet audit --items 200000 one two  # every number came out, and none from nowhere
//! ```
//!
//! Of several feeds one says that no more is to come, as the last one: all others are given `--keep-open`, and end as soon
//! as Redis has what they put. Where all of them keep it open, the queue has no end, and workers stay for years.
//!
//! Kill one worker (`kill -9`) in the middle: soon after its lease the others have what it held. The audit then
//! counts what was done twice, and must not find anything lost.

mod audit;
mod feed;
mod status;
mod trace;
mod work;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use actix_iterable_queue::report::Totals;
use actix_iterable_queue::{Drained, IterableQueue, Outcome, RedisBuilder};
use clap::{Args, Parser, Subcommand};
use serde::{Deserialize, Serialize};

/// Processes that share one queue over Redis.
#[derive(Parser)]
#[command(name = "fleet", disable_help_subcommand = true)]
struct Program {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Puts numbered jobs, says that no more is to come, and waits until everything is done
    ///
    /// It begins the queue if there is none. Of several feeds, the last one says that no more is to come; the others are
    /// given --keep-open, and end once Redis has what they put. One that comes after the last one waits until everything is
    /// done, and begins the next queue.
    Feed(feed::Options),
    /// Works until everything is done; ctrl-c gives back what it holds
    ///
    /// It may be started before the first feed, and waits for that. One that has not joined when everything is done waits
    /// for the next queue.
    Work(work::Options),
    /// Shows the queue and its processes, every second, until everything is done
    ///
    /// Of a queue that has ended it says how.
    Status(status::Options),
    /// Judges by the workers' traces whether every job was done
    Audit(audit::Options),
}

/// Which queue. All of its processes must give the same.
#[derive(Args)]
struct Queue {
    /// Which Redis
    #[arg(long, value_name = "URL", default_value = "redis://127.0.0.1/")]
    redis: String,
    /// The name of the queue
    #[arg(long, value_name = "NAME", default_value = "fleet")]
    queue: String,
    /// How long a process that gives no sign of life keeps what it holds, 100 or more
    #[arg(long, value_name = "N", default_value_t = 15_000, value_parser = clap::value_parser!(u64).range(100..))]
    lease_ms: u64,
}

impl Queue {
    fn builder(&self) -> RedisBuilder<Job> {
        let queue = IterableQueue::builder().name(&*self.queue).capacity(100_000);
        queue.redis(&*self.redis).lease(Duration::from_millis(self.lease_ms))
    }
}

/// In Redis it is `{"number":1}`.
#[derive(Serialize, Deserialize)]
struct Job {
    number: u64,
}

#[actix::main]
async fn main() -> ExitCode {
    env_logger::init();
    let ended = match Program::parse().role {
        Role::Feed(options) => feed::run(options).await,
        Role::Work(options) => work::run(options).await,
        Role::Status(options) => status::run(options).await,
        Role::Audit(options) => audit::run(&options),
    };
    ended.unwrap_or_else(|error| {
        eprintln!("fleet: {error}");
        ExitCode::FAILURE
    })
}

type Ended = Result<ExitCode, Box<dyn Error>>;

/// The figures are those of all processes.
fn farewell(who: &str, drained: &Drained) -> ExitCode {
    println!("{who}; {:?}: {}", drained.outcome, totals(&drained.totals));
    match drained.outcome {
        Outcome::Complete | Outcome::Left => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn totals(totals: &Totals) -> String {
    let Totals { accepted, acked, taken, dead_lettered, redelivered, lost_producers, .. } = *totals;
    let done = acked + taken;
    let (letters, lost) = (count(dead_lettered, "dead letter"), count(lost_producers, "producer"));
    format!("{accepted} put, {done} done, {letters}, {redelivered} redelivered, {lost} lost")
}

fn count(n: u64, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}
