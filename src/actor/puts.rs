//! `Put` messages that wait for room.
//!
//! They live in the actor, not in futures spawned by it: a restart keeps them.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::channel::oneshot;

use super::reply::Reply;
use crate::endpoint::Handle;
use crate::error::PutError;
use crate::queue::{Line, Place, ProducerId, QueueId};

/// In the order in which they came.
pub(super) struct WaitingPuts<T> {
    line: VecDeque<WaitingPut<T>>,
}

struct WaitingPut<T> {
    handle: Arc<Handle<T>>,
    /// `None` once it is put or refused.
    item: Option<T>,
    place: Place,
    answer: Option<oneshot::Sender<Result<(), PutError<T>>>>,
}

impl<T> WaitingPuts<T> {
    pub(super) fn new() -> Self {
        Self { line: VecDeque::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    /// Puts at once if there is room and no earlier put of the same endpoint waits (D1).
    /// Otherwise the answer comes later.
    pub(super) fn put(&mut self, handle: Arc<Handle<T>>, item: T) -> Reply<(), PutError<T>> {
        let mut item = Some(item);
        if !self.line.iter().any(|earlier| earlier.endpoint() == endpoint(&handle))
            && let Some(result) = handle.attempt_put(&mut item)
        {
            return Reply::Now(result);
        }
        let (answer, later) = oneshot::channel();
        self.line.push_back(WaitingPut { handle, item, place: Place::new(Line::Putters), answer: Some(answer) });
        Reply::Later(later)
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) {
        let mut waiting = HashSet::new();
        self.line.retain_mut(|put| {
            // Only the first of each endpoint stands in the queue's own line.
            if waiting.contains(&put.endpoint()) || put.poll(cx).is_pending() {
                waiting.insert(put.endpoint());
                return true;
            }
            false
        });
    }

    /// The actor is going for good: everybody gets the item back.
    pub(super) fn refuse_all(&mut self) {
        for mut put in self.line.drain(..) {
            if let Some(item) = put.item.take() {
                let refused = put.handle.shared.refuse(item);
                put.answer(Err(refused));
            }
        }
    }
}

fn endpoint<T>(handle: &Handle<T>) -> (QueueId, ProducerId) {
    (handle.shared.id, handle.row.endpoint.id)
}

impl<T> WaitingPut<T> {
    fn endpoint(&self) -> (QueueId, ProducerId) {
        endpoint(&self.handle)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.handle.poll_put(&mut self.item, &mut self.place, cx).map(|result| self.answer(result))
    }

    /// Whoever has stopped waiting for the answer has done so knowing that it may be `Ok`.
    fn answer(&mut self, result: Result<(), PutError<T>>) {
        if let Some(answer) = self.answer.take() {
            drop(answer.send(result));
        }
    }
}

impl<T> Drop for WaitingPut<T> {
    fn drop(&mut self) {
        self.handle.shared.leave(&mut self.place, false);
    }
}
