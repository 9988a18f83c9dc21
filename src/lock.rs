//! A lock that ignores poison.

use std::sync::PoisonError;

use crate::sync::{Mutex, MutexGuard};

/// Locks a mutex, also a poisoned one.
///
/// No change under a mutex of this crate calls user code, so a panic leaves none half made.
#[inline]
pub(crate) fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
