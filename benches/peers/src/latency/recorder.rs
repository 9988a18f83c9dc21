//! What a handler notes.

use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Release};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::pace::nanos;
use crate::numbers;

/// Lives with the handler. When that is gone, it hands in what it noted.
pub(crate) struct Recorder {
    began: Instant,
    work: u64,
    handled: Arc<AtomicUsize>,
    account: Account,
    home: mpsc::Sender<Account>,
}

#[derive(Default)]
pub(super) struct Account {
    /// In nanoseconds, of all items in turn.
    latencies: Vec<u64>,
    sum: u64,
}

impl Recorder {
    /// Creates a recorder for a number of items, on each of which a handler works for this time.
    pub(super) fn new(
        items: usize,
        work: Duration,
        began: Instant,
        handled: Arc<AtomicUsize>,
        home: mpsc::Sender<Account>,
    ) -> Self {
        let account = Account { latencies: Vec::with_capacity(items), sum: 0 };
        Self { began, work: work.as_nanos() as u64, handled, account, home }
    }

    /// The first thing that a handler does.
    pub(crate) fn note(&mut self, due: u64) {
        let now = nanos(self.began);
        self.account.latencies.push(now.saturating_sub(due));
        self.account.sum += due;
        while nanos(self.began) < now + self.work {
            spin_loop();
        }
        self.handled.fetch_add(1, Release);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // Nobody waits for it if the putter has failed.
        self.home.send(std::mem::take(&mut self.account)).ok();
    }
}

impl Account {
    /// p50, p99 and p99.9 in microseconds, if all `items` came, whose due times add up to `sum`.
    pub(super) fn percentiles(mut self, items: usize, sum: u64) -> anyhow::Result<Vec<f64>> {
        let count = self.latencies.len();
        numbers::check((count as u64, self.sum), (items as u64, sum))?;
        // Threads and memory are new to the first ones.
        self.latencies.drain(..items / 20);
        self.latencies.sort_unstable();
        let at = |share: f64| {
            let rank = (self.latencies.len() as f64 * share).ceil() as usize;
            self.latencies[rank.saturating_sub(1)] as f64 / 1000.0
        };
        Ok(vec![at(0.5), at(0.99), at(0.999)])
    }
}
