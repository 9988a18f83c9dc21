//! A consumer that holds a limited number of unsettled items (A2), and does as its pool says.

use std::sync::Arc;
use std::task::{Context, Poll};

use crate::endpoint::Consumer;
use crate::queue::{ConsumerId, Drained, Item, Line, Place};

/// What comes next for a consumer actor.
#[derive(Debug)]
pub(super) enum Next<T> {
    Item(Item<T>),
    Last(Last),
}

/// After this nothing comes.
#[derive(Debug)]
pub(super) enum Last {
    Drained(Drained),
    /// It was told to leave, and holds nothing any more.
    Left,
}

#[derive(Debug)]
pub(super) struct Limited<T> {
    consumer: Consumer<T>,
    max_in_flight: u64,
    /// Stands in the line for the end while it may not stand in the line for items.
    end: Place,
}

impl<T> Limited<T> {
    pub(super) fn new(mut consumer: Consumer<T>, max_in_flight: usize) -> Self {
        // It may stand in the line from its time as a stream.
        consumer.leave_line();
        consumer.slot().row.limit(max_in_flight as u64);
        Self { consumer, max_in_flight: max_in_flight as u64, end: Place::new(Line::Watchers) }
    }

    pub(super) fn id(&self) -> ConsumerId {
        self.consumer.id()
    }

    pub(super) fn consumer(&self) -> &Consumer<T> {
        &self.consumer
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next<T>> {
        if !self.consumer.slot().row.is_free()
            && let Some(next) = self.poll_orders(cx)
        {
            return next;
        }
        // Whoever may not take must not stand in the line for items. It does not: what brought it
        // to its limit was a take, and a take leaves the line.
        if self.at_limit(cx) {
            return self.poll_end(cx);
        }
        match self.consumer.poll_lease(cx) {
            Poll::Ready(Some(item)) => Poll::Ready(Next::Item(item)),
            Poll::Ready(None) => self.poll_end(cx),
            Poll::Pending => {
                // Nothing else would bring an order to one that waits for an item.
                self.consumer.slot().row.register(cx.waker());
                if self.consumer.slot().row.is_free() {
                    return Poll::Pending;
                }
                self.poll_orders(cx).unwrap_or(Poll::Pending)
            }
        }
    }

    /// `None` if there is no order any more. Watch, then look: an order in between is seen or wakes
    /// this task.
    fn poll_orders(&mut self, cx: &mut Context<'_>) -> Option<Poll<Next<T>>> {
        let row = Arc::clone(&self.consumer.slot().row);
        row.watch(cx.waker());
        if row.is_free() {
            return None;
        }
        self.consumer.leave_line();
        if row.is_leaving() && row.in_flight() == 0 {
            return Some(Poll::Ready(Next::Last(Last::Left)));
        }
        Some(self.poll_end(cx))
    }

    fn at_limit(&self, cx: &Context<'_>) -> bool {
        let row = &self.consumer.slot().row;
        let at_limit = || row.in_flight() >= self.max_in_flight;
        // Watch, then look again: a settle in between is seen or wakes this task.
        at_limit() && {
            row.watch(cx.waker());
            at_limit()
        }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Next<T>> {
        self.consumer.slot().shared.poll_end(&mut self.end, cx).map(|drained| Next::Last(Last::Drained(drained)))
    }
}

impl<T> Drop for Limited<T> {
    fn drop(&mut self) {
        self.consumer.slot().shared.leave(&mut self.end, false);
    }
}
