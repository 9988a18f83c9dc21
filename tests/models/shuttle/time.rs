//! Time that passes only when a model says so: a schedule is the same each time.

use std::cell::Cell;
use std::time::Duration;

std::thread_local! {
    /// All threads of a model are one to the machine.
    static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// For a model that begins.
pub(crate) fn reset() {
    NOW.set(Duration::ZERO);
}

pub(crate) fn pass(time: Duration) {
    NOW.set(NOW.get().saturating_add(time));
}

#[derive(Debug, Clone, Copy)]
pub struct Instant(Duration);

impl Instant {
    pub(crate) fn now() -> Self {
        Self(NOW.get())
    }

    pub(crate) fn elapsed(self) -> Duration {
        NOW.get().saturating_sub(self.0)
    }

    pub(crate) fn checked_add(self, time: Duration) -> Option<Self> {
        self.0.checked_add(time).map(Self)
    }

    pub(crate) fn checked_duration_since(self, earlier: Self) -> Option<Duration> {
        self.0.checked_sub(earlier.0)
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct CoarseInstant(Instant);

impl CoarseInstant {
    pub(crate) fn now() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> coarsetime::Duration {
        coarsetime::Duration::from_millis(self.0.elapsed().as_millis() as u64)
    }
}
