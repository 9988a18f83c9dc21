//! An open producer handle, and how its puts wait for room.

use std::borrow::BorrowMut;
use std::ops::Deref;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use super::block::Operation;
use crate::coop;
use crate::error::{OpenError, PutError, Refusal};
use crate::queue::{HandleKey, Line, NotPut, Place, ProducerRow, Receipt, Shared, Turn, drop_quietly, refused};
use crate::sync;

/// A share of an open handle. The handle closes with its last share.
pub(crate) type HandleShare<T> = sync::Arc<Handle<T>>;

/// An open handle. Permits, sinks and `Put` messages own a share of it, so that a close never overtakes earlier puts (C4).
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

    /// Opens another handle of the same endpoint. `None` if that was closed from outside.
    pub(super) fn another(&self) -> Option<Self> {
        let shared = Arc::clone(&self.shared);
        let (key, row) = shared.add_handle(&self.row.endpoint)?;
        Some(Self { shared, row, key })
    }

    /// Puts an item if there is room now, and no earlier put waits. A refusal comes at once, also if earlier puts wait.
    #[inline]
    pub(super) fn try_put(&self, put: &mut Option<T>) -> Result<Receipt, NotPut> {
        if self.is_behind_others() {
            return Err(NotPut::Full);
        }
        self.shared.try_put(&self.row, put, false)
    }

    #[inline]
    pub(super) fn is_behind_others(&self) -> bool {
        self.row.turns.is_busy() && !self.shared.refuses(&self.row)
    }
}

/// Waits for room: first for a turn among the puts of the handle, then in the queue's line.
pub(super) struct InLine<T, H: Deref<Target = Handle<T>>> {
    pub(super) handle: H,
    turn: Turn,
    place: Place,
}

impl<T, H: Deref<Target = Handle<T>>> InLine<T, H> {
    pub(super) fn new(handle: H) -> Self {
        Self { handle, turn: Turn::default(), place: Place::new(Line::Putters) }
    }

    /// Polls until `attempt` has a result, in turn. `attempt` is told whether it is entitled to the room kept for the line.
    pub(super) fn poll<R, E>(
        &mut self,
        cx: &mut Context<'_>,
        attempt: impl Fn(&Handle<T>, bool) -> Option<Result<R, E>>,
    ) -> Poll<Result<R, E>> {
        if !self.turn.is_held() {
            if coop::is_due() {
                return self.yield_in_turn(cx);
            }
            if !self.handle.row.turns.is_busy()
                && let Some(result) = attempt(&self.handle, false)
            {
                coop::count();
                return Poll::Ready(result);
            }
        }
        self.wait(cx, attempt)
    }

    /// Lets other tasks run. It takes its turn first, so that no later put of the handle overtakes it.
    pub(super) fn yield_in_turn<R>(&mut self, cx: &mut Context<'_>) -> Poll<R> {
        // The next poll checks again whether the turn has come.
        let _ = self.handle.row.turns.poll(&mut self.turn, cx);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Polls a put whose first attempt found no room, until the item is accepted.
    pub(super) fn put(&mut self, cx: &mut Context<'_>, put: &mut Option<T>) -> Poll<Result<Receipt, Refusal>> {
        self.wait(cx, |handle, entitled| accepted(handle.shared.try_put(&handle.row, put, entitled)))
    }

    /// Polls an operation whose first attempt had no result.
    fn wait<R, E>(
        &mut self,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut(&Handle<T>, bool) -> Option<Result<R, E>>,
    ) -> Poll<Result<R, E>> {
        let Self { handle, turn, place } = self;
        let turns = &handle.row.turns;
        // As in `try_put`: a refusal comes also out of turn. The waker is listed by now, and will be woken for it.
        if turns.poll(turn, cx).is_pending() && !handle.shared.refuses(&handle.row) {
            return Poll::Pending;
        }
        let result = ready!(handle.shared.wait(place, cx, |entitled| attempt(handle, entitled)));
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

/// An operation on an open handle that waits for room, as a thread.
pub(super) struct PutLineWait<T, H: Deref<Target = Handle<T>>, A> {
    line: InLine<T, H>,
    /// Is told whether it is entitled to the room that is kept for the line. `None` if there is no room.
    attempt: A,
}

impl<T, R, H, A> PutLineWait<T, H, A>
where
    H: Deref<Target = Handle<T>>,
    A: FnMut(&Handle<T>, bool) -> Option<R>,
{
    pub(super) fn new(handle: H, attempt: A) -> Self {
        Self { line: InLine::new(handle), attempt }
    }
}

impl<T, R, E, H, A> Operation for PutLineWait<T, H, A>
where
    H: Deref<Target = Handle<T>>,
    A: FnMut(&Handle<T>, bool) -> Option<Result<R, E>>,
{
    type Output = Result<R, E>;

    fn attempt(&mut self) -> Option<Self::Output> {
        let handle = &*self.line.handle;
        if handle.is_behind_others() { None } else { (self.attempt)(handle, false) }
    }

    fn may_succeed(&self) -> bool {
        self.line.handle.shared.may_put()
    }

    fn max_lead(&self) -> usize {
        self.line.handle.shared.max_lead()
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.line.wait(cx, &mut self.attempt)
    }
}

/// A put that may have to wait: for room, and then for its confirmation if the store is remote.
///
/// It may borrow the place of its item.
pub(crate) struct Putting<T, H: Deref<Target = Handle<T>>, P: BorrowMut<Option<T>> = Option<T>> {
    line: InLine<T, H>,
    /// The item, until it is accepted.
    put: P,
    receipt: Receipt,
}

impl<T, H: Deref<Target = Handle<T>>, P: BorrowMut<Option<T>>> Putting<T, H, P> {
    pub(crate) fn new(handle: H, put: P) -> Self {
        Self::accepted(handle, put, Receipt::Confirmed)
    }

    /// Continues a put whose first attempt returned this receipt, or found no room.
    pub(super) fn accepted(handle: H, put: P, receipt: Receipt) -> Self {
        Self { line: InLine::new(handle), put, receipt }
    }

    /// Takes the item back, unless it has been sent. Returns whether the item is here.
    pub(crate) fn call_back(&mut self) -> bool {
        if let Receipt::Unconfirmed(number) = self.receipt
            && let Some(item) = self.shared().withdraw(number)
        {
            self.receipt = Receipt::Confirmed;
            *self.put.borrow_mut() = Some(item);
        }
        self.put.borrow().is_some()
    }

    /// Builds the error of a put that was refused, around its item.
    pub(crate) fn refused(&mut self, reason: Refusal) -> PutError<T> {
        refused(self.put.borrow_mut().take(), reason)
    }

    /// Gives the put up because the actor that made it stops. The error has the item; `None` if the item has been sent and
    /// the answer is still to come. On return the put stands in no line, and the next put of the handle has its turn.
    pub(crate) fn give_up(mut self) -> Option<PutError<T>> {
        if !self.call_back() {
            return None;
        }
        let reason = self.shared().refusal_of(&self.line.handle.row).unwrap_or(Refusal::ActorStopped);
        Some(self.refused(reason))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared<T>> {
        &self.line.handle.shared
    }

    /// Polls the put. The first poll tries before it waits.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        if !self.line.turn.is_held()
            && self.put.borrow().is_some()
            && let Some(result) = self.attempt()
        {
            return Poll::Ready(result);
        }
        self.wait(cx)
    }

    pub(super) fn yield_in_turn<R>(&mut self, cx: &mut Context<'_>) -> Poll<R> {
        self.line.yield_in_turn(cx)
    }

    fn confirmed(&mut self, waker: Option<Waker>) -> Option<Result<(), Refusal>> {
        let Receipt::Unconfirmed(number) = self.receipt else { return Some(Ok(())) };
        let confirmed = self.line.handle.shared.confirmed(number, self.put.borrow_mut(), waker)?;
        self.receipt = Receipt::Confirmed;
        Some(confirmed)
    }
}

impl<T, H: Deref<Target = Handle<T>>, P: BorrowMut<Option<T>>> Drop for Putting<T, H, P> {
    fn drop(&mut self) {
        let Receipt::Unconfirmed(number) = self.receipt else { return };
        match self.shared().withdraw(number) {
            Some(item) => drop_quietly(item),
            None => self.shared().detach(self.receipt),
        }
    }
}

/// Separates "no room", `None`, from results.
pub(super) fn accepted<R>(put: Result<R, NotPut>) -> Option<Result<R, Refusal>> {
    match put {
        Ok(accepted) => Some(Ok(accepted)),
        Err(NotPut::Refused(reason)) => Some(Err(reason)),
        Err(NotPut::Full) => None,
    }
}

impl<T, H: Deref<Target = Handle<T>>, P: BorrowMut<Option<T>>> Operation for Putting<T, H, P> {
    type Output = Result<(), Refusal>;

    fn attempt(&mut self) -> Option<Self::Output> {
        let put = self.put.borrow_mut();
        if put.is_some() {
            match accepted(self.line.handle.try_put(put))? {
                Ok(receipt) => self.receipt = receipt,
                Err(reason) => return Some(Err(reason)),
            }
        }
        self.confirmed(None)
    }

    fn max_lead(&self) -> usize {
        self.shared().max_lead()
    }

    fn may_succeed(&self) -> bool {
        self.shared().may_put()
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.put.borrow().is_some() {
            self.receipt = ready!(self.line.put(cx, self.put.borrow_mut()))?;
        }
        if self.receipt == Receipt::Confirmed {
            return Poll::Ready(Ok(()));
        }
        self.confirmed(Some(cx.waker().clone())).map_or(Poll::Pending, Poll::Ready)
    }
}
