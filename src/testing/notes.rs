//! The notes in a ledger.

use std::sync::{Arc, Mutex};

use crate::lock::lock;

/// A put, and whether it is known that the queue accepted it.
#[derive(Debug, Clone)]
pub(super) struct NotedPut<K> {
    pub(super) key: K,
    pub(super) certain: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Event<K> {
    Handed(K, u32),
    Finished(K),
    Taken(K),
    Told,
}

/// An end that no consumer brought about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotedEnd {
    DeadLettered,
    LeftOver,
    /// Not an end: the dead letter was retried.
    Retried,
}

/// Shared by those who write and the ledger. There is one writer, as a rule, so the lock is free.
pub(super) struct List<E>(Arc<Mutex<Vec<E>>>);

impl<E> List<E> {
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    pub(super) fn push(&self, entry: E) {
        lock(&self.0).push(entry);
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.0).len()
    }

    pub(super) fn entries(&self) -> Vec<E>
    where
        E: Clone,
    {
        lock(&self.0).clone()
    }
}

impl<E> Clone for List<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
