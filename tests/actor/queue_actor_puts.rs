//! `Put` messages that wait for room, and the `Close` that comes after them (C2, C4, D1, D8).

use actix::prelude::*;
use actix_iterable_queue::State;
use actix_iterable_queue::error::{PutError, Refusal, TryGetError};
use actix_iterable_queue::prelude::*;
use futures::future::LocalBoxFuture;
use futures::{FutureExt, StreamExt, poll};
use support::actors::{in_system, quiet};
use support::backend::{self, Soon};

type Queue = IterableQueue<u32>;

/// A queue of capacity 1 that is full: every further put waits.
fn full() -> Full {
    fill_up(backend::bounded(1))
}

type Full = (Queue, Addr<QueueActor<u32>>, Producer<u32>, Consumer<u32>);

fn fill_up(queue: Queue) -> Full {
    let (producer, consumer) = (queue.producer().expect("it is open"), queue.consumer().expect("it is open"));
    producer.try_put(1).expect("there is room");
    (queue.clone(), QueueActor::new(queue).start(), producer, consumer)
}

/// Sends the message now; the future is the answer.
fn put(
    actor: &Addr<QueueActor<u32>>,
    producer: &Producer<u32>,
    item: u32,
) -> LocalBoxFuture<'static, Result<(), PutError<u32>>> {
    actor.send(Put::new(producer, item)).map(|answer| answer.expect("the actor lives")).boxed_local()
}

#[test]
fn d4_a_put_into_a_full_queue_is_answered_only_when_there_is_room() {
    in_system(|| async {
        let (queue, actor, producer, mut consumer) = full();
        let mut waiting = put(&actor, &producer, 2);
        quiet().await;
        assert!(poll!(&mut waiting).is_pending());
        assert_eq!((queue.len(), queue.snapshot().waiting_puts), (1, 1));

        assert_eq!(consumer.soon_item(), 1);
        waiting.await.unwrap();
        assert_eq!(consumer.soon_item(), 2);
    });
}

#[test]
fn d1_waiting_puts_of_one_endpoint_keep_their_order() {
    in_system(|| async {
        let (_queue, actor, producer, mut consumer) = full();
        // A clone is the same endpoint.
        let clone = producer.clone();
        let (mut second, mut third) = (put(&actor, &producer, 2), put(&actor, &clone, 3));
        let mut fourth = put(&actor, &producer, 4);
        quiet().await;
        assert_eq!(consumer.soon_item(), 1);
        (&mut second).await.unwrap();
        quiet().await;
        assert!(poll!(&mut third).is_pending() && poll!(&mut fourth).is_pending());
        assert_eq!(consumer.soon_item(), 2);
        third.await.unwrap();
        assert!(poll!(&mut fourth).is_pending());
        assert_eq!(consumer.soon_item(), 3);
        fourth.await.unwrap();
        assert_eq!(consumer.soon_item(), 4);
    });
}

#[test]
fn d1_a_put_does_not_overtake_an_earlier_one_that_waits() {
    in_system(|| async {
        let (_queue, actor, producer, mut consumer) = full();
        let early = put(&actor, &producer, 2);
        quiet().await;
        // There is room when the actor reads this message, but somebody came before.
        let late = put(&actor, &producer, 3);
        assert_eq!(consumer.soon_item(), 1);
        early.await.unwrap();
        assert_eq!(consumer.get().await, Some(2));
        late.await.unwrap();
        assert_eq!(consumer.soon_item(), 3);
    });
}

#[test]
fn d1_a_waiting_put_does_not_hold_up_another_queues_put() {
    in_system(|| async {
        let (_queue, actor, producer, mut consumer) = full();
        let other = backend::bounded(1);
        let others = other.producer().unwrap();
        let mut waiting = put(&actor, &producer, 2);
        quiet().await;
        // Both are the first producer of their queue: their ids alone do not tell them apart.
        put(&actor, &others, 10).await.unwrap();
        assert!(poll!(&mut waiting).is_pending());
        assert_eq!(consumer.soon_item(), 1);
        waiting.await.unwrap();
    });
}

#[test]
fn a1_put_and_close_act_on_the_queue_of_their_producer() {
    in_system(|| async {
        let (queue, actor, _producer, _consumer) = full();
        let other = backend::bounded(1);
        let (mut others, mut taker) = (other.producer().unwrap(), other.consumer().unwrap());
        put(&actor, &others, 10).await.unwrap();
        let mut waiting = put(&actor, &others, 11);
        quiet().await;
        assert!(poll!(&mut waiting).is_pending());
        // Over Redis a put waits among what is buffered, for its confirmation.
        backend::soon(|| (queue.len(), other.len() + other.snapshot().waiting_puts), (1, 2));

        assert_eq!(taker.soon_item(), 10);
        waiting.await.unwrap();
        actor.send(Close::new(&mut others)).await.unwrap();
        assert_eq!((other.snapshot().producers.len(), queue.snapshot().producers.len()), (0, 1));
        assert_eq!(taker.soon_item(), 11);
    });
}

#[test]
fn c4_a_close_does_not_overtake_a_put_that_waits() {
    in_system(|| async {
        let (queue, actor, mut producer, mut consumer) = full();
        actor.send(Seal).await.unwrap();
        let waiting = put(&actor, &producer, 2);
        actor.do_send(Close::new(&mut producer));
        quiet().await;
        assert_eq!(queue.state(), State::Sealed); // Draining would be too early

        assert_eq!(consumer.get().await, Some(1));
        waiting.await.unwrap();
        backend::soon(|| queue.state(), State::Draining);
        assert_eq!(consumer.get().await, Some(2));
        assert_eq!(consumer.get().await, None);
    });
}

#[test]
fn c4_a_close_does_not_overtake_puts_in_the_mailbox() {
    in_system(|| async {
        let queue = backend::unbounded();
        let drained = queue.drained();
        let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        let actor = QueueActor::new(queue).start();
        for n in 0..50 {
            actor.do_send(Put::new(&producer, n));
        }
        actor.do_send(Close::new(&mut producer));
        drop(actor);
        let taken: Vec<_> = consumer.collect().await;
        assert_eq!(taken, (0..50).collect::<Vec<_>>());
        assert_eq!(drained.await.outcome, Outcome::Complete);
    });
}

/// Fills the mailbox. The first `send` after that still goes in and parks its address; the next
/// one is on its way only once its future is polled.
fn fill(actor: &Addr<QueueActor<u32>>) -> impl Sized + use<> {
    (0..50).for_each(|_| actor.do_send(Seal));
    actor.send(Seal)
}

#[test]
fn c4_a_close_that_arrives_before_a_put_does_not_overtake_it() {
    in_system(|| async {
        let queue = backend::unbounded();
        let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        let actor = QueueActor::new(queue.clone()).start();
        queue.seal();
        let _first = fill(&actor);
        let on_its_way = put(&actor, &producer, 7);
        actor.do_send(Close::new(&mut producer));
        quiet().await;
        // The close is handled, and the put is still on its way, with its share of the handle.
        assert_eq!((queue.state(), consumer.try_get()), (State::Sealed, Err(TryGetError::Empty)));
        on_its_way.await.unwrap();
        assert_eq!((consumer.get().await, consumer.get().await), (Some(7), None));
    });
}

#[test]
fn c4_an_unsent_put_that_is_dropped_lets_the_close_through() {
    in_system(|| async {
        let queue = backend::unbounded();
        let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        let actor = QueueActor::new(queue.clone()).start();
        queue.seal();
        let _first = fill(&actor);
        let on_its_way = put(&actor, &producer, 7);
        actor.send(Close::new(&mut producer)).await.unwrap();
        drop(on_its_way);
        assert_eq!(consumer.get().await, None);
    });
}

#[test]
fn c2_a_waiting_put_owns_its_handle() {
    in_system(|| async {
        let (queue, actor, producer, mut consumer) = full();
        let waiting = put(&actor, &producer, 2);
        drop(producer);
        quiet().await;
        assert_eq!(queue.snapshot().producers.len(), 1);
        assert_eq!(consumer.soon_item(), 1);
        waiting.await.unwrap();
        assert_eq!((consumer.soon_item(), queue.snapshot().producers.len()), (2, 0));
    });
}

#[test]
fn c2_a_waiting_put_goes_in_although_its_asker_has_left() {
    in_system(|| async {
        let (queue, actor, producer, mut consumer) = full();
        let waiting = put(&actor, &producer, 2);
        quiet().await;
        drop((waiting, producer));
        queue.seal();
        assert_eq!(consumer.get().await, Some(1));
        assert_eq!(consumer.get().await, Some(2));
        assert_eq!(consumer.get().await, None);
    });
}

#[test]
fn d8_abort_refuses_waiting_puts_with_their_items() {
    in_system(|| async {
        let (queue, actor, producer, _consumer) = full();
        let (second, third) = (put(&actor, &producer, 2), put(&actor, &producer, 3));
        let others = put(&actor, &queue.producer().unwrap(), 4);
        quiet().await;
        assert_eq!(queue.abort(), [1]);
        assert_eq!(second.await, Err(PutError::new(2, Refusal::Aborted)));
        assert_eq!(third.await, Err(PutError::new(3, Refusal::Aborted)));
        assert_eq!(others.await, Err(PutError::new(4, Refusal::Aborted)));
    });
}

#[test]
fn d7_waiting_puts_are_refused_when_the_last_consumer_leaves() {
    in_system(|| async {
        let (queue, actor, producer, consumer) = fill_up(IterableQueue::bounded(1));
        let mut waiting = put(&actor, &producer, 2);
        quiet().await;
        drop(consumer);
        quiet().await;
        assert!(poll!(&mut waiting).is_pending()); // not sealed: another consumer may come
        queue.seal();
        assert_eq!(waiting.await, Err(PutError::new(2, Refusal::Abandoned)));
    });
}
