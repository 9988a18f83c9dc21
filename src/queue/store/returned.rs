//! Items that came back.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::queue::ids::ConsumerId;
use crate::queue::lease::dead_letters::FailedAttempt;

/// An item whose lease ended unsettled.
#[derive(Debug)]
pub(crate) struct ReturnedItem<T> {
    /// Boxed, as the maps below move it about.
    pub(crate) item: Box<T>,
    /// How many attempts count against it so far.
    pub(crate) attempts: u32,
    /// What its attempts failed of.
    pub(crate) history: Vec<FailedAttempt>,
    pub(crate) consumer: ConsumerId,
    /// The consumer's own count of leases when it was handed out.
    pub(crate) sequence: u64,
}

/// Items that came back: those of one consumer in the order in which it was handed them, and the consumers in turn, so that
/// none starves the others.
///
/// A consumer, the *giver*, leaves the items that it gave back to another consumer that was woken for them: the items are
/// *promised* to that one. A promise ends when that consumer has looked: it then has an item, or passed its wake-up on, or
/// found only items that it gave back itself. A promise also ends after givers have looked [`PATIENCE`] times, as a woken
/// consumer may never be polled again. So no item is stranded.
#[derive(Debug)]
pub(crate) struct Returned<T> {
    /// By the consumer's count of leases. Never empty.
    by_consumer: HashMap<ConsumerId, BTreeMap<u64, ReturnedItem<T>>>,
    /// The consumers of the map, in turn.
    turns: VecDeque<ConsumerId>,
    len: usize,
    /// The consumers that were woken and have not looked yet.
    promised: Vec<ConsumerId>,
    /// How many more looks of givers end the promises.
    patience: u32,
}

/// About as many looks as a waiting giver takes while a thread is woken.
const PATIENCE: u32 = 256;

impl<T> Returned<T> {
    pub(crate) fn new() -> Self {
        Self { by_consumer: HashMap::new(), turns: VecDeque::new(), len: 0, promised: Vec::new(), patience: 0 }
    }

    pub(crate) fn insert(&mut self, returned: ReturnedItem<T>) {
        let items = self.by_consumer.entry(returned.consumer).or_insert_with(|| {
            self.turns.push_back(returned.consumer);
            BTreeMap::new()
        });
        items.insert(returned.sequence, returned);
        self.len += 1;
    }

    pub(crate) fn pop(&mut self) -> Option<ReturnedItem<T>> {
        self.pop_turn(0)
    }

    /// Takes the next item that `taker` did not give back itself.
    pub(crate) fn pop_other(&mut self, taker: ConsumerId) -> Option<ReturnedItem<T>> {
        self.pop_turn(usize::from(self.turns.front() == Some(&taker)))
    }

    fn pop_turn(&mut self, turn: usize) -> Option<ReturnedItem<T>> {
        let consumer = self.turns.remove(turn)?;
        let items = self.by_consumer.get_mut(&consumer)?;
        let (_, returned) = items.pop_first()?;
        if items.is_empty() {
            self.by_consumer.remove(&consumer);
        } else {
            self.turns.push_back(consumer);
        }
        self.len -= 1;
        if self.len == 0 {
            self.end_promises();
        }
        Some(returned)
    }

    pub(crate) fn promise(&mut self, to: ConsumerId) {
        self.promised.push(to);
        self.patience = PATIENCE;
    }

    pub(crate) fn end_promise(&mut self, to: Option<ConsumerId>) {
        self.promised.retain(|promised| Some(*promised) != to);
    }

    pub(crate) fn end_promises(&mut self) {
        self.promised.clear();
    }

    /// Returns whether `taker` leaves its items to a consumer that was woken for them. Each call uses up some patience.
    pub(crate) fn is_promised_to_another(&mut self, taker: ConsumerId) -> bool {
        // A promise to the taker itself does not count: it is looking now.
        let promised = self.promised.iter().any(|promised| *promised != taker);
        self.patience = self.patience.saturating_sub(u32::from(promised));
        if self.patience == 0 {
            self.end_promises();
        }
        promised && self.patience > 0
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }
}
