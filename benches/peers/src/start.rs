//! A common start, and the time at which it was.

use std::sync::{Barrier, OnceLock};
use std::time::Instant;

/// Lets threads begin together. The first of them notes the time: a thread that only measures may get a core when the
/// others are done already.
#[derive(Debug)]
pub(crate) struct Start {
    all_there: Barrier,
    began: OnceLock<Instant>,
}

impl Start {
    pub(crate) fn of(threads: usize) -> Self {
        Self { all_there: Barrier::new(threads), began: OnceLock::new() }
    }

    /// Waits until all threads are there. Returns when the first of them began.
    pub(crate) fn wait(&self) -> Instant {
        self.all_there.wait();
        *self.began.get_or_init(Instant::now)
    }
}
