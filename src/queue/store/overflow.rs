//! What is buffered past the capacity.

use std::collections::VecDeque;

use crate::queue::store::moves::Outgoing;

/// Items past the buffer's capacity: put through leases, and through permits that lost their room.
///
/// Their place among the items of the buffer is kept by counting, under the lock, what was pushed to
/// the buffer after them. An item here is next when the buffer holds no more than that.
#[derive(Debug)]
pub(crate) struct Side<T> {
    items: VecDeque<SideItem<T>>,
    producer_items: usize,
    /// Pushed to the buffer after the first item here.
    behind: usize,
}

#[derive(Debug)]
struct SideItem<T> {
    item: T,
    origin: Origin,
    /// Pushed to the buffer after this item and before the next one here.
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
    pub(crate) fn push(&mut self, put: &mut Outgoing<T>, origin: Origin) {
        self.producer_items += usize::from(origin == Origin::Producer);
        self.items.push_back(SideItem { item: put.take(), origin, behind: 0 });
    }

    /// Takes the first item into a slot, and says who put it.
    #[inline]
    pub(crate) fn pop(&mut self, slot: &mut Option<T>) -> Option<Origin> {
        let first = self.items.pop_front()?;
        self.producer_items -= usize::from(first.origin == Origin::Producer);
        self.behind -= first.behind;
        *slot = Some(first.item);
        Some(first.origin)
    }

    /// An item was pushed to the buffer.
    pub(crate) fn count_behind(&mut self) {
        if let Some(last) = self.items.back_mut() {
            last.behind += 1;
            self.behind += 1;
        }
    }

    /// How many items of the buffer come after the first item here.
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
