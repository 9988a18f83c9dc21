//! The lock of the data plane.

use std::panic::{RefUnwindSafe, UnwindSafe};

use spin::mutex::{SpinMutex, SpinMutexGuard};

/// Held for some nanoseconds, by whoever puts or takes.
///
/// To lock and unlock it is one locked instruction, half of what a lock costs that knows who sleeps on it.
pub(crate) struct SpinLock<T>(SpinMutex<T>);

// As a `Mutex` is. It has no poison, but no change under it is ever left half-made: what can panic there is
// an allocation, before anything has changed.
impl<T> UnwindSafe for SpinLock<T> {}
impl<T> RefUnwindSafe for SpinLock<T> {}

pub(crate) type SpinGuard<'a, T> = SpinMutexGuard<'a, T>;

/// How long to pause before the next try; 64 pauses take a microsecond or more. Whoever has the lock uses it
/// for some dozen items meanwhile, all out of its own cache. Two that take turns item by item would wait for
/// the cache lines of each other instead.
const FIRST_PAUSES: usize = 8;
/// After a wait of so many pauses other threads may run: the one that has the lock may be without a core.
const MOST_PAUSES: usize = 64;

impl<T> SpinLock<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(SpinMutex::new(value))
    }

    #[inline]
    pub(crate) fn lock(&self) -> SpinGuard<'_, T> {
        match self.0.try_lock() {
            Some(guard) => guard,
            None => self.wait(),
        }
    }

    #[cold]
    fn wait(&self) -> SpinGuard<'_, T> {
        let mut pauses = FIRST_PAUSES;
        loop {
            for _ in 0..pauses {
                std::hint::spin_loop();
            }
            if let Some(guard) = self.0.try_lock() {
                return guard;
            }
            if pauses < MOST_PAUSES {
                pauses *= 2;
            } else {
                std::thread::yield_now();
            }
        }
    }
}
