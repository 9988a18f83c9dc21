//! The queue itself. Nothing in here knows actix or the endpoints that users hold.
//!
//! - here and `weak.rs`: the handles, strong and weak
//! - `shared.rs`: what all handles share; `flags.rs`: the word of it that every take reads; `effects.rs`: what remains
//!   to do after unlocking; `ids.rs`: ids and names
//! - `store/`: where items are, and their way in, out and back
//! - `membership/`: the open endpoints, and the decision that the queue is drained
//! - `waiting/`: operations that wait, and how they are woken
//! - `lease/`: items that consumers hold, and what becomes of them
//! - `report/`: what the queue tells about itself
//! - `schedules.rs`, `put_schedules.rs`: tests, of steps in the middle of takes and puts

mod effects;
mod flags;
mod ids;
mod lease;
mod membership;
#[cfg(test)]
mod put_schedules;
mod report;
#[cfg(test)]
mod schedules;
mod shared;
mod store;
mod waiting;
mod weak;

use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::{Context, Poll};

use self::flags::{DRAINING, ENDED, RETURNED};

pub(crate) use effects::{collect_wakers, drop_quietly, quietly, wake};
#[cfg(feature = "redis")]
pub(crate) use ids::label;
pub(crate) use ids::name;
pub use ids::{ConsumerId, ProducerId, QueueId};
pub use lease::ask::Ask;
pub(crate) use lease::ask::Told;
pub use lease::batch::Batch;
pub(crate) use lease::dead_letters::DeadLetterQueue;
pub use lease::dead_letters::{DeadLetter, FailedAttempt};
pub use lease::item::Item;
pub(crate) use lease::item::Slot;
pub(crate) use lease::kept_letters::Ids;
pub use lease::verdict::{IntoVerdict, Verdict};
pub use lease::verdicts::{IntoVerdicts, Verdicts};
pub(crate) use membership::consumer_row::ConsumerRow;
pub(crate) use membership::lingering::Linger;
pub(crate) use membership::producer_row::{ProducerEndpoint, ProducerRow};
pub(crate) use membership::registry::HandleKey;
pub use report::blockers::{Blocker, Blockers};
pub(crate) use report::clock::Ticks;
pub(crate) use report::scaling::ScalingLog;
pub use report::scaling::{ScalingReport, ScalingStep};
pub use report::snapshot::{
    ConsumerStatus, Drained, Outcome, ProcessStatus, ProducerStatus, ShutdownReport, Snapshot, State, Totals,
};
pub(crate) use report::units::{Age, count};
pub(crate) use report::workers::WorkerTally;
pub use report::workers::{PoolReport, WorkerReport, WorkerTotals};
pub(crate) use shared::{Config, Shared, UNLIMITED_ATTEMPTS};
#[cfg(feature = "redis")]
pub(crate) use store::driver::LocalStatus;
pub(crate) use store::remote::Answer;
#[cfg(feature = "redis")]
pub(crate) use store::remote::{Delivery, LeaseLost, Remote, Settled, StoreReport, Unsendable};
pub(crate) use store::take::{Take, Taken};
pub(crate) use store::{Mark, NotPut, Ready, Receipt, Store, not_put, refused};
pub(crate) use waiting::lines::{Line, Place};
pub(crate) use waiting::turns::Turn;
pub(crate) use waiting::wait::Waiting;
pub use weak::WeakQueue;

/// A queue that knows when it is done.
///
/// This handle opens endpoints: [`producer`](IterableQueue::producer) and [`consumer`](IterableQueue::consumer). It is
/// cheap to clone.
///
/// The queue ends by itself once it is sealed (no new endpoints), every producer is closed, and every item is settled. It
/// is sealed by [`seal`](IterableQueue::seal), or when the last handle is dropped. So **a handle in scope keeps the queue
/// from ending**; a [weak](IterableQueue::downgrade) one does not. A handle or a producer inside an item keeps its own
/// queue from ending, too, until the item is taken: where work makes more work, put it through the lease
/// ([`Item::put_child`]).
///
/// An item is copied a few times on its way, and each copy takes its size of the thread's stack: a few times the size of
/// an item, in debug builds up to twenty times. Box items of 1 KiB and more (`IterableQueue<Box<T>>`).
///
/// # Examples
///
/// ```
/// use actix_iterable_queue::IterableQueue;
/// use std::thread;
///
/// let queue = IterableQueue::bounded(100);
/// let producers: Vec<_> = (0..3).map(|_| queue.producer()).collect::<Result<_, _>>()?;
/// let consumers: Vec<_> = (0..2).map(|_| queue.consumer()).collect::<Result<_, _>>()?;
/// queue.seal();
///
/// let total: u64 = thread::scope(|scope| {
///     for producer in producers {
///         scope.spawn(move || {
///             for n in 1..=10 {
///                 if producer.blocking_put(n).is_err() {
///                     break; // no consumer is left
///                 }
///             }
///         });
///     }
///     let sums: Vec<_> = consumers.into_iter().map(|consumer| scope.spawn(|| consumer.into_iter().sum::<u64>())).collect();
///     sums.into_iter().map(|sum| sum.join().unwrap()).sum()
/// });
/// assert_eq!(total, 3 * 55);
/// # Ok::<(), actix_iterable_queue::error::OpenError>(())
/// ```
pub struct IterableQueue<T> {
    /// It counts the handles: the queue seals itself when the last one is dropped.
    shared: Arc<Shared<T>>,
}

impl<T> IterableQueue<T> {
    /// Creates a queue in memory.
    pub(crate) fn new(config: Config<T>) -> Self {
        let store = Store::plain(config.capacity);
        Self::open(QueueId::next(), config, store)
    }

    /// Creates a queue in memory that readers of dead letters take from.
    pub(crate) fn of_letters(config: Config<T>) -> Self {
        let store = Store::plain(config.capacity);
        Self::open(QueueId::next_of_letters(), config, store)
    }

    pub(crate) fn open(id: QueueId, config: Config<T>, store: Store<T>) -> Self {
        Self { shared: Arc::new(Shared::new(id, config, store)) }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared<T>> {
        &self.shared
    }

    /// Seals the queue: no new endpoints can be opened. The open ones go on, and may be cloned.
    ///
    /// Calling it again changes nothing. If there is no consumer, the queue is abandoned: puts fail from then on. Over
    /// Redis the seal is sent a moment later, as acks are: a program that ends after it awaits
    /// [`flush`](IterableQueue::flush) first, or the seal may be lost.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::{IterableQueue, State};
    /// use actix_iterable_queue::error::OpenError;
    ///
    /// let queue = IterableQueue::<u64>::bounded(8);
    /// let (producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// queue.seal();
    /// assert_eq!(queue.state(), State::Sealed);
    /// assert_eq!(queue.producer().unwrap_err(), OpenError::Sealed);
    /// let _another = producer.clone();
    /// # drop(consumer);
    /// # Ok::<(), OpenError>(())
    /// ```
    #[doc(alias = "close")]
    pub fn seal(&self) {
        self.shared().seal();
    }

    /// Returns the id that tells this queue from others in the process.
    pub fn id(&self) -> QueueId {
        self.shared().id
    }

    /// Returns the name that the queue was built with.
    pub fn name(&self) -> Option<&str> {
        self.shared().name.as_deref()
    }

    /// Returns how far the queue has come.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::{IterableQueue, State};
    /// let queue = IterableQueue::<u8>::unbounded();
    /// assert_eq!(queue.state(), State::Open);
    /// queue.seal();
    /// assert_eq!(queue.state(), State::Drained); // no producer can be opened any more
    /// ```
    pub fn state(&self) -> State {
        self.shared().state()
    }

    /// Counts the items that wait for a consumer, including those that came back, and those that will come back after a
    /// backoff. While other threads use the queue, the count may be out of date on return.
    pub fn len(&self) -> usize {
        self.shared().len()
    }

    /// Returns whether no item waits for a consumer. The queue need not be drained then: producers may be open, and items
    /// leased.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether a put would have to wait. One place may be kept for puts that wait already.
    pub fn is_full(&self) -> bool {
        self.shared().is_full()
    }

    /// Returns the bound, in items; `None` if there is none. Over Redis it bounds the items that wait there.
    pub fn capacity(&self) -> Option<usize> {
        self.shared().store.capacity()
    }

    /// Describes the queue at this moment: its endpoints by name, its totals, and [why it is not
    /// done](Snapshot::blockers).
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let queue = IterableQueue::<u8>::builder().name("jobs").build()?;
    /// let producer = queue.producer_named("http")?;
    /// println!("{}", queue.snapshot());
    /// assert_eq!(queue.snapshot().producers[0].name, "http");
    /// # drop(producer);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn snapshot(&self) -> Snapshot {
        self.shared().snapshot()
    }

    /// Waits until the queue has ended. The future borrows nothing and does not keep the queue unsealed.
    ///
    /// Consumer actors get [`Drained`] as a message, which may still be in their mailbox when this future is ready: do not
    /// stop their arbiters at once.
    ///
    /// An item that is taken without a lease is settled at once: `for x in consumer` may still be working on its last `x`
    /// when the queue ends. Use leases where that matters. A task that waits here while it holds the last lease waits for
    /// ever; [`blockers`](Snapshot::blockers) names the consumer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::{IterableQueue, Outcome};
    ///
    /// # actix_rt::System::new().block_on(async {
    /// let queue = IterableQueue::bounded(10);
    /// let drained = queue.drained();
    /// let (producer, mut consumer) = queue.split()?;
    /// producer.put("only").await?;
    /// drop(producer);
    /// while let Some(_) = consumer.get().await {}
    /// assert_eq!(drained.await.outcome, Outcome::Complete);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn drained(&self) -> impl Future<Output = Drained> + use<T> {
        drained(self.shared())
    }

    /// Ends the queue now. Waiting puts fail with their item, consumers end, and the caller gets the items that no consumer
    /// was handed, oldest first.
    ///
    /// Leased items stay with their consumers, whose acks still count. [`take_left`](IterableQueue::take_left) returns what
    /// they give back. After the end `abort` does nothing and returns nothing.
    ///
    /// Over Redis it ends the queue for all processes, and returns the items that this process had put without waiting and
    /// Redis had not confirmed. The other processes are told a moment later: to wait until they have been, call `abort()`
    /// and then await [`flush`](IterableQueue::flush). Do so before a program ends.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::{IterableQueue, State};
    ///
    /// let queue = IterableQueue::unbounded();
    /// let (producer, mut consumer) = (queue.producer()?, queue.consumer()?);
    /// (1..=3).try_for_each(|n| producer.try_put(n))?;
    /// assert_eq!(consumer.try_get(), Ok(1));
    /// assert_eq!(queue.abort(), [2, 3]);
    /// assert_eq!(queue.state(), State::Aborted);
    /// assert_eq!(producer.try_put(4).unwrap_err().into_inner(), 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "the items that were left in the queue are in here only: drop them if they are not needed"]
    pub fn abort(&self) -> Vec<T> {
        self.shared().abort()
    }
}

/// Waits for the end, without keeping the queue unsealed.
pub(crate) fn drained<T>(shared: &Arc<Shared<T>>) -> impl Future<Output = Drained> + use<T> {
    let shared = Arc::clone(shared);
    async move {
        let mut waiting = Waiting::new(&shared, Line::Watchers);
        poll_fn(|cx| shared.poll_end(&mut waiting.place, cx)).await
    }
}

impl<T> Shared<T> {
    pub(crate) fn state(&self) -> State {
        self.state_of(&self.control())
    }

    pub(crate) fn len(&self) -> usize {
        self.buffered(&self.control())
    }

    pub(crate) fn is_full(&self) -> bool {
        !self.has_room(&self.control(), false)
    }

    /// Returns how the queue ended, if it has.
    pub(crate) fn ended(&self) -> Option<Drained> {
        self.control().ended().cloned()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.flags.any(ENDED)
    }

    /// Returns whether a take may succeed, without taking a lock.
    pub(crate) fn may_take(&self) -> bool {
        self.flags.any(RETURNED | DRAINING | ENDED) || self.alarm.has_rung() || !self.store.seems_empty()
    }

    /// Returns whether a put may succeed, without taking a lock.
    pub(crate) fn may_put(&self) -> bool {
        !self.store.seems_full()
    }

    /// Returns by how many items producers can get ahead of consumers.
    pub(crate) fn max_lead(&self) -> usize {
        self.store.capacity().unwrap_or(usize::MAX)
    }

    /// Polls for the end.
    pub(crate) fn poll_end(&self, place: &mut Place, cx: &mut Context<'_>) -> Poll<Drained> {
        self.wait(place, cx, |_| self.ended().map(Ok)).map(|Ok::<_, Infallible>(drained)| drained)
    }
}

impl<T> Clone for IterableQueue<T> {
    fn clone(&self) -> Self {
        // This handle is open, so the count is not 0.
        self.shared.add_opener();
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Drop for IterableQueue<T> {
    fn drop(&mut self) {
        self.shared.close_opener();
    }
}

impl<T> fmt::Debug for IterableQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IterableQueue")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("state", &self.state())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
