//! Items pulled into an actor's own context: results of handlers, the limit, turns, the end
//! (A2, C5, D11).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use actix::prelude::*;
use actix_iterable_queue::State;
use actix_iterable_queue::prelude::*;
use futures::StreamExt;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use futures::channel::oneshot;
use support::actors;
use support::actors::{Hand, backlog, in_system, run};
use support::{backend, panic_of};

#[test]
fn a2_the_next_item_comes_when_the_one_before_is_settled() {
    in_system(|| async {
        let queue = backlog(0..3);
        let (_hand, mut events) = Hand::pull(queue.consumer().unwrap());
        queue.seal();
        for n in 0..3 {
            let item = events.item().await;
            assert_eq!((*item, item.attempt(), queue.snapshot().leased), (n, 1, 1));
            events.nothing().await;
            item.ack();
        }
        assert_eq!(events.drained().await.outcome, Outcome::Complete);
    });
}

/// What a worker's actor holds besides its handler.
struct Plan {
    consumer: Option<Consumer<u32>>,
    limit: usize,
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    told: UnboundedSender<Drained>,
}

impl Plan {
    fn work(&self, item: Item<u32>) -> impl Future<Output = ()> + use<> {
        let (now, most) = (Arc::clone(&self.now), Arc::clone(&self.most));
        async move {
            most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
            now.fetch_sub(1, SeqCst);
            item.ack();
        }
    }
}

macro_rules! worker {
    ($name:ident, $result:ty, $handle:expr) => {
        struct $name(Plan);

        impl Actor for $name {
            type Context = Context<Self>;

            fn started(&mut self, ctx: &mut Self::Context) {
                let consumer = self.0.consumer.take().expect("it starts once");
                ctx.consume_concurrent(self.0.limit, consumer);
            }
        }

        impl Handler<Item<u32>> for $name {
            type Result = $result;

            fn handle(&mut self, item: Item<u32>, _: &mut Self::Context) -> Self::Result {
                let work = self.0.work(item);
                $handle(self, work)
            }
        }

        impl Handler<Drained> for $name {
            type Result = ();

            fn handle(&mut self, drained: Drained, _: &mut Self::Context) {
                self.0.told.unbounded_send(drained).expect("the test waits for this");
            }
        }
    };
}

worker!(AtOnce, (), |_: &Self, work| {
    // Its own handler settles it: run the work to its end.
    futures::executor::block_on(async {
        let mut work: Pin<Box<dyn Future<Output = ()>>> = Box::pin(work);
        while futures::poll!(&mut work).is_pending() {}
    })
});
worker!(InFuture, ResponseFuture<()>, |_: &Self, work| Box::pin(work));
worker!(InActorFuture, ResponseActFuture<Self, ()>, |actor: &Self, work| Box::pin(WrapFuture::into_actor(work, actor)));
worker!(InTurn, AtomicResponse<Self, ()>, |actor: &Self, work| {
    AtomicResponse::new(Box::pin(WrapFuture::into_actor(work, actor)))
});

/// An actor of each kind works through 20 items; `expected` is the most it works on at once.
fn most_at_once<A: Actor<Context = Context<A>>>(make: fn(Plan) -> A, limit: usize, expected: usize) {
    in_system(move || async move {
        let queue = backlog(0..20);
        let (told, mut drained) = unbounded();
        let most = Arc::new(AtomicUsize::new(0));
        let consumer = Some(queue.consumer().expect("it is open"));
        make(Plan { consumer, limit, now: Arc::default(), most: Arc::clone(&most), told }).start();
        drop(queue);
        let end = drained.next().await.expect("it is told");
        assert_eq!((end.outcome, end.totals.acked, end.totals.redelivered), (Outcome::Complete, 20, 0));
        assert_eq!(most.load(SeqCst), expected);
    });
}

#[test]
fn a2_plain_handlers_work_on_one_item_at_a_time() {
    most_at_once(AtOnce, 4, 1);
}

#[test]
fn a2_the_limit_holds_for_response_futures() {
    most_at_once(InFuture, 4, 4);
    most_at_once(InFuture, 1, 1);
}

#[test]
fn a2_the_limit_holds_for_actor_futures() {
    most_at_once(InActorFuture, 4, 4);
    most_at_once(InActorFuture, 1, 1);
}

#[test]
fn a2_an_atomic_response_works_on_one_at_a_time() {
    most_at_once(InTurn, 4, 1);
    most_at_once(InTurn, 1, 1);
}

#[test]
fn a2_a_limit_of_0_panics_and_closes_the_consumer() {
    in_system(|| async {
        let queue = backlog(0..1);
        let consumer = queue.consumer().unwrap();
        let (hand, mut events) = Hand::push();
        let (tell, panicked) = oneshot::channel();
        let consume = run::<Hand>(move |_, ctx| {
            let _ = tell.send(panic_of(|| ctx.consume_concurrent(0, consumer)));
        });
        hand.send(consume).await.unwrap();
        let panic = panicked.await.unwrap();
        assert_eq!(panic, "ConsumeExt::consume_concurrent: max_in_flight is 0: give at least 1");
        assert!(queue.snapshot().consumers.is_empty());
        events.nothing().await;
    });
}

/// Makes a new item of every item it is handed, so its backlog never ends by itself.
struct Endless {
    producer: Option<Producer<u32>>,
    consumer: Option<Consumer<u32>>,
    timer: bool,
}

struct Enough;

impl Message for Enough {
    type Result = ();
}

impl Actor for Endless {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.consume_concurrent(100, self.consumer.take().expect("it starts once"));
        if self.timer {
            ctx.run_later(Duration::from_millis(1), |actor, ctx| {
                ctx.run_interval(Duration::from_millis(1), |actor, _| actor.producer = None);
                actor.timer = false;
            });
        }
    }
}

impl Handler<Item<u32>> for Endless {
    type Result = ();

    fn handle(&mut self, item: Item<u32>, _: &mut Self::Context) {
        if let Some(producer) = &self.producer {
            producer.try_put(*item).expect("the queue has no bound");
        }
        item.ack();
    }
}

impl Handler<Enough> for Endless {
    type Result = ();

    fn handle(&mut self, _: Enough, _: &mut Self::Context) {
        self.producer = None;
    }
}

impl Handler<Drained> for Endless {
    type Result = ();

    fn handle(&mut self, _: Drained, _: &mut Self::Context) {}
}

/// These hang if the backlog starves what ends it.
fn endless(timer: bool) -> (impl Future<Output = Drained>, Addr<Endless>) {
    let queue = backlog(0..1000);
    let drained = queue.drained();
    let (producer, consumer) = queue.split().expect("it is open");
    (drained, Endless { producer: Some(producer), consumer: Some(consumer), timer }.start())
}

#[test]
fn d11_a_busy_consumer_still_gets_its_timers() {
    in_system(|| async {
        let (drained, _addr) = endless(true);
        assert_eq!(drained.await.outcome, Outcome::Complete);
    });
}

#[test]
fn d11_a_busy_consumer_still_gets_its_messages() {
    in_system(|| async {
        let (drained, addr) = endless(false);
        for _ in 0..10 {
            tokio::task::yield_now().await; // it is in the middle of the backlog
        }
        addr.send(Enough).await.unwrap();
        assert_eq!(drained.await.outcome, Outcome::Complete);
    });
}

#[test]
fn d11_consumers_that_wait_are_woken_in_turn() {
    in_system(|| async {
        let queue = backend::unbounded();
        let producer = queue.producer().unwrap();
        let (addrs, mut hands): (Vec<_>, Vec<_>) = (0..3).map(|_| Hand::pull(queue.consumer().unwrap())).unzip();
        actors::quiet().await;
        for n in 0..12 {
            producer.try_put(n).unwrap();
            let item = hands[n as usize % 3].item().await;
            assert_eq!(*item, n);
            item.ack();
            actors::quiet().await; // back in line, behind the others
        }
        drop(addrs);
    });
}

#[test]
fn c5_drained_comes_once_after_the_last_item_and_aborted_too() {
    for abort in [false, true] {
        in_system(move || async move {
            let queue = backlog(0..2);
            let (busy, mut events) = Hand::pull(queue.consumer().unwrap());
            let (idle, mut idle_events) = Hand::pull(queue.consumer().unwrap());
            let in_hand = events.item().await;
            idle_events.item().await.ack();
            queue.seal();
            events.nothing().await;
            idle_events.nothing().await;

            let outcome = if abort {
                assert_eq!(queue.abort(), [0; 0]);
                Outcome::Aborted // and the item is still in hand
            } else {
                in_hand.ack();
                Outcome::Complete
            };
            // Nothing else wakes the actors: their addresses go only afterwards.
            for events in [&mut events, &mut idle_events] {
                assert_eq!(events.drained().await.outcome, outcome);
            }
            drop((busy, idle));
            events.end().await;
            idle_events.end().await;
        });
    }
}

#[test]
fn c5_an_actor_that_consumes_from_two_queues_tells_them_apart() {
    in_system(|| async {
        let (first, second) = (backlog(1..2), backlog(2..3));
        let (hand, mut events) = Hand::pull(first.consumer().unwrap());
        let consumer = second.consumer().unwrap();
        let consume = run::<Hand>(move |_, ctx| {
            ctx.consume(consumer);
        });
        hand.send(consume).await.unwrap();
        for _ in 0..2 {
            let item = events.item().await;
            assert_eq!(item.queue(), if *item == 1 { first.id() } else { second.id() });
            item.ack();
        }
        second.seal();
        assert_eq!(events.drained().await.queue, second.id());
        assert_eq!(first.state(), State::Open);
        first.seal();
        assert_eq!(events.drained().await.queue, first.id());
        drop(hand);
        events.end().await;
    });
}
