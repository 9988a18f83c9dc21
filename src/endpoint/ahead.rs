//! Puts whose confirmation is left for later.

use std::ops::Deref;
use std::task::{Context, Poll};

use crate::error::Refusal;
use crate::queue::{Receipt, Shared};

/// The last of several puts that are not confirmed. They are confirmed in order, so only the last is asked for.
pub(super) struct Ahead<T, S: Deref<Target = Shared<T>>> {
    shared: S,
    last: Receipt,
}

impl<T, S: Deref<Target = Shared<T>>> Ahead<T, S> {
    pub(super) fn new(shared: S) -> Self {
        Self { shared, last: Receipt::Confirmed }
    }

    /// Notes a further put.
    pub(super) fn push(&mut self, receipt: Receipt) {
        self.shared.detach(self.last);
        self.last = receipt;
    }

    /// Is ready when all of them are confirmed. A refusal hands the last item back, into `put`.
    pub(super) fn poll_confirmed(&mut self, put: &mut Option<T>, cx: &Context<'_>) -> Poll<Result<(), Refusal>> {
        let Receipt::Unconfirmed(number) = self.last else { return Poll::Ready(Ok(())) };
        let Some(confirmed) = self.shared.confirmed(number, put, Some(cx.waker().clone())) else {
            return Poll::Pending;
        };
        self.last = Receipt::Confirmed;
        Poll::Ready(confirmed)
    }
}

impl<T, S: Deref<Target = Shared<T>>> Drop for Ahead<T, S> {
    fn drop(&mut self) {
        self.shared.detach(self.last);
    }
}
