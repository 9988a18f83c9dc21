//! The thread that keeps the time of `redelivery_backoff`: there only while items wait.
//!
//! It counts the threads of this process, so its tests run one at a time.
#![cfg(target_os = "linux")]

use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_iterable_queue::{Backoff, Consumer, Item, IterableQueue, Outcome, Producer};
use support::{hook, until, within_watchdog};

const LONG: Backoff = Backoff::exponential(Duration::from_secs(7200), Duration::from_secs(7200));
const SHORT: Backoff = Backoff::exponential(Duration::from_millis(2), Duration::from_millis(2));

/// The kernel keeps 15 characters of the name `queue-redelivery`.
fn timers() -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("this is Linux");
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim_end() == "queue-redeliver").count()
}

fn one_at_a_time() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn filled(n: u32, backoff: Backoff) -> (IterableQueue<u32>, Producer<u32>, Consumer<u32>) {
    let queue = IterableQueue::builder().max_attempts(u32::MAX).redelivery_backoff(backoff).build().expect("valid");
    let (producer, consumer) = (queue.producer().expect("open"), queue.consumer().expect("open"));
    (0..n).for_each(|n| producer.try_put(n).expect("room"));
    (queue, producer, consumer)
}

#[test]
fn there_is_none_without_failures_and_one_however_many_items_wait() {
    let _turn = one_at_a_time();
    within_watchdog(|| {
        let (queue, _producer, mut consumer) = filled(50, LONG);
        consumer.try_lease().unwrap().ack();
        consumer.try_lease().unwrap().reject("bad");
        assert_eq!(timers(), 0);
        consumer.try_lease().unwrap().requeue();
        until(|| timers() == 1);
        std::iter::from_fn(|| consumer.try_lease().ok()).for_each(drop);
        assert_eq!((queue.snapshot().delayed, timers()), (48, 1));
        assert_eq!(queue.abort().len(), 48);
        until(|| timers() == 0);
    });
}

/// It needs no thread, so it comes back within the call.
#[test]
fn there_is_none_for_a_backoff_of_zero() {
    let _turn = one_at_a_time();
    within_watchdog(|| {
        let day = Duration::from_secs(24 * 3600);
        for backoff in [(Duration::ZERO, Duration::ZERO), (Duration::ZERO, day), (day, Duration::ZERO)] {
            let (queue, _producer, mut consumer) = filled(1, Backoff::exponential(backoff.0, backoff.1));
            for attempt in 1..300 {
                let item = consumer.try_lease().unwrap();
                assert_eq!(item.attempt(), attempt);
                item.requeue();
                assert_eq!(queue.snapshot().delayed, 0);
            }
        }
        assert_eq!(timers(), 0);
    });
}

/// Also less than the coarse clock can tell.
#[test]
fn a_backoff_of_less_than_a_millisecond_ends() {
    let _turn = one_at_a_time();
    within_watchdog(|| {
        for nanos in [1, 2, 1_000, 999_999] {
            let wait = Duration::from_nanos(nanos);
            let (_queue, _producer, mut consumer) = filled(3, Backoff::exponential(wait, wait));
            for _ in 0..30 {
                consumer.blocking_lease().unwrap().requeue();
            }
            (0..3).for_each(|_| consumer.blocking_lease().unwrap().ack());
        }
        until(|| timers() == 0);
    });
}

#[test]
fn it_ends_when_nothing_waits_and_starts_again() {
    let _turn = one_at_a_time();
    within_watchdog(|| {
        let (queue, _producer, mut consumer) = filled(3, SHORT);
        for _ in 0..3 {
            let items: Vec<_> = (0..3).map(|_| consumer.blocking_lease().unwrap()).collect();
            drop(items);
            // A thread has its name a moment after it was started: look for the items first.
            until(|| queue.snapshot().delayed == 0);
            until(|| timers() == 0);
            assert_eq!(queue.len(), 3);
        }
    });
}

#[test]
fn it_ends_with_its_queue() {
    let _turn = one_at_a_time();
    within_watchdog(|| {
        // aborted
        let (queue, _producer, mut consumer) = filled(1, LONG);
        consumer.try_lease().unwrap().requeue();
        until(|| timers() == 1);
        assert_eq!(queue.abort(), [0]);
        until(|| timers() == 0);

        // aborted before, in or after its first look
        for _ in 0..200 {
            let (queue, _producer, mut consumer) = filled(1, LONG);
            consumer.try_lease().unwrap().requeue();
            assert_eq!(queue.abort(), [0]);
        }
        until(|| timers() == 0);

        // shut down
        let (queue, _producer, mut consumer) = filled(1, LONG);
        consumer.try_lease().unwrap().requeue();
        until(|| timers() == 1);
        assert_eq!(futures::executor::block_on(queue.shutdown(Duration::ZERO)).left, [0]);
        until(|| timers() == 0);

        // abandoned
        let (queue, producer, mut consumer) = filled(1, LONG);
        consumer.try_lease().unwrap().requeue();
        until(|| timers() == 1);
        queue.seal();
        drop((producer, consumer));
        assert_eq!(queue.blocking_drained().outcome, Outcome::Abandoned);
        until(|| timers() == 0);
    });
}

/// In whatever order they go, and also if the timer has not had its first look yet.
#[test]
fn it_does_not_outlive_the_last_handle() {
    let _turn = one_at_a_time();
    within_watchdog(|| {
        for order in 0..6 {
            for has_looked in [true, false] {
                let (queue, producer, mut consumer) = filled(2, LONG);
                consumer.try_lease().unwrap().requeue();
                if has_looked {
                    until(|| timers() == 1);
                }
                let mut handles: Vec<Box<dyn Send>> = vec![Box::new(queue), Box::new(producer), Box::new(consumer)];
                drop(handles.remove(order % 3));
                drop(handles.remove(order / 3));
                drop(handles);
                until(|| timers() == 0);
            }
        }
    });
}

/// The old item has to fail a dozen times to wait for seconds. A machine that stalls for as long
/// brings the others back no earlier, so it may try again.
#[test]
fn an_item_that_is_due_earlier_than_the_one_it_sleeps_for_comes_back_earlier() {
    let _turn = one_at_a_time();
    within_watchdog(|| {
        let come_back_earlier = || {
            let backoff = Backoff::exponential(Duration::from_millis(1), Duration::from_secs(7200));
            let (queue, producer, mut consumer) = filled(1, backoff);
            for _ in 0..12 {
                consumer.blocking_lease().unwrap().requeue();
            }
            // It waits for 1 to 2 seconds now.
            let failed = Instant::now();
            // The timer may not have had its first look before the first of these fails, but it has
            // before the second: it has brought the first one back.
            for n in 1..3 {
                producer.try_put(n).unwrap();
                consumer.try_lease().unwrap().requeue();
                consumer.blocking_lease().unwrap().ack();
            }
            failed.elapsed() < Duration::from_secs(1) && queue.abort() == [0]
        };
        assert!((0..3).any(|_| come_back_earlier()), "the timer sleeps for the later one");
    });
}

/// It wakes those who wait, and their wakers are foreign code.
#[test]
fn it_outlives_a_waker_that_panics() {
    let _turn = one_at_a_time();
    within_watchdog(|| {
        let backoff = Backoff::exponential(Duration::from_millis(1), Duration::from_secs(60));
        let (queue, _producer, mut consumer) = filled(2, backoff);
        let mut other = queue.consumer().unwrap();
        let soon = consumer.try_lease().unwrap();
        for _ in 0..8 {
            consumer.blocking_lease().unwrap().requeue();
        }
        // It sleeps for the other one when it wakes whoever waits for this.
        let wake = hook(|| panic!("a waker fails"));
        let mut lease = Box::pin(other.lease());
        assert!(lease.as_mut().poll(&mut Context::from_waker(&wake)).is_pending());
        soon.requeue();
        until(|| queue.snapshot().delayed == 0);
        drop(lease);
        assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [0, 1]);
        until(|| timers() == 0);
    });
}

#[test]
fn a_waker_may_come_back_to_the_queue() {
    let _turn = one_at_a_time();
    within_watchdog(|| {
        let (queue, _producer, mut consumer) = filled(1, SHORT);
        let (mut waits, mut takes) = (queue.consumer().unwrap(), queue.consumer().unwrap());
        let mut item = consumer.try_lease().unwrap();
        // It takes what has come back, and fails it again, on the timer's own thread.
        let wake = hook(move || takes.try_lease().into_iter().for_each(Item::requeue));
        let redelivered = || queue.snapshot().totals.redelivered;
        let before = loop {
            let before = redelivered() + 1;
            item.retry_after(Duration::from_millis(50), "it is not due before the other one waits");
            let mut lease = Box::pin(waits.lease());
            match lease.as_mut().poll(&mut Context::from_waker(&wake)) {
                Poll::Pending => {
                    until(|| redelivered() > before);
                    break before;
                }
                // The machine stalled for as long.
                Poll::Ready(again) => item = again.unwrap(),
            }
        };
        let item = consumer.blocking_lease().unwrap();
        assert_eq!((*item, item.attempt()), (0, 2 + before as u32));
        item.ack();
        until(|| timers() == 0);
    });
}
