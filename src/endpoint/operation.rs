//! Something that may have to wait, for a task or for a thread.

use std::task::{Context, Poll};
use std::time::Duration;

use crate::sync::Instant;

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

/// How long a thread may wait.
#[derive(Debug, Clone, Copy)]
pub(super) enum Limit {
    Endless,
    For(Duration),
    Until(Instant),
}

impl Limit {
    /// Until when to wait, if there is such a moment; `None` if there is no time to wait at all. Called only where
    /// something has to wait, because it looks at the clock.
    pub(super) fn deadline(self) -> Option<Option<Instant>> {
        match self {
            Self::Endless => Some(None),
            Self::For(Duration::ZERO) => None,
            // A timeout too far away to be a point in time is none.
            Self::For(timeout) => Some(Instant::now().checked_add(timeout)),
            Self::Until(deadline) => time_left(deadline).map(|_| Some(deadline)),
        }
    }
}

/// `None` if the deadline has passed.
pub(super) fn time_left(deadline: Instant) -> Option<Duration> {
    deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
}
