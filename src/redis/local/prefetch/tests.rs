use std::time::{Duration, Instant};

use super::{AHEAD, Entry, MOST, POLLED, Prefetch, STALE};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A prefetch at instants that the test gives.
struct Scene {
    prefetch: Prefetch,
    now: Instant,
    next: u64,
    /// How many of those that were taken are done.
    done: u64,
}

impl Scene {
    fn new() -> Self {
        let now = Instant::now();
        Self { prefetch: Prefetch::new(now), now, next: 1, done: 0 }
    }

    fn after(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self
    }

    /// Asks how many to fetch, and fetches them.
    fn fetch(&mut self, waiting: usize) -> usize {
        let wanted = self.prefetch.wanted(waiting, self.done, self.now);
        self.fill(wanted);
        wanted
    }

    fn fill(&mut self, count: usize) {
        let entry = Entry { attempts: 0, time: 0, payload: Vec::new() };
        self.prefetch.fill(self.next, vec![entry; count], self.now);
        self.next += count as u64;
    }

    /// Takes so many, and returns how often that called for more.
    fn take(&mut self, count: usize) -> usize {
        (0..count).filter(|_| self.prefetch.take().1).count()
    }

    /// Works with one consumer: so many jobs of this length. Returns the most that was here ahead of it.
    fn work(&mut self, jobs: usize, length: Duration) -> usize {
        let mut most = 0;
        for _ in 0..jobs {
            if self.prefetch.len() == 0 {
                self.fetch(1);
            }
            assert!(self.prefetch.take().0.is_some());
            self.fetch(0);
            most = most.max(self.prefetch.len());
            self.after(length).done += 1;
        }
        most
    }

    fn back(&mut self) -> Vec<u64> {
        self.prefetch.take_due(self.now).into_iter().map(|(id, _)| id).collect()
    }
}

#[test]
fn as_many_are_fetched_as_consumers_wait_for() {
    let mut scene = Scene::new();
    assert_eq!((scene.fetch(0), scene.fetch(3), scene.fetch(0)), (0, 3, 0));
}

#[test]
fn a_consumer_that_finds_nothing_has_one_fetched_and_says_so_once() {
    let mut scene = Scene::new();
    assert_eq!((scene.prefetch.take(), scene.prefetch.take()), ((None, true), (None, false)));
    assert_eq!(scene.fetch(0), 1);
    assert_eq!(scene.prefetch.take().0.map(|(id, _)| id), Some(1));
    assert_eq!(scene.prefetch.take(), (None, true));
    scene.now = Instant::now() + 2 * POLLED;
    assert_eq!(scene.fetch(0), 0, "it has not asked again");
    assert_eq!(scene.prefetch.take(), (None, true), "now it has");
}

#[test]
fn before_the_pace_is_known_nothing_is_fetched_ahead() {
    let mut scene = Scene::new();
    for _ in 0..100 {
        assert_eq!((scene.fetch(1), scene.take(1)), (1, 1));
        assert_eq!(scene.after(AHEAD / 200).fetch(0), 0);
    }
}

#[test]
fn what_quick_consumers_use_in_a_moment_is_fetched_ahead() {
    let mut scene = Scene::new();
    scene.prefetch.target = MOST;
    scene.fill(100);
    scene.take(100);
    let wanted = scene.after(2 * AHEAD).fetch(0);
    assert_eq!(wanted, 50, "as many as in half of that time");
    assert_eq!(scene.take(wanted), 1, "called for more once on the way down");
    scene.prefetch.target = MOST;
    scene.fill(100_000);
    scene.take(100_000);
    assert_eq!(scene.after(2 * AHEAD).fetch(0), MOST);
}

#[test]
fn while_a_window_is_young_the_last_pace_counts() {
    let mut scene = Scene::new();
    scene.prefetch.target = MOST;
    scene.fill(40);
    scene.take(40);
    assert_eq!(scene.after(2 * AHEAD).fetch(0), 20);
    scene.take(20);
    // 20 in a moment are no pace.
    assert_eq!(scene.after(ms(1)).fetch(0), 20);
}

/// What quick consumers did in a moment counts once they come back for more. It doubles at most, and lasts while there is
/// nothing to do.
#[test]
fn the_pace_of_a_moment_of_work_counts_when_it_is_done() {
    let mut scene = Scene::new();
    let mut wanted = Vec::new();
    for _ in 0..5 {
        let fetched = scene.fetch(1);
        wanted.push(fetched);
        assert_eq!(scene.after(ms(1) / 100).take(fetched), 1);
        scene.done += fetched as u64;
        scene.after(ms(1) / 10);
    }
    assert_eq!(wanted, [1, 3, 7, 15, 31]);
    // There is nothing for a minute.
    assert_eq!(scene.prefetch.wanted(1, scene.done, scene.now), 63);
    assert_eq!(scene.after(Duration::from_secs(60)).fetch(1), 127);
    // Slow jobs are heard of with the first.
    scene.take(1);
    scene.after(STALE).back();
    scene.done += 1;
    assert_eq!(scene.fetch(1), 1);
}

#[test]
fn nothing_is_fetched_ahead_of_slow_jobs() {
    for length in [ms(11), ms(200), ms(2_000)] {
        assert_eq!(Scene::new().work(50, length), 0, "{length:?}");
    }
    assert!(Scene::new().work(50, ms(1)) > 0);
    // Nor where the way is long, unless that is so again and again.
    let mut scene = Scene::new();
    scene.prefetch.took(ms(500));
    assert_eq!(scene.work(50, ms(200)), 0);
    scene.prefetch.took(ms(500));
    assert!(scene.work(50, ms(200)) > 0, "5 are used on it");
}

#[test]
fn a_change_of_pace_is_heard_of_with_the_next_job() {
    let mut scene = Scene::new();
    assert!(scene.work(1_000, ms(1) / 10) > 50);
    scene.take(1);
    scene.after(STALE);
    assert!(!scene.back().is_empty());
    assert_eq!(scene.work(50, ms(200)), 0);
}

#[test]
fn what_was_fetched_goes_back_by_its_age_whatever_is_taken() {
    let mut scene = Scene::new();
    scene.fill(5);
    scene.after(ms(100)).fill(5);
    let begin = scene.now - ms(100);
    assert_eq!(scene.prefetch.due(), Some(begin + STALE));
    scene.take(3);
    assert_eq!(scene.after(ms(149)).back(), [0; 0]);
    scene.take(1);
    // What stands behind it would be taken later still.
    assert_eq!(scene.after(ms(1)).back(), [5, 6, 7, 8, 9, 10]);
    assert_eq!((scene.prefetch.due(), scene.prefetch.len(), scene.prefetch.handed()), (None, 0, 4));
}

#[test]
fn a_consumer_that_polls_finds_an_item_for_a_second() {
    let mut scene = Scene::new();
    scene.prefetch.take();
    assert_eq!(scene.fetch(0), 1);
    // Others are for consumers that wait.
    scene.after(ms(10)).fill(3);
    assert_eq!(scene.after(STALE).back(), [2, 3, 4]);
    assert_eq!(scene.prefetch.handed(), 0);
    assert_eq!(scene.after(ms(700)).back(), [0; 0]);
    assert_eq!(scene.prefetch.take().0.map(|(id, _)| id), Some(1));
    // With more than one, only the first is for it.
    scene.prefetch.take();
    scene.prefetch.wanted(0, scene.done, scene.now);
    scene.fill(2);
    assert_eq!(scene.after(STALE).back(), [6]);
    assert_eq!(scene.after(POLLED - STALE).back(), [5]);
}

#[test]
fn what_was_handed_out_has_the_lowest_ids() {
    let mut scene = Scene::new();
    scene.fill(3);
    assert_eq!(scene.prefetch.handed(), 0);
    scene.take(2);
    assert_eq!(scene.prefetch.handed(), 2);
    scene.prefetch.take_all();
    assert_eq!((scene.prefetch.handed(), scene.prefetch.len()), (2, 0));
    scene.fill(2);
    scene.take(1);
    assert_eq!(scene.prefetch.handed(), 4);
}
