//! Cooperative scheduling: a task whose operations never have to wait lets its executor run other tasks now and then.
//!
//! Only operations that made progress are counted. One that has yielded goes on when it is polled again, whatever the budget
//! is then: a task may run an executor of its own inside a poll, and tokio gives no further budget before that poll ends.

use std::cell::Cell;
use std::future::poll_fn;
use std::mem;
use std::task::{Context, Poll, Waker};

use tokio::task::coop;

/// One operation in this many takes a unit of the budget that tokio gives to each poll of a task. Looking at the budget each
/// time would make operations a fifth slower.
const OPERATIONS_PER_UNIT: u32 = 32;
/// One operation in this many yields to the executor, also if the executor gives no budget.
const OPERATIONS_PER_YIELD: u32 = 1024;

thread_local! {
    /// The operations on this thread since one of them yielded.
    static OPERATIONS: Cell<u32> = const { Cell::new(0) };
}

/// Returns whether the operation that begins should yield first. It yields once, and then goes on.
#[inline]
pub(crate) fn is_due() -> bool {
    let next = OPERATIONS.get() + 1;
    next.is_multiple_of(OPERATIONS_PER_UNIT) && is_due_now()
}

/// Returns whether an operation on many items should yield first. It looks each time, as the count may pass by the numbers
/// at which the others look.
#[cold]
pub(crate) fn is_due_now() -> bool {
    let due = OPERATIONS.get() + 1 >= OPERATIONS_PER_YIELD || !coop::has_budget_remaining();
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
    // Without a budget left it would wake this waker.
    if let Poll::Ready(unit) = coop::poll_proceed(&mut Context::from_waker(Waker::noop())) {
        unit.made_progress();
    }
}

/// Polls whether an operation may begin. If a yield is due, it is pending once, and wakes the task at once.
#[inline]
pub(crate) fn poll_begin(has_yielded: &mut bool, cx: &mut Context<'_>) -> Poll<()> {
    if mem::take(has_yielded) || !is_due() {
        return Poll::Ready(());
    }
    *has_yielded = true;
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Yields: it is pending once, and wakes the task at once.
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
