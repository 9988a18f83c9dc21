//! How long to wait before the next try.

use std::time::Duration;

/// How long to wait before something is tried again: longer after each failure in a row, and partly random, so that items
/// that failed together do not come back together.
///
/// Half of the time is fixed and half is random: the "equal jitter" of
/// [Exponential Backoff And Jitter](https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
///
/// # Examples
///
/// ```
/// use actix_iterable_queue::{Backoff, IterableQueue};
/// use std::time::Duration;
///
/// let backoff = Backoff::exponential(Duration::from_millis(100), Duration::from_secs(30));
/// let queue = IterableQueue::<u64>::builder().redelivery_backoff(backoff).build()?;
/// # Ok::<(), actix_iterable_queue::error::BuildError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Backoff {
    /// Between restarts of a worker that died and was not at work on an item.
    pub(crate) const OF_RESTARTS: Self = Self::exponential(Duration::from_millis(10), Duration::from_secs(10));

    /// Creates a backoff of at most `first` after the first failure, twice as long after each further one, and never more
    /// than `longest`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::Backoff;
    /// # use std::time::Duration;
    /// let [first, longest] = [100, 300].map(Duration::from_millis);
    /// let backoff = Backoff::exponential(first, longest);
    /// assert!(backoff.delay(1) <= first);
    /// assert!(backoff.delay(2) >= first);
    /// assert!(backoff.delay(50) <= longest);
    /// ```
    #[must_use]
    pub const fn exponential(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// Returns how long to wait after this number of failures in a row: between half of the time for that number and all of
    /// it. The first failure is number 1.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::Backoff;
    /// # use std::time::Duration;
    /// let backoff = Backoff::exponential(Duration::from_secs(1), Duration::from_secs(60));
    /// assert!((Duration::from_secs(2)..=Duration::from_secs(4)).contains(&backoff.delay(3)));
    /// ```
    #[must_use]
    pub fn delay(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1);
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let most = self.first.saturating_mul(factor).min(self.longest);
        let half = most / 2;
        half + Duration::from_nanos(fastrand::u64(0..=u64::try_from(half.as_nanos()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::Backoff;
    use std::time::Duration;

    #[test]
    fn it_doubles_up_to_the_longest_and_half_of_it_is_random() {
        let backoff = Backoff::exponential(Duration::from_millis(10), Duration::from_millis(70));
        for (failures, most) in [(1, 10), (2, 20), (3, 40), (4, 70), (5, 70), (33, 70), (u32::MAX, 70)] {
            let (half, most) = (Duration::from_millis(most) / 2, Duration::from_millis(most));
            let delays: Vec<_> = (0..100).map(|_| backoff.delay(failures)).collect();
            assert!(delays.iter().all(|delay| (half..=most).contains(delay)), "after {failures}: {delays:?}");
            assert!(delays.iter().any(|delay| *delay != delays[0]), "nothing is random");
        }
    }

    #[test]
    fn none_and_for_ever_are_fine() {
        assert_eq!(Backoff::exponential(Duration::ZERO, Duration::MAX).delay(9), Duration::ZERO);
        assert!(Backoff::exponential(Duration::MAX, Duration::MAX).delay(9) >= Duration::MAX / 2);
    }
}
