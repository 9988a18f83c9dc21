//! What a ledger is given to write down.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A put, and whether it is known that the queue accepted it.
#[derive(Debug, Clone)]
pub(super) struct Put<K> {
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

/// An end that no consumer made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    DeadLettered,
    LeftOver,
}

/// Shared by those who write and the ledger. There is one writer, as a rule, so the lock is free.
pub(super) struct List<E>(Arc<Mutex<Vec<E>>>);

impl<E> List<E> {
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    pub(super) fn push(&self, entry: E) {
        locked(&self.0).push(entry);
    }

    pub(super) fn len(&self) -> usize {
        locked(&self.0).len()
    }

    pub(super) fn entries(&self) -> Vec<E>
    where
        E: Clone,
    {
        locked(&self.0).clone()
    }
}

impl<E> Clone for List<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// A thread that panicked has written whole entries all the same.
pub(super) fn locked<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
