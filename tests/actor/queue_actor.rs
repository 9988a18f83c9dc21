//! The messages of a `QueueActor`, their answers and their refusals (A1).

use std::time::Duration;

use actix::dev::SendError;
use actix::prelude::*;
use actix_iterable_queue::State;
use actix_iterable_queue::error::{OpenError, PutError, Refusal};
use actix_iterable_queue::prelude::*;
use futures::{join, poll};
use support::actors::{Hand, in_system, quiet, run};
use support::backend::{self, Soon};
use support::panic_of;

fn start(queue: &IterableQueue<u32>) -> Addr<QueueActor<u32>> {
    QueueActor::new(queue.clone()).start()
}

#[test]
fn a1_open_producer_answers_with_a_producer() {
    in_system(|| async {
        let queue = backend::bounded(4);
        let actor = start(&queue);
        let named = actor.send(OpenProducer::new().named("http")).await.unwrap().unwrap();
        let plain = actor.send(OpenProducer::new()).await.unwrap().unwrap();

        named.try_put(1).unwrap();
        plain.try_put(2).unwrap();
        let producers = queue.snapshot().producers;
        assert_eq!(producers.iter().map(|producer| producer.puts).collect::<Vec<_>>(), [1, 1]);
        assert_eq!(producers[0].name, "http");
        assert_ne!(producers[1].name, "http");
    });
}

#[test]
fn a1_open_consumer_answers_with_a_consumer() {
    in_system(|| async {
        let queue = backend::bounded(4);
        let actor = start(&queue);
        let mut named = actor.send(OpenConsumer::new().named("worker")).await.unwrap().unwrap();
        let mut plain = actor.send(OpenConsumer::new()).await.unwrap().unwrap();

        queue.producer().unwrap().put_all([1, 2]).await.unwrap();
        assert_eq!((named.soon_item(), plain.soon_item()), (1, 2));
        let consumers = queue.snapshot().consumers;
        assert_eq!((&*consumers[0].name, consumers[0].id), ("worker", named.id()));
        assert_eq!(consumers[1].id, plain.id());
    });
}

#[test]
fn a1_register_consumer_answers_with_an_id_and_serves_items_and_the_end() {
    in_system(|| async {
        let queue = backend::bounded(4);
        let actor = start(&queue);
        let producer = queue.producer().unwrap();
        let (hand, mut events) = Hand::push();
        let id = actor.send(RegisterConsumer::new(hand).named("hand")).await.unwrap().unwrap();

        let consumers = queue.snapshot().consumers;
        assert_eq!((consumers[0].id, &*consumers[0].name), (id, "hand"));
        producer.try_put(7).unwrap();
        let item = events.item().await;
        assert_eq!((*item, item.attempt(), item.queue()), (7, 1, queue.id()));
        item.ack();
        drop(producer);
        actor.send(Seal).await.unwrap();
        let drained = events.drained().await;
        assert_eq!((drained.queue, drained.outcome, drained.totals.acked), (queue.id(), Outcome::Complete, 1));
        events.end().await;
    });
}

#[test]
fn a1_unregister_ends_a_registration_once() {
    in_system(|| async {
        let queue = backend::bounded(4);
        let actor = start(&queue);
        let (hand, mut events) = Hand::push();
        let id = actor.send(RegisterConsumer::new(hand)).await.unwrap().unwrap();

        assert!(actor.send(Unregister(id)).await.unwrap());
        assert!(!actor.send(Unregister(id)).await.unwrap());
        assert!(queue.snapshot().consumers.is_empty());
        queue.producer().unwrap().try_put(1).unwrap();
        quiet().await;
        assert_eq!(queue.len(), 1);
        events.end().await;
    });
}

#[test]
fn a1_put_is_answered_when_the_buffer_holds_the_item() {
    in_system(|| async {
        let queue = backend::bounded(4);
        let actor = start(&queue);
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        actor.send(Put::new(&producer, 7)).await.unwrap().unwrap();
        assert_eq!(consumer.soon_item(), 7);
    });
}

#[test]
fn a1_close_closes_the_producer_now_and_its_handle_in_turn() {
    in_system(|| async {
        let queue = backend::bounded(4);
        let actor = start(&queue);
        let mut producer = queue.producer().unwrap();
        let close = Close::new(&mut producer);
        assert!(producer.is_closed());
        assert_eq!(queue.snapshot().producers.len(), 1);
        actor.send(close).await.unwrap();
        assert!(queue.snapshot().producers.is_empty());
        // Idempotent: there is nothing left to close.
        actor.send(Close::new(&mut producer)).await.unwrap();
    });
}

#[test]
fn a1_put_on_a_closed_producer_gives_the_item_back() {
    in_system(|| async {
        let queue = backend::bounded(4);
        let actor = start(&queue);
        let mut producer = queue.producer().unwrap();
        producer.close();
        assert_eq!(actor.send(Put::new(&producer, 7)).await.unwrap(), Err(PutError::new(7, Refusal::Closed)));
        assert_eq!(actor.send(Put::new(&producer.clone(), 8)).await.unwrap(), Err(PutError::new(8, Refusal::Closed)));
    });
}

#[test]
fn a1_after_seal_nothing_is_opened_and_what_is_open_goes_on() {
    in_system(|| async {
        let queue = backend::bounded(4);
        let actor = start(&queue);
        let (producer, _consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        actor.send(Seal).await.unwrap();
        actor.send(Seal).await.unwrap();
        assert_eq!(queue.state(), State::Sealed);

        let (hand, mut events) = Hand::push();
        let sealed = Some(OpenError::Sealed);
        assert_eq!(actor.send(OpenProducer::new()).await.unwrap().err(), sealed);
        assert_eq!(actor.send(OpenConsumer::new()).await.unwrap().err(), sealed);
        assert_eq!(actor.send(RegisterConsumer::new(hand)).await.unwrap().err(), sealed);
        events.end().await; // a refused registration keeps no address
        actor.send(Put::new(&producer, 7)).await.unwrap().unwrap();
    });
}

#[test]
fn c3_after_the_end_nothing_is_opened() {
    in_system(|| async {
        let queue = backend::bounded(4);
        let actor = start(&queue);
        assert_eq!(queue.abort(), [0; 0]);
        backend::soon(|| queue.state(), State::Aborted);

        let (hand, mut events) = Hand::push();
        let ended = Some(OpenError::Ended);
        assert_eq!(actor.send(OpenProducer::new()).await.unwrap().err(), ended);
        assert_eq!(actor.send(OpenConsumer::new()).await.unwrap().err(), ended);
        assert_eq!(actor.send(RegisterConsumer::new(hand)).await.unwrap().err(), ended);
        events.end().await; // a refused registration keeps no address
    });
}

#[test]
fn a2_a_limit_of_0_panics_where_the_message_is_made() {
    in_system(|| async {
        let (hand, mut events) = Hand::push();
        let panic = panic_of(|| RegisterConsumer::<u32>::new(hand).max_in_flight(0));
        assert_eq!(panic, "RegisterConsumer::max_in_flight: max_in_flight is 0: give at least 1");
        events.end().await;
    });
}

#[test]
fn a1_inspect_answers_with_the_snapshot() {
    in_system(|| async {
        let queue = support::backend::builder().name("jobs").capacity(4).build().unwrap();
        let actor = start(&queue);
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.put_all([1, 2]).await.unwrap();
        let item = consumer.try_lease().unwrap();
        let seen = actor.send(Inspect).await.unwrap();
        assert_eq!((seen.queue, seen.name.as_deref(), seen.state), (queue.id(), Some("jobs"), State::Open));
        assert_eq!((seen.capacity, seen.buffered, seen.leased, seen.totals.accepted), (Some(4), 1, 1, 2));
        item.ack();
    });
}

#[test]
fn a1_shutdown_without_grace_reports_what_was_left() {
    in_system(|| async {
        let queue = IterableQueue::bounded(2);
        let actor = start(&queue);
        let (producer, _consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.put_all([1, 2]).await.unwrap();
        let waiting = actor.send(Put::new(&producer, 3));
        let report = actor.send(Shutdown::new(Duration::ZERO)).await.unwrap();
        assert_eq!((report.drained.outcome, report.left), (Outcome::Aborted, vec![1, 2]));
        // Refused by the shutdown itself, or by the abort that ended it: the item is home.
        assert_eq!(waiting.await.unwrap().map_err(PutError::into_inner), Err(3));
    });
}

#[test]
fn a1_shutdown_lets_consumers_finish_and_refuses_waiting_puts() {
    in_system(|| async {
        let queue = IterableQueue::bounded(2);
        let actor = start(&queue);
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.put_all([1, 2]).await.unwrap();
        let waiting = actor.send(Put::new(&producer, 3));
        let shutdown = actor.send(Shutdown::new(Duration::from_secs(3600)));
        let work = async {
            assert_eq!(waiting.await.unwrap(), Err(PutError::new(3, Refusal::ShutDown)));
            (consumer.get().await, consumer.get().await, consumer.get().await)
        };
        let (report, taken) = join!(shutdown, work);
        assert_eq!(taken, (Some(1), Some(2), None));
        assert_eq!(report.unwrap().drained.outcome, Outcome::Complete);
    });
}

#[test]
fn a1_a_shutdown_acts_when_it_is_handled_before_the_messages_behind_it() {
    in_system(|| async {
        let queue = IterableQueue::bounded(2);
        let actor = start(&queue);
        let (producer, _consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.put(1).await.unwrap();
        actor.do_send(Shutdown::new(Duration::from_secs(3600)));
        assert_eq!(actor.send(Put::new(&producer, 2)).await.unwrap(), Err(PutError::new(2, Refusal::ShutDown)));
    });
}

#[test]
fn a1_abort_answers_with_what_was_left_and_everybody_hears() {
    in_system(|| async {
        let queue = IterableQueue::bounded(3);
        let actor = start(&queue);
        let producer = queue.producer().unwrap();
        let (hand, mut events) = Hand::push();
        actor.send(RegisterConsumer::new(hand)).await.unwrap().unwrap();
        producer.put_all([1, 2, 3]).await.unwrap();
        let held = events.item().await;
        let waiting = [actor.send(Put::new(&producer, 4)), actor.send(Put::new(&producer, 5))];
        assert_eq!(actor.send(Abort::new()).await.unwrap(), [2, 3, 4]);
        let [fourth, fifth] = waiting;
        assert_eq!(fourth.await.unwrap(), Ok(()), "there was room for it");
        assert_eq!(fifth.await.unwrap(), Err(PutError::new(5, Refusal::Aborted)));
        let drained = events.drained().await;
        assert_eq!((drained.outcome, drained.totals.discarded), (Outcome::Aborted, 3));
        held.ack();
        assert_eq!(actor.send(Abort::new()).await.unwrap(), [0; 0], "it has ended");
    });
}

#[test]
fn d8_abort_by_message_over_either_backend() {
    in_system(|| async {
        let queue = backend::bounded(4);
        let actor = start(&queue);
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.put(1).await.unwrap();
        backend::assert_left(actor.send(Abort::new()).await.unwrap(), [1]);
        assert_eq!(consumer.get().await, None);
        assert_eq!(queue.drained().await.outcome, Outcome::Aborted);
    });
}

#[test]
fn a1_take_left_answers_once_no_consumer_holds_an_item() {
    in_system(|| async {
        let queue = IterableQueue::unbounded();
        let actor = QueueActor::new(queue.clone()).start();
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        drop(queue); // the actor's address is a handle, too
        producer.put_all([1, 2, 3]).await.unwrap();
        let (done, failed) = (consumer.try_lease().unwrap(), consumer.try_lease().unwrap());
        let mut left = Box::pin(actor.send(TakeLeft::new()));
        assert!(poll!(left.as_mut()).is_pending());
        assert_eq!(actor.send(Abort::new()).await.unwrap(), [3]);
        done.ack();
        actor.send(Inspect).await.unwrap();
        assert!(poll!(left.as_mut()).is_pending(), "one is held");
        failed.fail("it hung up");
        assert_eq!(left.await.unwrap(), [2]);
        assert_eq!(actor.send(TakeLeft::new()).await.unwrap(), [0; 0], "each is returned once");
    });
}

/// As `drop(queue.abort())` would; but here the actor has to live on.
#[test]
fn a1_what_an_abort_leaves_to_nobody_is_dropped_without_harm_to_the_actor() {
    #[derive(Debug)]
    struct Brittle;

    impl Drop for Brittle {
        fn drop(&mut self) {
            panic!("it breaks");
        }
    }

    in_system(|| async {
        let queue = IterableQueue::unbounded();
        let actor = QueueActor::new(queue.clone()).start();
        let (producer, _consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.try_put(Brittle).unwrap();
        actor.do_send(Abort::new());
        assert_eq!(actor.send(Inspect).await.unwrap().state, State::Aborted);
    });
}

#[test]
fn d12_a_put_that_cannot_be_sent_gives_the_item_back() {
    in_system(|| async {
        let queue = backend::bounded(4);
        let actor = start(&queue);
        let producer = queue.producer().unwrap();
        assert_eq!(Put::new(&producer, 5).into_inner(), 5);

        actor.send(run::<QueueActor<u32>>(|_, ctx| ctx.terminate())).await.unwrap();
        quiet().await;
        match actor.try_send(Put::new(&producer, 6)) {
            Err(SendError::Closed(put)) => assert_eq!(put.into_inner(), 6),
            other => panic!("its actor is dead: {other:?}"),
        }
        // That message held a share of the handle, and nothing else does now.
        drop(producer);
        assert!(queue.snapshot().producers.is_empty());
    });
}
