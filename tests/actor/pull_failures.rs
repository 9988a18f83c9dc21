//! Items pulled by an actor that waits, stops, dies or starts again (D3, D11).

use std::future::pending;

use actix::prelude::*;
use actix_iterable_queue::prelude::*;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::channel::oneshot;
use futures::{FutureExt, StreamExt};
use support::actors::{Hand, Run, backlog, backlog_in_memory, in_system, quiet, run};

type Queue = IterableQueue<u32>;

/// What an actor does with an item besides telling its value.
type Act = Box<dyn FnMut(&mut Acts, Item<u32>, &mut Context<Acts>) + Send>;

/// Consumes, up to ten items in flight, and does what the test says.
struct Acts {
    consumer: Consumer<u32>,
    act: Option<Act>,
    seen: UnboundedSender<(u32, u32)>,
    keeps: Vec<Item<u32>>,
}

impl Acts {
    fn new(
        consumer: Consumer<u32>,
        act: impl FnMut(&mut Self, Item<u32>, &mut Context<Self>) + Send + 'static,
    ) -> (Self, UnboundedReceiver<(u32, u32)>) {
        let (seen, values) = unbounded();
        (Self { consumer, act: Some(Box::new(act)), seen, keeps: Vec::new() }, values)
    }
}

impl Actor for Acts {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.consume_concurrent(10, self.consumer.clone());
    }
}

impl Supervised for Acts {}

impl Handler<Item<u32>> for Acts {
    type Result = ();

    fn handle(&mut self, item: Item<u32>, ctx: &mut Self::Context) {
        let _ = self.seen.unbounded_send((*item, item.attempt()));
        if let Some(mut act) = self.act.take() {
            act(self, item, ctx);
            self.act = Some(act);
        }
    }
}

impl Handler<Run<Self>> for Acts {
    type Result = ();

    fn handle(&mut self, work: Run<Self>, ctx: &mut Self::Context) {
        work.call(self, ctx);
    }
}

impl Handler<Drained> for Acts {
    type Result = ();

    fn handle(&mut self, _: Drained, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

/// What another consumer is handed: value and attempt.
async fn redelivered(queue: &Queue, count: usize) -> Vec<(u32, u32)> {
    let mut consumer = queue.consumer().expect("it is open");
    let mut items = Vec::new();
    for _ in 0..count {
        let item = consumer.lease().await.expect("more comes back");
        items.push((*item, item.attempt()));
        item.ack();
    }
    items
}

#[test]
fn d11_no_item_comes_after_stop() {
    in_system(|| async {
        let queue = backlog(0..5);
        let (actor, seen) = Acts::new(queue.consumer().unwrap(), |_, item, ctx| {
            item.ack();
            ctx.stop();
        });
        let addr = actor.start();
        assert_eq!(seen.collect::<Vec<_>>().await, [(0, 1)]);
        assert_eq!(redelivered(&queue, 4).await, [(1, 1), (2, 1), (3, 1), (4, 1)]);
        assert!(!addr.connected());
    });
}

#[test]
fn d11_no_item_comes_during_a_wait() {
    in_system(|| async {
        let queue = backlog(0..3);
        let (go_on, mut waits) = unbounded::<oneshot::Sender<()>>();
        let (actor, mut seen) = Acts::new(queue.consumer().unwrap(), move |actor, item, ctx| {
            let (release, released) = oneshot::channel();
            go_on.unbounded_send(release).expect("the test waits for this");
            ctx.wait(released.map(drop).into_actor(actor));
            item.ack();
        });
        let _addr = actor.start();
        for n in 0..3 {
            let release = waits.next().await.unwrap();
            assert_eq!(seen.next().await, Some((n, 1)));
            quiet().await;
            assert_eq!(seen.next().now_or_never(), None);
            release.send(()).unwrap();
        }
    });
}

/// While it waits it does not stand in line, where it would keep wake-ups from others.
#[test]
fn d11_a_waiting_actor_does_not_keep_items_from_others() {
    in_system(|| async {
        let queue = backlog(0..1);
        let producer = queue.producer().unwrap();
        let (keep, _waits) = unbounded();
        let (actor, mut seen) = Acts::new(queue.consumer().unwrap(), move |actor, item, ctx| {
            let (release, released) = oneshot::channel::<()>();
            keep.unbounded_send(release).expect("the test keeps this");
            ctx.wait(released.map(drop).into_actor(actor));
            item.ack();
        });
        let _addr = actor.start();
        assert_eq!(seen.next().await, Some((0, 1)));
        let (_hand, mut events) = Hand::pull(queue.consumer().unwrap());
        for n in 1..4 {
            quiet().await;
            producer.try_put(n).unwrap();
            let item = events.item().await;
            assert_eq!(*item, n);
            item.ack();
        }
    });
}

#[test]
fn d3_an_actor_that_stops_with_items_in_hand_gives_them_back_counted() {
    in_system(|| async {
        let queue = backlog_in_memory(0..3);
        let (actor, seen) = Acts::new(queue.consumer().unwrap(), |actor, item, ctx| {
            if *item == 1 {
                ctx.stop();
            }
            actor.keeps.push(item);
        });
        actor.start();
        assert_eq!(seen.collect::<Vec<_>>().await, [(0, 1), (1, 1)]);
        assert_eq!(redelivered(&queue, 3).await, [(0, 2), (1, 2), (2, 1)]);
    });
}

#[test]
fn d3_a_handler_that_panics_gives_its_item_back_and_the_actor_leaves() {
    in_system(|| async {
        let queue = backlog_in_memory(0..3);
        let (actor, seen) = Acts::new(queue.consumer().unwrap(), |_, item, _| {
            assert_ne!(*item, 1, "this one is poison");
            item.ack();
        });
        actor.start();
        assert_eq!(seen.collect::<Vec<_>>().await, [(0, 1), (1, 1)]);
        assert_eq!(redelivered(&queue, 2).await, [(1, 2), (2, 1)]);
        queue.seal();
        assert_eq!(queue.drained().await.outcome, Outcome::Complete);
    });
}

#[test]
fn d3_items_come_back_when_the_arbiter_is_stopped() {
    in_system(|| async {
        let queue = backlog_in_memory(0..20);
        let arbiter = Arbiter::new();
        let (actor, seen) = Acts::new(queue.consumer().unwrap(), |actor, item, _| actor.keeps.push(item));
        Acts::start_in_arbiter(&arbiter.handle(), move |_| actor);
        let mut seen = seen.ready_chunks(10);
        let mut count = 0;
        while count < 10 {
            count += seen.next().await.unwrap().len();
        }
        arbiter.stop();
        arbiter.join().unwrap();
        let expected: Vec<_> = (0..20).map(|n| (n, if n < 10 { 2 } else { 1 })).collect();
        assert_eq!(redelivered(&queue, 20).await, expected);
    });
}

#[test]
fn d3_an_item_in_a_handlers_future_comes_back_when_the_actor_stops() {
    in_system(|| async {
        let queue = backlog(0..1);
        let (actor, mut seen) = Acts::new(queue.consumer().unwrap(), |actor, item, ctx| {
            let work = async move {
                pending::<()>().await;
                item.ack();
            };
            ctx.spawn(work.into_actor(actor));
        });
        let addr = actor.start();
        assert_eq!(seen.next().await, Some((0, 1)));
        addr.do_send(run::<Acts>(|_, ctx| ctx.stop()));
        assert_eq!(redelivered(&queue, 1).await, [(0, 2)]);
        assert_eq!(seen.next().await, None);
    });
}

#[test]
fn d2_under_a_supervisor_a_clone_consumes_again_after_each_restart() {
    in_system(|| async {
        let queue = backlog(0..10);
        let drained = queue.drained();
        let (actor, mut seen) = Acts::new(queue.consumer().unwrap(), |_, item, ctx| {
            item.ack();
            ctx.stop(); // which restarts it
        });
        let addr = Supervisor::start(move |_| actor);
        for n in 0..10 {
            assert_eq!(seen.next().await, Some((n, 1)));
        }
        // Restarts leave no consumers behind: its own, and the clone that consumes.
        quiet().await;
        assert_eq!(queue.snapshot().consumers.len(), 2);
        drop(addr);
        drop(queue);
        assert_eq!(drained.await.totals.acked, 10);
    });
}

#[test]
fn c2_cancelling_the_future_closes_the_consumer() {
    in_system(|| async {
        let queue = backlog(0..2);
        let (hand, mut events) = Hand::push();
        let consumer = queue.consumer().unwrap();
        let (tell, told) = oneshot::channel();
        let consume = run::<Hand>(move |_, ctx| {
            let _ = tell.send(ctx.consume(consumer));
        });
        hand.send(consume).await.unwrap();
        let handle = told.await.unwrap();
        let in_hand = events.item().await;
        hand.send(run::<Hand>(move |_, ctx| assert!(ctx.cancel_future(handle)))).await.unwrap();
        quiet().await;

        // The actor goes on, without items and without the end; the lease stays valid.
        let seen = queue.snapshot();
        assert_eq!((seen.leased, seen.consumers.len(), seen.consumers[0].open), (1, 1, false));
        in_hand.ack();
        assert_eq!(redelivered(&queue, 1).await, [(1, 1)]);
        queue.seal();
        assert_eq!(queue.drained().await.totals.acked, 2);
        events.nothing().await;
        drop(hand);
        events.end().await;
    });
}
