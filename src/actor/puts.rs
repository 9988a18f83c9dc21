//! `Put` messages that wait for room.
//!
//! They live in the actor, not in futures that it spawns, so a restart keeps them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use futures::stream::{FuturesUnordered, StreamExt};

use super::reply::{Asker, Reply};
use crate::endpoint::{HandleShare, Putting};
use crate::error::PutError;
use crate::message::Put;
use crate::queue::{Shared, collect_wakers, wake};

/// After this many messages the actor wakes the consumers, also if more are to be read.
const PUTS_PER_WAKE: usize = 32;

/// The puts that wait. Polls only those that were woken.
pub(super) struct WaitingPuts<T> {
    waiting: FuturesUnordered<WaitingPut<T>>,
    /// What the puts of the messages that are being read have to wake. A consumer that is woken once for several items costs
    /// the actor one wake of a thread.
    to_wake: Vec<Waker>,
    /// How many messages were read since these were last woken.
    read: usize,
}

struct WaitingPut<T> {
    putting: Putting<T, HandleShare<T>>,
    /// The put goes on if the sender stops waiting for the reply.
    asker: Asker<(), PutError<T>>,
}

impl<T> WaitingPuts<T> {
    pub(super) fn new() -> Self {
        Self { waiting: FuturesUnordered::new(), to_wake: Vec::new(), read: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Returns whether a put waits for room in this queue.
    pub(super) fn wait_for(&self, queue: &Arc<Shared<T>>) -> bool {
        self.waiting.iter().any(|put| Arc::ptr_eq(put.putting.shared(), queue))
    }

    /// Puts at once if it can. Otherwise the put waits, and the reply comes later.
    pub(super) fn put(&mut self, handle: HandleShare<T>, item: T) -> Reply<(), PutError<T>> {
        let mut putting = Putting::new(handle, Some(item));
        // The put takes its turn among those of its handle now (D1). `FuturesUnordered` polls each new entry,
        // and that poll registers a waker.
        let put = || putting.poll(&mut Context::from_waker(Waker::noop()));
        let put = collect_wakers(&mut self.to_wake, put);
        self.read += 1;
        if self.read >= PUTS_PER_WAKE {
            self.wake();
        }
        if let Poll::Ready(result) = put {
            return Reply::Now(result.map_err(|error| putting.refused(error)));
        }
        let asker = Asker::new();
        let later = Reply::Later(asker.share());
        self.waiting.push(WaitingPut { putting, asker });
        later
    }

    /// Wakes those for which the messages that were read have put something. The actor's context calls `poll` once it has
    /// read the mailbox.
    fn wake(&mut self) {
        self.read = 0;
        wake(self.to_wake.drain(..));
    }

    /// Replies to the puts that are done. Each has been dropped by then, with its share of the handle, so the
    /// sender may find the handle closed at once.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) {
        self.wake();
        while let Poll::Ready(Some((asker, put))) = self.waiting.poll_next_unpin(cx) {
            asker.reply::<Put<T>>(put);
        }
    }

    /// Refuses all puts and hands their items back, because the actor is gone for good.
    pub(super) fn refuse_all(&mut self) {
        self.wake();
        for WaitingPut { putting, asker } in std::mem::take(&mut self.waiting) {
            // The put gives up its turn and its place before the sender gets the reply and may put again.
            if let Some(refused) = putting.give_up() {
                asker.reply::<Put<T>>(Err(refused));
            }
        }
    }
}

// No field is ever pinned.
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
