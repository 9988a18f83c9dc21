//! An open producer handle, and how its puts wait.

use std::num::NonZeroU64;
use std::ops::Deref;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use super::operation::Operation;
use crate::error::{OpenError, PutError};
use crate::queue::{HandleKey, Line, NotDone, Place, ProducerRow, Receipt, Shared, Turn, drop_quietly};
use crate::sync;

/// A share of an open handle, which closes with the last of them.
pub(crate) type HandleShare<T> = sync::Arc<Handle<T>>;

/// An open handle. Permits, sinks and `Put` messages own a share of it, so that a close never
/// overtakes what was put before it (C4).
pub(crate) struct Handle<T> {
    pub(crate) shared: Arc<Shared<T>>,
    pub(crate) row: Arc<ProducerRow>,
    key: HandleKey,
}

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        self.shared.close_handle(self.key);
    }
}

impl<T> Handle<T> {
    pub(super) fn open(shared: &Arc<Shared<T>>, name: Option<Arc<str>>, watched: bool) -> Result<Self, OpenError> {
        let (key, row) = shared.open_producer(name, watched)?;
        Ok(Self { shared: Arc::clone(shared), row, key })
    }

    /// Another handle of the same endpoint. `None` if that was closed from outside.
    pub(super) fn another(&self) -> Option<Self> {
        let shared = Arc::clone(&self.shared);
        let (key, row) = shared.add_handle(&self.row.endpoint)?;
        Some(Self { shared, row, key })
    }

    /// Puts if there is room now, and no put that was made before waits. A refusal is for everybody,
    /// whosever turn it is.
    #[inline]
    pub(super) fn try_put(&self, item: T) -> Result<(), NotDone<T>> {
        if self.is_behind_others() {
            return Err(NotDone::Full(item));
        }
        self.shared.try_put(&self.row, item, false)
    }

    #[inline]
    pub(super) fn is_behind_others(&self) -> bool {
        self.row.turns.is_busy() && !self.shared.refuses(&self.row)
    }
}

/// Waits for room: first for its turn among the puts of its handle, then in the queue's line.
pub(super) struct InLine<T, H: Deref<Target = Handle<T>>> {
    pub(super) handle: H,
    turn: Turn,
    place: Place,
}

impl<T, H: Deref<Target = Handle<T>>> InLine<T, H> {
    pub(super) fn new(handle: H) -> Self {
        Self { handle, turn: Turn::default(), place: Place::new(Line::Putters) }
    }

    /// Tries until `attempt` has a result, in turn. It is told whether it has a right to the room kept for the line.
    pub(super) fn poll<R, E>(
        &mut self,
        cx: &mut Context<'_>,
        attempt: impl Fn(&Handle<T>, bool) -> Option<Result<R, E>>,
    ) -> Poll<Result<R, E>> {
        if !self.turn.is_held()
            && !self.handle.row.turns.is_busy()
            && let Some(result) = attempt(&self.handle, false)
        {
            return Poll::Ready(result);
        }
        self.wait(cx, attempt)
    }

    /// The same after an attempt in vain.
    fn wait<R, E>(
        &mut self,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut(&Handle<T>, bool) -> Option<Result<R, E>>,
    ) -> Poll<Result<R, E>> {
        let Self { handle, turn, place } = self;
        let turns = &handle.row.turns;
        // As in `try_put`. The waker is listed by then.
        if turns.poll(turn, cx).is_pending() && !handle.shared.refuses(&handle.row) {
            return Poll::Pending;
        }
        let result = ready!(handle.shared.wait(place, cx, |by_right| attempt(handle, by_right)));
        turns.leave(turn);
        Poll::Ready(result)
    }
}

impl<T, H: Deref<Target = Handle<T>>> Drop for InLine<T, H> {
    fn drop(&mut self) {
        self.handle.shared.leave(&mut self.place, false);
        self.handle.row.turns.leave(&mut self.turn);
    }
}

/// A put that may have to wait: for room, and then for its confirmation if the items are elsewhere.
pub(crate) struct Putting<T, H: Deref<Target = Handle<T>>> {
    line: InLine<T, H>,
    /// `None` once it is accepted or refused.
    item: Option<T>,
    /// Of an item that is accepted and not confirmed.
    receipt: Receipt,
}

impl<T, H: Deref<Target = Handle<T>>> Putting<T, H> {
    pub(crate) fn new(handle: H, item: T) -> Self {
        Self { line: InLine::new(handle), item: Some(item), receipt: None }
    }

    /// One that is accepted already.
    pub(super) fn accepted(handle: H, put: NonZeroU64) -> Self {
        Self { line: InLine::new(handle), item: None, receipt: Some(put) }
    }

    /// The item, if it is neither accepted nor refused, or can be called back.
    pub(crate) fn take_item(&mut self) -> Option<T> {
        self.item.take().or_else(|| {
            let withdrawn = self.shared().withdraw(self.receipt?);
            withdrawn.inspect(|_| self.receipt = None)
        })
    }

    /// Gives the put up because the actor that made it is going: the error has the item, unless the answer to it
    /// is still to come. On return the put stands in no line, and its handle's next one has its turn.
    pub(crate) fn give_up(mut self) -> Option<PutError<T>> {
        let item = self.take_item()?;
        Some(self.shared().refuse_orphan(&self.line.handle.row, item))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared<T>> {
        &self.line.handle.shared
    }

    /// One poll, the first of which tries before it waits.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PutError<T>>> {
        if !self.line.turn.is_held()
            && self.receipt.is_none()
            && let Some(put) = self.attempt()
        {
            return Poll::Ready(put);
        }
        self.wait(cx)
    }

    /// One poll until the item is accepted.
    pub(super) fn poll_accepted(&mut self, cx: &mut Context<'_>) -> Poll<Result<Receipt, PutError<T>>> {
        let Self { line, item, .. } = self;
        line.wait(cx, |handle, by_right| {
            let put = handle.shared.try_put(&handle.row, item.take()?, by_right);
            keep_if_full(item, put)
        })
    }

    fn confirmed(&mut self, waker: Option<Waker>) -> Option<Result<(), PutError<T>>> {
        let Some(receipt) = self.receipt else { return Some(Ok(())) };
        let confirmed = self.shared().confirmed(receipt, waker)?;
        self.receipt = None;
        Some(confirmed)
    }
}

impl<T, H: Deref<Target = Handle<T>>> Drop for Putting<T, H> {
    fn drop(&mut self) {
        if self.receipt.is_some() {
            drop_quietly(self.take_item());
        }
        if let Some(put) = self.receipt {
            self.shared().detach(put);
        }
    }
}

/// Keeps the item if there is no room.
fn keep_if_full<T>(item: &mut Option<T>, put: Result<(), NotDone<T>>) -> Option<Result<Receipt, PutError<T>>> {
    match put {
        Ok(()) => Some(Ok(None)),
        Err(NotDone::Unconfirmed(put)) => Some(Ok(Some(put))),
        Err(NotDone::Refused(error)) => Some(Err(error)),
        Err(NotDone::Full(back)) => {
            *item = Some(back);
            None
        }
    }
}

impl<T, H: Deref<Target = Handle<T>>> Operation for Putting<T, H> {
    type Output = Result<(), PutError<T>>;

    fn attempt(&mut self) -> Option<Self::Output> {
        if let Some(item) = self.item.take() {
            let put = self.line.handle.try_put(item);
            match keep_if_full(&mut self.item, put)? {
                Ok(receipt) => self.receipt = receipt,
                Err(error) => return Some(Err(error)),
            }
        }
        self.confirmed(None)
    }

    fn slack(&self) -> usize {
        self.shared().slack()
    }

    fn may_succeed(&self) -> bool {
        self.shared().may_put()
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.item.is_some() {
            match ready!(self.poll_accepted(cx)) {
                Ok(receipt) => self.receipt = receipt,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        if self.receipt.is_none() {
            return Poll::Ready(Ok(()));
        }
        self.confirmed(Some(cx.waker().clone())).map_or(Poll::Pending, Poll::Ready)
    }
}
