//! What threads that work with a function do, and what they share with their handle.

use std::sync::Arc;
use std::task::Poll;

use super::block::{Limit, Operation, block};
use super::consumer::Consumer;
use super::line_wait::LineWait;
use super::open::PoolClaim;
use crate::backoff::Backoff;
use crate::error::Death;
use crate::lock::lock;
use crate::one_line::OneLine;
use crate::queue::{
    IntoVerdict, Item, Line, PoolReport, ScalingReport, Shared, Slot, WorkerReport, WorkerTally, count, quietly,
};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// What the threads share with their handle.
pub(super) struct Crew<T> {
    pub(super) queue: Arc<Shared<T>>,
    /// By the worker's index.
    tallies: Vec<Mutex<WorkerTally>>,
    /// How many threads have not ended.
    running: AtomicUsize,
}

impl<T> Crew<T> {
    pub(super) fn new(queue: &Arc<Shared<T>>, threads: usize) -> Self {
        let tallies = (0..threads).map(|index| Mutex::new(WorkerTally::new(worker_name(index)))).collect();
        Self { queue: Arc::clone(queue), tallies, running: AtomicUsize::new(threads) }
    }

    pub(super) fn thread_name(&self, index: usize) -> String {
        let worker = worker_name(index);
        // The worker comes first: Linux keeps 15 bytes.
        match &self.queue.name {
            // A thread's name must not have a NUL.
            Some(name) => format!("{worker} of {}", OneLine(name)),
            None => format!("{worker} of {}", self.queue.id),
        }
    }

    pub(super) fn open(&self, index: usize, claim: &PoolClaim<T>) -> Consumer<T> {
        let consumer = claim.consumer(&worker_name(index));
        lock(&self.tallies[index]).add_run(Arc::clone(&consumer.slot().row));
        consumer
    }

    pub(super) fn workers(&self) -> Vec<WorkerReport> {
        self.tallies.iter().map(|tally| lock(tally).report()).collect()
    }

    /// `None` before the end.
    pub(super) fn report(&self) -> Option<PoolReport> {
        if self.running.load(SeqCst) > 0 {
            return None;
        }
        let scaling = ScalingReport::fixed(self.tallies.len());
        self.queue.ended().map(|drained| PoolReport::new(drained, self.workers(), scaling))
    }

    /// Waits for the end. The queue's end wakes the line, and so does the last thread.
    pub(super) fn end(&self) -> impl Operation<Output = PoolReport> {
        LineWait::new(&self.queue, Line::Watchers, |_| self.report())
    }
}

impl<T: Send + 'static> Crew<T> {
    /// Works on items until the queue has ended.
    pub(super) fn work<S, R: IntoVerdict>(
        &self,
        index: usize,
        mut consumer: Consumer<T>,
        init: impl Fn(usize) -> S,
        work: impl Fn(&mut S, &Item<T>) -> R,
    ) {
        let slot = Arc::clone(consumer.slot());
        // Without a state it takes no item: no item is to fail because a state cannot be made.
        while let Some(mut state) = self.make_state(index, &slot, &init) {
            let panic = loop {
                let Some(item) = consumer.blocking_lease() else {
                    return quietly("the drop of a worker's state", || drop(state));
                };
                // The closure owns the item, so a panic drops it in there.
                let worked = slot.poll_caught(&mut state, |state| {
                    let verdict = work(state, &item).into_verdict();
                    verdict.settle(item);
                    Poll::Pending // keeps the state
                });
                if let Poll::Ready(Err(panic)) = worked {
                    break panic;
                }
            };
            self.count_panic(index, panic, "it goes on with the next item");
        }
    }

    /// Returns `None` if the queue has ended: then no state is needed, and making one may take long.
    fn make_state<S>(&self, index: usize, slot: &Slot<T>, init: impl Fn(usize) -> S) -> Option<Option<S>> {
        let mut failures = 0;
        while !self.queue.has_ended() {
            let mut state = None;
            let made = slot.poll_caught(&mut Some(()), |()| {
                state = Some(init(index));
                Poll::Pending
            });
            let Poll::Ready(Err(panic)) = made else { return Some(state) };
            failures += 1;
            let delay = Backoff::OF_RESTARTS.delay(failures);
            self.count_panic(index, panic, "its state is made again after a pause");
            let mut end = LineWait::new(&self.queue, Line::Watchers, Shared::ended);
            if block(&mut end, Limit::For(delay), "").is_some() {
                break;
            }
        }
        None
    }

    fn count_panic(&self, index: usize, panic: String, then: &str) {
        let text = OneLine(&panic).to_string();
        let panics = lock(&self.tallies[index]).count_death(Death::Panicked(panic));
        // An item may panic as often as it has attempts, and there may be any number of such items.
        if panics.is_power_of_two() {
            let times = count(panics, "panic");
            let (queue, worker) = (self.queue.label(), worker_name(index));
            log::warn!("{queue}: {worker} panicked: {text}; {then} ({times} so far)");
        }
    }
}

/// Counts a thread as running until it is dropped.
pub(super) struct Running<'a, T>(pub(super) &'a Crew<T>);

impl<T> Drop for Running<'_, T> {
    fn drop(&mut self) {
        if self.0.running.fetch_sub(1, SeqCst) == 1 {
            self.0.queue.notify_all(Line::Watchers);
        }
    }
}

fn worker_name(index: usize) -> String {
    format!("worker-{index}")
}
