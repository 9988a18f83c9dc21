//! Items by address: the limit in flight, turns, and the end (A2, D11, C5).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use actix::prelude::*;
use actix_iterable_queue::prelude::*;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use futures::{FutureExt, StreamExt};
use support::actors::{Hand, backlog, in_system, quiet, run};
use support::backend;

#[test]
fn a2_no_more_than_max_in_flight_are_unsettled() {
    in_system(|| async {
        let queue = backend::unbounded();
        let producer = queue.producer().unwrap();
        producer.put_all(0..10).await.unwrap();
        drop(producer);
        let actor = QueueActor::new(queue.clone()).start();
        let (hand, mut events) = Hand::push();
        actor.send(RegisterConsumer::new(hand).max_in_flight(3)).await.unwrap().unwrap();

        let mut held = vec![events.item().await, events.item().await, events.item().await];
        for n in 3..10 {
            events.nothing().await;
            assert_eq!(queue.snapshot().leased, 3);
            held.remove(1).ack(); // whichever is settled makes room for one more
            let item = events.item().await;
            assert_eq!(*item, n);
            held.push(item);
        }
        queue.seal();
        held.into_iter().for_each(Item::ack);
        assert_eq!(events.drained().await.totals.acked, 10);
    });
}

#[test]
fn a2_one_at_a_time_unless_told_otherwise() {
    in_system(|| async {
        let queue = backend::unbounded();
        queue.producer().unwrap().put_all(0..3).await.unwrap();
        let actor = QueueActor::new(queue.clone()).start();
        let (hand, mut events) = Hand::push();
        actor.send(RegisterConsumer::new(hand)).await.unwrap().unwrap();
        for _ in 0..3 {
            let item = events.item().await;
            events.nothing().await;
            assert!(item.into_inner() < 3);
        }
    });
}

/// How many items are being worked on, and the most that ever were.
#[derive(Debug, Default)]
struct Gauge {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// Works on an item for some turns of the executor.
async fn work(gauge: Arc<Gauge>, item: Item<u32>) {
    gauge.most.fetch_max(gauge.now.fetch_add(1, SeqCst) + 1, SeqCst);
    for _ in 0..5 {
        tokio::task::yield_now().await;
    }
    gauge.now.fetch_sub(1, SeqCst);
    item.ack();
}

macro_rules! worker {
    ($name:ident, $result:ty, $handle:expr) => {
        struct $name(Arc<Gauge>, UnboundedSender<Drained>);

        impl Actor for $name {
            type Context = Context<Self>;
        }

        impl Handler<Item<u32>> for $name {
            type Result = $result;

            fn handle(&mut self, item: Item<u32>, _: &mut Self::Context) -> Self::Result {
                $handle(self, work(Arc::clone(&self.0), item))
            }
        }

        impl Handler<Drained> for $name {
            type Result = ();

            fn handle(&mut self, drained: Drained, _: &mut Self::Context) {
                self.1.unbounded_send(drained).expect("the test waits for this");
            }
        }
    };
}

worker!(InFuture, ResponseFuture<()>, |_: &Self, work| Box::pin(work));
worker!(InActorFuture, ResponseActFuture<Self, ()>, |actor: &Self, work| Box::pin(WrapFuture::into_actor(work, actor)));
worker!(InTurn, AtomicResponse<Self, ()>, |actor: &Self, work| {
    AtomicResponse::new(Box::pin(WrapFuture::into_actor(work, actor)))
});

/// What an actor of each kind makes of 20 items, four in flight: the most it worked on at once.
fn most_at_once<A>(make: fn(Arc<Gauge>, UnboundedSender<Drained>) -> A, expected: usize)
where
    A: Actor<Context = Context<A>> + Handler<Item<u32>> + Handler<Drained>,
{
    in_system(move || async move {
        let queue = backlog(0..20);
        let actor = QueueActor::new(queue).start();
        let (gauge, (told, mut drained)) = (Arc::new(Gauge::default()), unbounded());
        let worker = make(Arc::clone(&gauge), told).start();
        actor.send(RegisterConsumer::new(worker).max_in_flight(4)).await.expect("it lives").expect("it is open");
        drop(actor);
        let drained = drained.next().await.expect("it is told");
        assert_eq!((drained.outcome, drained.totals.acked), (Outcome::Complete, 20));
        assert_eq!((gauge.most.load(SeqCst), gauge.now.load(SeqCst)), (expected, 0));
    });
}

#[test]
fn a2_the_limit_holds_for_response_futures() {
    most_at_once(InFuture, 4);
}

#[test]
fn a2_the_limit_holds_for_actor_futures() {
    most_at_once(InActorFuture, 4);
}

#[test]
fn a2_an_atomic_response_works_on_one_at_a_time() {
    most_at_once(InTurn, 1);
}

/// The limit is the queue's, whatever the mailbox says: 1 is full at once, 0 has no bound.
#[test]
fn a2_the_mailbox_capacity_changes_nothing() {
    for mailbox in [0, 1] {
        in_system(move || async move {
            let queue = backend::unbounded();
            queue.producer().unwrap().put_all(0..20).await.unwrap();
            let actor = QueueActor::new(queue.clone()).start();
            let (hand, mut events) = Hand::push();
            hand.send(run::<Hand>(move |_, ctx| ctx.set_mailbox_capacity(mailbox))).await.unwrap();
            actor.send(RegisterConsumer::new(hand).max_in_flight(8)).await.unwrap().unwrap();
            let mut held = Vec::new();
            for n in 0..8 {
                let item = events.item().await;
                assert_eq!((*item, item.attempt()), (n, 1));
                held.push(item);
            }
            events.nothing().await;
            for n in 8..20 {
                held.remove(0).ack();
                let item = events.item().await;
                assert_eq!((*item, item.attempt()), (n, 1));
                held.push(item);
            }
            drop(actor);
            drop(queue);
            held.into_iter().for_each(Item::ack);
            let totals = events.drained().await.totals;
            assert_eq!((totals.acked, totals.redelivered), (20, 0));
        });
    }
}

#[test]
fn d11_several_consumers_are_served_in_turn() {
    in_system(|| async {
        let queue = backend::unbounded();
        let producer = queue.producer().unwrap();
        let actor = QueueActor::new(queue).start();
        let mut hands = Vec::new();
        for _ in 0..3 {
            let (hand, events) = Hand::push();
            actor.send(RegisterConsumer::new(hand).max_in_flight(2)).await.unwrap().unwrap();
            hands.push(events);
        }
        quiet().await;
        for n in 0..12 {
            producer.put(n).await.unwrap();
            let item = hands[n as usize % 3].item().await;
            assert_eq!(*item, n);
            item.ack();
            quiet().await; // it is ready for more, and has to wait for its turn
        }
    });
}

#[test]
fn d11_a_backlog_is_shared_out_evenly() {
    in_system(|| async {
        let queue = IterableQueue::unbounded();
        queue.producer().unwrap().put_all(0..9).await.unwrap();
        let actor = QueueActor::new(queue).start();
        let (hands, events): (Vec<_>, Vec<_>) = (0..3).map(|_| Hand::push()).unzip();
        // All are registered before the first is served.
        let registered: Vec<_> =
            hands.into_iter().map(|hand| actor.send(RegisterConsumer::new(hand).max_in_flight(9))).collect();
        for registered in registered {
            registered.await.unwrap().unwrap();
        }
        for (first, mut events) in (0..3).zip(events) {
            let shares = [events.item().await, events.item().await, events.item().await];
            assert_eq!(shares.map(|item| *item), [first, first + 3, first + 6]);
        }
    });
}

#[test]
fn d11_a_queue_actor_with_a_backlog_still_reads_its_messages() {
    in_system(|| async {
        let queue = backlog(0..10_000);
        backend::wait_until(|| !queue.is_empty()); // a snapshot may be a second old there
        let actor = QueueActor::new(queue).start();
        let (hand, mut events) = Hand::push();
        let registered = actor.send(RegisterConsumer::new(hand).max_in_flight(usize::MAX));
        let seen = actor.send(Inspect);
        registered.await.unwrap().unwrap();
        events.item().await.ack();
        // It could hand out all of them at once, and answers in the middle of it.
        assert!(seen.await.unwrap().buffered > 0);
        assert!(actor.send(Inspect).await.unwrap().buffered > 0);
    });
}

#[test]
fn c5_drained_comes_once_after_the_last_item() {
    in_system(|| async {
        let queue = backend::unbounded();
        queue.producer().unwrap().put_all(0..2).await.unwrap();
        let actor = QueueActor::new(queue).start();
        let ((busy, mut busy_events), (idle, mut idle_events)) = (Hand::push(), Hand::push());
        actor.send(RegisterConsumer::new(busy).max_in_flight(2)).await.unwrap().unwrap();
        let (first, last) = (busy_events.item().await, busy_events.item().await);
        actor.send(RegisterConsumer::new(idle)).await.unwrap().unwrap();
        drop(actor);
        first.ack();
        busy_events.nothing().await;
        idle_events.nothing().await; // others hear of it no sooner
        last.ack();
        for mut events in [busy_events, idle_events] {
            assert_eq!(events.drained().await.outcome, Outcome::Complete);
            events.end().await;
        }
    });
}

#[test]
fn c5_an_actor_that_is_registered_twice_is_told_twice() {
    in_system(|| async {
        let queue = backend::unbounded();
        let producer = queue.producer().unwrap();
        let actor = QueueActor::new(queue).start();
        let (hand, mut events) = Hand::push();
        let first = actor.send(RegisterConsumer::new(hand.clone())).await.unwrap().unwrap();
        let second = actor.send(RegisterConsumer::new(hand)).await.unwrap().unwrap();
        assert_ne!(first, second);
        producer.put_all(0..3).await.unwrap();
        drop((producer, actor));
        // Each registration has a limit of its own.
        let (a, b) = (events.item().await, events.item().await);
        events.nothing().await;
        a.ack();
        b.ack();
        events.item().await.ack();
        assert_eq!(events.drained().await, events.drained().await);
        events.end().await;
    });
}

#[test]
fn c5_none_after_unregister_and_the_item_in_hand_stays() {
    in_system(|| async {
        let queue = backend::unbounded();
        queue.producer().unwrap().put_all(0..2).await.unwrap();
        let drained = queue.drained();
        let actor = QueueActor::new(queue).start();
        let ((leaver, mut left), (stayer, mut events)) = (Hand::push(), Hand::push());
        let id = actor.send(RegisterConsumer::new(leaver)).await.unwrap().unwrap();
        let in_hand = left.item().await;
        actor.send(RegisterConsumer::new(stayer)).await.unwrap().unwrap();
        assert!(actor.send(Unregister(id)).await.unwrap());
        drop(actor);
        events.item().await.ack();
        events.nothing().await; // the item in hand is still leased
        in_hand.ack();
        assert_eq!(events.drained().await.totals.acked, 2);
        drained.now_or_never().expect("consumers are told after the end, not before");
        left.end().await;
    });
}
