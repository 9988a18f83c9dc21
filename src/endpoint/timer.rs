//! The time that futures wait for, on any executor: one thread keeps it for all queues of the process.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::queue::quietly;

/// Wakes a future after some time. Dropping it takes its waker back.
#[derive(Debug)]
pub(super) struct Timer {
    /// `None` if that is too far away for a point in time: then it never comes.
    due: Option<Instant>,
    /// Tells timers apart that are due together, once it is set.
    number: Option<u64>,
}

/// The timers that are set, by the time at which they are due.
struct Timers {
    set: BTreeMap<(Instant, u64), Waker>,
    count: u64,
    /// Started for the first timer of the process, and parked while none is set.
    thread: Option<Thread>,
}

static TIMERS: Mutex<Timers> = Mutex::new(Timers { set: BTreeMap::new(), count: 0, thread: None });

/// No user code runs while they are locked.
fn timers() -> MutexGuard<'static, Timers> {
    TIMERS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Timer {
    pub(super) fn after(time: Duration) -> Self {
        Self { due: Instant::now().checked_add(time), number: None }
    }

    /// Ready once the time has come.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(due) = self.due else { return Poll::Pending };
        if due <= Instant::now() {
            return Poll::Ready(());
        }
        match self.set(due, cx.waker().clone()) {
            Ok(replaced) => {
                drop(replaced);
                Poll::Pending
            }
            Err(error) => {
                log::error!("no thread could be started to keep the time, so a batch does not wait for more: {error}");
                Poll::Ready(())
            }
        }
    }

    /// Sets the timer. Returns the waker that this one replaces, to be dropped without the lock.
    fn set(&mut self, due: Instant, waker: Waker) -> io::Result<Option<Waker>> {
        let mut timers = timers();
        let thread = match &timers.thread {
            Some(thread) => thread.clone(),
            None => {
                let thread = thread::Builder::new().name("queue-timers".to_owned()).spawn(ring)?.thread().clone();
                timers.thread.insert(thread).clone()
            }
        };
        let number = *self.number.get_or_insert_with(|| {
            timers.count += 1;
            timers.count
        });
        let replaced = timers.set.insert((due, number), waker);
        let is_next = timers.set.first_key_value().is_some_and(|(first, _)| *first == (due, number));
        drop(timers);
        if is_next && replaced.is_none() {
            thread.unpark();
        }
        Ok(replaced)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let (Some(due), Some(number)) = (self.due, self.number) {
            let waker = timers().set.remove(&(due, number));
            drop(waker);
        }
    }
}

/// Wakes the futures in time. This is the thread.
fn ring() {
    loop {
        let (due, next) = {
            let mut timers = timers();
            let now = Instant::now();
            let later = timers.set.split_off(&(now, u64::MAX));
            let due = std::mem::replace(&mut timers.set, later);
            (due, timers.set.first_key_value().map(|((next, _), _)| next.saturating_duration_since(now)))
        };
        if due.is_empty() {
            match next {
                Some(sleep) => thread::park_timeout(sleep),
                None => thread::park(),
            }
            continue;
        }
        // It looks again before it parks: a waker that parks this thread may use up its unpark.
        for waker in due.into_values() {
            quietly("the waker of a batch", || waker.wake());
        }
    }
}
