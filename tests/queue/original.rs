//! What made Python's `iterable_queue` hang for ever ends here.

use std::thread;

use actix_iterable_queue::error::{OpenError, PutError, Refusal};
use actix_iterable_queue::{IterableQueue, Outcome};
use futures::executor::block_on;
use support::backend;
use support::{until, within_watchdog};

#[test]
fn c3_nobody_seals_the_queue() {
    within_watchdog(|| {
        let queue = backend::bounded(4);
        let drained = queue.drained();
        let producers: Vec<_> = (0..2).map(|_| queue.producer().unwrap()).collect();
        let consumers: Vec<_> = (0..2).map(|_| queue.consumer().unwrap()).collect();
        drop(queue); // all there is to it
        for mut producer in producers {
            thread::spawn(move || {
                (0..50).for_each(|n| producer.blocking_put(n).unwrap());
                producer.close();
            });
        }
        let workers: Vec<_> =
            consumers.into_iter().map(|consumer| thread::spawn(|| consumer.into_iter().count())).collect();
        let taken: usize = workers.into_iter().map(|worker| worker.join().unwrap()).sum();
        assert_eq!(taken, 100);
        assert_eq!(block_on(drained).outcome, Outcome::Complete);
    });
}

#[test]
fn c2_a_producer_dies_without_closing() {
    within_watchdog(|| {
        let (producer, consumer) = backend::bounded(4).split().unwrap();
        let dying = thread::spawn(move || {
            for n in 0.. {
                assert!(n < 10, "the producer fails");
                producer.blocking_put(n).unwrap();
            }
        });
        assert!(consumer.into_iter().eq(0..10), "its puts count, and the end comes");
        assert!(dying.join().is_err());
    });
}

#[test]
fn d3_a_consumer_dies_with_work_in_its_hands() {
    within_watchdog(|| {
        let (producer, consumer) = backend::bounded(4).split().unwrap();
        let mut doomed = consumer.clone();
        producer.blocking_put(0).unwrap();
        let dying = thread::spawn(move || {
            let item = doomed.blocking_lease().unwrap();
            assert_ne!(*item, 0, "the worker fails");
        });
        assert!(dying.join().is_err());
        producer.blocking_put(1).unwrap();
        drop(producer);
        assert_eq!(consumer.into_iter().collect::<Vec<_>>(), [0, 1]);
    });
}

#[test]
fn d2_a_consumer_leaves_early_and_another_one_gets_the_rest() {
    within_watchdog(|| {
        let (producer, mut leaving) = backend::bounded(2).split().unwrap();
        let staying = leaving.clone();
        let putting = thread::spawn(move || (0..100).for_each(|n| producer.blocking_put(n).unwrap()));
        assert_eq!(leaving.iter().take(3).count(), 3);
        drop(leaving);
        assert_eq!(staying.into_iter().count(), 97);
        putting.join().unwrap();
    });
}

/// And the producer hears of it, instead of waiting for room for ever.
#[test]
fn d7_the_last_consumer_leaves_early() {
    within_watchdog(|| {
        let queue = IterableQueue::bounded(2);
        let (producer, mut only) = (queue.producer().unwrap(), queue.consumer().unwrap());
        queue.seal();
        let putting = thread::spawn(move || (0..100).find_map(|n| producer.blocking_put(n).err()));
        assert_eq!(only.iter().take(3).count(), 3);
        until(|| queue.snapshot().waiting_puts == 1);
        drop(only);
        assert_eq!(putting.join().unwrap(), Some(PutError::new(5, Refusal::Abandoned)));
        let drained = queue.blocking_drained();
        assert_eq!((drained.outcome, drained.totals.taken, drained.totals.discarded), (Outcome::Abandoned, 3, 2));
    });
}

#[test]
fn c3_an_endpoint_is_asked_for_too_late() {
    within_watchdog(|| {
        let queue = backend::unbounded::<u8>();
        let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        queue.seal();
        for _ in 0..2 {
            assert_eq!(queue.producer().unwrap_err(), OpenError::Sealed);
            assert_eq!(queue.consumer().unwrap_err(), OpenError::Sealed);
            drop((producer.clone(), consumer.clone())); // the refusals left nothing that would hold it up
        }
        drop(producer);
        backend::drained(&queue);
        assert_eq!(queue.producer().unwrap_err(), OpenError::Ended);
        assert_eq!(queue.consumer().unwrap_err(), OpenError::Ended);
        assert_eq!(consumer.into_iter().count(), 0);
    });
}

#[test]
fn d7_there_are_no_consumers_at_all() {
    within_watchdog(|| {
        let queue = IterableQueue::bounded(2);
        let producer = queue.producer().unwrap();
        let drained = queue.drained();
        let putting = thread::spawn(move || (0..100).find_map(|n| producer.blocking_put(n).err()));
        until(|| queue.snapshot().waiting_puts == 1);
        drop(queue); // from here on no consumer can come
        assert_eq!(putting.join().unwrap(), Some(PutError::new(2, Refusal::Abandoned)));
        let drained = block_on(drained);
        assert_eq!((drained.outcome, drained.totals.accepted, drained.totals.discarded), (Outcome::Abandoned, 2, 2));
    });
}

#[test]
fn c5_an_empty_queue_ends_at_once() {
    within_watchdog(|| {
        let queue = backend::bounded::<u8>(1);
        let consumer = queue.consumer().unwrap();
        queue.seal();
        assert_eq!(consumer.into_iter().next(), None);
    });
}
