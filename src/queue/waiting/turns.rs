//! The waiting puts of one handle, in the order in which they were made (D1).
//!
//! Only the first of them stands in the queue's line for room, and later puts of the handle, those
//! that would not have to wait included, line up behind it. Handles do not wait for each other.

use std::collections::BTreeMap;
use std::task::{Context, Poll, Waker};

use crate::lock::lock;
use crate::queue::effects::wake;
use crate::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Release},
};
use crate::sync::{Mutex, MutexGuard};

/// A put's place among those of its handle, if it has one.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    number: Option<u64>,
    /// Its turn has come, and stays until it leaves.
    come: bool,
}

impl Turn {
    #[inline]
    pub(crate) fn is_held(&self) -> bool {
        self.number.is_some()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// Whether somebody waits. What one thread does in order is seen in order; puts that overlap
    /// have none.
    busy: AtomicBool,
    line: Mutex<TurnLine>,
}

#[derive(Debug, Default)]
struct TurnLine {
    last: u64,
    /// Whose turn it is.
    first: Option<u64>,
    /// Those behind it; without a waker once they were woken.
    others: BTreeMap<u64, Option<Waker>>,
}

impl Turns {
    #[inline]
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Acquire)
    }

    fn line(&self) -> MutexGuard<'_, TurnLine> {
        lock(&self.line)
    }

    /// Ready when it is this put's turn.
    pub(crate) fn poll(&self, turn: &mut Turn, cx: &Context<'_>) -> Poll<()> {
        if turn.come || self.come(turn, None) {
            return Poll::Ready(());
        }
        // Somebody is before it; the waker is cloned out of the lock.
        if self.come(turn, Some(cx.waker().clone())) { Poll::Ready(()) } else { Poll::Pending }
    }

    fn come(&self, turn: &mut Turn, waker: Option<Waker>) -> bool {
        let replaced = {
            let mut line = self.line();
            let number = *turn.number.get_or_insert_with(|| {
                line.last += 1;
                line.last
            });
            if line.first.is_none() {
                line.first = Some(number);
                self.busy.store(true, Release);
            }
            turn.come = line.first == Some(number);
            if turn.come { waker } else { line.others.insert(number, waker).flatten() }
        };
        drop(replaced);
        turn.come
    }

    /// Those who wait for their turn, to be woken outside of every lock: the queue takes no more,
    /// whosever turn it is.
    pub(crate) fn wakers(&self) -> Vec<Waker> {
        self.line().others.values_mut().filter_map(Option::take).collect()
    }

    /// Gives the turn up, if it is held; the next one is woken.
    #[inline]
    pub(crate) fn leave(&self, turn: &mut Turn) {
        let Some(number) = turn.number.take() else { return };
        turn.come = false;
        let (left, next) = {
            let mut line = self.line();
            if line.first == Some(number) {
                let next = line.others.pop_first();
                line.first = next.as_ref().map(|(number, _)| *number);
                self.busy.store(line.first.is_some(), Release);
                (None, next.and_then(|(_, waker)| waker))
            } else {
                (line.others.remove(&number).flatten(), None)
            }
        };
        drop(left);
        wake(next);
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::{Turn, Turns};

    #[test]
    fn d1_a_turn_that_was_given_up_is_over() {
        let (turns, cx) = (Turns::default(), Context::from_waker(Waker::noop()));
        let (mut first, mut second) = (Turn::default(), Turn::default());
        assert!(turns.poll(&mut first, &cx).is_ready());
        turns.leave(&mut first);
        assert!(turns.poll(&mut second, &cx).is_ready());
        assert!(turns.poll(&mut first, &cx).is_pending(), "it has its turn again after the second one");
        turns.leave(&mut second);
        assert!(turns.poll(&mut first, &cx).is_ready());
    }
}
