//! Delayed items: they were given back, and wait before they come back.

use std::collections::BTreeMap;

use crate::queue::report::clock::Ticks;
use crate::queue::store::returned::ReturnedItem;

/// Delayed items, by the time at which they are due.
#[derive(Debug)]
pub(crate) struct Delayed<T> {
    items: BTreeMap<(Ticks, u64), ReturnedItem<T>>,
    /// Counts all items that were ever delayed, to tell apart those that are due together.
    count: u64,
}

impl<T> Delayed<T> {
    pub(crate) fn new() -> Self {
        Self { items: BTreeMap::new(), count: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Adds an item. Returns whether it is due before all others.
    pub(crate) fn insert(&mut self, due: Ticks, returned: ReturnedItem<T>) -> bool {
        let earliest = self.first_due().is_none_or(|first| due < first);
        self.count += 1;
        self.items.insert((due, self.count), returned);
        earliest
    }

    /// Returns when the first item is due.
    pub(crate) fn first_due(&self) -> Option<Ticks> {
        self.items.first_key_value().map(|((due, _), _)| *due)
    }

    pub(crate) fn pop_due(&mut self, now: Ticks) -> Option<ReturnedItem<T>> {
        let first = self.items.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// Takes all items, in the order in which they were given back.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = ReturnedItem<T>> + use<T> {
        let mut items: Vec<_> = std::mem::take(&mut self.items).into_iter().collect();
        items.sort_unstable_by_key(|((_, number), _)| *number);
        items.into_iter().map(|(_, item)| item)
    }
}
