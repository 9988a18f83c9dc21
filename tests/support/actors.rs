//! What the tests of the actix face share.

use std::future::Future;
use std::ops::Range;

use actix::prelude::*;
use actix_iterable_queue::prelude::*;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::executor::block_on;
use futures::{FutureExt, StreamExt};
use harness::within_watchdog;

use crate::backend;

/// Runs a test in a system of its own, watched.
#[track_caller]
pub fn in_system<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    within_watchdog(|| System::new().block_on(test()));
}

/// Waits for something that makes no event. The watchdog ends it.
pub async fn until(mut done: impl FnMut() -> bool) {
    while !done() {
        tokio::task::yield_now().await;
    }
}

/// Lets all actors of this thread do what they can do now: what has not happened after this will
/// not happen by itself.
pub async fn quiet() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// A queue with items in it, and no producer left.
pub fn backlog(items: Range<u32>) -> IterableQueue<u32> {
    filled(backend::unbounded(), items)
}

/// The same for what is narrower over Redis.
pub fn backlog_in_memory(items: Range<u32>) -> IterableQueue<u32> {
    filled(crate::backend::in_memory(), items)
}

fn filled(queue: IterableQueue<u32>, items: Range<u32>) -> IterableQueue<u32> {
    let producer = queue.producer().expect("it is open");
    block_on(producer.put_all(items)).expect("it is open");
    queue
}

/// The same with an actor, and a handle beside it.
pub fn with(items: Range<u32>) -> (IterableQueue<u32>, Addr<QueueActor<u32>>) {
    served(backlog(items))
}

pub fn with_in_memory(items: Range<u32>) -> (IterableQueue<u32>, Addr<QueueActor<u32>>) {
    served(backlog_in_memory(items))
}

fn served(queue: IterableQueue<u32>) -> (IterableQueue<u32>, Addr<QueueActor<u32>>) {
    (queue.clone(), QueueActor::new(queue).start())
}

/// Runs a piece of the test inside an actor.
pub struct Run<A: Actor>(Work<A, <A as Actor>::Context>);

type Work<A, C> = Box<dyn FnOnce(&mut A, &mut C) + Send>;

pub fn run<A: Actor>(work: impl FnOnce(&mut A, &mut A::Context) + Send + 'static) -> Run<A> {
    Run(Box::new(work))
}

impl<A: Actor> Run<A> {
    pub fn call(self, actor: &mut A, ctx: &mut A::Context) {
        (self.0)(actor, ctx);
    }
}

impl<A: Actor> Message for Run<A> {
    type Result = ();
}

/// Anybody may teach a queue's actor messages of their own.
impl<T: Send + 'static> Handler<Run<Self>> for QueueActor<T> {
    type Result = ();

    fn handle(&mut self, work: Run<Self>, ctx: &mut Context<Self>) {
        work.call(self, ctx);
    }
}

/// What a consumer actor was handed.
#[derive(Debug)]
pub enum Event {
    Item(Item<u32>),
    Drained(Drained),
}

/// A consumer actor that hands everything on to the test, which settles the items or not.
#[derive(Debug)]
pub struct Hand {
    events: UnboundedSender<Event>,
    /// To pull from.
    pub consumer: Option<Consumer<u32>>,
}

impl Hand {
    pub fn new() -> (Self, Events) {
        let (events, received) = unbounded();
        (Self { events, consumer: None }, Events(received))
    }

    /// One that waits to be registered.
    pub fn push() -> (Addr<Self>, Events) {
        let (hand, events) = Self::new();
        (hand.start(), events)
    }

    /// One that consumes in its own context.
    pub fn pull(consumer: Consumer<u32>) -> (Addr<Self>, Events) {
        let (mut hand, events) = Self::new();
        hand.consumer = Some(consumer);
        (hand.start(), events)
    }

    fn tell(&self, event: Event) {
        // A test that has heard enough may have dropped its end.
        let _ = self.events.unbounded_send(event);
    }
}

impl Actor for Hand {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(consumer) = self.consumer.take() {
            ctx.consume(consumer);
        }
    }
}

impl Handler<Item<u32>> for Hand {
    type Result = ();

    fn handle(&mut self, item: Item<u32>, _: &mut Self::Context) {
        self.tell(Event::Item(item));
    }
}

impl Handler<Drained> for Hand {
    type Result = ();

    fn handle(&mut self, drained: Drained, _: &mut Self::Context) {
        self.tell(Event::Drained(drained));
    }
}

impl Handler<Run<Self>> for Hand {
    type Result = ();

    fn handle(&mut self, work: Run<Self>, ctx: &mut Context<Self>) {
        work.call(self, ctx);
    }
}

/// The test's end of a [`Hand`].
pub struct Events(UnboundedReceiver<Event>);

impl Events {
    pub async fn item(&mut self) -> Item<u32> {
        match self.0.next().await {
            Some(Event::Item(item)) => item,
            other => panic!("expected an item, not {other:?}"),
        }
    }

    pub async fn drained(&mut self) -> Drained {
        match self.0.next().await {
            Some(Event::Drained(drained)) => drained,
            other => panic!("expected the end, not {other:?}"),
        }
    }

    /// Nothing has come, and nothing will by itself.
    pub async fn nothing(&mut self) {
        quiet().await;
        if let Some(event) = self.0.next().now_or_never() {
            panic!("expected nothing, not {event:?}");
        }
    }

    /// The actor is gone, and told nothing more.
    pub async fn end(&mut self) {
        if let Some(event) = self.0.next().await {
            panic!("expected no more, not {event:?}");
        }
    }
}

/// Panics at its first item, with the others in its mailbox.
pub struct Fragile;

impl Actor for Fragile {
    type Context = Context<Self>;
}

impl Handler<Item<u32>> for Fragile {
    type Result = ();

    fn handle(&mut self, item: Item<u32>, _: &mut Self::Context) {
        panic!("item {} is poison", *item);
    }
}

impl Handler<Drained> for Fragile {
    type Result = ();

    fn handle(&mut self, _: Drained, _: &mut Self::Context) {}
}
