//! The work itself, and how long it would take if nothing else had to be done.

use std::hint::black_box;
use std::sync::{Arc, Barrier, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::numbers;
use crate::rounds::{Contender, Effort};

/// How much work is in the items.
#[derive(Clone, Copy)]
pub(super) struct Load {
    pub(super) name: &'static str,
    items: usize,
    /// Microseconds of most items.
    most: f64,
    /// Microseconds of one item in a hundred.
    some: f64,
}

impl Load {
    pub(super) const TEN_MICROSECONDS: Self = Self { name: "10 us an item", items: 20_000, most: 10.0, some: 10.0 };
    pub(super) const ALL: [Self; 4] = [
        Self { name: "1 us an item", items: 200_000, most: 1.0, some: 1.0 },
        Self::TEN_MICROSECONDS,
        Self { name: "1 ms an item", items: 200, most: 1000.0, some: 1000.0 },
        Self { name: "1 us, but 1 ms for one in 100", items: 20_000, most: 1.0, some: 1000.0 },
    ];
}

pub(super) fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// The items of a row: the numbers below `items`, and what is to be computed for each.
pub(super) struct Job {
    pub(super) items: u64,
    most: u64,
    some: u64,
}

impl Job {
    /// Some numbers have more to do than others. Which ones, nobody can tell by their order.
    fn rounds_of(&self, item: u64) -> u64 {
        let mixed = (item + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        if (mixed >> 32).is_multiple_of(100) { self.some } else { self.most }
    }

    /// Does an item's work. The sum of what it returns tells how many items were done, and that they
    /// were done right.
    pub(super) fn work(&self, item: u64) -> u64 {
        1 << 40 | xorshift(item + 1, self.rounds_of(item)) & 0xffff
    }
}

/// Compares how long a job takes with how long it should.
pub(super) struct Gauge {
    pub(super) job: Arc<Job>,
    /// Of all items.
    rounds: u64,
    receipts: u64,
    effort: Effort,
    pace: Mutex<f64>,
}

impl Gauge {
    pub(super) fn new(load: Load, effort: Effort) -> Self {
        let pace = pace(effort);
        let rounds = |microseconds: f64| (pace / cores() as f64 * microseconds * 1000.0) as u64;
        let items = effort.items(load.items) as u64;
        let job = Job { items, most: rounds(load.most), some: rounds(load.some) };
        Self {
            rounds: (0..items).map(|item| job.rounds_of(item)).sum(),
            receipts: (0..items).map(|item| job.work(item)).sum(),
            job: Arc::new(job),
            effort,
            pace: Mutex::new(pace),
        }
    }

    pub(super) fn measure_pace(&self) {
        *self.pace() = pace(self.effort);
    }

    fn pace(&self) -> MutexGuard<'_, f64> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a contender of a way to do the job, which tells the sum of what `work` returned, and how long it took.
    pub(super) fn contender(
        self: &Arc<Self>,
        name: &'static str,
        way: impl Fn(&Arc<Job>) -> anyhow::Result<(u64, Duration)> + Send + Sync + 'static,
    ) -> Contender {
        let gauge = Arc::clone(self);
        Contender::new(name, move || {
            let (receipts, time) = way(&gauge.job)?;
            numbers::check((receipts >> 40, receipts), (gauge.job.items, gauge.receipts))?;
            let ideal = gauge.rounds as f64 / *gauge.pace();
            Ok(vec![ideal / time.as_nanos() as f64])
        })
    }
}

fn xorshift(seed: u64, rounds: u64) -> u64 {
    let mut x = seed;
    for _ in 0..rounds {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    x
}

/// Rounds in a nanosecond, of all cores together when each has one thread.
fn pace(effort: Effort) -> f64 {
    const ROUNDS: u64 = 10_000;
    let long_enough = Duration::from_micros(effort.items(60_000) as u64);
    let start = Barrier::new(cores());
    let one = &|seed| {
        start.wait();
        let (began, mut x, mut rounds) = (Instant::now(), seed, 0);
        while began.elapsed() < long_enough {
            x = black_box(xorshift(x, ROUNDS));
            rounds += ROUNDS;
        }
        rounds as f64 / began.elapsed().as_nanos() as f64
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (1..=cores() as u64).map(|seed| scope.spawn(move || one(seed))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a loop does not panic")).sum()
    })
}
