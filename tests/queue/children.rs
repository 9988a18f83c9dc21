//! D9: work that makes work.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use actix_iterable_queue::error::{PutError, Refusal, TryGetError};
use actix_iterable_queue::{IterableQueue, State};
use support::backend::{self, Soon};
use support::{Task, assert_conserved, within_watchdog};

#[test]
fn d9_children_may_come_after_every_producer_has_closed() {
    for queue in [backend::bounded(1), backend::unbounded()] {
        let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.try_put(0).unwrap();
        producer.close();
        queue.seal();
        let item = consumer.soon_lease();
        item.put_child(1).unwrap();
        assert_eq!(item.put_children(2..10), Ok(8));
        item.ack();
        backend::soon(|| queue.state(), State::Draining); // drained waits for the children
        assert_eq!(consumer.soon_items(9), (1..10).collect::<Vec<_>>());
        backend::drained(&queue);
        assert_eq!(queue.snapshot().totals.accepted, 10);
    }
}

#[test]
fn d9_a_child_wakes_a_waiting_consumer_and_the_end_waits() {
    let queue = backend::bounded(1);
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let mut other = queue.consumer().unwrap();
    producer.try_put(0).unwrap();
    drop(producer);
    queue.seal();
    let item = consumer.soon_lease();
    let task = Task::new();
    let mut get = Box::pin(other.get());
    assert!(task.poll(get.as_mut()).is_pending());
    item.put_child(1).unwrap();
    backend::soon(|| task.wakes(), 1);
    assert_eq!(backend::soon_ready(get.as_mut()), Some(1));
    drop(get);
    assert_eq!(other.try_get(), Err(TryGetError::Empty), "the parent may put more");
    item.ack();
    other.soon_end();
}

#[test]
fn d9_children_do_not_use_up_the_producers_room() {
    let queue = IterableQueue::bounded(2);
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.try_put(0).unwrap();
    let item = consumer.try_lease().unwrap();
    item.put_children(10..15).unwrap();
    assert!(!queue.is_full());
    producer.try_put(1).unwrap();
    producer.try_put(2).unwrap();
    assert!(queue.is_full());
    assert!(producer.try_put(3).unwrap_err().is_full());
    item.put_child(15).unwrap();
    assert_eq!(queue.len(), 8);
    // Taking a child makes no room, taking a producer's item does.
    assert_eq!(consumer.try_get(), Ok(10));
    assert!(producer.try_put(3).unwrap_err().is_full());
    let rest: Vec<_> = consumer.try_iter().take(5).collect();
    assert_eq!(rest, [11, 12, 13, 14, 1]);
    producer.try_put(3).unwrap();
    assert!(producer.try_put(4).unwrap_err().is_full());
    item.ack();
    assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [2, 15, 3]);
}

#[test]
fn d9_children_and_puts_keep_the_order_in_which_they_came() {
    for queue in [IterableQueue::bounded(3), IterableQueue::bounded(usize::MAX / 2), IterableQueue::unbounded()] {
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.try_put(0).unwrap();
        let item = consumer.try_lease().unwrap();
        producer.try_put(1).unwrap();
        item.put_child(2).unwrap();
        producer.try_put(3).unwrap();
        item.put_child(4).unwrap();
        producer.try_put(5).unwrap();
        assert_eq!(consumer.try_get(), Ok(1));
        producer.try_put(6).unwrap();
        item.ack();
        assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [2, 3, 4, 5, 6]);
        // Once all that is gone, puts go the fast way again, in order.
        producer.try_put(7).unwrap();
        producer.try_put(8).unwrap();
        assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [7, 8]);
    }
}

#[test]
fn d9_a_put_that_waits_for_room_goes_on_behind_the_children() {
    let queue = IterableQueue::bounded(1);
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.try_put(0).unwrap();
    let item = consumer.try_lease().unwrap();
    producer.try_put(1).unwrap();
    item.put_child(2).unwrap();
    let task = Task::new();
    let mut put = Box::pin(producer.put(3));
    assert!(task.poll(put.as_mut()).is_pending());
    assert_eq!(consumer.try_get(), Ok(1));
    assert_eq!(task.wakes(), 1);
    assert!(task.poll(put.as_mut()).is_ready());
    assert!(producer.try_put(4).unwrap_err().is_full(), "the put behind the child counts");
    let mut second = Box::pin(producer.put(4));
    assert!(task.poll(second.as_mut()).is_pending());
    assert_eq!(consumer.try_get(), Ok(2));
    assert_eq!(task.wakes(), 1, "a child makes no room");
    assert_eq!(consumer.try_get(), Ok(3));
    assert_eq!(task.wakes(), 2);
    assert!(task.poll(second.as_mut()).is_ready());
    item.ack();
    assert_eq!(consumer.try_get(), Ok(4));
}

#[test]
fn d9_consumers_that_feed_themselves_do_not_deadlock() {
    within_watchdog(|| {
        // A tree of depth 10 through a queue with room for one.
        let queue = backend::bounded(1);
        let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.try_put(10u32).unwrap();
        drop(producer);
        queue.seal();
        let workers: Vec<_> = (0..3)
            .map(|_| {
                let consumer = consumer.clone();
                thread::spawn(move || {
                    let work = |item: actix_iterable_queue::Item<u32>| {
                        if let Some(child) = item.checked_sub(1) {
                            item.put_children([child, child]).unwrap();
                        }
                        item.ack();
                    };
                    consumer.into_blocking_leases().map(work).count()
                })
            })
            .collect();
        drop(consumer);
        let nodes: usize = workers.into_iter().map(|worker| worker.join().unwrap()).sum();
        assert_eq!(nodes, (1 << 11) - 1);
        assert_eq!(queue.blocking_drained().totals.acked, nodes as u64);
    });
}

#[test]
fn d9_a_child_of_an_abandoned_queue_comes_back() {
    for queue in [IterableQueue::bounded(1), IterableQueue::unbounded()] {
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.try_put(0).unwrap();
        let item = consumer.try_lease().unwrap();
        queue.seal();
        drop(consumer);
        assert_eq!(item.put_child(1), Err(PutError::new(1, Refusal::Abandoned)));
        item.ack();
        assert_conserved(&queue);
    }
}

#[test]
fn d5_capacity_stays_exact_while_children_race_with_puts() {
    within_watchdog(|| {
        let queue = IterableQueue::bounded(1);
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.try_put(PUT).unwrap();
        let item = consumer.try_lease().unwrap();
        let stop = AtomicBool::new(false);
        let highest = thread::scope(|scope| {
            for _ in 0..3 {
                let (producer, stop) = (producer.clone(), &stop);
                scope.spawn(move || {
                    while !stop.load(SeqCst) {
                        let _full_or_not = producer.try_put(PUT);
                    }
                });
            }
            // This thread alone takes and puts children, so it knows how many are there.
            let mut highest = 0;
            for round in 0..150_000 {
                let mut children = 1;
                // Puts go the fast way for a moment, so that one of them may be half done.
                (0..round % 16).for_each(|_| std::hint::spin_loop());
                item.put_child(CHILD).unwrap();
                highest = highest.max(queue.len() - children);
                while children > 0 || !queue.is_empty() {
                    let taken = consumer.try_get().unwrap();
                    children -= usize::from(taken == CHILD);
                }
            }
            stop.store(true, SeqCst);
            highest
        });
        item.ack();
        assert!(highest <= 1, "{highest} items of producers in a queue with room for one");
    });
}

const PUT: u8 = 0;
const CHILD: u8 = 1;
