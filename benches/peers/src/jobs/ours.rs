//! Workers of the queue.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_iterable_queue::IterableQueue;
use actix_iterable_queue::prelude::*;

use super::CAPACITY;
use super::work::{Gauge, Job, cores};
use crate::numbers::{Tallies, Tally};
use crate::rounds::Contender;

pub(super) const POOL: &str = "WorkerPool, ack";

pub(super) fn contenders(gauge: &Arc<Gauge>) -> Vec<Contender> {
    vec![
        gauge.contender(POOL, |job| System::new().block_on(pool(job))),
        gauge.contender("iterators on threads", |job| iterators(job)),
    ]
}

struct Worker {
    job: Arc<Job>,
    tally: Tally,
}

impl Actor for Worker {
    type Context = Context<Self>;
}

impl Handler<Item<u64>> for Worker {
    type Result = ();

    fn handle(&mut self, item: Item<u64>, _: &mut Self::Context) {
        self.tally.note(self.job.work(*item));
        item.ack();
    }
}

impl Handler<Drained> for Worker {
    type Result = ();

    fn handle(&mut self, _: Drained, _: &mut Self::Context) {}
}

async fn pool(job: &Arc<Job>) -> anyhow::Result<(u64, Duration)> {
    let (queue, tallies) = (IterableQueue::bounded(CAPACITY), Tallies::new());
    let (tally, own) = (tallies.maker(), Arc::clone(job));
    let worker = move |_| Worker { job: Arc::clone(&own), tally: tally() };
    let pool = WorkerPool::builder(&queue).workers(cores()).start(worker)?;
    let producer = queue.producer()?;
    drop(queue);
    let began = Instant::now();
    producer.put_all(0..job.items).await?;
    drop(producer);
    let seen = tallies.of(cores()).await?;
    let time = began.elapsed();
    pool.drained().await?;
    Ok((seen.sum(), time))
}

fn iterators(job: &Job) -> anyhow::Result<(u64, Duration)> {
    let (producer, consumer) = IterableQueue::bounded(CAPACITY).split()?;
    thread::scope(|scope| {
        let work = |consumer: Consumer<u64>| consumer.into_iter().map(|item| job.work(item)).sum::<u64>();
        let threads: Vec<_> = vec![consumer; cores()].into_iter().map(|own| scope.spawn(move || work(own))).collect();
        let began = Instant::now();
        for item in 0..job.items {
            producer.blocking_put(item)?;
        }
        drop(producer);
        let receipts = threads.into_iter().map(|thread| thread.join().expect("workers do not panic")).sum();
        Ok((receipts, began.elapsed()))
    })
}
