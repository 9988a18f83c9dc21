//! Random schedules of puts that wait, whose steps also happen in the middle of a poll, as in `schedules.rs`: beside
//! permits, items put through leases, and takes.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Waker};

use super::schedules::Wakes;
use super::{Config, Item, IterableQueue, Line, NotPut, Place, ProducerRow, Shared};
use crate::endpoint::{Consumer, Producer};

/// A put or a reservation that waits.
struct Putter {
    place: Place,
    reserves: bool,
    put: Option<u32>,
    wakes: Arc<Wakes>,
    /// The wake-ups that it had before its last look, if it waits.
    parked: Option<usize>,
}

impl Putter {
    fn sleeps(&self) -> bool {
        self.parked == Some(self.wakes.0.load(SeqCst))
    }

    fn is_woken(&self) -> bool {
        self.parked.is_some() && !self.sleeps()
    }
}

struct World {
    random: fastrand::Rng,
    shared: Arc<Shared<u32>>,
    queue: IterableQueue<u32>,
    producer: Producer<u32>,
    row: Arc<ProducerRow>,
    consumer: Consumer<u32>,
    /// `None` while it polls.
    putters: Vec<Option<Putter>>,
    items: Vec<Item<u32>>,
    permits: u32,
    /// Waiting puts are polled seldom, and enough other puts go first for a place to be kept.
    slow: bool,
    puts: u32,
    /// How many polls this happens in.
    depth: u32,
    log: Vec<String>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let capacity = Some(random.usize(1..4));
        let queue = IterableQueue::new(Config {
            name: None,
            capacity,
            max_attempts: 5,
            redelivery_backoff: None,
            kept_letters: 0,
            describe: None,
        });
        let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        let row = Arc::clone(&producer.open_handle().unwrap().row);
        let (shared, slow, putters, items) = (Arc::clone(queue.shared()), random.bool(), Vec::new(), Vec::new());
        let log = vec![format!("seed {seed}, capacity {capacity:?}")];
        Self {
            random,
            shared,
            queue,
            producer,
            row,
            consumer,
            putters,
            items,
            permits: 0,
            slow,
            puts: 0,
            depth: 0,
            log,
        }
    }

    fn note(&mut self, what: &str) {
        self.log.push(format!("{:1$}{what}", "", 2 * self.depth as usize));
    }

    fn any(&mut self, which: impl Fn(&Putter) -> bool) -> Option<usize> {
        let found = (0..self.putters.len()).filter(|n| self.putters[*n].as_ref().is_some_and(&which));
        self.random.choice(found.collect::<Vec<_>>())
    }

    fn begin(&mut self) {
        self.puts += 1;
        let (place, put, reserves) = (Place::new(Line::Putters), Some(self.puts), self.random.u8(..4) == 0);
        self.putters.push(Some(Putter { place, reserves, put, wakes: Arc::default(), parked: None }));
        self.poll(self.putters.len() - 1);
    }

    fn poll(&mut self, n: usize) {
        let Some(mut putter) = self.putters[n].take() else { return };
        self.note(&format!("poll {n}, reserves: {}", putter.reserves));
        let (shared, row, waker) =
            (Arc::clone(&self.shared), Arc::clone(&self.row), Waker::from(Arc::clone(&putter.wakes)));
        let (mut looks, wakes) = (0, Cell::new(0));
        let mut look = |by_right| {
            looks += 1;
            if looks == 2 {
                // It has parked: a wake-up from here on means another look.
                wakes.set(putter.wakes.0.load(SeqCst));
                self.meanwhile();
            }
            let result = match putter.reserves {
                true => shared.try_reserve(&row, by_right),
                false => shared.try_put(&row, &mut putter.put, by_right).map(drop),
            };
            self.permits += u32::from(putter.reserves && result.is_ok());
            self.meanwhile();
            match result {
                Ok(()) => Some(Ok(())),
                Err(NotPut::Refused(_)) => Some(Err(())),
                Err(NotPut::Full) => None,
            }
        };
        let first = if putter.place.is_in_line() { None } else { look(false) };
        let polled = match first {
            Some(result) => Poll::Ready(result),
            None => shared.wait(&mut putter.place, &mut Context::from_waker(&waker), look),
        };
        self.note(&format!("{n} has {polled:?}"));
        putter.parked = polled.is_pending().then(|| wakes.get());
        self.putters[n] = polled.is_pending().then_some(putter);
    }

    fn meanwhile(&mut self) {
        if self.depth < 3 && self.random.u32(..3) == 0 {
            self.depth += 1;
            (0..self.random.u32(..4)).for_each(|_| self.step());
            self.depth -= 1;
        }
    }

    fn step(&mut self) {
        self.puts += 1;
        let (kind, mut put) = (self.random.u32(..260), Some(self.puts));
        self.note(&format!("step {}", kind / 10));
        match kind / 10 {
            0..=3 => drop(self.shared.try_put(&self.row, &mut put, false)),
            4..=10 if self.slow && self.random.u8(..16) > 0 => {}
            4..=6 => drop(self.any(|_| true).map(|n| self.poll(n))),
            7..=10 => drop(self.any(Putter::is_woken).map(|n| self.poll(n))),
            11..=13 if self.putters.iter().flatten().count() < 4 => self.begin(),
            14 if self.slow && self.random.u8(..8) > 0 => {}
            14 => self.leave(),
            15 => self.permits += u32::from(self.shared.try_reserve(&self.row, false).is_ok()),
            16 if self.permits > 0 => {
                self.permits -= 1;
                let _ = self.shared.put_reserved(&self.row, &mut put);
            }
            17 if self.permits > 0 => self.cancel(),
            18..=19 => self.items.extend(self.consumer.try_lease()),
            20..=22 => _ = self.consumer.try_get(),
            23 => drop(self.items.first().map(|item| item.put_children([self.puts, self.puts]))),
            24 => drop(self.items.pop().map(Item::ack)),
            25 if kind == 250 && self.random.u8(..4) == 0 => match self.random.bool() {
                true => self.shared.shut_down(),
                false => drop(self.queue.abort()),
            },
            _ => {}
        }
    }

    fn leave(&mut self) {
        let Some(n) = self.any(|_| true) else { return };
        self.note(&format!("leave {n}"));
        if let Some(mut putter) = self.putters[n].take() {
            self.shared.leave(&mut putter.place, false);
        }
    }

    fn cancel(&mut self) {
        self.permits -= 1;
        self.shared.cancel_reserve();
    }

    fn check(&self) {
        let seen = self.shared.snapshot();
        let require = |what: &str, holds: bool| assert!(holds, "{what}, after\n{}\n{seen}", self.log.join("\n"));
        let totals = &seen.totals;
        let settled = totals.acked + totals.taken + totals.dead_lettered + totals.discarded;
        require("C6", totals.accepted == settled + seen.buffered as u64 + seen.leased);
        let putters = || self.putters.iter().flatten();
        let (sleeps, woken) = (putters().any(Putter::sleeps), putters().any(Putter::is_woken));
        let room = self.shared.has_room(&self.shared.control(), true);
        require("D6: one sleeps, and there is room", !sleeps || woken || !room);
        require("D8: one sleeps, and puts are refused", !sleeps || !self.shared.store.is_closed());
    }

    /// Only those that were woken look: this comes to an end.
    fn finish(mut self) {
        self.depth = 3;
        while self.permits > 0 {
            self.cancel();
            self.check();
        }
        while self.putters.iter().any(Option::is_some) {
            let _ = self.consumer.try_get();
            self.check();
            if let Some(n) = self.any(Putter::is_woken) {
                self.poll(n);
            }
            while self.permits > 0 {
                self.cancel();
            }
        }
        self.items.drain(..).for_each(Item::ack);
        self.producer.close();
        self.queue.seal();
        while self.consumer.try_get().is_ok() {}
        self.check();
        assert!(self.shared.has_ended(), "C5, after\n{}\n{}", self.log.join("\n"), self.shared.snapshot());
    }
}

#[test]
fn d6_steps_in_the_middle_of_puts_that_wait_leave_none_asleep_beside_room() {
    for seed in 0..1000 {
        let mut world = World::new(seed);
        for _ in 0..if world.slow { 400 } else { 80 } {
            world.step();
            world.check();
        }
        world.finish();
    }
}
