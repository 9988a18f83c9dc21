//! What came back.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::queue::ids::ConsumerId;

/// An item whose lease ended unsettled.
#[derive(Debug)]
pub(crate) struct ReturnedItem<T> {
    /// Boxed, as it is moved about while it waits.
    pub(crate) item: Box<T>,
    /// How many attempts count against it so far.
    pub(crate) attempts: u32,
    pub(crate) consumer: ConsumerId,
    /// The consumer's own count of leases when it was handed out.
    pub(crate) sequence: u64,
}

/// Items that came back: those of one consumer in the order in which it was handed them, and the
/// consumers in turn, so that none of them starves the others.
///
/// A consumer leaves what it gave back itself to others, as long as one of them was woken for it:
/// that is the promise. It holds until that one has had its look, whatever came of it: it then has
/// an item, or passed its wake-up on, or found only items of its own here. And it does not hold for
/// ever, for whoever was woken may be kept from looking: it ends when givers have looked in vain
/// [`PATIENCE`] times. So nothing is left to nobody.
#[derive(Debug)]
pub(crate) struct Returned<T> {
    /// By the consumer's count of leases. Never empty.
    by_consumer: HashMap<ConsumerId, BTreeMap<u64, ReturnedItem<T>>>,
    /// The consumers of the map, the next one first.
    turns: VecDeque<ConsumerId>,
    len: usize,
    /// Who was woken and has not looked yet.
    promised: Vec<ConsumerId>,
    /// How many more looks of givers the promises outlast.
    patience: u32,
}

/// About as long as it takes to wake a thread. A giver that waits looks again and again meanwhile.
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

    /// The next item that is not one that `taker` gave back.
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

    /// Whether `taker` is to leave its items to somebody else. Asking costs patience.
    pub(crate) fn is_promised_to_another(&mut self, taker: ConsumerId) -> bool {
        // Nobody waits for the look that it is about to have itself.
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
