//! The queue's clock: milliseconds since the queue was built.
//!
//! For the ages in snapshots, on which no rule of the contract depends, it is read in a few nanoseconds. For the time that
//! an item waits before it comes back it is read exactly, as the item must not come back too early.

use std::time::Duration;

use crate::sync::{CoarseInstant, Instant};

/// A point in time, in milliseconds since the queue was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Ticks(pub(crate) u64);

impl Ticks {
    pub(crate) const MAX: Self = Self(u64::MAX);

    pub(crate) fn since(self, earlier: Ticks) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    /// Of the kernel's coarse monotonic clock: precise to some milliseconds, at a quarter of the cost of `Instant::now`.
    built: CoarseInstant,
    built_exactly: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { built: CoarseInstant::now(), built_exactly: Instant::now() }
    }

    #[inline]
    pub(crate) fn now(&self) -> Ticks {
        Ticks(self.built.elapsed().as_millis())
    }

    /// Returns the time for [`due_after`](Clock::due_after): what is due by then is due now.
    pub(crate) fn exactly_now(&self) -> Ticks {
        Ticks(u64::try_from(self.built_exactly.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Returns when an item is due that waits for this time from now on.
    pub(crate) fn due_after(&self, delay: Duration) -> Ticks {
        round_up(self.built_exactly.elapsed().saturating_add(delay))
    }
}

/// Rounds up to whole milliseconds, so that nothing is due too early.
fn round_up(time: Duration) -> Ticks {
    Ticks(u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_times_to_come_are_in_milliseconds_and_never_too_early() {
        assert_eq!(Ticks(7).since(Ticks(4)), Duration::from_millis(3));
        assert_eq!(Ticks(4).since(Ticks(7)), Duration::ZERO);
        assert_eq!(round_up(Duration::from_millis(3)), Ticks(3));
        assert_eq!(round_up(Duration::from_nanos(4_000_001)), Ticks(5));
        assert_eq!(round_up(Duration::MAX), Ticks::MAX);
        assert_eq!(Clock::start().due_after(Duration::MAX), Ticks::MAX);
    }
}
