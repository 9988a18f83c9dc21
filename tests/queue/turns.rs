//! D1 for one handle: what waits for room keeps its order.

use std::pin::Pin;

use actix_iterable_queue::IterableQueue;
use actix_iterable_queue::error::{PutError, Refusal, TryPutError};
use futures::{FutureExt, Sink, SinkExt};
use support::{Task, panic_of};

#[test]
fn d1_a_reservation_does_not_overtake_a_waiting_put() {
    let (producer, mut consumer) = IterableQueue::bounded(1).split().unwrap();
    let task = Task::new();
    producer.try_put(0).unwrap();
    let mut first = Box::pin(producer.put(1));
    assert!(task.poll(first.as_mut()).is_pending());
    assert_eq!(consumer.try_get(), Ok(0));
    // There is room, but it is the put's turn.
    let mut second = Box::pin(producer.reserve());
    assert!(task.poll(second.as_mut()).is_pending());
    assert!(task.poll(first.as_mut()).is_ready());
    assert_eq!(consumer.try_get(), Ok(1));
    let permit = second.now_or_never().expect("its turn has come").unwrap();
    permit.put(2).unwrap();
    assert_eq!(consumer.try_get(), Ok(2));
}

/// On an arbiter's thread a call that has to wait panics, and so shows that it does not take the room.
#[test]
fn d1_a_blocking_call_does_not_overtake_a_waiting_put() {
    let (producer, mut consumer) = IterableQueue::bounded(1).split().unwrap();
    let task = Task::new();
    producer.try_put(0).unwrap();
    let mut first = Box::pin(producer.put(1));
    assert!(task.poll(first.as_mut()).is_pending());
    assert_eq!(consumer.try_get(), Ok(0));
    actix_rt::System::new().block_on(async {
        let reserving = panic_of(|| drop(producer.blocking_reserve()));
        let putting = panic_of(|| producer.blocking_put_all([2]));
        assert!(reserving.contains("use reserve().await") && putting.contains("use put_all(items).await"));
    });
    assert!(task.poll(first.as_mut()).is_ready());
    assert_eq!(consumer.try_get(), Ok(1));
}

#[test]
fn d1_a_reservation_that_gives_up_lets_the_next_put_in() {
    let (producer, mut consumer) = IterableQueue::bounded(1).split().unwrap();
    let task = Task::new();
    producer.try_put(0).unwrap();
    let mut reserve = Box::pin(producer.reserve());
    assert!(task.poll(reserve.as_mut()).is_pending());
    let mut put = Box::pin(producer.put(1));
    assert!(task.poll(put.as_mut()).is_pending());
    drop(reserve);
    assert_eq!(consumer.try_get(), Ok(0));
    assert!(task.poll(put.as_mut()).is_ready());
}

/// It is a handle of its own: one that nobody polls must not stop its producer.
#[test]
fn c2_a_sink_that_waits_does_not_hold_up_its_producer() {
    let (producer, mut consumer) = IterableQueue::bounded(1).split().unwrap();
    let task = Task::new();
    producer.try_put(0).unwrap();
    let mut sink = producer.sink();
    let mut cx = std::task::Context::from_waker(&task.waker);
    assert!(Pin::new(&mut sink).poll_ready(&mut cx).is_pending());
    assert_eq!(consumer.try_get(), Ok(0));
    producer.try_put(1).unwrap();
    assert_eq!(consumer.try_get(), Ok(1));
    drop(producer);
    sink.feed(2).now_or_never().expect("there is room").unwrap();
    sink.close().now_or_never().expect("at once").unwrap();
    assert_eq!(consumer.into_iter().collect::<Vec<_>>(), [2]);
}

#[test]
fn d8_a_put_that_does_not_wait_is_refused_although_an_earlier_one_has_not_heard_of_it_yet() {
    let queue = IterableQueue::bounded(1);
    let (producer, _consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.try_put(0).unwrap();
    let mut waiting = Box::pin(producer.put(1));
    assert!(Task::new().poll(waiting.as_mut()).is_pending());
    assert_eq!(producer.try_put(2), Err(TryPutError::Full(2)));
    assert_eq!(queue.abort(), [0]);
    assert_eq!(producer.try_put(2), Err(PutError::new(2, Refusal::Aborted).into()));
    assert_eq!(waiting.now_or_never(), Some(Err(PutError::new(1, Refusal::Aborted))));
}
