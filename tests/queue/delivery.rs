//! D1 to D4: order, one holder at a time, and what comes back.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread;

use actix_iterable_queue::error::TryGetError;
use actix_iterable_queue::{Consumer, Item, IterableQueue, State};
use futures::FutureExt;
use support::backend::{self, Soon};
use support::{Lcg, Task, until, within_watchdog};

/// A queue with 0..n in it, and its consumer.
fn filled(n: u32) -> (IterableQueue<u32>, Consumer<u32>) {
    fill(backend::build(support::backend::builder().max_attempts(u32::MAX)), n)
}

/// For what is narrower over Redis.
fn filled_in_memory(n: u32) -> (IterableQueue<u32>, Consumer<u32>) {
    fill(support::backend::builder().max_attempts(u32::MAX).build().expect("a valid queue"), n)
}

fn fill(queue: IterableQueue<u32>, n: u32) -> (IterableQueue<u32>, Consumer<u32>) {
    let (producer, consumer) = (queue.producer().expect("open"), queue.consumer().expect("open"));
    (0..n).for_each(|n| producer.try_put(n).expect("room"));
    (queue, consumer)
}

fn lease_all(consumer: &mut Consumer<u32>) -> Vec<Item<u32>> {
    std::iter::from_fn(|| consumer.try_lease().ok()).collect()
}

fn order(consumer: &mut Consumer<u32>) -> Vec<u32> {
    consumer.try_iter().collect()
}

#[test]
fn d1_first_in_first_out() {
    for queue in [backend::bounded(1), backend::bounded(5), backend::unbounded()] {
        let (producer, mut consumer) = queue.split().unwrap();
        let mut expected = 0;
        for n in 0..200 {
            while let Err(error) = producer.try_put(n) {
                assert!(error.is_full());
                assert_eq!(consumer.soon_item(), expected);
                expected += 1;
            }
        }
        drop(producer);
        assert!(consumer.into_iter().eq(expected..200));
    }
}

#[test]
fn d1_one_endpoints_puts_keep_their_order_whatever_the_kind() {
    let (producer, mut consumer) = backend::bounded(4).split().unwrap();
    let permit = producer.reserve().now_or_never().unwrap().unwrap();
    producer.try_put(0).unwrap();
    backend::soon_ready(producer.put(1)).unwrap();
    permit.put(2).unwrap();
    producer.blocking_put(3).unwrap();
    assert_eq!(consumer.soon_items(4), [0, 1, 2, 3]);
}

#[test]
fn d1_returned_items_come_before_new_ones() {
    let (_queue, mut consumer) = filled_in_memory(4);
    let first = consumer.try_lease().unwrap();
    first.requeue();
    assert_eq!(order(&mut consumer), [0, 1, 2, 3]);
}

#[test]
fn d1_returned_items_of_one_consumer_keep_their_order() {
    let reversed: Vec<usize> = (0..6).rev().collect();
    let mut orders = vec![(0..6).collect(), reversed];
    let mut random = Lcg::new(7);
    // Any order of return.
    orders.extend((0..50).map(|_| {
        let mut order: Vec<usize> = (0..6).collect();
        (1..6).for_each(|n| order.swap(n, random.below(n as u64 + 1) as usize));
        order
    }));
    for returns in orders {
        let (_queue, mut consumer) = filled_in_memory(7);
        let mut held: Vec<_> = (0..6).map(|_| consumer.try_lease().ok()).collect();
        returns.iter().for_each(|n| drop(held[*n].take()));
        assert_eq!(order(&mut consumer), [0, 1, 2, 3, 4, 5, 6], "returned as {returns:?}");
    }
}

#[test]
fn d1_returns_of_several_consumers_keep_each_ones_order() {
    let mut random = Lcg::new(3);
    for _ in 0..100 {
        let (_queue, mut even) = filled_in_memory(9);
        let mut odd = even.clone();
        let mut held: Vec<_> =
            (0..8).map(|n| if n % 2 == 0 { even.try_lease().ok() } else { odd.try_lease().ok() }).collect();
        let mut left: Vec<usize> = (0..8).collect();
        while !left.is_empty() {
            let at = random.below(left.len() as u64) as usize;
            drop(held[left.swap_remove(at)].take());
        }
        let got = order(&mut even);
        let (evens, odds): (Vec<_>, Vec<_>) = got[..8].iter().partition(|n| *n % 2 == 0);
        assert_eq!((evens, odds, got[8]), (vec![0, 2, 4, 6], vec![1, 3, 5, 7], 8));
    }
}

#[test]
fn d1_a_second_return_keeps_the_order_too() {
    let (_queue, mut consumer) = filled_in_memory(3);
    for _ in 0..3 {
        let mut held = lease_all(&mut consumer);
        held.reverse();
        held.into_iter().for_each(drop);
    }
    let held = lease_all(&mut consumer);
    assert_eq!(held.iter().map(|item| (**item, item.attempt())).collect::<Vec<_>>(), [(0, 4), (1, 4), (2, 4)]);
    held.into_iter().for_each(|item| item.ack());
}

#[test]
fn d2_an_item_is_with_one_consumer_at_a_time_and_taken_once() {
    within_watchdog(|| {
        const ITEMS: usize = 400;
        let (_queue, consumer) = filled_in_memory(ITEMS as u32);
        let holders: Arc<Vec<_>> = Arc::new((0..ITEMS).map(|_| AtomicUsize::new(0)).collect());
        let takes: Arc<Vec<_>> = Arc::new((0..ITEMS).map(|_| AtomicUsize::new(0)).collect());
        let threads: Vec<_> = (0..4)
            .map(|seed| {
                let (mut consumer, holders, takes) = (consumer.clone(), Arc::clone(&holders), Arc::clone(&takes));
                thread::spawn(move || {
                    let mut random = Lcg::new(seed);
                    while let Ok(item) = consumer.try_lease() {
                        let at = *item as usize;
                        assert_eq!(holders[at].fetch_add(1, SeqCst), 0, "two hold {at}");
                        thread::yield_now();
                        holders[at].fetch_sub(1, SeqCst);
                        if random.below(3) == 0 {
                            takes[at].fetch_add(1, SeqCst);
                            item.ack();
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        // What the last to leave had just returned.
        consumer.into_iter().take(0).for_each(drop);
        assert!(takes.iter().all(|count| count.load(SeqCst) <= 1));
    });
}

#[test]
fn d2_without_failures_every_item_is_delivered_exactly_once() {
    let (queue, mut consumer) = filled(100);
    for n in 0..100 {
        let item = consumer.soon_lease();
        assert_eq!((*item, item.attempt()), (n, 1));
        item.ack();
    }
    assert!(consumer.try_lease().is_err());
    assert_eq!(queue.snapshot().totals.redelivered, 0);
}

#[test]
fn d3_attempts_are_counted_and_the_last_makes_a_dead_letter() {
    let queue = backend::unbounded();
    let letters = queue.dead_letters().unwrap();
    let (producer, mut consumer) = queue.split().unwrap();
    producer.try_put("worn".to_owned()).unwrap();
    drop(producer);
    for attempt in 1..=5 {
        let item = consumer.soon_lease();
        assert_eq!(item.attempt(), attempt);
        if attempt % 2 == 0 { item.requeue() } else { drop(item) }
    }
    consumer.soon_end();
    let letters: Vec<_> = letters.into_iter().collect();
    assert_eq!((letters.len(), &*letters[0].item, letters[0].attempts), (1, "worn", 5));
}

/// No `Clone`, no `Debug`, not `Sync`.
struct Plain(Cell<u8>);

#[test]
fn d3_a_lease_dropped_by_a_panic_comes_back_while_unwinding() {
    struct Looks<'a>(&'a IterableQueue<Plain>, &'a Cell<usize>);
    impl Drop for Looks<'_> {
        fn drop(&mut self) {
            assert!(thread::panicking());
            self.1.set(self.0.len());
        }
    }
    let queue = support::backend::in_memory();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.try_put(Plain(Cell::new(1))).unwrap();
    let seen = Cell::new(0);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _looks = Looks(&queue, &seen); // dropped after the lease
        let item = consumer.try_lease().unwrap();
        item.0.set(2);
        panic!("a handler fails");
    }));
    assert!(panicked.is_err());
    assert_eq!(seen.get(), 1, "it was back before the unwinding was over");
    let item = consumer.try_lease().unwrap();
    assert_eq!((item.attempt(), item.0.get()), (2, 2));
    item.ack();
}

#[test]
fn d3_every_way_to_lose_a_lease_returns_it() {
    let (queue, mut consumer) = filled(1);
    // an iterator dropped
    drop(consumer.blocking_leases().next());
    // a future dropped while it holds the lease
    let mut worker = consumer.clone();
    let mut working = Box::pin(async move {
        let _item = worker.lease().await;
        std::future::pending::<()>().await;
    });
    let holds = || (Task::new().poll(working.as_mut()).is_pending(), queue.snapshot().leased);
    backend::soon(holds, (true, 1));
    drop(working);
    // a thread that ends by a panic, with no runtime anywhere
    let mut other = consumer.clone();
    let thread = thread::spawn(move || {
        let item = other.blocking_lease();
        assert!(item.is_none(), "dies with the lease");
    });
    assert!(thread.join().is_err());
    // a channel dropped with the lease in it
    let (sender, receiver) = std::sync::mpsc::channel();
    sender.send(consumer.soon_lease()).unwrap();
    drop(receiver);
    assert_eq!(consumer.soon_lease().attempt(), 5);
    backend::soon(|| queue.snapshot().totals.redelivered, 5);
}

#[test]
fn d3_the_consumer_may_be_gone_when_its_lease_returns() {
    let (queue, mut consumer) = filled(1);
    let mut other = consumer.clone();
    let item = other.soon_lease();
    drop(other);
    assert_eq!(consumer.try_get(), Err(TryGetError::Empty));
    drop(item);
    assert_eq!((consumer.soon_item(), queue.state()), (0, State::Open));
}

#[test]
fn d3_dropping_a_lease_never_panics_even_if_the_items_drop_does() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("the drop of an item fails");
        }
    }
    // A lease after the end, and one that becomes a dead letter that nobody reads.
    for end in [true, false] {
        let queue = support::backend::builder().max_attempts(1).build().unwrap();
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.try_put(Bomb).unwrap();
        producer.try_put(Bomb).unwrap();
        let (quiet, unwinding) = (consumer.try_lease().unwrap(), consumer.try_lease().unwrap());
        if end {
            assert!(queue.abort().is_empty());
        }
        drop(quiet);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _held = unwinding;
            panic!("first panic");
        }));
        assert_eq!(support::message(&*panicked.unwrap_err()), "first panic");
        let totals = queue.snapshot().totals;
        assert_eq!(totals.discarded + totals.dead_lettered, 2);
    }
}

#[test]
fn d4_a_take_that_starts_after_a_put_finds_it() {
    within_watchdog(|| {
        for capacity in [1, 2, 64] {
            let queue = support::backend::builder().capacity(capacity).build().unwrap();
            let producers: Vec<_> = (0..2).map(|_| queue.producer().unwrap()).collect();
            let consumers: Vec<_> = (0..2).map(|_| queue.consumer().unwrap()).collect();
            let start = Arc::new(Barrier::new(2));
            let threads: Vec<_> = producers
                .into_iter()
                .zip(consumers)
                .map(|(producer, mut consumer)| {
                    let start = Arc::clone(&start);
                    thread::spawn(move || {
                        start.wait();
                        for n in 0..2000 {
                            // Each puts one, then takes one: there is always one for everybody.
                            until(|| producer.try_put(n).is_ok());
                            let got = if n % 2 == 0 { consumer.try_get().is_ok() } else { try_ack(&mut consumer) };
                            assert!(got, "a put was Ok before the buffer held it");
                        }
                    })
                })
                .collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!((queue.len(), queue.snapshot().totals.accepted), (0, 4000));
        }
    });
}

fn try_ack(consumer: &mut Consumer<i32>) -> bool {
    consumer.try_lease().map(|item| item.ack()).is_ok()
}
