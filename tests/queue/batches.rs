//! Several items in one call: as if they had been put, or taken, one after the other.

use std::pin::pin;
use std::task::Poll;
use std::thread;

use actix_iterable_queue::IterableQueue;
use actix_iterable_queue::error::{PutError, Refusal, TryGetError};
use futures::FutureExt;
use support::{Task, backend, panic_of, until, within_watchdog};

#[test]
fn d1_a_thread_puts_all_in_order_also_where_it_has_to_wait() {
    within_watchdog(|| {
        let (producer, consumer) = {
            let queue = backend::bounded(3);
            let ends = (queue.producer().unwrap(), queue.consumer().unwrap());
            queue.seal();
            ends
        };
        let putting = thread::spawn(move || producer.blocking_put_all(0..200));
        assert!(consumer.into_iter().eq(0..200));
        assert_eq!(putting.join().unwrap(), Ok(200));
    });
}

#[test]
fn d4_what_a_thread_has_put_is_there_when_it_returns() {
    within_watchdog(|| {
        let queue = backend::unbounded();
        let (producer, _consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        assert_eq!(producer.blocking_put_all(0..50), Ok(50));
        backend::soon(|| queue.snapshot().totals.accepted, 50);
        assert_eq!(producer.blocking_put_all([]), Ok(0));
    });
}

#[test]
fn d12_the_first_item_that_is_refused_comes_back_and_the_iterator_keeps_the_rest() {
    within_watchdog(|| {
        let queue = backend::builder().capacity(2).build().unwrap();
        let (mut producer, _consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        let other = queue.clone();
        let aborting = thread::spawn(move || {
            until(|| other.snapshot().waiting_puts == 1);
            other.abort()
        });
        let mut items = 0..5;
        assert_eq!(producer.blocking_put_all(&mut items), Err(PutError::new(2, Refusal::Aborted)));
        assert_eq!((items, aborting.join().unwrap()), (3..5, vec![0, 1]));
        producer.close();
        assert_eq!(producer.blocking_put_all(7..), Err(PutError::new(7, Refusal::Closed)));
    });
}

#[test]
fn d2_a_batch_is_what_is_there_up_to_the_most_that_is_asked_for() {
    let queue = backend::unbounded();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.blocking_put_all(0..7).unwrap();
    if !backend::is_redis() {
        // There a batch is what was fetched.
        assert_eq!(consumer.blocking_get_batch(3), [0, 1, 2]);
        assert_eq!(consumer.get_batch(3).now_or_never().unwrap(), [3, 4, 5]);
    }
    let mut rest = Vec::new();
    queue.seal();
    drop(producer);
    loop {
        let batch = consumer.blocking_get_batch(usize::MAX);
        if batch.is_empty() {
            break;
        }
        rest.extend(batch);
    }
    assert!(rest.into_iter().eq(if backend::is_redis() { 0..7 } else { 6..7 }));
    assert_eq!(consumer.get_batch(3).now_or_never(), Some(vec![]), "it has ended, and stays ended");
    assert_eq!(queue.snapshot().totals.taken, 7);
}

#[test]
fn d6_a_batch_waits_for_one_item_and_not_for_more() {
    let queue = backend::in_memory();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let task = Task::new();
    {
        let mut dropped = pin!(consumer.get_batch(4));
        assert!(task.poll(dropped.as_mut()).is_pending());
        producer.try_put(1).unwrap();
        assert_eq!(task.wakes(), 1);
    } // with an item that it was woken for
    assert_eq!(consumer.get_batch(4).now_or_never(), Some(vec![1]));

    within_watchdog(move || {
        let waiting = thread::spawn(move || consumer.blocking_get_batch(4));
        until(|| queue.snapshot().waiting_gets == 1);
        producer.try_put(2).unwrap();
        let batch = waiting.join().unwrap();
        assert_eq!(batch, [2]);
    });
}

#[test]
fn d6_a_dropped_batch_passes_its_wake_up_on() {
    let queue = backend::in_memory();
    let (producer, mut first, mut second) =
        (queue.producer().unwrap(), queue.consumer().unwrap(), queue.consumer().unwrap());
    let (one, other) = (Task::new(), Task::new());
    let mut waiting = pin!(second.get_batch(2));
    {
        let mut dropped = pin!(first.get_batch(2));
        assert!(one.poll(dropped.as_mut()).is_pending());
        assert!(other.poll(waiting.as_mut()).is_pending());
        producer.try_put(1).unwrap();
        assert_eq!((one.wakes(), other.wakes()), (1, 0));
    }
    assert_eq!(other.wakes(), 1);
    assert_eq!(other.poll(waiting), Poll::Ready(vec![1]));
}

#[test]
fn a_batch_of_0_panics() {
    let mut consumer = IterableQueue::<u8>::unbounded().consumer().unwrap();
    let panic = panic_of(|| consumer.blocking_get_batch(0));
    assert_eq!(panic, "Consumer::blocking_get_batch: max is 0: give at least 1");
    let panic = panic_of(|| consumer.get_batch(0).now_or_never());
    assert_eq!(panic, "Consumer::get_batch: max is 0: give at least 1");
}

#[test]
fn d3_try_leases_gives_out_leases_and_does_not_wait() {
    let queue = backend::in_memory();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    assert!(consumer.try_leases().next().is_none());
    producer.blocking_put_all(0..3).unwrap();
    let held: Vec<_> = consumer.try_leases().collect();
    assert!(held.iter().map(|item| **item).eq(0..3));
    assert_eq!(queue.snapshot().leased, 3);
    drop(held);
    for item in consumer.try_leases().take(2) {
        assert_eq!(item.attempt(), 2);
        item.ack();
    }
    assert_eq!((queue.len(), queue.snapshot().totals.acked), (1, 2));
    assert_eq!(consumer.try_leases().size_hint(), (0, None));
    assert_eq!(queue.abort(), [2]);
    assert_eq!(consumer.try_leases().size_hint(), (0, Some(0)));
    assert_eq!(consumer.try_lease().unwrap_err(), TryGetError::Ended);
}
