//! Who works.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use actix::prelude::*;
use actix_iterable_queue::prelude::*;
use clap::Args;

use crate::trace::Trace;
use crate::{Ended, Job, Queue, farewell};

/// How long ctrl-c waits for what is in hand.
const GRACE: Duration = Duration::from_secs(10);

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    queue: Queue,
    /// How many jobs to do at a time, 1 to 64 [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: Option<u16>,
    /// How long a job takes
    #[arg(long, value_name = "N", default_value_t = 0)]
    work_us: u64,
    /// Append the number of each job that was done to this file
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
}

pub(crate) async fn run(options: Options) -> Ended {
    let trace = options.trace.map(|file| Trace::open(&file).map_err(|error| format!("{}: {error}", file.display())));
    let work = Arc::new(Work {
        trace: trace.transpose()?,
        takes: Duration::from_micros(options.work_us),
        done: AtomicU64::new(0),
    });
    eprintln!("fleet: works as soon as a feed has begun the queue");
    let queue = options.queue.builder().join().await?;
    let workers = options.workers.map_or_else(processors, usize::from);
    let pool = WorkerPool::builder(&queue).workers(workers).start({
        let work = Arc::clone(&work);
        move |_index| Worker(Arc::clone(&work))
    })?;
    let end = queue.shutdown_on_signal(GRACE)?.await;
    if end.drained.outcome == Outcome::Complete {
        pool.drained().await?;
    } // otherwise nobody waits for what is in hand
    Ok(farewell(&format!("{} done", work.done.load(Relaxed)), &end.drained))
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, |all| all.get().min(64))
}

/// What the workers of this process have in common.
struct Work {
    trace: Option<Trace>,
    takes: Duration,
    done: AtomicU64,
}

impl Work {
    fn on(&self, job: &Job) -> io::Result<()> {
        if !self.takes.is_zero() {
            thread::sleep(self.takes);
        }
        self.trace.as_ref().map_or(Ok(()), |trace| trace.note(job.number))?;
        self.done.fetch_add(1, Relaxed);
        Ok(())
    }
}

struct Worker(Arc<Work>);

impl Actor for Worker {
    type Context = Context<Self>;
}

impl Handler<Item<Job>> for Worker {
    type Result = ();

    fn handle(&mut self, job: Item<Job>, _: &mut Self::Context) {
        match self.0.on(&job) {
            // After the trace: what is acked was done.
            Ok(()) => job.ack(),
            Err(error) => job.reject(format!("no trace: {error}")),
        }
    }
}

impl Handler<Drained> for Worker {
    type Result = ();

    fn handle(&mut self, _: Drained, _: &mut Self::Context) {}
}
