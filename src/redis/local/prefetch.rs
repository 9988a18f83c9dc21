//! Items that were fetched from Redis and wait here for a consumer; and how many to fetch.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::redis::client::{Entry, MAX_BATCH};

/// Fetched ahead is what consumers use in about this time: with more, items would wait here for a busy process
/// while another one is idle; with less, consumers would wait for the way to Redis.
const AHEAD: Duration = Duration::from_millis(10);

/// The most that is fetched ahead.
const MOST: usize = MAX_BATCH;

/// An item that was fetched so long ago is not for the consumers here. A consumer for which it was fetched needs a
/// moment to wake up.
pub(crate) const STALE: Duration = Duration::from_millis(250);

/// An item for somebody who polls is kept for so long, and asks for no item after so long.
const POLLED: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Prefetch {
    /// In the order in which they are handed out, which is that of their delivery ids. None is empty.
    fetched: VecDeque<FetchedBatch>,
    len: usize,
    /// The highest delivery id that a consumer was handed.
    handed: u64,
    /// When a consumer last found nothing, since the last fetch.
    asked: Option<Instant>,
    /// Nobody waits for what is being fetched: a consumer has asked for the first item of it, and asks again.
    polled: bool,
    /// How many were taken ever.
    taken: u64,
    pace: Pace,
    /// How long the last two fetches took.
    trips: [Duration; 2],
    /// How many are to be here.
    target: usize,
}

/// What came in one fetch.
#[derive(Debug)]
struct FetchedBatch {
    entries: VecDeque<(u64, Entry)>,
    /// When what is left of it goes back.
    due: Instant,
}

/// How quickly consumers take. One take tells nothing of the next one, so it is measured over windows of time; or over a
/// time of work that is over, with all that was taken in it done. Time without work tells nothing.
#[derive(Debug)]
struct Pace {
    /// In the window that began then.
    taken: usize,
    began: Instant,
    /// All is done, and consumers wait.
    idle: bool,
    /// Of the last window that is over: items in a second.
    last: f64,
}

impl Pace {
    /// There is work again.
    fn begin(&mut self, now: Instant) {
        if std::mem::take(&mut self.idle) {
            (self.taken, self.began) = (0, now);
        }
    }

    /// All that was taken is done.
    fn end(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.idle, true) && self.taken > 0 {
            let worked = now.saturating_duration_since(self.began).max(Duration::from_micros(1));
            self.last = self.taken as f64 / worked.as_secs_f64();
        }
    }

    /// Returns how many items consumers use in this time. A window is no shorter.
    fn within(&mut self, span: Duration, now: Instant) -> usize {
        let age = now.saturating_duration_since(self.began);
        if age > span && !self.idle {
            // Quick consumers are heard of several times in it. Where nothing was heard for long, they have become slow,
            // whatever they took before.
            let last = if age > 4 * span { 0.0 } else { self.taken as f64 / age.as_secs_f64() };
            *self = Self { taken: 0, began: now, idle: false, last };
        }
        // Of less than one, none: it would wait for a consumer that is busy.
        (self.last * span.as_secs_f64()) as usize
    }
}

impl Prefetch {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            fetched: VecDeque::new(),
            len: 0,
            handed: 0,
            asked: None,
            polled: false,
            taken: 0,
            pace: Pace { taken: 0, began: now, idle: true, last: 0.0 },
            trips: [Duration::ZERO; 2],
            target: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The highest delivery id that a consumer was handed. All that was fetched is handed out in the order of these
    /// ids, or goes back from the end: so what is still here has higher ones.
    pub(crate) fn handed(&self) -> u64 {
        self.handed
    }

    pub(crate) fn fill(&mut self, first: u64, entries: Vec<Entry>, now: Instant) {
        self.len += entries.len();
        self.asked = None;
        self.pace.begin(now);
        let mut entries: VecDeque<_> = (first..).zip(entries).collect();
        if std::mem::take(&mut self.polled)
            && let Some(kept) = entries.pop_front()
        {
            self.fetched.push_back(FetchedBatch { entries: [kept].into(), due: now + POLLED });
        }
        if !entries.is_empty() {
            self.fetched.push_back(FetchedBatch { entries, due: now + STALE });
        }
    }

    /// Takes one, and says whether more should be fetched.
    pub(crate) fn take(&mut self) -> (Option<(u64, Entry)>, bool) {
        let Some((id, entry)) = self.pop() else {
            let news = self.asked.replace(Instant::now()).is_none();
            return (None, news);
        };
        self.len -= 1;
        self.handed = id;
        self.taken += 1;
        self.pace.taken += 1;
        // Once, on the way down.
        (Some((id, entry)), self.len == self.target / 2)
    }

    fn pop(&mut self) -> Option<(u64, Entry)> {
        let batch = self.fetched.front_mut()?;
        let first = batch.entries.pop_front();
        if batch.entries.is_empty() {
            self.fetched.pop_front();
        }
        first
    }

    /// How long a fetch took.
    pub(crate) fn took(&mut self, trip: Duration) {
        self.trips = [self.trips[1], trip];
    }

    /// How many to fetch now, with consumers waiting for so many, and `done` of those that were ever taken.
    pub(crate) fn wanted(&mut self, waiting: usize, done: u64, now: Instant) -> usize {
        if self.asked.is_some_and(|asked| now.saturating_duration_since(asked) > POLLED) {
            self.asked = None;
        }
        self.polled = waiting == 0 && self.asked.is_some();
        let waiting = waiting.max(usize::from(self.polled));
        if self.len == 0 && waiting > 0 && done == self.taken {
            self.pace.end(now);
        }
        // Where the way to Redis is long, what is used on it is fetched ahead, too. One long trip is chance.
        let span = AHEAD.max(2 * self.trips[0].min(self.trips[1]));
        let ahead = self.pace.within(span, now);
        if self.len > self.target / 2 && waiting == 0 {
            return 0;
        }
        // It doubles at most: the first of many are no measure of the others.
        self.target = ahead.min(2 * self.target + waiting).max(waiting).min(MOST);
        // Others were woken for what is here.
        self.target.saturating_sub(self.len).max(waiting).min(MOST)
    }

    /// When something here goes back.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.fetched.iter().map(|batch| batch.due).min()
    }

    /// What goes back by now: what was fetched too long ago, and all behind it, for which consumers come later still.
    /// So what is left stands before it, and keeps its order also if it goes back later.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<(u64, Entry)> {
        let due = self.fetched.iter().position(|batch| batch.due <= now).unwrap_or(self.fetched.len());
        let back: Vec<_> = self.fetched.drain(due..).flat_map(|batch| batch.entries).collect();
        self.len -= back.len();
        back
    }

    pub(crate) fn take_all(&mut self) -> Vec<(u64, Entry)> {
        self.len = 0;
        self.fetched.drain(..).flat_map(|batch| batch.entries).collect()
    }
}

#[cfg(test)]
mod tests;
