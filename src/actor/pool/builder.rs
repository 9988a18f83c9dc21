//! Describes a pool.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::ArbiterHandle;

use super::handle::WorkerPool;
use super::supervisor::PoolSettings;
use super::worker_count::WorkerCount;
use crate::actor::assert_max_in_flight;
use crate::backoff::Backoff;
use crate::queue::{IterableQueue, Shared as Queue};

impl<T> WorkerPool<T> {
    /// Returns a builder for a pool of workers that consume the queue.
    pub fn builder(queue: &IterableQueue<T>) -> WorkerPoolBuilder<T> {
        WorkerPoolBuilder { queue: Arc::clone(queue.shared()), workers: None, settings: PoolSettings::default() }
    }
}

/// Describes a pool before it is started. Returned by [`WorkerPool::builder`].
///
/// # Examples
///
/// Workers whose handlers return futures, with all that one usually sets:
///
/// ```
/// use actix::prelude::*;
/// use actix_iterable_queue::{Backoff, prelude::*};
/// use std::time::Duration;
///
/// struct Fetcher {
///     index: usize,
/// }
///
/// impl Actor for Fetcher {
///     type Context = Context<Self>;
/// }
///
/// impl Handler<Item<String>> for Fetcher {
///     type Result = ResponseFuture<()>;
///
///     fn handle(&mut self, url: Item<String>, _: &mut Self::Context) -> Self::Result {
///         Box::pin(async move {
///             // … fetch *url …
///             url.ack();
///         })
///     }
/// }
///
/// impl Handler<Drained> for Fetcher {
///     type Result = ();
///
///     fn handle(&mut self, _: Drained, _: &mut Self::Context) {
///         println!("worker {} is done", self.index);
///     }
/// }
///
/// System::new().block_on(async {
///     let queue = IterableQueue::bounded(100);
///     let pool = WorkerPool::builder(&queue)
///         .name("fetcher")
///         .workers(2)
///         .max_in_flight(16)
///         .restart_limit(10, Duration::from_secs(60))
///         .restart_backoff(Backoff::exponential(Duration::from_millis(100), Duration::from_secs(60)))
///         .stuck_after(Duration::from_secs(30))
///         .start(|index| Fetcher { index })?;
///     assert_eq!(queue.snapshot().consumers[0].name, "fetcher-0");
///
///     queue.producer()?.put("https://example.org".to_owned()).await?;
///     queue.seal();
///     assert_eq!(pool.drained().await?.totals.acked, 1);
///     Ok::<(), Box<dyn std::error::Error>>(())
/// }).unwrap();
/// ```
#[must_use = "a pool does nothing before it is started"]
pub struct WorkerPoolBuilder<T> {
    pub(super) queue: Arc<Queue<T>>,
    pub(super) workers: Option<WorkerCount>,
    pub(super) settings: PoolSettings,
}

impl<T> WorkerPoolBuilder<T> {
    /// Sets the number of workers, or the range within which the pool scales. The default is the number of processors.
    ///
    /// A pool with `workers(2..=16)` starts 2 workers. While items wait and all workers are busy, for as long as
    /// [`grow_after`](WorkerPoolBuilder::grow_after), it doubles their number, but starts no more workers than items wait.
    /// Workers that were not needed at any time for as long as [`shrink_after`](WorkerPoolBuilder::shrink_after) leave, as by
    /// [`resize`](WorkerPool::resize). A [paused](WorkerPool::pause) pool does neither. [`WorkerPool::scaling`] and the
    /// [report](crate::report::PoolReport::scaling) say when it grew and shrank, and the log does at debug.
    ///
    /// An item waits if a worker could take it now: one that waits for its backoff does not. A worker is busy if it has an
    /// item, or was handed one since the pool last looked. The pool looks at it four times within `grow_after`, and once
    /// within it while it has its minimum of workers and needs no more. What happens between two looks it does not see.
    ///
    /// Over Redis, the number of waiting items is known as of a report, up to a second ago. There a pool grows only if two
    /// reports say that items wait. Each process decides for its own pools.
    ///
    /// # Panics
    ///
    /// If `workers` is 0 or begins with 0, or is an empty range such as `5..=2`.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::prelude::*;
    /// use std::thread;
    /// use std::time::Duration;
    ///
    /// #[actix::main]
    /// async fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     let queue = IterableQueue::bounded(100);
    ///     let pool = WorkerPool::builder(&queue)
    ///         .workers(1..=4)
    ///         .grow_after(Duration::from_millis(10))
    ///         .run(|_: &Item<u32>| thread::sleep(Duration::from_millis(50)))?; // long jobs
    ///     queue.producer()?.put_all(0..50).await?;
    ///     queue.seal();
    ///     let report = pool.drained().await?;
    ///     assert_eq!((report.totals.acked, report.scaling.most), (50, 4));
    ///     Ok(())
    /// }
    /// ```
    #[doc(alias("autoscale", "min_workers", "max_workers"))]
    #[track_caller]
    pub fn workers(mut self, workers: impl Into<WorkerCount>) -> Self {
        let workers = workers.into();
        workers.assert("WorkerPoolBuilder::workers");
        self.workers = Some(workers);
        self
    }

    /// Sets how long items wait, and all workers are busy, before a pool with a [range](WorkerPoolBuilder::workers) of workers
    /// grows. The default is 100 ms.
    ///
    /// With zero it grows as soon as it sees that.
    pub fn grow_after(mut self, time: Duration) -> Self {
        self.settings.scale_times.grow_after = time;
        self
    }

    /// Sets for how long workers are not needed before they leave a pool with a [range](WorkerPoolBuilder::workers) of
    /// workers. The default is 30 s.
    ///
    /// If at least three workers held nothing whenever the pool looked during this time, three leave. Those that leave are the
    /// ones with the highest indices, and settle first what they hold.
    #[doc(alias("keep_alive", "idle_timeout"))]
    pub fn shrink_after(mut self, time: Duration) -> Self {
        self.settings.scale_times.shrink_after = time;
        self
    }

    /// Sets what the workers are called in snapshots and in the log. The default is `worker`, and the first one is
    /// `worker-0` then.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = name.into();
        self
    }

    /// Sets how many unsettled items each worker may hold, for handlers that return futures. The default is 1.
    ///
    /// The death of a worker costs each item that it holds an attempt. A `ResponseFuture` that panics does not kill
    /// the worker, and costs only its own item an attempt.
    ///
    /// # Panics
    ///
    /// If `items` is 0.
    #[track_caller]
    pub fn max_in_flight(mut self, items: usize) -> Self {
        assert_max_in_flight("WorkerPoolBuilder::max_in_flight", items);
        self.settings.max_in_flight = Some(items);
        self
    }

    /// Runs the workers in these arbiters, in turn. The default is a new arbiter for each worker.
    ///
    /// A worker whose arbiter stops is replaced in a new one. The pool stops only arbiters that it has started.
    pub fn arbiters(mut self, arbiters: impl IntoIterator<Item = ArbiterHandle>) -> Self {
        self.settings.arbiters = arbiters.into_iter().collect();
        self
    }

    /// Makes the pool give up when more than `restarts` workers die within this time. By default it never gives up.
    ///
    /// A pool that gives up aborts the queue, unless it is to [keep it](WorkerPoolBuilder::keep_queue), and
    /// [`drained`](WorkerPool::drained) fails with [`PoolFailure::GaveUp`](crate::error::PoolFailure::GaveUp).
    /// [`take_left`](WorkerPool::take_left) returns the items that were left.
    ///
    /// A worker whose arbiter stopped is not counted, as that is not the worker's fault. One bad item may count as
    /// often as it has attempts.
    pub fn restart_limit(mut self, restarts: usize, within: Duration) -> Self {
        self.settings.restarts.limit = Some((restarts, within));
        self
    }

    /// Sets how long the pool waits before it restarts a worker that died before it was handed an item. The default
    /// is 10 ms, and up to 10 s when that happens again and again.
    ///
    /// A worker that had been handed an item is restarted at once: `max_attempts` limits bad items, and
    /// [`redelivery_backoff`](crate::Builder::redelivery_backoff) delays them.
    pub fn restart_backoff(mut self, backoff: Backoff) -> Self {
        self.settings.restarts.backoff = backoff;
        self
    }

    /// Keeps the queue open for others when the pool gives up. Its workers settle the items that they hold and
    /// leave.
    pub fn keep_queue(mut self) -> Self {
        self.settings.keep_queue = true;
        self
    }

    /// Reports a worker that has held the same items for longer than this, with a warning in the log and in
    /// [snapshots](crate::report::ConsumerStatus::stuck). The worker is not killed.
    pub fn stuck_after(mut self, time: Duration) -> Self {
        self.settings.stuck_after = Some(time);
        self
    }

    /// Limits the time that a handler's future may take. One that takes longer is dropped, and its item's attempt fails: if
    /// it was the last one, [`DeadLetter::error`](crate::DeadLetter::error) says "no end after 5 s". By default there is no
    /// limit.
    ///
    /// The worker lives on, and its other items go on. The items that the future held and had not settled fail as by
    /// [`Item::fail`](crate::Item::fail); one that was moved elsewhere, say into another task, is not the future's any more and stays leased.
    /// [`WorkerTotals::timed_out`](crate::report::WorkerTotals::timed_out) counts these futures. A warning in the log names the
    /// worker, at its 1st, 2nd, 4th, 8th such future and so on.
    ///
    /// This is for [`run_async`](WorkerPoolBuilder::run_async), [`run_async_with`](WorkerPoolBuilder::run_async_with), and
    /// actors whose handler returns `ResponseFuture<()>` or `ResponseActFuture<Self, ()>`. Nothing can interrupt other
    /// handlers and functions, an `AtomicResponse` included: with them the pool does not start. For them there is
    /// [`stuck_after`](WorkerPoolBuilder::stuck_after).
    ///
    /// The time begins when the handler returns the future, and is kept by the arbiter's runtime, in milliseconds. A
    /// future that is ready when it is polled then is done: with a time of zero, only futures that never have to wait are
    /// sure to end. A future is dropped only where it awaits: one that blocks its thread is not interrupted. In an actor that
    /// sits in `ctx.wait`, a `ResponseActFuture` is dropped after that. What `Handler<Drained>` returns has no limit.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::prelude::*;
    /// use std::time::Duration;
    ///
    /// async fn post(mail: &str) {
    ///     if mail == "b" {
    ///         std::future::pending().await // no answer
    ///     }
    /// }
    ///
    /// #[actix::main]
    /// async fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     let queue = IterableQueue::builder().max_attempts(1).build()?;
    ///     let mut dead_letters = queue.dead_letters()?;
    ///     let pool = WorkerPool::builder(&queue)
    ///         .workers(2)
    ///         .handler_timeout(Duration::from_millis(20))
    ///         .run_async(async |mail: &Item<String>| post(mail).await)?;
    ///     queue.producer()?.put_all(["a", "b", "c"].map(String::from)).await?;
    ///     queue.seal();
    ///     let report = pool.drained().await?;
    ///     assert_eq!((report.totals.acked, report.totals.timed_out), (2, 1));
    ///     assert_eq!(dead_letters.try_get()?.error.as_deref(), Some("no end after 20 ms"));
    ///     Ok(())
    /// }
    /// ```
    pub fn handler_timeout(mut self, time: Duration) -> Self {
        self.settings.handler_timeout = Some(time);
        self
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
