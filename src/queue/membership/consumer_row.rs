//! What the queue keeps of a consumer: a row with its counters, and what its pool has told it.
//!
//! The counters are written on the data plane, those of the consumer and those of the threads that settle on cache lines of
//! their own, and added up with the queue's mutex held. What lies between the two groups keeps them a line apart, with less
//! memory than padding takes.

use std::sync::{Arc, OnceLock};
use std::task::Waker;

use crate::queue::effects::quietly;
use crate::queue::ids::ConsumerId;
use crate::queue::report::clock::Ticks;
use crate::sync::AtomicWaker;
use crate::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU64,
    Ordering::{Relaxed, Release, SeqCst},
};

/// One consumer: what it was handed, and what became of that.
///
/// `claimed` and `settled` carry the decision that the queue is drained; see `ending.rs`.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct ConsumerRow {
    own: OwnCounters,
    pub(crate) id: ConsumerId,
    pub(crate) name: Arc<str>,
    /// Set when a consumer is closed from outside, together with its clones.
    pub(crate) shut: Arc<AtomicBool>,
    /// Set by the consumer's pool: `PAUSED`, `LEAVING`, `STUCK`.
    pool_flags: AtomicU8,
    /// The user gave it its name, which is its id otherwise.
    is_named: bool,
    /// Woken by each settle while `WATCHED`, and by every order.
    waker: AtomicWaker,
    /// Woken by each settle while `REFILLED`.
    refiller: OnceLock<Waker>,
    shared: SharedCounters,
    /// How many items it may hold, if its owner has said so.
    limit: AtomicU64,
    /// Keeps `shared` a cache line away from the next allocation.
    _distance: [u64; 3],
}

/// Written by the consumer alone, with plain stores: takes need `&mut Consumer`.
#[derive(Debug, Default)]
struct OwnCounters {
    /// Leases begun; raised before the consumer asks the buffer.
    claimed: AtomicU64,
    /// Claims for which the buffer had no item; they count as settled.
    failed: AtomicU64,
    /// Items taken without a lease.
    taken: AtomicU64,
    last_lease: AtomicU64,
}

/// Written by the threads that settle items.
#[derive(Debug, Default)]
struct SharedCounters {
    settled: AtomicU64,
    /// Leases that ended with `into_inner`.
    converted: AtomicU64,
    /// Leases that ended neither acked nor converted; counted where they went, under the lock.
    unacked: AtomicU64,
    children: AtomicU64,
    after_settle: AtomicU8,
    warned: AtomicBool,
}

/// The consumer was dropped: its last settle removes the row.
const CLOSED: u8 = 1;
/// A task waits for this consumer to settle.
const WATCHED: u8 = 2;
/// Closed from outside. The row stays, as the consumer may be in the middle of a take.
const SHUT: u8 = 4;
/// The queue remembers what an item in the consumer's hands failed of before: settles make it forget.
const REMEMBERED: u8 = 8;
/// A settle has the consumer handed further items.
const REFILLED: u8 = 16;

/// The consumer may take nothing for now.
const PAUSED: u8 = 1;
/// The consumer ends once it has settled what it holds.
const LEAVING: u8 = 2;
/// The consumer has held the same items for too long.
const STUCK: u8 = 4;

impl ConsumerRow {
    /// Creates the row of a consumer, which is called by its id unless it was given a name.
    pub(crate) fn new(id: ConsumerId, name: Option<Arc<str>>, shut: Arc<AtomicBool>) -> Self {
        let is_named = name.is_some();
        Self {
            own: OwnCounters::default(),
            id,
            name: name.unwrap_or_else(|| id.to_string().into()),
            shut,
            pool_flags: AtomicU8::new(0),
            is_named,
            waker: AtomicWaker::new(),
            refiller: OnceLock::new(),
            shared: SharedCounters::default(),
            limit: AtomicU64::new(0),
            _distance: [0; 3],
        }
    }

    /// Returns the name that the user gave it, if any.
    pub(crate) fn given_name(&self) -> Option<&Arc<str>> {
        self.is_named.then_some(&self.name)
    }

    /// Publishes a lease before the consumer asks the buffer for its item. Returns the number of the lease.
    #[inline]
    pub(crate) fn claim(&self) -> u64 {
        let sequence = self.own.claimed.load(Relaxed) + 1;
        self.own.claimed.store(sequence, Release);
        sequence
    }

    /// Ends a claim for which the buffer had no item.
    #[inline]
    pub(crate) fn claim_failed(&self) {
        self.own.failed.fetch_add(1, SeqCst);
    }

    #[inline]
    pub(crate) fn is_shut(&self) -> bool {
        self.shut.load(Relaxed)
    }

    #[inline]
    pub(crate) fn stamp_lease(&self, now: Ticks) {
        self.own.last_lease.store(now.0, Relaxed);
    }

    #[inline]
    pub(crate) fn last_lease(&self) -> Ticks {
        Ticks(self.own.last_lease.load(Relaxed))
    }

    #[inline]
    pub(crate) fn count_taken(&self) {
        self.own.taken.store(self.own.taken.load(Relaxed) + 1, Relaxed);
    }

    #[inline]
    pub(crate) fn count_converted(&self) {
        self.shared.converted.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_unacked(&self) {
        self.shared.unacked.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_child(&self) {
        self.shared.children.fetch_add(1, Relaxed);
    }

    /// Ends a lease, after everything else that it did. Returns whether there is more to do, with the mutex held.
    #[inline]
    pub(crate) fn settle(&self) -> bool {
        self.shared.settled.fetch_add(1, SeqCst);
        let after = self.shared.after_settle.load(SeqCst);
        if after & (WATCHED | REFILLED) != 0 {
            self.wake_after_settle(after);
        }
        after & (CLOSED | REMEMBERED) != 0
    }

    /// Counts the claims that have ended.
    #[inline]
    pub(crate) fn settled(&self) -> u64 {
        self.shared.settled.load(SeqCst) + self.own.failed.load(SeqCst)
    }

    #[inline]
    pub(crate) fn claimed(&self) -> u64 {
        self.own.claimed.load(SeqCst)
    }

    /// Counts the items handed out as leases, including settled ones.
    pub(crate) fn handed(&self) -> u64 {
        self.claimed().saturating_sub(self.own.failed.load(SeqCst))
    }

    /// Counts the items handed out and not settled. Exact if the consumer itself asks.
    #[inline]
    pub(crate) fn in_flight(&self) -> u64 {
        // `settled` first: it never passes `claimed`.
        let settled = self.settled();
        self.claimed().saturating_sub(settled)
    }

    /// Sets how many items it may hold.
    pub(crate) fn limit(&self, limit: u64) {
        self.limit.store(limit, Relaxed);
    }

    /// Returns how many items a waiting consumer could take now: as many as it may hold, from 1 to 1,000.
    #[cfg(feature = "redis")]
    pub(crate) fn room(&self) -> usize {
        self.limit.load(Relaxed).saturating_sub(self.in_flight()).clamp(1, 1_000) as usize
    }

    /// Registers a waker that later settles and orders wake. The caller looks again afterwards: a settle either is
    /// counted by then or sees the flag.
    pub(crate) fn watch(&self, waker: &Waker) {
        self.register(waker);
        self.shared.after_settle.fetch_or(WATCHED, SeqCst);
    }

    /// Registers a waker that later orders wake. The caller looks again afterwards.
    pub(crate) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// Sets what hands the consumer further items, once. It is woken by each settle while that is asked for.
    pub(crate) fn refill_by(&self, refiller: Waker) {
        if self.refiller.set(refiller).is_err() {
            unreachable!("a consumer is served by one task");
        }
    }

    /// Says whether settles wake the task that hands this consumer items. The caller looks again after it asked for that: a
    /// settle either is counted by then or sees the flag.
    pub(crate) fn refill(&self, on: bool) {
        // No other thread changes this flag.
        let is_on = self.shared.after_settle.load(SeqCst) & REFILLED != 0;
        if is_on != on {
            if on {
                self.shared.after_settle.fetch_or(REFILLED, SeqCst);
            } else {
                self.shared.after_settle.fetch_and(!REFILLED, SeqCst);
            }
        }
    }

    #[inline(never)]
    fn wake_after_settle(&self, after: u8) {
        if after & WATCHED != 0 {
            self.wake();
        }
        if after & REFILLED != 0
            && let Some(refiller) = self.refiller.get()
        {
            quietly("the waker of a consumer", || refiller.wake_by_ref());
        }
    }

    fn wake(&self) {
        quietly("the waker of a consumer", || self.waker.wake());
    }

    /// Returns whether no order keeps it from taking.
    #[inline]
    pub(crate) fn is_free(&self) -> bool {
        self.pool_flags.load(Relaxed) & (PAUSED | LEAVING) == 0
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.pool_flags.load(SeqCst) & PAUSED != 0
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.pool_flags.load(SeqCst) & LEAVING != 0
    }

    pub(crate) fn is_stuck(&self) -> bool {
        self.pool_flags.load(SeqCst) & STUCK != 0
    }

    pub(crate) fn pause(&self, paused: bool) {
        self.set_pool_flag(PAUSED, paused);
        self.wake();
    }

    pub(crate) fn leave(&self, leaving: bool) {
        self.set_pool_flag(LEAVING, leaving);
        self.wake();
    }

    pub(crate) fn stuck(&self, stuck: bool) {
        self.set_pool_flag(STUCK, stuck);
    }

    fn set_pool_flag(&self, flag: u8, on: bool) {
        if on {
            self.pool_flags.fetch_or(flag, SeqCst);
        } else {
            self.pool_flags.fetch_and(!flag, SeqCst);
        }
    }

    /// Returns true the first time: each consumer is warned about once.
    pub(crate) fn first_warning(&self) -> bool {
        !self.shared.warned.swap(true, Relaxed)
    }

    pub(crate) fn taken(&self) -> u64 {
        self.own.taken.load(Relaxed) + self.shared.converted.load(Relaxed)
    }

    /// Counts the leases that ended neither acked nor taken.
    pub(crate) fn unacked(&self) -> u64 {
        self.shared.unacked.load(Relaxed)
    }

    /// Counts the acks. A lease that ended in no other way was acked, so acks need no counter of their own.
    pub(crate) fn acked(&self) -> u64 {
        let others = self.shared.converted.load(Relaxed) + self.unacked();
        self.shared.settled.load(SeqCst).saturating_sub(others)
    }

    pub(crate) fn children(&self) -> u64 {
        self.shared.children.load(Relaxed)
    }

    /// Says whether settles find something in the queue's memory of failed attempts. Called with the mutex held.
    pub(crate) fn remembered(&self, on: bool) {
        if on {
            self.shared.after_settle.fetch_or(REMEMBERED, SeqCst);
        } else {
            self.shared.after_settle.fetch_and(!REMEMBERED, SeqCst);
        }
    }

    /// Returns whether the last settle removes the row.
    pub(crate) fn is_dropped(&self) -> bool {
        self.shared.after_settle.load(SeqCst) & CLOSED != 0
    }

    /// Marks the row to be removed by the last settle. Returns whether it was open until now.
    pub(crate) fn close(&self) -> bool {
        self.shared.after_settle.fetch_or(CLOSED, SeqCst) & (CLOSED | SHUT) == 0
    }

    /// Marks the consumer as closed. Returns whether it was open until now.
    pub(crate) fn close_from_outside(&self) -> bool {
        self.shared.after_settle.fetch_or(SHUT, SeqCst) & (CLOSED | SHUT) == 0
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.shared.after_settle.load(SeqCst) & (CLOSED | SHUT) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::QueueId;

    #[test]
    fn the_last_lease_is_the_one_that_was_stamped_last() {
        let id = ConsumerId { queue: QueueId::next(), number: 1 };
        let row = ConsumerRow::new(id, Some("worker".into()), Arc::default());
        row.stamp_lease(Ticks(3));
        row.stamp_lease(Ticks(5));
        assert_eq!(row.last_lease(), Ticks(5));
    }
}
