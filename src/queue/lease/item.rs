//! The lease: an item that a consumer holds and has not settled.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use crate::error::PutError;
use crate::one_line::OneLine;
use crate::queue::ids::QueueId;
use crate::queue::lease::hold_back::HoldBack;
use crate::queue::membership::consumer_row::ConsumerRow;
use crate::queue::shared::Shared;
use crate::queue::store::refused;
use crate::queue::store::take::Taken;
use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};
use crate::sync::thread;

/// An item that a consumer holds and has not settled yet: a lease.
///
/// It dereferences to the item. Settle it in one of five ways: [`ack`](Item::ack) when the work is done,
/// [`into_inner`](Item::into_inner) to take the item for good, [`fail`](Item::fail) and its kin to give it back after a
/// failed attempt, [`release`](Item::release) to give it back uncounted, and [`reject`](Item::reject) to give it up. A
/// lease that is dropped in any other way, by a panic or because its actor stopped, goes back to the queue as a failed one.
/// The last of `max_attempts` such returns makes the item a dead letter. The queue is not
/// drained before every item is settled.
///
/// Settling never waits and never fails. Dropping never panics. An item comes back as its last consumer left it.
///
/// If `T` is known only from a later put, `item.ack()` needs type annotations, as `T` might have a method of that name;
/// `Item::ack(item)` does not.
///
/// # Examples
///
/// ```
/// use actix_iterable_queue::IterableQueue;
///
/// let (producer, mut consumer) = IterableQueue::unbounded().split()?;
/// producer.try_put(String::from("work"))?;
///
/// let item = consumer.try_lease()?;
/// assert_eq!((item.attempt(), item.len()), (1, 4));
/// drop(item); // unsettled: it comes back, a moment later
///
/// let item = consumer.blocking_lease().unwrap();
/// match (item.attempt(), item.as_str()) {
///     (2, "work") => item.ack(),
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a lease that is dropped unsettled goes back to the queue: ack it, or take it with into_inner"]
pub struct Item<T> {
    /// `None` only once it is settled, as `drop` has to know.
    pub(super) value: Option<T>,
    pub(super) slot: Arc<Slot<T>>,
    pub(super) attempt: u32,
    /// The consumer's number for the lease, or that of the remote store.
    pub(super) sequence: u64,
    /// Whether a handler has looked at it. Only leases that travel through a mailbox need it.
    seen: AtomicBool,
}

/// What the leases of a consumer share with it.
pub(crate) struct Slot<T> {
    pub(crate) shared: Arc<Shared<T>>,
    pub(crate) row: Arc<ConsumerRow>,
    /// Whether the mailbox that leases travel through is alive, for consumers that are served by address.
    pub(crate) mailbox: OnceLock<MailboxProbe>,
    pub(super) held_back: HoldBack<Item<T>>,
}

pub(crate) type MailboxProbe = Box<dyn Fn() -> bool + Send + Sync>;

impl<T> Slot<T> {
    pub(crate) fn new(shared: Arc<Shared<T>>, row: Arc<ConsumerRow>) -> Self {
        Self { shared, row, mailbox: OnceLock::new(), held_back: HoldBack::new() }
    }

    /// Polls a worker that holds leases of this consumer, and drops it when it is done. `Err` has the message of its
    /// panic, which the leases that the panic dropped are given, too.
    pub(crate) fn poll_caught<W>(
        &self,
        worker: &mut Option<W>,
        poll: impl FnOnce(&mut W) -> Poll<()>,
    ) -> Poll<Result<(), String>> {
        self.held_back.poll_caught(worker, poll, Item::end_dropped)
    }

    /// Drops a worker that has ended. The leases of this consumer that it still has come back at once.
    pub(crate) fn drop_worker<W>(&self, worker: W) {
        self.held_back.drop_worker(worker, Item::end_dropped);
    }

    /// Drops a handler's future that has timed out. The leases of this consumer that it drops fail for this reason.
    pub(crate) fn drop_timed_out<F>(&self, future: F, reason: &str) {
        self.held_back.drop_timed_out(future, |lease| lease.fail(reason));
    }
}

impl<T> fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("row", &self.row).finish_non_exhaustive()
    }
}

// A panic leaves nothing half changed: what changes is a counter, a flag, or behind a lock under which no user code runs,
// and the probe only asks whether an address is alive. So a consumer is unwind safe, and a lease if its item is.
impl<T> UnwindSafe for Slot<T> {}
impl<T> RefUnwindSafe for Slot<T> {}

/// How a lease ends without its work being done.
pub(super) enum Unsettled<'a> {
    /// The attempt failed.
    Failed {
        error: Option<String>,
        panic: Option<&'a str>,
        /// Instead of the queue's backoff.
        delay: Option<Duration>,
    },
    /// The consumer gives the item back, and the attempt does not count.
    Released(Option<Duration>),
    /// As if the item had not been handed out.
    Undone,
    /// The item becomes a dead letter, for this reason.
    Rejected(String),
}

impl Unsettled<'_> {
    pub(super) const DROPPED: Self = Self::Failed { error: None, panic: None, delay: None };
}

// Nothing in a lease is ever pinned.
impl<T> Unpin for Item<T> {}

impl<T> Item<T> {
    /// Creates a lease of an item that was just taken.
    pub(crate) fn new(slot: &Arc<Slot<T>>, taken: Taken<T>) -> Self {
        Self {
            value: taken.item,
            slot: Arc::clone(slot),
            attempt: taken.attempt,
            sequence: taken.sequence,
            seen: AtomicBool::new(false),
        }
    }

    /// Returns how many times the item has been handed out, including this time.
    pub fn attempt(&self) -> u32 {
        self.seen.store(true, Relaxed);
        self.attempt
    }

    /// Returns the id of the queue that the item came from.
    pub fn queue(&self) -> QueueId {
        self.slot.shared.id
    }

    /// Puts another item into the same queue.
    ///
    /// It never waits: the capacity does not apply, as consumers that waited for room in their own queue would wait for
    /// each other. It works also after every producer has closed, as the queue is not drained before this lease is settled.
    ///
    /// # Errors
    ///
    /// If the queue has ended or was abandoned; over Redis also if the lease was lost, or the item cannot be sent. The item
    /// is in the error.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::IterableQueue;
    ///
    /// // Count the nodes of a tree of depth 3, whose number is not known beforehand.
    /// let (mut producer, consumer) = IterableQueue::bounded(1).split()?;
    /// producer.try_put(3)?;
    /// producer.close();
    /// let mut nodes = 0;
    /// for depth in consumer.into_blocking_leases() {
    ///     if *depth > 0 {
    ///         depth.put_children([*depth - 1, *depth - 1])?;
    ///     }
    ///     nodes += 1;
    ///     depth.ack();
    /// }
    /// assert_eq!(nodes, 15);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put_child(&self, item: T) -> Result<(), PutError<T>> {
        self.seen.store(true, Relaxed);
        let mut put = Some(item);
        match self.slot.shared.put_child(&self.slot.row, self.sequence, &mut put) {
            Ok(()) => Ok(()),
            Err(reason) => Err(refused(put, reason)),
        }
    }

    /// Puts several items into the same queue, and returns how many.
    ///
    /// # Errors
    ///
    /// As [`put_child`](Item::put_child). With `put_children(&mut iterator)` the iterator keeps the items after the refused
    /// one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let (producer, mut consumer) = IterableQueue::unbounded().split()?;
    /// producer.try_put(3)?;
    /// drop(producer);
    /// let item = consumer.try_lease()?;
    /// assert_eq!(item.put_children(0..*item)?, 3);
    /// item.ack();
    /// assert_eq!(consumer.into_iter().collect::<Vec<_>>(), [0, 1, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put_children(&self, items: impl IntoIterator<Item = T>) -> Result<usize, PutError<T>> {
        let mut count = 0;
        for item in items {
            self.put_child(item)?;
            count += 1;
        }
        Ok(count)
    }

    /// Holds back a lease that a worker's panic or a timeout drops, until the reason is known. Returns whether it did.
    fn is_held_back(&mut self) -> bool {
        let Self { value, slot, attempt, sequence, .. } = self;
        slot.held_back.hold(|| Self {
            value: value.take(),
            slot: Arc::clone(slot),
            attempt: *attempt,
            sequence: *sequence,
            seen: AtomicBool::new(true),
        })
    }

    /// Returns whether the lease was dropped with its mailbox: the mailbox is dead, and no handler has looked at the lease.
    /// A handler's future that died before it looked at its item cannot be told from that.
    fn died_in_mailbox(&self) -> bool {
        !self.seen.load(Relaxed) && self.slot.mailbox.get().is_some_and(|alive| !alive())
    }
}

impl<T> Drop for Item<T> {
    fn drop(&mut self) {
        if self.value.is_none() || self.is_held_back() {
            return;
        }
        if self.died_in_mailbox() {
            self.end(Unsettled::Undone);
            return;
        }
        self.end(Unsettled::DROPPED);
        let (shared, row) = (&self.slot.shared, &self.slot.row);
        // After the end the item does not come back to a consumer.
        if !thread::panicking() && !shared.has_ended() && row.first_warning() {
            log::warn!(
                "{}: {} dropped an item without settling it; the item comes back until its attempts are used up. \
                 Call ack() when the work is done. (Logged once for each consumer.)",
                shared.label(),
                OneLine(&row.name)
            );
        }
    }
}

impl<T> Deref for Item<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.seen.store(true, Relaxed);
        match &self.value {
            Some(value) => value,
            None => unreachable!("a lease holds its item until it is settled"),
        }
    }
}

impl<T> DerefMut for Item<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.seen.store(true, Relaxed);
        match &mut self.value {
            Some(value) => value,
            None => unreachable!("a lease holds its item until it is settled"),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Item<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Item").field("value", &**self).field("attempt", &self.attempt).finish_non_exhaustive()
    }
}
