//! Storage: the ring, what went past its capacity, and what came back.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::mem::size_of;

use concurrent_queue::{PopError, PushError};

use super::ids::ConsumerId;
use crate::sync::ConcurrentQueue;
use crate::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Items above this size are boxed: the unbounded store builds blocks of 31 items on the stack.
const INLINE_BYTES: usize = 1024;
/// Capacities above this many bytes are counted instead of allocated ahead.
const EAGER_BYTES: usize = 1 << 20;

/// The lock-free store of items that nobody has been handed yet.
///
/// Once closed it refuses every push, so that no put can strand an item behind an end that it
/// raced with.
#[derive(Debug)]
pub(crate) struct Ring<T> {
    cells: Cells<T>,
    capacity: Option<usize>,
    /// Items in the store, kept only where the store itself has no bound but the queue has.
    count: Option<AtomicUsize>,
}

#[derive(Debug)]
enum Cells<T> {
    Inline(ConcurrentQueue<T>),
    Boxed(ConcurrentQueue<Box<T>>),
}

impl<T> Ring<T> {
    pub(crate) fn new(capacity: Option<usize>) -> Self {
        let boxed = size_of::<T>() > INLINE_BYTES;
        let cell = size_of::<usize>() + if boxed { size_of::<usize>() } else { size_of::<T>() };
        let eager = capacity.filter(|cap| cap.saturating_mul(cell) <= EAGER_BYTES);
        Self {
            cells: match (boxed, eager) {
                (false, Some(cap)) => Cells::Inline(ConcurrentQueue::bounded(cap)),
                (false, None) => Cells::Inline(ConcurrentQueue::unbounded()),
                (true, Some(cap)) => Cells::Boxed(ConcurrentQueue::bounded(cap)),
                (true, None) => Cells::Boxed(ConcurrentQueue::unbounded()),
            },
            capacity,
            count: (capacity.is_some() && eager.is_none()).then(|| AtomicUsize::new(0)),
        }
    }

    pub(crate) fn capacity(&self) -> Option<usize> {
        self.capacity
    }

    #[inline]
    pub(crate) fn push(&self, item: T) -> Result<(), PushError<T>> {
        let (Some(count), Some(capacity)) = (&self.count, self.capacity) else {
            return self.cells.push(item);
        };
        // Room is claimed before the push and given back after the pop: never over capacity.
        if count.fetch_update(SeqCst, SeqCst, |n| (n < capacity).then_some(n + 1)).is_err() {
            return match self.cells.is_closed() {
                true => Err(PushError::Closed(item)),
                false => Err(PushError::Full(item)),
            };
        }
        let pushed = self.cells.push(item);
        if pushed.is_err() {
            count.fetch_sub(1, SeqCst);
        }
        pushed
    }

    #[inline]
    pub(crate) fn pop(&self) -> Option<T> {
        let item = self.cells.pop().ok()?;
        if let Some(count) = &self.count {
            count.fetch_sub(1, SeqCst);
        }
        Some(item)
    }

    pub(crate) fn len(&self) -> usize {
        match &self.cells {
            Cells::Inline(cells) => cells.len(),
            Cells::Boxed(cells) => cells.len(),
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        match &self.cells {
            Cells::Inline(cells) => cells.is_empty(),
            Cells::Boxed(cells) => cells.is_empty(),
        }
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.cells.is_closed()
    }

    pub(crate) fn close(&self) {
        match &self.cells {
            Cells::Inline(cells) => cells.close(),
            Cells::Boxed(cells) => cells.close(),
        };
    }
}

impl<T> Cells<T> {
    #[inline]
    fn push(&self, item: T) -> Result<(), PushError<T>> {
        match self {
            Cells::Inline(cells) => cells.push(item),
            Cells::Boxed(cells) => cells.push(Box::new(item)).map_err(|error| match error {
                PushError::Full(item) => PushError::Full(*item),
                PushError::Closed(item) => PushError::Closed(*item),
            }),
        }
    }

    #[inline]
    fn pop(&self) -> Result<T, PopError> {
        match self {
            Cells::Inline(cells) => cells.pop(),
            Cells::Boxed(cells) => cells.pop().map(|item| *item),
        }
    }

    #[inline]
    fn is_closed(&self) -> bool {
        match self {
            Cells::Inline(cells) => cells.is_closed(),
            Cells::Boxed(cells) => cells.is_closed(),
        }
    }
}

/// Items past the ring's capacity: put through leases, and through permits that lost their room.
///
/// Their place among the items of the ring is kept by counting, under the lock, what was pushed to
/// the ring after them. An item here is next when the ring holds no more than that.
#[derive(Debug)]
pub(crate) struct Side<T> {
    items: VecDeque<SideItem<T>>,
    producer_items: usize,
    /// Pushed to the ring after the first item here.
    behind: usize,
}

#[derive(Debug)]
struct SideItem<T> {
    item: T,
    origin: Origin,
    /// Pushed to the ring after this item and before the next one here.
    behind: usize,
}

/// Who put an item: only producers' items count against the capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Producer,
    Lease,
}

impl<T> Side<T> {
    pub(crate) fn new() -> Self {
        Self { items: VecDeque::new(), producer_items: 0, behind: 0 }
    }

    #[inline]
    pub(crate) fn push(&mut self, item: T, origin: Origin) {
        self.producer_items += usize::from(origin == Origin::Producer);
        self.items.push_back(SideItem { item, origin, behind: 0 });
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<(T, Origin)> {
        let first = self.items.pop_front()?;
        self.producer_items -= usize::from(first.origin == Origin::Producer);
        self.behind -= first.behind;
        Some((first.item, first.origin))
    }

    /// An item was pushed to the ring.
    pub(crate) fn count_behind(&mut self) {
        if let Some(last) = self.items.back_mut() {
            last.behind += 1;
            self.behind += 1;
        }
    }

    /// How many items of the ring come after the first item here.
    pub(crate) fn behind(&self) -> usize {
        self.behind
    }

    pub(crate) fn producer_items(&self) -> usize {
        self.producer_items
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

/// An item whose lease ended unsettled.
#[derive(Debug)]
pub(crate) struct ReturnedItem<T> {
    pub(crate) item: T,
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
