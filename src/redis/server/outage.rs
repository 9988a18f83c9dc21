//! What the log says while Redis is away: why, again when the reason changes, a reminder each minute, and the end.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How often the same reason is said.
const REMINDER: Duration = Duration::from_secs(60);

/// What comes again within this time belongs to the same outage: it is not said each time.
const CALM: Duration = Duration::from_secs(5);

/// An outage that several queues may see.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    /// How many queues see it now.
    away: usize,
    since: Option<Instant>,
    ended: Option<Instant>,
    /// When each reason was said last.
    said: HashMap<String, Instant>,
    /// Whether its beginning was said, and so its end is to be.
    told: bool,
}

/// What is to be said of a failure.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Say {
    Begins,
    /// For how long it has lasted.
    Lasts(Duration),
}

impl Outage {
    /// One more queue sees it.
    pub(crate) fn begins(&mut self, now: Instant) {
        self.away += 1;
        if self.away == 1 {
            if self.ended.is_none_or(|ended| now.duration_since(ended) >= CALM) {
                self.said.clear();
            }
            self.since = Some(now);
        }
    }

    /// Something failed for this reason.
    pub(crate) fn because(&mut self, reason: &str, now: Instant) -> Option<Say> {
        let again = |last: &Instant| now.duration_since(*last) >= REMINDER;
        if !self.said.get(reason).is_none_or(again) {
            return None;
        }
        if self.said.len() > 100 {
            self.said.clear();
        }
        self.said.insert(reason.to_owned(), now);
        if !std::mem::replace(&mut self.told, true) {
            return Some(Say::Begins);
        }
        Some(Say::Lasts(self.since.map_or(Duration::ZERO, |since| now.duration_since(since))))
    }

    /// One queue less sees it, and it goes on.
    pub(crate) fn is_left(&mut self) {
        self.away -= 1;
    }

    /// It is over for one queue. Returns how long it took if it is over for all, and was told of.
    pub(crate) fn ends(&mut self, now: Instant) -> Option<Duration> {
        self.away -= 1;
        if self.away > 0 {
            return None;
        }
        self.ended = Some(now);
        let since = self.since.take()?;
        std::mem::take(&mut self.told).then(|| now.duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{CALM, Outage, REMINDER, Say};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_reason_is_said_once_a_minute_and_another_one_at_once() {
        let (mut outage, begin) = (Outage::default(), Instant::now());
        outage.begins(begin);
        assert_eq!(outage.because("refused", begin), Some(Say::Begins));
        assert_eq!(outage.because("refused", begin + SECOND), None);
        assert_eq!(outage.because("READONLY", begin + 2 * SECOND), Some(Say::Lasts(2 * SECOND)));
        assert_eq!(outage.because("refused", begin + 3 * SECOND), None, "it was said within the minute");
        assert_eq!(outage.because("refused", begin + REMINDER), Some(Say::Lasts(REMINDER)));
        assert_eq!(outage.ends(begin + 2 * REMINDER), Some(2 * REMINDER));
    }

    #[test]
    fn queues_that_share_an_outage_say_its_beginning_and_its_end_once() {
        let (mut outage, begin) = (Outage::default(), Instant::now());
        (0..3).for_each(|_| outage.begins(begin));
        let said = [(); 3].map(|()| outage.because("refused", begin));
        assert_eq!(said, [Some(Say::Begins), None, None]);
        let ends = [(); 3].map(|()| outage.ends(begin + SECOND));
        assert_eq!(ends, [None, None, Some(SECOND)]);
    }

    #[test]
    fn the_end_is_said_also_if_the_queue_that_said_the_beginning_is_gone() {
        let (mut outage, begin) = (Outage::default(), Instant::now());
        outage.begins(begin);
        assert_eq!(outage.because("refused", begin), Some(Say::Begins));
        outage.is_left();
        outage.begins(begin);
        assert_eq!(outage.ends(begin + SECOND), Some(SECOND));
    }

    #[test]
    fn what_fails_again_and_again_is_not_said_each_time() {
        let (mut outage, mut now) = (Outage::default(), Instant::now());
        let mut once = |pause: Duration| {
            now += pause;
            outage.begins(now);
            let begins = outage.because("ERR", now) == Some(Say::Begins);
            (begins, outage.ends(now).is_some())
        };
        assert_eq!(once(SECOND), (true, true));
        assert_eq!(once(SECOND), (false, false));
        assert_eq!(once(CALM), (true, true));
    }
}
