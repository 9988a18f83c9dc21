//! A producer hears that its puts are refused for good, and why.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use actix_iterable_queue::error::Refusal;
use actix_iterable_queue::{IterableQueue, Producer, State};
use futures::FutureExt;
use support::{Task, backend};

/// Waits, makes what refuses puts, and looks that the waiting task was woken and says why.
#[track_caller]
fn hears(producer: &Producer<u8>, refuse: impl FnOnce(), reason: Refusal) {
    let task = Task::new();
    let mut closed = pin!(producer.closed());
    assert!(task.poll(closed.as_mut()).is_pending());
    assert!(!producer.is_closed());
    refuse();
    backend::soon(|| task.wakes() > 0, true);
    assert_eq!(task.poll(closed), Poll::Ready(reason));
    assert!(producer.is_closed());
    assert_eq!(producer.clone().closed().now_or_never(), Some(reason), "it stays refused, for each handle");
    assert_eq!(producer.blocking_put(1).expect_err("it is refused").reason(), reason);
}

#[test]
fn d8_closed_hears_of_abort() {
    let queue = backend::bounded(1);
    let (producer, _consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    hears(&producer, || drop(queue.abort()), Refusal::Aborted);
}

#[test]
fn closed_hears_of_a_shutdown_as_it_begins() {
    let queue = backend::bounded(1);
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.blocking_put(1).unwrap();
    let held = consumer.blocking_lease().unwrap();
    hears(&producer, || drop(queue.shutdown(Duration::from_secs(3600))), Refusal::ShutDown);
    held.ack();
}

#[test]
fn d7_closed_hears_that_the_last_consumer_of_a_sealed_queue_has_gone() {
    let queue = IterableQueue::bounded(1);
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    hears(
        &producer,
        || {
            queue.seal();
            assert!(producer.closed().now_or_never().is_none() && !producer.is_closed(), "sealed is not closed");
            drop(consumer);
        },
        Refusal::Abandoned,
    );
}

#[test]
fn c2_closed_is_ready_at_once_on_a_handle_that_was_closed() {
    let queue = backend::unbounded::<u8>();
    let (mut producer, _consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let other = producer.clone();
    producer.close();
    assert_eq!((producer.closed().now_or_never(), producer.is_closed()), (Some(Refusal::Closed), true));
    assert_eq!((other.closed().now_or_never(), other.is_closed()), (None, false));
}

/// It borrows the producer, which is open meanwhile.
#[test]
fn c5_the_end_waits_for_a_producer_that_waits_to_be_closed() {
    let queue = backend::unbounded::<u8>();
    let (producer, _consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    queue.seal();
    assert_eq!(producer.closed().now_or_never(), None);
    backend::soon(|| queue.state(), State::Sealed);
    drop(producer);
    backend::drained(&queue);
}

#[test]
fn d6_a_closed_that_is_dropped_leaves_nothing_behind() {
    let queue = backend::bounded(1);
    let (producer, _consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let task = Task::new();
    for _ in 0..3 {
        assert!(task.poll(pin!(producer.closed())).is_pending());
    }
    producer.try_put(1).unwrap();
    let (full, room) = (Task::new(), producer.reserve());
    let mut room = pin!(room);
    assert!(full.poll(room.as_mut()).is_pending());
    assert!(task.poll(pin!(producer.closed())).is_pending());
    backend::assert_left(queue.abort(), [1]);
    assert_eq!((task.wakes(), full.wakes() > 0), (0, true));
}
