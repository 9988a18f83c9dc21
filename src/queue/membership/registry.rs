//! All endpoints that are open, by id.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use crate::queue::ids::{ConsumerId, ProducerId, QueueId};
use crate::queue::membership::consumer_row::ConsumerRow;
use crate::queue::membership::producer_row::{LastPut, ProducerEndpoint, ProducerRow};
use crate::sync::atomic::AtomicBool;

/// The counts of endpoints that are closed.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Folded {
    pub(crate) accepted: u64,
    pub(crate) acked: u64,
    pub(crate) taken: u64,
}

/// The open endpoints, closed consumers that still hold items, and how many handles and pools can open further ones.
#[derive(Debug)]
pub(crate) struct Registry {
    queue: QueueId,
    last_producer: u64,
    last_handle: u64,
    last_consumer: u64,
    /// By endpoint, then by handle: the handles of one endpoint stand together.
    producers: BTreeMap<HandleKey, Arc<ProducerRow>>,
    consumers: BTreeMap<ConsumerId, Arc<ConsumerRow>>,
    open_consumers: usize,
    /// Handles that can open endpoints. Once there is none, there is never one again.
    pub(crate) openers: usize,
    /// Pools' handles, and shutdowns under way: like the handles above, they may ask for what is left after the end.
    pub(crate) keepers: usize,
    /// Pools that run: each can open consumers at any time.
    pub(crate) pools: usize,
    /// The consumer that was found busy last.
    busy: Option<ConsumerId>,
    folded: Folded,
}

/// Finds one producer handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HandleKey(ProducerId, u64);

impl Registry {
    pub(crate) fn new(queue: QueueId) -> Self {
        Self {
            queue,
            last_producer: 0,
            last_handle: 0,
            last_consumer: 0,
            producers: BTreeMap::new(),
            consumers: BTreeMap::new(),
            open_consumers: 0,
            openers: 1,
            keepers: 0,
            pools: 0,
            busy: None,
            folded: Folded::default(),
        }
    }

    pub(crate) fn open_producer(&mut self, name: Option<Arc<str>>, watched: bool) -> (HandleKey, Arc<ProducerRow>) {
        self.last_producer += 1;
        let id = ProducerId { queue: self.queue, number: self.last_producer };
        let name = name.unwrap_or_else(|| id.to_string().into());
        self.add_handle(Arc::new(ProducerEndpoint::new(id, name, watched)))
    }

    pub(crate) fn add_handle(&mut self, endpoint: Arc<ProducerEndpoint>) -> (HandleKey, Arc<ProducerRow>) {
        self.last_handle += 1;
        let key = HandleKey(endpoint.id, self.last_handle);
        let row = Arc::new(ProducerRow::new(endpoint));
        self.producers.insert(key, Arc::clone(&row));
        (key, row)
    }

    /// Takes the wakers of the puts that wait for their turn at a handle.
    pub(crate) fn turn_wakers(&self) -> impl Iterator<Item = Waker> {
        self.producers.values().flat_map(|row| row.turns.wakers())
    }

    /// Closes a handle. Idempotent, as the endpoint may have been closed from outside before.
    pub(crate) fn remove_handle(&mut self, key: HandleKey) {
        let Some(row) = self.producers.remove(&key) else { return };
        let mut folded = row.endpoint.folded();
        folded.puts += row.puts();
        folded.last_put = folded.last_put.or_later(row.last_put());
        self.folded.accepted += row.puts();
    }

    /// Closes all handles of one endpoint. Returns the wakers of the puts that wait for their turn at them.
    pub(crate) fn remove_producer(&mut self, id: ProducerId) -> Vec<Waker> {
        let handles = self.producers.range(HandleKey(id, 0)..=HandleKey(id, u64::MAX));
        let (keys, wakers): (Vec<_>, Vec<_>) = handles.map(|(key, row)| (*key, row.turns.wakers())).unzip();
        for key in keys {
            self.remove_handle(key);
        }
        wakers.into_iter().flatten().collect()
    }

    pub(crate) fn producer_is_open(&self, id: ProducerId) -> bool {
        self.producers.range(HandleKey(id, 0)..=HandleKey(id, u64::MAX)).next().is_some()
    }

    pub(crate) fn no_producer_open(&self) -> bool {
        self.producers.is_empty()
    }

    pub(crate) fn open_consumer(&mut self, name: Option<Arc<str>>) -> Arc<ConsumerRow> {
        self.add_consumer(name, Arc::default())
    }

    /// Adds a consumer that is closed from outside together with those that share `shut`.
    pub(crate) fn add_consumer(&mut self, name: Option<Arc<str>>, shut: Arc<AtomicBool>) -> Arc<ConsumerRow> {
        self.last_consumer += 1;
        let id = ConsumerId { queue: self.queue, number: self.last_consumer };
        let row = Arc::new(ConsumerRow::new(id, name, shut));
        self.consumers.insert(id, Arc::clone(&row));
        self.open_consumers += 1;
        row
    }

    /// Closes all consumers that were shut from outside.
    pub(crate) fn close_shut_consumers(&mut self) {
        for row in self.consumers.values() {
            if row.is_shut() && row.close_from_outside() {
                self.open_consumers -= 1;
            }
        }
    }

    /// Closes a consumer. Its row stays until all that it held is settled.
    pub(crate) fn close_consumer(&mut self, row: &ConsumerRow) {
        // Flag first, then look: a settle that this look misses sees the flag, and removes the row.
        if row.close() {
            self.open_consumers -= 1;
        }
        self.fold_consumer(row);
    }

    /// Removes the row of a closed consumer that holds nothing.
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

    pub(crate) fn open_consumers(&self) -> usize {
        self.open_consumers
    }

    /// Returns whether some consumer has a claim that is not settled. It starts with the one found last time, so that a
    /// long end does not look at all consumers at every settle.
    pub(crate) fn any_consumer_busy(&mut self) -> bool {
        if self.last_busy().is_some_and(|row| row.in_flight() > 0) {
            return true;
        }
        let found = self.consumers.values().find(|row| row.in_flight() > 0);
        self.busy = found.map(|row| row.id);
        found.is_some()
    }

    /// Returns whether a consumer other than this one has such a claim and will take more: it is open, may take, and is not
    /// stuck. Among many it may miss one: then the giver takes its own item, which is allowed.
    pub(crate) fn another_consumer_works(&self, than: ConsumerId) -> bool {
        let at_work = |row: &Arc<ConsumerRow>| {
            row.id != than && row.in_flight() > 0 && !row.is_closed() && row.is_free() && !row.is_stuck()
        };
        self.last_busy().is_some_and(at_work) || self.consumers.values().take(64).any(at_work)
    }

    fn last_busy(&self) -> Option<&Arc<ConsumerRow>> {
        self.busy.as_ref().and_then(|id| self.consumers.get(id))
    }

    #[cfg(feature = "redis")]
    pub(crate) fn consumer(&self, id: ConsumerId) -> Option<&ConsumerRow> {
        self.consumers.get(&id).map(|row| &**row)
    }

    pub(crate) fn consumers(&self) -> impl Iterator<Item = &ConsumerRow> {
        self.consumers.values().map(|row| &**row)
    }

    /// Lists the open producers, each with the sums over its handles.
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
