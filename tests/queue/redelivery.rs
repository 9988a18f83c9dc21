//! `redelivery_backoff`: an item that failed waits before it comes back (D3).

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_iterable_queue::error::TryGetError;
use actix_iterable_queue::prelude::*;
use actix_iterable_queue::report::Blocker;
use actix_iterable_queue::{Backoff, Builder};
use futures::{Stream, StreamExt};
use support::actors;
use support::backend::{self, Soon};
use support::{Lcg, Task, assert_conserved, until, within_watchdog};

/// Longer than any test.
const LONG: Backoff = Backoff::exponential(Duration::from_secs(7200), Duration::from_secs(7200));
const SHORT: Backoff = Backoff::exponential(Duration::from_millis(2), Duration::from_millis(2));

/// A queue with 0..n in it that is sealed, and its consumer.
fn filled(n: u32, backoff: Backoff) -> (IterableQueue<u32>, Consumer<u32>) {
    fill(backend::build(settings(backoff)), n)
}

fn settings(backoff: Backoff) -> Builder<u32> {
    IterableQueue::builder().max_attempts(u32::MAX).redelivery_backoff(backoff)
}

fn fill(queue: IterableQueue<u32>, n: u32) -> (IterableQueue<u32>, Consumer<u32>) {
    let (producer, consumer) = (queue.producer().expect("open"), queue.consumer().expect("open"));
    (0..n).for_each(|n| producer.try_put(n).expect("room"));
    queue.seal();
    (queue, consumer)
}

fn empty(consumer: &mut Consumer<u32>) -> bool {
    matches!(consumer.try_lease(), Err(TryGetError::Empty))
}

#[test]
fn d3_a_failed_item_waits_and_counts_as_buffered() {
    for fail in [drop as fn(Item<u32>), Item::requeue] {
        let (queue, mut consumer) = fill(settings(LONG).build().unwrap(), 1);
        let (watcher, mut drained) = (Task::new(), Box::pin(queue.drained()));
        assert!(watcher.poll(drained.as_mut()).is_pending());

        fail(consumer.try_lease().unwrap());
        assert!(empty(&mut consumer));
        assert_eq!(consumer.try_get(), Err(TryGetError::Empty));
        let snapshot = queue.snapshot();
        assert_eq!((snapshot.delayed, snapshot.buffered, snapshot.leased), (1, 1, 0));
        assert_eq!((queue.len(), queue.is_empty(), queue.state()), (1, false, State::Draining));
        assert_eq!(&*snapshot.blockers(), [Blocker::Delayed { items: 1 }]);
        assert_eq!(snapshot.blockers().to_string(), "1 item will come back after a delay");
        assert!(snapshot.to_string().contains("1 buffered (1 delayed)"), "{snapshot}");
        assert_eq!(snapshot.totals.redelivered, 1);
        assert_conserved(&queue);

        assert_eq!(watcher.wakes(), 0, "it is not drained before the item has come back");
        assert_eq!(queue.abort(), [0]);
        assert!(matches!(watcher.poll(drained.as_mut()), Poll::Ready(end) if end.outcome == Outcome::Aborted));
        assert_conserved(&queue);
    }
}

#[test]
fn d3_items_beside_one_that_waits_are_taken_at_once() {
    let (queue, mut consumer) = filled(3, LONG);
    consumer.soon_lease().requeue();
    assert_eq!(consumer.soon_items(2), [1, 2]);
    backend::soon(|| (queue.state(), queue.len()), (State::Draining, 1));
    // Over Redis, what is said of the item may be a moment old.
    let buffered = || queue.snapshot().blockers().iter().any(|blocker| matches!(blocker, Blocker::Buffered { .. }));
    backend::soon(buffered, false);
}

#[test]
fn d5_one_that_waits_takes_no_room() {
    let queue = IterableQueue::builder().capacity(1).redelivery_backoff(LONG).build().unwrap();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.try_put(0).unwrap();
    consumer.try_lease().unwrap().requeue();
    assert!(!queue.is_full());
    producer.try_put(1).unwrap();
    assert!(queue.is_full());
    assert_eq!(queue.abort(), [0, 1]);
}

#[test]
fn d3_it_comes_back_and_wakes_a_thread() {
    within_watchdog(|| {
        for own in [true, false] {
            let (queue, mut consumer) = filled(1, SHORT);
            let item = consumer.soon_lease();
            let mut waits = consumer.clone();
            let thread = thread::spawn(move || {
                if own {
                    return (waits.blocking_get(), 2);
                }
                let item = waits.blocking_lease().unwrap();
                let attempt = item.attempt();
                (Some(item.into_inner()), attempt)
            });
            until(|| queue.snapshot().waiting_gets == 1);
            item.requeue();
            assert_eq!(thread.join().unwrap(), (Some(0), 2));
            backend::soon(|| (queue.state(), queue.snapshot().delayed), (State::Drained, 0));
        }
    });
}

#[test]
fn d3_it_comes_back_to_the_one_thread_that_waits_for_the_end() {
    within_watchdog(|| {
        let (queue, consumer) = filled(3, SHORT);
        let mut attempts = Vec::new();
        // Each fails twice; the iterator ends only when all are settled.
        for item in consumer.into_blocking_leases() {
            attempts.push(item.attempt());
            if item.attempt() == 3 { item.ack() } else { drop(item) }
        }
        attempts.sort_unstable();
        assert_eq!(attempts, [1, 1, 1, 2, 2, 2, 3, 3, 3]);
        let drained = queue.blocking_drained();
        assert_eq!((drained.outcome, drained.totals.acked, drained.totals.redelivered), (Outcome::Complete, 3, 6));
    });
}

#[test]
fn d3_it_comes_back_and_wakes_a_task_or_a_stream() {
    within_watchdog(|| {
        let (_queue, mut consumer) = filled(2, SHORT);
        let (first, second) = (consumer.soon_lease(), consumer.soon_lease());
        let task = Task::new();
        {
            let mut lease = pin!(consumer.lease());
            assert!(task.poll(lease.as_mut()).is_pending());
            first.requeue();
            assert_eq!(task.run(lease).map(Item::into_inner), Some(0));
        }
        assert!(pin!(&mut consumer).poll_next(&mut task.context()).is_pending());
        drop(second);
        assert_eq!(task.run(consumer.next()), Some(1));
        assert_eq!(backend::soon_ready(consumer.next()), None);
    });
}

/// The wait can only be longer than it says, so this is no limit that a slow machine meets.
#[test]
fn d3_it_waits_longer_with_each_failure() {
    within_watchdog(|| {
        let backoff = Backoff::exponential(Duration::from_millis(1), Duration::from_secs(60));
        let (_queue, mut consumer) = filled(1, backoff);
        for _ in 1..8 {
            consumer.blocking_lease().unwrap().requeue();
        }
        let item = consumer.blocking_lease().unwrap();
        assert_eq!(item.attempt(), 8);
        let failed = Instant::now();
        item.requeue();
        consumer.blocking_lease().unwrap().ack();
        // Half of 128 ms, less what the coarse clock may be wrong by.
        assert!(failed.elapsed() >= Duration::from_millis(64 - 20), "after {:?}", failed.elapsed());
    });
}

#[test]
fn d3_what_is_given_up_does_not_wait() {
    let queue = backend::build(IterableQueue::builder().max_attempts(1).redelivery_backoff(LONG));
    let mut letters = queue.dead_letters().unwrap();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.try_put(1).unwrap();
    producer.try_put(2).unwrap();
    drop(producer);
    queue.seal();
    consumer.soon_lease().reject("bad");
    drop(consumer.soon_lease());
    backend::soon(|| (queue.state(), queue.snapshot().delayed), (State::Drained, 0));
    assert_eq!(letters.soon_items(2).iter().map(|letter| letter.item).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn d3_what_dies_in_a_mailbox_comes_back_at_once() {
    actors::in_system(|| async {
        let queue = IterableQueue::builder().redelivery_backoff(LONG).build().expect("valid");
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        (0..4).for_each(|n| producer.try_put(n).expect("room"));
        let actor = QueueActor::new(queue.clone()).start();
        actor.send(RegisterConsumer::new(actors::Fragile.start()).max_in_flight(3)).await.unwrap().unwrap();
        actors::until(|| queue.snapshot().totals.redelivered == 3).await;
        assert_eq!(queue.snapshot().delayed, 1, "the one that was looked at");
        let items: Vec<_> = std::iter::from_fn(|| consumer.try_lease().ok()).collect();
        assert_eq!(items.iter().map(|item| (**item, item.attempt())).collect::<Vec<_>>(), [(1, 1), (2, 1), (3, 1)]);
        items.into_iter().for_each(Item::ack);
        assert_eq!(queue.abort(), [0]);
    });
}

#[test]
fn d2_many_items_that_fail_on_many_threads_are_each_done_once() {
    const ITEMS: u32 = 600;
    within_watchdog(|| {
        let (queue, consumer) = filled(ITEMS, Backoff::exponential(Duration::from_millis(1), Duration::from_millis(4)));
        let done = Arc::new(Mutex::new(Vec::new()));
        let threads: Vec<_> = (0..4)
            .map(|seed| {
                let (consumer, done) = (consumer.clone(), Arc::clone(&done));
                thread::spawn(move || {
                    let mut random = Lcg::new(seed);
                    for item in consumer.into_blocking_leases() {
                        match random.below(4) {
                            0 => drop(item),
                            1 => item.requeue(),
                            _ => {
                                done.lock().unwrap().push(*item);
                                item.ack();
                            }
                        }
                    }
                })
            })
            .collect();
        drop(consumer);
        let drained = queue.blocking_drained();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!((drained.outcome, drained.totals.acked), (Outcome::Complete, u64::from(ITEMS)));
        let mut done = done.lock().unwrap().clone();
        done.sort_unstable();
        assert!(done.into_iter().eq(0..ITEMS));
        backend::soon(|| (queue.snapshot().delayed, queue.len()), (0, 0));
        assert_conserved(&queue);
    });
}
