//! What a pool's handles and its supervisor share.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::error::Death;
use crate::lock::lock;
use crate::queue::{ConsumerRow, ScalingLog, ScalingReport, WorkerReport, WorkerTally};

/// The workers that run, and the orders to all of them.
#[derive(Debug)]
pub(super) struct Roster(Mutex<RosterState>);

#[derive(Debug)]
struct RosterState {
    paused: bool,
    /// The pool has given up or ended.
    closed: bool,
    /// By the worker's index.
    workers: Vec<RosterEntry>,
    scaling: ScalingLog,
}

#[derive(Debug)]
struct RosterEntry {
    /// The consumer of the worker that runs now.
    row: Option<Arc<ConsumerRow>>,
    tally: WorkerTally,
}

impl Roster {
    pub(super) fn new() -> Self {
        Self(Mutex::new(RosterState { paused: false, closed: false, workers: Vec::new(), scaling: ScalingLog::new() }))
    }

    fn state(&self) -> MutexGuard<'_, RosterState> {
        lock(&self.0)
    }

    /// Adds the worker with the next index.
    pub(super) fn add(&self, name: String) {
        self.state().workers.push(RosterEntry { row: None, tally: WorkerTally::new(name) });
    }

    /// Notes that a worker starts, and returns where it counts its handlers that time out. Called before it can take an item,
    /// so it never misses a pause.
    pub(super) fn start(&self, index: usize, row: Arc<ConsumerRow>) -> Arc<AtomicU64> {
        let mut state = self.state();
        row.pause(state.paused);
        let worker = &mut state.workers[index];
        worker.tally.add_run(Arc::clone(&row));
        worker.row = Some(row);
        worker.tally.timed_out()
    }

    /// Notes that a worker has ended, and returns its row.
    pub(super) fn end(&self, index: usize) -> Option<Arc<ConsumerRow>> {
        self.state().workers[index].row.take()
    }

    pub(super) fn count_death(&self, index: usize, death: Death) {
        self.state().workers[index].tally.count_death(death);
    }

    pub(super) fn row(&self, index: usize) -> Option<Arc<ConsumerRow>> {
        self.state().workers[index].row.clone()
    }

    pub(super) fn report(&self) -> Vec<WorkerReport> {
        self.state().workers.iter().map(|worker| worker.tally.report()).collect()
    }

    pub(super) fn pause(&self, paused: bool) {
        let mut state = self.state();
        state.paused = paused;
        // The workers are woken under the lock: their wakers are those of arbiters, which are no user code.
        state.workers.iter().filter_map(|worker| worker.row.as_ref()).for_each(|row| row.pause(paused));
    }

    pub(super) fn is_paused(&self) -> bool {
        self.state().paused
    }

    /// Notes how many workers the pool is to have.
    pub(super) fn set_target(&self, workers: usize) {
        self.state().scaling.set_workers(workers);
    }

    /// Notes that the pool grows or shrinks by itself. Called before the number changes.
    pub(super) fn count_scaling(&self, from: usize, to: usize) {
        self.state().scaling.count(from, to);
    }

    pub(super) fn scaling(&self) -> ScalingReport {
        self.state().scaling.report()
    }

    pub(super) fn close(&self) {
        self.state().closed = true;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }
}
