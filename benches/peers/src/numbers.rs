//! What is handed over: the numbers below some count, each once, and whether they all came out.

use std::cmp::Ordering;
use std::ops::Range;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::trial::Failure;

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
    last: u64,
    /// How many came after a greater one.
    late: u64,
}

impl Seen {
    pub(crate) fn note(&mut self, item: u64) {
        self.count += 1;
        self.sum += item;
        self.late += u64::from(item < self.last);
        self.last = item;
    }

    pub(crate) fn add(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            sum: self.sum + other.sum,
            last: self.last.max(other.last),
            late: self.late + other.late,
        }
    }

    pub(crate) fn count(self) -> u64 {
        self.count
    }

    pub(crate) fn sum(self) -> u64 {
        self.sum
    }

    /// That it is all the numbers below `items`, each once.
    pub(crate) fn check(self, items: usize) -> Result<(), Failure> {
        let items = items as u64;
        check((self.count, self.sum), (items, items * items.saturating_sub(1) / 2))
    }

    /// That each consumer saw them in order, too, as they must if one producer put them all.
    pub(crate) fn check_in_order(self, items: usize) -> Result<(), Failure> {
        self.check(items)?;
        if self.late > 0 { Err(Failure::OutOfOrder { items: self.late, of: items as u64 }) } else { Ok(()) }
    }
}

/// That what came out is what went in, by count and sum.
pub(crate) fn check((came, sum): (u64, u64), (items, wanted): (u64, u64)) -> Result<(), Failure> {
    match came.cmp(&items) {
        Ordering::Less => Err(Failure::Lost { items: items - came, of: items }),
        Ordering::Greater => Err(Failure::Repeated { items: came - items, of: items }),
        Ordering::Equal if sum != wanted => Err(Failure::Mixed { of: items }),
        Ordering::Equal => Ok(()),
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
