//! Items that come back, givers and waiters in any order of events: no item stays while somebody
//! sleeps for it (D6), and none is lost (C6).

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Barrier};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use actix_iterable_queue::{Backoff, Consumer, Item, IterableQueue, Outcome, Producer};
use futures::channel::oneshot;
use futures::future::{Either, select};
use support::{Lcg, Task, assert_conserved, within_watchdog};

type Lease = Pin<Box<dyn Future<Output = (Consumer<u32>, Option<Item<u32>>)>>>;

/// A consumer that asks, sleeps, is woken, gives up, and gives back.
struct Worker {
    task: Task,
    /// Wake-ups that it has answered with a look.
    answered: usize,
    state: State,
    held: Vec<Item<u32>>,
}

enum State {
    Idle(Consumer<u32>),
    Waiting(Lease, oneshot::Sender<()>),
    Gone,
}

impl Worker {
    fn new(consumer: Consumer<u32>) -> Self {
        Self { task: Task::new(), answered: 0, state: State::Idle(consumer), held: Vec::new() }
    }

    /// Asks for an item, or looks again. What it then waits for it may cancel later.
    fn ask(&mut self) {
        let (mut lease, cancel) = match std::mem::replace(&mut self.state, State::Gone) {
            State::Waiting(lease, cancel) => (lease, cancel),
            State::Gone => return,
            State::Idle(mut consumer) => {
                let (cancel, cancelled) = oneshot::channel();
                let lease: Lease = Box::pin(async move {
                    let item = match select(cancelled, Box::pin(consumer.lease())).await {
                        Either::Left(_) => None,
                        Either::Right((item, _)) => item,
                    };
                    (consumer, item)
                });
                (lease, cancel)
            }
        };
        self.answered = self.task.wakes();
        self.state = match self.task.poll(lease.as_mut()) {
            Poll::Pending => State::Waiting(lease, cancel),
            Poll::Ready((consumer, item)) => {
                self.held.extend(item);
                State::Idle(consumer)
            }
        };
    }

    /// Gives up waiting.
    fn cancel(&mut self) {
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Waiting(mut lease, cancel) => {
                drop(cancel);
                let Poll::Ready((consumer, None)) = self.task.poll(lease.as_mut()) else { panic!("it was cancelled") };
                self.state = State::Idle(consumer);
            }
            other => self.state = other,
        }
    }

    /// Leaves for good, maybe in the middle of its wait.
    fn leave(&mut self) {
        self.state = State::Gone;
    }

    fn try_lease(&mut self) {
        if let State::Idle(consumer) = &mut self.state {
            self.held.extend(consumer.try_lease().ok());
        }
    }

    fn give_back(&mut self) {
        if !self.held.is_empty() {
            self.held.remove(0).requeue();
        }
    }

    fn is_woken(&self) -> bool {
        matches!(self.state, State::Waiting(..)) && self.task.wakes() > self.answered
    }

    fn sleeps(&self) -> bool {
        matches!(self.state, State::Waiting(..)) && self.task.wakes() == self.answered
    }
}

/// Three consumers at work on one queue.
struct Scene {
    queue: IterableQueue<u32>,
    producer: Producer<u32>,
    workers: Vec<Worker>,
    puts: u32,
}

const EVENTS: u64 = 3 * 5 + 1;

impl Scene {
    /// The first worker holds two items, the second one.
    fn new() -> Self {
        let queue = support::backend::builder().max_attempts(u32::MAX).build().expect("valid");
        let producer = queue.producer().expect("open");
        let workers = (0..3).map(|_| Worker::new(queue.consumer().expect("open"))).collect();
        let mut scene = Self { queue, producer, workers, puts: 0 };
        for worker in [0, 0, 1] {
            scene.put();
            scene.workers[worker].ask();
        }
        scene
    }

    fn put(&mut self) {
        self.producer.try_put(self.puts).expect("it has no bound");
        self.puts += 1;
    }

    fn happens(&mut self, event: u64) {
        if event == EVENTS - 1 {
            return self.put();
        }
        let worker = &mut self.workers[(event / 5) as usize];
        match event % 5 {
            0 => worker.ask(),
            1 => worker.give_back(),
            2 => worker.cancel(),
            3 => worker.try_lease(),
            _ => worker.leave(),
        }
    }

    /// Everybody who was woken looks, in one order or the other.
    fn settle(&mut self, last_first: bool) {
        while self.workers.iter().any(Worker::is_woken) {
            let woken = |worker: &&mut Worker| worker.is_woken();
            let next =
                if last_first { self.workers.iter_mut().rfind(woken) } else { self.workers.iter_mut().find(woken) };
            if let Some(worker) = next {
                worker.ask();
            }
        }
    }

    fn check(&self, events: &dyn std::fmt::Debug) {
        let snapshot = self.queue.snapshot();
        if snapshot.buffered > 0 {
            let sleeper = self.workers.iter().position(Worker::sleeps);
            assert_eq!(sleeper, None, "it sleeps, and an item is there, after {events:?}: {snapshot}");
        }
        assert_conserved(&self.queue);
        let held: usize = self.workers.iter().map(|worker| worker.held.len()).sum();
        assert_eq!(held + snapshot.buffered, self.puts as usize, "after {events:?}");
    }

    /// Whoever asks last gets all that is left: nothing is hidden from everybody.
    fn finish(mut self, events: &dyn std::fmt::Debug) {
        for worker in &mut self.workers {
            worker.cancel();
            while !worker.held.is_empty() {
                worker.give_back();
            }
        }
        let mut last = self.queue.consumer().expect("open");
        match self.workers.iter_mut().find(|worker| matches!(worker.state, State::Idle(_))) {
            Some(worker) => {
                (0..self.puts).for_each(|_| worker.try_lease());
                assert_eq!(worker.held.len(), self.puts as usize, "hidden from the giver, after {events:?}");
            }
            None => assert_eq!(last.try_iter().count(), self.puts as usize, "after {events:?}"),
        }
    }
}

#[test]
fn d6_after_any_few_events_no_item_stays_while_somebody_sleeps_for_it() {
    within_watchdog(|| {
        const LENGTH: u32 = 4;
        for schedule in 0..EVENTS.pow(LENGTH) {
            let events: Vec<u64> = (0..LENGTH).map(|n| schedule / EVENTS.pow(n) % EVENTS).collect();
            let mut scene = Scene::new();
            // Two of the interesting starts: one waits, or two.
            (0..=schedule % 2).for_each(|n| scene.workers[2 - n as usize].ask());
            events.iter().for_each(|event| scene.happens(*event));
            scene.settle(schedule % 3 == 0);
            scene.check(&events);
            scene.finish(&events);
        }
    });
}

#[test]
fn d6_after_many_random_events_no_item_stays_while_somebody_sleeps_for_it() {
    within_watchdog(|| {
        for seed in 0..800 {
            let mut random = Lcg::new(seed);
            let mut scene = Scene::new();
            let mut events = Vec::new();
            for _ in 0..40 {
                // Leaving for good is for the end.
                let event = random.below(EVENTS);
                if event % 5 != 4 || event == EVENTS - 1 {
                    events.push(event);
                    scene.happens(event);
                }
                if random.below(4) == 0 {
                    scene.settle(random.below(2) == 0);
                    scene.check(&(seed, &events));
                }
            }
            let gone = random.below(4) as usize;
            scene.workers.iter_mut().take(gone).for_each(Worker::leave);
            scene.settle(false);
            scene.check(&(seed, &events));
            scene.finish(&(seed, &events));
        }
    });
}

/// If an item stayed while all who could take it slept, this would hang.
#[test]
fn d6_threads_that_fail_and_wait_all_come_to_the_end() {
    for backoff in [None, Some(Backoff::exponential(Duration::from_millis(1), Duration::from_millis(1)))] {
        within_watchdog(move || {
            const ITEMS: u32 = 200;
            for round in 0..if backoff.is_some() { 3 } else { 40 } {
                let mut queue = support::backend::builder().max_attempts(u32::MAX);
                if let Some(backoff) = backoff {
                    queue = queue.redelivery_backoff(backoff);
                }
                let queue = queue.build().expect("valid");
                let producer = queue.producer().expect("open");
                let start = Arc::new(Barrier::new(5));
                let threads: Vec<_> = (0..4)
                    .map(|n| {
                        let (consumer, start) = (queue.consumer().expect("open"), Arc::clone(&start));
                        thread::spawn(move || {
                            start.wait();
                            work(consumer, &mut Lcg::new(round * 4 + n))
                        })
                    })
                    .collect();
                queue.seal();
                start.wait();
                (0..ITEMS).for_each(|n| producer.try_put(n).expect("it has no bound"));
                drop(producer);
                let drained = queue.blocking_drained();
                let mut done: Vec<u32> =
                    threads.into_iter().flat_map(|thread| thread.join().expect("it ends")).collect();
                done.sort_unstable();
                assert!(done.into_iter().eq(0..ITEMS));
                assert_eq!((drained.outcome, drained.totals.acked), (Outcome::Complete, u64::from(ITEMS)));
                assert_conserved(&queue);
            }
        });
    }
}

/// Waits in every way, and fails often. What it has done.
fn work(mut consumer: Consumer<u32>, random: &mut Lcg) -> Vec<u32> {
    let (mut done, mut held, idler) = (Vec::new(), Vec::new(), Task::new());
    loop {
        match random.below(6) {
            // asks, and leaves the line again
            0 => {
                let lease = idler.poll(Box::pin(consumer.lease()).as_mut());
                held.extend(match lease {
                    Poll::Ready(item) => item,
                    Poll::Pending => None,
                });
            }
            1 => held.extend(consumer.try_lease().ok()),
            2 => {
                let mut timed = Box::pin(consumer.clone().into_leases());
                if let Poll::Ready(item) = futures::Stream::poll_next(timed.as_mut(), &mut idler.context()) {
                    held.extend(item);
                }
            }
            // Whoever holds the last lease may not wait for more.
            _ => {
                held.drain(..).for_each(Item::requeue);
                match consumer.blocking_lease() {
                    Some(item) => held.push(item),
                    None => return done,
                }
            }
        }
        // Sometimes it keeps what it holds, and is at work for the others.
        if random.below(2) == 0 {
            continue;
        }
        for item in held.drain(..) {
            if random.below(3) == 0 {
                done.push(*item);
                item.ack();
            } else {
                drop(item);
            }
        }
    }
}
