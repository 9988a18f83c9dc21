//! What workers did: those of a pool, and those on threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::error::Death;
use crate::queue::membership::consumer_row::ConsumerRow;
use crate::queue::report::scaling::ScalingReport;
use crate::queue::report::snapshot::Drained;

/// Counts how the leases of a worker ended. An item that came back was leased more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct WorkerTotals {
    /// Leases that ended with `ack`.
    pub acked: u64,
    /// Items taken for good, with `into_inner`.
    pub taken: u64,
    /// Leases that ended otherwise: each failed attempt, and each item that was released or rejected, or that the pool took
    /// back from a batch that was being gathered. So these are more than the failed attempts alone.
    pub failed: u64,
    /// Handlers' futures that were dropped, as they took longer than the pool's
    /// [`handler_timeout`](crate::WorkerPoolBuilder::handler_timeout). What they had not settled is among the failed.
    /// 0 on [threads](crate::WorkerThreads): a function that runs there cannot be interrupted.
    pub timed_out: u64,
    /// How often the worker died; on [threads](crate::WorkerThreads), how often its functions panicked.
    pub deaths: u64,
}

/// What one worker did, all its restarts included.
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

/// Reports what workers did, once their queue has ended. Returned by [`WorkerPool::drained`](crate::WorkerPool::drained) and
/// [`WorkerThreads::join`](crate::WorkerThreads::join).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolReport {
    /// How the queue ended. After an abort or a shutdown, its totals do not have what workers acked after the end. `totals`,
    /// below, has it.
    pub drained: Drained,
    /// Every worker, by its index.
    pub workers: Vec<WorkerReport>,
    /// The sums over all workers.
    pub totals: WorkerTotals,
    /// How the pool grew and shrank by itself.
    pub scaling: ScalingReport,
}

impl PoolReport {
    pub(crate) fn new(drained: Drained, workers: Vec<WorkerReport>, scaling: ScalingReport) -> Self {
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

/// The counts of one worker, over all its restarts.
#[derive(Debug)]
pub(crate) struct WorkerTally {
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
    pub(crate) fn new(name: String) -> Self {
        Self {
            name,
            settled: WorkerTotals::default(),
            unsettled: Vec::new(),
            timed_out: Arc::default(),
            last_death: None,
        }
    }

    pub(crate) fn add_run(&mut self, row: Arc<ConsumerRow>) {
        for settled in self.unsettled.extract_if(.., |row| row.in_flight() == 0) {
            add(&mut self.settled, &settled);
        }
        self.unsettled.push(row);
    }

    /// Returns where the worker counts its handlers that time out.
    pub(crate) fn timed_out(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.timed_out)
    }

    /// Returns how many deaths that makes.
    pub(crate) fn count_death(&mut self, death: Death) -> u64 {
        self.settled.deaths += 1;
        self.last_death = Some(death);
        self.settled.deaths
    }

    pub(crate) fn report(&self) -> WorkerReport {
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
