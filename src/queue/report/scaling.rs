//! How many workers there were, and how a pool changed their number by itself.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use crate::queue::report::units::{Age, count};
use crate::sync::Instant;

/// How a pool grew and shrank by itself. Returned by [`WorkerPool::scaling`](crate::WorkerPool::scaling), and part of a
/// [`PoolReport`](crate::report::PoolReport).
///
/// What [`resize`](crate::WorkerPool::resize) changed counts only in `workers` and `most`.
///
/// Prints with `{}` as one line, and one more for each of the last steps.
///
/// # Examples
///
/// ```
/// use actix_iterable_queue::prelude::*;
///
/// # actix_rt::System::new().block_on(async {
/// let queue = IterableQueue::<u32>::unbounded();
/// let pool = WorkerPool::builder(&queue).workers(2..=16).run(|job: &Item<u32>| println!("{}", **job))?;
/// assert_eq!(pool.scaling().to_string(), "2 workers, and never more; 0 added, 0 removed");
/// // Later maybe: 2 workers, and up to 8 (the first time after 9 s); 6 added, 6 removed
/// //   after 8 s: from 2 to 4 workers
/// //   after 9 s: from 4 to 8 workers
/// //   after 3 min: from 8 to 2 workers
/// queue.seal();
/// pool.drained().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
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
///
/// Prints with `{}` as `after 9 s: from 4 to 8 workers`.
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

impl fmt::Display for ScalingReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&count(self.workers as u64, "worker"))?;
        match self.most > self.workers {
            true => write!(f, ", and up to {} (the first time after {})", self.most, Age(self.most_after))?,
            false => f.write_str(", and never more")?,
        }
        write!(f, "; {} added, {} removed", self.added, self.removed)?;
        self.last.iter().try_for_each(|step| write!(f, "\n  {step}"))
    }
}

impl fmt::Display for ScalingStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {}: from {} to {}", Age(self.after), self.from, count(self.to as u64, "worker"))
    }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ScalingReport, ScalingStep};

    #[test]
    fn each_step_has_a_line() {
        assert_eq!(ScalingReport::fixed(1).to_string(), "1 worker, and never more; 0 added, 0 removed");
        let step = |millis, from, to| ScalingStep { after: Duration::from_millis(millis), from, to };
        let report = ScalingReport {
            workers: 2,
            most: 8,
            most_after: Duration::from_secs(9),
            added: 6,
            removed: 6,
            last: vec![step(80, 2, 4), step(9000, 4, 8), step(180_000, 8, 1)],
        };
        assert_eq!(
            report.to_string(),
            "2 workers, and up to 8 (the first time after 9 s); 6 added, 6 removed\n  after 80 ms: from 2 to 4 workers\n  \
             after 9 s: from 4 to 8 workers\n  after 3 min: from 8 to 1 worker"
        );
    }
}
