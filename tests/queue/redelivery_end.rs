//! What becomes of failed items that wait when their queue ends (D1, D7, D8).

use std::time::Duration;

use actix::prelude::*;
use actix_iterable_queue::Backoff;
use actix_iterable_queue::error::{PutError, Refusal, TryGetError, TryPutError};
use actix_iterable_queue::prelude::*;
use support::actors;
use support::assert_conserved;

const LONG: Backoff = Backoff::exponential(Duration::from_secs(7200), Duration::from_secs(7200));

fn queue() -> IterableQueue<u32> {
    IterableQueue::builder().max_attempts(100).redelivery_backoff(LONG).build().expect("valid")
}

/// What came back, what waits to come back (of one consumer, so in order), what was never handed out.
#[test]
fn d8_what_is_left_is_in_order_with_items_that_wait() {
    for by_shutdown in [false, true] {
        actors::in_system(move || async move {
            let queue = queue();
            let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
            (0..3).for_each(|n| producer.try_put(n).unwrap());
            let actor = QueueActor::new(queue.clone()).start();
            actor.send(RegisterConsumer::new(actors::Fragile.start()).max_in_flight(3)).await.unwrap().unwrap();
            actors::until(|| queue.snapshot().totals.redelivered == 3).await;
            assert_eq!(queue.snapshot().delayed, 1);

            // 1 and 2 have come back, 0 waits.
            let left = if by_shutdown {
                (3..5).for_each(|n| producer.try_put(n).unwrap());
                let report = queue.shutdown(Duration::ZERO).await;
                assert_eq!(report.drained.outcome, Outcome::Aborted);
                assert!(report.holders.is_empty());
                report.left
            } else {
                (3..5).for_each(|n| producer.try_put(n).unwrap());
                queue.abort()
            };
            assert_eq!(left, [1, 2, 0, 3, 4]);
            assert_eq!(consumer.try_get(), Err(TryGetError::Ended));
            let snapshot = queue.snapshot();
            assert_eq!((snapshot.delayed, snapshot.buffered, snapshot.totals.discarded), (0, 0, 5));
            assert_conserved(&queue);
        });
    }
}

/// The time that each waits is random; their order is not.
#[test]
fn d1_items_of_one_consumer_keep_their_order_also_if_the_queue_ends_while_they_wait() {
    let queue = queue();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    (0..12).for_each(|n| producer.try_put(n).unwrap());
    let held: Vec<_> = (0..10).map(|_| consumer.try_lease().unwrap()).collect();
    held.into_iter().rev().for_each(Item::requeue);
    assert_eq!(queue.snapshot().delayed, 10);
    assert!(queue.abort().into_iter().eq(0..12), "oldest first");
}

#[test]
fn d7_abandoned_while_items_wait_it_ends_and_counts_them() {
    let queue = queue();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    (0..3).for_each(|n| producer.try_put(n).unwrap());
    let (first, second) = (consumer.try_lease().unwrap(), consumer.try_lease().unwrap());
    first.requeue();
    queue.seal();
    drop(consumer);
    assert_eq!(producer.try_put(9), Err(TryPutError::Refused(PutError::new(9, Refusal::Abandoned))));
    drop(producer);
    assert_eq!(queue.state(), State::Draining, "one is leased");
    second.requeue();
    let drained = queue.blocking_drained();
    assert_eq!((drained.outcome, drained.totals.discarded), (Outcome::Abandoned, 3));
    assert_eq!((queue.snapshot().delayed, queue.len()), (0, 0));
    assert_conserved(&queue);
}

#[test]
fn d7_a_consumer_that_leaves_while_its_last_item_waits_ends_it() {
    let queue = queue();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.try_put(0).unwrap();
    drop(producer);
    consumer.try_lease().unwrap().requeue();
    queue.seal();
    assert_eq!(queue.state(), State::Draining);
    drop(consumer);
    assert_eq!((queue.state(), queue.snapshot().totals.discarded), (State::Aborted, 1));
    assert_eq!(queue.blocking_drained().outcome, Outcome::Abandoned);
}

#[test]
fn d7_a_shutdown_reports_what_waited_when_the_last_consumer_left() {
    support::within_watchdog(|| {
        let queue = queue();
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        (0..2).for_each(|n| producer.try_put(n).unwrap());
        consumer.try_lease().unwrap().requeue();
        let mut report = Box::pin(queue.shutdown(Duration::from_secs(3600)));
        assert!(support::Task::new().poll(report.as_mut()).is_pending());
        drop(consumer);
        let report = futures::executor::block_on(report);
        assert_eq!((report.drained.outcome, report.left), (Outcome::Abandoned, vec![0, 1]));
        assert_conserved(&queue);
    });
}

#[test]
fn d8_what_fails_after_the_end_does_not_wait() {
    let queue = queue();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.try_put(0).unwrap();
    let item = consumer.try_lease().unwrap();
    assert_eq!(queue.abort(), [0; 0]);
    item.requeue();
    let snapshot = queue.snapshot();
    assert_eq!((snapshot.delayed, snapshot.totals.discarded, snapshot.totals.redelivered), (0, 1, 0));
}

#[test]
fn d3_what_comes_back_within_the_grace_of_a_shutdown_is_done() {
    support::within_watchdog(|| {
        let backoff = Backoff::exponential(Duration::from_millis(5), Duration::from_millis(5));
        let queue = IterableQueue::builder().redelivery_backoff(backoff).build().unwrap();
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.try_put(0).unwrap();
        consumer.try_lease().unwrap().requeue();
        let worker = std::thread::spawn(move || consumer.into_blocking_leases().for_each(Item::ack));
        let report = futures::executor::block_on(queue.shutdown(Duration::from_secs(3600)));
        worker.join().unwrap();
        assert_eq!((report.drained.outcome, report.drained.totals.acked), (Outcome::Complete, 1));
        assert!(report.left.is_empty() && report.holders.is_empty());
        drop(producer);
    });
}
