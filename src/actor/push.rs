//! Push: items out to the addresses of consumer actors.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use actix::dev::SendError;
use actix::prelude::Recipient;

use super::limited::{Limited, Next};
use crate::endpoint::Consumer;
use crate::error::OpenError;
use crate::message::RegisterConsumer;
use crate::queue::{ConsumerId, Drained, Item, Shared};

/// After this many items the actor's messages get their turn.
const ITEMS_PER_POLL: usize = 32;

/// The consumer actors, longest unserved first.
pub(super) struct PushConsumers<T: Send + 'static> {
    line: VecDeque<PushConsumer<T>>,
}

struct PushConsumer<T: Send + 'static> {
    limited: Limited<T>,
    items: Recipient<Item<T>>,
    drained: Recipient<Drained>,
}

enum Served {
    Item,
    Nothing,
    /// Told of the end, or found dead.
    Gone,
}

impl<T: Send + 'static> PushConsumers<T> {
    pub(super) fn new() -> Self {
        Self { line: VecDeque::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    pub(super) fn register(
        &mut self,
        consumer: Consumer<T>,
        register: RegisterConsumer<T>,
    ) -> Result<ConsumerId, OpenError> {
        let limited = Limited::new(consumer, register.max_in_flight)?;
        let id = limited.id();
        // Weak, so that a lease does not keep its actor's address alive. A mailbox counts as
        // closed before it drops what it holds.
        let mailbox = register.items.downgrade();
        let alive = move || mailbox.upgrade().is_some_and(|items| items.connected());
        if limited.consumer().slot().mailbox.set(Box::new(alive)).is_err() {
            unreachable!("the consumer was opened for this");
        }
        self.line.push_back(PushConsumer { limited, items: register.items, drained: register.drained });
        Ok(id)
    }

    /// Whether it was registered.
    pub(super) fn unregister(&mut self, id: ConsumerId) -> bool {
        let before = self.line.len();
        self.line.retain(|consumer| consumer.limited.id() != id);
        self.line.len() < before
    }

    /// Serves everybody who may be served, in turn. Returns whether there is more to do at once.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let mut budget = ITEMS_PER_POLL;
        loop {
            let mut served = VecDeque::new();
            for mut consumer in std::mem::take(&mut self.line) {
                match if budget == 0 { Served::Nothing } else { consumer.serve(cx) } {
                    Served::Item => {
                        budget -= 1;
                        served.push_back(consumer);
                    }
                    Served::Nothing => self.line.push_back(consumer),
                    Served::Gone => {}
                }
            }
            let progress = !served.is_empty();
            self.line.append(&mut served);
            if budget == 0 || !progress {
                return budget == 0;
            }
        }
    }

    /// The queue's actor is going for good: tells everybody.
    pub(super) fn tell_all(&mut self, shared: &Shared<T>) {
        let Some(drained) = shared.ended() else { return };
        for consumer in self.line.drain(..) {
            consumer.drained.do_send(drained.clone());
        }
    }
}

impl<T: Send + 'static> PushConsumer<T> {
    fn serve(&mut self, cx: &mut Context<'_>) -> Served {
        if !self.items.connected() {
            return Served::Gone;
        }
        match self.limited.poll_next(cx) {
            Poll::Pending => Served::Nothing,
            Poll::Ready(Next::Drained(drained)) => {
                self.drained.do_send(drained);
                Served::Gone
            }
            Poll::Ready(Next::Item(item)) => match self.items.try_send(item) {
                Ok(()) => Served::Item,
                // The limit in flight is the bound, not the mailbox.
                Err(SendError::Full(item)) => {
                    self.items.do_send(item);
                    Served::Item
                }
                Err(SendError::Closed(item)) => {
                    item.undo();
                    Served::Gone
                }
            },
        }
    }
}
