//! What the tests of worker pools share.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::Duration;

use actix::prelude::*;
use actix_iterable_queue::prelude::*;
use actix_iterable_queue::{Backoff, WorkerPoolBuilder};
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::{FutureExt, StreamExt};

use crate::actors::{Run, quiet};

pub const HOUR: Duration = Duration::from_secs(3600);

/// Waits for so long that no test sees the end of it.
pub const LATE: Backoff = Backoff::exponential(HOUR.saturating_mul(2), HOUR.saturating_mul(2));

/// Waits so little that every test sees the end of it.
pub const SOON: Backoff = Backoff::exponential(Duration::from_millis(1), Duration::from_millis(1));

/// A pool whose workers live on the thread of the test: after [`quiet`] they have done all that
/// they can do now.
pub fn here(queue: &IterableQueue<u32>) -> WorkerPoolBuilder<u32> {
    WorkerPool::builder(queue).arbiters([System::current().arbiter().clone()])
}

/// A worker that has begun.
#[derive(Debug)]
pub struct Birth {
    pub index: usize,
    pub thread: ThreadId,
    pub addr: Addr<Worker>,
}

impl Birth {
    /// Runs a piece of the test inside the worker. It may kill the worker.
    pub fn run(&self, work: impl FnOnce(&mut Worker, &mut Context<Worker>) + Send + 'static) {
        self.addr.do_send(crate::actors::run(work));
    }

    pub fn panics(&self) {
        self.run(|_, _| panic!("the test wants it to die"));
    }
}

#[derive(Clone)]
struct Tell {
    births: UnboundedSender<Birth>,
    items: UnboundedSender<(usize, Item<u32>)>,
    told: UnboundedSender<(usize, Drained)>,
}

/// A worker that hands everything on to the test, which settles the items or not.
pub struct Worker {
    pub index: usize,
    /// What dies with it.
    pub held: Vec<Item<u32>>,
    tell: Tell,
}

impl Actor for Worker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let birth = Birth { index: self.index, thread: thread::current().id(), addr: ctx.address() };
        // A test that has heard enough may have dropped its end, here and below.
        let _ = self.tell.births.unbounded_send(birth);
    }
}

impl Handler<Item<u32>> for Worker {
    type Result = ();

    fn handle(&mut self, item: Item<u32>, _: &mut Self::Context) {
        let _ = self.tell.items.unbounded_send((self.index, item));
    }
}

impl Handler<Drained> for Worker {
    type Result = ();

    fn handle(&mut self, drained: Drained, _: &mut Self::Context) {
        let _ = self.tell.told.unbounded_send((self.index, drained));
    }
}

impl Handler<Run<Self>> for Worker {
    type Result = ();

    fn handle(&mut self, work: Run<Self>, ctx: &mut Context<Self>) {
        work.call(self, ctx);
    }
}

/// The test's end of all [`Worker`]s of a pool.
pub struct Crew {
    births: UnboundedReceiver<Birth>,
    items: UnboundedReceiver<(usize, Item<u32>)>,
    told: UnboundedReceiver<(usize, Drained)>,
}

/// A factory of [`Worker`]s, and the test's end of them.
pub fn crew() -> (impl Fn(usize) -> Worker + Clone + Send + Sync + 'static, Crew) {
    let ((births, b), (items, i), (told, t)) = (unbounded(), unbounded(), unbounded());
    let tell = Tell { births, items, told };
    (move |index| Worker { index, held: Vec::new(), tell: tell.clone() }, Crew { births: b, items: i, told: t })
}

impl Crew {
    pub async fn birth(&mut self) -> Birth {
        self.births.next().await.expect("a worker that begins, not the end of the pool")
    }

    /// The next so many, by index.
    pub async fn births(&mut self, n: usize) -> Vec<Birth> {
        let mut births: Vec<_> = self.births.by_ref().take(n).collect().await;
        births.sort_by_key(|birth| birth.index);
        births
    }

    pub async fn item(&mut self) -> (usize, Item<u32>) {
        self.items.next().await.expect("an item, not the end of the pool")
    }

    pub async fn told(&mut self) -> (usize, Drained) {
        self.told.next().await.expect("a worker that is told, not the end of the pool")
    }

    /// None of the workers on this thread has begun or been given an item or told of the end.
    pub async fn nothing(&mut self) {
        self.no_birth().await;
        self.no_item().await;
        if let Some(told) = self.told.next().now_or_never() {
            panic!("nobody was to be told: {told:?}");
        }
    }

    pub async fn no_birth(&mut self) {
        quiet().await;
        if let Some(birth) = self.births.next().now_or_never() {
            panic!("no worker was to begin: {birth:?}");
        }
    }

    pub async fn no_item(&mut self) {
        quiet().await;
        if let Some(item) = self.items.next().now_or_never() {
            panic!("no item was to come: {item:?}");
        }
    }

    /// The factory and all its workers are gone, and there was nothing more from them.
    pub async fn gone(&mut self) {
        let (birth, item, told) = (self.births.next().await, self.items.next().await, self.told.next().await);
        assert!(birth.is_none() && item.is_none() && told.is_none(), "not gone: {birth:?}, {item:?}, {told:?}");
    }
}

/// A worker that does this with each item.
pub struct Does<F> {
    index: usize,
    handle: F,
}

pub fn does<F>(handle: F) -> impl Fn(usize) -> Does<F> + Send + Sync + 'static
where
    F: Fn(usize, Item<u32>) + Clone + Send + Sync + Unpin + 'static,
{
    move |index| Does { index, handle: handle.clone() }
}

/// A worker that acks.
pub fn acks() -> impl Fn(usize) -> Does<fn(usize, Item<u32>)> + Send + Sync + 'static {
    let ack: fn(usize, Item<u32>) = |_, item| item.ack();
    does(ack)
}

impl<F: Unpin + 'static> Actor for Does<F> {
    type Context = Context<Self>;
}

impl<F: Fn(usize, Item<u32>) + Unpin + 'static> Handler<Item<u32>> for Does<F> {
    type Result = ();

    fn handle(&mut self, item: Item<u32>, _: &mut Self::Context) {
        (self.handle)(self.index, item);
    }
}

impl<F: Unpin + 'static> Handler<Drained> for Does<F> {
    type Result = ();

    fn handle(&mut self, _: Drained, _: &mut Self::Context) {}
}

/// What a worker of any kind does with an item.
pub type Work = Arc<dyn Fn(Item<u32>) -> Pin<Box<dyn Future<Output = ()>>> + Send + Sync>;

pub fn work<F: Future<Output = ()> + 'static>(work: impl Fn(Item<u32>) -> F + Send + Sync + 'static) -> Work {
    Arc::new(move |item| Box::pin(work(item)))
}

macro_rules! kind {
    ($name:ident, $result:ty, $handle:expr) => {
        pub struct $name(pub Work);

        impl Actor for $name {
            type Context = Context<Self>;
        }

        impl Handler<Item<u32>> for $name {
            type Result = $result;

            fn handle(&mut self, item: Item<u32>, _: &mut Self::Context) -> Self::Result {
                let work = (self.0)(item);
                $handle(self, work)
            }
        }

        impl Handler<Drained> for $name {
            type Result = ();

            fn handle(&mut self, _: Drained, _: &mut Self::Context) {}
        }
    };
}

kind!(AtOnce, (), |_: &Self, mut work| while futures::executor::block_on(async { futures::poll!(&mut work) })
    .is_pending()
{});
kind!(InFuture, ResponseFuture<()>, |_: &Self, work| work);
kind!(InActorFuture, ResponseActFuture<Self, ()>, |actor: &Self, work| Box::pin(WrapFuture::into_actor(work, actor)));
kind!(InTurn, AtomicResponse<Self, ()>, |actor: &Self, work| {
    AtomicResponse::new(Box::pin(WrapFuture::into_actor(work, actor)))
});
