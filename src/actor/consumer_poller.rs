//! Polls a queue in a consumer actor's context: within its limit of items in flight (A2), and by its pool's orders.

use std::sync::Arc;
use std::task::{Context, Poll};

use super::handout::{Handout, OneByOne};
use crate::endpoint::Consumer;
use crate::queue::{Drained, Line, Place};

/// What comes next for a consumer actor.
#[derive(Debug)]
pub(super) enum Next<H> {
    Handed(H),
    End(ConsumerEnd),
}

/// Why no further item comes.
#[derive(Debug)]
pub(super) enum ConsumerEnd {
    /// The queue has ended.
    Drained(Drained),
    /// The pool ordered the consumer to leave, and it holds nothing any more.
    Left,
}

/// A consumer that holds at most `max_in_flight` unsettled items.
#[derive(Debug)]
pub(super) struct ConsumerPoller<T, H: Handout<T> = OneByOne> {
    handout: H,
    /// Dropped before the consumer, so that the items are back when it closes.
    begun: H::Begun,
    consumer: Consumer<T>,
    /// At this number of items in flight, what is handed out next might exceed the limit.
    full: u64,
    /// Waits for the end while the consumer may not wait for items.
    end: Place,
}

impl<T, H: Handout<T>> ConsumerPoller<T, H> {
    /// The limit is at least the size of what is handed out.
    pub(super) fn new(mut consumer: Consumer<T>, max_in_flight: usize, handout: H) -> Self {
        // It may still be in the line if it was polled as a stream before.
        consumer.leave_line();
        consumer.slot().row.limit(max_in_flight as u64);
        let full = (max_in_flight - (handout.size() - 1)) as u64;
        Self { handout, begun: H::Begun::default(), consumer, full, end: Place::new(Line::Watchers) }
    }

    pub(super) fn consumer(&self) -> &Consumer<T> {
        &self.consumer
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next<H::Handed>> {
        if !self.consumer.slot().row.is_free()
            && let Some(next) = self.poll_orders(cx)
        {
            return next;
        }
        // At its limit the consumer must not be in the line for items. It is not: a take brought it to
        // its limit, and a take leaves the line.
        if !H::has_begun(&self.begun) && self.at_limit(cx) {
            return self.poll_end(cx);
        }
        match self.handout.poll_next(&mut self.begun, &mut self.consumer, cx) {
            Poll::Ready(Some(handed)) => Poll::Ready(Next::Handed(handed)),
            Poll::Ready(None) => self.poll_end(cx),
            Poll::Pending => {
                // An order must wake a consumer that waits for an item.
                self.consumer.slot().row.register(cx.waker());
                if self.consumer.slot().row.is_free() {
                    return Poll::Pending;
                }
                self.poll_orders(cx).unwrap_or(Poll::Pending)
            }
        }
    }

    /// Obeys the pool's orders; `None` if they have been withdrawn. Registers the waker before it looks, so
    /// an order in between is either seen or wakes this task.
    fn poll_orders(&mut self, cx: &mut Context<'_>) -> Option<Poll<Next<H::Handed>>> {
        let row = Arc::clone(&self.consumer.slot().row);
        row.watch(cx.waker());
        if row.is_free() {
            return None;
        }
        self.consumer.leave_line();
        // What it has taken, and not handed over, others may have.
        self.begun = H::Begun::default();
        if row.is_leaving() && row.in_flight() == 0 {
            return Some(Poll::Ready(Next::End(ConsumerEnd::Left)));
        }
        Some(self.poll_end(cx))
    }

    fn at_limit(&self, cx: &Context<'_>) -> bool {
        let row = &self.consumer.slot().row;
        let at_limit = || row.in_flight() >= self.full;
        // Register the waker, then look again: a settle in between is either seen or wakes this task.
        at_limit() && {
            row.watch(cx.waker());
            at_limit()
        }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Next<H::Handed>> {
        let ended = self.consumer.slot().shared.poll_end(&mut self.end, cx);
        ended.map(|drained| Next::End(ConsumerEnd::Drained(drained)))
    }
}

impl<T, H: Handout<T>> Drop for ConsumerPoller<T, H> {
    fn drop(&mut self) {
        self.consumer.slot().shared.leave(&mut self.end, false);
    }
}
