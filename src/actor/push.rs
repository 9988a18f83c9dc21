//! Push: the queue's actor sends items to the addresses of consumer actors.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

use actix::dev::SendError;
use actix::prelude::Recipient;
use futures::stream::{FuturesUnordered, StreamExt};

use super::ITEMS_PER_POLL;
use super::consumer_poller::{ConsumerEnd, ConsumerPoller, Next};
use super::handout::OneByOne;
use crate::endpoint::Consumer;
use crate::message::RegisterConsumer;
use crate::queue::{ConsumerId, Drained, Item, Shared};

/// The registered consumer actors. Polls only those that were woken, in turn.
pub(super) struct PushConsumers<T: Send + 'static> {
    consumers: FuturesUnordered<PushConsumer<T>>,
    /// Items handed out since `poll` last took this number.
    served: Arc<AtomicUsize>,
}

/// Done once its actor has been sent `Drained`, or is dead.
struct PushConsumer<T: Send + 'static> {
    poller: ConsumerPoller<T>,
    items: Recipient<Item<T>>,
    drained: Recipient<Drained>,
    served: Arc<AtomicUsize>,
}

impl<T: Send + 'static> PushConsumers<T> {
    pub(super) fn new() -> Self {
        Self { consumers: FuturesUnordered::new(), served: Arc::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.consumers.is_empty()
    }

    pub(super) fn register(&mut self, consumer: Consumer<T>, register: RegisterConsumer<T>) -> ConsumerId {
        let poller = ConsumerPoller::new(consumer, register.max_in_flight, OneByOne);
        let id = poller.id();
        // Weak, so that a lease does not keep its actor's address alive. A mailbox counts as closed
        // before it drops what it holds.
        let mailbox = register.items.downgrade();
        let alive = move || mailbox.upgrade().is_some_and(|items| items.connected());
        if poller.consumer().slot().mailbox.set(Box::new(alive)).is_err() {
            unreachable!("the consumer was opened for this");
        }
        let served = Arc::clone(&self.served);
        self.consumers.push(PushConsumer { poller, items: register.items, drained: register.drained, served });
        id
    }

    /// Removes a consumer. Returns whether it was registered.
    pub(super) fn unregister(&mut self, id: ConsumerId) -> bool {
        self.remove(|consumer| consumer.poller.id() == id)
    }

    /// Removes consumers whose actor died while they waited: no item is sent to them that would show it.
    pub(super) fn remove_dead(&mut self) {
        self.remove(|consumer| !consumer.items.connected());
    }

    fn remove(&mut self, which: impl Fn(&PushConsumer<T>) -> bool) -> bool {
        let found = self.consumers.iter().any(&which);
        if found {
            let consumers = std::mem::take(&mut self.consumers);
            self.consumers = consumers.into_iter().filter(|consumer| !which(consumer)).collect();
        }
        found
    }

    /// Hands one item at a time to each consumer that was woken, in turn. Returns whether there may be more
    /// to do now.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let mut budget = ITEMS_PER_POLL;
        while budget > 0 {
            match self.consumers.poll_next_unpin(cx) {
                Poll::Ready(Some(())) => {}
                Poll::Ready(None) => return false,
                Poll::Pending => match self.served.swap(0, Relaxed) {
                    0 => return false,
                    served => budget = budget.saturating_sub(served),
                },
            }
        }
        true
    }

    /// Sends `Drained` to all consumers at once, if the queue has ended.
    pub(super) fn notify_end(&mut self, shared: &Shared<T>) {
        let Some(drained) = shared.ended() else { return };
        let consumers = std::mem::take(&mut self.consumers);
        for consumer in &consumers {
            consumer.drained.do_send(drained.clone());
        }
    }
}

impl<T: Send + 'static> Future for PushConsumer<T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let consumer = self.get_mut();
        if !consumer.items.connected() {
            return Poll::Ready(());
        }
        match consumer.poller.poll_next(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Next::End(ConsumerEnd::Left)) => return Poll::Ready(()),
            Poll::Ready(Next::End(ConsumerEnd::Drained(drained))) => {
                consumer.drained.do_send(drained);
                return Poll::Ready(());
            }
            Poll::Ready(Next::Handed(item)) => match consumer.items.try_send(item) {
                Ok(()) => {}
                // The limit of items in flight is the bound, not the mailbox's capacity.
                Err(SendError::Full(item)) => consumer.items.do_send(item),
                Err(SendError::Closed(item)) => {
                    item.undo();
                    return Poll::Ready(());
                }
            },
        }
        // Woken at once, it is polled again after the others.
        consumer.served.fetch_add(1, Relaxed);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
