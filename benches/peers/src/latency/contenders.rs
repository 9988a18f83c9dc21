//! The ways from a plain thread to a handler on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread;
use std::time::Instant;

use actix::{Actor, ActorContext, Arbiter, Context, Handler, Message, System};
use actix_iterable_queue::message::RegisterConsumer;
use actix_iterable_queue::{ConsumeExt, Consumer, Drained, Item, IterableQueue, Producer, QueueActor};
use anyhow::Context as _;
use tokio::runtime::Builder;
use tokio::sync::mpsc;

use super::DO_SEND;
use super::pace::{LIMIT, Pace};
use super::recorder::Recorder;
use crate::rounds::{Contender, Measured};

const CAPACITY: usize = 1024;

/// Items at a pace, from a thread of their own to a handler.
#[derive(Clone, Copy)]
pub(crate) struct Run {
    pub(crate) pace: Pace,
    pub(crate) items: usize,
}

/// An item that tells when it was due.
pub(crate) trait Timed: Send + 'static {
    fn at(due: u64) -> Self;
    fn due(&self) -> u64;
}

impl Timed for u64 {
    fn at(due: u64) -> Self {
        due
    }

    fn due(&self) -> u64 {
        *self
    }
}

impl Run {
    pub(super) fn ours(self) -> Contender {
        self.pulled(|| Ok(IterableQueue::<u64>::bounded(CAPACITY).split()?))
    }

    /// From a producer to an actor that pulls.
    pub(crate) fn pulled<T: Timed>(
        self,
        open: impl Fn() -> anyhow::Result<(Producer<T>, Consumer<T>)> + Send + Sync + 'static,
    ) -> Contender {
        Contender::new("", move || {
            // Arbiters belong to a system; this one has nothing else to do.
            let _system = System::new();
            let arbiter = Arbiter::new();
            let measured = self.measure(|recorder| {
                let (producer, consumer) = open()?;
                arbiter.spawn_fn(|| {
                    Worker { consumer: Some(consumer), recorder }.start();
                });
                Ok(move |due| producer.blocking_put(T::at(due)).is_ok())
            });
            end(arbiter);
            measured
        })
    }

    /// From a producer to an actor that is sent its items.
    pub(super) fn pushed(self) -> Contender {
        Contender::new("push", move || {
            let _system = System::new();
            let (arbiter, own) = (Arbiter::new(), Arbiter::new());
            let measured = self.measure(|recorder| {
                let queue = IterableQueue::<u64>::bounded(CAPACITY);
                let producer = queue.producer()?;
                let queue = QueueActor::start_in_arbiter(&own.handle(), |_| QueueActor::new(queue));
                let worker = Worker { consumer: None, recorder };
                let worker = Worker::start_in_arbiter(&arbiter.handle(), |_| worker);
                futures::executor::block_on(queue.send(RegisterConsumer::new(worker)))??;
                Ok(move |due| producer.blocking_put(due).is_ok())
            });
            end(arbiter);
            end(own);
            measured
        })
    }

    pub(super) fn do_send(self) -> Contender {
        let contender = Contender::new(DO_SEND, move || {
            let _system = System::new();
            let arbiter = Arbiter::new();
            let measured = self.measure(|recorder| {
                let address = Mailbox::start_in_arbiter(&arbiter.handle(), |_| Mailbox { recorder });
                Ok(move |due| {
                    address.do_send(Due(due));
                    true
                })
            });
            end(arbiter);
            measured
        });
        contender.lacking("no bound, no ack, no redelivery, no end")
    }

    pub(super) fn tokio_mpsc(self) -> Contender {
        let contender = Contender::new("tokio mpsc", move || {
            self.measure(|mut recorder| {
                // Without drivers for I/O and time it sleeps and wakes at the least cost.
                let runtime = Builder::new_current_thread().build()?;
                let (sender, mut receiver) = mpsc::channel(CAPACITY);
                thread::spawn(move || {
                    let handler = runtime.spawn(async move {
                        while let Some(due) = receiver.recv().await {
                            recorder.note(due);
                        }
                    });
                    runtime.block_on(handler)
                });
                Ok(move |due| sender.try_send(due).is_ok() || sender.blocking_send(due).is_ok())
            })
        });
        contender.lacking("a task, no actor; no ack, no redelivery")
    }

    /// Runs the handler that `open` gives the recorder to, until what `open` puts with is dropped.
    pub(crate) fn measure<P: FnMut(u64) -> bool + Send>(
        self,
        open: impl FnOnce(Recorder) -> anyhow::Result<P>,
    ) -> Measured {
        let (began, handled) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
        let (home, account) = std::sync::mpsc::channel();
        let put = open(Recorder::new(self.items, self.pace.work(), began, Arc::clone(&handled), home))?;
        let sum = thread::scope(|scope| {
            let putter = scope.spawn(|| self.pace.drive(self.items, began, &handled, put));
            putter.join().expect("the putter does not panic")
        })?;
        let account = account.recv_timeout(LIMIT).context("the handler did not end")?;
        account.percentiles(self.items, sum)
    }
}

fn end(arbiter: Arbiter) {
    arbiter.stop();
    arbiter.join().expect("handlers do not panic");
}

struct Worker<T: Timed> {
    consumer: Option<Consumer<T>>,
    recorder: Recorder,
}

impl<T: Timed> Actor for Worker<T> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(consumer) = self.consumer.take() {
            ctx.consume(consumer);
        }
    }
}

impl<T: Timed> Handler<Item<T>> for Worker<T> {
    type Result = ();

    fn handle(&mut self, item: Item<T>, _: &mut Self::Context) {
        self.recorder.note(item.due());
        item.ack();
    }
}

impl<T: Timed> Handler<Drained> for Worker<T> {
    type Result = ();

    fn handle(&mut self, _: Drained, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

/// Stops when its address is dropped.
struct Mailbox {
    recorder: Recorder,
}

struct Due(u64);

impl Message for Due {
    type Result = ();
}

impl Actor for Mailbox {
    type Context = Context<Self>;
}

impl Handler<Due> for Mailbox {
    type Result = ();

    fn handle(&mut self, Due(due): Due, _: &mut Self::Context) {
        self.recorder.note(due);
    }
}
