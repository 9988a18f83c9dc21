//! How long this process may keep an item, for those of its workers that live and are stuck.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use crate::redis::client::MAX_BATCH;

/// Deliveries that consumers were handed, and what became of them is not known yet. What was only fetched goes back by
/// itself soon.
#[derive(Debug)]
pub(crate) struct Deadlines {
    after: Duration,
    /// When each was handed out: in the order of their ids, which is that of their times.
    open: BTreeMap<u64, Instant>,
    /// When some were due last.
    looked: Option<Instant>,
}

/// How often there is a look at most, in the time that an item may be here. An item is late by one such span.
const LOOKS: u32 = 16;

impl Deadlines {
    pub(crate) fn new(after: Duration) -> Self {
        Self { after, open: BTreeMap::new(), looked: None }
    }

    /// A consumer was handed it now.
    pub(crate) fn begin(&mut self, id: u64, now: Instant) {
        self.open.insert(id, now);
    }

    /// It has ended.
    pub(crate) fn end(&mut self, id: u64) {
        self.open.remove(&id);
    }

    /// Whether its time is not over.
    pub(crate) fn has(&self, id: u64) -> bool {
        self.open.contains_key(&id)
    }

    /// When the next ones are due.
    pub(crate) fn next(&self) -> Option<Instant> {
        let due = self.open.first_key_value()?.1.checked_add(self.after)?;
        let look = self.looked.and_then(|looked| looked.checked_add(self.after / LOOKS));
        Some(look.map_or(due, |look| look.max(due)))
    }

    /// Takes all whose time is over.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<RangeInclusive<u64>> {
        let mut due: Vec<RangeInclusive<u64>> = Vec::new();
        if self.next().is_none_or(|next| next > now) {
            return due;
        }
        self.looked = Some(now);
        while let Some(first) = self.open.first_entry()
            && now.saturating_duration_since(*first.get()) >= self.after
        {
            let id = *first.key();
            first.remove();
            match due.last_mut() {
                Some(ids) if ids.end() + 1 == id && id - ids.start() < MAX_BATCH as u64 => *ids = *ids.start()..=id,
                _ => due.push(id..=id),
            }
        }
        due
    }

    pub(crate) fn clear(&mut self) {
        self.open.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Deadlines, LOOKS, MAX_BATCH};

    #[test]
    fn what_is_open_is_due_once_and_not_before_its_deadline() {
        let (start, after) = (Instant::now(), Duration::from_secs(16));
        let mut deadlines = Deadlines::new(after);
        let came = |id: u64| start + Duration::from_millis(100) * id as u32;
        let (mut taken, mut looks) = (Vec::new(), 0);
        for now in 1..=1_000 {
            deadlines.begin(now, came(now));
            // One in three is stuck.
            if now % 3 > 0 {
                deadlines.end(now);
            }
            let due: Vec<_> = deadlines.take_due(came(now)).into_iter().flatten().collect();
            looks += u32::from(!due.is_empty());
            for id in &due {
                let age = came(now) - came(*id);
                assert!(age >= after && age <= after + after / LOOKS + Duration::from_millis(300), "{age:?}");
            }
            taken.extend(due);
        }
        assert_eq!(taken, (1..=taken.len() as u64).map(|n| 3 * n).collect::<Vec<_>>());
        assert!(taken.len() > 250 && looks < 90, "{} in {looks} looks", taken.len());
    }

    #[test]
    fn what_is_due_together_goes_in_ranges_of_bounded_size() {
        let (start, after, most) = (Instant::now(), Duration::from_secs(1), MAX_BATCH as u64);
        let mut deadlines = Deadlines::new(after);
        (1..=most + 9).for_each(|id| deadlines.begin(id, start));
        deadlines.end(5);
        assert_eq!(deadlines.take_due(start + after), [1..=4, 6..=most + 5, most + 6..=most + 9]);
        assert!(!deadlines.has(6) && deadlines.next().is_none());
    }

    #[test]
    fn a_deadline_beyond_all_time_is_never_due() {
        let mut deadlines = Deadlines::new(Duration::MAX);
        deadlines.begin(1, Instant::now());
        assert_eq!((deadlines.next(), deadlines.take_due(Instant::now())), (None, Vec::new()));
    }
}
