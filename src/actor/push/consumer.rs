//! A consumer that is served by address.

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::task::{Step, Work};
use crate::endpoint::Consumer;
use crate::queue::{ConsumerId, Item, Ticks};
use crate::sync::ITEMS_IN_A_ROW;

/// An actor's address, for items.
pub(crate) trait Mailbox<T>: Send + 'static {
    fn is_alive(&self) -> bool;

    /// Sends an item, whatever the mailbox's capacity: the limit of items in flight is the bound.
    fn send(&self, item: Item<T>);
}

/// After `ITEMS_IN_A_ROW`, or as much time, all else on the actor's arbiter gets its turn.
const TIME_IN_A_ROW: Duration = Duration::from_millis(5);

/// Sends items to an actor, within its limit of items in flight (A2).
pub(crate) struct PushConsumer<T, M> {
    consumer: Consumer<T>,
    max_in_flight: u64,
    mailbox: M,
    /// How many items the actor was sent since it last waited for one or was paused, and when it was sent the first.
    in_a_row: usize,
    began: Ticks,
}

impl<T, M: Mailbox<T>> PushConsumer<T, M> {
    pub(crate) fn new(consumer: Consumer<T>, max_in_flight: usize, mailbox: M) -> Self {
        let max_in_flight = max_in_flight as u64;
        consumer.slot().row.limit(max_in_flight);
        Self { consumer, max_in_flight, mailbox, in_a_row: 0, began: Ticks::MAX }
    }

    pub(crate) fn id(&self) -> ConsumerId {
        self.consumer.id()
    }

    /// Returns whether it holds as many items as it may. Then the next settle wakes the task: each consumer that holds an
    /// item and is not in the line is refilled by settles.
    fn is_full(&self) -> bool {
        self.consumer.slot().row.in_flight() >= self.max_in_flight
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.mailbox.is_alive()
    }
}

impl<T: Send + 'static, M: Mailbox<T>> Work for PushConsumer<T, M> {
    fn wake_by(&mut self, waker: Waker) {
        self.consumer.slot().row.refill_by(waker);
    }

    /// Hands out an item. An actor that dies before it has the item gives it back, uncounted.
    ///
    /// Each settle of an actor that is not in the line hands it one item, so that few items in a row go to one actor. The
    /// queue's actor hands out what its limit allows beyond that, in turn.
    fn step(&mut self, cx: &mut Context<'_>) -> Step {
        if self.consumer.slot().shared.has_ended() {
            // The queue's actor watches for that, and takes the work.
            return Step::Waits;
        }
        if !self.is_alive() {
            // The item that it was woken for is for the next one in the line.
            self.consumer.leave_line();
            return Step::Over;
        }
        // At its limit the consumer must not be in the line for items. It is not: a take brought it to its limit, and a
        // take leaves the line.
        if self.is_full() {
            return Step::Waits;
        }
        match self.consumer.poll_lease(cx) {
            Poll::Ready(Some(item)) => {
                let row = &self.consumer.slot().row;
                row.refill(true);
                // Each lease stamps the time, so the clock need not be read again.
                if self.in_a_row == 0 {
                    self.began = row.last_lease();
                }
                self.in_a_row += 1;
                self.mailbox.send(item);
                if self.is_full() { Step::TakenLast } else { Step::Taken }
            }
            // `None` at the end, as above.
            Poll::Pending | Poll::Ready(None) => {
                self.consumer.slot().row.refill(false);
                self.in_a_row = 0;
                Step::Waits
            }
        }
    }

    fn wants_pause(&mut self) -> bool {
        let time = self.consumer.slot().row.last_lease().since(self.began);
        let wants = self.in_a_row >= ITEMS_IN_A_ROW || (self.in_a_row > 0 && time >= TIME_IN_A_ROW);
        if wants {
            self.in_a_row = 0;
        }
        wants
    }
}
