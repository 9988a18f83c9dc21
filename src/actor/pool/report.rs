//! What a pool tells when it is done.

use std::sync::Arc;

use crate::error::Death;
use crate::queue::{ConsumerRow, Drained};

/// What became of the items that a worker was handed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct WorkerTotals {
    /// Items whose lease ended with `ack`.
    pub acked: u64,
    /// Items taken for good, with `into_inner`.
    pub taken: u64,
    /// Items whose lease ended otherwise: they went back, or became dead letters.
    pub failed: u64,
    /// How many times the worker died.
    pub deaths: u64,
}

/// One worker of a pool, with all its replacements.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerReport {
    /// Its name, which its consumers had as well.
    pub name: String,
    /// What it did.
    pub totals: WorkerTotals,
    /// Why it died last, if it ever did.
    pub last_death: Option<Death>,
}

/// How the work of a pool went; from [`WorkerPool::drained`](crate::WorkerPool::drained).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolReport {
    /// How the queue ended.
    pub drained: Drained,
    /// Every worker, by its index.
    pub workers: Vec<WorkerReport>,
    /// What all of them did together.
    pub totals: WorkerTotals,
}

impl PoolReport {
    pub(super) fn new(drained: Drained, workers: Vec<WorkerReport>) -> Self {
        let mut totals = WorkerTotals::default();
        for worker in &workers {
            totals.acked += worker.totals.acked;
            totals.taken += worker.totals.taken;
            totals.failed += worker.totals.failed;
            totals.deaths += worker.totals.deaths;
        }
        Self { drained, workers, totals }
    }
}

/// The account of one worker, over all its lives.
#[derive(Debug)]
pub(super) struct Account {
    name: String,
    closed: WorkerTotals,
    /// Lives whose items may still be settled by somebody.
    open: Vec<Arc<ConsumerRow>>,
    last_death: Option<Death>,
}

impl Account {
    pub(super) fn new(name: String) -> Self {
        Self { name, closed: WorkerTotals::default(), open: Vec::new(), last_death: None }
    }

    /// A life begins.
    pub(super) fn open(&mut self, row: Arc<ConsumerRow>) {
        for settled in self.open.extract_if(.., |row| row.in_flight() == 0) {
            add(&mut self.closed, &settled);
        }
        self.open.push(row);
    }

    pub(super) fn died(&mut self, death: Death) {
        self.closed.deaths += 1;
        self.last_death = Some(death);
    }

    pub(super) fn report(&self) -> WorkerReport {
        let mut totals = self.closed;
        self.open.iter().for_each(|row| add(&mut totals, row));
        WorkerReport { name: self.name.clone(), totals, last_death: self.last_death.clone() }
    }
}

fn add(totals: &mut WorkerTotals, row: &ConsumerRow) {
    totals.acked += row.acked();
    totals.taken += row.taken();
    totals.failed += row.unacked();
}
