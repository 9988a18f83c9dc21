//! The lock of the data plane.

use std::panic::{RefUnwindSafe, UnwindSafe};
use std::thread;
use std::time::Duration;

use spin::mutex::{SpinMutex, SpinMutexGuard};

/// A lock that producers and consumers hold for some nanoseconds.
///
/// Locking and unlocking it takes one locked instruction. A lock that can wake sleeping threads takes two.
pub(crate) struct SpinLock<T>(SpinMutex<T>);

// As for `Mutex`. It has no poison, but a panic leaves no change half made: only an allocation can panic while it is held,
// before anything has changed.
impl<T> UnwindSafe for SpinLock<T> {}
impl<T> RefUnwindSafe for SpinLock<T> {}

pub(crate) type SpinGuard<'a, T> = SpinMutexGuard<'a, T>;

/// How many pauses a thread makes before the next try; 64 pauses take a microsecond or more. Meanwhile the thread that has
/// the lock uses it for some dozen items, from its own cache. Threads that take turns item by item would wait for each
/// other's cache lines instead.
const FIRST_PAUSES: usize = 8;
/// After a wait of this many pauses the thread yields: the one that has the lock may need the core.
const MOST_PAUSES: usize = 64;
/// After this many yields the thread sleeps. A yield lets only threads of the same or a higher priority run, and the one
/// that has the lock may have a lower one on the same core.
const YIELDS: usize = 16;
const SHORTEST_SLEEP: Duration = Duration::from_micros(50);
const LONGEST_SLEEP: Duration = Duration::from_millis(1);

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
        let (mut pauses, mut yields, mut sleep) = (FIRST_PAUSES, 0, SHORTEST_SLEEP);
        loop {
            for _ in 0..pauses {
                std::hint::spin_loop();
            }
            if let Some(guard) = self.0.try_lock() {
                return guard;
            }
            if pauses < MOST_PAUSES {
                pauses *= 2;
            } else if yields < YIELDS {
                yields += 1;
                thread::yield_now();
            } else {
                thread::sleep(sleep);
                sleep = (2 * sleep).min(LONGEST_SLEEP);
            }
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::time::Instant;
    use std::{fs, thread};

    use super::*;

    /// The kernel lists a thread that spins or yields as running, and one that sleeps as sleeping.
    #[test]
    fn a_thread_that_waits_for_the_lock_for_long_sleeps() {
        let lock = Arc::new(SpinLock::new(1));
        let held = lock.lock();
        let (tell, told) = channel();
        let waits = thread::spawn({
            let lock = Arc::clone(&lock);
            move || {
                tell.send(fs::read_link("/proc/thread-self").unwrap()).unwrap();
                *lock.lock() += 1;
            }
        });
        let stat = std::path::Path::new("/proc").join(told.recv().unwrap()).join("stat");
        let began = Instant::now();
        while !fs::read_to_string(&stat).unwrap().contains(") S ") {
            assert!(began.elapsed() < Duration::from_secs(60), "it never sleeps");
        }
        drop(held);
        waits.join().unwrap();
        assert_eq!(*lock.lock(), 2);
    }
}
