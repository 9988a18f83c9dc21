//! How many workers there were, and how a pool changed their number by itself.

use std::collections::VecDeque;
use std::time::Duration;

use crate::sync::Instant;

/// How a pool grew and shrank by itself. Returned by [`WorkerPool::scaling`](crate::WorkerPool::scaling), and part of a
/// [`PoolReport`].
///
/// What [`resize`](crate::WorkerPool::resize) changed counts only in `workers` and `most`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScalingReport {
    /// How many workers the pool has, or had when it ended. One that died and will be replaced counts; one that was told to
    /// leave does not, also if it still works on its last items.
    pub workers: usize,
    /// The largest number of workers that the pool has had.
    pub most: usize,
    /// When it first had that many, in time since the start of the pool.
    pub most_after: Duration,
    /// How many workers it has added in all.
    pub added: u64,
    /// How many workers it has told to leave in all.
    pub removed: u64,
    /// The last 32 times that it grew or shrank, the latest at the end.
    pub last: Vec<ScalingStep>,
}

/// One time that a pool grew or shrank by itself, in a [`ScalingReport`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScalingStep {
    /// When, in time since the start of the pool.
    pub after: Duration,
    /// The number of workers before.
    pub from: usize,
    /// The number of workers after that.
    pub to: usize,
}

impl ScalingReport {
    /// Describes workers whose number does not change.
    pub(crate) fn fixed(workers: usize) -> Self {
        Self { workers, most: workers, most_after: Duration::ZERO, added: 0, removed: 0, last: Vec::new() }
    }
}

/// How many steps a report has.
const MAX_STEPS: usize = 32;

/// The number of a pool's workers, and how it changed.
#[derive(Debug)]
pub(crate) struct ScalingLog {
    began: Instant,
    steps: VecDeque<ScalingStep>,
    /// All but the steps.
    report: ScalingReport,
}

impl ScalingLog {
    pub(crate) fn new() -> Self {
        let report = ScalingReport::fixed(0);
        Self { began: Instant::now(), steps: VecDeque::new(), report }
    }

    pub(crate) fn set_workers(&mut self, workers: usize) {
        self.report.workers = workers;
        if workers > self.report.most {
            (self.report.most, self.report.most_after) = (workers, self.began.elapsed());
        }
    }

    pub(crate) fn count(&mut self, from: usize, to: usize) {
        self.report.added += to.saturating_sub(from) as u64;
        self.report.removed += from.saturating_sub(to) as u64;
        if self.steps.len() == MAX_STEPS {
            self.steps.pop_front();
        }
        self.steps.push_back(ScalingStep { after: self.began.elapsed(), from, to });
    }

    pub(crate) fn report(&self) -> ScalingReport {
        ScalingReport { last: self.steps.iter().copied().collect(), ..self.report.clone() }
    }
}
