//! When items are put.

use std::sync::atomic::{AtomicUsize, Ordering::Acquire};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;

/// After this much time something is lost, and will not come.
pub(super) const LIMIT: Duration = Duration::from_secs(10);
/// Enough for a thread that has nothing to do to fall asleep.
const PAUSE: Duration = Duration::from_micros(100);
/// Sleep may take longer by so much.
const OVERSLEEP: Duration = Duration::from_micros(100);

#[derive(Clone, Copy)]
pub(crate) enum Pace {
    /// The next one when the one before was handled, and the handler's thread sleeps.
    Idle,
    /// At fixed times, whether the one before was handled or not.
    Load { every: Duration, work: Duration },
}

impl Pace {
    /// What the handler does with each item.
    pub(super) fn work(self) -> Duration {
        match self {
            Pace::Idle => Duration::ZERO,
            Pace::Load { work, .. } => work,
        }
    }

    /// Puts items that tell, in nanoseconds since `began`, when they were due. Returns their sum.
    pub(super) fn drive(
        self,
        items: usize,
        began: Instant,
        handled: &AtomicUsize,
        mut put: impl FnMut(u64) -> bool,
    ) -> anyhow::Result<u64> {
        let mut sum = 0;
        match self {
            Pace::Idle => {
                for number in 0..items {
                    let due = nanos(began);
                    ensure!(put(due), "item {number} was refused");
                    sum += due;
                    // Asleep itself, the putter leaves the core to the handler.
                    loop {
                        thread::sleep(PAUSE);
                        if handled.load(Acquire) > number {
                            break;
                        }
                        ensure!(nanos(began) - due < LIMIT.as_nanos() as u64, "item {number} was not handled");
                    }
                }
            }
            Pace::Load { every, .. } => {
                let mut due = nanos(began);
                for number in 0..items {
                    due += every.as_nanos() as u64;
                    wait_until(began, due);
                    // A put that comes late, for whatever reason, counts from when it was due: otherwise
                    // whoever holds the putter up would be measured less often.
                    ensure!(put(due), "item {number} was refused");
                    sum += due;
                }
            }
        }
        Ok(sum)
    }
}

/// Yields rather than spins: the handler's thread may be on this core.
fn wait_until(began: Instant, due: u64) {
    loop {
        match due.checked_sub(nanos(began)) {
            None | Some(0) => return,
            Some(left) => match Duration::from_nanos(left).checked_sub(OVERSLEEP) {
                None => thread::yield_now(),
                Some(left) => thread::sleep(left),
            },
        }
    }
}

pub(super) fn nanos(since: Instant) -> u64 {
    since.elapsed().as_nanos() as u64
}
