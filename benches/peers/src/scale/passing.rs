//! Items through many producers and consumers of one queue.
//!
//! One thread works all of them in turn. Threads or tasks would show how well the system's or the
//! runtime's scheduler does with so many; this shows what the queue itself does to an item.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use actix_iterable_queue::{Consumer, IterableQueue, Producer};
use anyhow::ensure;
use futures::Stream;

use super::{MANY, Part};
use crate::numbers;
use crate::report::Target;
use crate::rounds::{Contender, Effort, Measured, NS_PER_ITEM, Row};

const ROUNDS: usize = 15;
const ITEMS: usize = 200_000;
const TWO_ENDPOINTS: &str = "the same with 1p1c";

pub(super) fn run(effort: Effort) -> Part {
    let mut part = Part::default();
    for way in [Way::OneByOne, Way::InBatches, Way::Leased, Way::Waiting] {
        for endpoints in [1, 10, 100, 1_000, MANY] {
            let pass = |endpoints| Pass { way, endpoints, items: effort.items(ITEMS).max(endpoints * BATCH) };
            let (ours, few) = (pass(endpoints), pass(1));
            let peer = Contender::new(TWO_ENDPOINTS, move || few.run());
            let row = Row {
                name: format!("{}, {endpoints}p{endpoints}c", way.name()),
                figures: &NS_PER_ITEM,
                ours: vec![Contender::new("", move || ours.run())],
                peers: if endpoints == 1 { Vec::new() } else { vec![peer] },
            };
            let row = row.run(effort.rounds(ROUNDS));
            if endpoints == MANY {
                let what = format!("{}, cost of an item with 2 x {MANY} endpoints / with 2", way.name());
                let times = row.iter().filter_map(|line| line.against(TWO_ENDPOINTS));
                part.targets.extend(times.map(|advantage| Target::at_most(what.clone(), 1.5, 1.0 / advantage)));
            }
            part.lines.extend(row);
        }
    }
    part
}

/// How many items each endpoint passes before it is the next one's turn.
const BATCH: usize = 16;

#[derive(Clone, Copy)]
enum Way {
    /// Each producer puts one, and each consumer takes one: no endpoint's lines are in the cache.
    OneByOne,
    /// Each producer puts some, and each consumer takes some, as when tasks get their turn.
    InBatches,
    /// One by one, with leases and acks.
    Leased,
    /// One by one, with all consumers in the line of those who wait: each put wakes one.
    Waiting,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Way::OneByOne => "an item each in turn",
            Way::InBatches => "16 items each in turn",
            Way::Leased => "a lease each in turn",
            Way::Waiting => "an item each to those who wait",
        }
    }
}

#[derive(Clone, Copy)]
struct Pass {
    way: Way,
    endpoints: usize,
    items: usize,
}

impl Pass {
    fn run(self) -> Measured {
        let queue = IterableQueue::bounded(1024);
        let producers = (0..self.endpoints).map(|_| queue.producer()).collect::<Result<Vec<_>, _>>()?;
        let mut consumers = (0..self.endpoints).map(|_| queue.consumer()).collect::<Result<Vec<_>, _>>()?;
        queue.seal();
        if matches!(self.way, Way::Waiting) {
            consumers.iter_mut().for_each(|consumer| assert_eq!(poll(consumer), None));
        }
        // So that the first to touch their memory are not part of it.
        self.lap(&producers, &mut consumers, &mut Seen::default());
        let (mut seen, mut laps) = (Seen::default(), 0);
        let began = Instant::now();
        while seen.put < self.items as u64 {
            self.lap(&producers, &mut consumers, &mut seen);
            laps += 1;
        }
        let time = began.elapsed();
        let items = laps * self.endpoints as u64 * if matches!(self.way, Way::InBatches) { BATCH as u64 } else { 1 };
        ensure!(seen.put == items, "{} items were put, and {items} should", seen.put);
        numbers::check((seen.taken, seen.sum), (items, items * (items - 1) / 2))?;
        Ok(vec![time.as_nanos() as f64 / items as f64])
    }

    /// Each endpoint once.
    fn lap(self, producers: &[Producer<u64>], consumers: &mut [Consumer<u64>], seen: &mut Seen) {
        match self.way {
            Way::OneByOne => {
                for (producer, consumer) in producers.iter().zip(consumers) {
                    seen.put(producer);
                    seen.take(consumer.try_get().ok());
                }
            }
            Way::InBatches => {
                for (producer, consumer) in producers.iter().zip(consumers) {
                    for _ in 0..BATCH {
                        seen.put(producer);
                    }
                    for _ in 0..BATCH {
                        seen.take(consumer.try_get().ok());
                    }
                }
            }
            Way::Leased => {
                for (producer, consumer) in producers.iter().zip(consumers) {
                    seen.put(producer);
                    if let Ok(item) = consumer.try_lease() {
                        seen.take(Some(*item));
                        item.ack();
                    }
                }
            }
            Way::Waiting => {
                for (producer, consumer) in producers.iter().zip(consumers) {
                    seen.put(producer);
                    // Those who wait are served in turn, so it is this one that was woken.
                    seen.take(poll(consumer));
                    seen.take(poll(consumer));
                }
            }
        }
    }
}

/// Takes an item, or stands in the line.
fn poll(consumer: &mut Consumer<u64>) -> Option<u64> {
    match Pin::new(consumer).poll_next(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(item) => item,
        Poll::Pending => None,
    }
}

/// What went in and what came out.
#[derive(Default)]
struct Seen {
    put: u64,
    taken: u64,
    sum: u64,
}

impl Seen {
    fn put(&mut self, producer: &Producer<u64>) {
        // What is refused is missing in the end.
        producer.try_put(self.put).ok();
        self.put += 1;
    }

    fn take(&mut self, item: Option<u64>) {
        if let Some(item) = item {
            self.taken += 1;
            self.sum += item;
        }
    }
}
