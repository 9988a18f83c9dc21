//! What the workers of a pool did.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::error::{Death, PoolFailure};
use crate::queue::{ConsumerRow, Drained};

/// Counts what became of the items that a worker was handed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct WorkerTotals {
    /// Items whose lease ended with `ack`.
    pub acked: u64,
    /// Items taken for good, with `into_inner`.
    pub taken: u64,
    /// Items whose lease ended otherwise: they went back, released ones included, or became dead letters.
    pub failed: u64,
    /// Handlers' futures that were dropped, as they took longer than the pool's
    /// [`handler_timeout`](crate::WorkerPoolBuilder::handler_timeout). What they had not settled is among the failed.
    pub timed_out: u64,
    /// How often the worker died.
    pub deaths: u64,
}

/// What one worker of a pool did, all its restarts included.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerReport {
    /// The worker's name, which is also that of its consumers.
    pub name: String,
    /// Its items and deaths.
    pub totals: WorkerTotals,
    /// Why it died the last time, if it ever did.
    pub last_death: Option<Death>,
}

/// Reports what a pool did. Returned by [`WorkerPool::drained`](crate::WorkerPool::drained).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolReport {
    /// How the queue ended.
    pub drained: Drained,
    /// Every worker, by its index.
    pub workers: Vec<WorkerReport>,
    /// The sums over all workers.
    pub totals: WorkerTotals,
    /// How the pool grew and shrank by itself.
    pub scaling: ScalingReport,
}

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

/// How a pool ended.
pub(super) type PoolResult = Result<PoolReport, PoolFailure>;

impl PoolReport {
    pub(super) fn new(drained: Drained, workers: Vec<WorkerReport>, scaling: ScalingReport) -> Self {
        let mut totals = WorkerTotals::default();
        for worker in &workers {
            totals.acked += worker.totals.acked;
            totals.taken += worker.totals.taken;
            totals.failed += worker.totals.failed;
            totals.timed_out += worker.totals.timed_out;
            totals.deaths += worker.totals.deaths;
        }
        Self { drained, workers, totals, scaling }
    }
}

/// How many steps a report has.
const MAX_STEPS: usize = 32;

/// The number of a pool's workers, and how it changed.
#[derive(Debug)]
pub(super) struct ScalingLog {
    began: Instant,
    steps: VecDeque<ScalingStep>,
    /// All but the steps.
    report: ScalingReport,
}

impl ScalingLog {
    pub(super) fn new() -> Self {
        let report =
            ScalingReport { workers: 0, most: 0, most_after: Duration::ZERO, added: 0, removed: 0, last: Vec::new() };
        Self { began: Instant::now(), steps: VecDeque::new(), report }
    }

    pub(super) fn set_workers(&mut self, workers: usize) {
        self.report.workers = workers;
        if workers > self.report.most {
            (self.report.most, self.report.most_after) = (workers, self.began.elapsed());
        }
    }

    pub(super) fn count(&mut self, from: usize, to: usize) {
        self.report.added += to.saturating_sub(from) as u64;
        self.report.removed += from.saturating_sub(to) as u64;
        if self.steps.len() == MAX_STEPS {
            self.steps.pop_front();
        }
        self.steps.push_back(ScalingStep { after: self.began.elapsed(), from, to });
    }

    pub(super) fn report(&self) -> ScalingReport {
        ScalingReport { last: self.steps.iter().copied().collect(), ..self.report.clone() }
    }
}

/// The counts of one worker, over all its restarts.
#[derive(Debug)]
pub(super) struct WorkerTally {
    name: String,
    /// The sums of runs whose items are all settled.
    settled: WorkerTotals,
    /// The consumers of the other runs.
    unsettled: Vec<Arc<ConsumerRow>>,
    /// Counted by the worker itself.
    timed_out: Arc<AtomicU64>,
    last_death: Option<Death>,
}

impl WorkerTally {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            settled: WorkerTotals::default(),
            unsettled: Vec::new(),
            timed_out: Arc::default(),
            last_death: None,
        }
    }

    pub(super) fn add_run(&mut self, row: Arc<ConsumerRow>) {
        for settled in self.unsettled.extract_if(.., |row| row.in_flight() == 0) {
            add(&mut self.settled, &settled);
        }
        self.unsettled.push(row);
    }

    /// Returns where the worker counts its handlers that time out.
    pub(super) fn timed_out(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.timed_out)
    }

    pub(super) fn count_death(&mut self, death: Death) {
        self.settled.deaths += 1;
        self.last_death = Some(death);
    }

    pub(super) fn report(&self) -> WorkerReport {
        let mut totals = WorkerTotals { timed_out: self.timed_out.load(Relaxed), ..self.settled };
        self.unsettled.iter().for_each(|row| add(&mut totals, row));
        WorkerReport { name: self.name.clone(), totals, last_death: self.last_death.clone() }
    }
}

fn add(totals: &mut WorkerTotals, row: &ConsumerRow) {
    totals.acked += row.acked();
    totals.taken += row.taken();
    totals.failed += row.unacked();
}
