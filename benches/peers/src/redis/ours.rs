//! The queue, shared over Redis.

use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_iterable_queue::prelude::*;
use actix_iterable_queue::{IterableQueue, RedisBuilder};
use anyhow::{Context as _, ensure};
use futures::future::try_join_all;
use tokio::time::timeout;

use super::job::Job;
use super::server::{Address, Here};
use super::{LIMIT, runtime};
use crate::latency::Run;
use crate::numbers::{Seen, Tallies, Tally};
use crate::rounds::Contender;

pub(super) const TASKS: &str = "tasks";
const POOL: &str = "WorkerPool";
const CAPACITY: usize = 100_000;

/// By tasks that lease and ack, and by a pool.
pub(super) fn throughput(server: &Address, consumers: usize, items: usize) -> Vec<Contender> {
    let rate = move |took: Duration| Ok(vec![items as f64 / took.as_secs_f64()]);
    let (for_tasks, for_pool) = (server.clone(), server.clone());
    vec![
        Contender::new(TASKS, move || rate(runtime()?.block_on(tasks(&for_tasks.emptied()?, consumers, items))?)),
        Contender::new(POOL, move || rate(System::new().block_on(pool(&for_pool.emptied()?, consumers, items))?)),
    ]
}

pub(super) fn latency(server: &Address, run: Run) -> Contender {
    let server = server.clone();
    run.pulled(move || Ok(builder(&server.emptied()?).blocking_connect()?.split()?))
}

fn builder(server: &Here) -> RedisBuilder<Job> {
    IterableQueue::builder().name("jobs").capacity(CAPACITY).redis(&*server.url).seal_when_unowned()
}

async fn tasks(server: &Here, consumers: usize, items: usize) -> anyhow::Result<Duration> {
    let queue = builder(server).connect().await?;
    let (producer, consumer) = (queue.producer()?, queue.consumer()?);
    let began = Instant::now();
    let running = vec![consumer; consumers].into_iter().map(|mut consumer| {
        tokio::spawn(async move {
            let mut seen = Seen::default();
            while let Some(job) = consumer.lease().await {
                seen.note(job.number);
                job.ack();
            }
            seen
        })
    });
    let running: Vec<_> = running.collect();
    put_all(producer, items).await?;
    let took = end(queue, items, began).await?;
    let seen = try_join_all(running).await?;
    seen.into_iter().fold(Seen::default(), Seen::add).check(items)?;
    Ok(took)
}

async fn pool(server: &Here, workers: usize, items: usize) -> anyhow::Result<Duration> {
    let (queue, tallies) = (builder(server).connect().await?, Tallies::new());
    let tally = tallies.maker();
    let pool = WorkerPool::builder(&queue).workers(workers).start(move |_| Worker(tally()))?;
    let producer = queue.producer()?;
    let began = Instant::now();
    put_all(producer, items).await?;
    let took = end(queue, items, began).await?;
    tallies.of(workers).await?.check(items)?;
    pool.drained().await?;
    Ok(took)
}

/// Until all are confirmed.
async fn put_all(producer: Producer<Job>, items: usize) -> anyhow::Result<()> {
    let put = producer.put_all((0..items as u64).map(Job::new)).await?;
    ensure!(put == items, "{put} of {items} were put");
    Ok(())
}

/// Until Redis has heard of all acks, and says that this is the end.
async fn end(queue: IterableQueue<Job>, items: usize, began: Instant) -> anyhow::Result<Duration> {
    let drained = queue.drained();
    drop(queue); // seals it
    let drained = timeout(LIMIT, drained).await.context("it does not end")?;
    let took = began.elapsed();
    let (outcome, acked) = (drained.outcome, drained.totals.acked);
    ensure!((outcome, acked) == (Outcome::Complete, items as u64), "{outcome:?}, {acked} of {items} were acked");
    Ok(took)
}

struct Worker(Tally);

impl Actor for Worker {
    type Context = Context<Self>;
}

impl Handler<Item<Job>> for Worker {
    type Result = ();

    fn handle(&mut self, job: Item<Job>, _: &mut Self::Context) {
        self.0.note(job.number);
        job.ack();
    }
}

impl Handler<Drained> for Worker {
    type Result = ();

    fn handle(&mut self, _: Drained, _: &mut Self::Context) {}
}
