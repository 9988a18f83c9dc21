//! Supervised workers.
//!
//! - here: how a pool is described, started and told what to do
//! - `pool/worker.rs`: one worker; `pool/supervisor.rs`: who replaces it
//! - `pool/roster.rs`: what handles and the supervisor share; `pool/report.rs`: how it went

mod report;
mod roster;
mod supervisor;
mod worker;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use actix::{Actor, Context, Handler};
use actix_rt::{Arbiter, ArbiterHandle, System};
use futures::FutureExt;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use futures::channel::oneshot;
use futures::future::Shared;

pub use self::report::{PoolReport, WorkerReport, WorkerTotals};
use self::roster::Roster;
use self::supervisor::{Event, Outcome, Supervisor};
pub use self::worker::Death;
use self::worker::{Job, Running};
use crate::backoff::Backoff;
use crate::endpoint::Claim;
use crate::error::{OpenError, PoolError, PoolFailure};
use crate::queue::{Drained, Item, IterableQueue, Shared as Queue};

/// Before a worker is replaced that died without having done an item.
const RESTART_BACKOFF: Backoff = Backoff::exponential(Duration::from_millis(10), Duration::from_secs(10));

/// Workers that share the items of a queue, and are replaced when they die.
///
/// Each worker is an actor from a factory, with a context and, unless arbiters are given, an
/// arbiter of its own: a handler that blocks its thread harms no other worker. It pulls items, as
/// with [`ctx.consume`](crate::ConsumeExt::consume), and is told of the end in the same way.
///
/// A worker that dies is replaced, by a new actor from the factory: whether its handler, or
/// `started`, or the factory panicked, it called `ctx.stop()`, or its arbiter stopped. The items that
/// it held go to the others at once. If it had not done a single item, its replacement
/// [waits a little](WorkerPoolBuilder::restart_backoff).
///
/// Until the pool has ended, the queue has somebody who could take items: it is not abandoned.
/// Dropping the pool's handles changes nothing about the work. The pool keeps no handle of the
/// queue, so the queue may seal itself.
///
/// When the queue has ended, each worker's `Handler<Drained>` is called, and once the future that
/// it may have returned is done, the worker is stopped. Other futures that the actor has spawned
/// end with it.
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
pub struct WorkerPool<T> {
    queue: Arc<Queue<T>>,
    roster: Arc<Roster<T>>,
    events: UnboundedSender<Event>,
    outcome: Shared<oneshot::Receiver<Outcome>>,
}

/// Describes a pool before it is started; from [`WorkerPool::builder`].
#[must_use = "a pool does nothing before it is started"]
pub struct WorkerPoolBuilder<T> {
    queue: Arc<Queue<T>>,
    workers: Option<usize>,
    settings: Settings,
}

#[derive(Debug)]
struct Settings {
    name: String,
    max_in_flight: usize,
    arbiters: Vec<ArbiterHandle>,
    restart_limit: Option<(usize, Duration)>,
    restart_backoff: Backoff,
    keep_queue: bool,
    stuck_after: Option<Duration>,
}

/// Starts a worker in an arbiter.
type Spawn<T> = Box<dyn Fn(&ArbiterHandle, Job<T>) + Send>;

impl<T> WorkerPoolBuilder<T> {
    /// How many workers; one for each processor unless given.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// What the workers are called, in snapshots and in the log: `worker` unless given, so the
    /// first one is `worker-0`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = name.into();
        self
    }

    /// How many unsettled items each worker may hold, 1 unless given; for handlers that return
    /// futures.
    pub fn max_in_flight(mut self, items: usize) -> Self {
        self.settings.max_in_flight = items;
        self
    }

    /// Has the workers live in these arbiters, in turn, and not each in its own. A worker whose
    /// arbiter stops is replaced in a new one.
    ///
    /// The pool stops only arbiters that it has started itself.
    pub fn arbiters(mut self, arbiters: impl IntoIterator<Item = ArbiterHandle>) -> Self {
        self.settings.arbiters = arbiters.into_iter().collect();
        self
    }

    /// Has the pool give up when more than `restarts` of its workers die within this time. Without
    /// it the pool never gives up.
    ///
    /// A pool that gives up aborts the queue, unless told to
    /// [keep it](WorkerPoolBuilder::keep_queue), and whoever awaits it gets
    /// [`PoolFailure::GaveUp`]. The items that were left are with
    /// [`take_left`](WorkerPool::take_left).
    pub fn restart_limit(mut self, restarts: usize, within: Duration) -> Self {
        self.settings.restart_limit = Some((restarts, within));
        self
    }

    /// How long to wait before a worker is replaced that died without having done a single item;
    /// 10 ms, and up to 10 s when that happens again and again, unless given.
    ///
    /// A worker that had done something is replaced at once.
    pub fn restart_backoff(mut self, backoff: Backoff) -> Self {
        self.settings.restart_backoff = backoff;
        self
    }

    /// Has a pool that gives up leave the queue to others: its workers leave after the items in
    /// hand.
    pub fn keep_queue(mut self) -> Self {
        self.settings.keep_queue = true;
        self
    }

    /// Has a worker reported, at warn in the log and in [snapshots](crate::ConsumerStatus::stuck),
    /// that has held the same items for longer than this. It is not killed.
    pub fn stuck_after(mut self, time: Duration) -> Self {
        self.settings.stuck_after = Some(time);
        self
    }

    /// Starts the pool. The factory is called in the arbiter of the worker that it makes, with the
    /// worker's index, and again for each replacement.
    ///
    /// # Errors
    ///
    /// If no actix system is running, the queue is sealed, an arbiter cannot be started or has
    /// stopped before, or a number is 0. No worker runs then.
    pub fn start<A, F>(self, factory: F) -> Result<WorkerPool<T>, PoolError>
    where
        T: Send + 'static,
        A: Actor<Context = Context<A>> + Handler<Item<T>> + Handler<Drained>,
        F: Fn(usize) -> A + Send + Sync + 'static,
    {
        let Self { queue, workers, settings } = self;
        let target = workers.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
        if target == 0 {
            return Err(PoolError::ZeroWorkers);
        }
        if settings.max_in_flight == 0 {
            return Err(PoolError::ZeroMaxInFlight);
        }
        if !System::try_current().is_some_and(|system| system.arbiter().alive()) {
            return Err(PoolError::NoSystem);
        }
        if !settings.arbiters.iter().all(ArbiterHandle::alive) {
            return Err(PoolError::ArbiterStopped);
        }
        let claim = Claim::on(Arc::clone(&queue)).map_err(|_: OpenError| PoolError::Sealed)?;
        let office = Arbiter::try_new().map_err(PoolError::Arbiter)?;

        let factory = Arc::new(factory);
        let spawn: Spawn<T> = Box::new(move |arbiter, job| {
            let factory = Arc::clone(&factory);
            arbiter.spawn_fn(move || {
                actix_rt::spawn(Running::new(job, move |index| factory(index)));
            });
        });
        let roster = Arc::new(Roster::new());
        let (news, events) = unbounded();
        let (tell, outcome) = oneshot::channel();
        let mut supervisor = Supervisor {
            settings,
            spawn,
            claim: Some(claim),
            roster: Arc::clone(&roster),
            events,
            news: news.clone(),
            outcome: Some(tell),
            workers: Vec::new(),
            target,
            deaths: VecDeque::new(),
            retired: Vec::new(),
            failure: None,
        };
        let started = supervisor.start_all();
        if let Err(error) = started {
            office.stop();
            return Err(PoolError::Arbiter(error));
        }
        office.spawn(supervisor.run());
        Ok(WorkerPool { queue, roster, events: news, outcome: outcome.shared() })
    }
}

impl<T> WorkerPool<T> {
    /// Describes a pool of workers for the queue.
    pub fn builder(queue: &IterableQueue<T>) -> WorkerPoolBuilder<T> {
        WorkerPoolBuilder {
            queue: Arc::clone(queue.shared()),
            workers: None,
            settings: Settings {
                name: "worker".to_owned(),
                max_in_flight: 1,
                arbiters: Vec::new(),
                restart_limit: None,
                restart_backoff: RESTART_BACKOFF,
                keep_queue: false,
                stuck_after: None,
            },
        }
    }

    /// Has more workers join, or some of them leave. It returns at once.
    ///
    /// Those that leave settle the items in hand before, and are told nothing.
    ///
    /// # Errors
    ///
    /// For 0 workers: use [`pause`](WorkerPool::pause). If the queue or the pool has ended.
    pub fn resize(&self, workers: usize) -> Result<(), PoolError> {
        if workers == 0 {
            return Err(PoolError::ZeroWorkers);
        }
        if self.queue.has_ended() {
            return Err(PoolError::Ended);
        }
        self.events.unbounded_send(Event::Resize(workers)).map_err(|_| PoolError::Ended)
    }

    /// Has the workers take no further items until [`resume`](WorkerPool::resume). They finish what
    /// they have in hand, and hear of the end.
    pub fn pause(&self) {
        self.roster.pause(true);
    }

    /// Has the workers go on.
    pub fn resume(&self) {
        self.roster.pause(false);
    }

    /// Waits until the pool has ended: the queue has, every worker has been told and is gone, and
    /// so are the arbiters that the pool had started. After that the process may exit.
    ///
    /// The future borrows nothing. Any number of them may wait.
    ///
    /// # Errors
    ///
    /// [`PoolFailure`]: the pool gave up, or its system was stopped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub fn drained(&self) -> impl Future<Output = Result<PoolReport, PoolFailure>> + use<T> {
        let outcome = self.outcome.clone();
        async move { outcome.await.unwrap_or(Err(PoolFailure::Stopped)) }
    }

    /// The items that were left in the queue when the pool gave up and aborted it, oldest first;
    /// the first call gets them.
    pub fn take_left(&self) -> Vec<T> {
        self.roster.take_left()
    }
}

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

impl<T> fmt::Debug for WorkerPoolBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerPoolBuilder")
            .field("queue", &self.queue)
            .field("workers", &self.workers)
            .field("settings", &self.settings)
            .finish()
    }
}
