//! Push: items out to the addresses of consumer actors.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

use actix::dev::SendError;
use actix::prelude::Recipient;
use futures::stream::{FuturesUnordered, StreamExt};

use super::ITEMS_PER_POLL;
use super::limited::{Last, Limited, Next};
use crate::endpoint::Consumer;
use crate::message::RegisterConsumer;
use crate::queue::{ConsumerId, Drained, Item, Shared};

/// The consumer actors. Only those that were woken are polled, in turn, however many there are.
pub(super) struct PushConsumers<T: Send + 'static> {
    line: FuturesUnordered<PushConsumer<T>>,
    /// Items handed out since somebody last looked.
    served: Arc<AtomicUsize>,
}

/// Done when it was told of the end or found dead.
struct PushConsumer<T: Send + 'static> {
    limited: Limited<T>,
    items: Recipient<Item<T>>,
    drained: Recipient<Drained>,
    served: Arc<AtomicUsize>,
}

impl<T: Send + 'static> PushConsumers<T> {
    pub(super) fn new() -> Self {
        Self { line: FuturesUnordered::new(), served: Arc::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    pub(super) fn register(&mut self, consumer: Consumer<T>, register: RegisterConsumer<T>) -> ConsumerId {
        let limited = Limited::new(consumer, register.max_in_flight);
        let id = limited.id();
        // Weak, so that a lease does not keep its actor's address alive. A mailbox counts as
        // closed before it drops what it holds.
        let mailbox = register.items.downgrade();
        let alive = move || mailbox.upgrade().is_some_and(|items| items.connected());
        if limited.consumer().slot().mailbox.set(Box::new(alive)).is_err() {
            unreachable!("the consumer was opened for this");
        }
        let served = Arc::clone(&self.served);
        self.line.push(PushConsumer { limited, items: register.items, drained: register.drained, served });
        id
    }

    /// Whether it was registered.
    pub(super) fn unregister(&mut self, id: ConsumerId) -> bool {
        self.remove(|consumer| consumer.limited.id() == id)
    }

    /// Those whose address died while they had nothing to do: nothing else would find them.
    pub(super) fn remove_dead(&mut self) {
        self.remove(|consumer| !consumer.items.connected());
    }

    fn remove(&mut self, which: impl Fn(&PushConsumer<T>) -> bool) -> bool {
        let found = self.line.iter().any(&which);
        if found {
            self.line = std::mem::take(&mut self.line).into_iter().filter(|consumer| !which(consumer)).collect();
        }
        found
    }

    /// Serves those who were woken, an item each in turn. Returns whether there is more to do at
    /// once.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let mut budget = ITEMS_PER_POLL;
        while budget > 0 {
            match self.line.poll_next_unpin(cx) {
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

    /// Tells everybody of the end, if it has come: at once, not each in turn.
    pub(super) fn tell_all(&mut self, shared: &Shared<T>) {
        let Some(drained) = shared.ended() else { return };
        let line = std::mem::take(&mut self.line);
        for consumer in &line {
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
        match consumer.limited.poll_next(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Next::Last(Last::Left)) => return Poll::Ready(()),
            Poll::Ready(Next::Last(Last::Drained(drained))) => {
                consumer.drained.do_send(drained);
                return Poll::Ready(());
            }
            Poll::Ready(Next::Item(item)) => match consumer.items.try_send(item) {
                Ok(()) => {}
                // The limit in flight is the bound, not the mailbox.
                Err(SendError::Full(item)) => consumer.items.do_send(item),
                Err(SendError::Closed(item)) => {
                    item.undo();
                    return Poll::Ready(());
                }
            },
        }
        // To the end of the line.
        consumer.served.fetch_add(1, Relaxed);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
