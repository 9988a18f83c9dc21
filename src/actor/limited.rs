//! A consumer that holds a limited number of unsettled items (A2).

use std::task::{Context, Poll};

use crate::endpoint::Consumer;
use crate::error::OpenError;
use crate::queue::{ConsumerId, Drained, Item, Line, Place};

/// What comes next for a consumer actor.
#[derive(Debug)]
pub(super) enum Next<T> {
    Item(Item<T>),
    Drained(Drained),
}

#[derive(Debug)]
pub(super) struct Limited<T> {
    consumer: Consumer<T>,
    max_in_flight: u64,
    /// Stands in the line for the end while it may not stand in the line for items.
    end: Place,
}

impl<T> Limited<T> {
    pub(super) fn new(mut consumer: Consumer<T>, max_in_flight: usize) -> Result<Self, OpenError> {
        if max_in_flight == 0 {
            return Err(OpenError::ZeroMaxInFlight);
        }
        // It may stand in the line from its time as a stream.
        consumer.leave_line();
        Ok(Self { consumer, max_in_flight: max_in_flight as u64, end: Place::new(Line::Watchers) })
    }

    pub(super) fn id(&self) -> ConsumerId {
        self.consumer.id()
    }

    pub(super) fn consumer(&self) -> &Consumer<T> {
        &self.consumer
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next<T>> {
        // Whoever may not take must not stand in the line for items. It does not: what brought it
        // to its limit was a take, and a take leaves the line.
        if self.at_limit(cx) {
            return self.poll_end(cx);
        }
        match self.consumer.poll_lease(cx) {
            Poll::Ready(Some(item)) => Poll::Ready(Next::Item(item)),
            Poll::Ready(None) => self.poll_end(cx),
            Poll::Pending => Poll::Pending,
        }
    }

    fn at_limit(&self, cx: &Context<'_>) -> bool {
        let row = &self.consumer.slot().row;
        let at_limit = || row.in_flight() >= self.max_in_flight;
        // Watch, then look again: a settle in between is seen or wakes this task.
        at_limit() && {
            row.watch_settle(cx.waker());
            at_limit()
        }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Next<T>> {
        self.consumer.slot().shared.poll_end(&mut self.end, cx).map(Next::Drained)
    }
}

impl<T> Drop for Limited<T> {
    fn drop(&mut self) {
        self.consumer.slot().shared.leave(&mut self.end, false);
    }
}
