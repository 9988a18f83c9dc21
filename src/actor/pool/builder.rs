//! How a pool is described and started.

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use actix::{Actor, Context, Handler};
use actix_rt::{Arbiter, ArbiterHandle, System};
use tokio::sync::watch;

use super::settings::Settings;
use super::supervisor::Supervisor;
use super::worker::{Running, Spawn};
use super::{WorkerPool, assert_workers};
use crate::actor::assert_max_in_flight;
use crate::backoff::Backoff;
use crate::endpoint::Claim;
use crate::error::{OpenError, PoolError};
use crate::queue::{Drained, Item, Shared as Queue};

/// Describes a pool before it is started; from [`WorkerPool::builder`].
#[must_use = "a pool does nothing before it is started"]
pub struct WorkerPoolBuilder<T> {
    queue: Arc<Queue<T>>,
    workers: Option<usize>,
    settings: Settings,
}

impl<T> WorkerPoolBuilder<T> {
    pub(super) fn new(queue: Arc<Queue<T>>) -> Self {
        Self { queue, workers: None, settings: Settings::default() }
    }

    /// Sets how many workers there are; one for each processor unless given.
    ///
    /// # Panics
    ///
    /// If `workers` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix::prelude::*;
    /// # use actix_iterable_queue::prelude::*;
    /// # struct Worker;
    /// # impl Actor for Worker { type Context = Context<Self>; }
    /// # impl Handler<Item<u32>> for Worker { type Result = (); fn handle(&mut self, item: Item<u32>, _: &mut Self::Context) { item.ack() } }
    /// # impl Handler<Drained> for Worker { type Result = (); fn handle(&mut self, _: Drained, _: &mut Self::Context) {} }
    /// # System::new().block_on(async {
    /// # let queue = IterableQueue::<u32>::unbounded();
    /// let pool = WorkerPool::builder(&queue).workers(4).start(|_index| Worker)?;
    /// # queue.seal();
    /// # pool.drained().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[track_caller]
    pub fn workers(mut self, workers: usize) -> Self {
        assert_workers("WorkerPoolBuilder::workers", workers);
        self.workers = Some(workers);
        self
    }

    /// What the workers are called, in snapshots and in the log: `worker` unless given, so the
    /// first one is `worker-0`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix::prelude::*;
    /// # use actix_iterable_queue::prelude::*;
    /// # struct Worker;
    /// # impl Actor for Worker { type Context = Context<Self>; }
    /// # impl Handler<Item<u32>> for Worker { type Result = (); fn handle(&mut self, item: Item<u32>, _: &mut Self::Context) { item.ack() } }
    /// # impl Handler<Drained> for Worker { type Result = (); fn handle(&mut self, _: Drained, _: &mut Self::Context) {} }
    /// # System::new().block_on(async {
    /// # let queue = IterableQueue::<u32>::unbounded();
    /// let pool = WorkerPool::builder(&queue).workers(1).name("mailer").start(|_| Worker)?;
    /// assert_eq!(queue.snapshot().consumers[0].name, "mailer-0");
    /// # queue.seal();
    /// # pool.drained().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = name.into();
        self
    }

    /// Sets how many unsettled items each worker may hold, 1 unless given; for handlers that return
    /// futures.
    ///
    /// A worker that dies takes an attempt from each item that it holds, not only from the one that it
    /// died of. With a `ResponseFuture` a panic takes one from its own item alone.
    ///
    /// # Panics
    ///
    /// If `items` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix::prelude::*;
    /// # use actix_iterable_queue::prelude::*;
    /// # struct Worker;
    /// # impl Actor for Worker { type Context = Context<Self>; }
    /// # impl Handler<Item<u32>> for Worker { type Result = (); fn handle(&mut self, item: Item<u32>, _: &mut Self::Context) { item.ack() } }
    /// # impl Handler<Drained> for Worker { type Result = (); fn handle(&mut self, _: Drained, _: &mut Self::Context) {} }
    /// # System::new().block_on(async {
    /// # let queue = IterableQueue::<u32>::unbounded();
    /// let pool = WorkerPool::builder(&queue).workers(2).max_in_flight(16).start(|_| Worker)?;
    /// # queue.seal();
    /// # pool.drained().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[track_caller]
    pub fn max_in_flight(mut self, items: usize) -> Self {
        assert_max_in_flight("WorkerPoolBuilder::max_in_flight", items);
        self.settings.max_in_flight = items;
        self
    }

    /// Has the workers live in these arbiters, in turn, and not each in its own. A worker whose
    /// arbiter stops is replaced in a new one.
    ///
    /// The pool stops only arbiters that it has started itself.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix::prelude::*;
    /// # use actix_iterable_queue::prelude::*;
    /// # struct Worker;
    /// # impl Actor for Worker { type Context = Context<Self>; }
    /// # impl Handler<Item<u32>> for Worker { type Result = (); fn handle(&mut self, item: Item<u32>, _: &mut Self::Context) { item.ack() } }
    /// # impl Handler<Drained> for Worker { type Result = (); fn handle(&mut self, _: Drained, _: &mut Self::Context) {} }
    /// # System::new().block_on(async {
    /// # let queue = IterableQueue::<u32>::unbounded();
    /// let arbiter = Arbiter::new();
    /// let pool = WorkerPool::builder(&queue).workers(8).arbiters([arbiter.handle()]).start(|_| Worker)?;
    /// # queue.seal();
    /// # pool.drained().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn arbiters(mut self, arbiters: impl IntoIterator<Item = ArbiterHandle>) -> Self {
        self.settings.arbiters = arbiters.into_iter().collect();
        self
    }

    /// Has the pool give up when more than `restarts` of its workers die within this time. Without
    /// it the pool never gives up. The end of a worker's arbiter does not count: that is not the
    /// worker's fault. One bad item is as many deaths as it has attempts.
    ///
    /// A pool that gives up aborts the queue, unless told to
    /// [keep it](WorkerPoolBuilder::keep_queue), and whoever awaits it gets
    /// [`PoolFailure::GaveUp`](crate::error::PoolFailure::GaveUp). The items that were left are with
    /// [`take_left`](WorkerPool::take_left).
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix::prelude::*;
    /// # use actix_iterable_queue::prelude::*;
    /// # struct Worker;
    /// # impl Actor for Worker { type Context = Context<Self>; }
    /// # impl Handler<Item<u32>> for Worker { type Result = (); fn handle(&mut self, item: Item<u32>, _: &mut Self::Context) { item.ack() } }
    /// # impl Handler<Drained> for Worker { type Result = (); fn handle(&mut self, _: Drained, _: &mut Self::Context) {} }
    /// # System::new().block_on(async {
    /// # let queue = IterableQueue::<u32>::unbounded();
    /// use std::time::Duration;
    ///
    /// let limited = WorkerPool::builder(&queue).restart_limit(10, Duration::from_secs(60));
    /// let pool = limited.start(|_| Worker)?;
    /// # queue.seal();
    /// # pool.drained().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn restart_limit(mut self, restarts: usize, within: Duration) -> Self {
        self.settings.restart_limit = Some((restarts, within));
        self
    }

    /// How long to wait before a worker is replaced that died before it was handed a single item; 10 ms,
    /// and up to 10 s when that happens again and again, unless given.
    ///
    /// A worker that dies of an item is replaced at once: bad items have their limit in `max_attempts`,
    /// and their pause in [`redelivery_backoff`](crate::Builder::redelivery_backoff).
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix::prelude::*;
    /// # use actix_iterable_queue::prelude::*;
    /// # struct Worker;
    /// # impl Actor for Worker { type Context = Context<Self>; }
    /// # impl Handler<Item<u32>> for Worker { type Result = (); fn handle(&mut self, item: Item<u32>, _: &mut Self::Context) { item.ack() } }
    /// # impl Handler<Drained> for Worker { type Result = (); fn handle(&mut self, _: Drained, _: &mut Self::Context) {} }
    /// # System::new().block_on(async {
    /// # let queue = IterableQueue::<u32>::unbounded();
    /// use actix_iterable_queue::Backoff;
    /// use std::time::Duration;
    ///
    /// let backoff = Backoff::exponential(Duration::from_millis(100), Duration::from_secs(60));
    /// let pool = WorkerPool::builder(&queue).restart_backoff(backoff).start(|_| Worker)?;
    /// # queue.seal();
    /// # pool.drained().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn restart_backoff(mut self, backoff: Backoff) -> Self {
        self.settings.restart_backoff = backoff;
        self
    }

    /// Has a pool that gives up leave the queue to others: its workers leave after the items in
    /// hand.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix::prelude::*;
    /// # use actix_iterable_queue::prelude::*;
    /// # struct Worker;
    /// # impl Actor for Worker { type Context = Context<Self>; }
    /// # impl Handler<Item<u32>> for Worker { type Result = (); fn handle(&mut self, item: Item<u32>, _: &mut Self::Context) { item.ack() } }
    /// # impl Handler<Drained> for Worker { type Result = (); fn handle(&mut self, _: Drained, _: &mut Self::Context) {} }
    /// # System::new().block_on(async {
    /// # let queue = IterableQueue::<u32>::unbounded();
    /// use std::time::Duration;
    ///
    /// let limited = WorkerPool::builder(&queue).restart_limit(10, Duration::from_secs(60));
    /// let pool = limited.keep_queue().start(|_| Worker)?;
    /// # queue.seal();
    /// # pool.drained().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn keep_queue(mut self) -> Self {
        self.settings.keep_queue = true;
        self
    }

    /// Has a worker reported, at warn in the log and in [snapshots](crate::report::ConsumerStatus::stuck),
    /// that has held the same items for longer than this. It is not killed.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix::prelude::*;
    /// # use actix_iterable_queue::prelude::*;
    /// # struct Worker;
    /// # impl Actor for Worker { type Context = Context<Self>; }
    /// # impl Handler<Item<u32>> for Worker { type Result = (); fn handle(&mut self, item: Item<u32>, _: &mut Self::Context) { item.ack() } }
    /// # impl Handler<Drained> for Worker { type Result = (); fn handle(&mut self, _: Drained, _: &mut Self::Context) {} }
    /// # System::new().block_on(async {
    /// # let queue = IterableQueue::<u32>::unbounded();
    /// use std::time::Duration;
    ///
    /// let pool = WorkerPool::builder(&queue).stuck_after(Duration::from_secs(30)).start(|_| Worker)?;
    /// for worker in queue.snapshot().consumers.iter().filter(|worker| worker.stuck) {
    ///     println!("{} is stuck", worker.name);
    /// }
    /// # queue.seal();
    /// # pool.drained().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn stuck_after(mut self, time: Duration) -> Self {
        self.settings.stuck_after = Some(time);
        self
    }

    /// Starts the pool. The factory is called in the arbiter of the worker that it makes, with the
    /// worker's index, and again for each replacement; it is dropped when the pool has ended. So a
    /// second queue, whose producer it holds for its workers, may end after the first one.
    ///
    /// # Errors
    ///
    /// If no actix system is running, the queue is sealed or has ended, or an arbiter cannot be started or
    /// has stopped before. No worker runs then.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix::prelude::*;
    /// # use actix_iterable_queue::prelude::*;
    /// # struct Worker;
    /// # impl Actor for Worker { type Context = Context<Self>; }
    /// # impl Handler<Item<u32>> for Worker { type Result = (); fn handle(&mut self, item: Item<u32>, _: &mut Self::Context) { item.ack() } }
    /// # impl Handler<Drained> for Worker { type Result = (); fn handle(&mut self, _: Drained, _: &mut Self::Context) {} }
    /// use actix_iterable_queue::error::PoolError;
    ///
    /// let queue = IterableQueue::<u32>::unbounded();
    /// let error = WorkerPool::builder(&queue).start(|_| Worker).unwrap_err();
    /// assert!(matches!(error, PoolError::NoSystem));
    /// ```
    pub fn start<A, F>(self, factory: F) -> Result<WorkerPool<T>, PoolError>
    where
        T: Send + 'static,
        A: Actor<Context = Context<A>> + Handler<Item<T>> + Handler<Drained>,
        F: Fn(usize) -> A + Send + Sync + 'static,
    {
        let Self { queue, workers, settings } = self;
        let workers = workers.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
        if !System::try_current().is_some_and(|system| system.arbiter().alive()) {
            return Err(PoolError::NoSystem);
        }
        if !settings.arbiters.iter().all(ArbiterHandle::alive) {
            return Err(PoolError::ArbiterStopped);
        }
        let claim = Claim::on(Arc::clone(&queue)).map_err(refused)?;

        let factory = Arc::new(factory);
        let spawn: Spawn<T> = Box::new(move |arbiter, job| {
            let factory = Arc::clone(&factory);
            arbiter.spawn_fn(move || {
                actix_rt::spawn(Running::new(job, move |index| factory(index)));
            });
        });
        let (tell, outcome) = watch::channel(None);
        let mut supervisor = Supervisor::new(settings, spawn, claim, tell);
        let (roster, events) = supervisor.reins();
        let office = Arbiter::try_new().map_err(PoolError::Arbiter)?;
        if let Err(error) = supervisor.start_all(workers) {
            // With the supervisor the workers end that were started.
            office.stop();
            return Err(PoolError::Arbiter(error));
        }
        office.spawn(supervisor.run());
        Ok(WorkerPool { queue, roster, events, outcome })
    }
}

fn refused(error: OpenError) -> PoolError {
    match error {
        OpenError::Sealed => PoolError::Sealed,
        OpenError::Ended => PoolError::Ended,
    }
}

impl<T> fmt::Debug for WorkerPoolBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerPoolBuilder")
            .field("queue", &self.queue)
            .field("workers", &self.workers)
            .field("settings", &self.settings)
            .finish()
    }
}
