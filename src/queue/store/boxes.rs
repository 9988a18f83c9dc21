//! The buffer: items that nobody has been handed yet.
//!
//! Producers put into the inbox, consumers take from the outbox, and whoever finds the outbox empty swaps
//! the two. So both sides work at the same time, each on memory of its own; they meet once for as many
//! items as have gathered. The lock of each box is held for a few instructions, and no foreign code runs
//! under it.
//!
//! # Whoever waits is seen
//!
//! Whoever is about to wait raises a flag, goes once through the lock of the other side, and looks again;
//! the other side puts or takes with that lock held, and reads the flag afterwards. So either the one has
//! the lock first, and the other sees the flag; or the other way round, and the look sees what was put or
//! taken.
//!
//! # A waiting put has its turn
//!
//! A put may take room before puts that wait: otherwise each item of a full queue would cost a park and a wake-up.
//! After [`PUTS_PAST_LINE`] of them one place is kept, until the first of the line or one that was woken has used it,
//! or nobody waits any more. So a put that was woken finds room, however busy the others are; and the others lose
//! one place of the capacity, not the time that the wake-up takes. The line does not sleep beside a kept place that is
//! free: when it became free, its first was woken, or its second look takes it. Where the place is for one that was
//! woken and does not come, the next of the line looks again some times, and then has it (`Standing` in `waiters.rs`).

use std::collections::VecDeque;
use std::mem::{self, size_of};

use crossbeam_utils::CachePadded;

use crate::queue::store::moves::Outgoing;
use crate::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
};
use crate::sync::{PUTS_PAST_LINE, SpinGuard, SpinLock};

/// A box of so many bytes is kept when it is empty, whatever is put next.
const KEPT_BYTES: usize = 16 * 1024;

fn kept<T>() -> usize {
    KEPT_BYTES / size_of::<T>().max(1)
}

pub(crate) struct Buffer<T> {
    /// If both are locked, then the outbox first.
    inbox: CachePadded<Counted<Inbox<T>>>,
    outbox: CachePadded<Counted<VecDeque<T>>>,
    closed: AtomicBool,
    capacity: Option<usize>,
}

/// A box, and how many items ever went through it.
struct Counted<B> {
    items: SpinLock<B>,
    /// Written with the lock, which makes the writer the only one; read without. It is on the cache line
    /// of the lock, which whoever writes has anyway. It never wraps, on no machine.
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

    /// With the lock.
    #[inline]
    fn count_one(&self) {
        self.count.store(self.count.load(Relaxed) + 1, Release);
    }
}

struct Inbox<T> {
    items: VecDeque<T>,
    /// How many items may be put before one must look how many were taken: that is a cache line which
    /// consumers write to.
    limit: u64,
    /// From this many puts on a place is kept for those that wait; `u64::MAX` while none does.
    kept_from: u64,
    closed: bool,
}

/// Why an item was not accepted.
#[derive(Debug)]
pub(crate) enum PushError {
    Full,
    Closed,
}

impl<T> Buffer<T> {
    /// `None` is without a bound.
    pub(crate) fn new(capacity: Option<usize>) -> Self {
        let limit = capacity.map_or(u64::MAX, |capacity| capacity as u64);
        Self {
            inbox: Counted::new(Inbox { items: VecDeque::new(), limit, kept_from: u64::MAX, closed: false }),
            outbox: Counted::new(VecDeque::new()),
            closed: AtomicBool::new(false),
            capacity,
        }
    }

    pub(crate) fn capacity(&self) -> Option<usize> {
        self.capacity
    }

    /// Appends an item, and has it `counted` before anybody can take it. Only `by_right` it may use
    /// the place that is kept.
    #[inline]
    pub(crate) fn push(&self, put: &mut Outgoing<T>, by_right: bool, counted: impl FnOnce()) -> Result<(), PushError> {
        let mut inbox = self.inbox.lock();
        let count = self.inbox.count();
        if count == inbox.limit && !self.has_room(&mut inbox, count, by_right) {
            return Err(if inbox.closed { PushError::Closed } else { PushError::Full });
        }
        inbox.items.push_back(put.take());
        self.inbox.count_one();
        counted();
        Ok(())
    }

    /// Sets the limit anew, never below `put`: it has to be met.
    #[inline(never)]
    fn has_room(&self, inbox: &mut Inbox<T>, put: u64, by_right: bool) -> bool {
        if inbox.closed {
            return false;
        }
        let full = self.capacity.map_or(u64::MAX, |capacity| self.outbox.count().saturating_add(capacity as u64));
        inbox.limit = match put < inbox.kept_from {
            _ if by_right => full.min(put + 1),
            true => full.min(inbox.kept_from),
            false => (full - 1).max(put),
        };
        put < inbox.limit
    }

    /// A put begins to wait: from now on those of others are counted.
    pub(crate) fn begin_line(&self) {
        let mut inbox = self.inbox.lock();
        if inbox.kept_from == u64::MAX {
            self.count_passes(&mut inbox);
        }
    }

    /// A put of the line was made, and there are more.
    pub(crate) fn move_line(&self) {
        self.count_passes(&mut self.inbox.lock());
    }

    fn count_passes(&self, inbox: &mut Inbox<T>) {
        inbox.kept_from = self.inbox.count() + PUTS_PAST_LINE;
        inbox.limit = inbox.limit.min(inbox.kept_from);
    }

    /// No put waits any more.
    pub(crate) fn end_line(&self) {
        self.inbox.lock().kept_from = u64::MAX;
    }

    /// Whether a place is kept for the line.
    pub(crate) fn keeps_place(&self) -> bool {
        let inbox = self.inbox.lock();
        self.inbox.count() >= inbox.kept_from
    }

    /// Takes the first item into an empty slot. `false` if there is none.
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
        // A box that was once needed and is much too large now goes back to the allocator.
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

    /// After this, either what was put is seen, or whoever puts sees what this thread wrote before.
    pub(crate) fn meet_producers(&self) {
        drop(self.inbox.lock());
    }

    /// After this, either what was taken is seen, or whoever takes sees what this thread wrote before.
    pub(crate) fn meet_consumers(&self) {
        drop(self.outbox.lock());
    }

    /// How many items there are.
    pub(crate) fn len(&self) -> usize {
        loop {
            let taken = self.outbox.count();
            let put = self.inbox.count();
            // Nothing was taken in between, so this is how many there were when `put` was read.
            if self.outbox.count() == taken {
                return (put - taken) as usize;
            }
        }
    }

    /// What `is_empty` says, without a lock; maybe of a moment ago.
    #[inline]
    pub(crate) fn seems_empty(&self) -> bool {
        let taken = self.outbox.count();
        self.inbox.count() == taken
    }

    /// Whether a push is sure to find no room; maybe of a moment ago.
    #[inline]
    pub(crate) fn seems_full(&self) -> bool {
        self.capacity.is_some_and(|capacity| self.len() >= capacity) && !self.is_closed()
    }

    /// Whether it is empty. Who takes from it afterwards sees what this thread wrote before.
    pub(crate) fn is_empty(&self) -> bool {
        let outbox = self.outbox.lock();
        outbox.is_empty() && self.inbox.lock().items.is_empty()
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(SeqCst)
    }

    /// Refuses every item from now on: none is behind an end that its put raced with.
    pub(crate) fn close(&self) {
        let mut inbox = self.inbox.lock();
        inbox.closed = true;
        inbox.limit = self.inbox.count();
        self.closed.store(true, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::{Buffer, KEPT_BYTES, Outgoing};

    const KEPT: usize = KEPT_BYTES / size_of::<usize>();

    fn pass(buffer: &Buffer<usize>, items: usize) {
        (0..items).for_each(|item| buffer.push(&mut Outgoing::Here(item), false, || ()).unwrap());
        let mut popped = None;
        for item in 0..items {
            assert!(buffer.pop(&mut popped));
            assert_eq!(popped.take(), Some(item));
        }
        assert!(!buffer.pop(&mut popped));
    }

    /// For how many items there is memory.
    fn memory(buffer: &Buffer<usize>) -> usize {
        buffer.inbox.lock().items.capacity() + buffer.outbox.lock().capacity()
    }

    #[test]
    fn memory_that_is_needed_no_more_is_given_back() {
        let buffer = Buffer::new(None);
        pass(&buffer, 100 * KEPT);
        assert!(memory(&buffer) >= 100 * KEPT);
        pass(&buffer, 1);
        assert!(memory(&buffer) <= 2 * KEPT);
    }

    #[test]
    fn memory_that_is_needed_again_is_kept() {
        let buffer = Buffer::new(None);
        pass(&buffer, 10 * KEPT);
        pass(&buffer, 10 * KEPT);
        assert!(memory(&buffer) >= 2 * 10 * KEPT, "both boxes are in use");
    }
}
