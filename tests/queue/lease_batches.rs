//! Batches of leases: they wait for more, but not where no more can come. Those that wait have an hour.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use actix_iterable_queue::error::TryGetError;
use actix_iterable_queue::{Backoff, Batch, Consumer, IterableQueue, Producer, State};
use futures::FutureExt;
use futures::executor::block_on;
use support::{Lcg, Task, assert_conserved, backend, panic_of, until, within_watchdog};

const HOUR: Duration = Duration::from_secs(3600);
const MOMENT: Duration = Duration::from_millis(2);

fn open() -> (IterableQueue<u32>, Producer<u32>, Consumer<u32>) {
    let queue = backend::in_memory();
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    (queue, producer, consumer)
}

/// A sealed queue with 0..n in it, and no producer.
fn tail(n: u32) -> (IterableQueue<u32>, Consumer<u32>) {
    let (queue, producer, consumer) = open();
    producer.blocking_put_all(0..n).unwrap();
    queue.seal();
    (queue, consumer)
}

fn items(batch: &Batch<u32>) -> Vec<u32> {
    batch.iter().map(|item| **item).collect()
}

fn attempts(batch: &Batch<u32>) -> Vec<u32> {
    batch.iter().map(|item| item.attempt()).collect()
}

#[test]
fn d14_a_full_batch_does_not_wait() {
    let (queue, producer, mut consumer) = open();
    producer.blocking_put_all(0..7).unwrap();
    let first = consumer.lease_batch(3, HOUR).now_or_never().unwrap();
    let second = consumer.blocking_lease_batch(3, HOUR);
    assert_eq!((items(&first), items(&second)), (vec![0, 1, 2], vec![3, 4, 5]));
    assert_eq!((queue.len(), queue.snapshot().leased), (1, 6));
    first.ack();
    second.ack();
    assert_eq!(queue.snapshot().totals.acked, 6);
}

#[test]
fn d14_without_a_time_to_linger_a_batch_is_what_is_there() {
    let (queue, producer, mut consumer) = open();
    producer.blocking_put_all(0..2).unwrap();
    let batch = consumer.lease_batch(3, Duration::ZERO).now_or_never().unwrap();
    assert_eq!(items(&batch), [0, 1]);
    batch.ack();
    producer.blocking_put_all(2..4).unwrap();
    let batch = consumer.blocking_lease_batch(3, Duration::ZERO);
    assert_eq!(items(&batch), [2, 3]);
    batch.ack();
    assert_eq!(queue.state(), State::Open);
}

/// Nobody puts again, and the queue is not sealed: only the time ends it.
#[test]
fn d14_a_batch_that_stays_small_is_handed_out_when_its_time_is_over() {
    within_watchdog(|| {
        let queue = backend::unbounded();
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        for n in 0..3 {
            producer.blocking_put(n).unwrap();
            let batch = if n == 1 {
                consumer.blocking_lease_batch(9, MOMENT)
            } else {
                block_on(consumer.lease_batch(9, MOMENT)) // an executor without a clock
            };
            assert_eq!(items(&batch), [n]);
            batch.ack();
        }
        backend::soon(|| queue.snapshot().totals.acked, 3);
    });
}

/// The time begins with the first member.
#[test]
fn d14_a_batch_waits_for_its_first_member_without_a_limit() {
    within_watchdog(|| {
        let (_queue, producer, mut consumer) = open();
        let task = Task::new();
        let mut batch = pin!(consumer.lease_batch(2, Duration::from_nanos(1)));
        assert!(task.poll(batch.as_mut()).is_pending());
        thread::sleep(MOMENT);
        assert!(task.poll(batch.as_mut()).is_pending());
        assert_eq!(task.wakes(), 0);
        producer.try_put(1).unwrap();
        assert_eq!(items(&block_on(batch)), [1]);
    });
}

#[test]
fn d14_the_tail_of_a_sealed_queue_does_not_wait_for_more() {
    within_watchdog(|| {
        for blocking in [false, true] {
            let (queue, mut consumer) = tail(5);
            let mut lease = || match blocking {
                false => consumer.lease_batch(2, HOUR).now_or_never().unwrap(),
                true => consumer.blocking_lease_batch(2, HOUR),
            };
            for expected in [&[0, 1][..], &[2, 3], &[4]] {
                let batch = lease();
                assert_eq!(items(&batch), expected);
                batch.ack();
            }
            assert_eq!((lease().len(), lease().len()), (0, 0), "it has ended, and stays ended");
            assert_eq!((queue.state(), queue.snapshot().totals.acked), (State::Drained, 5));
        }
    });
}

#[test]
fn d14_a_batch_that_waits_is_woken_when_the_last_producer_closes() {
    for shut_down in [false, true] {
        let (queue, producer, mut consumer) = open();
        let task = Task::new();
        producer.try_put(1).unwrap();
        let batch = {
            let mut batch = pin!(consumer.lease_batch(9, HOUR));
            assert!(task.poll(batch.as_mut()).is_pending());
            producer.try_put(2).unwrap();
            assert_eq!(task.wakes(), 1, "of a put");
            assert!(task.poll(batch.as_mut()).is_pending());
            if shut_down {
                assert!(queue.shutdown(HOUR).now_or_never().is_none());
            } else {
                queue.seal();
                assert_eq!(task.wakes(), 1);
                drop(producer);
            }
            assert_eq!(task.wakes(), 2, "of the end of all puts");
            task.poll(batch.as_mut())
        };
        let Poll::Ready(batch) = batch else { panic!("it waits for more") };
        assert_eq!(items(&batch), [1, 2]);
        batch.ack();
        assert_eq!(queue.state(), State::Drained);
    }
}

/// Two futures of one task, or of two: the first is not settled before the second has ended.
#[test]
fn d14_two_batches_that_wait_for_each_other_both_end() {
    let (queue, producer, mut one) = open();
    let mut other = queue.consumer().unwrap();
    let (first, second) = (Task::new(), Task::new());
    let mut batches = (pin!(one.lease_batch(9, HOUR)), pin!(other.lease_batch(9, HOUR)));
    producer.try_put(0).unwrap();
    assert!(first.poll(batches.0.as_mut()).is_pending());
    producer.try_put(1).unwrap();
    assert!(second.poll(batches.1.as_mut()).is_pending()); // it looks before the one that was woken
    assert!(first.poll(batches.0.as_mut()).is_pending());
    let woken = (first.wakes(), second.wakes());
    drop(producer);
    assert_eq!((first.wakes(), second.wakes()), woken, "it is not sealed");
    queue.seal();
    assert_eq!((first.wakes(), second.wakes()), (woken.0 + 1, woken.1 + 1));
    let (Poll::Ready(a), Poll::Ready(b)) = (first.poll(batches.0), second.poll(batches.1)) else {
        panic!("they wait for each other")
    };
    assert_eq!((items(&a), items(&b)), (vec![0], vec![1]));
    a.ack();
    b.ack();
    assert_eq!(queue.state(), State::Drained);
}

#[test]
fn d14_two_threads_share_the_tail_and_do_not_wait_for_each_other() {
    within_watchdog(|| {
        for _ in 0..200 {
            let (queue, producer, consumer) = open();
            let threads = [consumer.clone(), consumer].map(|mut consumer| {
                thread::spawn(move || {
                    let mut sum = 0;
                    loop {
                        let batch = consumer.blocking_lease_batch(4, HOUR);
                        if batch.is_empty() {
                            return sum;
                        }
                        sum += items(&batch).iter().sum::<u32>();
                        batch.ack();
                    }
                })
            });
            producer.blocking_put_all(0..10).unwrap();
            queue.seal();
            drop(producer);
            assert_eq!(threads.map(|thread| thread.join().unwrap()).iter().sum::<u32>(), 45);
            assert_eq!(queue.snapshot().totals.acked, 10);
        }
    });
}

/// What is leased elsewhere may come back, so the batch waits for it.
#[test]
fn d14_an_item_that_fails_elsewhere_comes_to_the_batch_that_waits() {
    let (queue, mut consumer) = tail(3);
    let mut other = consumer.clone();
    let task = Task::new();
    let (held, also_held) = (other.try_lease().unwrap(), other.try_lease().unwrap());
    let mut batch = pin!(consumer.lease_batch(9, HOUR));
    assert!(task.poll(batch.as_mut()).is_pending());
    held.fail("busy");
    assert_eq!(task.wakes(), 1);
    assert!(task.poll(batch.as_mut()).is_pending(), "one is still held");
    also_held.ack();
    assert_eq!(task.wakes(), 2, "now no more can come");
    let Poll::Ready(batch) = task.poll(batch) else { panic!("it waits for more") };
    assert_eq!((items(&batch), attempts(&batch)), (vec![2, 0], vec![1, 2]));
    batch.ack();
    assert_eq!(queue.state(), State::Drained);
}

/// One that does not linger has its items in hand at once, and these may come back.
#[test]
fn d14_a_batch_that_does_not_wait_does_not_stop_one_that_does() {
    let (queue, mut consumer) = tail(3);
    let (mut other, mut third) = (consumer.clone(), consumer.clone());
    let task = Task::new();
    let (held, also_held) = (other.try_lease().unwrap(), other.try_lease().unwrap());
    let mut batch = pin!(consumer.lease_batch(9, HOUR));
    assert!(task.poll(batch.as_mut()).is_pending());
    also_held.ack();
    held.fail("busy");
    let at_once = third.lease_batch(9, Duration::ZERO).now_or_never().unwrap();
    assert_eq!(items(&at_once), [0]);
    assert!(task.poll(batch.as_mut()).is_pending(), "the one that is held may come back");
    at_once.fail("busy");
    let Poll::Ready(batch) = task.poll(batch) else { panic!("now no more can come") };
    assert_eq!((items(&batch), attempts(&batch)), (vec![2, 0], vec![1, 3]));
    batch.ack();
    assert_eq!(queue.state(), State::Drained);
}

#[test]
fn d14_a_batch_waits_for_what_is_delayed() {
    within_watchdog(|| {
        let (queue, mut consumer) = tail(2);
        consumer.try_lease().unwrap().retry_after(MOMENT, "busy");
        let batch = consumer.blocking_lease_batch(9, HOUR);
        assert_eq!((items(&batch), attempts(&batch)), (vec![1, 0], vec![1, 2]));
        batch.ack();
        assert_eq!(queue.state(), State::Drained);
    });
}

/// Nobody else waits: the batch itself has to be woken when the item is due. The item is delayed before, or while it waits.
#[test]
fn d14_a_batch_that_waits_alone_is_woken_for_a_delayed_item() {
    within_watchdog(|| {
        for (before, by_default) in [(true, false), (false, false), (false, true)] {
            let (producer, mut consumer) = IterableQueue::unbounded().split().unwrap();
            let mut other = consumer.clone();
            producer.blocking_put_all(0..2).unwrap();
            drop(producer);
            let task = Task::new();
            let fails = other.try_lease().unwrap();
            let give_back = || match by_default {
                true => fails.fail("busy"),
                false => fails.retry_after(Duration::from_millis(5), "busy"),
            };
            let mut batch = Box::pin(consumer.lease_batch(9, HOUR));
            if before {
                give_back();
            } else {
                assert!(task.poll(batch.as_mut()).is_pending());
                give_back();
                assert_eq!(task.wakes(), 1, "it is to lead");
            }
            let batch = task.run(batch);
            assert_eq!((items(&batch), attempts(&batch)), (vec![1, 0], vec![1, 2]));
            batch.ack();
            assert_eq!(other.try_lease().unwrap_err(), TryGetError::Ended);
        }
    });
}

#[test]
fn d14_of_batches_that_wait_one_gets_a_delayed_item_and_then_all_end() {
    within_watchdog(|| {
        for blocking in [[true, true], [false, false], [true, false]] {
            let (queue, producer, mut giver) = open();
            let consumers = [giver.clone(), giver.clone()];
            producer.blocking_put_all(0..3).unwrap();
            let fails = giver.try_lease().unwrap();
            let mut blocking = blocking.into_iter();
            let threads = consumers.map(|mut consumer| {
                let blocking = blocking.next().unwrap();
                thread::spawn(move || {
                    let batch = match blocking {
                        true => consumer.blocking_lease_batch(9, HOUR),
                        false => block_on(consumer.lease_batch(9, HOUR)),
                    };
                    let members: Vec<_> = items(&batch).into_iter().zip(attempts(&batch)).collect();
                    batch.ack(); // the other one may have no member, and waits for this
                    members
                })
            });
            until(|| queue.snapshot().leased == 3);
            queue.seal();
            drop(producer);
            fails.retry_after(Duration::from_millis(5), "busy");
            let mut all = threads.map(|thread| thread.join().unwrap()).concat();
            all.sort();
            assert_eq!(all, [(0, 2), (1, 1), (2, 1)]);
            assert_eq!(queue.state(), State::Drained);
        }
    });
}

/// The one that was to be woken when the item is due goes away, and its member comes to the other, too.
#[test]
fn d14_a_batch_that_leads_and_is_dropped_leaves_the_delayed_item_to_another() {
    within_watchdog(|| {
        for looks in [false, true] {
            let (queue, producer, mut giver) = open();
            let (mut first, mut second) = (giver.clone(), giver.clone());
            let (task, waiting) = (Task::new(), Task::new());
            producer.blocking_put_all(0..2).unwrap();
            let fails = giver.try_lease().unwrap();
            let mut leading = Box::pin(first.lease_batch(9, HOUR));
            let mut following = Box::pin(second.lease_batch(9, HOUR));
            assert!(task.poll(leading.as_mut()).is_pending());
            assert!(waiting.poll(following.as_mut()).is_pending());
            queue.seal();
            drop(producer);
            fails.retry_after(Duration::from_millis(50), "busy");
            assert_eq!((task.wakes(), waiting.wakes()), (1, 0), "the first is to lead");
            if looks && task.poll(leading.as_mut()).is_ready() {
                continue; // the machine has stalled until the item was due
            }
            drop(leading);
            assert!(waiting.wakes() > 0, "of the member");
            let batch = waiting.run(following);
            assert_eq!((items(&batch), attempts(&batch)), (vec![1, 0], vec![1, 2]));
            batch.ack();
            assert_eq!(queue.state(), State::Drained);
        }
    });
}

/// One of the leases that hold off the end is not in a batch that waits, so nobody knows what comes of it.
#[test]
fn d14_a_batch_waits_for_one_that_was_handed_out_before() {
    let (queue, mut consumer) = tail(2);
    let task = Task::new();
    let first = consumer.lease_batch(1, HOUR).now_or_never().unwrap();
    {
        let mut batch = pin!(consumer.lease_batch(9, HOUR));
        assert!(task.poll(batch.as_mut()).is_pending());
        first.fail("busy");
        let Poll::Ready(batch) = task.poll(batch) else { panic!("it waits for more") };
        assert_eq!((items(&batch), attempts(&batch)), (vec![1, 0], vec![1, 2]));
        batch.ack();
    }
    assert_eq!(queue.state(), State::Drained);
}

#[test]
fn d14_a_batch_that_is_dropped_while_it_waits_gives_its_members_back_uncounted() {
    let (_queue, producer, mut consumer) = open();
    let mut other = consumer.clone();
    let (task, waiting) = (Task::new(), Task::new());
    producer.blocking_put_all(0..3).unwrap();
    let mut lease = pin!(other.lease());
    {
        let mut batch = pin!(consumer.lease_batch(9, HOUR));
        assert!(task.poll(batch.as_mut()).is_pending());
        assert!(waiting.poll(lease.as_mut()).is_pending());
    }
    assert_eq!(waiting.wakes(), 1);
    let Poll::Ready(Some(item)) = waiting.poll(lease) else { panic!("it was woken for one") };
    assert_eq!((*item, item.attempt()), (0, 1));
    item.ack();
    let rest = consumer.lease_batch(2, HOUR).now_or_never().unwrap();
    assert_eq!((items(&rest), attempts(&rest)), (vec![1, 2], vec![1, 1]));
    rest.ack();
}

/// A dropped batch was the only one that another one waited for.
#[test]
fn d14_a_dropped_batch_comes_to_one_that_waits() {
    let (queue, mut consumer) = tail(2);
    let mut other = consumer.clone();
    let (task, waiting) = (Task::new(), Task::new());
    let held = other.try_lease().unwrap();
    let mut batch = pin!(other.lease_batch(9, HOUR));
    {
        let mut dropped = pin!(consumer.lease_batch(9, HOUR));
        assert!(task.poll(dropped.as_mut()).is_pending());
        assert!(waiting.poll(batch.as_mut()).is_pending());
    }
    assert!(waiting.poll(batch.as_mut()).is_pending(), "it has one by now, and another is held");
    held.ack();
    let Poll::Ready(batch) = waiting.poll(batch) else { panic!("it waits for more") };
    assert_eq!((items(&batch), attempts(&batch)), (vec![1], vec![1]));
    batch.ack();
    assert_eq!(queue.state(), State::Drained);
}

#[test]
fn d6_a_batch_that_is_dropped_before_its_first_member_passes_its_wake_up_on() {
    let (_queue, producer, mut consumer) = open();
    let mut other = consumer.clone();
    let (task, waiting) = (Task::new(), Task::new());
    let mut lease = pin!(other.lease());
    {
        let mut batch = pin!(consumer.lease_batch(9, HOUR));
        assert!(task.poll(batch.as_mut()).is_pending());
        assert!(waiting.poll(lease.as_mut()).is_pending());
        producer.try_put(0).unwrap();
        assert_eq!((task.wakes(), waiting.wakes()), (1, 0));
    }
    assert_eq!(waiting.wakes(), 1);
    let Poll::Ready(Some(item)) = waiting.poll(lease) else { panic!("it was woken for one") };
    item.ack();
}

#[test]
fn d6_a_dropped_batch_passes_its_wake_up_on() {
    let (_queue, producer, mut consumer) = open();
    let mut other = consumer.clone();
    let (task, waiting) = (Task::new(), Task::new());
    producer.try_put(0).unwrap();
    let mut lease = pin!(other.lease());
    {
        let mut batch = pin!(consumer.lease_batch(9, HOUR));
        assert!(task.poll(batch.as_mut()).is_pending());
        assert!(waiting.poll(lease.as_mut()).is_pending());
        producer.try_put(1).unwrap();
        assert_eq!((task.wakes(), waiting.wakes()), (1, 0));
    }
    assert_eq!(waiting.wakes(), 1);
    let Poll::Ready(Some(item)) = waiting.poll(lease) else { panic!("it was woken for one") };
    item.ack();
    consumer.try_lease().unwrap().ack();
}

#[test]
fn d8_an_abort_ends_the_wait_and_an_ack_after_it_counts() {
    let (queue, producer, mut consumer) = open();
    let task = Task::new();
    producer.blocking_put_all(0..2).unwrap();
    let mut batch = pin!(consumer.lease_batch(9, HOUR));
    assert!(task.poll(batch.as_mut()).is_pending());
    assert!(queue.abort().is_empty());
    assert_eq!(task.wakes(), 1);
    let Poll::Ready(batch) = task.poll(batch) else { panic!("it waits for more") };
    batch.ack();
    assert_eq!(queue.snapshot().totals.acked, 2);
}

/// A batch that had not been handed over when the queue was aborted.
#[test]
fn d8_what_a_dropped_batch_held_at_an_abort_is_left() {
    let (queue, producer, mut consumer) = open();
    let task = Task::new();
    producer.blocking_put_all(0..2).unwrap();
    {
        let mut batch = pin!(consumer.lease_batch(9, HOUR));
        assert!(task.poll(batch.as_mut()).is_pending());
        assert!(queue.abort().is_empty());
        assert!(queue.settled().now_or_never().is_none());
    }
    assert!(queue.settled().now_or_never().is_some());
    assert_eq!(queue.take_left(), [0, 1]);
    assert_eq!(queue.snapshot().totals.discarded, 2);
}

/// What an item failed of before is not forgotten by a batch that is dropped.
#[test]
fn d3_a_member_of_a_dropped_batch_keeps_its_history() {
    let (queue, producer, mut consumer) = open();
    producer.try_put(0).unwrap();
    consumer.blocking_lease_batch(1, HOUR).fail("busy");
    assert!(consumer.lease_batch(9, HOUR).now_or_never().is_none());
    consumer.blocking_lease_batch(1, HOUR).reject("bad");
    let letter = queue.dead_letters().unwrap().try_get().unwrap();
    assert_eq!((letter.attempts, letter.history.len(), &*letter.history[0].reason), (2, 1, "busy"));
}

#[test]
fn d10_a_batch_that_would_wait_on_an_arbiter_panics_and_gives_its_members_back_uncounted() {
    let system = actix_rt::System::new();
    system.block_on(async {
        let (queue, producer, mut consumer) = open();
        producer.blocking_put_all(0..2).unwrap();
        let full = consumer.blocking_lease_batch(2, HOUR);
        full.release();
        let panic = panic_of(|| consumer.blocking_lease_batch(9, HOUR));
        assert!(panic.contains("use lease_batch(max, linger).await"), "{panic}");
        assert_eq!((queue.len(), consumer.try_lease().unwrap().attempt()), (2, 1));
    });
}

#[test]
fn a_batch_of_leases_of_0_panics() {
    let mut consumer = IterableQueue::<u8>::unbounded().consumer().unwrap();
    let panic = panic_of(|| consumer.blocking_lease_batch(0, HOUR));
    assert_eq!(panic, "Consumer::blocking_lease_batch: max is 0: give at least 1");
    let panic = panic_of(|| consumer.lease_batch(0, HOUR).now_or_never());
    assert_eq!(panic, "Consumer::lease_batch: max is 0: give at least 1");
}

#[test]
fn d3_a_batch_is_settled_as_a_whole() {
    let queue = backend::builder().max_attempts(2).build().unwrap();
    let mut letters = queue.dead_letters().unwrap();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.blocking_put_all(0..2).unwrap();
    let mut lease = |attempt| {
        let batch = consumer.blocking_lease_batch(2, HOUR);
        assert_eq!((items(&batch), attempts(&batch)), (vec![0, 1], vec![attempt; 2]));
        batch
    };
    lease(1).release();
    lease(1).release_after(MOMENT);
    drop(lease(1));
    lease(2).release();
    lease(2).fail("busy");
    for item in 0..2 {
        let letter = letters.try_get().unwrap();
        assert_eq!((letter.item, letter.attempts, letter.error.as_deref()), (item, 2, Some("busy")));
    }
    producer.blocking_put_all(0..2).unwrap();
    consumer.blocking_lease_batch(2, HOUR).retry_after(MOMENT, "later");
    consumer.blocking_lease_batch(2, HOUR).reject("no such address");
    assert_eq!(letters.blocking_get().unwrap().reason, "no such address");
    assert_eq!(queue.snapshot().totals.dead_lettered, 4);
}

#[test]
fn d3_each_member_of_a_batch_is_a_lease_of_its_own() {
    let (queue, mut consumer) = tail(5);
    let mut batch = consumer.blocking_lease_batch(9, HOUR);
    assert_eq!(format!("{:?}", &batch[..1]), "[Item { value: 0, attempt: 1, .. }]");
    assert!(format!("{batch:?}").starts_with("Batch([Item { value: 0,"));
    *batch[2] = 7; // it comes back as its consumer left it
    assert_eq!((&batch).into_iter().len(), 5);
    for item in batch {
        match *item {
            0 => item.ack(),
            1 => assert_eq!(item.into_inner(), 1),
            7 => item.fail("busy"),
            3 => item.put_child(8).map(|()| item.ack()).unwrap(),
            _ => drop(item),
        }
    }
    assert_eq!(queue.snapshot().totals.acked, 2);
    let batch = consumer.blocking_lease_batch(9, HOUR);
    assert_eq!((items(&batch), attempts(&batch)), (vec![7, 4, 8], vec![2, 2, 1]));
    batch.ack();
    let totals = queue.snapshot().totals;
    assert_eq!((queue.state(), totals.acked, totals.taken, totals.redelivered), (State::Drained, 5, 1, 2));
}

/// All at once: batches that wait, and are dropped, and fail in part, on threads and as futures.
#[test]
fn c6_every_item_is_accounted_for_exactly() {
    const ITEMS: u32 = 1_000;
    within_watchdog(|| {
        for round in 0..backend::rounds(20) as u64 {
            let builder = IterableQueue::builder().capacity(16).unlimited_attempts();
            let backoff = Backoff::exponential(Duration::from_micros(50), MOMENT);
            let queue = backend::build(match round % 2 {
                0 => builder.no_redelivery_backoff(),
                _ => builder.redelivery_backoff(backoff),
            });
            let producers = [0, 1].map(|half| {
                let producer = queue.producer().unwrap();
                thread::spawn(move || producer.blocking_put_all((0..ITEMS).filter(|n| n % 2 == half)).unwrap())
            });
            let acked = Arc::new(AtomicU64::new(0));
            let consumers = [0, 1, 2].map(|number| {
                let (mut consumer, acked) = (queue.consumer().unwrap(), Arc::clone(&acked));
                thread::spawn(move || work(&mut consumer, Lcg::new(3 * round + number), &acked))
            });
            queue.seal();
            let put: usize = producers.map(|thread| thread.join().unwrap()).iter().sum();
            consumers.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!((put, acked.load(SeqCst)), (ITEMS as usize, u64::from(ITEMS)));
            backend::drained(&queue);
            backend::soon(|| queue.snapshot().totals.acked, u64::from(ITEMS));
            assert_conserved(&queue);
        }
    });
}

fn work(consumer: &mut Consumer<u32>, mut random: Lcg, acked: &AtomicU64) {
    loop {
        let max = 1 + random.below(9) as usize;
        // Over Redis the tail waits its time out.
        let linger = if backend::is_redis() { MOMENT } else { HOUR };
        let batch = match random.below(4) {
            0 => match consumer.lease_batch(max, linger).now_or_never() {
                Some(batch) => batch,
                None => continue, // dropped, maybe with members
            },
            1 => block_on(consumer.lease_batch(max, linger)),
            _ => consumer.blocking_lease_batch(max, linger),
        };
        if batch.is_empty() {
            return;
        }
        match random.below(5) {
            0 => batch.fail("busy"),
            1 => batch.release_after(Duration::from_micros(random.below(500))),
            2 => batch.into_iter().for_each(|item| match random.below(3) {
                0 => drop(item),
                1 => item.release(),
                _ => {
                    acked.fetch_add(1, SeqCst);
                    item.ack();
                }
            }),
            _ => {
                acked.fetch_add(batch.len() as u64, SeqCst);
                batch.ack();
            }
        }
    }
}
