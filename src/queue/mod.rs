//! The queue itself. Nothing here knows actix or the endpoints that users hold.
//!
//! - here and `weak.rs`: the handles, strong and weak
//! - `shared.rs`: what all handles share; `flags.rs`: a word of it that every take reads; `effects.rs`: what
//!   a change leaves to be done after unlocking; `ids.rs`: names
//! - `store/`: where items are, and their way in, out and back
//! - `membership/`: who is open, and the decision that the queue is drained
//! - `waiting/`: operations that wait, and who wakes them
//! - `lease/`: items that consumers hold, and what becomes of them
//! - `report/`: what the queue tells about itself

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

use self::flags::ENDED;
use self::shared::Control;

#[cfg(feature = "redis")]
pub(crate) use effects::wake;
pub(crate) use effects::{drop_quietly, quietly};
#[cfg(feature = "redis")]
pub(crate) use ids::label;
pub(crate) use ids::name;
pub use ids::{ConsumerId, ProducerId, QueueId};
pub use lease::dead_letters::DeadLetter;
pub(crate) use lease::dead_letters::DeadLetterQueue;
pub use lease::item::Item;
pub(crate) use lease::item::Slot;
pub(crate) use membership::counters::{ConsumerRow, ProducerEndpoint, ProducerRow};
pub(crate) use membership::registry::HandleKey;
pub use report::blockers::{Blocker, Blockers};
pub use report::snapshot::{
    ConsumerStatus, Drained, Outcome, ProcessStatus, ProducerStatus, ShutdownReport, Snapshot, State, Totals,
};
pub(crate) use report::units::{Age, count};
pub(crate) use shared::{Config, Redelivery, Shared};
#[cfg(feature = "redis")]
pub(crate) use store::driver::LocalStatus;
#[cfg(feature = "redis")]
pub(crate) use store::remote::{Delivery, LeaseLost, Remote, Settled, StoreReport, Unsendable};
pub(crate) use store::take::{Take, Taken};
pub(crate) use store::{Mark, NotPut, Receipt, Store, not_put, refused};
pub(crate) use waiting::lines::{Line, Place};
pub(crate) use waiting::turns::Turn;
pub(crate) use waiting::wait::Waiting;
pub use weak::WeakQueue;

/// A queue that knows when it is done.
///
/// This is the handle that opens endpoints: [`producer`](IterableQueue::producer) and
/// [`consumer`](IterableQueue::consumer). It is cheap to clone. The queue ends by itself once it
/// is sealed (no new endpoints), every producer is closed, and every item is settled. It is sealed
/// by [`seal`](IterableQueue::seal), or when the last handle like this one is dropped: so **a
/// handle kept in scope keeps the queue from ending**. A [weak](IterableQueue::downgrade) one does
/// not. A handle or a producer inside of an item keeps its own queue from ending, too, until the item is taken: to let
/// items make work, put through the lease ([`Item::put_child`]).
///
/// An item is copied a few times on its way, and the thread that puts or takes it needs a few times its size of the
/// stack, in debug builds up to twenty times. Box items of 1 KiB and more (`IterableQueue<Box<T>>`).
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
///                     break; // nobody is left to take it
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
    /// Which counts its handles: with the last of them gone, the queue seals itself.
    shared: Arc<Shared<T>>,
}

impl<T> IterableQueue<T> {
    /// Makes a queue in memory.
    pub(crate) fn new(config: Config<T>) -> Self {
        let store = Store::plain(config.capacity);
        Self::open(QueueId::next(), config, store)
    }

    pub(crate) fn open(id: QueueId, config: Config<T>, store: Store<T>) -> Self {
        Self { shared: Arc::new(Shared::new(id, config, store)) }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared<T>> {
        &self.shared
    }

    /// Says that no new endpoints will be opened. The open ones go on, and may be cloned.
    ///
    /// Calling it again changes nothing. Sealed without a consumer, the queue is abandoned: puts
    /// fail from then on. Over Redis the seal travels a moment later, as acks do: a program that ends with it awaits
    /// [`flush`](IterableQueue::flush) first, or nobody hears of it.
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

    /// The id that tells this queue from others in the process.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let (a, b) = (IterableQueue::<u8>::unbounded(), IterableQueue::<u8>::unbounded());
    /// assert_ne!(a.id(), b.id());
    /// assert_eq!(a.id(), a.clone().id());
    /// ```
    pub fn id(&self) -> QueueId {
        self.shared().id
    }

    /// The name it was built with.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// assert_eq!(IterableQueue::<u8>::unbounded().name(), None);
    /// ```
    pub fn name(&self) -> Option<&str> {
        self.shared().name.as_deref()
    }

    /// How far the queue has come.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::{IterableQueue, State};
    /// let queue = IterableQueue::<u8>::unbounded();
    /// assert_eq!(queue.state(), State::Open);
    /// queue.seal();
    /// assert_eq!(queue.state(), State::Drained); // nobody could ever put
    /// ```
    pub fn state(&self) -> State {
        self.shared().state()
    }

    /// Items that wait for a consumer, those that came back, and those that are to come back after a
    /// backoff, included. With others at work on the queue it may be out of date on return.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let queue = IterableQueue::unbounded();
    /// queue.producer()?.try_put(7)?;
    /// assert_eq!(queue.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn len(&self) -> usize {
        self.shared().len()
    }

    /// Whether no item waits for a consumer. Not the same as drained: producers may be open, and
    /// items leased.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// assert!(IterableQueue::<u8>::bounded(3).is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a put would have to wait. One place may be kept for puts that wait already.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let queue = IterableQueue::bounded(1);
    /// queue.producer()?.try_put(7)?;
    /// assert!(queue.is_full());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_full(&self) -> bool {
        self.shared().is_full()
    }

    /// The bound, in items; `None` if there is none. Over Redis it bounds what waits there.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// assert_eq!(IterableQueue::<u8>::bounded(3).capacity(), Some(3));
    /// ```
    pub fn capacity(&self) -> Option<usize> {
        self.shared().store.capacity()
    }

    /// The queue at this moment: its endpoints by name, its totals, and
    /// [why it is not done](Snapshot::blockers).
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

    /// Waits for the end. The future borrows nothing and does not keep the queue unsealed.
    ///
    /// Consumer actors get [`Drained`] as a message of their own, which they may read after this is
    /// ready: do not stop their arbiters at once.
    ///
    /// Takes without a lease count at once: `for x in consumer` may still be working on its last
    /// `x` when this returns. Use leases where that matters. Whoever waits here while it holds the
    /// last lease waits for ever; [`blockers`](Snapshot::blockers) names it.
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

    /// Ends the queue now. Waiting puts fail with their item, consumers end, and the caller gets
    /// the items that nobody had been handed, oldest first.
    ///
    /// Items that are leased stay with their holders; what they do not settle is discarded. After
    /// the end it does nothing and returns nothing. Over Redis it ends the queue for all processes, and
    /// returns what this one had put without waiting and Redis had not confirmed. The others hear of it a moment later: to
    /// wait until they have been told, call `abort()` and then await [`flush`](IterableQueue::flush), as a program that ends
    /// with it does.
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
    #[must_use = "what is left in the queue is in here, and nowhere else: drop it if it is not needed"]
    pub fn abort(&self) -> Vec<T> {
        self.shared().abort()
    }
}

/// Waits for the end, without keeping the queue from being sealed.
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

    /// Looks without a lock whether it is worth while to try and take.
    pub(crate) fn may_take(&self) -> bool {
        self.flags.any(u8::MAX) || !self.store.seems_empty()
    }

    /// Looks without a lock whether it is worth while to try and put.
    pub(crate) fn may_put(&self) -> bool {
        !self.store.seems_full()
    }

    /// By how many items one side can get ahead of the other.
    pub(crate) fn slack(&self) -> usize {
        self.store.capacity().unwrap_or(usize::MAX)
    }

    /// One poll for the end.
    pub(crate) fn poll_end(&self, place: &mut Place, cx: &mut Context<'_>) -> Poll<Drained> {
        self.wait(place, cx, |_| self.ended().map(Ok)).map(|Ok::<_, Infallible>(drained)| drained)
    }

    /// Returns where dead letters go. If the store does not keep them, `open` makes a queue for them when they are asked
    /// for first. `None` after the end.
    pub(crate) fn dead_letters(
        &self,
        open: impl FnOnce() -> Arc<dyn DeadLetterQueue<T>>,
    ) -> Option<Arc<dyn DeadLetterQueue<T>>> {
        let there = |control: &Control<T>| (control.ended().is_some(), control.dead_letters.clone());
        let (ended, existing) = there(&self.control());
        if ended || existing.is_some() {
            return existing.filter(|_| !ended);
        }
        // It may start a thread, so no lock is held meanwhile.
        let opened = self.store.open_dead_letters().unwrap_or_else(open);
        let mut control = self.control();
        match there(&control) {
            (true, _) => None,
            (false, Some(existing)) => Some(existing),
            (false, None) => Some(Arc::clone(control.dead_letters.insert(opened))),
        }
    }
}

impl<T> Clone for IterableQueue<T> {
    fn clone(&self) -> Self {
        // There is one handle at least.
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
