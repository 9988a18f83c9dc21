//! The words with which a consumer gives an item back: what counts, what waits, and what a dead letter says (D3).

use std::time::Duration;

use actix_iterable_queue::error::TryGetError;
use actix_iterable_queue::prelude::*;
use actix_iterable_queue::{Backoff, DeadLetter};
use futures::executor::block_on;
use support::backend::{self, Soon, soon};
use support::{assert_conserved, within_watchdog};

/// Longer than any test.
const LONG: Duration = Duration::from_secs(7200);
const SHORT: Duration = Duration::from_millis(2);

/// A sealed queue with 0..n in it, each with this number of attempts, and its consumer.
fn filled(n: u32, max_attempts: u32) -> (IterableQueue<u32>, Consumer<u32>) {
    let queue = backend::build(support::backend::builder().max_attempts(max_attempts));
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    block_on(producer.put_all(0..n)).unwrap();
    queue.seal();
    (queue, consumer)
}

/// Waits for the next item.
fn next(consumer: &Consumer<u32>) -> Item<u32> {
    let mut consumer = consumer.clone();
    within_watchdog(move || consumer.blocking_lease().unwrap())
}

#[test]
fn d3_fail_counts_the_attempt_and_the_letter_carries_the_last_reason() {
    let (queue, mut consumer) = filled(1, 2);
    let mut letters = queue.dead_letters().unwrap();
    consumer.soon_lease().fail("first");
    let again = consumer.soon_lease();
    assert_eq!(again.attempt(), 2);
    again.fail("second\nline");
    let letter = block_on(letters.get()).unwrap();
    assert_eq!((letter.item, letter.attempts, &*letter.reason), (0, 2, "attempts used up"));
    assert_eq!((letter.error.as_deref(), &letter.panic), (Some("second\nline"), &None));
    let line = letter.to_string();
    assert!(line.ends_with(": attempts used up (it failed: second\\nline)"), "{line}");
    backend::drained(&queue);
    assert_conserved(&queue);
}

#[test]
fn d3_retry_after_counts_the_attempt_and_waits_as_long_as_it_says_whatever_the_backoff() {
    let slow = Backoff::exponential(LONG, LONG);
    for backoff in [None, Some(slow)] {
        let builder = support::backend::builder().max_attempts(3);
        let queue = backend::build(match backoff {
            Some(backoff) => builder.redelivery_backoff(backoff),
            None => builder,
        });
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.blocking_put(7).unwrap();
        consumer.soon_lease().retry_after(SHORT, "busy");
        let again = next(&consumer);
        assert_eq!((*again, again.attempt()), (7, 2));
        again.retry_after(LONG, "busy");
        soon(|| (queue.snapshot().delayed, queue.len()), (1, 1));
        assert_eq!(consumer.try_lease().unwrap_err(), TryGetError::Empty);
        backend::assert_left(queue.abort(), [7]);
    }
}

#[test]
fn d3_retry_after_the_last_attempt_is_a_letter_at_once() {
    let (queue, mut consumer) = filled(1, 1);
    let mut letters = queue.dead_letters().unwrap();
    consumer.soon_lease().retry_after(LONG, "busy");
    assert_eq!(block_on(letters.get()).unwrap().error.as_deref(), Some("busy"));
    backend::drained(&queue);
}

#[test]
fn d3_release_counts_no_attempt() {
    let (queue, mut consumer) = filled(2, 1);
    for _ in 0..10 {
        let item = consumer.soon_lease();
        assert_eq!(item.attempt(), 1);
        // Over Redis this process may have fetched the other one ahead.
        assert!(*item == 0 || backend::is_redis(), "before what was never handed out");
        item.release();
    }
    let mut items = consumer.soon_items(2);
    items.sort_unstable();
    assert_eq!(items, [0, 1]);
    backend::drained(&queue);
    assert_conserved(&queue);
}

#[test]
fn d3_release_after_counts_no_attempt_and_keeps_the_queue_from_its_end() {
    let (queue, consumer) = filled(1, 1);
    for _ in 0..3 {
        let item = next(&consumer);
        assert_eq!(item.attempt(), 1);
        item.release_after(SHORT);
    }
    let item = next(&consumer);
    item.release_after(LONG);
    soon(|| (queue.state(), queue.snapshot().delayed), (State::Draining, 1));
    backend::assert_left(queue.abort(), [0]);
}

/// What the consumer changed stays changed.
#[test]
fn d3_an_item_comes_back_as_its_consumer_left_it() {
    let ways: [fn(Item<u32>); 4] =
        [|item| item.fail("no"), |item| item.retry_after(SHORT, "no"), Item::release, |item| item.release_after(SHORT)];
    for way in ways {
        let (_queue, mut consumer) = filled(1, 2);
        let mut item = consumer.soon_lease();
        *item = 42;
        way(item);
        assert_eq!(next(&consumer).into_inner(), 42);
    }
}

/// Releases of after the end discard the item, as all that is not settled then.
#[test]
fn d8_what_is_given_back_after_the_end_is_discarded() {
    let queue = IterableQueue::unbounded();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    (0..4).for_each(|n| producer.try_put(n).unwrap());
    let items: Vec<_> = (0..4).map(|_| consumer.try_lease().unwrap()).collect();
    assert!(queue.abort().is_empty());
    let ways: [fn(Item<i32>); 4] =
        [|item| item.fail("no"), |item| item.retry_after(LONG, "no"), Item::release, |item| item.release_after(LONG)];
    items.into_iter().zip(ways).for_each(|(item, way)| way(item));
    let totals = queue.snapshot().totals;
    assert_eq!((totals.discarded, totals.redelivered), (4, 0));
    assert_conserved(&queue);
}

/// A letter of an earlier release has no `error`.
#[test]
fn d3_a_letter_without_an_error_can_be_read() {
    let json = r#"{"item":1,"attempts":5,"reason":"attempts used up","last_worker":"w","panic":null}"#;
    let letter: DeadLetter<u32> = serde_json::from_str(json).unwrap();
    assert_eq!((letter.item, letter.error), (1, None));
}

/// No sooner, whatever the resolution of the queue's clock.
#[test]
fn d3_what_waits_does_not_come_back_too_early() {
    let queue = IterableQueue::unbounded();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.try_put(0).unwrap();
    let delay = Duration::from_millis(5);
    for n in 0..50 {
        let item = consumer.blocking_lease().unwrap();
        // The item came just as the clock went on, so it is given back at some other moment.
        let (start, moment) = (std::time::Instant::now(), Duration::from_micros(n * 170 % 4_000));
        while start.elapsed() < moment {
            std::hint::spin_loop();
        }
        let given_back = std::time::Instant::now();
        item.release_after(delay);
        let item = consumer.blocking_lease().unwrap();
        let waited = given_back.elapsed();
        assert!(waited >= delay, "only {waited:?}");
        item.release();
    }
}

/// Times that no clock reaches, and none at all.
#[test]
fn d3_for_ever_and_no_time_are_delays_too() {
    let slow = Backoff::exponential(LONG, LONG);
    let queue = backend::build(IterableQueue::builder().redelivery_backoff(slow));
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.blocking_put(7).unwrap();
    consumer.soon_lease().retry_after(Duration::ZERO, "at once, whatever the backoff");
    let again = next(&consumer);
    assert_eq!(again.attempt(), 2);
    again.release_after(Duration::ZERO);
    let again = next(&consumer);
    assert_eq!(again.attempt(), 2);
    again.retry_after(Duration::MAX, "never");
    soon(|| (queue.snapshot().delayed, queue.len()), (1, 1));
    // The timer sleeps for ever, and is woken for what is due before.
    producer.blocking_put(8).unwrap();
    next(&consumer).release_after(SHORT);
    assert_eq!(next(&consumer).into_inner(), 8);
    backend::assert_left(queue.abort(), [7]);
}

/// D7: what comes back, or waits, when nobody is left to take it.
#[test]
fn d7_what_is_given_back_to_nobody_is_discarded() {
    use std::sync::{Arc, Weak};
    let ways: [fn(Item<Arc<()>>); 4] =
        [|item| item.fail("no"), |item| item.retry_after(LONG, "no"), Item::release, |item| item.release_after(LONG)];
    for way in ways {
        for last_to_go in 0..2 {
            let queue = IterableQueue::unbounded();
            let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
            let value = Arc::new(());
            let item: Weak<()> = Arc::downgrade(&value);
            producer.try_put(value).unwrap();
            let lease = consumer.try_lease().unwrap();
            drop(producer);
            if last_to_go == 0 {
                drop((consumer, queue));
                way(lease);
            } else {
                way(lease);
                drop((consumer, queue));
            }
            // Though the timer may have been started, and holds the queue for a moment.
            assert_eq!(item.strong_count(), 0);
        }
    }
}
