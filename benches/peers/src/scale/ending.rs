//! How long it takes until many actors have heard that the queue is drained.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use actix::{Actor, Addr, Arbiter, AsyncContext, Context, Handler, Message, System};
use actix_iterable_queue::message::RegisterConsumer;
use actix_iterable_queue::{ConsumeExt, Consumer, Drained, Item, IterableQueue, QueueActor};
use anyhow::{Context as _, ensure};

use super::{MANY, Part};
use crate::numbers;
use crate::report::Target;
use crate::rounds::{Better, Contender, Effort, Figure, Measured, Row};

const ROUNDS: usize = 9;
const ARBITERS: usize = 4;
const LIMIT: Duration = Duration::from_secs(10);
const FIGURES: [Figure; 1] = [Figure { name: "", unit: "ms", better: Better::Less }];

pub(super) fn run(effort: Effort) -> Part {
    let row = Row {
        name: format!("last settle to the last of {MANY} Drained, {ARBITERS} arbiters"),
        figures: &FIGURES,
        ours: vec![Contender::new("ctx.consume", pull), Contender::new("RegisterConsumer", push)],
        peers: vec![
            Contender::new("actix do_send to each", do_send).lacking("one who knows the end, and all addresses"),
        ],
    };
    let lines = row.run(effort.rounds(ROUNDS));
    let targets = lines.iter().filter_map(|line| {
        let what = format!("ms from the last settle to the last of {MANY} Drained, {}", line.ours);
        Some(Target::at_most(what, 10.0, line.median()?))
    });
    let targets = targets.collect();
    Part { lines, targets }
}

/// Each actor takes its consumer's items itself.
fn pull() -> Measured {
    end(|queue, arbiters, news| {
        let mut consumers = (0..MANY).map(|_| queue.consumer()).collect::<Result<Vec<_>, _>>()?;
        for arbiter in arbiters {
            let (news, share) = (Arc::clone(news), consumers.split_off(consumers.len() - MANY / ARBITERS));
            arbiter.spawn_fn(move || {
                for consumer in share {
                    Listener::new(&news, Some(consumer)).start();
                }
            });
        }
        Ok(())
    })
}

/// One actor serves them all by address.
fn push() -> Measured {
    end(|queue, arbiters, news| {
        let queue = queue.clone();
        let address = QueueActor::start_in_arbiter(&arbiters[0].handle(), |_| QueueActor::new(queue));
        for arbiter in arbiters {
            let (news, address) = (Arc::clone(news), address.clone());
            arbiter.spawn_fn(move || {
                for _ in 0..MANY / ARBITERS {
                    let listener = Listener::new(&news, None).start();
                    address.do_send(RegisterConsumer::new(listener));
                }
            });
        }
        Ok(())
    })
}

/// From the last settle to when the last of those has heard whom `open` makes consumers.
fn end(open: impl FnOnce(&IterableQueue<u64>, &[Arbiter], &Arc<News>) -> anyhow::Result<()>) -> Measured {
    with_arbiters(|arbiters| {
        let (news, heard) = News::new();
        let queue = IterableQueue::unbounded();
        let (producer, mut holder) = (queue.producer()?, queue.consumer()?);
        producer.try_put(0)?;
        let last = holder.try_lease()?;
        open(&queue, arbiters, &news)?;
        // One item for each: whoever handled it has begun, and waits for the next.
        let began = Instant::now();
        while queue.snapshot().consumers.len() <= MANY {
            ensure!(began.elapsed() < LIMIT, "not all have come");
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(20));
        (0..MANY).try_for_each(|_| producer.try_put(1))?;
        while news.items.load(SeqCst) < MANY {
            ensure!(began.elapsed() < LIMIT, "not all items were handled");
            thread::sleep(Duration::from_millis(1));
        }
        drop(producer);
        queue.seal();
        thread::sleep(Duration::from_millis(20));
        let began = Instant::now();
        last.ack();
        news.check(heard.recv_timeout(LIMIT).context("not all have heard")?.duration_since(began))
    })
}

fn do_send() -> Measured {
    with_arbiters(|arbiters| {
        let (news, heard) = News::new();
        let (sender, addresses) = mpsc::channel();
        for arbiter in arbiters {
            let (news, sender) = (Arc::clone(&news), sender.clone());
            arbiter.spawn_fn(move || {
                for _ in 0..MANY / ARBITERS {
                    sender.send(Listener::new(&news, None).start()).ok();
                }
            });
        }
        drop(sender);
        let addresses: Vec<Addr<Listener>> = addresses.iter().collect();
        thread::sleep(Duration::from_millis(20));
        let began = Instant::now();
        for address in &addresses {
            address.do_send(End);
        }
        news.check(heard.recv_timeout(LIMIT).context("not all have heard")?.duration_since(began))
    })
}

fn with_arbiters(measure: impl FnOnce(&[Arbiter]) -> Measured) -> Measured {
    // Arbiters belong to a system; this one has nothing else to do.
    let _system = System::new();
    let arbiters: Vec<_> = (0..ARBITERS).map(|_| Arbiter::new()).collect();
    let measured = measure(&arbiters);
    for arbiter in arbiters {
        arbiter.stop();
        arbiter.join().expect("actors do not panic");
    }
    measured
}

/// Who has got what.
struct News {
    items: AtomicUsize,
    ends: AtomicUsize,
    last: mpsc::Sender<Instant>,
}

impl News {
    fn new() -> (Arc<Self>, mpsc::Receiver<Instant>) {
        let (last, heard) = mpsc::channel();
        (Arc::new(Self { items: AtomicUsize::new(0), ends: AtomicUsize::new(0), last }), heard)
    }

    fn end(&self) {
        if self.ends.fetch_add(1, SeqCst) + 1 == MANY {
            self.last.send(Instant::now()).ok();
        }
    }

    fn check(&self, time: Duration) -> Measured {
        let ends = self.ends.load(SeqCst);
        numbers::check((ends as u64, 0), (MANY as u64, 0))?;
        Ok(vec![time.as_secs_f64() * 1000.0])
    }
}

struct Listener {
    consumer: Option<Consumer<u64>>,
    news: Arc<News>,
    /// Its own address, so that none of them is torn down while others have yet to hear.
    own: Option<Addr<Self>>,
}

impl Listener {
    fn new(news: &Arc<News>, consumer: Option<Consumer<u64>>) -> Self {
        Self { consumer, news: Arc::clone(news), own: None }
    }
}

struct End;

impl Message for End {
    type Result = ();
}

impl Actor for Listener {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.own = Some(ctx.address());
        if let Some(consumer) = self.consumer.take() {
            ctx.consume(consumer);
        }
    }
}

impl Handler<Item<u64>> for Listener {
    type Result = ();

    fn handle(&mut self, item: Item<u64>, _: &mut Self::Context) {
        self.news.items.fetch_add(1, SeqCst);
        item.ack();
    }
}

impl Handler<Drained> for Listener {
    type Result = ();

    fn handle(&mut self, _: Drained, _: &mut Self::Context) {
        self.news.end();
    }
}

impl Handler<End> for Listener {
    type Result = ();

    fn handle(&mut self, _: End, _: &mut Self::Context) {
        self.news.end();
    }
}
