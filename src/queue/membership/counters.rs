//! One row for each handle: who it is, and its counters.
//!
//! Counters are written on the data plane, each on a cache line of its own owner, and added up
//! under the lock. What lies between two groups of them in a row is there on purpose: it keeps them a
//! line apart, with less memory than if each had a line for itself. Each producer *handle* has a row, so
//! that clones on several threads do not share a counter; each consumer has one.

use std::sync::{Arc, PoisonError};
use std::task::Waker;

use crate::lock::lock;
use crate::queue::effects::quietly;
use crate::queue::ids::{ConsumerId, ProducerId};
use crate::queue::report::clock::Ticks;
use crate::queue::waiting::turns::Turns;
use crate::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU64,
    Ordering::{Relaxed, Release, SeqCst},
};
use crate::sync::{AtomicWaker, Mutex, MutexGuard, RwLock, RwLockReadGuard};

/// What the clones of one producer share.
#[derive(Debug)]
pub(crate) struct ProducerEndpoint {
    pub(crate) id: ProducerId,
    pub(crate) name: Arc<str>,
    /// What handles that are closed by now have done; changed under the lock.
    folded: Mutex<FoldedPuts>,
    /// Only for watched endpoints, which can be closed from outside: whether they are open.
    open: Option<RwLock<bool>>,
}

#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct FoldedPuts {
    pub(crate) puts: u64,
    pub(crate) last_put: LastPut,
}

/// When the last of some puts was made.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) enum LastPut {
    #[default]
    Never,
    At(Ticks),
    /// It went the fast way, past the clock.
    Unknown,
}

impl LastPut {
    pub(crate) fn or_later(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never, either) | (either, Self::Never) => either,
            (Self::At(one), Self::At(other)) => Self::At(one.max(other)),
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
        }
    }

    pub(crate) fn known(self) -> Option<Ticks> {
        match self {
            Self::At(ticks) => Some(ticks),
            Self::Never | Self::Unknown => None,
        }
    }
}

/// Keeps a watched endpoint from being closed from outside while it lives.
pub(crate) type HeldOpen<'a> = Option<RwLockReadGuard<'a, bool>>;

impl ProducerEndpoint {
    pub(crate) fn new(id: ProducerId, name: Arc<str>, watched: bool) -> Self {
        Self { id, name, folded: Mutex::default(), open: watched.then(|| RwLock::new(true)) }
    }

    /// `None` if the endpoint was closed from outside. A put holds this while it pushes: the watch
    /// closes the endpoint either before, and the put is refused, or after, and the put was made
    /// before the close (A3, C2).
    #[inline]
    pub(crate) fn hold_open(&self) -> Option<HeldOpen<'_>> {
        let Some(open) = &self.open else { return Some(None) };
        let open = open.read().unwrap_or_else(PoisonError::into_inner);
        open.then_some(Some(open))
    }

    pub(crate) fn folded(&self) -> MutexGuard<'_, FoldedPuts> {
        lock(&self.folded)
    }

    /// Refuses all further puts, once those under way are through.
    pub(crate) fn shut(&self) {
        if let Some(open) = &self.open {
            *open.write().unwrap_or_else(PoisonError::into_inner) = false;
        }
    }
}

/// One producer handle.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct ProducerRow {
    counters: PutCounters,
    pub(crate) endpoint: Arc<ProducerEndpoint>,
    pub(crate) turns: Turns,
}

#[derive(Debug, Default)]
struct PutCounters {
    /// Written with the lock of the inbox held, or with the queue's mutex if the items are elsewhere: so plain stores.
    puts: AtomicU64,
    /// How many puts there were at the time of `stamp`.
    stamped_puts: AtomicU64,
    stamp: AtomicU64,
}

impl ProducerRow {
    pub(crate) fn new(endpoint: Arc<ProducerEndpoint>) -> Self {
        Self { counters: PutCounters::default(), endpoint, turns: Turns::default() }
    }

    /// Counts a put, under the lock under which it is made.
    #[inline]
    pub(crate) fn count_put(&self) {
        let puts = &self.counters.puts;
        puts.store(puts.load(Relaxed) + 1, Relaxed);
    }

    #[inline]
    pub(crate) fn puts(&self) -> u64 {
        self.counters.puts.load(Relaxed)
    }

    /// Notes the time of the last put. Called where a put took the slow path anyway.
    pub(crate) fn stamp_put(&self, now: Ticks) {
        self.counters.stamped_puts.store(self.puts(), Relaxed);
        self.counters.stamp.store(now.0, Relaxed);
    }

    pub(crate) fn last_put(&self) -> LastPut {
        match self.puts() {
            0 => LastPut::Never,
            puts if puts == self.counters.stamped_puts.load(Relaxed) => {
                LastPut::At(Ticks(self.counters.stamp.load(Relaxed)))
            }
            _ => LastPut::Unknown,
        }
    }
}

/// One consumer: what it was handed and what became of it.
///
/// `claimed` and `settled` carry the decision that the queue is drained; see `ending.rs`.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct ConsumerRow {
    own: OwnCounters,
    pub(crate) id: ConsumerId,
    pub(crate) name: Arc<str>,
    /// Raised from outside, for a consumer and its clones together.
    pub(crate) shut: Arc<AtomicBool>,
    /// Set by the consumer's pool: `PAUSED`, `LEAVING`, `STUCK`.
    pool_flags: AtomicU8,
    /// Woken by each settle while `WATCHED`, and by every order.
    waker: AtomicWaker,
    shared: SharedCounters,
    /// How many items it may hold, if that is said.
    limit: AtomicU64,
    /// To whatever the allocator puts behind this.
    _distance: [u64; 3],
}

/// Written by the consumer alone, with plain stores: takes need `&mut Consumer`.
#[derive(Debug, Default)]
struct OwnCounters {
    /// Leases begun, before the buffer was asked.
    claimed: AtomicU64,
    /// Claims for which the buffer had nothing; they count as settled.
    failed: AtomicU64,
    /// Items taken without a lease.
    taken: AtomicU64,
    last_lease: AtomicU64,
}

/// Written by whoever settles an item.
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

/// The consumer has gone: the last settle removes its row.
const CLOSED: u8 = 1;
/// Somebody waits for this consumer to settle.
const WATCHED: u8 = 2;
/// Closed from outside, while the consumer itself may be in the middle of a take: its row stays.
const SHUT: u8 = 4;

/// It may take nothing for now.
const PAUSED: u8 = 1;
/// It is to end once it has settled what it holds.
const LEAVING: u8 = 2;
/// It has held the same items for suspiciously long.
const STUCK: u8 = 4;

impl ConsumerRow {
    pub(crate) fn new(id: ConsumerId, name: Arc<str>, shut: Arc<AtomicBool>) -> Self {
        Self {
            own: OwnCounters::default(),
            id,
            name,
            shut,
            pool_flags: AtomicU8::new(0),
            waker: AtomicWaker::new(),
            shared: SharedCounters::default(),
            limit: AtomicU64::new(0),
            _distance: [0; 3],
        }
    }

    /// Publishes a lease before the buffer is asked for its item. Returns its number.
    #[inline]
    pub(crate) fn claim(&self) -> u64 {
        let sequence = self.own.claimed.load(Relaxed) + 1;
        self.own.claimed.store(sequence, Release);
        sequence
    }

    /// Ends a claim for which there was no item.
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

    /// Ends a lease, after all that it did. Returns whether the consumer's row may be due for
    /// removal.
    #[inline]
    pub(crate) fn settle(&self) -> bool {
        self.shared.settled.fetch_add(1, SeqCst);
        let after = self.shared.after_settle.load(SeqCst);
        if after & WATCHED != 0 {
            self.wake();
        }
        after & CLOSED != 0
    }

    /// Claims that have come to an end.
    #[inline]
    pub(crate) fn settled(&self) -> u64 {
        self.shared.settled.load(SeqCst) + self.own.failed.load(SeqCst)
    }

    #[inline]
    pub(crate) fn claimed(&self) -> u64 {
        self.own.claimed.load(SeqCst)
    }

    /// Items handed out as leases, settled ones included.
    pub(crate) fn handed(&self) -> u64 {
        self.claimed().saturating_sub(self.own.failed.load(SeqCst))
    }

    /// Items handed out and not settled. Exact for the consumer itself.
    #[inline]
    pub(crate) fn in_flight(&self) -> u64 {
        // `settled` first: it never passes `claimed`.
        let settled = self.settled();
        self.claimed().saturating_sub(settled)
    }

    /// Says how many items it may hold.
    pub(crate) fn limit(&self, limit: u64) {
        self.limit.store(limit, Relaxed);
    }

    /// Returns how many items it waits for while it waits for one: as many as it may hold, within reason.
    #[cfg(feature = "redis")]
    pub(crate) fn room(&self) -> usize {
        self.limit.load(Relaxed).saturating_sub(self.in_flight()).clamp(1, 1_000) as usize
    }

    /// Has `waker` woken by later settles and orders. The caller looks again afterwards: a settle
    /// either is counted by then or sees the flag.
    pub(crate) fn watch(&self, waker: &Waker) {
        self.register(waker);
        self.shared.after_settle.fetch_or(WATCHED, SeqCst);
    }

    /// Has `waker` woken by later orders. The caller looks again afterwards.
    pub(crate) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    fn wake(&self) {
        quietly("the waker of a consumer", || self.waker.wake());
    }

    /// Whether it may take as it likes.
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

    /// Whether this is the first time that this consumer is to be warned about.
    pub(crate) fn first_warning(&self) -> bool {
        !self.shared.warned.swap(true, Relaxed)
    }

    pub(crate) fn taken(&self) -> u64 {
        self.own.taken.load(Relaxed) + self.shared.converted.load(Relaxed)
    }

    /// Leases that ended neither acked nor taken.
    pub(crate) fn unacked(&self) -> u64 {
        self.shared.unacked.load(Relaxed)
    }

    /// A lease that ended in no other way was acked, so an ack needs no counter of its own.
    pub(crate) fn acked(&self) -> u64 {
        let others = self.shared.converted.load(Relaxed) + self.unacked();
        self.shared.settled.load(SeqCst).saturating_sub(others)
    }

    pub(crate) fn children(&self) -> u64 {
        self.shared.children.load(Relaxed)
    }

    /// Has the last settle remove this row. Whether it was open until now.
    pub(crate) fn close(&self) -> bool {
        self.shared.after_settle.fetch_or(CLOSED, SeqCst) & (CLOSED | SHUT) == 0
    }

    /// Counts as closed from now on. Whether it was open until now.
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
    fn when_the_last_put_was_is_known_of_puts_that_looked_at_the_clock() {
        let id = ProducerId { queue: QueueId::next(), number: 1 };
        let row = ProducerRow::new(Arc::new(ProducerEndpoint::new(id, "http".into(), false)));
        assert!(matches!(row.last_put(), LastPut::Never));
        row.count_put();
        assert!(matches!(row.last_put(), LastPut::Unknown));
        row.stamp_put(Ticks(7));
        assert_eq!(row.last_put().known(), Some(Ticks(7)));
        row.count_put();
        assert!(matches!(row.last_put(), LastPut::Unknown));
    }

    #[test]
    fn the_last_put_of_several_handles_is_the_latest_or_unknown() {
        let (early, late) = (LastPut::At(Ticks(1)), LastPut::At(Ticks(2)));
        for (one, other, both) in [
            (early, late, Some(Ticks(2))),
            (late, LastPut::Never, Some(Ticks(2))),
            (late, LastPut::Unknown, None),
            (LastPut::Never, LastPut::Unknown, None),
            (LastPut::Never, LastPut::Never, None),
        ] {
            assert_eq!(one.or_later(other).known(), both);
            assert_eq!(other.or_later(one).known(), both);
        }
        assert!(matches!(LastPut::Never.or_later(LastPut::Unknown), LastPut::Unknown));
    }

    #[test]
    fn the_last_lease_is_the_one_that_was_stamped_last() {
        let id = ConsumerId { queue: crate::queue::QueueId::next(), number: 1 };
        let row = ConsumerRow::new(id, "worker".into(), Arc::default());
        row.stamp_lease(Ticks(3));
        row.stamp_lease(Ticks(5));
        assert_eq!(row.last_lease(), Ticks(5));
    }
}
