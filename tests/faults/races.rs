//! The end of a queue while somebody else does something, on real threads, many times (C3, C4, C5, D3).

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use actix::prelude::*;
use actix_iterable_queue::error::{OpenError, PoolError};
use actix_iterable_queue::prelude::*;
use actix_iterable_queue::{Backoff, IterableQueue};
use support::actors::{Hand, in_system};
use support::backend;
use support::faults;
use support::faults::{Faulty, Plan, assert_all_ended, assert_each_once, loaded, loaded_in_memory, read_all};
use support::within_watchdog;

const ROUNDS: u32 = 300;

/// Runs two things at once, as far as a machine can.
fn at_once<A: Send, B: Send>(one: impl FnOnce() -> A + Send, other: impl FnOnce() -> B + Send) -> (A, B) {
    let start = Barrier::new(2);
    thread::scope(|scope| {
        let one = scope.spawn(|| {
            start.wait();
            one()
        });
        start.wait();
        let other = other();
        (one.join().expect("it does not panic"), other)
    })
}

/// Whether an endpoint was refused for the time at which it was asked for.
fn is_late(refused: OpenError) -> bool {
    matches!(refused, OpenError::Sealed | OpenError::Ended)
}

/// Whoever got an endpoint has one that counts; whoever did not has left nothing behind.
#[test]
fn c3_opening_that_races_with_seal_is_all_or_nothing() {
    within_watchdog(|| {
        let mut late = 0;
        for _ in 0..ROUNDS {
            let queue = backend::unbounded::<u32>();
            let (end, stays) = (queue.drained(), queue.consumer().unwrap());
            let sealing = queue.clone();
            let (opened, ()) = at_once(|| (queue.producer(), queue.consumer()), move || sealing.seal());
            let seen = queue.snapshot();
            assert_eq!(seen.producers.len(), usize::from(opened.0.is_ok()));
            assert_eq!(seen.consumers.len(), 1 + usize::from(opened.1.is_ok()));
            let mut accepted = 0;
            match opened {
                (Ok(producer), consumer) => {
                    assert!(!matches!(seen.state, State::Drained));
                    producer.try_put(1).unwrap();
                    accepted = 1;
                    drop((producer, consumer));
                }
                (Err(error), consumer) => {
                    late += 1;
                    // Without a producer it may have ended between the two.
                    assert!(is_late(error) && consumer.is_err_and(is_late));
                }
            }
            assert_eq!(stays.into_iter().count(), accepted);
            let drained = futures::executor::block_on(end);
            assert_all_ended(&drained);
            assert_eq!((drained.outcome, drained.totals.taken), (Outcome::Complete, accepted as u64));
        }
        assert!(late <= ROUNDS);
    });
}

/// Registered or refused: those who are registered are told once, the others are told nothing.
#[test]
fn c5_registration_that_races_with_seal_is_told_of_the_end_or_refused() {
    in_system(|| async {
        for _ in 0..ROUNDS {
            let queue = backend::unbounded::<u32>();
            let (end, keeps_open) = (queue.drained(), queue.producer().unwrap());
            let actor = QueueActor::new(queue.clone()).start();
            let (hand, mut events) = Hand::push();
            let registered = actor.send(RegisterConsumer::new(hand));
            let sealing = thread::spawn(move || {
                queue.seal();
                drop(keeps_open);
            });
            match registered.await.unwrap() {
                Ok(_) => assert_eq!(events.drained().await.outcome, Outcome::Complete),
                Err(error) => assert!(is_late(error)),
            }
            events.end().await;
            sealing.join().unwrap();
            assert_eq!(end.await.outcome, Outcome::Complete);
        }
    });
}

/// A pool that came in time works, one that came late does not exist.
#[test]
fn d7_a_pool_that_races_with_seal_takes_part_or_is_refused() {
    in_system(|| async {
        for _ in 0..ROUNDS / 6 {
            let (queue, _dead) = loaded_in_memory(backend::builder(), 0..5);
            let (end, plan) = (queue.drained(), Plan::good());
            let (workers, sealing) = (Arc::clone(&plan), queue.clone());
            let sealing = thread::spawn(move || sealing.seal());
            let pool = WorkerPool::builder(&queue).workers(1).start(move |place| Faulty::new(&workers, place));
            sealing.join().unwrap();
            let (drained, done) = match pool {
                Ok(pool) => (pool.drained().await.unwrap().drained, 5),
                Err(error) => {
                    assert!(matches!(error, PoolError::Sealed | PoolError::Ended), "{error:?}");
                    assert_eq!(plan.drained(), []);
                    (end.await, 0)
                }
            };
            assert_all_ended(&drained);
            assert_eq!((drained.totals.acked, plan.acked().len()), (done, done as usize));
            assert_eq!(drained.outcome, if done == 5 { Outcome::Complete } else { Outcome::Abandoned });
        }
    });
}

/// The last put and the close of its clone, in two threads, and one that takes.
#[test]
fn c4_the_last_put_is_before_the_end_however_close_the_closes_are() {
    within_watchdog(|| {
        for round in 0..ROUNDS {
            let (mut producer, mut consumer) = backend::bounded::<u32>(2).split().unwrap();
            let clone = producer.clone();
            let taking = thread::spawn(move || {
                let mut got = Vec::new();
                while let Some(item) = consumer.blocking_lease() {
                    got.push(*item);
                    item.ack();
                }
                got
            });
            at_once(
                move || {
                    (0..3).for_each(|n| clone.blocking_put(n).expect("it is open"));
                    drop(clone);
                },
                move || {
                    if round % 2 == 0 {
                        producer.blocking_put(3).expect("it is open");
                    }
                    producer.close();
                },
            );
            let end = if round % 2 == 0 { 4 } else { 3 };
            assert_each_once(0..end, [taking.join().unwrap()]);
        }
    });
}

/// Two that consume, and the last items fail now and then, some of them for good; with and without a wait before they
/// come back.
#[test]
fn c5_drained_waits_for_items_that_come_back_at_the_last_moment() {
    within_watchdog(|| {
        let short = Duration::from_millis(2);
        for (rounds, backoff) in [(ROUNDS, None), (ROUNDS / 6, Some(Backoff::exponential(short, short)))] {
            for round in 0..rounds {
                let mut builder = backend::builder().max_attempts(3);
                if let Some(backoff) = backoff {
                    builder = builder.redelivery_backoff(backoff);
                }
                let (queue, mut dead) = loaded(builder, 0..6);
                let end = queue.drained();
                let consumers = [queue.consumer().unwrap(), queue.consumer().unwrap()];
                drop(queue); // which seals it
                let ended = Arc::new(AtomicBool::new(false));
                let works = |mut consumer: Consumer<u32>| {
                    let ended = Arc::clone(&ended);
                    move || {
                        let mut acked = Vec::new();
                        while let Some(item) = consumer.blocking_lease() {
                            assert!(!ended.load(SeqCst), "the end came before the last item");
                            match *item {
                                // For good.
                                4 => drop(item),
                                n if (n + round) % 2 == 0 && item.attempt() < 3 => item.requeue(),
                                n => {
                                    acked.push(n);
                                    item.ack();
                                }
                            }
                        }
                        acked
                    }
                };
                let [one, other] = consumers.map(works);
                let (one, other) = at_once(one, other);
                let drained = futures::executor::block_on(end);
                ended.store(true, SeqCst);
                assert_all_ended(&drained);
                assert_eq!((drained.totals.acked, drained.totals.dead_lettered), (5, 1));
                let letters = read_all(&mut dead);
                assert_each_once(0..6, [one, other, letters.iter().map(|letter| letter.item).collect()]);
                assert_eq!((letters[0].item, letters[0].attempts), (4, 3));
            }
        }
    });
}

/// Items that wait to come back when nobody is left, or when somebody aborts: they are left, once, and no timer wakes
/// to them.
#[test]
fn c6_items_that_wait_to_come_back_are_conserved_by_every_end() {
    within_watchdog(|| {
        for round in 0..ROUNDS {
            let short = Duration::from_millis(u64::from(round % 3));
            let backoff = Backoff::exponential(short, short);
            let (queue, _dead) =
                loaded_in_memory(IterableQueue::builder().max_attempts(1000).redelivery_backoff(backoff), 0..6);
            let end = queue.drained();
            let mut consumer = queue.consumer().unwrap();
            let aborts = round % 2 == 0;
            let (acked, left) = at_once(
                move || {
                    let mut acked = 0;
                    for turn in 0..6 {
                        let Ok(item) = consumer.try_lease() else { break };
                        if turn % 3 == 2 {
                            acked += 1;
                            item.ack();
                        } // and otherwise it fails
                    }
                    acked
                },
                || {
                    if aborts {
                        queue.abort().len()
                    } else {
                        queue.seal();
                        0
                    }
                },
            );
            let drained = futures::executor::block_on(end);
            let seen = queue.snapshot();
            faults::assert_conserved(&seen);
            assert_eq!((seen.totals.acked, seen.totals.discarded), (acked, 6 - acked));
            assert_eq!((seen.buffered, seen.delayed, seen.leased), (0, 0, 0));
            assert!(left as u64 <= seen.totals.discarded);
            let outcome = if aborts { Outcome::Aborted } else { Outcome::Abandoned };
            assert_eq!(drained.outcome, outcome);
        }
    });
}
