//! A `QueueActor` whose last address is gone: it seals after its mailbox (C3), and ends once it
//! has told everybody (A5).

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Poll;
use std::time::Duration;

use actix::prelude::*;
use actix_iterable_queue::State;
use actix_iterable_queue::prelude::*;
use futures::channel::oneshot;
use support::actors::{Hand, in_system, quiet, run, until};
use support::backend;

type Queue = IterableQueue<u32>;

#[test]
fn c3_the_last_strong_address_seals_the_queue() {
    in_system(|| async {
        let queue = backend::bounded(4);
        let drained = queue.drained();
        let first = QueueActor::new(queue).start();
        let (last, weak) = (first.clone(), first.downgrade());
        drop(first);
        quiet().await;
        // One address is left: endpoints can still be opened.
        let producer = last.send(OpenProducer::new()).await.unwrap().unwrap();
        let mut consumer = last.send(OpenConsumer::new()).await.unwrap().unwrap();

        drop(last);
        quiet().await;
        producer.try_put(1).unwrap(); // sealed is not closed
        drop(producer);
        // Neither the weak address, the endpoints nor the future counts.
        assert_eq!((consumer.get().await, consumer.get().await), (Some(1), None));
        assert_eq!(drained.await.outcome, Outcome::Complete);
        drop(weak);
    });
}

#[test]
fn c3_a_handle_of_the_queue_keeps_it_unsealed_without_the_actor() {
    in_system(|| async {
        let queue = backend::bounded::<u32>(4);
        let drained = queue.drained();
        let actor = QueueActor::new(queue.clone()).start();
        let weak = actor.downgrade();
        drop(actor);
        until(|| weak.upgrade().is_none()).await;
        assert_eq!(queue.state(), State::Open);
        drop(queue.producer().unwrap());
        drop(queue);
        drained.await;
    });
}

#[test]
fn c3_messages_sent_before_the_last_address_is_dropped_are_served() {
    in_system(|| async {
        let queue = backend::bounded(4);
        let producer = queue.producer().unwrap();
        let actor = QueueActor::new(queue).start();
        let mut consumer = actor.send(OpenConsumer::new()).await.unwrap().unwrap();
        quiet().await;

        // None of these is read before the drop: nothing else runs on this thread until then.
        let open = actor.send(OpenProducer::new());
        let put = actor.send(Put::new(&producer, 1));
        drop((actor, producer));
        let mut opened = open.await.unwrap().unwrap();
        put.await.unwrap().unwrap();
        opened.try_put(2).unwrap();
        opened.close();
        assert_eq!((consumer.get().await, consumer.get().await, consumer.get().await), (Some(1), Some(2), None));
    });
}

#[test]
fn c3_messages_sent_before_the_last_address_is_dropped_are_served_while_consumers_are() {
    in_system(|| async {
        let actor = QueueActor::new(backend::bounded(4)).start();
        let (hand, mut events) = Hand::push();
        actor.send(RegisterConsumer::new(hand)).await.unwrap().unwrap();
        quiet().await;

        let open = actor.send(OpenProducer::new());
        drop(actor);
        let producer = open.await.unwrap().unwrap();
        producer.try_put(1).unwrap();
        drop(producer);
        events.item().await.ack();
        assert_eq!(events.drained().await.outcome, Outcome::Complete);
    });
}

type Late = oneshot::Receiver<Request<QueueActor<u32>, OpenProducer<u32>>>;

/// Starts an actor to which a message is sent at the worst moment, together with the drop of what
/// may be its last address: after the actor has found its mailbox empty, before it looks whether
/// addresses are left. Another thread can meet that moment by chance; a future in the actor's own
/// context always does.
fn start_with_late_message(queue: Queue) -> (Addr<QueueActor<u32>>, Late) {
    let (sent, late) = oneshot::channel();
    let actor = QueueActor::create(|ctx| {
        let actor = ctx.address();
        ctx.spawn(actix::fut::wrap_future(async move {
            let _ = sent.send(actor.send(OpenProducer::new()));
        }));
        QueueActor::new(queue)
    });
    (actor, late)
}

#[test]
fn c3_a_message_that_comes_together_with_the_last_drop_is_served() {
    in_system(|| async {
        let (actor, late) = start_with_late_message(backend::bounded(4));
        drop(actor);
        let opened = late.await.unwrap().await;
        assert!(matches!(opened, Ok(Ok(_))), "{opened:?}");
    });
}

/// The same in an actor that came to serve consumers only after that future was there.
#[test]
fn c3_a_message_that_comes_together_with_the_last_drop_is_served_while_consumers_are() {
    in_system(|| async {
        let actor = QueueActor::new(backend::bounded(4)).start();
        let (hand, mut events) = Hand::push();
        let (sent, late) = oneshot::channel();
        let last = actor.clone();
        actor.do_send(run::<QueueActor<u32>>(move |_, ctx| {
            ctx.spawn(actix::fut::wrap_future(async move {
                let _ = sent.send(last.send(OpenProducer::new()));
            }));
        }));
        actor.do_send(RegisterConsumer::new(hand));
        drop(actor);
        let opened = late.await.unwrap().await;
        assert!(matches!(opened, Ok(Ok(_))), "{opened:?}");
        drop(opened);
        assert_eq!(events.drained().await.outcome, Outcome::Complete);
    });
}

#[test]
fn a5_an_idle_actor_ends_with_its_last_address() {
    in_system(|| async {
        let queue = backend::bounded(4);
        let actor = QueueActor::new(queue.clone()).start();
        let weak = actor.downgrade();
        let (producer, _consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        actor.send(Put::new(&producer, 1)).await.unwrap().unwrap();
        quiet().await;
        assert!(weak.upgrade().is_some());
        drop(actor);
        until(|| weak.upgrade().is_none()).await;
    });
}

#[test]
fn a5_it_stays_until_registered_consumers_are_told() {
    in_system(|| async {
        let actor = QueueActor::new(backend::bounded(4)).start();
        let weak = actor.downgrade();
        let producer = actor.send(OpenProducer::new()).await.unwrap().unwrap();
        let (hand, mut events) = Hand::push();
        actor.send(RegisterConsumer::new(hand)).await.unwrap().unwrap();
        drop(actor);
        quiet().await;

        for n in 0..10 {
            producer.put(n).await.unwrap();
            let item = events.item().await;
            assert_eq!(*item, n);
            item.ack();
        }
        drop(producer);
        assert_eq!(events.drained().await.outcome, Outcome::Complete);
        events.end().await; // it has let the consumer's address go
        until(|| weak.upgrade().is_none()).await;
    });
}

#[test]
fn a5_it_stays_until_waiting_puts_are_answered() {
    in_system(|| async {
        let actor = QueueActor::new(backend::bounded(1)).start();
        let weak = actor.downgrade();
        let producer = actor.send(OpenProducer::new()).await.unwrap().unwrap();
        let mut consumer = actor.send(OpenConsumer::new()).await.unwrap().unwrap();
        producer.try_put(1).unwrap();
        let waiting = actor.send(Put::new(&producer, 2));
        drop((actor, producer));
        quiet().await;
        assert_eq!(consumer.get().await, Some(1));
        waiting.await.unwrap().unwrap();
        until(|| weak.upgrade().is_none()).await;
        assert_eq!((consumer.get().await, consumer.get().await), (Some(2), None));
    });
}

#[test]
fn a5_it_lets_go_of_consumers_it_has_told_while_addresses_are_left() {
    in_system(|| async {
        let queue = backend::bounded(4);
        let actor = QueueActor::new(queue.clone()).start();
        let (hand, mut events) = Hand::push();
        actor.send(RegisterConsumer::new(hand)).await.unwrap().unwrap();
        queue.seal();
        events.drained().await;
        events.end().await;
        assert_eq!(actor.send(Inspect).await.unwrap().state, State::Drained);
    });
}

#[test]
fn a5_a_supervised_actor_ends_and_does_not_spin() {
    in_system(|| async {
        let queue = backend::bounded(4);
        let actor = Supervisor::start(move |_| QueueActor::new(queue).watch_interval(Duration::from_secs(3600)));
        let weak = actor.downgrade();
        let (hand, mut events) = Hand::push();
        actor.send(RegisterConsumer::new(hand)).await.unwrap().unwrap();
        // Polled whenever the actor is.
        let polls = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&polls);
        let count = poll_fn(move |_| {
            counter.fetch_add(1, SeqCst);
            Poll::<()>::Pending
        });
        let plant = run::<QueueActor<u32>>(move |_, ctx| {
            ctx.spawn(actix::fut::wrap_future(count));
        });
        actor.send(plant).await.unwrap();

        for told in [false, true] {
            if told {
                actor.send(Seal).await.unwrap();
                events.drained().await;
            }
            quiet().await;
            let before = polls.load(SeqCst);
            quiet().await;
            assert_eq!(polls.load(SeqCst), before, "polled for nothing; consumers told: {told}");
        }
        assert!(polls.load(SeqCst) > 0); // the counter was at work
        actor.do_send(run::<QueueActor<u32>>(|_, ctx| ctx.stop())); // restarts, which drops the counter
        assert_eq!(actor.send(Inspect).await.unwrap().state, State::Drained);
        drop(actor);
        until(|| weak.upgrade().is_none()).await;
    });
}
