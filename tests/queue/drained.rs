//! C5 and C6: exactly when the queue is drained, and that every item is accounted for.

use std::pin::pin;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use actix_iterable_queue::error::TryGetError;
use actix_iterable_queue::{Consumer, Item, IterableQueue, Outcome, State};
use futures::executor::block_on;
use futures::{FutureExt, StreamExt};
use support::backend::{self, Soon};
use support::{Task, assert_conserved, settled, within_watchdog};

/// All orders of 0..4.
fn permutations() -> Vec<Vec<usize>> {
    let mut all = vec![vec![]];
    for n in 0..4 {
        let insert = |order: Vec<usize>| {
            (0..=order.len()).map(move |at| {
                let mut longer = order.clone();
                longer.insert(at, n);
                longer
            })
        };
        all = all.into_iter().flat_map(insert).collect();
    }
    all
}

#[test]
fn c5_drained_exactly_when_sealed_closed_empty_and_settled() {
    let orders = permutations();
    assert_eq!(orders.len(), 24);
    for order in orders {
        let queue = backend::unbounded();
        let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.try_put("leased".to_owned()).unwrap();
        producer.try_put("buffered".to_owned()).unwrap();
        let mut lease = Some(consumer.soon_lease());
        let task = Task::new();
        let mut drained = Box::pin(queue.drained());
        for step in &order {
            assert!(task.poll(drained.as_mut()).is_pending(), "before step {step} of {order:?}");
            match step {
                0 => queue.seal(),
                1 => producer.close(),
                2 => assert_eq!(consumer.soon_item(), "buffered"),
                _ => lease.take().unwrap().ack(),
            }
        }
        backend::drained(&queue); // {order:?}
        backend::soon(|| task.wakes(), 1); // {order:?}
        assert!(task.poll(drained.as_mut()).is_ready());
        consumer.soon_end();
    }
}

#[test]
fn c5_drained_waits_for_leases() {
    let settles: [fn(actix_iterable_queue::Item<u8>); 3] =
        [|item| item.ack(), |item| assert_eq!(item.into_inner(), 1), |item| item.reject("bad")];
    for settle in settles {
        let queue = backend::unbounded();
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.try_put(1).unwrap();
        queue.seal();
        drop(producer);
        consumer.soon_lease().requeue();
        drop(consumer.soon_lease());
        backend::soon(|| queue.state(), State::Draining); // back in the buffer
        let item = consumer.soon_lease();
        assert_eq!(consumer.try_get(), Err(TryGetError::Empty), "leased");
        settle(item);
        consumer.soon_end();
    }
}

#[test]
fn c5_the_end_wakes_everybody() {
    let queue = backend::unbounded::<u8>();
    let producer = queue.producer().unwrap();
    let mut consumers: Vec<_> = (0..3).map(|_| queue.consumer().unwrap()).collect();
    queue.seal();
    let tasks: Vec<_> = (0..5).map(|_| Task::new()).collect();
    let mut gets: Vec<_> = consumers.iter_mut().map(|consumer| Box::pin(consumer.get())).collect();
    let mut watches = [Box::pin(queue.drained()), Box::pin(queue.drained())];
    gets.iter_mut().zip(&tasks).for_each(|(get, task)| assert!(task.poll(get.as_mut()).is_pending()));
    watches.iter_mut().zip(&tasks[3..]).for_each(|(watch, task)| assert!(task.poll(watch.as_mut()).is_pending()));
    drop(producer);
    backend::soon(|| tasks.iter().all(|task| task.wakes() == 1), true);
    gets.iter_mut().zip(&tasks).for_each(|(get, task)| assert_eq!(task.poll(get.as_mut()), Poll::Ready(None)));
}

#[test]
fn c5_streams_and_iterators_stay_ended() {
    let (producer, mut consumer) = backend::unbounded().split().unwrap();
    let also = consumer.clone();
    producer.try_put(1).unwrap();
    drop(producer);
    assert_eq!(consumer.iter().collect::<Vec<_>>(), [1]);
    for _ in 0..3 {
        assert_eq!(consumer.try_iter().next(), None);
        assert_eq!(consumer.iter().next(), None);
        assert!(consumer.blocking_leases().next().is_none());
        assert_eq!(consumer.next().now_or_never(), Some(None));
        assert!(matches!(consumer.leases().next().now_or_never(), Some(None)));
        assert_eq!(consumer.get().now_or_never(), Some(None));
        assert_eq!(consumer.blocking_get_timeout(Duration::MAX).ok(), None);
    }
    let mut owned = also.clone().into_iter();
    assert_eq!((owned.next(), owned.next()), (None, None));
    let mut leases = also.into_blocking_leases();
    assert!(leases.next().is_none() && leases.next().is_none());
}

#[test]
fn c6_conservation_after_every_kind_of_step() {
    let queue = backend::bounded(8);
    let _letters = queue.dead_letters().unwrap();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let check = || assert_conserved(&queue);
    block_on(producer.put_all(0..6)).unwrap();
    check();
    block_on(producer.reserve()).unwrap().put(6).unwrap();
    assert_eq!(consumer.soon_item(), 0);
    check();
    consumer.soon_lease().ack();
    check();
    assert_eq!(consumer.soon_lease().into_inner(), 2);
    consumer.soon_lease().requeue();
    check();
    consumer.soon_lease().reject("no");
    check();
    let parent = consumer.soon_lease();
    parent.put_children([10, 11]).unwrap();
    check();
    let mut other = consumer.clone();
    let gone = other.soon_lease();
    drop(other); // its lease outlives it
    check();
    gone.ack();
    parent.ack();
    check();
    let ends = || {
        let totals = queue.snapshot().totals;
        [totals.acked, totals.taken, totals.dead_lettered, totals.discarded]
    };
    backend::soon(ends, [3, 2, 1, 0]);
    let totals = queue.snapshot().totals;
    assert_eq!(totals.accepted, 9);
    // Over Redis, what was fetched and not taken for a moment goes back, too.
    let redelivered = totals.redelivered;
    assert!(redelivered == 1 || backend::is_redis() && redelivered > 1, "{redelivered}");
    backend::soon(|| queue.len(), 3);
}

#[test]
fn c6_conservation_through_abort() {
    let queue = IterableQueue::unbounded();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    block_on(producer.put_all(0..7)).unwrap();
    let held: Vec<_> = (0..4).map(|_| consumer.try_lease().unwrap()).collect();
    assert_eq!(queue.abort(), [4, 5, 6]);
    assert_conserved(&queue);
    let drained = queue.blocking_drained();
    assert_eq!((drained.outcome, drained.totals.discarded), (Outcome::Aborted, 3));
    for (n, item) in held.into_iter().enumerate() {
        match n {
            0 => item.ack(),
            1 => assert_eq!(item.into_inner(), 1),
            2 => item.requeue(),
            _ => drop(item),
        }
        assert_conserved(&queue);
    }
    let totals = queue.snapshot().totals;
    assert_eq!((totals.accepted, totals.acked, totals.taken, totals.discarded), (7, 1, 1, 5));
}

#[test]
fn c6_conservation_through_abandonment() {
    let queue = support::backend::builder().name("left").build().unwrap();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    block_on(producer.put_all(0..5)).unwrap();
    let held = consumer.try_lease().unwrap();
    queue.seal();
    drop((producer, consumer));
    assert_conserved(&queue);
    held.requeue(); // nobody is left to take it
    let drained = queue.blocking_drained();
    assert_eq!((drained.outcome, drained.name.as_deref()), (Outcome::Abandoned, Some("left")));
    assert_eq!((drained.totals.accepted, drained.totals.discarded), (5, 5));
    assert_conserved(&queue);
}

#[test]
fn c6_conservation_through_dead_letters() {
    let queue = backend::build(support::backend::builder().max_attempts(2));
    let letters = queue.dead_letters().unwrap();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer_named("w").unwrap());
    block_on(producer.put("worn".to_owned())).unwrap();
    drop(consumer.soon_lease());
    consumer.soon_lease().requeue();
    block_on(producer.put("bad".to_owned())).unwrap();
    drop(producer);
    queue.seal();
    consumer.soon_lease().reject("why");
    let totals = queue.blocking_drained().totals;
    assert_eq!((totals.accepted, totals.dead_lettered, settled(&totals)), (2, 2, 2));
    let got: Vec<_> = letters.into_iter().map(|l| (l.item, l.attempts, l.reason, l.last_worker)).collect();
    assert_eq!((&*got[0].0, got[0].1, &*got[0].3), ("worn", 2, "w"));
    assert_eq!(got[1], ("bad".to_owned(), 1, "why".to_owned(), "w".to_owned()));
}

#[test]
fn c6_conservation_through_shutdown() {
    let queue = IterableQueue::bounded(2);
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    block_on(producer.put_all(0..2)).unwrap();
    let mut waiting = Box::pin(producer.put(9));
    let task = Task::new();
    assert!(task.poll(waiting.as_mut()).is_pending());
    let report = block_on(queue.shutdown(Duration::ZERO));
    assert_eq!((report.drained.outcome, report.left), (Outcome::Aborted, vec![0, 1]));
    assert_eq!((report.drained.totals.accepted, report.drained.totals.discarded), (2, 2));
    assert!(matches!(task.poll(waiting.as_mut()), Poll::Ready(Err(error)) if *error.get_ref() == 9));
    assert_conserved(&queue);
    drop(consumer);
}

#[test]
fn c6_an_orderly_shutdown_finishes_what_was_accepted() {
    within_watchdog(|| {
        let queue = IterableQueue::unbounded();
        let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        block_on(producer.put_all(0..50)).unwrap();
        let working = thread::spawn(|| {
            consumer.into_blocking_leases().fold(0, |n, item| {
                item.ack();
                n + 1
            })
        });
        let report = block_on(queue.shutdown(Duration::from_secs(50)));
        assert_eq!((report.drained.outcome, report.left), (Outcome::Complete, vec![]));
        assert_eq!((report.drained.totals.acked, working.join().unwrap()), (50, 50));
        assert!(producer.try_put(1).is_err(), "open, but refused");
    });
}

#[test]
fn c6_totals_are_exact_after_a_shutdown_that_raced_with_puts() {
    within_watchdog(|| {
        for _ in 0..1500 {
            let queue = IterableQueue::unbounded();
            let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
            let putting = thread::spawn(move || (0..).take_while(|n| producer.try_put(*n).is_ok()).count());
            let taking = thread::spawn(move || while consumer.try_get() != Err(TryGetError::Ended) {});
            let drained = block_on(queue.shutdown(Duration::from_secs(50))).drained;
            assert_eq!(drained.outcome, Outcome::Complete);
            taking.join().unwrap();
            let accepted = putting.join().unwrap() as u64;
            // Now that no call is running; `Drained` itself may have come a little early.
            let totals = queue.snapshot().totals;
            assert_eq!((totals.accepted, settled(&totals)), (accepted, accepted));
        }
    });
}

#[test]
fn c6_totals_in_drained_are_exact_while_others_still_count_their_takes() {
    within_watchdog(|| {
        for _ in 0..backend::rounds(1500) {
            let queue = backend::unbounded();
            let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
            (0..300).for_each(|n| producer.try_put(n).unwrap());
            queue.seal();
            let spin = |mut consumer: Consumer<i32>| while consumer.try_get() != Err(TryGetError::Ended) {};
            thread::scope(|scope| {
                for _ in 0..3 {
                    let other = consumer.clone();
                    scope.spawn(move || spin(other));
                }
                drop(producer);
                spin(consumer);
                let totals = queue.blocking_drained().totals;
                assert_eq!((totals.accepted, totals.taken), (300, 300));
            });
        }
    });
}

#[test]
fn c6_totals_in_drained_are_exact_whoever_finishes() {
    within_watchdog(|| {
        for round in 0..backend::rounds(400) {
            let queue = backend::bounded(4);
            let producers: Vec<_> = (0..2).map(|_| queue.producer().unwrap()).collect();
            let consumers: Vec<_> = (0..3).map(|_| queue.consumer().unwrap()).collect();
            queue.seal();
            thread::scope(|scope| {
                for producer in producers {
                    scope.spawn(move || (0..8).for_each(|n| producer.blocking_put(n).unwrap()));
                }
                for (n, mut consumer) in consumers.into_iter().enumerate() {
                    scope.spawn(move || match (n + round) % 3 {
                        0 => consumer.blocking_leases().for_each(|item| item.ack()),
                        1 => consumer.blocking_leases().for_each(|item| assert!(item.into_inner() < 8)),
                        _ => drop(consumer.iter().count()),
                    });
                }
                let drained = block_on(pin!(queue.drained()));
                assert_eq!((drained.outcome, drained.totals.accepted), (Outcome::Complete, 16));
                assert_eq!(settled(&drained.totals), 16, "{:?}", drained.totals);
            });
            assert_eq!(queue.snapshot().totals, queue.blocking_drained().totals, "nothing moves after the end");
        }
    });
}

#[test]
fn it_is_clean_only_if_every_item_was_done() {
    let clean = |what: fn(Item<u8>)| {
        let queue = backend::builder().max_attempts(2).build().unwrap();
        let consumer = queue.consumer().unwrap();
        queue.producer().unwrap().try_put(1).unwrap();
        queue.seal();
        consumer.into_blocking_leases().for_each(what);
        queue.blocking_drained()
    };
    assert!(clean(Item::ack).is_clean());
    assert!(clean(|item| _ = item.into_inner()).is_clean());
    assert!(clean(|item| if item.attempt() == 1 { item.requeue() } else { item.ack() }).is_clean());
    assert!(!clean(Item::requeue).is_clean());
    let rejected = clean(|item| item.reject("bad"));
    assert!(!rejected.is_clean());
    let label = rejected.queue;
    let text = format!("{label}: Complete; of 1 item 0 acked, 0 taken, 1 dead-lettered, 0 discarded");
    assert_eq!(rejected.to_string(), text);
}

#[test]
fn it_is_clean_again_once_its_dead_letters_were_retried() {
    let queue = backend::builder().build().unwrap();
    let mut consumer = queue.consumer().unwrap();
    queue.producer().unwrap().try_put(1).unwrap();
    consumer.try_lease().unwrap().reject("not yet");
    assert_eq!(queue.blocking_retry_dead_letters(..), Ok(1));
    consumer.try_lease().unwrap().ack();
    queue.seal();
    let drained = queue.blocking_drained();
    assert!(drained.is_clean());
    let text = ": Complete; of 2 items 1 acked, 0 taken, 1 dead-lettered, 0 discarded, 1 dead letter retried";
    assert_eq!(drained.to_string(), format!("{}{text}", drained.queue));
}

#[test]
fn it_is_not_clean_if_its_dead_letters_were_discarded() {
    let queue = backend::builder().build().unwrap();
    let mut consumer = queue.consumer().unwrap();
    queue.producer().unwrap().try_put(1).unwrap();
    consumer.try_lease().unwrap().reject("never");
    assert_eq!(queue.blocking_discard_dead_letters(..), Ok(1));
    queue.seal();
    let drained = queue.blocking_drained();
    let totals = drained.totals;
    assert_eq!((totals.dead_lettered, totals.discarded, totals.letters_dropped), (1, 0, 0));
    assert!(!drained.is_clean());
}

#[test]
fn it_is_not_clean_if_the_queue_ended_early() {
    let queue = backend::builder().build().unwrap();
    let drained = queue.drained();
    queue.producer().unwrap().try_put(1).unwrap();
    drop(queue.abort());
    assert!(!futures::executor::block_on(drained).is_clean());
    let nothing_lost = IterableQueue::<u8>::unbounded();
    drop(nothing_lost.abort());
    assert!(!nothing_lost.blocking_drained().is_clean(), "more might have come");
}
