//! The waiting puts of one handle, in the order in which they were made (D1).
//!
//! Only the first of them stands in the queue's line for room. Later puts of the handle line up behind it, also if there is
//! room. Handles do not wait for each other.

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
    /// It is this put's turn, until it leaves.
    has_come: bool,
}

impl Turn {
    #[inline]
    pub(crate) fn is_held(&self) -> bool {
        self.number.is_some()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// Whether a put waits. Puts that one thread makes in order see it in order; puts that overlap have no order.
    busy: AtomicBool,
    line: Mutex<TurnLine>,
}

#[derive(Debug, Default)]
struct TurnLine {
    last: u64,
    /// The put whose turn it is.
    first: Option<u64>,
    /// The puts behind it; without a waker once they were woken.
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

    /// Polls for this put's turn.
    pub(crate) fn poll(&self, turn: &mut Turn, cx: &Context<'_>) -> Poll<()> {
        if turn.has_come || self.line_up(turn, None) {
            return Poll::Ready(());
        }
        // Another put is first. The waker is cloned without the lock.
        if self.line_up(turn, Some(cx.waker().clone())) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Gives a put its place, if it has none, and returns whether it is first. Otherwise the waker is kept.
    fn line_up(&self, turn: &mut Turn, waker: Option<Waker>) -> bool {
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
            turn.has_come = line.first == Some(number);
            if turn.has_come { waker } else { line.others.insert(number, waker).flatten() }
        };
        drop(replaced);
        turn.has_come
    }

    /// Takes the wakers of the puts that wait for their turn. The caller wakes them without a lock, as the queue refuses all
    /// puts, in turn or not.
    pub(crate) fn wakers(&self) -> Vec<Waker> {
        self.line().others.values_mut().filter_map(Option::take).collect()
    }

    /// Gives the turn up, if the put has one, and wakes the next put.
    #[inline]
    pub(crate) fn leave(&self, turn: &mut Turn) {
        let Some(number) = turn.number.take() else { return };
        turn.has_come = false;
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
