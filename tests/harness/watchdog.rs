//! Ends for what hangs. No verdict rests on the time.

use std::panic;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Much longer than any test takes, also on a machine that is busy: only what hangs meets it.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Runs `body` on a thread of its own, and fails the test if that hangs.
#[track_caller]
pub fn within_watchdog<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, finished) = channel::<()>();
    let running = thread::spawn(move || {
        // Dropped by a panic too.
        let _done = done;
        body()
    });
    if finished.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
        panic!("the test hangs: no end after {PATIENCE:?}");
    }
    running.join().unwrap_or_else(|reason| panic::resume_unwind(reason))
}

/// Waits until it is so, and fails the test if that never comes.
#[track_caller]
pub fn eventually(what: &str, mut reached: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !reached() {
        assert!(begin.elapsed() < PATIENCE, "waited {PATIENCE:?} until {what}");
        thread::sleep(Duration::from_millis(2));
    }
}
