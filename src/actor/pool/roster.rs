//! What a pool's handles and its supervisor share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    rows: Vec<Option<Arc<ConsumerRow>>>,
    /// What the queue held when the pool gave up and aborted it.
    left: Vec<T>,
}

impl<T> Roster<T> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Listed { paused: false, closed: false, rows: Vec::new(), left: Vec::new() }))
    }

    fn listed(&self) -> MutexGuard<'_, Listed<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A worker begins, before it can take anything.
    pub(super) fn begin(&self, index: usize, row: Arc<ConsumerRow>) {
        let mut listed = self.listed();
        row.pause(listed.paused);
        if listed.rows.len() <= index {
            listed.rows.resize(index + 1, None);
        }
        listed.rows[index] = Some(row);
    }

    pub(super) fn end(&self, index: usize) {
        if let Some(row) = self.listed().rows.get_mut(index) {
            *row = None;
        }
    }

    pub(super) fn row(&self, index: usize) -> Option<Arc<ConsumerRow>> {
        self.listed().rows.get(index).cloned().flatten()
    }

    pub(super) fn pause(&self, paused: bool) {
        let mut listed = self.listed();
        listed.paused = paused;
        // It wakes the workers under the lock: their wakers are the arbiters' own.
        listed.rows.iter().flatten().for_each(|row| row.pause(paused));
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
