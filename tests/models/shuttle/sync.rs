//! What `src/sync.rs` is to the crate itself.
//!
//! shuttle lets one thread run at a time, from one access to the next; all accesses are sequentially
//! consistent to it.

use std::fmt;

pub use shuttle::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, atomic};
pub(crate) use shuttle::thread_local;

/// Its accesses are single steps here.
pub(crate) use futures::task::AtomicWaker;

use concurrent_queue::{PopError, PushError};

pub(crate) use spin::Backoff;
pub(crate) use time::{CoarseInstant, Instant};

#[path = "../spin.rs"]
mod spin;
#[path = "thread.rs"]
pub mod thread;
#[path = "time.rs"]
pub(crate) mod time;

/// The library's ring, each call of which is one step.
pub(crate) struct ConcurrentQueue<T> {
    ring: concurrent_queue::ConcurrentQueue<T>,
    /// Touched before each step, so that other threads may come between.
    step: atomic::AtomicUsize,
}

impl<T> fmt::Debug for ConcurrentQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ring.fmt(f)
    }
}

impl<T> ConcurrentQueue<T> {
    pub(crate) fn bounded(capacity: usize) -> Self {
        Self { ring: concurrent_queue::ConcurrentQueue::bounded(capacity), step: atomic::AtomicUsize::new(0) }
    }

    pub(crate) fn unbounded() -> Self {
        Self { ring: concurrent_queue::ConcurrentQueue::unbounded(), step: atomic::AtomicUsize::new(0) }
    }

    fn ring(&self) -> &concurrent_queue::ConcurrentQueue<T> {
        self.step.load(atomic::Ordering::SeqCst);
        &self.ring
    }

    pub(crate) fn push(&self, item: T) -> Result<(), PushError<T>> {
        self.ring().push(item)
    }

    pub(crate) fn pop(&self) -> Result<T, PopError> {
        self.ring().pop()
    }

    pub(crate) fn len(&self) -> usize {
        self.ring().len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ring().is_empty()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.ring().is_closed()
    }

    pub(crate) fn close(&self) -> bool {
        self.ring().close()
    }
}
