//! Iterators on threads against channels of threads.

use std::sync::{Arc, mpsc};
use std::thread;

use actix_iterable_queue::IterableQueue;

use super::{ROUNDS, Seen, Shape};
use crate::report::Line;
use crate::rounds::{Contender, Effort, Measured, NS_PER_ITEM, Row};
use crate::start::Start;

const ITEMS: usize = 200_000;

pub(super) fn row(effort: Effort, shape: Shape, capacity: Option<usize>) -> anyhow::Result<Vec<Line>> {
    // A channel of one hands over item by item.
    let items = effort.items(if capacity == Some(1) { ITEMS / 4 } else { ITEMS });
    let pass = Pass { shape, items };
    let mut peers = vec![
        Contender::new("crossbeam-channel", move || {
            let (sender, receiver) = capacity.map_or_else(crossbeam_channel::unbounded, crossbeam_channel::bounded);
            pass.run((sender, receiver), |item, sender| sender.send(item).is_ok(), |receiver| receiver.recv().ok())
        }),
        Contender::new("kanal", move || {
            let channel = capacity.map_or_else(kanal::unbounded, kanal::bounded);
            pass.run(channel, |item, sender| sender.send(item).is_ok(), |receiver| receiver.recv().ok())
        }),
        Contender::new("flume", move || {
            let channel = capacity.map_or_else(flume::unbounded, flume::bounded);
            pass.run(channel, |item, sender| sender.send(item).is_ok(), |receiver| receiver.recv().ok())
        }),
        Contender::new("async-channel", move || {
            let channel = capacity.map_or_else(async_channel::unbounded, async_channel::bounded);
            pass.run(
                channel,
                |item, sender| sender.send_blocking(item).is_ok(),
                |receiver| receiver.recv_blocking().ok(),
            )
        }),
    ];
    if shape.consumers == 1 {
        peers.push(std_mpsc(pass, capacity));
    }
    let ours = Contender::new("", move || {
        let queue = capacity.map_or_else(IterableQueue::unbounded, IterableQueue::bounded);
        pass.run(
            queue.split()?,
            |item, producer| producer.blocking_put(item).is_ok(),
            |consumer| consumer.blocking_get(),
        )
    });
    let row = Row { name: shape.row("threads", capacity), figures: &NS_PER_ITEM, ours: vec![ours], peers };
    Ok(row.run(effort.rounds(ROUNDS)))
}

/// It has one receiver, and two kinds of senders.
fn std_mpsc(pass: Pass, capacity: Option<usize>) -> Contender {
    Contender::new("std mpsc", move || match capacity {
        None => {
            let (sender, receiver) = mpsc::channel();
            pass.run_with(vec![sender], vec![receiver], |item, to| to.send(item).is_ok(), |from| from.recv().ok())
        }
        Some(capacity) => {
            let (sender, receiver) = mpsc::sync_channel(capacity);
            pass.run_with(vec![sender], vec![receiver], |item, to| to.send(item).is_ok(), |from| from.recv().ok())
        }
    })
}

/// Numbers through a channel, from some threads to others.
#[derive(Clone, Copy)]
struct Pass {
    shape: Shape,
    items: usize,
}

impl Pass {
    fn run<S: Clone + Send, R: Clone + Send>(
        self,
        (sender, receiver): (S, R),
        send: impl Fn(u64, &S) -> bool + Copy + Send,
        receive: impl Fn(&mut R) -> Option<u64> + Copy + Send,
    ) -> Measured {
        self.run_with(vec![sender; self.shape.producers], vec![receiver; self.shape.consumers], send, receive)
    }

    fn run_with<S: Send, R: Send>(
        self,
        senders: Vec<S>,
        receivers: Vec<R>,
        send: impl Fn(u64, &S) -> bool + Copy + Send,
        receive: impl Fn(&mut R) -> Option<u64> + Copy + Send,
    ) -> Measured {
        let start = Arc::new(Start::of(senders.len() + receivers.len() + 1));
        let (seen, time) = thread::scope(|scope| {
            for (share, sender) in self.shape.shares(self.items).zip(senders) {
                let start = Arc::clone(&start);
                scope.spawn(move || {
                    start.wait();
                    // What is refused is missing in the end.
                    for item in share {
                        send(item, &sender);
                    }
                });
            }
            let receivers: Vec<_> = receivers
                .into_iter()
                .map(|mut receiver| {
                    let start = Arc::clone(&start);
                    scope.spawn(move || {
                        start.wait();
                        let mut seen = Seen::default();
                        while let Some(item) = receive(&mut receiver) {
                            seen.note(item);
                        }
                        seen
                    })
                })
                .collect();
            let began = start.wait();
            let seen = receivers.into_iter().map(|receiver| receiver.join().expect("receivers do not panic"));
            (seen.fold(Seen::default(), Seen::add), began.elapsed())
        });
        self.shape.check(seen, self.items)?;
        Ok(vec![time.as_nanos() as f64 / self.items as f64])
    }
}
