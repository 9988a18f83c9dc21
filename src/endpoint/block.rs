//! How a thread waits for an operation.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::arbiter::assert_may_block;
use crate::sync::thread::{self, Thread};
use crate::sync::{Instant, SpinBackoff, thread_local};

/// A pending operation. Dropping it leaves every line that it stands in.
pub(crate) trait Operation {
    type Output;

    /// Tries once, without parking.
    fn attempt(&mut self) -> Option<Self::Output>;

    /// Parks the waker, after an attempt that had no result, and tries again.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Self::Output>;

    /// Returns whether an attempt is worth while, without taking a lock.
    fn may_succeed(&self) -> bool {
        true
    }

    /// Returns how many items the other side can get ahead while a thread spins; 0 if spinning is of no use.
    fn max_lead(&self) -> usize {
        0
    }
}

/// How long a thread may wait.
#[derive(Debug, Clone, Copy)]
pub(super) enum Limit {
    Endless,
    For(Duration),
    Until(Instant),
}

impl Limit {
    /// Returns when the wait ends: `None` if there is no time left, `Some(None)` if it has no end. It reads the clock, so
    /// it is called only by what has to wait.
    pub(super) fn deadline(self) -> Option<Option<Instant>> {
        match self {
            Self::Endless => Some(None),
            Self::For(Duration::ZERO) => None,
            // A timeout that is too long for a point in time has no end.
            Self::For(timeout) => Some(Instant::now().checked_add(timeout)),
            Self::Until(deadline) => time_left(deadline).map(|_| Some(deadline)),
        }
    }
}

/// Returns the time until the deadline, `None` if it has passed.
fn time_left(deadline: Instant) -> Option<Duration> {
    deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
}

/// Wakes a parked thread. With a waker of its own, a thread waits in the same lines as tasks do.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

thread_local! {
    static UNPARK: Waker = unpark();
}

fn unpark() -> Waker {
    Arc::new(Unpark(thread::current())).into()
}

/// How often a thread pauses before its second attempt: about a microsecond.
const SPINS: usize = 64;

/// Waits for an operation whose first attempt had no result; `None` if that takes longer than the limit allows.
///
/// Spins a little before it parks: under load the other side is rarely far.
#[cold]
#[track_caller]
pub(super) fn block<O: Operation>(operation: &mut O, limit: Limit, instead: &str) -> Option<O::Output> {
    let deadline = limit.deadline()?;
    assert_may_block(instead);
    // Let the other side get some items ahead: two threads that hand over item by item pass a cache line back and forth
    // for each of them.
    for _ in 0..operation.max_lead().min(SPINS) {
        std::hint::spin_loop();
    }
    let backoff = SpinBackoff::new();
    while !backoff.is_completed() {
        backoff.snooze();
        if operation.may_succeed()
            && let Some(output) = operation.attempt()
        {
            return Some(output);
        }
    }
    // This thread-local may be gone already, when the destructor of another one waits.
    let waker = UNPARK.try_with(Waker::clone).unwrap_or_else(|_| unpark());
    let mut cx = Context::from_waker(&waker);
    loop {
        // A stray wake-up leads to one more look.
        if let Poll::Ready(output) = operation.wait(&mut cx) {
            return Some(output);
        }
        match deadline {
            None => thread::park(),
            Some(deadline) => thread::park_timeout(time_left(deadline)?),
        }
    }
}

/// Waits for an operation whose first attempt had no result, without a limit.
#[track_caller]
pub(super) fn block_without_limit<O: Operation>(operation: &mut O, instead: &str) -> O::Output {
    block(operation, Limit::Endless, instead).unwrap_or_else(|| unreachable!("only a limit ends without a result"))
}
