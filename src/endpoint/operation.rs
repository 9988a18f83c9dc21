//! Something that may have to wait, for a task or for a thread.

use std::task::{Context, Poll};

/// A pending operation. Dropping it leaves every line that it stands in.
pub(crate) trait Operation {
    type Output;

    /// One try that leaves nothing behind.
    fn attempt(&mut self) -> Option<Self::Output>;

    /// A look without a lock: whether an attempt is worth while.
    fn may_succeed(&self) -> bool;

    /// By how many items the other side can get ahead while a thread spins.
    fn slack(&self) -> usize;

    /// One poll after an attempt in vain: it parks the waker.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Self::Output>;
}
