//! How long this process may keep an item, for those of its workers that live and are stuck.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// Deliveries whose deadline is yet to come, whether they have been settled since or not: Redis knows which are held.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    /// None without a deadline.
    after: Option<Duration>,
    /// In the order of their ids, and of their times.
    spans: VecDeque<Span>,
}

/// Deliveries of about the same time.
#[derive(Debug)]
struct Span {
    ids: RangeInclusive<u64>,
    /// When the first one came.
    began: Instant,
    /// When the last one came.
    ended: Instant,
}

/// How many spans there are at most: what is kept does not grow with what is claimed. An item is late by one of them.
const SPANS: u32 = 16;

impl Deadlines {
    pub(super) fn new(after: Option<Duration>) -> Self {
        Self { after, spans: VecDeque::new() }
    }

    /// These came now.
    pub(super) fn begin(&mut self, ids: RangeInclusive<u64>, now: Instant) {
        let Some(after) = self.after else { return };
        match self.spans.back_mut() {
            // Ids have no gaps but for those of answers that were lost.
            Some(span) if now.saturating_duration_since(span.began) < after / SPANS => {
                span.ids = *span.ids.start()..=*ids.end();
                span.ended = now;
            }
            _ => self.spans.push_back(Span { ids, began: now, ended: now }),
        }
    }

    /// When the next ones are due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.spans.front()?.ended.checked_add(self.after?)
    }

    /// Those whose time is over.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<RangeInclusive<u64>> {
        if self.next()? > now {
            return None;
        }
        Some(self.spans.pop_front()?.ids)
    }

    pub(super) fn clear(&mut self) {
        self.spans.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Deadlines, SPANS};

    #[test]
    fn each_delivery_is_due_once_and_no_sooner_than_its_deadline() {
        let (start, after) = (Instant::now(), Duration::from_secs(16));
        let mut deadlines = Deadlines::new(Some(after));
        let came = |id: u64| start + Duration::from_millis(100) * id as u32;
        let (mut next, mut most) = (1, 0);
        for id in 1..=1_000 {
            deadlines.begin(id..=id, came(id));
            most = most.max(deadlines.spans.len());
            while let Some(due) = deadlines.take_due(came(id)) {
                assert_eq!(*due.start(), next);
                assert!(came(*due.end()) + after <= came(id), "{due:?} at {id}");
                assert!(came(*due.start()) + after + after / SPANS + after / SPANS >= came(id), "{due:?} at {id}");
                next = due.end() + 1;
            }
        }
        assert!(next > 700 && most <= SPANS as usize + 2, "{next}, {most}");
    }

    #[test]
    fn a_deadline_beyond_all_time_is_never_due() {
        let mut deadlines = Deadlines::new(Some(Duration::MAX));
        deadlines.begin(1..=9, Instant::now());
        assert_eq!((deadlines.next(), deadlines.take_due(Instant::now())), (None, None));
    }

    #[test]
    fn without_a_deadline_nothing_is_kept() {
        let mut deadlines = Deadlines::new(None);
        deadlines.begin(1..=9, Instant::now());
        assert_eq!((deadlines.next(), deadlines.spans.len()), (None, 0));
    }
}
