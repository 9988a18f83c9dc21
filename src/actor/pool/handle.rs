//! What users hold of a pool.

use std::fmt;
use std::future::poll_fn;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use futures::channel::mpsc::UnboundedSender;
use tokio::sync::watch;

use super::exit::PoolEvent;
use super::roster::Roster;
use super::worker_count::WorkerCount;
use crate::endpoint::LeftClaim;
use crate::error::{PoolError, PoolFailure};
use crate::queue::{PoolReport, ScalingReport, WorkerReport, quietly};

/// Workers that share the items of a queue and are restarted when they die.
///
/// A worker is an actor that a factory makes. It has an arbiter of its own, unless [arbiters are
/// given](crate::WorkerPoolBuilder::arbiters), so a handler that blocks its thread delays no other worker. It pulls
/// items as with [`ctx.consume`](crate::ConsumeExt::consume).
///
/// # Restarts
///
/// A worker dies when its handler, its `started` or the factory panics, when it calls `ctx.stop()`, or when its
/// arbiter stops. The items that it held go to the other workers at once, and the pool replaces it by a new actor
/// from the factory. If it had not been handed an item, the pool waits for a
/// [backoff](crate::WorkerPoolBuilder::restart_backoff) first, but no longer than until the end of the queue. A worker
/// that was started after the end, only to handle it, is not replaced.
///
/// In actix, a `ResponseFuture` that a handler returns is no part of the actor: if it panics, its item fails and the
/// worker lives on. A panic in any other kind of response kills the worker.
///
/// # The end
///
/// When the queue has ended, however it did, each worker's `Handler<Drained>` is called. The pool stops the worker
/// when that handler and all futures that its handlers returned are done. Other futures that the actor has spawned
/// end with it.
///
/// Until the pool has ended, it counts as a consumer, so the queue is not abandoned. Dropping all handles of a pool
/// changes nothing about its work. A pool does not keep its queue from sealing itself.
///
/// # Examples
///
/// ```
/// use actix::prelude::*;
/// use actix_iterable_queue::prelude::*;
///
/// struct Worker;
///
/// impl Actor for Worker {
///     type Context = Context<Self>;
/// }
///
/// impl Handler<Item<u32>> for Worker {
///     type Result = ();
///
///     fn handle(&mut self, item: Item<u32>, _: &mut Self::Context) {
///         assert!(*item != 13 || item.attempt() > 1, "bad luck"); // the next worker has more
///         item.ack();
///     }
/// }
///
/// impl Handler<Drained> for Worker {
///     type Result = ();
///
///     fn handle(&mut self, _: Drained, _: &mut Self::Context) {}
/// }
///
/// System::new().block_on(async {
///     let queue = IterableQueue::bounded(100);
///     let pool = WorkerPool::builder(&queue).workers(4).start(|_index| Worker)?;
///     let producer = queue.producer()?;
///     queue.seal();
///     producer.put_all(0..100).await?;
///     drop(producer);
///
///     let report = pool.drained().await?;
///     assert_eq!((report.totals.acked, report.totals.deaths), (100, 1));
///     for worker in &report.workers {
///         println!("{}: {} acked, last death: {:?}", worker.name, worker.totals.acked, worker.last_death);
///     }
///     Ok::<(), Box<dyn std::error::Error>>(())
/// }).unwrap();
/// ```
#[must_use = "the work ends with the process: await drained() before that"]
pub struct WorkerPool<T> {
    pub(super) queue: Arc<LeftClaim<T>>,
    pub(super) roster: Arc<Roster>,
    pub(super) events: UnboundedSender<PoolEvent>,
    /// `Some` when the pool has ended.
    pub(super) result: watch::Receiver<Option<PoolResult>>,
}

/// How a pool ended.
pub(super) type PoolResult = Result<PoolReport, PoolFailure>;

impl<T> WorkerPool<T> {
    /// Changes the number of workers, or the range within which the pool scales. It returns at once.
    ///
    /// It means what [`workers`](crate::WorkerPoolBuilder::workers) means: after `resize(4)` the pool has 4 workers and scales
    /// no more; after `resize(2..=8)` it scales between 2 and 8, from the number that it has, or from the nearest one of the
    /// range.
    ///
    /// Workers that have to leave settle the items that they hold first. Their `Handler<Drained>` is not called,
    /// unless the queue ends before they have left.
    ///
    /// # Errors
    ///
    /// [`PoolError::Ended`] if the queue or the pool has ended.
    ///
    /// # Panics
    ///
    /// If `workers` is 0 or begins with 0, or is an empty range such as `5..=2`. For no workers there is
    /// [`pause`](WorkerPool::pause).
    #[track_caller]
    pub fn resize(&self, workers: impl Into<WorkerCount>) -> Result<(), PoolError> {
        let workers = workers.into();
        workers.assert("WorkerPool::resize");
        if self.queue.shared().has_ended() || self.roster.is_closed() {
            return Err(PoolError::Ended);
        }
        self.events.unbounded_send(PoolEvent::Resize(workers)).map_err(|_| PoolError::Ended)
    }

    /// Pauses all workers: they take no further item until [`resume`](WorkerPool::resume).
    ///
    /// They go on with the items that they hold, and handle the end of the queue. A paused pool neither grows nor shrinks.
    pub fn pause(&self) {
        self.roster.pause(true);
    }

    /// Resumes all workers after [`pause`](WorkerPool::pause).
    pub fn resume(&self) {
        self.roster.pause(false);
    }

    /// Returns what each worker has done so far, all its restarts included. It also works when the pool has ended
    /// or given up.
    pub fn workers(&self) -> Vec<WorkerReport> {
        self.roster.report()
    }

    /// Returns how many workers the pool has now, and how it grew and shrank. It also works when the pool has ended or given
    /// up.
    pub fn scaling(&self) -> ScalingReport {
        self.roster.scaling()
    }

    /// Waits until the pool has ended. After that the process may exit.
    ///
    /// A pool has ended when its queue has, every worker has handled that and is gone, and the arbiters that the pool
    /// had started have stopped. The report says in `drained.outcome` whether the queue was drained, aborted or
    /// abandoned.
    ///
    /// After an abort, or a shutdown whose grace is over, it still waits for what workers hold. With
    /// [`handler_timeout`](crate::WorkerPoolBuilder::handler_timeout) a handler's future ends in time. Nothing ends a function
    /// that is stuck: then wait for [`settled`](crate::IterableQueue::settled) with a limit, and not for the pool.
    ///
    /// The future borrows nothing, and any number of tasks may wait. A worker must not await it in a handler: it
    /// would wait for itself.
    ///
    /// # Errors
    ///
    /// [`PoolFailure`] if the pool gave up or its system was stopped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub fn drained(&self) -> impl Future<Output = Result<PoolReport, PoolFailure>> + use<T> {
        let mut result = self.result.clone();
        let mut ended = Box::pin(async move {
            let ended = result.wait_for(Option::is_some).await;
            ended.ok().and_then(|result| result.clone()).unwrap_or(Err(PoolFailure::Stopped))
        });
        // The channel wakes many tasks in one call: a waker that panics must not keep it from waking the others.
        poll_fn(move |cx| {
            let waker = Waker::from(Arc::new(PanicSafeWaker(cx.waker().clone())));
            ended.as_mut().poll(&mut Context::from_waker(&waker))
        })
    }

    /// Takes the items that were left in the queue when the pool gave up and aborted it, oldest first; then those that came
    /// back after the end.
    ///
    /// It does what [`IterableQueue::take_left`](crate::IterableQueue::take_left) does. Each item is returned once. Call it
    /// when the pool has ended: then its workers hold nothing any more.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix::prelude::*;
    /// use actix_iterable_queue::prelude::*;
    /// use std::time::Duration;
    ///
    /// struct Mailer;
    ///
    /// impl Actor for Mailer {
    ///     type Context = Context<Self>;
    /// }
    ///
    /// impl Handler<Item<u32>> for Mailer {
    ///     type Result = ();
    ///
    ///     fn handle(&mut self, _: Item<u32>, _: &mut Self::Context) {
    ///         panic!("the mail server does not answer");
    ///     }
    /// }
    ///
    /// impl Handler<Drained> for Mailer {
    ///     type Result = ();
    ///
    ///     fn handle(&mut self, _: Drained, _: &mut Self::Context) {}
    /// }
    ///
    /// System::new().block_on(async {
    ///     let queue = IterableQueue::unbounded();
    ///     queue.producer()?.put_all(0..3).await?;
    ///     let pool = WorkerPool::builder(&queue)
    ///         .workers(1)
    ///         .restart_limit(1, Duration::from_secs(60))
    ///         .start(|_index| Mailer)?;
    ///     assert!(pool.drained().await.is_err(), "it gave up after the second death");
    ///     assert_eq!(pool.take_left(), [0, 1, 2]);
    ///     Ok::<(), Box<dyn std::error::Error>>(())
    /// }).unwrap();
    /// ```
    pub fn take_left(&self) -> Vec<T> {
        self.queue.shared().take_left()
    }
}

/// Catches the panics of a waker.
struct PanicSafeWaker(Waker);

impl Wake for PanicSafeWaker {
    fn wake(self: Arc<Self>) {
        quietly("the waker of a task that awaits a pool", || self.0.wake_by_ref());
    }
}

// A method sends one event to the supervisor, or reads or writes the roster under its lock. So a panic between two
// calls leaves nothing half done.
impl<T> UnwindSafe for WorkerPool<T> {}
impl<T> RefUnwindSafe for WorkerPool<T> {}

impl<T> Clone for WorkerPool<T> {
    fn clone(&self) -> Self {
        Self {
            queue: Arc::clone(&self.queue),
            roster: Arc::clone(&self.roster),
            events: self.events.clone(),
            result: self.result.clone(),
        }
    }
}

impl<T> fmt::Debug for WorkerPool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerPool").field("queue", self.queue.shared()).finish_non_exhaustive()
    }
}
