//! The dead letters that a queue keeps while no reader is open.

use std::collections::BTreeMap;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use super::dead_letters::DeadLetter;

/// The ids of some letters.
pub(crate) type Ids = (Bound<u64>, Bound<u64>);

/// The last dead letters, by id, so oldest first.
pub(crate) struct KeptLetters<T> {
    most: usize,
    last_id: u64,
    letters: BTreeMap<u64, KeptLetter<T>>,
}

/// A letter, and its item beside it: a list needs only the one, a retry only the other.
pub(crate) struct KeptLetter<T> {
    about: Arc<DeadLetter<()>>,
    /// Boxed, as letters are moved about.
    pub(crate) item: Box<T>,
}

impl<T> KeptLetter<T> {
    pub(crate) fn new(letter: DeadLetter<T>) -> Self {
        let (about, item) = letter.with_item(());
        Self { about: Arc::new(about), item: Box::new(item) }
    }

    pub(crate) fn into_letter(self) -> DeadLetter<T> {
        Arc::unwrap_or_clone(self.about).with_item(*self.item).0
    }
}

impl<T> KeptLetters<T> {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, last_id: 0, letters: BTreeMap::new() }
    }

    /// Returns the id of the next letter.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(crate) fn most(&self) -> usize {
        self.most
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }

    /// Keeps a letter. It gets a new id if another one has its id: a reader may have changed it, or put a copy through a lease.
    pub(crate) fn keep(&mut self, mut letter: KeptLetter<T>) {
        while self.letters.contains_key(&letter.about.id) {
            Arc::make_mut(&mut letter.about).id = self.next_id();
        }
        self.letters.insert(letter.about.id, letter);
    }

    /// Removes the oldest letters beyond those that are kept.
    pub(crate) fn push_out(&mut self, pushed_out: &mut Vec<Box<T>>) {
        while self.letters.len() > self.most {
            pushed_out.extend(self.letters.pop_first().map(|(_, kept)| kept.item));
        }
    }

    pub(crate) fn list(&self) -> Vec<Arc<DeadLetter<()>>> {
        self.letters.values().map(|kept| Arc::clone(&kept.about)).collect()
    }

    /// Takes all letters.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = KeptLetter<T>> + use<T> {
        std::mem::take(&mut self.letters).into_values()
    }

    /// Takes the items of the letters with these ids.
    pub(crate) fn take_items(&mut self, ids: Ids) -> impl Iterator<Item = (u64, Box<T>)> + use<T> {
        let (taken, left) = std::mem::take(&mut self.letters).into_iter().partition(|(id, _)| ids.contains(id));
        self.letters = left;
        let taken: BTreeMap<u64, KeptLetter<T>> = taken;
        taken.into_iter().map(|(id, kept)| (id, kept.item))
    }
}
