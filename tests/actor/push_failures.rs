//! Items by address when something goes wrong: what comes back, and how it is counted (D3, D8).

use std::future::pending;
use std::time::Duration;

use actix::prelude::*;
use actix_iterable_queue::State;
use actix_iterable_queue::error::{PutError, Refusal};
use actix_iterable_queue::prelude::*;
use support::actors::{Hand, backlog, in_system, quiet, run, until, with, with_in_memory};
use support::backend;

/// It stands in no line for items, so nothing but the end wakes the actor that serves it.
#[test]
fn d8_abort_tells_a_consumer_that_may_not_take_more() {
    in_system(|| async {
        let queue = backlog(0..2);
        let actor = QueueActor::new(queue.clone()).watch_interval(Duration::from_secs(3600)).start();
        let (hand, mut events) = Hand::push();
        actor.send(RegisterConsumer::new(hand)).await.unwrap().unwrap();
        let in_hand = events.item().await;
        quiet().await;
        backend::assert_left(queue.abort(), [1]);
        assert_eq!(events.drained().await.outcome, Outcome::Aborted);
        in_hand.ack();
    });
}

#[test]
fn d8_abort_tells_consumers_also_while_they_hold_an_item() {
    in_system(|| async {
        let (queue, actor) = with_in_memory(0..3);
        let ((busy, mut busy_events), (free, mut free_events)) = (Hand::push(), Hand::push());
        actor.send(RegisterConsumer::new(busy)).await.unwrap().unwrap();
        let in_hand = busy_events.item().await;
        actor.send(RegisterConsumer::new(free).max_in_flight(5)).await.unwrap().unwrap();
        let (one, two) = (free_events.item().await, free_events.item().await);

        assert_eq!(queue.abort(), [0; 0]);
        assert_eq!(busy_events.drained().await.outcome, Outcome::Aborted);
        assert_eq!(free_events.drained().await.outcome, Outcome::Aborted);
        // An ack counts after the end; a put through the item does not; the rest is discarded.
        assert_eq!(in_hand.put_child(9), Err(PutError::new(9, Refusal::Aborted)));
        in_hand.ack();
        one.into_inner();
        drop(two);
        let totals = queue.snapshot().totals;
        assert_eq!((totals.accepted, totals.acked, totals.taken, totals.discarded), (3, 1, 1, 1));
        busy_events.end().await;
        free_events.end().await;
    });
}

/// Panics at its first item, with the others in its mailbox.
struct Fragile {
    /// Whether it looks at the item before.
    looks: bool,
}

impl Actor for Fragile {
    type Context = Context<Self>;
}

impl Handler<Item<u32>> for Fragile {
    type Result = ();

    fn handle(&mut self, item: Item<u32>, _: &mut Self::Context) {
        if self.looks {
            assert_ne!(*item, 0, "the first item is poison");
        }
        panic!("every item is");
    }
}

impl Handler<Drained> for Fragile {
    type Result = ();

    fn handle(&mut self, _: Drained, _: &mut Self::Context) {}
}

#[test]
fn d3_only_the_item_whose_handler_panicked_is_counted() {
    for looks in [true, false] {
        in_system(move || async move {
            let (queue, actor) = with_in_memory(0..4);
            let fragile = Fragile { looks }.start();
            actor.send(RegisterConsumer::new(fragile).max_in_flight(4)).await.unwrap().unwrap();
            until(|| queue.snapshot().totals.redelivered == 4).await;

            // They come back in their order.
            let (hand, mut events) = Hand::push();
            actor.send(RegisterConsumer::new(hand).max_in_flight(4)).await.unwrap().unwrap();
            for expected in [(0, 2), (1, 1), (2, 1), (3, 1)] {
                let item = events.item().await;
                assert_eq!((*item, item.attempt()), expected);
                item.ack();
            }
            drop((actor, queue));
            assert_eq!(events.drained().await.totals.acked, 4);
        });
    }
}

#[test]
fn d3_items_in_a_mailbox_that_dies_with_its_arbiter_are_uncounted() {
    in_system(|| async {
        let (queue, actor) = with_in_memory(0..3);
        let arbiter = Arbiter::new();
        let (hand, mut events) = Hand::new();
        let hand = Hand::start_in_arbiter(&arbiter.handle(), move |_| hand);
        // From here on it reads nothing.
        hand.send(run::<Hand>(|_, ctx| ctx.wait(actix::fut::wrap_future(pending())))).await.unwrap();
        actor.send(RegisterConsumer::new(hand).max_in_flight(2)).await.unwrap().unwrap();
        until(|| queue.snapshot().leased == 2).await;
        arbiter.stop();
        arbiter.join().unwrap();
        events.end().await;

        let (hand, mut events) = Hand::push();
        actor.send(RegisterConsumer::new(hand).max_in_flight(3)).await.unwrap().unwrap();
        for expected in [(0, 1), (1, 1), (2, 1)] {
            let item = events.item().await;
            assert_eq!((*item, item.attempt()), expected);
            item.ack();
        }
    });
}

#[test]
fn d3_a_dead_address_gets_nothing_and_loses_nothing() {
    in_system(|| async {
        let (queue, actor) = with(0..1);
        let (dead, mut events) = Hand::push();
        dead.send(run::<Hand>(|_, ctx| ctx.stop())).await.unwrap();
        events.end().await;
        actor.send(RegisterConsumer::new(dead)).await.unwrap().unwrap();
        quiet().await;
        let seen = || {
            let seen = queue.snapshot();
            (seen.buffered, seen.leased, seen.consumers.len())
        };
        backend::soon(seen, (1, 0, 0));

        let (hand, mut events) = Hand::push();
        actor.send(RegisterConsumer::new(hand)).await.unwrap().unwrap();
        let item = events.item().await;
        assert_eq!((*item, item.attempt()), (0, 1));
        item.ack();
    });
}

#[test]
fn d3_an_actor_that_keeps_its_item_and_stops_uses_an_attempt_up() {
    struct Keeper(Vec<Item<u32>>);

    impl Actor for Keeper {
        type Context = Context<Self>;
    }

    impl Handler<Item<u32>> for Keeper {
        type Result = ();

        fn handle(&mut self, item: Item<u32>, ctx: &mut Self::Context) {
            self.0.push(item);
            ctx.stop();
        }
    }

    impl Handler<Drained> for Keeper {
        type Result = ();

        fn handle(&mut self, _: Drained, _: &mut Self::Context) {}
    }

    in_system(|| async {
        let (_queue, actor) = with(0..1);
        actor.send(RegisterConsumer::new(Keeper(Vec::new()).start())).await.unwrap().unwrap();
        let (hand, mut events) = Hand::push();
        actor.send(RegisterConsumer::new(hand)).await.unwrap().unwrap();
        let item = events.item().await;
        assert_eq!((*item, item.attempt()), (0, 2));
        item.ack();
    });
}

/// Works on an item in a future of its own, and stops in the middle.
struct Slow;

impl Actor for Slow {
    type Context = Context<Self>;
}

impl Handler<Item<u32>> for Slow {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, item: Item<u32>, ctx: &mut Self::Context) -> Self::Result {
        ctx.stop();
        assert_eq!(*item, 0); // looked at: it did not die in the mailbox
        let work = async move {
            pending::<()>().await;
            item.ack();
        };
        Box::pin(work.into_actor(self))
    }
}

impl Handler<Drained> for Slow {
    type Result = ();

    fn handle(&mut self, _: Drained, _: &mut Self::Context) {}
}

#[test]
fn d3_an_item_in_a_handlers_future_uses_an_attempt_up_when_its_actor_stops() {
    in_system(|| async {
        let (_queue, actor) = with(0..1);
        let (hand, mut events) = Hand::push();
        for register in [RegisterConsumer::new(Slow.start()), RegisterConsumer::new(hand)] {
            actor.send(register).await.expect("it lives").expect("it is open");
        }
        let item = events.item().await;
        assert_eq!((*item, item.attempt()), (0, 2));
        item.ack();
    });
}

#[test]
fn d3_a_forgotten_ack_ends_as_a_dead_letter() {
    in_system(|| async {
        let queue = backend::build(backend::builder().max_attempts(3));
        let mut letters = queue.dead_letters().unwrap();
        queue.producer().unwrap().try_put(7).unwrap();
        let actor = QueueActor::new(queue).start();
        let (hand, mut events) = Hand::push();
        actor.send(RegisterConsumer::new(hand).named("forgetful")).await.unwrap().unwrap();
        drop(actor);
        for attempt in 1..=3 {
            let item = events.item().await;
            assert_eq!((*item, item.attempt()), (7, attempt));
            drop(item);
        }
        let letter = letters.get().await.unwrap();
        assert_eq!((letter.item, letter.attempts, &*letter.last_worker), (7, 3, "forgetful"));
        let drained = events.drained().await;
        assert_eq!((drained.outcome, drained.totals.dead_lettered), (Outcome::Complete, 1));
        assert!(letters.get().await.is_none());
    });
}

#[test]
fn d7_without_its_last_consumer_actor_a_sealed_queue_is_abandoned() {
    in_system(|| async {
        let (queue, actor) = with_in_memory(0..2);
        let (hand, mut events) = Hand::push();
        let id = actor.send(RegisterConsumer::new(hand)).await.unwrap().unwrap();
        let in_hand = events.item().await;
        actor.send(Seal).await.unwrap();
        assert!(actor.send(Unregister(id)).await.unwrap());
        backend::soon(|| queue.state(), State::Draining); // the lease may still be given back
        in_hand.ack();
        assert_eq!(queue.drained().await.outcome, Outcome::Abandoned);
        events.end().await;
    });
}
