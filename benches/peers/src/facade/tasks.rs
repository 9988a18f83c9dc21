//! Futures on a runtime of several threads against channels of tasks.

use std::future::Future;
use std::time::Instant;

use actix_iterable_queue::{Consumer, IterableQueue, Producer};
use futures::future::join_all;
use tokio::runtime::Builder;
use tokio::sync::mpsc;

use super::{ROUNDS, Seen, Shape};
use crate::report::Line;
use crate::rounds::{Contender, Effort, Measured, NS_PER_ITEM, Row};
use crate::runtime::SharedRuntime;

const ITEMS: usize = 200_000;

pub(super) fn row(effort: Effort, shape: Shape, capacity: Option<usize>) -> anyhow::Result<Vec<Line>> {
    // A channel of one hands over item by item.
    let items = effort.items(if capacity == Some(1) { ITEMS / 4 } else { ITEMS });
    let pass = Pass { runtime: SharedRuntime::new(&mut Builder::new_multi_thread())?, shape, items };
    let contender = |name, run: fn(&Pass, Option<usize>) -> Measured| {
        let pass = pass.clone();
        Contender::new(name, move || run(&pass, capacity))
    };
    let ours = contender("", |pass, capacity| {
        let queue = capacity.map_or_else(IterableQueue::unbounded, IterableQueue::bounded);
        pass.run(queue.split()?)
    });
    let mut peers = vec![
        contender("kanal", |pass, capacity| {
            pass.run(capacity.map_or_else(kanal::unbounded_async, kanal::bounded_async))
        }),
        contender("flume", |pass, capacity| pass.run(capacity.map_or_else(flume::unbounded, flume::bounded))),
        contender("async-channel", |pass, capacity| {
            pass.run(capacity.map_or_else(async_channel::unbounded, async_channel::bounded))
        }),
    ];
    if shape.consumers == 1 {
        peers.push(contender("tokio mpsc", |pass, capacity| match capacity {
            None => {
                let (sender, receiver) = mpsc::unbounded_channel();
                pass.run_with(vec![sender], vec![receiver])
            }
            Some(capacity) => {
                let (sender, receiver) = mpsc::channel(capacity);
                pass.run_with(vec![sender], vec![receiver])
            }
        }));
    }
    let row = Row { name: shape.row("tasks", capacity), figures: &NS_PER_ITEM, ours: vec![ours], peers };
    Ok(row.run(effort.rounds(ROUNDS)))
}

/// Numbers through a channel, from some tasks to others.
#[derive(Clone)]
struct Pass {
    runtime: SharedRuntime,
    shape: Shape,
    items: usize,
}

impl Pass {
    fn run<S: Send64 + Clone, R: Receive64 + Clone>(&self, (sender, receiver): (S, R)) -> Measured {
        self.run_with(vec![sender; self.shape.producers], vec![receiver; self.shape.consumers])
    }

    fn run_with<S: Send64, R: Receive64>(&self, senders: Vec<S>, receivers: Vec<R>) -> Measured {
        let (seen, time) = self.runtime.block_on(async {
            let began = Instant::now();
            for (share, sender) in self.shape.shares(self.items).zip(senders) {
                tokio::spawn(async move {
                    // What is refused is missing in the end.
                    for item in share {
                        sender.pass(item).await;
                    }
                });
            }
            let receivers = receivers.into_iter().map(|mut receiver| {
                tokio::spawn(async move {
                    let mut seen = Seen::default();
                    while let Some(item) = receiver.next().await {
                        seen.note(item);
                    }
                    seen
                })
            });
            let receivers: Vec<_> = receivers.collect();
            let seen = join_all(receivers).await.into_iter().map(|seen| seen.expect("receivers do not panic"));
            (seen.fold(Seen::default(), Seen::add), began.elapsed())
        });
        self.shape.check(seen, self.items)?;
        Ok(vec![time.as_nanos() as f64 / self.items as f64])
    }
}

trait Send64: Send + Sync + 'static {
    fn pass(&self, item: u64) -> impl Future<Output = bool> + Send;
}

trait Receive64: Send + 'static {
    fn next(&mut self) -> impl Future<Output = Option<u64>> + Send;
}

impl Send64 for Producer<u64> {
    async fn pass(&self, item: u64) -> bool {
        self.put(item).await.is_ok()
    }
}

impl Receive64 for Consumer<u64> {
    async fn next(&mut self) -> Option<u64> {
        self.get().await
    }
}

impl Send64 for kanal::AsyncSender<u64> {
    async fn pass(&self, item: u64) -> bool {
        self.send(item).await.is_ok()
    }
}

impl Receive64 for kanal::AsyncReceiver<u64> {
    async fn next(&mut self) -> Option<u64> {
        self.recv().await.ok()
    }
}

impl Send64 for flume::Sender<u64> {
    async fn pass(&self, item: u64) -> bool {
        self.send_async(item).await.is_ok()
    }
}

impl Receive64 for flume::Receiver<u64> {
    async fn next(&mut self) -> Option<u64> {
        self.recv_async().await.ok()
    }
}

impl Send64 for async_channel::Sender<u64> {
    async fn pass(&self, item: u64) -> bool {
        self.send(item).await.is_ok()
    }
}

impl Receive64 for async_channel::Receiver<u64> {
    async fn next(&mut self) -> Option<u64> {
        self.recv().await.ok()
    }
}

impl Send64 for mpsc::Sender<u64> {
    async fn pass(&self, item: u64) -> bool {
        self.send(item).await.is_ok()
    }
}

impl Receive64 for mpsc::Receiver<u64> {
    async fn next(&mut self) -> Option<u64> {
        self.recv().await
    }
}

impl Send64 for mpsc::UnboundedSender<u64> {
    async fn pass(&self, item: u64) -> bool {
        self.send(item).is_ok()
    }
}

impl Receive64 for mpsc::UnboundedReceiver<u64> {
    async fn next(&mut self) -> Option<u64> {
        self.recv().await
    }
}
