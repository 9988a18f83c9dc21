//! How many workers a pool is to have.

use std::ops::RangeInclusive;

/// How many workers a pool has: a number, or a range within which it scales.
///
/// [`workers`](crate::WorkerPoolBuilder::workers) and [`resize`](crate::WorkerPool::resize) make it of what they are given: a
/// `usize`, as in `workers(4)`, or a `RangeInclusive<usize>`, as in `workers(2..=16)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerCount {
    pub(super) min: usize,
    pub(super) max: usize,
}

impl WorkerCount {
    /// Refuses a pool without workers, which would never do anything, and ranges that say nothing.
    #[track_caller]
    pub(super) fn assert(self, method: &str) {
        let Self { min, max } = self;
        assert!(max > 0 || min > 0, "{method}: 0 workers: give at least 1, or pause the pool");
        assert!(min <= max, "{method}: the range {min}..={max} is empty: give the smaller number first");
        assert!(min > 0, "{method}: {min}..={max} workers: a pool keeps at least 1: give 1..={max}");
    }

    pub(super) fn is_fixed(self) -> bool {
        self.min == self.max
    }
}

impl From<usize> for WorkerCount {
    fn from(workers: usize) -> Self {
        Self { min: workers, max: workers }
    }
}

impl From<RangeInclusive<usize>> for WorkerCount {
    fn from(workers: RangeInclusive<usize>) -> Self {
        let (min, max) = workers.into_inner();
        Self { min, max }
    }
}
