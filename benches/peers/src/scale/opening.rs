//! Endpoints that come and go.

use std::time::Instant;

use actix_iterable_queue::IterableQueue;
use anyhow::ensure;

use super::{MANY, Part};
use crate::report::{Line, Target};
use crate::rounds::{Better, Contender, Effort, Figure, Measured, Row};

const ROUNDS: usize = 15;
const FIGURES: [Figure; 1] = [Figure { name: "", unit: "ns", better: Better::Less }];
const ALONE: &str = "the same without others";

pub(super) fn run(effort: Effort) -> Part {
    let times = effort.items(20_000);
    let mut part = Part::default();
    for what in [What::Producer, What::Consumer, What::CloneOfProducer, What::CloneOfConsumer] {
        for others in [0, MANY] {
            let peer = Contender::new(ALONE, move || one_by_one(what, 0, times));
            let row = Row {
                name: format!("open and close {}, {others} others of each kind", what.name()),
                figures: &FIGURES,
                ours: vec![Contender::new("", move || one_by_one(what, others, times))],
                peers: if others == 0 { Vec::new() } else { vec![peer] },
            };
            let row = row.run(effort.rounds(ROUNDS));
            if others > 0 {
                let name = format!("ns to open and close {}, {others} others", what.name());
                let medians = row.iter().filter_map(Line::median);
                part.targets.extend(medians.map(|median| Target::at_most(name.clone(), 1000.0, median)));
            }
            part.lines.extend(row);
        }
        let row = Row {
            name: format!("open and close {}, first {MANY} opened, then all closed", what.name()),
            figures: &FIGURES,
            ours: vec![Contender::new("", move || all_at_once(what, MANY))],
            peers: Vec::new(),
        };
        part.lines.extend(row.run(effort.rounds(ROUNDS)));
    }
    part
}

#[derive(Clone, Copy)]
enum What {
    Producer,
    Consumer,
    CloneOfProducer,
    CloneOfConsumer,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            What::Producer => "a producer",
            What::Consumer => "a consumer",
            What::CloneOfProducer => "a clone of a producer",
            What::CloneOfConsumer => "a clone of a consumer",
        }
    }

    /// `times` of them, each given to `keep`; nanoseconds for one until `keep` has been dropped.
    fn time<K: FnMut(Endpoint)>(self, queue: &IterableQueue<u64>, times: usize, mut keep: K) -> Measured {
        let (producer, consumer) = (queue.producer()?, queue.consumer()?);
        let began = Instant::now();
        for _ in 0..times {
            keep(match self {
                What::Producer => Endpoint::Producer { _open: queue.producer()? },
                What::Consumer => Endpoint::Consumer { _open: queue.consumer()? },
                What::CloneOfProducer => Endpoint::Producer { _open: producer.clone() },
                What::CloneOfConsumer => Endpoint::Consumer { _open: consumer.clone() },
            });
        }
        drop(keep);
        Ok(vec![began.elapsed().as_nanos() as f64 / times as f64])
    }
}

enum Endpoint {
    Producer { _open: actix_iterable_queue::Producer<u64> },
    Consumer { _open: actix_iterable_queue::Consumer<u64> },
}

/// Each is closed before the next one is opened.
fn one_by_one(what: What, others: usize, times: usize) -> Measured {
    let queue = IterableQueue::unbounded();
    let producers = (0..others).map(|_| queue.producer()).collect::<Result<Vec<_>, _>>()?;
    let consumers = (0..others).map(|_| queue.consumer()).collect::<Result<Vec<_>, _>>()?;
    let measured = what.time(&queue, times, drop)?;
    ensure_open(&queue, producers.len(), consumers.len())?;
    Ok(measured)
}

fn all_at_once(what: What, times: usize) -> Measured {
    let queue = IterableQueue::unbounded();
    let mut open = Vec::with_capacity(times);
    let measured = what.time(&queue, times, move |endpoint| open.push(endpoint))?;
    ensure_open(&queue, 0, 0)?;
    Ok(measured)
}

fn ensure_open(queue: &IterableQueue<u64>, producers: usize, consumers: usize) -> anyhow::Result<()> {
    let open = queue.snapshot();
    let open = (open.producers.len(), open.consumers.len());
    ensure!(open == (producers, consumers), "{open:?} endpoints are open, not {:?}", (producers, consumers));
    Ok(())
}
