//! D11: a waiter that takes while it parks keeps nobody else asleep.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::Context;
use std::thread;

use actix_iterable_queue::IterableQueue;
use futures::FutureExt;
use support::{Task, hook, until, within_watchdog};

/// What a getter or putter has waiting behind it when the race below is over.
type Behind = Arc<Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>>;

/// Runs `operation` while another thread makes its success possible, at about the same time.
fn race<R>(operation: impl Future<Output = R>, round: usize, make_possible: impl FnOnce() + Send) {
    let (ready, start) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            ready.store(true, SeqCst);
            until_spinning(&start);
            (0..round % 100).for_each(|_| std::hint::spin_loop());
            make_possible();
        });
        until_spinning(&ready);
        let (task, mut operation) = (Task::new(), pin!(operation));
        start.store(true, SeqCst);
        until(|| task.poll(operation.as_mut()).is_ready());
    });
}

fn until_spinning(flag: &AtomicBool) {
    // Spinning, so that both sides start close together; yielding where there are few cores.
    for turn in 1u32.. {
        if flag.load(SeqCst) {
            return;
        }
        if turn.is_multiple_of(1000) { thread::yield_now() } else { std::hint::spin_loop() }
    }
}

/// A getter looks, parks, looks again. What it finds then may have come before it parked, without
/// a notification. Should it be notified of another item before it has left the line, that
/// notification is not its own and must go on to the next.
#[test]
fn d11_a_getter_that_takes_while_it_parks_swallows_nobody_elses_wake_up() {
    within_watchdog(|| {
        for round in 0..800 {
            let queue = IterableQueue::bounded(1);
            let (producer, mut first) = (queue.producer().unwrap(), queue.consumer().unwrap());
            let permit = producer.reserve().now_or_never().unwrap().unwrap();
            let (task, behind) = (Arc::new(Task::new()), Behind::default());
            // This put waits for the permit's room, so `first` wakes it in the middle of its take.
            let (other, mut second) = (producer.clone(), queue.consumer().unwrap());
            let in_take = hook({
                let (task, behind) = (Arc::clone(&task), Arc::clone(&behind));
                move || {
                    let mut get: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
                        second.get().await;
                    });
                    assert!(task.poll(get.as_mut()).is_pending());
                    *behind.lock().unwrap() = Some(get);
                    other.try_put("second").unwrap();
                }
            });
            let mut waiting = pin!(producer.put("third"));
            assert!(waiting.as_mut().poll(&mut Context::from_waker(&in_take)).is_pending());
            race(first.get(), round, move || permit.put("first").unwrap());
            assert_eq!((queue.len(), queue.snapshot().waiting_gets + task.wakes()), (1, 1));
            assert_eq!(task.wakes(), 1, "round {round}: an item is there, and who waits for it is asleep");
        }
    });
}

#[test]
fn d11_a_putter_that_puts_while_it_parks_swallows_nobody_elses_wake_up() {
    within_watchdog(|| {
        for round in 0..800 {
            let queue = IterableQueue::bounded(1);
            let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
            let permit = producer.reserve().now_or_never().unwrap().unwrap();
            let (task, behind) = (Arc::new(Task::new()), Behind::default());
            // This get waits, so the put below wakes it in the middle of its push.
            let mut getter = queue.consumer().unwrap();
            let other = producer.clone();
            let in_put = hook({
                let (task, behind) = (Arc::clone(&task), Arc::clone(&behind));
                move || {
                    let mut put: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
                        other.put("second").await.unwrap();
                    });
                    assert!(task.poll(put.as_mut()).is_pending());
                    *behind.lock().unwrap() = Some(put);
                    assert_eq!(consumer.try_get(), Ok("first"));
                }
            });
            let mut waiting = pin!(getter.get());
            assert!(waiting.as_mut().poll(&mut Context::from_waker(&in_put)).is_pending());
            race(producer.put("first"), round, move || drop(permit));
            assert!(!queue.is_full());
            assert_eq!(task.wakes(), 1, "round {round}: there is room, and who waits for it is asleep");
        }
    });
}
