//! The queue's own ways from producers to worker actors.

use std::time::Duration;

use actix::prelude::*;
use actix_iterable_queue::prelude::*;
use actix_iterable_queue::{IterableQueue, WorkerPoolBuilder};
use anyhow::Context as _;

use super::producers::{self, Threads};
use super::{Arbiters, CAPACITY, IN_FLIGHT, PRODUCERS, WORKERS, measured};
use crate::numbers::{Tallies, Tally};
use crate::rounds::{Contender, Measured};

pub(super) const PULL: &str = "pull, ack";
pub(super) const PUSH: &str = "push, ack";
pub(super) const PUT: &str = "Put by do_send, pull, ack";

pub(super) fn contenders(items: usize, fewer: usize) -> Vec<Contender> {
    vec![
        Contender::new(PULL, move || System::new().block_on(pull(items, Settle::Ack))),
        Contender::new("pull in a WorkerPool, ack", move || System::new().block_on(pool(items, with_actors))),
        Contender::new("a function in a WorkerPool", move || System::new().block_on(pool(items, with_a_function))),
        Contender::new("a function of batches", move || System::new().block_on(pool(items, with_batches))),
        Contender::new("pull, into_inner", move || System::new().block_on(pull(items, Settle::Take))),
        Contender::new(PUSH, move || System::new().block_on(push(fewer))),
        Contender::new(PUT, move || System::new().block_on(put_unanswered(items))),
        Contender::new("Put by send().await, pull, ack", move || System::new().block_on(put(fewer))),
    ]
}

#[derive(Clone, Copy)]
enum Settle {
    Ack,
    Take,
}

struct Worker {
    /// What it pulls from; those in a pool, or registered by address, are served without.
    consumer: Option<Consumer<u64>>,
    settle: Settle,
    tally: Tally,
}

impl Actor for Worker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(consumer) = self.consumer.take() {
            ctx.consume(consumer);
        }
    }
}

impl Handler<Item<u64>> for Worker {
    type Result = ();

    fn handle(&mut self, item: Item<u64>, _: &mut Self::Context) {
        match self.settle {
            Settle::Ack => {
                self.tally.note(*item);
                item.ack();
            }
            Settle::Take => self.tally.note(item.into_inner()),
        }
    }
}

impl Handler<Drained> for Worker {
    type Result = ();

    fn handle(&mut self, _: Drained, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

/// Workers on arbiters of their own, who pull.
fn pulling(queue: &IterableQueue<u64>, settle: Settle, tallies: &Tallies) -> anyhow::Result<Arbiters> {
    let arbiters = Arbiters::new(WORKERS);
    for arbiter in &arbiters.0 {
        let worker = Worker { consumer: Some(queue.consumer()?), settle, tally: tallies.maker()() };
        Worker::start_in_arbiter(&arbiter.handle(), |_| worker);
    }
    Ok(arbiters)
}

/// Threads that wait for room.
fn threads(queue: &IterableQueue<u64>, items: usize) -> anyhow::Result<Threads> {
    let producers: Result<Vec<_>, _> = (0..PRODUCERS).map(|_| queue.producer()).collect();
    let senders = producers?.into_iter().map(|producer| {
        move |item| {
            // What is refused is missing in the end.
            let _ = producer.blocking_put(item);
        }
    });
    Ok(Threads::new(items, senders))
}

async fn pull(items: usize, settle: Settle) -> Measured {
    let (queue, tallies) = (IterableQueue::bounded(CAPACITY), Tallies::new());
    let workers = pulling(&queue, settle, &tallies)?;
    let threads = threads(&queue, items)?;
    drop(queue);
    let measured = measured(threads.begin(), tallies, items).await;
    threads.join()?;
    workers.stop();
    measured
}

pub(super) type Started = Result<WorkerPool<u64>, PoolError>;

pub(super) async fn pool(items: usize, start: fn(WorkerPoolBuilder<u64>, &Tallies) -> Started) -> Measured {
    let (queue, tallies) = (IterableQueue::bounded(CAPACITY), Tallies::new());
    let pool = start(WorkerPool::builder(&queue).workers(WORKERS), &tallies)?;
    let threads = threads(&queue, items)?;
    drop(queue);
    let measured = measured(threads.begin(), tallies, items).await;
    threads.join()?;
    pool.drained().await?;
    measured
}

fn with_actors(builder: WorkerPoolBuilder<u64>, tallies: &Tallies) -> Started {
    let tally = tallies.maker();
    builder.start(move |_| Worker { consumer: None, settle: Settle::Ack, tally: tally() })
}

fn with_a_function(builder: WorkerPoolBuilder<u64>, tallies: &Tallies) -> Started {
    let tally = tallies.maker();
    builder.run_with(move |_| tally(), |tally, item| tally.note(**item))
}

/// Of at most 100 items, which do not wait for more.
fn with_batches(builder: WorkerPoolBuilder<u64>, tallies: &Tallies) -> Started {
    let tally = tallies.maker();
    let note = |tally: &mut Tally, items: &[Item<u64>]| items.iter().for_each(|item| tally.note(**item));
    builder.batch(100, Duration::ZERO).run_with(move |_| tally(), note)
}

async fn push(items: usize) -> Measured {
    let (queue, tallies) = (IterableQueue::bounded(CAPACITY), Tallies::new());
    let (workers, own) = (Arbiters::new(WORKERS), Arbiters::new(1));
    let threads = threads(&queue, items)?;
    let queue = QueueActor::start_in_arbiter(&own.0[0].handle(), |_| QueueActor::new(queue));
    for arbiter in &workers.0 {
        let worker = Worker { consumer: None, settle: Settle::Ack, tally: tallies.maker()() };
        let worker = Worker::start_in_arbiter(&arbiter.handle(), |_| worker);
        queue.send(RegisterConsumer::new(worker).max_in_flight(IN_FLIGHT)).await??;
    }
    drop(queue);
    let measured = measured(threads.begin(), tallies, items).await;
    threads.join()?;
    workers.stop();
    own.stop();
    measured
}

/// As the peers' `do_send`: nobody hears what became of a message, and nothing bounds the mailbox.
async fn put_unanswered(items: usize) -> Measured {
    let (queue, tallies) = (IterableQueue::unbounded(), Tallies::new());
    let own = Arbiters::new(1);
    let workers = pulling(&queue, Settle::Ack, &tallies)?;
    let producers: Result<Vec<_>, _> = (0..PRODUCERS).map(|_| queue.producer()).collect();
    let queue = QueueActor::start_in_arbiter(&own.0[0].handle(), |_| QueueActor::new(queue));
    let senders = producers?.into_iter().map(|producer| {
        let queue = queue.clone();
        move |item| queue.do_send(Put::new(&producer, item))
    });
    let threads = Threads::new(items, senders);
    drop(queue);
    let measured = measured(threads.begin(), tallies, items).await;
    threads.join()?;
    for arbiters in [workers, own] {
        arbiters.stop();
    }
    measured
}

async fn put(items: usize) -> Measured {
    let (queue, tallies) = (IterableQueue::bounded(CAPACITY), Tallies::new());
    let (sources, own) = (Arbiters::new(PRODUCERS), Arbiters::new(1));
    let workers = pulling(&queue, Settle::Ack, &tallies)?;
    let queue = QueueActor::start_in_arbiter(&own.0[0].handle(), |_| QueueActor::new(queue));
    let mut senders = Vec::new();
    for _ in 0..PRODUCERS {
        let producer = queue.send(OpenProducer::new()).await?.context("no producer")?;
        let queue = queue.clone();
        senders.push(move |item| {
            let answer = queue.send(Put::new(&producer, item));
            async move {
                // What is refused is missing in the end.
                let _ = answer.await;
            }
        });
    }
    drop(queue);
    let measured = measured(producers::on_arbiters(&sources.0, items, senders), tallies, items).await;
    for arbiters in [sources, workers, own] {
        arbiters.stop();
    }
    measured
}
