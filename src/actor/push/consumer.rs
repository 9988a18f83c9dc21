//! One consumer actor that is served by address.

use std::task::{Context, Poll};

use actix::prelude::Recipient;

use super::task::{Step, Work};
use crate::endpoint::Consumer;
use crate::message::RegisterConsumer;
use crate::queue::{ConsumerId, Drained, Item};

/// Sends items to an actor, within its limit of items in flight (A2).
pub(super) struct PushConsumer<T: Send + 'static> {
    consumer: Consumer<T>,
    max_in_flight: u64,
    items: Recipient<Item<T>>,
    drained: Recipient<Drained>,
}

impl<T: Send + 'static> PushConsumer<T> {
    pub(super) fn new(consumer: Consumer<T>, register: RegisterConsumer<T>) -> Self {
        let RegisterConsumer { items, drained, max_in_flight, .. } = register;
        // Weak, so that a lease does not keep its actor's address alive. A mailbox counts as closed
        // before it drops what it holds.
        let mailbox = items.downgrade();
        let alive = move || mailbox.upgrade().is_some_and(|items| items.connected());
        if consumer.slot().mailbox.set(Box::new(alive)).is_err() {
            unreachable!("the consumer was opened for this");
        }
        let max_in_flight = max_in_flight as u64;
        consumer.slot().row.limit(max_in_flight);
        Self { consumer, max_in_flight, items, drained }
    }

    pub(super) fn id(&self) -> ConsumerId {
        self.consumer.id()
    }

    /// Returns whether the actor is alive.
    pub(super) fn is_alive(&self) -> bool {
        self.items.connected()
    }

    pub(super) fn tell_end(&self, drained: Drained) {
        self.drained.do_send(drained);
    }
}

impl<T: Send + 'static> Work for PushConsumer<T> {
    /// Hands out an item. An actor that dies before it has the item gives it back, uncounted.
    ///
    /// An actor that waited gets one. Its thread has to wake up for it, and hands out more when the actor settles this one;
    /// meanwhile puts need not look for a consumer.
    fn step(&mut self, cx: &mut Context<'_>) -> Step {
        if !self.is_alive() {
            return Step::Over;
        }
        // At its limit the consumer must not be in the line for items. It is not: a take brought it to its limit, and a
        // take leaves the line.
        if self.consumer.slot().row.is_full(self.max_in_flight, cx.waker()) {
            return Step::Waits;
        }
        let waited = self.consumer.is_in_line();
        match self.consumer.poll_lease(cx) {
            Poll::Pending => Step::Waits,
            Poll::Ready(None) => Step::Over,
            Poll::Ready(Some(item)) => {
                if waited {
                    self.consumer.slot().row.watch(cx.waker());
                }
                // The limit of items in flight is the bound, not the mailbox's capacity.
                self.items.do_send(item);
                if waited { Step::Enough } else { Step::Taken }
            }
        }
    }
}
