//! Cooperative scheduling: a task that always finds what it wants lets its executor run others now and then.
//!
//! Only operations that made progress are counted, and one that has yielded goes on when it is polled again, whatever
//! the budget is by then: a task may run an executor of its own inside of a poll, and tokio gives no further budget
//! before that poll is over.

use std::cell::Cell;
use std::future::poll_fn;
use std::mem;
use std::task::{Context, Poll, Waker};

use tokio::task::coop;

/// One operation in this many takes a unit of the budget that tokio gives to each poll of a task. To look at the
/// budget takes as long as a fifth of an operation.
const OPERATIONS_PER_UNIT: u32 = 32;
/// One operation in this many lets the executor go, whether it gives a budget or not.
const OPERATIONS_PER_YIELD: u32 = 1024;

thread_local! {
    /// The operations on this thread since one of them let its executor go.
    static OPERATIONS: Cell<u32> = const { Cell::new(0) };
}

/// Returns whether the operation that begins is to yield first. After that it goes on.
#[inline]
pub(crate) fn is_due() -> bool {
    let next = OPERATIONS.get() + 1;
    next.is_multiple_of(OPERATIONS_PER_UNIT) && is_due_now(next)
}

#[cold]
fn is_due_now(next: u32) -> bool {
    let due = next >= OPERATIONS_PER_YIELD || !coop::has_budget_remaining();
    if due {
        OPERATIONS.set(0);
    }
    due
}

/// Counts an operation that made progress.
#[inline]
pub(crate) fn count() {
    let operations = OPERATIONS.get() + 1;
    OPERATIONS.set(operations);
    if operations.is_multiple_of(OPERATIONS_PER_UNIT) {
        take_unit();
    }
}

#[cold]
fn take_unit() {
    // If there is none, it would have this waker woken.
    if let Poll::Ready(unit) = coop::poll_proceed(&mut Context::from_waker(Waker::noop())) {
        unit.made_progress();
    }
}

/// Is ready when an operation may begin. It is pending once if that is due, with the task woken at once.
#[inline]
pub(crate) fn poll_begin(has_yielded: &mut bool, cx: &mut Context<'_>) -> Poll<()> {
    if mem::take(has_yielded) || !is_due() {
        return Poll::Ready(());
    }
    *has_yielded = true;
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Is pending once, with the task woken at once.
pub(crate) async fn yield_now() {
    let mut has_yielded = false;
    poll_fn(|cx| {
        if mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
