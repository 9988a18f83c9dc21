//! The boxes: items in memory that no consumer was handed yet.
//!
//! Producers put into the inbox, consumers take from the outbox, and a consumer that finds the outbox empty swaps the two.
//! So both sides work at the same time, each on memory of its own, and meet once for all the items that have gathered. The
//! lock of each box is held for a few instructions, and no user code runs under it.
//!
//! # A waiter is seen
//!
//! A thread that is about to wait raises a flag, goes once through the lock of the other side, and looks again.
//! The other side puts or takes with that lock held, and reads the flag afterwards. If the waiter has the lock first, the
//! other side sees its flag. If the other side has it first, the waiter's second look sees what was put or taken.
//!
//! # The capacity belongs to producers
//!
//! Items of producers and permits count against it. Items put through leases do not: their numbers are listed
//! (`overflow.rs`), and as many places are added. An item's number is how many were put before it; as items leave
//! in the order of their numbers, the count of taken items says which of the listed ones have left.
//!
//! # A waiting put has its turn
//!
//! A put may take room before puts that wait: otherwise each item of a full queue would cost a park and a wake-up. After
//! [`PUTS_PAST_LINE`] such puts one place is kept, until the first of the line or a put that was woken has used it, or no
//! put waits any more. So a put that was woken finds room, however busy the others are, and the others lose one place of the
//! capacity, not the time that the wake-up takes. No line sleeps beside a kept place that is free: when the place became
//! free, the first of the line was woken, or its second look takes it. If the place is kept for a put that was woken and is
//! not polled any more, the next of the line looks again a number of times, and then may use it (`Standing` in
//! `waiters.rs`).

use std::collections::VecDeque;
use std::mem::{self, size_of};

use crossbeam_utils::CachePadded;

use super::overflow::Overflow;
use crate::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
};
use crate::sync::{PUTS_PAST_LINE, SpinGuard, SpinLock};

/// An empty box keeps its memory up to this size.
const KEPT_BYTES: usize = 16 * 1024;

fn kept<T>() -> usize {
    KEPT_BYTES / size_of::<T>().max(1)
}

pub(crate) struct Boxes<T> {
    /// To lock both, lock the outbox first.
    inbox: CachePadded<Counted<Inbox<T>>>,
    outbox: CachePadded<Counted<VecDeque<T>>>,
    /// Whether the inbox lists items beyond the capacity.
    overflows: AtomicBool,
    /// Whether producers are refused.
    closed: AtomicBool,
    capacity: Option<usize>,
}

/// A box, and how many items ever went through it.
struct Counted<B> {
    items: SpinLock<B>,
    /// Written with the lock held, read without. It is on the cache line of the lock, which the writer has anyway. No
    /// program runs long enough to make it wrap.
    count: AtomicU64,
}

impl<B> Counted<B> {
    fn new(items: B) -> CachePadded<Self> {
        CachePadded::new(Self { items: SpinLock::new(items), count: AtomicU64::new(0) })
    }

    #[inline]
    fn lock(&self) -> SpinGuard<'_, B> {
        self.items.lock()
    }

    #[inline]
    fn count(&self) -> u64 {
        self.count.load(Acquire)
    }

    /// Counts an item. The caller holds the lock.
    #[inline]
    fn count_one(&self) {
        self.count.store(self.count.load(Relaxed) + 1, Release);
    }
}

struct Inbox<T> {
    items: VecDeque<T>,
    /// Up to this count items may be put before a put has to read how many were taken, from a cache line that consumers
    /// write to. Never below the count, as puts compare the two for equality.
    limit: u64,
    /// From this count on, a place is kept for puts that wait; `u64::MAX` while none waits.
    kept_from: u64,
    /// Places that are reserved for puts.
    permits: u64,
    /// The items beyond the capacity, some of which may have been taken.
    overflow: Overflow,
    closed: Closed,
}

/// What the inbox refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Closed {
    Nobody,
    /// Producers, but neither permits nor leases.
    Producers,
    Everybody,
}

/// Why an item was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PushError {
    Full,
    Closed,
}

impl<T> Inbox<T> {
    fn refusal(&self) -> PushError {
        if self.closed == Closed::Nobody { PushError::Full } else { PushError::Closed }
    }
}

impl<T> Boxes<T> {
    /// Creates empty boxes; a capacity of `None` is unbounded.
    pub(crate) fn new(capacity: Option<usize>) -> Self {
        let inbox = Inbox {
            items: VecDeque::new(),
            limit: capacity.map_or(u64::MAX, |capacity| capacity as u64),
            kept_from: u64::MAX,
            permits: 0,
            overflow: Overflow::default(),
            closed: Closed::Nobody,
        };
        Self {
            inbox: Counted::new(inbox),
            outbox: Counted::new(VecDeque::new()),
            overflows: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            capacity,
        }
    }

    pub(crate) fn capacity(&self) -> Option<usize> {
        self.capacity
    }

    /// Appends an item, and calls `counted` before a consumer can take it. An `entitled` put may use the place that is kept
    /// for the line.
    #[inline]
    pub(crate) fn push(&self, put: &mut Option<T>, entitled: bool, counted: impl FnOnce()) -> Result<(), PushError> {
        let mut inbox = self.inbox.lock();
        let count = self.inbox.count();
        if count == inbox.limit && !self.raise_limit(&mut inbox, count, entitled) {
            return Err(inbox.refusal());
        }
        self.append(&mut inbox, put);
        counted();
        Ok(())
    }

    #[inline]
    fn append(&self, inbox: &mut Inbox<T>, put: &mut Option<T>) {
        let Some(item) = put.take() else { unreachable!("an item is put once") };
        inbox.items.push_back(item);
        self.inbox.count_one();
    }

    /// Updates the limit. Returns whether there is room.
    #[inline(never)]
    fn raise_limit(&self, inbox: &mut Inbox<T>, count: u64, entitled: bool) -> bool {
        if inbox.closed != Closed::Nobody {
            return false;
        }
        let limit = self.limit(inbox, count, entitled);
        // Not beyond the one place of the line: the next put may not be entitled.
        inbox.limit = if entitled { limit.min(count + 1) } else { limit };
        count < limit
    }

    /// Returns the count up to which puts may be made now. It is never below the count.
    fn limit(&self, inbox: &mut Inbox<T>, count: u64, entitled: bool) -> u64 {
        let Some(capacity) = self.capacity else { return u64::MAX };
        let taken = self.forget_taken(inbox);
        // Permits are part of the capacity, so the difference is not negative.
        let places = capacity as u64 - inbox.permits;
        let full = taken.saturating_add(places).saturating_add(inbox.overflow.len());
        let limit = match count < inbox.kept_from {
            _ if entitled => full,
            true => full.min(inbox.kept_from),
            false => full.saturating_sub(1),
        };
        limit.max(count)
    }

    /// Removes items that were taken from the list of those beyond the capacity. Returns how many items were ever taken.
    fn forget_taken(&self, inbox: &mut Inbox<T>) -> u64 {
        let taken = self.outbox.count();
        if inbox.overflow.len() > 0 {
            inbox.overflow.forget(taken);
            if inbox.overflow.len() == 0 {
                self.overflows.store(false, Relaxed);
            }
        }
        taken
    }

    /// Appends an item beyond the capacity, and has it `counted` before a consumer or an abort can take it.
    pub(crate) fn push_beyond(&self, put: &mut Option<T>, counted: impl FnOnce()) -> Result<(), PushError> {
        let mut inbox = self.inbox.lock();
        if inbox.closed == Closed::Everybody {
            return Err(PushError::Closed);
        }
        if self.capacity.is_some() {
            let number = self.inbox.count();
            self.forget_taken(&mut inbox);
            inbox.overflow.push(number);
            self.overflows.store(true, Relaxed);
        }
        // The item uses no place of a producer, and does not count as a put that passed the line.
        inbox.limit = inbox.limit.saturating_add(1);
        inbox.kept_from = inbox.kept_from.saturating_add(1);
        self.append(&mut inbox, put);
        counted();
        Ok(())
    }

    /// Reserves a place for a put.
    pub(crate) fn reserve(&self, entitled: bool) -> Result<(), PushError> {
        let mut inbox = self.inbox.lock();
        let count = self.inbox.count();
        if count == inbox.limit && !self.raise_limit(&mut inbox, count, entitled) {
            return Err(inbox.refusal());
        }
        inbox.permits += 1;
        // The next put has to compute the room that is left.
        inbox.limit = count;
        Ok(())
    }

    /// Appends an item in the place that was reserved for it, and calls `counted` before a consumer can take it.
    pub(crate) fn push_reserved(&self, put: &mut Option<T>, counted: impl FnOnce()) -> Result<(), PushError> {
        let mut inbox = self.inbox.lock();
        inbox.permits -= 1;
        if inbox.closed == Closed::Everybody {
            return Err(PushError::Closed);
        }
        self.append(&mut inbox, put);
        inbox.limit = inbox.limit.max(self.inbox.count());
        counted();
        Ok(())
    }

    /// Gives up a reserved place.
    pub(crate) fn cancel_reserve(&self) {
        self.inbox.lock().permits -= 1;
    }

    pub(crate) fn permits(&self) -> usize {
        self.inbox.lock().permits as usize
    }

    /// Returns whether there is room for a put, which may be refused all the same.
    pub(crate) fn has_room(&self, entitled: bool) -> bool {
        let mut inbox = self.inbox.lock();
        let count = self.inbox.count();
        count < self.limit(&mut inbox, count, entitled)
    }

    /// Returns whether there may be room for a put, after an item was taken or a reserved place given up.
    pub(crate) fn may_have_room(&self) -> bool {
        !self.overflows.load(Relaxed) || self.has_room(true)
    }

    /// Notes that a put begins to wait: from now on puts that pass the line are counted.
    pub(crate) fn begin_line(&self) {
        let mut inbox = self.inbox.lock();
        if inbox.kept_from == u64::MAX {
            self.count_passes(&mut inbox);
        }
    }

    /// Notes that a put of the line was made, and others still wait.
    pub(crate) fn move_line(&self) {
        self.count_passes(&mut self.inbox.lock());
    }

    fn count_passes(&self, inbox: &mut Inbox<T>) {
        inbox.kept_from = self.inbox.count() + PUTS_PAST_LINE;
        inbox.limit = inbox.limit.min(inbox.kept_from);
    }

    /// Notes that no put waits any more.
    pub(crate) fn end_line(&self) {
        self.inbox.lock().kept_from = u64::MAX;
    }

    /// Takes the first item into an empty slot. Returns whether there was one.
    #[inline]
    pub(crate) fn pop(&self, slot: &mut Option<T>) -> bool {
        let mut outbox = self.outbox.lock();
        *slot = outbox.pop_front();
        if slot.is_none() {
            return self.swap_and_pop(outbox, slot);
        }
        self.outbox.count_one();
        true
    }

    #[inline(never)]
    fn swap_and_pop(&self, mut outbox: SpinGuard<'_, VecDeque<T>>, slot: &mut Option<T>) -> bool {
        if self.seems_empty() {
            return false;
        }
        let mut inbox = self.inbox.lock();
        mem::swap(&mut inbox.items, &mut outbox);
        // The memory of a box that is much too large by now is freed.
        let too_large = inbox.items.capacity() > outbox.len().saturating_mul(4).max(kept::<T>());
        let dropped = if too_large { mem::take(&mut inbox.items) } else { VecDeque::new() };
        drop(inbox);
        *slot = outbox.pop_front();
        if slot.is_some() {
            self.outbox.count_one();
        }
        drop(outbox);
        drop(dropped);
        slot.is_some()
    }

    /// Goes through the lock of the inbox. After that, either this thread sees what was put, or the producer sees what this
    /// thread wrote before.
    pub(crate) fn sync_with_producers(&self) {
        drop(self.inbox.lock());
    }

    /// Goes through the lock of the outbox. After that, either this thread sees what was taken, or the consumer sees what
    /// this thread wrote before.
    pub(crate) fn sync_with_consumers(&self) {
        drop(self.outbox.lock());
    }

    /// Counts the items.
    pub(crate) fn len(&self) -> usize {
        loop {
            let taken = self.outbox.count();
            let put = self.inbox.count();
            // No item was taken in between, so the difference was right when `put` was read.
            if self.outbox.count() == taken {
                return (put - taken) as usize;
            }
        }
    }

    /// Returns whether there is no item. It takes no lock, and may be out of date.
    #[inline]
    pub(crate) fn seems_empty(&self) -> bool {
        let taken = self.outbox.count();
        self.inbox.count() == taken
    }

    /// Returns whether a push would hardly find room. It takes no lock, and may be out of date.
    #[inline]
    pub(crate) fn seems_full(&self) -> bool {
        self.capacity.is_some_and(|capacity| self.len() >= capacity)
            && !self.overflows.load(Relaxed)
            && !self.is_closed()
    }

    /// Returns whether there is no item. A consumer that takes afterwards sees what this thread wrote before.
    pub(crate) fn is_empty(&self) -> bool {
        let outbox = self.outbox.lock();
        outbox.is_empty() && self.inbox.lock().items.is_empty()
    }

    /// Returns whether producers are refused.
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(SeqCst)
    }

    /// Refuses items from now on. A put that races with the end is either before it or refused.
    pub(crate) fn close(&self, closed: Closed) {
        let mut inbox = self.inbox.lock();
        inbox.closed = inbox.closed.max(closed);
        inbox.limit = self.inbox.count();
        self.closed.store(true, SeqCst);
    }
}

#[cfg(test)]
mod tests;
