//! Puts that are confirmed later.

use std::ops::Deref;
use std::task::{Context, Poll, Waker};

use super::block::Operation;
use crate::error::Refusal;
use crate::queue::{Receipt, Shared};

/// Several puts that are not confirmed. They are confirmed in order, so only the last is kept.
pub(super) struct UnconfirmedPuts<T, S: Deref<Target = Shared<T>>> {
    shared: S,
    last: Receipt,
}

impl<T, S: Deref<Target = Shared<T>>> UnconfirmedPuts<T, S> {
    pub(super) fn new(shared: S) -> Self {
        Self { shared, last: Receipt::Confirmed }
    }

    /// Adds a put.
    pub(super) fn push(&mut self, receipt: Receipt) {
        self.shared.detach(self.last);
        self.last = receipt;
    }

    /// Returns an operation that waits until all of them are confirmed. A refusal hands the last item back, into `put`.
    pub(super) fn confirming<'a>(&'a mut self, put: &'a mut Option<T>) -> Confirming<'a, T, S> {
        Confirming { unconfirmed: self, put }
    }
}

pub(super) struct Confirming<'a, T, S: Deref<Target = Shared<T>>> {
    unconfirmed: &'a mut UnconfirmedPuts<T, S>,
    put: &'a mut Option<T>,
}

impl<T, S: Deref<Target = Shared<T>>> Confirming<'_, T, S> {
    fn confirmed(&mut self, waker: Option<Waker>) -> Option<Result<(), Refusal>> {
        let Receipt::Unconfirmed(number) = self.unconfirmed.last else { return Some(Ok(())) };
        let confirmed = self.unconfirmed.shared.confirmed(number, self.put, waker)?;
        self.unconfirmed.last = Receipt::Confirmed;
        Some(confirmed)
    }
}

impl<T, S: Deref<Target = Shared<T>>> Operation for Confirming<'_, T, S> {
    type Output = Result<(), Refusal>;

    fn attempt(&mut self) -> Option<Self::Output> {
        self.confirmed(None)
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.confirmed(Some(cx.waker().clone())).map_or(Poll::Pending, Poll::Ready)
    }
}

impl<T, S: Deref<Target = Shared<T>>> Drop for UnconfirmedPuts<T, S> {
    fn drop(&mut self) {
        self.shared.detach(self.last);
    }
}
