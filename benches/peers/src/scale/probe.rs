//! What runs in a process of its own, so that nothing but what it does is in its memory.
//!
//! Memory is what the system says that the process has: with all that the allocator adds. (An allocator
//! that counts would leave that out, and slow down whatever else is measured.)

use std::env;
use std::fs;
use std::hint::spin_loop;
use std::process::{Command, Output};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, Arbiter, ArbiterHandle, Context, Handler, Message, System};
use actix_iterable_queue::{ConsumeExt, Consumer, Drained, Item, IterableQueue};
use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use super::call::Call;
use crate::{children, numbers};

/// Something that takes memory, on the heap or of the stack.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Probe {
    Producers(usize),
    Consumers(usize),
    ClonesOfProducer(usize),
    ClonesOfConsumer(usize),
    /// So many queues with nothing in them.
    Queues(usize),
    /// Queues without a bound, with so many items in each.
    Unbounded {
        queues: usize,
        items: usize,
    },
    /// Full queues.
    Bounded {
        queues: usize,
        capacity: usize,
    },
    /// Items of 1 KiB through a bounded queue to an actor that is slower than its producer.
    Flood {
        capacity: usize,
        items: usize,
    },
    /// The same through the mailbox.
    DoSendFlood {
        items: usize,
    },
    /// A call with little stack.
    Stack(Call),
}

impl Probe {
    pub(crate) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// Returns what it measures in a process of its own.
    pub(super) fn run_apart(self) -> anyhow::Result<f64> {
        let output = self.output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        said(output)
    }

    /// Returns what it measures, or `None` if its process had too little stack and died of that.
    pub(super) fn run_on_stack(self) -> anyhow::Result<Option<f64>> {
        let output = self.output()?;
        if output.status.success() {
            return said(output).map(Some);
        }
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(error.contains("overflowed its stack"), "{error}");
        Ok(None)
    }

    fn output(self) -> anyhow::Result<Output> {
        children::output(Command::new(env::current_exe()?).arg("--probe").arg(serde_json::to_string(&self)?))
    }

    /// How many bytes it took; at their peak for floods; before the call for stacks.
    pub(crate) fn run(self) -> anyhow::Result<u64> {
        match self {
            Probe::Producers(count) => {
                let queue = IterableQueue::<u64>::unbounded();
                taken_by(count, || queue.producer())
            }
            Probe::Consumers(count) => {
                let queue = IterableQueue::<u64>::unbounded();
                taken_by(count, || queue.consumer())
            }
            Probe::ClonesOfProducer(count) => {
                let producer = IterableQueue::<u64>::unbounded().producer()?;
                taken_by(count, || anyhow::Ok(producer.clone()))
            }
            Probe::ClonesOfConsumer(count) => {
                let consumer = IterableQueue::<u64>::unbounded().consumer()?;
                taken_by(count, || anyhow::Ok(consumer.clone()))
            }
            Probe::Queues(count) => taken_by(count, || anyhow::Ok(IterableQueue::<u64>::unbounded())),
            Probe::Unbounded { queues, items } => {
                let queues = (0..queues).map(|_| IterableQueue::unbounded().split());
                let queues = queues.collect::<Result<Vec<_>, _>>()?;
                let before = memory()?;
                for (producer, _) in &queues {
                    (0..items as u64).try_for_each(|item| producer.try_put(item))?;
                }
                grown(before)
            }
            Probe::Bounded { queues, capacity } => taken_by(queues, || {
                let (producer, consumer) = IterableQueue::bounded(capacity).split()?;
                (0..capacity as u64).try_for_each(|item| producer.try_put(item))?;
                ensure!(producer.try_put(0).is_err(), "more than the capacity went in");
                Ok((producer, consumer))
            }),
            Probe::Flood { capacity, items } => flood(items, |arbiter, mut worker| {
                let (producer, consumer) = IterableQueue::bounded(capacity).split()?;
                worker.consumer = Some(consumer);
                Worker::start_in_arbiter(arbiter, |_| worker);
                Ok(move |item| producer.blocking_put(item).is_ok())
            }),
            Probe::Stack(call) => call.make(),
            Probe::DoSendFlood { items } => flood(items, |arbiter, worker| {
                let address = Worker::start_in_arbiter(arbiter, |_| worker);
                Ok(move |item| {
                    address.do_send(Sent(item));
                    true
                })
            }),
        }
    }
}

fn said(output: Output) -> anyhow::Result<f64> {
    let bytes = String::from_utf8(output.stdout)?;
    bytes.trim().parse().with_context(|| format!("a probe said {bytes:?}"))
}

/// What `count` of them take while all are there.
fn taken_by<E, X: Into<anyhow::Error>>(count: usize, mut open: impl FnMut() -> Result<E, X>) -> anyhow::Result<u64> {
    let mut all = Vec::with_capacity(count);
    let before = memory()?;
    for _ in 0..count {
        all.push(open().map_err(X::into)?);
    }
    grown(before)
}

/// What the process takes at most, while what `open` returns puts as fast as it can.
fn flood<P: FnMut(Kilobyte) -> bool>(
    items: usize,
    open: impl FnOnce(&ArbiterHandle, Worker) -> anyhow::Result<P>,
) -> anyhow::Result<u64> {
    let _system = System::new();
    let arbiter = Arbiter::new().handle();
    let (home, account) = mpsc::channel();
    let before = memory()?;
    let mut peak = before;
    let mut put = open(&arbiter, Worker { consumer: None, count: 0, sum: 0, home })?;
    for item in 0..items {
        ensure!(put([item as u64; 128]), "item {item} was refused");
        // What the system keeps as the peak is off by some hundred KiB.
        if item % (items / 20) == 0 || item + 1 == items {
            peak = peak.max(memory()?);
        }
    }
    drop(put);
    let (count, sum) = account.recv_timeout(LIMIT).context("the worker did not end")?;
    let items = items as u64;
    numbers::check((count, sum), (items, items * (items - 1) / 2))?;
    Ok(peak - before)
}

const LIMIT: Duration = Duration::from_secs(60);

fn grown(before: u64) -> anyhow::Result<u64> {
    memory()?.checked_sub(before).context("it took less than nothing")
}

/// This process's memory in bytes, but for what it has of files.
fn memory() -> anyhow::Result<u64> {
    // Unlike `status` it is exact: it counts the pages.
    let pages = fs::read_to_string("/proc/self/smaps_rollup").context("what the process takes is not to be read")?;
    let line =
        pages.lines().find_map(|line| line.strip_prefix("Anonymous:")).context("it does not say what is taken")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

type Kilobyte = [u64; 128];

/// It is slower than its producer, and says in the end what came.
struct Worker {
    consumer: Option<Consumer<Kilobyte>>,
    count: u64,
    sum: u64,
    home: mpsc::Sender<(u64, u64)>,
}

impl Worker {
    fn work(&mut self, item: &Kilobyte) {
        self.count += 1;
        self.sum += item[0];
        let began = Instant::now();
        while began.elapsed() < Duration::from_micros(5) {
            spin_loop();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Nobody waits for it if the producer has failed.
        self.home.send((self.count, self.sum)).ok();
    }
}

impl Actor for Worker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(consumer) = self.consumer.take() {
            ctx.consume(consumer);
        }
    }
}

impl Handler<Item<Kilobyte>> for Worker {
    type Result = ();

    fn handle(&mut self, item: Item<Kilobyte>, _: &mut Self::Context) {
        self.work(&item);
        item.ack();
    }
}

impl Handler<Drained> for Worker {
    type Result = ();

    fn handle(&mut self, _: Drained, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

struct Sent(Kilobyte);

impl Message for Sent {
    type Result = ();
}

impl Handler<Sent> for Worker {
    type Result = ();

    fn handle(&mut self, Sent(item): Sent, _: &mut Self::Context) {
        self.work(&item);
    }
}
