//! Cooperative scheduling: a task that always finds what it wants lets its executor run others now and then.

use std::cell::Cell;
use std::task::{Context, Poll};

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

/// Counts an operation. Returns whether it is to wait for [`poll_budget`] first.
#[inline]
pub(crate) fn is_due() -> bool {
    let operations = OPERATIONS.get() + 1;
    OPERATIONS.set(operations);
    operations.is_multiple_of(OPERATIONS_PER_UNIT)
}

/// Counts an operation, and is ready when it may go on. If it is pending, the task is woken at once.
#[inline]
pub(crate) fn poll_proceed(cx: &mut Context<'_>) -> Poll<()> {
    if is_due() { poll_budget(cx) } else { Poll::Ready(()) }
}

/// Is ready when an operation that was due to look at the budget may go on. If it is pending, the task is woken at once.
///
/// It is pending once, and not until there is a budget again: a task may run an executor of its own inside of a poll,
/// which polls on and on, and tokio gives no budget before that poll is over. For the same reason the task is woken
/// here, and not by tokio.
#[cold]
pub(crate) fn poll_budget(cx: &mut Context<'_>) -> Poll<()> {
    let operations = OPERATIONS.get();
    if operations == 0 {
        return Poll::Ready(());
    }
    if operations >= OPERATIONS_PER_YIELD || !coop::has_budget_remaining() {
        OPERATIONS.set(0);
        cx.waker().wake_by_ref();
        return Poll::Pending;
    }
    if let Poll::Ready(unit) = coop::poll_proceed(cx) {
        unit.made_progress();
    }
    Poll::Ready(())
}
