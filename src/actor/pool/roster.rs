//! What a pool's handles and its supervisor share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::report::{Account, WorkerReport};
use crate::error::Death;
use crate::queue::{ConsumerRow, drop_quietly};

/// The workers at work, and what is told to all of them at once.
#[derive(Debug)]
pub(super) struct Roster<T>(Mutex<Listed<T>>);

#[derive(Debug)]
struct Listed<T> {
    paused: bool,
    /// The pool has given up or ended.
    closed: bool,
    /// By the worker's index.
    workers: Vec<Listing>,
    /// What the queue held when the pool gave up and aborted it.
    left: Vec<T>,
}

#[derive(Debug)]
struct Listing {
    /// Of the worker that fills the place now.
    row: Option<Arc<ConsumerRow>>,
    account: Account,
}

impl<T> Roster<T> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Listed { paused: false, closed: false, workers: Vec::new(), left: Vec::new() }))
    }

    fn listed(&self) -> MutexGuard<'_, Listed<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for the worker with the next index.
    pub(super) fn add(&self, name: String) {
        self.listed().workers.push(Listing { row: None, account: Account::new(name) });
    }

    /// A worker begins, before it can take anything.
    pub(super) fn begin(&self, index: usize, row: Arc<ConsumerRow>) {
        let mut listed = self.listed();
        row.pause(listed.paused);
        let worker = &mut listed.workers[index];
        worker.account.open(Arc::clone(&row));
        worker.row = Some(row);
    }

    /// The row of a worker that has come to its end.
    pub(super) fn end(&self, index: usize) -> Option<Arc<ConsumerRow>> {
        self.listed().workers[index].row.take()
    }

    pub(super) fn died(&self, index: usize, death: Death) {
        self.listed().workers[index].account.died(death);
    }

    pub(super) fn row(&self, index: usize) -> Option<Arc<ConsumerRow>> {
        self.listed().workers[index].row.clone()
    }

    pub(super) fn report(&self) -> Vec<WorkerReport> {
        self.listed().workers.iter().map(|worker| worker.account.report()).collect()
    }

    pub(super) fn pause(&self, paused: bool) {
        let mut listed = self.listed();
        listed.paused = paused;
        // It wakes the workers under the lock: their wakers are the arbiters' own.
        listed.workers.iter().filter_map(|worker| worker.row.as_ref()).for_each(|row| row.pause(paused));
    }

    pub(super) fn close(&self) {
        self.listed().closed = true;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.listed().closed
    }

    pub(super) fn keep_left(&self, items: Vec<T>) {
        self.listed().left = items;
    }

    pub(super) fn take_left(&self) -> Vec<T> {
        std::mem::take(&mut self.listed().left)
    }
}

impl<T> Drop for Roster<T> {
    /// What nobody has asked for.
    fn drop(&mut self) {
        self.take_left().into_iter().for_each(drop_quietly);
    }
}
