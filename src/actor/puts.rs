//! `Put` messages that wait for room.
//!
//! They live in the actor, not in futures spawned by it: a restart keeps them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use futures::stream::{FuturesUnordered, StreamExt};

use super::reply::{Asker, Reply};
use crate::endpoint::{HandleShare, Putting};
use crate::error::PutError;
use crate::message::Put;
use crate::queue::Shared;

/// Polls only those that were woken, however many wait.
pub(super) struct WaitingPuts<T> {
    waiting: FuturesUnordered<WaitingPut<T>>,
}

struct WaitingPut<T> {
    putting: Putting<T, HandleShare<T>>,
    /// Whoever has stopped waiting for the answer has done so knowing that it may be `Ok`.
    asker: Asker<(), PutError<T>>,
}

impl<T> WaitingPuts<T> {
    pub(super) fn new() -> Self {
        Self { waiting: FuturesUnordered::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether some of them wait for room in this queue.
    pub(super) fn wait_for(&self, queue: &Arc<Shared<T>>) -> bool {
        self.waiting.iter().any(|put| Arc::ptr_eq(put.putting.shared(), queue))
    }

    /// Puts at once if that is possible. Otherwise the answer comes later.
    pub(super) fn put(&mut self, handle: HandleShare<T>, item: T) -> Reply<(), PutError<T>> {
        let mut putting = Putting::new(handle, Some(item));
        // Takes its turn among the puts of its handle now (D1); the waker comes with the next poll,
        // which a new entry gets in any case.
        if let Poll::Ready(result) = putting.poll(&mut Context::from_waker(Waker::noop())) {
            return Reply::Now(result.map_err(|error| putting.refused(error)));
        }
        let asker = Asker::unknown();
        let later = Reply::Later(asker.share());
        self.waiting.push(WaitingPut { putting, asker });
        later
    }

    /// Answers those that are done. By then each has been dropped, and with it its share of the handle: the asker
    /// finds no trace of it.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some((asker, put))) = self.waiting.poll_next_unpin(cx) {
            asker.answer::<Put<T>>(put);
        }
    }

    /// Hands every item back, because the actor is going for good.
    pub(super) fn refuse_all(&mut self) {
        for WaitingPut { putting, asker } in std::mem::take(&mut self.waiting) {
            // The put gives up its turn and its place before the asker hears of it, and may put again.
            if let Some(refused) = putting.give_up() {
                asker.answer::<Put<T>>(Err(refused));
            }
        }
    }
}

// Nothing in it is ever pinned.
impl<T> Unpin for WaitingPut<T> {}

impl<T> Future for WaitingPut<T> {
    type Output = (Asker<(), PutError<T>>, Result<(), PutError<T>>);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let put = self.get_mut();
        let result = ready!(put.putting.poll(cx));
        let result = result.map_err(|error| put.putting.refused(error));
        Poll::Ready((put.asker.share(), result))
    }
}
