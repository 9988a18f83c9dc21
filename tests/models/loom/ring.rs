//! A plain stand-in for the library's ring, whose atomics loom cannot see.
//!
//! One word says how many items were pushed, how many popped, and whether it is closed. Every push
//! and pop is a sequentially consistent change of that word, and a look is a load of it, as they are
//! changes of the tail and the head in the library. The load may be out of date where the memory
//! model allows it. The items themselves are moved in the same step, out of loom's sight; that they
//! are handed over safely is the library's affair.
//!
//! A library's ring of one item looks full for as long as a pop holds its only cell, so here it does, too.
//! The library lets go of the cell by a release, which no machine reorders with a later sequentially
//! consistent load (`src/queue/transfer.rs`); loom would, so here it is more than a release.

use std::collections::VecDeque;
use std::sync::Mutex;

use concurrent_queue::{PopError, PushError};

use crate::sync::atomic::{AtomicUsize, Ordering::SeqCst};

const CLOSED: usize = 1;
const POPPED: usize = 1 << 1;
const PUSHED: usize = 1 << 16;
/// A pop holds the only cell.
const HELD: usize = 1 << 15;

#[derive(Debug)]
pub(crate) struct ConcurrentQueue<T> {
    word: AtomicUsize,
    items: Mutex<VecDeque<T>>,
    capacity: Option<usize>,
}

fn len(word: usize) -> usize {
    word / PUSHED - word % HELD / POPPED
}

impl<T> ConcurrentQueue<T> {
    pub(crate) fn bounded(capacity: usize) -> Self {
        Self { capacity: Some(capacity), ..Self::unbounded() }
    }

    pub(crate) fn unbounded() -> Self {
        Self { word: AtomicUsize::new(0), items: Mutex::default(), capacity: None }
    }

    fn items(&self) -> std::sync::MutexGuard<'_, VecDeque<T>> {
        self.items.lock().expect("no step panics")
    }

    pub(crate) fn push(&self, item: T) -> Result<(), PushError<T>> {
        let has_room = |word| word & HELD == 0 && self.capacity.is_none_or(|capacity| len(word) < capacity);
        let open = |word: usize| word & CLOSED == 0;
        match self.word.fetch_update(SeqCst, SeqCst, |word| (open(word) && has_room(word)).then_some(word + PUSHED)) {
            Ok(_) => {
                self.items().push_back(item);
                Ok(())
            }
            Err(word) if open(word) => Err(PushError::Full(item)),
            Err(_) => Err(PushError::Closed(item)),
        }
    }

    pub(crate) fn pop(&self) -> Result<T, PopError> {
        let held = if self.capacity == Some(1) { HELD } else { 0 };
        match self.word.fetch_update(SeqCst, SeqCst, |word| (len(word) > 0).then_some((word + POPPED) | held)) {
            Ok(_) => {
                let item = self.items().pop_front().expect("the word counts the items");
                if held != 0 {
                    self.word.fetch_and(!held, SeqCst);
                }
                Ok(item)
            }
            Err(_) => Err(PopError::Empty),
        }
    }

    pub(crate) fn len(&self) -> usize {
        len(self.word.load(SeqCst))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.word.load(SeqCst) & CLOSED != 0
    }

    pub(crate) fn close(&self) -> bool {
        self.word.fetch_or(CLOSED, SeqCst) & CLOSED == 0
    }
}
