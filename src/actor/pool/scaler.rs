//! When a pool grows and shrinks. This file knows neither the queue nor workers: the supervisor looks at them, and asks here.

use std::time::{Duration, Instant};

use super::worker_count::WorkerCount;
use crate::queue::Ready;

/// How long a pool waits before it changes the number of its workers.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScaleTimes {
    pub(super) grow_after: Duration,
    pub(super) shrink_after: Duration,
}

impl Default for ScaleTimes {
    fn default() -> Self {
        Self { grow_after: Duration::from_millis(100), shrink_after: Duration::from_secs(30) }
    }
}

/// What the supervisor saw when it looked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) now: Instant,
    /// How many workers the pool is to have.
    pub(super) workers: usize,
    /// How many of these run and hold nothing.
    pub(super) free: usize,
    /// Each of these runs, and has worked since the look before.
    pub(super) all_busy: bool,
    /// The items that wait.
    pub(super) ready: Ready,
}

#[derive(Debug)]
pub(super) struct Scaler {
    times: ScaleTimes,
    count: WorkerCount,
    /// How many items a worker is handed at a time, at most.
    batch: usize,
    /// At all looks since then, items waited and all workers were busy. With the report that said so.
    short: Option<(Instant, Option<u64>)>,
    /// At all looks since then, at least this many workers were spare.
    spare: Option<(Instant, usize)>,
}

impl Scaler {
    pub(super) fn new(count: WorkerCount, batch: usize, times: ScaleTimes) -> Self {
        Self { times, count, batch, short: None, spare: None }
    }

    /// Scales within these bounds from now on. Returns the number of workers within them that is nearest to this one.
    pub(super) fn set_count(&mut self, count: WorkerCount, workers: usize) -> usize {
        self.count = count;
        self.forget();
        workers.clamp(count.min, count.max)
    }

    /// Begins anew: what was seen until now counts no more.
    pub(super) fn forget(&mut self) {
        (self.short, self.spare) = (None, None);
    }

    /// Returns how long the supervisor may wait until it looks again. `None` if the number of workers is fixed.
    pub(super) fn next_look(&self, workers: usize) -> Option<Duration> {
        if self.count.is_fixed() {
            return None;
        }
        let ScaleTimes { grow_after, shrink_after } = self.times;
        let wait = match workers == self.count.min && self.short.is_none() {
            true => grow_after,
            false => grow_after.min(shrink_after) / 4,
        };
        Some(wait.max(Duration::from_millis(1)))
    }

    /// Returns how many workers the pool is to have, now that the supervisor has looked.
    pub(super) fn decide(&mut self, look: Look) -> usize {
        let workers = if self.is_short(look) {
            // Twice as many, but no more new ones than there is work for.
            look.workers.saturating_add(look.workers.min(self.workers_for(look.ready))).min(self.count.max)
        } else {
            look.workers.saturating_sub(self.spare(look)).max(self.count.min)
        };
        if workers != look.workers {
            self.forget();
        }
        workers
    }

    /// Returns how many workers the items that wait keep busy at a time.
    fn workers_for(&self, ready: Ready) -> usize {
        ready.items.div_ceil(self.batch)
    }

    /// Returns whether items have waited, and all workers have been busy, for long enough.
    fn is_short(&mut self, look: Look) -> bool {
        let Ready { items, report } = look.ready;
        if items == 0 || !look.all_busy || look.workers >= self.count.max {
            self.short = None;
            return false;
        }
        let (since, first_report) = *self.short.get_or_insert((look.now, report));
        // Where the items are elsewhere they may all have been taken since the report: two reports must say so.
        let is_confirmed = report.is_none() || report != first_report;
        is_confirmed && look.now.duration_since(since) >= self.times.grow_after
    }

    /// Returns how many workers were not needed for long enough.
    fn spare(&mut self, look: Look) -> usize {
        // Free workers are about to take the items that wait.
        let free = look.free.saturating_sub(self.workers_for(look.ready));
        if free == 0 || look.workers <= self.count.min {
            self.spare = None;
            return 0;
        }
        let (since, least) = self.spare.get_or_insert((look.now, free));
        *least = free.min(*least);
        if look.now.duration_since(*since) < self.times.shrink_after { 0 } else { *least }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A pool of 2 to 16 workers, of which the test says how they fare.
    struct Scene {
        scaler: Scaler,
        now: Instant,
        workers: usize,
    }

    impl Scene {
        fn new(workers: usize) -> Self {
            let times = ScaleTimes { grow_after: 100 * MS, shrink_after: 1000 * MS };
            Self { scaler: Scaler::new((2..=16).into(), 1, times), now: Instant::now(), workers }
        }

        /// Looks after this time. `free` workers hold nothing, and `items` wait, as of this report.
        fn look(&mut self, after: Duration, free: usize, items: usize, report: Option<u64>) -> usize {
            self.now += after;
            let ready = Ready { items, report };
            let look = Look { now: self.now, workers: self.workers, free, all_busy: free == 0, ready };
            self.workers = self.scaler.decide(look);
            self.workers
        }

        /// Looks while all workers are busy and `items` wait.
        fn short(&mut self, after: Duration, items: usize) -> usize {
            self.look(after, 0, items, None)
        }

        /// Looks while no item waits and `free` workers hold nothing.
        fn free(&mut self, after: Duration, free: usize) -> usize {
            self.look(after, free, 0, None)
        }
    }

    #[test]
    fn it_doubles_but_starts_no_more_than_items_wait_for_and_stops_at_the_maximum() {
        let mut scene = Scene::new(2);
        assert_eq!([0, 99].map(|ms| scene.short(ms * MS, 50)), [2, 2]);
        assert_eq!(scene.short(MS, 50), 4);
        assert_eq!([0, 100].map(|ms| scene.short(ms * MS, 1)), [4, 5]);
        assert_eq!([0, 100].map(|ms| scene.short(ms * MS, 50)), [5, 10]);
        assert_eq!([0, 100].map(|ms| scene.short(ms * MS, 50)), [10, 16]);
        assert_eq!([0, 100].map(|ms| scene.short(ms * MS, 50)), [16, 16]);
    }

    #[test]
    fn a_batch_of_items_keeps_one_worker_busy() {
        let mut scene = Scene::new(2);
        scene.scaler.batch = 100;
        assert_eq!([0, 100].map(|ms| scene.short(ms * MS, 100)), [2, 3]);
        assert_eq!([0, 100].map(|ms| scene.short(ms * MS, 101)), [3, 5]);
        assert_eq!([0, 999].map(|ms| scene.look(ms * MS, 4, 300, None)), [5, 5]);
        assert_eq!(scene.look(MS, 4, 300, None), 4);
    }

    #[test]
    fn one_look_without_need_begins_the_time_anew() {
        let mut scene = Scene::new(2);
        for free_or_nothing in [(1, 9), (0, 0)] {
            assert_eq!([0, 99].map(|ms| scene.short(ms * MS, 9)), [2, 2]);
            let (free, items) = free_or_nothing;
            assert_eq!(scene.look(MS, free, items, None), 2);
        }
        assert_eq!([0, 99].map(|ms| scene.short(ms * MS, 9)), [2, 2]);
        assert_eq!(scene.short(MS, 9), 4);
    }

    #[test]
    fn items_elsewhere_wait_only_if_two_reports_say_so() {
        let mut scene = Scene::new(2);
        assert_eq!([0, 100, 900].map(|ms| scene.look(ms * MS, 0, 9, Some(7))), [2, 2, 2]);
        assert_eq!(scene.look(MS, 0, 9, Some(8)), 4);
        // The next one must say so again.
        assert_eq!([0, 100].map(|ms| scene.look(ms * MS, 0, 9, Some(8))), [4, 4]);
        assert_eq!(scene.look(MS, 0, 0, Some(9)), 4);
        assert_eq!(scene.look(100 * MS, 0, 9, Some(10)), 4);
    }

    #[test]
    fn workers_leave_that_were_spare_at_every_look() {
        let mut scene = Scene::new(16);
        assert_eq!([0, 500, 400].map(|ms| scene.free(ms * MS, 16)), [16, 16, 16]);
        assert_eq!(scene.free(MS, 3), 16); // a burst needed 13 of them
        assert_eq!(scene.free(99 * MS, 16), 13);
        assert_eq!([0, 999].map(|ms| scene.free(ms * MS, 13)), [13, 13]);
        assert_eq!(scene.free(MS, 13), 2);
        assert_eq!([0, 1000].map(|ms| scene.free(ms * MS, 2)), [2, 2]);
    }

    #[test]
    fn free_workers_are_not_spare_while_as_many_items_wait() {
        let mut scene = Scene::new(8);
        assert_eq!([0, 500].map(|ms| scene.free(ms * MS, 4)), [8, 8]);
        assert_eq!(scene.look(500 * MS, 4, 4, None), 8);
        assert_eq!([0, 999].map(|ms| scene.look(ms * MS, 4, 3, None)), [8, 8]);
        assert_eq!(scene.look(MS, 4, 3, None), 7);
    }

    #[test]
    fn other_bounds_begin_anew() {
        let mut scene = Scene::new(2);
        assert_eq!(scene.short(MS, 9), 2);
        assert_eq!(scene.scaler.set_count((3..=4).into(), 2), 3);
        assert_eq!(scene.scaler.set_count((1..=2).into(), 3), 2);
        assert_eq!(scene.scaler.set_count((1..=8).into(), 2), 2);
        assert_eq!(scene.short(100 * MS, 9), 2);
        assert_eq!(scene.short(100 * MS, 9), 4);
        assert_eq!(scene.scaler.next_look(4), Some(25 * MS));
        assert_eq!(scene.scaler.next_look(1), Some(100 * MS));
        assert_eq!(scene.scaler.set_count(5.into(), 4), 5);
        assert_eq!(scene.scaler.next_look(5), None);
    }
}
