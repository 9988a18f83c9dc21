//! How many instructions the ways of an item take: the same number each time, on a busy machine as well.
//!
//! callgrind counts them in a process of its own, for some items and for twice as many; the difference is
//! what these took. Nobody waits, and the queue is open to the end.

use std::env;
use std::hint::black_box;
use std::process::Command;

use actix::{Actor, AsyncContext, Context, Handler, Message, System};
use actix_iterable_queue::message::RegisterConsumer;
use actix_iterable_queue::{ConsumeExt, Consumer, Drained, Item, IterableQueue, Producer, QueueActor};
use anyhow::{Context as _, ensure};
use clap::ValueEnum;

use crate::children;
use crate::report::Theme;
use crate::rounds::{Better, Contender, Effort, Figure, Row};

const FIGURE: [Figure; 1] = [Figure { name: "", unit: "instructions/item", better: Better::Less }];

/// So many items are in the queue at a time.
const BATCH: u64 = 32;

/// What is counted.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Way {
    PutTake,
    PutLeaseAck,
    PutGetAwait,
    PutPullAck,
    PutPullTaken,
    PutPushAck,
    PutPushOneAck,
    CrossbeamChannel,
    ActixDoSend,
}

pub(crate) fn run(effort: Effort) -> anyhow::Result<Theme> {
    let mut lines = Vec::new();
    let items = effort.items(100_000);
    for (name, way, peer, peers_way) in [
        ("try_put, try_get", Way::PutTake, "crossbeam-channel", Way::CrossbeamChannel),
        ("try_put, try_lease, ack", Way::PutLeaseAck, "crossbeam-channel", Way::CrossbeamChannel),
        ("put().await, get().await", Way::PutGetAwait, "crossbeam-channel", Way::CrossbeamChannel),
        ("try_put, ctx.consume, ack", Way::PutPullAck, "actix do_send", Way::ActixDoSend),
        ("try_put, ctx.consume, into_inner", Way::PutPullTaken, "actix do_send", Way::ActixDoSend),
        ("try_put (which sends it), ack", Way::PutPushAck, "actix do_send", Way::ActixDoSend),
        ("try_put, ack (which sends the next)", Way::PutPushOneAck, "actix do_send", Way::ActixDoSend),
    ] {
        let contender = |name, way| Contender::new(name, move || Ok(vec![count(way, items)?]));
        let (ours, peers) = (vec![contender("", way)], vec![contender(peer, peers_way)]);
        let row = Row { name: name.into(), figures: &FIGURE, ours, peers };
        lines.extend(row.run_once());
    }
    Ok(Theme {
        name: "instructions",
        about: "instructions for one item, as callgrind counts them; ratios: those of the peer / ours",
        lines,
        targets: Vec::new(),
    })
}

fn count(way: Way, items: usize) -> anyhow::Result<f64> {
    let [once, twice] = [items, 2 * items].map(|items| -> anyhow::Result<f64> {
        let way = way.to_possible_value().context("every way has a name")?;
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(env::current_exe()?).args([
            "--count",
            way.get_name(),
            "--count-items",
            &items.to_string(),
        ]);
        let output = children::output(&mut valgrind)?;
        let text = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{text}");
        let count = text.lines().find_map(|line| line.split_once("Collected : "));
        Ok(count.context("callgrind says no count")?.1.trim().parse()?)
    });
    Ok((twice? - once?) / items as f64)
}

impl Way {
    /// Takes so many items that way.
    pub(crate) fn go(self, items: usize) -> anyhow::Result<()> {
        let batches = items as u64 / BATCH;
        let (producer, mut consumer) = IterableQueue::bounded(BATCH as usize).split()?;
        match self {
            Way::PutTake => (0..batches).try_for_each(|_| {
                (0..BATCH).try_for_each(|item| producer.try_put(item))?;
                (0..BATCH).try_for_each(|_| consumer.try_get().map(consume))?;
                Ok(())
            }),
            Way::PutLeaseAck => (0..batches).try_for_each(|_| {
                (0..BATCH).try_for_each(|item| producer.try_put(item))?;
                (0..BATCH).try_for_each(|_| consumer.try_lease().map(Item::ack))?;
                Ok(())
            }),
            Way::PutGetAwait => futures::executor::block_on(async {
                for _ in 0..batches {
                    for item in 0..BATCH {
                        producer.put(item).await?;
                    }
                    for _ in 0..BATCH {
                        black_box(consumer.get().await);
                    }
                }
                Ok(())
            }),
            Way::CrossbeamChannel => {
                let (sender, receiver) = crossbeam_channel::bounded(BATCH as usize);
                (0..batches).try_for_each(|_| {
                    (0..BATCH).try_for_each(|item| sender.try_send(item))?;
                    (0..BATCH).try_for_each(|_| receiver.try_recv().map(consume))?;
                    Ok(())
                })
            }
            Way::PutPullAck | Way::PutPullTaken | Way::ActixDoSend => {
                let system = System::new();
                let pulls = !matches!(self, Way::ActixDoSend);
                let worker = Worker { way: self, producer, consumer: pulls.then_some(consumer), batches, left: 0 };
                system.block_on(async { worker.start() });
                Ok(system.run()?)
            }
            Way::PutPushAck | Way::PutPushOneAck => {
                let system = System::new();
                system.block_on(async {
                    let queue = IterableQueue::bounded(BATCH as usize);
                    let worker = Worker { way: self, producer: queue.producer()?, consumer: None, batches, left: 0 };
                    let limit = if matches!(self, Way::PutPushAck) { BATCH as usize } else { 1 };
                    let registered = RegisterConsumer::new(worker.start()).max_in_flight(limit);
                    QueueActor::new(queue).start().send(registered).await??;
                    anyhow::Ok(())
                })?;
                Ok(system.run()?)
            }
        }
    }
}

fn consume(item: u64) {
    black_box(item);
}

/// It puts a batch whenever it has worked one off.
struct Worker {
    way: Way,
    producer: Producer<u64>,
    consumer: Option<Consumer<u64>>,
    batches: u64,
    left: u64,
}

impl Worker {
    fn put_batch(&mut self, ctx: &mut Context<Self>) {
        if self.batches == 0 {
            return System::current().stop();
        }
        self.batches -= 1;
        self.left = BATCH;
        for item in 0..BATCH {
            match self.way {
                Way::ActixDoSend => ctx.address().do_send(Sent(item)),
                _ => self.producer.try_put(item).expect("there is room for a batch"),
            }
        }
    }

    fn worked(&mut self, ctx: &mut Context<Self>) {
        self.left -= 1;
        if self.left == 0 {
            self.put_batch(ctx);
        }
    }
}

impl Actor for Worker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.put_batch(ctx);
        if let Some(consumer) = self.consumer.take() {
            ctx.consume(consumer);
        }
    }
}

impl Handler<Item<u64>> for Worker {
    type Result = ();

    fn handle(&mut self, item: Item<u64>, ctx: &mut Self::Context) {
        match self.way {
            Way::PutPullTaken => consume(item.into_inner()),
            _ => item.ack(),
        }
        self.worked(ctx);
    }
}

impl Handler<Drained> for Worker {
    type Result = ();

    fn handle(&mut self, _: Drained, _: &mut Self::Context) {}
}

struct Sent(u64);

impl Message for Sent {
    type Result = ();
}

impl Handler<Sent> for Worker {
    type Result = ();

    fn handle(&mut self, Sent(item): Sent, ctx: &mut Self::Context) {
        consume(item);
        self.worked(ctx);
    }
}
