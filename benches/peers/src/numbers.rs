//! What is handed over: the numbers below some count, each once, and whether they all came out.

use std::ops::Range;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What each of some producers sends of `items` numbers.
pub(crate) fn shares(items: usize, producers: usize) -> impl Iterator<Item = Range<u64>> {
    let (items, producers) = (items as u64, producers as u64);
    (0..producers).map(move |index| items * index / producers..items * (index + 1) / producers)
}

/// What consumers saw.
#[derive(Default, Clone, Copy)]
pub(crate) struct Seen {
    count: u64,
    sum: u64,
}

impl Seen {
    pub(crate) fn note(&mut self, item: u64) {
        self.count += 1;
        self.sum += item;
    }

    pub(crate) fn add(self, other: Self) -> Self {
        Self { count: self.count + other.count, sum: self.sum + other.sum }
    }

    pub(crate) fn count(self) -> u64 {
        self.count
    }

    pub(crate) fn sum(self) -> u64 {
        self.sum
    }

    /// That it is all the numbers below `items`, each once.
    pub(crate) fn check(self, items: usize) -> anyhow::Result<()> {
        let items = items as u64;
        let sum = items * (items - 1) / 2;
        ensure!(
            (self.count, self.sum) == (items, sum),
            "{} items came out with the sum {}, {items} with the sum {sum} went in",
            self.count,
            self.sum
        );
        Ok(())
    }
}

/// What one worker saw. It is handed in when the worker is dropped: that is how all kinds of workers end.
pub(crate) struct Tally {
    seen: Seen,
    to: UnboundedSender<Seen>,
}

impl Tally {
    pub(crate) fn note(&mut self, item: u64) {
        self.seen.note(item);
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        // Whoever gave up waiting for it has said so.
        let _ = self.to.send(self.seen);
    }
}

/// Where workers hand in what they saw.
pub(crate) struct Tallies {
    to: UnboundedSender<Seen>,
    from: UnboundedReceiver<Seen>,
}

impl Tallies {
    pub(crate) fn new() -> Self {
        let (to, from) = unbounded_channel();
        Self { to, from }
    }

    /// Makes a tally for each worker; workers are built in many places.
    pub(crate) fn maker(&self) -> impl Fn() -> Tally + Clone + Send + Sync + 'static {
        let to = self.to.clone();
        move || Tally { seen: Seen::default(), to: to.clone() }
    }

    /// Waits for the end of so many workers, within a runtime that has timers.
    pub(crate) async fn of(mut self, workers: usize) -> anyhow::Result<Seen> {
        let all = async {
            let mut seen = Seen::default();
            for _ in 0..workers {
                seen = seen.add(self.from.recv().await.expect("a sender is at hand"));
            }
            seen
        };
        tokio::time::timeout(Duration::from_secs(60), all).await.context("workers do not end")
    }
}
