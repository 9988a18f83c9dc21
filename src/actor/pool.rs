//! Supervised workers.
//!
//! - here: what one can tell a pool; `pool/builder.rs`, `pool/settings.rs`: how it is described and
//!   started
//! - `pool/worker.rs`: one worker; `pool/news.rs`: the news of its end; `pool/supervisor.rs`,
//!   `pool/place.rs`: who replaces it
//! - `pool/roster.rs`: what handles and the supervisor share; `pool/report.rs`: how it went

mod builder;
mod news;
mod place;
mod report;
mod roster;
mod settings;
mod supervisor;
mod worker;

use std::fmt;
use std::future::poll_fn;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use futures::channel::mpsc::UnboundedSender;
use tokio::sync::watch;

pub use self::builder::WorkerPoolBuilder;
use self::news::Event;
pub use self::report::{PoolReport, WorkerReport, WorkerTotals};
use self::roster::Roster;
use self::supervisor::Outcome;
use crate::error::{PoolError, PoolFailure};
use crate::queue::{IterableQueue, Shared as Queue, quietly};

/// Workers that share the items of a queue, and are replaced when they die.
///
/// Each worker is an actor from a factory, with a context and, unless arbiters are given, an
/// arbiter of its own: a handler that blocks its thread harms no other worker. It pulls items, as
/// with [`ctx.consume`](crate::ConsumeExt::consume), and is told of the end in the same way.
///
/// A worker that dies is replaced, by a new actor from the factory: whether its handler, or
/// `started`, or the factory panicked, it called `ctx.stop()`, or its arbiter stopped. The items that
/// it held go to the others at once. If it had not been handed a single item, its replacement
/// [waits a little](WorkerPoolBuilder::restart_backoff), but not beyond the end of the queue; and one
/// that dies when it begins after the end is not replaced.
///
/// A `ResponseFuture` that a handler returns is no part of the actor, in actix: if it panics, its item
/// fails, and the worker lives on. The other kinds of response die with the actor.
///
/// Until the pool has ended, the queue has somebody who could take items: it is not abandoned.
/// Dropping the pool's handles changes nothing about the work. The pool keeps no handle of the
/// queue, so the queue may seal itself.
///
/// When the queue has ended, however it did, each worker's `Handler<Drained>` is called. Once that and
/// all futures that its handlers have returned are done, the worker is stopped. Other futures that
/// the actor has spawned end with it.
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
///     let report = pool.drained().await?;
///     assert_eq!((report.totals.acked, report.totals.deaths), (100, 1));
///     Ok::<(), Box<dyn std::error::Error>>(())
/// }).unwrap();
/// ```
#[must_use = "the work ends with the process: await drained() before that"]
pub struct WorkerPool<T> {
    queue: Arc<Queue<T>>,
    roster: Arc<Roster<T>>,
    events: UnboundedSender<Event>,
    outcome: watch::Receiver<Outcome>,
}

impl<T> WorkerPool<T> {
    /// Describes a pool of workers for the queue.
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
    /// let pool = WorkerPool::builder(&queue).workers(4).name("mailer").start(|_index| Worker)?;
    /// # queue.seal();
    /// # pool.drained().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn builder(queue: &IterableQueue<T>) -> WorkerPoolBuilder<T> {
        WorkerPoolBuilder::new(Arc::clone(queue.shared()))
    }

    /// Has more workers join, or some of them leave. It returns at once.
    ///
    /// Those that leave settle the items in hand before, and are told nothing, unless the queue
    /// ends before that.
    ///
    /// # Errors
    ///
    /// [`PoolError::Ended`] if the queue or the pool has ended.
    ///
    /// # Panics
    ///
    /// If `workers` is 0: use [`pause`](WorkerPool::pause).
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
    /// let pool = WorkerPool::builder(&queue).workers(2).start(|_| Worker)?;
    /// pool.resize(8)?;
    /// # queue.seal();
    /// # pool.drained().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[track_caller]
    pub fn resize(&self, workers: usize) -> Result<(), PoolError> {
        assert_workers("WorkerPool::resize", workers);
        if self.queue.has_ended() || self.roster.is_closed() {
            return Err(PoolError::Ended);
        }
        self.events.unbounded_send(Event::Resize(workers)).map_err(|_| PoolError::Ended)
    }

    /// Has the workers take no further items until [`resume`](WorkerPool::resume). They finish what
    /// they have in hand, and hear of the end.
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
    /// let pool = WorkerPool::builder(&queue).start(|_| Worker)?;
    /// pool.pause();
    /// // … while the database is away …
    /// pool.resume();
    /// # queue.seal();
    /// # pool.drained().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn pause(&self) {
        self.roster.pause(true);
    }

    /// Has the workers go on.
    ///
    /// See [`pause`](WorkerPool::pause).
    pub fn resume(&self) {
        self.roster.pause(false);
    }

    /// What each worker has done so far, with all its replacements; also when the pool has ended or
    /// given up.
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
    /// let pool = WorkerPool::builder(&queue).workers(2).start(|_| Worker)?;
    /// for worker in pool.workers() {
    ///     match worker.last_death {
    ///         Some(death) => println!("{} died {} times, last: {death}", worker.name, worker.totals.deaths),
    ///         None => println!("{} is well", worker.name),
    ///     }
    /// }
    /// # queue.seal();
    /// # pool.drained().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn workers(&self) -> Vec<WorkerReport> {
        self.roster.report()
    }

    /// Waits until the pool has ended: the queue has, every worker has been told and is gone, and
    /// so are the arbiters that the pool had started. After that the process may exit.
    ///
    /// The report is the same whether the queue was drained, aborted or abandoned: look at its
    /// `drained.outcome`. The future borrows nothing, and any number of them may wait; but a worker
    /// that awaits it in a handler waits for itself.
    ///
    /// # Errors
    ///
    /// [`PoolFailure`]: the pool gave up, or its system was stopped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
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
    /// let pool = WorkerPool::builder(&queue).workers(2).start(|_| Worker)?;
    /// let producer = queue.producer()?;
    /// producer.put_all(0..10).await?;
    /// drop(producer);
    /// queue.seal(); // or drop it
    /// let report = pool.drained().await?;
    /// for worker in &report.workers {
    ///     println!("{}: {:?}", worker.name, worker.totals);
    /// }
    /// assert_eq!(report.totals.acked, 10);
    /// # queue.seal();
    /// # pool.drained().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn drained(&self) -> impl Future<Output = Result<PoolReport, PoolFailure>> + use<T> {
        let mut outcome = self.outcome.clone();
        let mut ended = Box::pin(async move {
            let ended = outcome.wait_for(Option::is_some).await;
            ended.ok().and_then(|outcome| outcome.clone()).unwrap_or(Err(PoolFailure::Stopped))
        });
        // The channel wakes many at once: one whose waker panics must not keep it from the others.
        poll_fn(move |cx| {
            let waker = Waker::from(Arc::new(Quiet(cx.waker().clone())));
            ended.as_mut().poll(&mut Context::from_waker(&waker))
        })
    }

    /// The items that were left in the queue when the pool gave up and aborted it, oldest first;
    /// the first call gets them.
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
    /// let pool = WorkerPool::builder(&queue).start(|_| Worker)?;
    /// let ended = pool.drained();
    /// # queue.seal();
    /// if let Err(failure) = ended.await {
    ///     eprintln!("{failure}; not done: {:?}", pool.take_left());
    /// }
    /// # queue.seal();
    /// # pool.drained().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn take_left(&self) -> Vec<T> {
        self.roster.take_left()
    }
}

/// Refuses a pool without workers, which would never do anything.
#[track_caller]
fn assert_workers(method: &str, workers: usize) {
    assert!(workers > 0, "{method}: 0 workers: give at least 1, or pause the pool");
}

/// A waker whose panics go no further.
struct Quiet(Waker);

impl Wake for Quiet {
    fn wake(self: Arc<Self>) {
        quietly("the waker of one who awaits a pool", || self.0.wake_by_ref());
    }
}

// Its methods send one event to the supervisor, or look or write behind the roster's lock; a panic between two of
// them leaves the pool as the last one left it.
impl<T> UnwindSafe for WorkerPool<T> {}
impl<T> RefUnwindSafe for WorkerPool<T> {}

impl<T> Clone for WorkerPool<T> {
    fn clone(&self) -> Self {
        Self {
            queue: Arc::clone(&self.queue),
            roster: Arc::clone(&self.roster),
            events: self.events.clone(),
            outcome: self.outcome.clone(),
        }
    }
}

impl<T> fmt::Debug for WorkerPool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerPool").field("queue", &self.queue).finish_non_exhaustive()
    }
}
