//! Random schedules whose steps also happen in the middle of a poll, as those of other threads do: between its first look,
//! its parking and its second look. `tests/queue/preference_schedules.rs` has schedules of whole calls.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::{Config, Item, IterableQueue, Place, Shared, State, Take, Taken};
use crate::backoff::Backoff;
use crate::endpoint::{Consumer, Producer};
use crate::error::TryGetError;
use crate::queue::report::clock::Ticks;

#[derive(Default)]
pub(super) struct Wakes(pub(super) AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

struct Worker {
    consumer: Consumer<u32>,
    place: Place,
    wakes: Arc<Wakes>,
    /// How often it had been woken before its last look, if it waits.
    parked: Option<usize>,
}

impl Worker {
    fn new(consumer: Consumer<u32>) -> Self {
        Self { place: Place::for_items(consumer.id()), consumer, wakes: Arc::default(), parked: None }
    }

    fn sleeps(&self) -> bool {
        self.parked == Some(self.wakes.0.load(SeqCst))
    }

    fn is_woken(&self) -> bool {
        self.parked.is_some() && !self.sleeps()
    }

    fn is_shut(&self) -> bool {
        self.consumer.slot().row.is_shut()
    }
}

struct World {
    random: fastrand::Rng,
    shared: Arc<Shared<u32>>,
    queue: Option<IterableQueue<u32>>,
    producer: Option<Producer<u32>>,
    /// `None` while it polls, and once it is gone.
    workers: Vec<Option<Worker>>,
    items: Vec<Item<u32>>,
    puts: u32,
    /// How many polls the current step is nested in.
    depth: u32,
    log: Vec<String>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let never = Backoff::exponential(Duration::MAX, Duration::MAX);
        let queue = IterableQueue::new(Config {
            name: None,
            capacity: [None, Some(1), Some(2), Some(5)][random.usize(..4)],
            max_attempts: [2, 5, 100][random.usize(..3)],
            redelivery_backoff: (random.u32(..3) == 0).then_some(never),
            kept_letters: 0,
            describe: None,
        });
        let workers = (0..random.usize(1..5)).map(|_| queue.consumer().ok().map(Worker::new)).collect();
        let (shared, producer) = (Arc::clone(queue.shared()), queue.producer().ok());
        let (items, log) = (Vec::new(), Vec::new());
        Self { random, shared, queue: Some(queue), producer, workers, items, puts: 0, depth: 0, log }
    }

    fn note(&mut self, what: &str) {
        self.log.push(format!("{:1$}{what}", "", 2 * self.depth as usize));
    }

    fn any(&mut self, which: impl Fn(&Worker) -> bool) -> Option<usize> {
        let found = (0..self.workers.len()).filter(|n| self.workers[*n].as_ref().is_some_and(&which));
        self.random.choice(found.collect::<Vec<_>>())
    }

    fn poll(&mut self, n: usize) {
        let Some(mut worker) = self.workers[n].take() else { return };
        let take = if self.random.u32(..4) == 0 { Take::Own } else { Take::Lease };
        self.note(&format!("poll {n} {take:?}"));
        let (shared, waker) = (Arc::clone(&self.shared), Waker::from(Arc::clone(&worker.wakes)));
        let slot = Arc::clone(worker.consumer.slot());
        let (mut looks, wakes, mut taken) = (0, Cell::new(0), Taken::nothing());
        let mut look = || {
            looks += 1;
            if looks == 2 {
                // It has parked: a wake-up from here on asks for another look.
                wakes.set(worker.wakes.0.load(SeqCst));
                self.meanwhile();
            }
            let result = shared.try_take(&slot.row, take, &mut taken);
            self.meanwhile();
            match result {
                Ok(()) => Some(Ok(())),
                Err(TryGetError::Ended) => Some(Err(())),
                Err(TryGetError::Empty) => None,
            }
        };
        let first = if worker.place.is_in_line() { None } else { look() };
        let polled = match first {
            Some(result) => Poll::Ready(result),
            None => shared.wait(&mut worker.place, &mut Context::from_waker(&waker), |_| look()),
        };
        self.note(&format!("{n} has {polled:?}"));
        worker.parked = polled.is_pending().then(|| wakes.get());
        if let (Poll::Ready(Ok(())), Take::Lease) = (polled, take) {
            self.items.push(Item::new(&slot, taken));
        }
        self.workers[n] = Some(worker);
    }

    fn meanwhile(&mut self) {
        if self.depth < 3 && self.random.u32(..3) == 0 {
            self.depth += 1;
            (0..self.random.u32(..4)).for_each(|_| self.step());
            self.depth -= 1;
        }
    }

    /// As `Consumer::try_lease` does it.
    fn try_lease(&mut self, n: usize) -> bool {
        let Some(worker) = &mut self.workers[n] else { return false };
        let slot = worker.consumer.slot();
        let mut taken = Taken::nothing();
        if self.shared.try_take(&slot.row, Take::Lease, &mut taken).is_err() {
            return false;
        }
        let item = Item::new(slot, taken);
        self.shared.leave(&mut worker.place, true);
        worker.parked = None;
        self.note(&format!("{n} took {item:?}"));
        self.items.push(item);
        true
    }

    /// Leaves the line, and maybe the queue.
    fn leave(&mut self, n: usize, for_good: bool) {
        self.note(&format!("leave {n}, for good: {for_good}"));
        if let Some(mut worker) = self.workers[n].take() {
            self.shared.leave(&mut worker.place, false);
            worker.parked = None;
            self.workers[n] = (!for_good).then_some(worker);
        }
    }

    fn settle(&mut self) {
        if self.items.is_empty() {
            return;
        }
        let item = self.items.swap_remove(self.random.usize(..self.items.len()));
        let how = self.random.u32(..8);
        self.note(&format!("settle {item:?}: {how}"));
        match how {
            0 => item.ack(),
            1 => drop(item.into_inner()),
            2 => item.undo(),
            3 => item.reject("bad"),
            _ => item.requeue(),
        }
    }

    fn step(&mut self) {
        self.puts += 1;
        let (number, kind) = (self.puts, self.random.u32(..1040));
        self.note(&format!("step {kind}, maybe with {number}"));
        let one = self.any(|_| true);
        match (kind / 40, one) {
            (0..=4, _) => drop(self.producer.as_ref().map(|producer| producer.try_put(number))),
            (5..=9, Some(n)) => self.poll(n),
            (10..=12, _) => drop(self.any(Worker::is_woken).map(|n| self.poll(n))),
            (13..=14, Some(n)) => drop(self.try_lease(n)),
            (15..=19, _) => self.settle(),
            (20..=21, Some(n)) => self.leave(n, kind % 8 == 0),
            (22, _) if self.workers.len() < 7 => {
                let opened = self.queue.as_ref().and_then(|queue| queue.consumer().ok());
                self.workers.extend(opened.map(|consumer| Some(Worker::new(consumer))));
            }
            (23, _) => self.ring(),
            (24, _) => drop(self.items.first().map(|item| item.put_child(number))),
            // Seldom, as it cannot be undone.
            (25, Some(n)) => match kind % 40 {
                0 => self.queue = None,
                1 => self.producer = None,
                2 => {
                    let shut = self.workers[n].as_ref().map(|worker| Arc::clone(&worker.consumer.slot().row.shut));
                    self.shared.shut_consumers(shut.as_deref());
                }
                3 => self.shared.shut_down(),
                _ => {}
            },
            _ => {}
        }
    }

    /// All that is delayed is due now.
    fn ring(&self) {
        let _sleep = self.shared.alarm.ring_if_due(Ticks::MAX);
    }

    fn require(&self, what: &str, holds: bool) {
        assert!(holds, "{what}, after\n{}\n{}", self.log.join("\n"), self.shared.describe());
    }

    fn check(&self) {
        let (seen, workers) = (self.shared.describe(), || self.workers.iter().flatten());
        let totals = &seen.totals;
        let settled = totals.acked + totals.taken + totals.dead_lettered + totals.discarded;
        self.require("C6", totals.accepted == settled + seen.buffered as u64 + seen.leased);
        let (sleeps, woken) = (workers().any(Worker::sleeps), workers().any(Worker::is_woken));
        self.require("D6: one sleeps, and an item is there", !sleeps || woken || seen.buffered == seen.delayed);
        let led = seen.delayed == 0 || self.shared.alarm.has_leader();
        self.require("D6: all sleep, and none is to be woken for a delayed item", !sleeps || woken || led);
        self.require("A3: a shut one sleeps", !workers().any(|worker| worker.sleeps() && worker.is_shut()));
        self.require("C5: one sleeps after the end", !sleeps || !self.shared.has_ended());
        let done = seen.state == State::Draining && seen.buffered == 0 && seen.leased == 0;
        self.require("C5: it is drained and does not know", !done);
    }

    /// A consumer that looks again and again is refused for a moment only (D1).
    fn one_gets_everything(&mut self, n: usize) {
        const PATIENCE: usize = 300;
        self.ring();
        while self.shared.snapshot().buffered > 0 {
            let took = (0..PATIENCE).any(|_| self.try_lease(n));
            self.require("D1: it asks again and again, and does not get the item that is there", took);
        }
        self.check();
    }

    /// Lets only woken consumers look, and settles all that they get: the queue must come to its end.
    fn finish(mut self) {
        (self.queue, self.producer, self.depth) = (None, None, 3);
        while !self.shared.has_ended() {
            self.check();
            self.items.drain(..).for_each(Item::ack);
            self.ring();
            let next = self.any(|worker| worker.is_woken() || (worker.parked.is_none() && !worker.is_shut()));
            match next {
                Some(n) => self.poll(n),
                None => (0..self.workers.len()).for_each(|n| self.leave(n, true)),
            }
            self.require("D6: it does not end", next.is_some() || self.shared.has_ended());
        }
        (0..self.workers.len()).for_each(|n| self.poll(n));
        self.require(
            "C5: one waits after the end",
            !self.workers.iter().flatten().any(|worker| worker.parked.is_some()),
        );
        self.check();
    }
}

#[test]
fn d6_steps_in_the_middle_of_polls_leave_no_item_and_no_sleeper_behind() {
    for seed in 0..1000 {
        let mut world = World::new(seed);
        world.note(&format!("seed {seed}"));
        for _ in 0..60 {
            world.step();
            world.check();
        }
        if seed % 4 == 0
            && let Some(n) = world.any(|worker| !worker.is_shut())
        {
            world.one_gets_everything(n);
        }
        world.finish();
    }
}
