//! The queue's clock: milliseconds since the queue was built, read in a few nanoseconds.
//!
//! It is used for the ages in snapshots and for the backoff before a redelivery. No rule of the contract depends on it.

use std::ops::Add;
use std::time::Duration;

use crate::sync::CoarseInstant;

/// A point in time, in milliseconds since the queue was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Ticks(pub(crate) u64);

impl Ticks {
    pub(crate) const MAX: Self = Self(u64::MAX);

    pub(crate) fn since(self, earlier: Ticks) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Ticks {
    type Output = Self;

    /// Rounds up to whole milliseconds, so that nothing is due too early.
    fn add(self, later: Duration) -> Self {
        let millis = later.as_nanos().div_ceil(1_000_000);
        Self(self.0.saturating_add(u64::try_from(millis).unwrap_or(u64::MAX)))
    }
}

/// The kernel's coarse monotonic clock: precise to some milliseconds, at a quarter of the cost of `Instant::now`.
#[derive(Debug)]
pub(crate) struct Clock {
    built: CoarseInstant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { built: CoarseInstant::now() }
    }

    #[inline]
    pub(crate) fn now(&self) -> Ticks {
        Ticks(self.built.elapsed().as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_times_to_come_are_in_milliseconds_and_never_too_early() {
        assert_eq!(Ticks(7).since(Ticks(4)), Duration::from_millis(3));
        assert_eq!(Ticks(4).since(Ticks(7)), Duration::ZERO);
        assert_eq!(Ticks(4) + Duration::from_millis(3), Ticks(7));
        assert_eq!(Ticks(4) + Duration::from_nanos(1), Ticks(5));
        assert_eq!(Ticks(4) + Duration::MAX, Ticks::MAX);
    }
}
