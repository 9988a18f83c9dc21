//! apalis-redis, with the settings that were the fastest of many.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use apalis::prelude::*;
use apalis_redis::{Client, Config, RedisStorage};
use futures::future::try_join_all;
use futures::stream::{Stream, poll_fn};
use redis::aio::ConnectionManagerConfig;
use tokio::sync::{oneshot, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::job::Job;
use super::server::{Address, Here};
use super::{LIMIT, runtime};
use crate::latency::Run;
use crate::numbers::Seen;
use crate::rounds::{Contender, Measured};

pub(super) const NAME: &str = "apalis-redis";
const LACKS: &str = "no bound and no end; with these settings nobody renews the lease of a long job, and an idle worker \
                     asks each millisecond";
/// A fifth of it is slower, and twice as many are not faster.
const BATCH: u64 = 500;
/// How often an idle worker asks. Its Pub/Sub does not tell of jobs that are pushed to be run at once.
const POLL: Duration = Duration::from_millis(1);
/// A fetch takes over all jobs that were pushed since the last one, and fails if that are 8,000 or more.
const MOST_WAITING: u64 = 4_000;
const QUEUE: &str = "jobs";

pub(super) fn throughput(server: &Address, workers: usize, items: usize) -> Contender {
    let server = server.clone();
    let contender = Contender::new(NAME, move || {
        let server = server.emptied()?;
        let took = runtime()?.block_on(pass(&server, workers, items as u64))?;
        let acked: usize = redis::cmd("SCARD").arg(config().done_jobs_set()).query(&mut server.connect()?)?;
        ensure!(acked == items, "{acked} of {items} jobs were acked");
        Ok(vec![items as f64 / took.as_secs_f64()])
    });
    contender.lacking(LACKS)
}

pub(super) fn latency(server: &Address, run: Run) -> Contender {
    let server = server.clone();
    let contender = Contender::new(NAME, move || one_by_one(&server.emptied()?, run));
    contender.lacking(LACKS)
}

/// Without its locks, as its documentation advises for short jobs: each is looked for in all that waits, which takes
/// ten times as long as everything else. And without events, as nobody listens.
fn config() -> Config {
    Config::default().queue(QUEUE).batch_size(BATCH as usize).lock_tasks(false).emit_events(false)
}

async fn storage(server: &Here) -> anyhow::Result<RedisStorage<Job>> {
    // Unless told otherwise it gives up after half a second, which a busy machine may need.
    let patient = ConnectionManagerConfig::new().set_response_timeout(Some(LIMIT));
    let connection = Client::open(&*server.url)?.get_connection_manager_with_config(patient).await?;
    Ok(RedisStorage::new(connection).with_config(config()))
}

/// Wakes a worker time and again. Its own interval forgets to once it ends just while an answer arrives.
fn polls() -> impl Stream<Item = ()> + Send + Unpin {
    let mut ticks = interval(POLL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    poll_fn(move |context| {
        while ticks.poll_tick(context).is_ready() {}
        Poll::Pending
    })
}

/// Puts and works off so many jobs at once; until all of them are acked.
async fn pass(server: &Here, workers: usize, items: u64) -> anyhow::Result<Duration> {
    let progress = Arc::new(Progress::default());
    let mut storages = Vec::with_capacity(workers);
    for _ in 0..workers {
        storages.push(storage(server).await?);
    }
    let mut feeder = storage(server).await?;

    let began = Instant::now();
    let running = storages.into_iter().enumerate().map(|(index, storage)| {
        let (work, end) = (Arc::clone(&progress), Arc::clone(&progress));
        let work = move |job: Job| {
            let work = Arc::clone(&work);
            async move { work.note(job.number, items) }
        };
        let worker =
            WorkerBuilder::new(format!("worker-{index}")).backend(storage.poll_with_stream(polls())).build(work);
        tokio::spawn(worker.run_with_ctx(move |worker| {
            let mut done = end.done.subscribe();
            async move {
                // The sender outlives the workers.
                let _ = done.wait_for(|done| *done).await;
                worker.stop()
            }
        }))
    });
    let running: Vec<_> = running.collect();
    for first in (0..items).step_by(BATCH as usize) {
        let batch = (first..items.min(first + BATCH)).map(Job::new).collect();
        feeder.push_bulk(batch).await?;
        while first - progress.handled.load(Relaxed).min(first) > MOST_WAITING {
            sleep(POLL).await;
        }
    }
    let running = tokio::time::timeout(LIMIT, try_join_all(running)).await.context("the workers do not end")?;
    for ended in running? {
        ended?;
    }
    let took = began.elapsed();
    lock(&progress.seen).check(items as usize)?;
    Ok(took)
}

#[derive(Default)]
struct Progress {
    seen: Mutex<Seen>,
    handled: AtomicU64,
    done: watch::Sender<bool>,
}

impl Progress {
    fn note(&self, number: u64, items: u64) {
        lock(&self.seen).note(number);
        if self.handled.fetch_add(1, Relaxed) + 1 == items {
            self.done.send_replace(true);
        }
    }
}

fn one_by_one(server: &Here, run: Run) -> Measured {
    run.measure(|recorder| {
        let runtime = Arc::new(runtime()?);
        let (mut feeder, storage) =
            runtime.block_on(async { anyhow::Ok((storage(server).await?, storage(server).await?)) })?;
        let _timers = runtime.enter();
        let recorder = Arc::new(Mutex::new(recorder));
        let work = move |job: Job| {
            let recorder = Arc::clone(&recorder);
            async move { lock(&recorder).note(job.number) }
        };
        let worker = WorkerBuilder::new("worker").backend(storage.poll_with_stream(polls())).build(work);
        let (close, closed) = oneshot::channel::<()>();
        let mut closed = Some(closed);
        let running = worker.run_with_ctx(move |worker| {
            let closed = closed.take();
            async move {
                if let Some(closed) = closed {
                    // The other side is dropped with what puts.
                    let _ = closed.await;
                }
                worker.stop()
            }
        });
        let own = Arc::clone(&runtime);
        // What goes wrong here is missing in the end.
        thread::spawn(move || own.block_on(running));
        Ok(move |due| {
            let _ = &close;
            runtime.block_on(feeder.push(Job::new(due))).is_ok()
        })
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
