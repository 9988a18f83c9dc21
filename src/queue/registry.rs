//! Endpoints by id: who they are, and their counters.
//!
//! Counters are written on the data plane, each on a cache line of its own owner, and added up
//! under the lock. Each producer *handle* has a row, so that clones on several threads do not
//! share a counter; each consumer has one.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU64,
    Ordering::{Relaxed, Release, SeqCst},
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use crossbeam_utils::CachePadded;
use futures::task::AtomicWaker;

use super::clock::Ticks;
use super::turns::Turns;

/// Names a consumer of one queue, in snapshots and for `Unregister`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ConsumerId(pub(crate) u64);

impl fmt::Display for ConsumerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "consumer-{}", self.0)
    }
}

/// Names a producer endpoint of one queue; its clones share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ProducerId(pub(crate) u64);

impl fmt::Display for ProducerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "producer-{}", self.0)
    }
}

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
struct FoldedPuts {
    puts: u64,
    last_put: LastPut,
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
    fn or_later(self, other: Self) -> Self {
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
    /// `None` if the endpoint was closed from outside. A put holds this while it pushes: the watch
    /// closes the endpoint either before, and the put is refused, or after, and the put was made
    /// before the close (A3, C2).
    pub(crate) fn hold_open(&self) -> Option<HeldOpen<'_>> {
        let Some(open) = &self.open else { return Some(None) };
        let open = open.read().unwrap_or_else(PoisonError::into_inner);
        open.then_some(Some(open))
    }

    fn folded(&self) -> MutexGuard<'_, FoldedPuts> {
        self.folded.lock().unwrap_or_else(PoisonError::into_inner)
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
pub(crate) struct ProducerRow {
    pub(crate) endpoint: Arc<ProducerEndpoint>,
    pub(crate) turns: Turns,
    counters: CachePadded<PutCounters>,
}

#[derive(Debug, Default)]
struct PutCounters {
    puts: AtomicU64,
    /// How many puts there were at the time of `stamp`.
    stamped_puts: AtomicU64,
    stamp: AtomicU64,
}

impl ProducerRow {
    pub(crate) fn new(endpoint: Arc<ProducerEndpoint>) -> Self {
        Self { endpoint, turns: Turns::default(), counters: CachePadded::default() }
    }

    pub(crate) fn count_put(&self) {
        self.counters.puts.fetch_add(1, Relaxed);
    }

    pub(crate) fn puts(&self) -> u64 {
        self.counters.puts.load(Relaxed)
    }

    /// Notes the time of the last put. Called where a put took the slow path anyway.
    pub(crate) fn stamp_put(&self, now: Ticks) {
        self.counters.stamped_puts.store(self.puts(), Relaxed);
        self.counters.stamp.store(now.0, Relaxed);
    }

    fn last_put(&self) -> LastPut {
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
/// `claimed` and `settled` carry the decision that the queue is drained; see `lifecycle.rs`.
#[derive(Debug)]
pub(crate) struct ConsumerRow {
    pub(crate) id: ConsumerId,
    pub(crate) name: Arc<str>,
    own: CachePadded<OwnCounters>,
    shared: CachePadded<SharedCounters>,
    /// Woken by each settle while `WATCHED`.
    on_settle: AtomicWaker,
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
    /// Closed from outside, while somebody may still hold the consumer.
    shut: AtomicBool,
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

impl ConsumerRow {
    fn new(id: ConsumerId, name: Arc<str>) -> Self {
        Self { id, name, own: CachePadded::default(), shared: CachePadded::default(), on_settle: AtomicWaker::new() }
    }

    /// Publishes a lease before the buffer is asked for its item. Returns its number.
    pub(crate) fn claim(&self) -> u64 {
        let sequence = self.own.claimed.load(Relaxed) + 1;
        self.own.claimed.store(sequence, Release);
        sequence
    }

    /// Ends a claim for which there was no item.
    pub(crate) fn claim_failed(&self) {
        self.own.failed.fetch_add(1, SeqCst);
    }

    pub(crate) fn shut(&self) {
        self.own.shut.store(true, SeqCst);
    }

    pub(crate) fn is_shut(&self) -> bool {
        self.own.shut.load(Relaxed)
    }

    pub(crate) fn stamp_lease(&self, now: Ticks) {
        self.own.last_lease.store(now.0, Relaxed);
    }

    pub(crate) fn last_lease(&self) -> Ticks {
        Ticks(self.own.last_lease.load(Relaxed))
    }

    pub(crate) fn count_taken(&self) {
        self.own.taken.store(self.own.taken.load(Relaxed) + 1, Relaxed);
    }

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
    pub(crate) fn settle(&self) -> bool {
        self.shared.settled.fetch_add(1, SeqCst);
        let after = self.shared.after_settle.load(SeqCst);
        if after & WATCHED != 0 {
            self.on_settle.wake();
        }
        after & CLOSED != 0
    }

    /// Claims that have come to an end.
    pub(crate) fn settled(&self) -> u64 {
        self.shared.settled.load(SeqCst) + self.own.failed.load(SeqCst)
    }

    pub(crate) fn claimed(&self) -> u64 {
        self.own.claimed.load(SeqCst)
    }

    /// Items handed out and not settled. Exact for the consumer itself.
    pub(crate) fn in_flight(&self) -> u64 {
        // `settled` first: it never passes `claimed`.
        let settled = self.settled();
        self.claimed().saturating_sub(settled)
    }

    /// Has `waker` woken by later settles. The caller looks at `in_flight` again afterwards: a
    /// settle either is counted by then or sees the flag.
    pub(crate) fn watch_settle(&self, waker: &std::task::Waker) {
        self.on_settle.register(waker);
        self.shared.after_settle.fetch_or(WATCHED, SeqCst);
    }

    /// Whether this is the first time that this consumer is to be warned about.
    pub(crate) fn first_warning(&self) -> bool {
        !self.shared.warned.swap(true, Relaxed)
    }

    pub(crate) fn taken(&self) -> u64 {
        self.own.taken.load(Relaxed) + self.shared.converted.load(Relaxed)
    }

    /// A lease that ended in no other way was acked, so an ack needs no counter of its own.
    pub(crate) fn acked(&self) -> u64 {
        let others = self.shared.converted.load(Relaxed) + self.shared.unacked.load(Relaxed);
        self.shared.settled.load(SeqCst).saturating_sub(others)
    }

    fn children(&self) -> u64 {
        self.shared.children.load(Relaxed)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.shared.after_settle.load(SeqCst) & CLOSED != 0
    }
}

/// What closed endpoints leave behind.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Folded {
    pub(crate) accepted: u64,
    pub(crate) acked: u64,
    pub(crate) taken: u64,
}

/// All endpoints that are open, and consumers that still hold items.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    last_producer: u64,
    last_handle: u64,
    last_consumer: u64,
    /// By endpoint, then by handle: the handles of one endpoint stand together.
    producers: BTreeMap<HandleKey, Arc<ProducerRow>>,
    consumers: BTreeMap<ConsumerId, Arc<ConsumerRow>>,
    open_consumers: usize,
    /// Who was busy when somebody looked last.
    busy: ConsumerId,
    folded: Folded,
}

/// Finds one producer handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HandleKey(ProducerId, u64);

impl Registry {
    pub(crate) fn open_producer(&mut self, name: Option<Arc<str>>, watched: bool) -> (HandleKey, Arc<ProducerRow>) {
        self.last_producer += 1;
        let id = ProducerId(self.last_producer);
        self.add_handle(Arc::new(ProducerEndpoint {
            id,
            name: name.unwrap_or_else(|| id.to_string().into()),
            folded: Mutex::default(),
            open: watched.then(|| RwLock::new(true)),
        }))
    }

    pub(crate) fn add_handle(&mut self, endpoint: Arc<ProducerEndpoint>) -> (HandleKey, Arc<ProducerRow>) {
        self.last_handle += 1;
        let key = HandleKey(endpoint.id, self.last_handle);
        let row = Arc::new(ProducerRow::new(endpoint));
        self.producers.insert(key, Arc::clone(&row));
        (key, row)
    }

    /// Whether the handle was still open.
    pub(crate) fn remove_handle(&mut self, key: HandleKey) -> bool {
        let Some(row) = self.producers.remove(&key) else { return false };
        let mut folded = row.endpoint.folded();
        folded.puts += row.puts();
        folded.last_put = folded.last_put.or_later(row.last_put());
        self.folded.accepted += row.puts();
        true
    }

    /// Closes all handles of one endpoint.
    pub(crate) fn remove_producer(&mut self, id: ProducerId) {
        let keys: Vec<_> =
            self.producers.range(HandleKey(id, 0)..=HandleKey(id, u64::MAX)).map(|(key, _)| *key).collect();
        for key in keys {
            self.remove_handle(key);
        }
    }

    pub(crate) fn producer_is_open(&self, id: ProducerId) -> bool {
        self.producers.range(HandleKey(id, 0)..=HandleKey(id, u64::MAX)).next().is_some()
    }

    pub(crate) fn no_producer_open(&self) -> bool {
        self.producers.is_empty()
    }

    pub(crate) fn open_consumer(&mut self, name: Option<Arc<str>>) -> Arc<ConsumerRow> {
        self.last_consumer += 1;
        let id = ConsumerId(self.last_consumer);
        let row = Arc::new(ConsumerRow::new(id, name.unwrap_or_else(|| id.to_string().into())));
        self.consumers.insert(id, Arc::clone(&row));
        self.open_consumers += 1;
        row
    }

    /// The consumer has gone. Its row stays until all it held is settled. Idempotent.
    pub(crate) fn close_consumer(&mut self, row: &ConsumerRow) {
        // Flag, then look: a settle that this look does not count sees the flag and comes here.
        if row.shared.after_settle.fetch_or(CLOSED, SeqCst) & CLOSED == 0 {
            self.open_consumers -= 1;
            self.fold_consumer(row);
        }
    }

    /// Removes the row of a consumer that has gone and holds nothing.
    pub(crate) fn fold_consumer(&mut self, row: &ConsumerRow) {
        if row.in_flight() == 0 && self.consumers.remove(&row.id).is_some() {
            self.folded.accepted += row.children();
            self.folded.acked += row.acked();
            self.folded.taken += row.taken();
        }
    }

    pub(crate) fn no_consumer_open(&self) -> bool {
        self.open_consumers == 0
    }

    /// Whether some consumer has a claim that is not settled. Starts with the one that had last
    /// time, so that a long end does not go through all consumers at every settle.
    pub(crate) fn somebody_is_busy(&mut self) -> bool {
        let mut around = self.consumers.range(self.busy..).chain(self.consumers.range(..self.busy));
        let found = around.find(|(_, row)| row.in_flight() > 0).map(|(id, _)| *id);
        self.busy = found.unwrap_or(self.busy);
        found.is_some()
    }

    pub(crate) fn consumers(&self) -> impl Iterator<Item = &ConsumerRow> {
        self.consumers.values().map(|row| &**row)
    }

    /// Open producer endpoints: the first of their rows, the number of handles, all their puts.
    pub(crate) fn producers(&self) -> Vec<OpenProducerRow<'_>> {
        let mut open: Vec<OpenProducerRow<'_>> = Vec::new();
        for row in self.producers.values() {
            match open.last_mut() {
                Some(same) if same.endpoint.id == row.endpoint.id => {
                    same.handles += 1;
                    same.puts += row.puts();
                    same.last_put = same.last_put.or_later(row.last_put());
                }
                _ => {
                    let folded = *row.endpoint.folded();
                    open.push(OpenProducerRow {
                        endpoint: &row.endpoint,
                        handles: 1,
                        puts: row.puts() + folded.puts,
                        last_put: folded.last_put.or_later(row.last_put()),
                    });
                }
            }
        }
        open
    }

    pub(crate) fn sums(&self) -> Folded {
        let mut sums = self.folded;
        for row in self.producers.values() {
            sums.accepted += row.puts();
        }
        for row in self.consumers.values() {
            sums.accepted += row.children();
            sums.acked += row.acked();
            sums.taken += row.taken();
        }
        sums
    }
}

/// An open producer as a snapshot shows it.
#[derive(Debug)]
pub(crate) struct OpenProducerRow<'a> {
    pub(crate) endpoint: &'a ProducerEndpoint,
    pub(crate) handles: usize,
    pub(crate) puts: u64,
    pub(crate) last_put: LastPut,
}
