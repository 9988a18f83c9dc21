//! Threads do not spin in models: a schedule in which they do differs in nothing from one in which they
//! come later.

use super::{Mutex, MutexGuard};

pub(crate) struct SpinBackoff;

impl SpinBackoff {
    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn is_completed(&self) -> bool {
        true
    }

    pub(crate) fn snooze(&self) {}
}

/// The lock of the data plane.
pub(crate) struct SpinLock<T>(Mutex<T>);

pub(crate) type SpinGuard<'a, T> = MutexGuard<'a, T>;

impl<T> SpinLock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> SpinGuard<'_, T> {
        self.0.lock().expect("no code panics that has the lock")
    }
}

/// The place is kept as soon as one has gone before.
pub(crate) const PUTS_PAST_LINE: u64 = 1;

pub(crate) const LOOKS_BESIDE_NOTIFIED: u32 = 1;

/// An actor that is served by address is sent at most this many items in a row.
pub(crate) const ITEMS_IN_A_ROW: usize = 1;
