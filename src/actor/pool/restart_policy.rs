//! When a worker that died is restarted, and when its pool gives up.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::backoff::Backoff;

/// The longest time that the supervisor waits for anything: a year.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(365 * 24 * 3600);

#[derive(Debug)]
pub(super) struct RestartPolicy {
    /// At most this many deaths within this time.
    pub(super) limit: Option<(usize, Duration)>,
    /// The delay before a restart, by the worker's idle deaths in a row.
    pub(super) backoff: Backoff,
    /// The deaths within the time of the limit.
    deaths: VecDeque<Instant>,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self { limit: None, backoff: Backoff::OF_RESTARTS, deaths: VecDeque::new() }
    }
}

impl RestartPolicy {
    /// Counts a death. Returns whether there are now more than the limit allows.
    pub(super) fn count_death(&mut self) -> bool {
        let Some((restarts, within)) = self.limit else { return false };
        let now = Instant::now();
        self.deaths.push_back(now);
        while self.deaths.front().is_some_and(|death| now.duration_since(*death) > within) {
            self.deaths.pop_front();
        }
        self.deaths.len() > restarts
    }

    /// Returns how long to wait before a worker is restarted that died this many times in a row while idle.
    pub(super) fn delay(&self, idle_deaths: u32) -> Duration {
        match idle_deaths {
            0 => Duration::ZERO,
            idle_deaths => self.backoff.delay(idle_deaths).min(LONGEST_WAIT),
        }
    }
}
