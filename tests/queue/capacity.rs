//! D5: how much goes in. And timeouts, which tell that it does not.

use std::panic::catch_unwind;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use actix_iterable_queue::error::{BuildError, GetTimeoutError, PutError, PutTimeoutError, Refusal};
use actix_iterable_queue::{Consumer, Item, IterableQueue, Producer};
use futures::FutureExt;
use futures::executor::block_on;
use support::{Task, message, until, within_watchdog};

#[test]
fn d5_capacity_is_exact() {
    for capacity in [1, 2, 3, 7, 64] {
        let queue = support::backend::builder().capacity(capacity).build().unwrap();
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        for _ in 0..3 {
            let accepted = (0..).take_while(|n| producer.try_put(*n).is_ok()).count();
            assert_eq!((accepted, queue.len(), queue.is_full()), (capacity, capacity, true));
            // Handed out is out of the buffer, settled or not.
            let item = consumer.try_lease().unwrap();
            producer.try_put(0).unwrap();
            assert!(producer.try_put(0).unwrap_err().is_full());
            // What comes back may exceed it.
            item.requeue();
            assert_eq!(queue.len(), capacity + 1);
            assert!(producer.try_put(0).unwrap_err().is_full());
            assert_eq!(consumer.try_iter().count(), capacity + 1);
        }
    }
}

#[test]
fn d5_capacity_is_exact_under_contention() {
    within_watchdog(|| {
        for capacity in [1, 2, 5, 64] {
            let queue = support::backend::builder().capacity(capacity).build().unwrap();
            let producers: Vec<_> = (0..3).map(|_| queue.producer().unwrap()).collect();
            let consumer = queue.consumer().unwrap();
            queue.seal();
            let highest = thread::scope(|scope| {
                for producer in producers {
                    scope.spawn(move || (0..1500).for_each(|n| producer.blocking_put(n).unwrap()));
                }
                let taking = scope.spawn(|| consumer.into_iter().count());
                let mut highest = 0;
                until(|| {
                    highest = highest.max(queue.len());
                    taking.is_finished()
                });
                assert_eq!(taking.join().unwrap(), 4500);
                highest
            });
            assert!(highest <= capacity, "{highest} in a queue with room for {capacity}");
        }
    });
}

#[test]
fn d5_as_many_puts_succeed_as_there_is_room() {
    within_watchdog(|| {
        for round in 0..300 {
            let capacity = 1 + round % 5;
            let queue = support::backend::builder().capacity(capacity).build().unwrap();
            let producer = queue.producer().unwrap();
            let accepted: usize = thread::scope(|scope| {
                let put = |_| {
                    let producer = producer.clone();
                    scope.spawn(move || (0..4).filter(|n| producer.try_put(*n).is_ok()).count())
                };
                let threads: Vec<_> = (0..3).map(put).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum()
            });
            assert_eq!((accepted, queue.len()), (capacity, capacity));
        }
    });
}

#[test]
fn d5_no_room_at_all_is_refused_early() {
    let panicked = catch_unwind(|| IterableQueue::<u8>::bounded(0)).unwrap_err();
    assert!(message(&*panicked).contains("capacity is 0"), "{}", message(&*panicked));
    let build =
        |capacity, attempts| support::backend::builder::<u8>().capacity(capacity).max_attempts(attempts).build();
    assert_eq!(build(0, 1).unwrap_err(), BuildError::ZeroCapacity);
    assert_eq!(build(1, 0).unwrap_err(), BuildError::ZeroMaxAttempts);
    assert_eq!(build(1, 1).unwrap().capacity(), Some(1));
    assert_eq!(IterableQueue::<u8>::unbounded().capacity(), None);
}

#[test]
fn d5_a_huge_capacity_allocates_nothing_ahead() {
    for capacity in [1 << 40, usize::MAX / 2, usize::MAX] {
        let (producer, mut consumer) = support::backend::builder().capacity(capacity).build().unwrap().split().unwrap();
        (0..1000).for_each(|n| producer.try_put([n; 16]).unwrap());
        let permit = producer.reserve().now_or_never().unwrap().unwrap();
        permit.put([1000; 16]).unwrap();
        drop(producer);
        assert!(consumer.iter().map(|item| item[0]).eq(0..=1000));
    }
}

#[test]
fn d5_a_capacity_that_is_counted_is_exact_too() {
    // Too large to be allocated ahead, small enough to be filled.
    let queue = support::backend::builder().capacity(2000).build().unwrap();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let fill = || (0..).take_while(|_| producer.try_put([0u64; 100]).is_ok()).count();
    assert_eq!(fill(), 2000);
    assert!(consumer.try_get().is_ok());
    assert_eq!((fill(), queue.len()), (1, 2000));
}

#[test]
fn d5_zero_sized_items_work() {
    for queue in [
        support::backend::builder().capacity(1).build().unwrap(),
        support::backend::builder().capacity(3).build().unwrap(),
        support::backend::builder().capacity(usize::MAX / 2).build().unwrap(),
    ] {
        let capacity = queue.capacity().unwrap();
        let (producer, mut consumer) = queue.split().unwrap();
        let accepted = (0..100).take_while(|_| producer.try_put(()).is_ok()).count();
        assert_eq!(accepted, capacity.min(100));
        consumer.try_lease().unwrap().requeue();
        drop(producer);
        assert_eq!(consumer.iter().count(), accepted);
    }
    let (producer, consumer) = support::backend::in_memory().split().unwrap();
    (0..100).for_each(|_| producer.try_put(()).unwrap());
    drop(producer);
    assert_eq!(consumer.into_iter().count(), 100);
}

const KIB32: usize = 32 * 1024;
type Large = [u8; KIB32];

// A function each, so that their copies are not on the stack all at once.
fn try_put(producer: &Producer<Large>, n: u8) {
    producer.try_put([n; KIB32]).expect("room");
}

fn wait_put(producer: &Producer<Large>, n: u8) {
    block_on(producer.put([n; KIB32])).expect("room");
}

fn put_child(item: &Item<Large>, n: u8) {
    item.put_child([n; KIB32]).expect("never waits");
}

fn get(consumer: &mut Consumer<Large>) -> u8 {
    consumer.blocking_get().expect("an item")[KIB32 / 2]
}

fn requeue(consumer: &mut Consumer<Large>) {
    consumer.try_lease().expect("an item").requeue();
}

fn work(consumer: &mut Consumer<Large>, child: u8) -> u8 {
    let item = consumer.try_lease().expect("an item");
    put_child(&item, child);
    let n = item[KIB32 - 1];
    item.ack();
    n
}

#[test]
fn d5_32_kib_items_fit_on_a_threads_stack() {
    within_watchdog(|| {
        for capacity in [Some(1), Some(1024), None] {
            // What a thread gets unless told otherwise.
            let thread = thread::Builder::new().stack_size(2 * 1024 * 1024);
            let working = thread.spawn(move || {
                let queue = match capacity {
                    Some(capacity) => support::backend::builder().capacity(capacity).build().unwrap(),
                    None => support::backend::in_memory(),
                };
                let (producer, mut consumer) = queue.split().unwrap();
                for n in 0..40 {
                    if n % 2 == 0 {
                        try_put(&producer, n)
                    } else {
                        wait_put(&producer, n)
                    }
                    requeue(&mut consumer);
                    assert_eq!((work(&mut consumer, n + 1), get(&mut consumer)), (n, n + 1));
                }
            });
            working.unwrap().join().unwrap();
        }
    });
}

#[test]
fn d5_permits_count_as_room_in_use() {
    let queue = support::backend::builder().capacity(2).build().unwrap();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let reserve = || producer.reserve().now_or_never();
    let first = reserve().unwrap().unwrap();
    producer.try_put(1).unwrap();
    assert!(producer.try_put(9).unwrap_err().is_full());
    assert!(queue.is_full() && queue.len() == 1);
    assert!(reserve().is_none());
    first.put(2).unwrap();
    assert!(producer.try_put(9).unwrap_err().is_full());
    assert_eq!(consumer.try_get(), Ok(1));
    let unused = reserve().unwrap().unwrap();
    assert!(producer.try_put(9).unwrap_err().is_full());
    drop(unused);
    producer.try_put(3).unwrap();
    assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn d5_a_permit_that_is_given_back_leaves_the_others_their_room() {
    let (producer, mut consumer) = support::backend::builder().capacity(2).build().unwrap().split().unwrap();
    let reserve = || producer.reserve().now_or_never().unwrap().unwrap();
    let (kept, given_back) = (reserve(), reserve());
    drop(given_back);
    producer.try_put(1).unwrap();
    assert!(producer.try_put(9).unwrap_err().is_full());
    kept.put(2).unwrap();
    assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn d5_a_dropped_permit_wakes_a_waiting_put() {
    let (producer, mut consumer) = support::backend::builder().capacity(1).build().unwrap().split().unwrap();
    let permit = producer.reserve().now_or_never().unwrap().unwrap();
    let task = Task::new();
    let mut put = Box::pin(producer.put(1));
    assert!(task.poll(put.as_mut()).is_pending());
    drop(permit);
    assert_eq!(task.wakes(), 1);
    assert_eq!(task.poll(put.as_mut()), Poll::Ready(Ok(())));
    assert_eq!(consumer.try_get(), Ok(1));
}

#[test]
fn d5_a_permits_put_never_waits() {
    // Also where the buffer has been filled by others since: reservations that overlap with puts.
    within_watchdog(|| {
        for _ in 0..300 {
            let queue = support::backend::builder().capacity(2).build().unwrap();
            let (producer, other) = (queue.producer().unwrap(), queue.producer().unwrap());
            let mut consumer = queue.consumer().unwrap();
            let racing = thread::spawn(move || (0..4).filter(|_| other.try_put(0).is_ok()).count());
            let permit = producer.reserve().now_or_never();
            let reserved = permit.map(|permit| permit.unwrap().put(1).unwrap()).is_some();
            let raced = racing.join().unwrap();
            assert!(raced + usize::from(reserved) >= 2, "{raced} puts and no room");
            assert_eq!(consumer.try_iter().filter(|n| *n == 1).count(), usize::from(reserved));
        }
    });
}

#[test]
fn d6_a_permit_fails_only_at_the_end_and_with_the_item() {
    let queue = support::backend::builder().capacity(1).build().unwrap();
    let (mut producer, _consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let permit = producer.reserve().now_or_never().unwrap().unwrap();
    queue.seal();
    producer.close();
    permit.put(1).unwrap();

    let queue = support::backend::builder().capacity(1).build().unwrap();
    let (producer, _consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let permit = producer.reserve().now_or_never().unwrap().unwrap();
    assert_eq!(queue.abort(), [0; 0]);
    assert_eq!(permit.put(1), Err(PutError::new(1, Refusal::Aborted)));
}

#[test]
fn d12_timeouts_hand_the_item_back_and_leave_nothing_behind() {
    let queue = support::backend::builder().capacity(1).build().unwrap();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    for timeout in [Duration::ZERO, Duration::from_millis(3)] {
        assert_eq!(consumer.blocking_get_timeout(timeout), Err(GetTimeoutError::Timeout));
        producer.try_put(1).unwrap();
        assert_eq!(producer.blocking_put_timeout(2, timeout), Err(PutTimeoutError::Timeout(2)));
        let snapshot = queue.snapshot();
        assert_eq!((snapshot.waiting_gets, snapshot.waiting_puts, snapshot.buffered), (0, 0, 1));
        assert_eq!(consumer.blocking_get_timeout(timeout), Ok(1));
        producer.blocking_put_timeout(3, timeout).unwrap();
        assert_eq!(consumer.try_get(), Ok(3));
    }
    drop(producer);
    queue.seal();
    assert_eq!(consumer.blocking_get_timeout(Duration::MAX), Err(GetTimeoutError::Ended));
}

#[test]
fn d5_a_thread_waits_for_the_room_that_it_reserves() {
    within_watchdog(|| {
        let queue = support::backend::builder().capacity(1).build().unwrap();
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.try_put(1).unwrap();
        let reserving = thread::spawn({
            let producer = producer.clone();
            move || producer.blocking_reserve()
        });
        until(|| queue.snapshot().waiting_puts == 1);
        assert_eq!(consumer.try_get(), Ok(1));
        let permit = reserving.join().unwrap().unwrap();
        assert!(producer.try_put(2).unwrap_err().is_full(), "the room is kept");
        permit.put(3).unwrap();
        assert_eq!(consumer.try_get(), Ok(3));
        drop(queue.abort());
        assert_eq!(producer.blocking_reserve().unwrap_err(), Refusal::Aborted);
    });
}
