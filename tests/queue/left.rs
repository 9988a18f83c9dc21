//! D8: what consumers held at the end, and gave back after it.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ::log::Level;
use actix_iterable_queue::{Item, IterableQueue, Outcome, State, WeakQueue};
use futures::FutureExt;
use futures::executor::block_on;
use support::backend::{self, Soon};
use support::log::{keep, said};
use support::{Task, assert_conserved, within_watchdog};

/// An aborted queue, and the leases of 0..n that its only consumer holds. The abort has left n.
fn aborted(name: &str, n: u32) -> (IterableQueue<u32>, Vec<Item<u32>>) {
    keep();
    let queue = IterableQueue::builder().name(name).max_attempts(1).build().unwrap();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer_named("worker").unwrap());
    (0..=n).for_each(|n| producer.try_put(n).unwrap());
    let held = (0..n).map(|_| consumer.try_lease().unwrap()).collect();
    assert_eq!(queue.abort(), [n]);
    (queue, held)
}

#[test]
fn d8_what_is_given_back_after_an_abort_is_handed_out_by_take_left() {
    let (queue, held) = aborted("each-way", 7);
    let mut held = held.into_iter();
    let mut next = || held.next().unwrap();
    next().ack();
    assert_eq!(next().into_inner(), 1);
    next().reject("bad");
    next().fail("its last attempt");
    next().release_after(Duration::from_secs(3600));
    drop(next());
    assert!(!queue.blocking_settled_timeout(Duration::ZERO), "one is held");
    assert_eq!(queue.take_left(), [2, 3, 4, 5], "not what was acked or taken");
    next().requeue();
    queue.blocking_settled();
    assert_eq!(queue.take_left(), [6]);
    assert_eq!(queue.take_left(), [0; 0], "each is returned once");
    let totals = queue.snapshot().totals;
    assert_eq!((totals.acked, totals.taken, totals.dead_lettered, totals.discarded), (1, 1, 0, 6));
    assert_conserved(&queue);
}

#[test]
fn d8_what_is_held_as_the_grace_ends_is_not_only_a_number() {
    within_watchdog(|| {
        for threads in [true, false] {
            let queue = IterableQueue::unbounded();
            let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
            (0..3).for_each(|n| producer.try_put(n).unwrap());
            let (late, dropped) = (consumer.try_lease().unwrap(), consumer.try_lease().unwrap());
            let report = match threads {
                true => queue.blocking_shutdown(Duration::ZERO),
                false => block_on(queue.shutdown(Duration::ZERO)),
            };
            assert_eq!((report.drained.outcome, report.left, report.holders[0].leased), (Outcome::Aborted, vec![2], 2));
            let worker = thread::spawn(move || {
                late.ack();
                drop(dropped);
            });
            match threads {
                true => queue.blocking_settled(),
                false => block_on(queue.settled()),
            }
            assert_eq!(queue.take_left(), [1]);
            worker.join().unwrap();
        }
    });
}

#[test]
fn d8_settled_waits_for_the_end_and_then_for_the_last_lease() {
    let queue = backend::unbounded();
    let (producer, mut one) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let mut two = queue.consumer().unwrap();
    (0..2).for_each(|n| producer.try_put(n).unwrap());
    let (first, second) = (one.soon_lease(), two.soon_lease());
    let tasks = [Task::new(), Task::new()];
    let mut waiting = [Box::pin(queue.settled()), Box::pin(queue.settled())];
    let mut ready = || {
        let polls = waiting.iter_mut().zip(&tasks).map(|(waits, task)| task.poll(waits.as_mut()).is_ready());
        polls.collect::<Vec<_>>()
    };
    assert_eq!(ready(), [false, false]);
    drop(queue.abort());
    assert_eq!(ready(), [false, false], "two are held");
    first.ack();
    assert_eq!(ready(), [false, false], "one is held");
    let wakes = tasks.each_ref().map(Task::wakes);
    drop(two); // its lease outlives it
    second.ack();
    assert!(tasks.iter().zip(wakes).all(|(task, before)| task.wakes() > before), "the last settle wakes them");
    assert_eq!(ready(), [true, true]);
}

/// A take that finds nothing holds nothing, also if it began before the end.
#[test]
fn d8_consumers_that_hold_nothing_are_not_waited_for() {
    let queue = IterableQueue::<u32>::unbounded();
    let mut consumer = queue.consumer().unwrap();
    assert_eq!(queue.settled().now_or_never(), None, "it has not ended");
    assert!(consumer.try_lease().is_err());
    drop(queue.abort());
    assert!(consumer.try_lease().is_err());
    assert_eq!(queue.settled().now_or_never(), Some(()));
    queue.blocking_settled();
}

#[test]
fn d8_what_is_left_is_freed_with_the_last_handle() {
    let queue = IterableQueue::unbounded();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let item = Arc::new(());
    (0..4).for_each(|_| producer.try_put(Arc::clone(&item)).unwrap());
    let mut held: Vec<_> = (0..4).map(|_| consumer.try_lease().unwrap()).collect();
    assert!(queue.abort().is_empty());
    let (other, eye) = (queue.clone(), queue.downgrade());
    held.truncate(2);
    assert_eq!(Arc::strong_count(&item), 5, "all are kept or held");
    drop(queue);
    assert_eq!(Arc::strong_count(&item), 5, "a handle is left");
    drop(other);
    assert_eq!(Arc::strong_count(&item), 3, "two are held, and a weak handle keeps nothing");
    held.pop().unwrap().reject("no handle is left");
    drop(held);
    assert_eq!((Arc::strong_count(&item), eye.snapshot().totals.discarded), (1, 4));
}

#[test]
fn d3_an_item_that_is_given_up_after_the_end_blames_nobody() {
    let (queue, mut held) = aborted("too-late", 2);
    let dropped = held.pop().unwrap();
    held.pop().unwrap().reject("bad");
    let warnings = || said(Level::Warn, "too-late");
    let line = "too-late: an item was given up after the end of the queue; take_left() returns it: \
                given up by worker at attempt 1: bad";
    let label = format!("too-late ({})", queue.id());
    assert_eq!(warnings(), [line.replacen("too-late", &label, 1)]);
    assert_eq!(queue.take_left(), [0]);
    drop(queue);
    dropped.reject("bad");
    assert!(
        matches!(&*warnings(), [_, second] if second.contains("; it is dropped: given up by worker")),
        "{:?}",
        warnings()
    );
    assert_eq!(said(Level::Error, "too-late"), [""; 0]);
}

/// An item's drop uses the queue.
#[test]
fn d8_what_nobody_asked_for_is_dropped_outside_the_lock() {
    struct Nosy(WeakQueue<Nosy>);

    impl Drop for Nosy {
        fn drop(&mut self) {
            assert_eq!(self.0.state(), State::Aborted);
        }
    }

    within_watchdog(|| {
        for handle_goes_first in [true, false] {
            let queue = IterableQueue::unbounded();
            let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
            assert!(producer.try_put(Nosy(queue.downgrade())).is_ok());
            let item = consumer.try_lease().unwrap();
            assert!(queue.abort().is_empty());
            if handle_goes_first {
                drop(queue);
                drop(item);
            } else {
                drop(item);
                drop(queue);
            }
        }
    });
}

#[test]
fn d8_over_an_abort_every_item_is_acked_or_returned_once() {
    within_watchdog(|| {
        for round in 0..100 {
            let queue = IterableQueue::builder().max_attempts(2).build().unwrap();
            let mut letters = queue.dead_letters().unwrap();
            let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
            (0..40_u32).for_each(|n| producer.try_put(n).unwrap());
            let workers: Vec<_> = (0..3)
                .map(|_| {
                    let consumer = consumer.clone();
                    thread::spawn(move || {
                        let mut done = Vec::new();
                        for item in consumer.into_blocking_leases() {
                            match *item % 4 {
                                0 => item.reject("bad"),
                                1 => item.requeue(),
                                _ => {
                                    done.push(*item);
                                    item.ack();
                                }
                            }
                        }
                        done
                    })
                })
                .collect();
            (0..round * 20).for_each(|_| std::hint::spin_loop());
            let mut all = queue.abort();
            queue.blocking_settled();
            all.extend(queue.take_left());
            all.extend(letters.try_iter().map(|letter| letter.item));
            workers.into_iter().for_each(|worker| all.extend(worker.join().unwrap()));
            all.sort_unstable();
            assert!(all.iter().copied().eq(0..40), "{all:?}");
            assert_conserved(&queue);
        }
    });
}

/// Over Redis what was held goes to the other processes.
#[test]
fn d8_what_comes_back_after_a_shutdown_is_in_one_place() {
    within_watchdog(|| {
        let queue = backend::unbounded();
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.try_put(0).unwrap();
        let held = consumer.soon_lease();
        let report = block_on(queue.shutdown(Duration::ZERO));
        assert_eq!((report.left, report.holders.len()), (vec![], 1));
        held.requeue();
        queue.blocking_settled();
        backend::assert_left(queue.take_left(), [0]);
    });
}
