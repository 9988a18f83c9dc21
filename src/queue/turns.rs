//! The waiting puts of one handle, in the order in which they were made (D1).
//!
//! Only the first of them stands in the queue's line for room, and later puts of the handle, those
//! that would not have to wait included, line up behind it. Handles do not wait for each other.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::task::{Context, Poll, Waker};

use super::effects::wake;
use crate::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Release},
};
use crate::sync::{Mutex, MutexGuard};

/// A put's place among those of its handle, if it has one.
#[derive(Debug, Default)]
pub(crate) struct Turn(Option<u64>);

impl Turn {
    #[inline]
    pub(crate) fn is_held(&self) -> bool {
        self.0.is_some()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// Whether somebody waits. What one thread does in order is seen in order; puts that overlap
    /// have none.
    busy: AtomicBool,
    line: Mutex<Line>,
}

#[derive(Debug, Default)]
struct Line {
    next: u64,
    /// Everybody who waits; with a waker, if it is not their turn.
    waiting: BTreeMap<u64, Option<Waker>>,
}

impl Turns {
    #[inline]
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Acquire)
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ready when it is this put's turn.
    pub(crate) fn poll(&self, turn: &mut Turn, cx: &Context<'_>) -> Poll<()> {
        let mut waker = Some(cx.waker().clone());
        let (first, replaced) = {
            let mut line = self.line();
            let number = *turn.0.get_or_insert_with(|| {
                line.next += 1;
                line.next
            });
            self.busy.store(true, Release);
            let first = line.waiting.range(..number).next().is_none();
            (first, line.waiting.insert(number, if first { None } else { waker.take() }))
        };
        drop((waker, replaced));
        if first { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Those who wait for their turn, to be woken outside of every lock: the queue takes no more,
    /// whosever turn it is.
    pub(crate) fn wakers(&self) -> Vec<Waker> {
        self.line().waiting.values_mut().filter_map(Option::take).collect()
    }

    /// Gives the turn up, if it is held; the next one is woken.
    #[inline]
    pub(crate) fn leave(&self, turn: &mut Turn) {
        let Some(number) = turn.0.take() else { return };
        let (left, next) = {
            let mut line = self.line();
            let left = line.waiting.remove(&number);
            let next = line.waiting.first_entry().and_then(|mut first| first.get_mut().take());
            self.busy.store(!line.waiting.is_empty(), Release);
            (left, next)
        };
        drop(left);
        wake(next);
    }
}
