//! Items that were fetched from Redis and wait here for a consumer; and how many to fetch.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::engine::{Entry, MAX_BATCH};

/// Fetched ahead is what consumers will use up in about this time: longer, and items would wait here
/// for a busy process while another one is idle; shorter, and consumers would wait for the way to Redis.
const AHEAD: Duration = Duration::from_millis(10);

/// The most that is fetched ahead.
const MOST: usize = MAX_BATCH;

/// What nobody has taken for so long is not for the consumers here. Less would bring back what has only just come:
/// those for whom it is need a moment to wake up.
const STALE: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(super) struct Outlet {
    fetched: VecDeque<(u64, Entry)>,
    /// Somebody has looked in vain since the last fetch.
    asked: bool,
    /// Taken since the last measurement, which was then; and when there was nothing left.
    taken: usize,
    measured: Instant,
    emptied: Option<Instant>,
    /// How long the last fetch took.
    trip: Duration,
    /// How many are to be here.
    target: usize,
    /// Whether any came or was taken since the last look at what lies here for long, which was then.
    moved: bool,
    looked: Instant,
}

impl Outlet {
    pub(super) fn new() -> Self {
        Self {
            fetched: VecDeque::new(),
            asked: false,
            taken: 0,
            measured: Instant::now(),
            emptied: None,
            trip: Duration::ZERO,
            target: 0,
            moved: true,
            looked: Instant::now(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.fetched.len()
    }

    pub(super) fn fill(&mut self, first: u64, entries: impl IntoIterator<Item = Entry>) {
        self.fetched.extend((first..).zip(entries));
        self.asked = false;
        if self.emptied.take().is_some() {
            // Nothing could be taken meanwhile.
            self.measured = Instant::now();
        }
        self.moved = true;
    }

    /// Takes one, and says whether more should be fetched.
    pub(super) fn take(&mut self) -> (Option<(u64, Entry)>, bool) {
        let Some(first) = self.fetched.pop_front() else {
            let news = !self.asked;
            self.asked = true;
            return (None, news);
        };
        self.taken += 1;
        self.moved = true;
        if self.fetched.is_empty() {
            self.emptied = Some(Instant::now());
        }
        // Once, on the way down.
        (Some(first), self.fetched.len() == self.target / 2)
    }

    /// How long a fetch took.
    pub(super) fn took(&mut self, trip: Duration) {
        self.trip = trip;
    }

    /// How many to fetch now, with so many consumers waiting.
    pub(super) fn wanted(&mut self, waiting: usize) -> usize {
        let waiting = waiting.max(usize::from(self.asked));
        if self.fetched.len() > self.target / 2 && waiting == 0 {
            return 0;
        }
        let until = self.emptied.unwrap_or_else(Instant::now);
        let elapsed = until.duration_since(self.measured).max(Duration::from_micros(1));
        // Where the way to Redis is long, what is taken on it is fetched ahead, too.
        let ahead = AHEAD.max(2 * self.trip);
        let pace = (self.taken as f64 * ahead.as_secs_f64() / elapsed.as_secs_f64()) as usize;
        // Of less than one, none: it would wait for a consumer that is busy. It doubles at most: the first items of
        // many are no measure of the others.
        self.target = pace.min(2 * self.target + waiting).max(waiting).min(MOST);
        (self.taken, self.measured) = (0, Instant::now());
        // Others were woken for what is here.
        self.target.saturating_sub(self.fetched.len()).max(waiting).min(MOST)
    }

    /// What has lain here since the last look, for others: consumers here are busy.
    pub(super) fn take_stale(&mut self) -> VecDeque<(u64, Entry)> {
        if self.looked.elapsed() < STALE {
            return VecDeque::new();
        }
        self.looked = Instant::now();
        if std::mem::replace(&mut self.moved, false) { VecDeque::new() } else { self.take_all() }
    }

    pub(super) fn take_all(&mut self) -> VecDeque<(u64, Entry)> {
        std::mem::take(&mut self.fetched)
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, Outlet};

    fn entries(count: usize) -> Vec<Entry> {
        vec![Entry { attempts: 0, payload: Vec::new() }; count]
    }

    #[test]
    fn as_many_are_fetched_as_consumers_wait_for() {
        let mut outlet = Outlet::new();
        assert_eq!(outlet.wanted(0), 0);
        assert_eq!(outlet.wanted(3), 3);
    }

    #[test]
    fn who_looks_in_vain_has_one_fetched_and_says_so_once() {
        let mut outlet = Outlet::new();
        assert_eq!(outlet.take(), (None, true));
        assert_eq!(outlet.take(), (None, false));
        assert_eq!(outlet.wanted(0), 1);
        outlet.fill(7, entries(1));
        assert_eq!(outlet.take().0.map(|(lease, _)| lease), Some(7));
        assert_eq!(outlet.take(), (None, true));
    }

    #[test]
    fn quick_consumers_have_more_fetched_ahead_and_call_for_more_in_time() {
        let mut outlet = Outlet::new();
        let (mut next, mut most) = (1, 0);
        for _ in 0..20 {
            let wanted = outlet.wanted(1);
            most = most.max(wanted);
            outlet.fill(next, entries(wanted));
            next += wanted as u64;
            let called = (0..wanted).filter(|_| outlet.take().1).count();
            assert_eq!(called, 1, "once on the way down from {wanted}");
        }
        assert!(most > 1);
    }
}
