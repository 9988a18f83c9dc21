//! The lease: an item that a consumer holds and has not settled.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::error::PutError;
use crate::one_line::OneLine;
use crate::queue::ids::QueueId;
use crate::queue::lease::dead_letters::DeadLetter;
use crate::queue::lease::slot::Slot;
use crate::queue::store::give_back::GivenBack;
use crate::queue::store::refused;
use crate::queue::store::remote::Settled;
use crate::queue::store::take::Taken;
use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};
use crate::sync::thread;

/// An item that a consumer holds and has not settled yet: a lease.
///
/// It dereferences to the item. End it in one of four ways: [`ack`](Item::ack) when the work is
/// done, [`into_inner`](Item::into_inner) to take the item for good, [`requeue`](Item::requeue) to
/// give it back, [`reject`](Item::reject) to give it up. A lease that is dropped in any other way,
/// by a panic or because its actor stopped, goes back to the queue, and the queue is not drained
/// before it is settled. The last of `max_attempts` such returns makes the item a dead letter.
///
/// Settling never waits and never fails. Dropping never panics. An item that comes back is as the last holder left it.
///
/// Where `T` is known only from a later put, `item.ack()` asks for type annotations, as `T` might have such a method,
/// too; `Item::ack(item)` does not.
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
/// drop(item); // unsettled: it comes back
///
/// let item = consumer.try_lease()?;
/// match (item.attempt(), item.as_str()) {
///     (2, "work") => item.ack(),
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a lease that is dropped unsettled goes back to the queue: ack it, or take it with into_inner"]
pub struct Item<T> {
    /// `None` only once it is settled, for `drop` to see.
    value: Option<T>,
    slot: Arc<Slot<T>>,
    attempt: u32,
    /// The consumer's count of leases; elsewhere, what the lease is called there.
    sequence: u64,
    /// Whether a handler has looked at it. Matters in a mailbox only.
    seen: AtomicBool,
}

const ATTEMPTS_USED_UP: &str = "attempts used up";

/// How an unsettled item comes back.
enum Return<'a> {
    /// Its attempt failed, maybe by a panic that said this.
    Failed(Option<&'a str>),
    /// As if it had not been handed out.
    Undone,
    /// Not at all, for this reason.
    Rejected(String),
}

// Nothing in a lease is ever pinned.
impl<T> Unpin for Item<T> {}

impl<T> Item<T> {
    /// A lease of what was just taken.
    pub(crate) fn new(slot: &Arc<Slot<T>>, taken: Taken<T>) -> Self {
        Self {
            value: taken.item,
            slot: Arc::clone(slot),
            attempt: taken.attempt,
            sequence: taken.sequence,
            seen: AtomicBool::new(false),
        }
    }

    /// Done: the item has been worked on.
    ///
    /// The value is dropped after the queue has counted the ack.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let queue = IterableQueue::unbounded();
    /// let (producer, mut consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.try_put("work")?;
    /// consumer.try_lease()?.ack();
    /// assert_eq!(queue.snapshot().totals.acked, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn ack(mut self) {
        let value = self.value.take();
        self.slot.shared.settle(&self.slot.row, self.sequence, Some(Settled::Acked));
        drop(value);
    }

    /// Takes the item for good: from here on it is the caller's alone, and the queue does not wait
    /// for it any more.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let (producer, mut consumer) = IterableQueue::unbounded().split()?;
    /// producer.try_put(String::from("work"))?;
    /// let work: String = consumer.try_lease()?.into_inner();
    /// assert_eq!(work, "work");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_inner(mut self) -> T {
        let Some(value) = self.value.take() else { unreachable!("a lease holds its item until it is settled") };
        self.slot.row.count_converted();
        self.slot.shared.settle(&self.slot.row, self.sequence, Some(Settled::Taken));
        value
    }

    /// Gives the item back. It comes before items that were never handed out, with this attempt
    /// counted; after the last attempt it is a dead letter.
    ///
    /// It may be handed out again at once, to another consumer if one is waiting. To have it wait
    /// first, give the queue a [`redelivery_backoff`](crate::Builder::redelivery_backoff).
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let (producer, mut consumer) = IterableQueue::unbounded().split()?;
    /// producer.try_put("busy")?;
    /// producer.try_put("new")?;
    /// consumer.try_lease()?.requeue();
    /// let again = consumer.try_lease()?;
    /// assert_eq!((*again, again.attempt()), ("busy", 2));
    /// # again.ack();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn requeue(mut self) {
        self.give_back(Return::Failed(None));
    }

    /// Gives the item up: it is a dead letter for the reason given.
    ///
    /// See [`IterableQueue::dead_letters`](crate::IterableQueue::dead_letters).
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let queue = IterableQueue::unbounded();
    /// let mut dead_letters = queue.dead_letters()?; // before the work begins
    /// let (producer, mut consumer) = queue.split()?;
    /// producer.try_put("???")?;
    /// consumer.try_lease()?.reject("cannot be parsed");
    /// assert_eq!(dead_letters.try_get()?.reason, "cannot be parsed");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reject(mut self, reason: impl Into<String>) {
        self.give_back(Return::Rejected(reason.into()));
    }

    /// How many times the item has been handed out, this time included.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let (producer, mut consumer) = IterableQueue::unbounded().split()?;
    /// producer.try_put(7)?;
    /// assert_eq!(consumer.try_lease()?.attempt(), 1); // and dropped unsettled
    /// assert_eq!(consumer.try_lease()?.attempt(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn attempt(&self) -> u32 {
        self.seen.store(true, Relaxed);
        self.attempt
    }

    /// The queue that the item came from.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let queue = IterableQueue::unbounded();
    /// let (producer, mut consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.try_put(7)?;
    /// let item = consumer.try_lease()?;
    /// assert_eq!(item.queue(), queue.id());
    /// # item.ack();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn queue(&self) -> QueueId {
        self.slot.shared.id
    }

    /// Puts more work into the same queue. It never waits: the capacity does not apply, because
    /// consumers that waited for room in their own queue would wait for each other. It works after
    /// every producer has closed: the queue is not drained before this lease is settled.
    ///
    /// # Errors
    ///
    /// The queue has ended meanwhile, or its last consumer has gone; the item is in the error.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::IterableQueue;
    ///
    /// // Count the nodes of a tree of depth 3; nobody knows their number beforehand.
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

    /// Puts more work into the same queue, item by item, and returns how many there were.
    ///
    /// # Errors
    ///
    /// As [`put_child`](Item::put_child). With `put_children(&mut iterator)` the iterator keeps
    /// what comes after the refused item.
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

    /// Gives back an item that could not be delivered, as if it had not been handed out.
    pub(crate) fn undo(mut self) {
        self.give_back(Return::Undone);
    }

    /// Ends a lease that died with its worker.
    pub(super) fn fail(mut self, panic: Option<&str>) {
        self.give_back(Return::Failed(panic));
    }

    fn give_back(&mut self, how: Return<'_>) {
        let Some(value) = self.value.take() else { return };
        let (shared, row) = (&self.slot.shared, &self.slot.row);
        row.count_unacked();
        match how {
            Return::Rejected(reason) => self.dead_letter(value, reason, None),
            Return::Failed(panic) if self.attempt >= shared.max_attempts && shared.may_hand_out_again() => {
                self.dead_letter(value, ATTEMPTS_USED_UP.to_owned(), panic);
            }
            Return::Failed(_) => self.put_back(value, self.attempt, true),
            Return::Undone => self.put_back(value, self.attempt - 1, false),
        }
        // Last of all: the queue may be drained with this.
        shared.settle(row, self.sequence, None);
    }

    #[inline(never)]
    fn put_back(&self, item: T, attempts: u32, failed: bool) {
        let Slot { shared, row, .. } = &*self.slot;
        shared.give_back(GivenBack { item, consumer: row.id, lease: self.sequence, attempts, failed });
    }

    #[inline(never)]
    fn dead_letter(&self, item: T, reason: String, panic: Option<&str>) {
        let letter = DeadLetter {
            item,
            attempts: self.attempt,
            reason,
            last_worker: self.slot.row.name.to_string(),
            panic: panic.map(str::to_owned),
        };
        self.slot.shared.dead_letter(self.sequence, letter);
    }

    /// A lease that dies with its worker ends once it is known what the panic said.
    fn held_for_its_panic(&mut self) -> bool {
        let Self { value, slot, attempt, sequence, .. } = self;
        slot.panics.hold(|| Self {
            value: value.take(),
            slot: Arc::clone(slot),
            attempt: *attempt,
            sequence: *sequence,
            seen: AtomicBool::new(true),
        })
    }

    /// A lease in a mailbox that is dead by now was never looked at. So it seems with one in the
    /// future of a handler, too, if that future never looked at it before its actor died.
    fn died_in_mailbox(&self) -> bool {
        !self.seen.load(Relaxed) && self.slot.mailbox.get().is_some_and(|alive| !alive())
    }
}

impl<T> Drop for Item<T> {
    fn drop(&mut self) {
        if self.value.is_none() || self.held_for_its_panic() {
            return;
        }
        if self.died_in_mailbox() {
            self.give_back(Return::Undone);
            return;
        }
        self.give_back(Return::Failed(None));
        let (shared, row) = (&self.slot.shared, &self.slot.row);
        // After the end it was discarded, and nothing comes back.
        if !thread::panicking() && !shared.has_ended() && row.first_warning() {
            log::warn!(
                "{}: {} dropped an item without settling it; it comes back until its attempts are used up. \
                 Call ack() when the work is done. (Said once for each consumer.)",
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
