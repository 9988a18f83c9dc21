//! What the queue writes to the log, and what it does not.

#[path = "common/log.rs"]
mod log;

use std::panic::{AssertUnwindSafe, catch_unwind};

use ::log::Level;
use actix_iterable_queue::{Consumer, IterableQueue, Outcome, Producer};
use log::{keep, said};

/// A queue with 0..n in it, and its endpoints.
fn filled(name: &str, n: u32) -> (IterableQueue<u32>, Producer<u32>, Consumer<u32>) {
    keep();
    let queue = IterableQueue::builder().name(name).build().expect("valid");
    let (producer, consumer) = (queue.producer().expect("open"), queue.consumer_named("one").expect("open"));
    (0..n).for_each(|n| producer.try_put(n).expect("no bound"));
    (queue, producer, consumer)
}

#[test]
fn d3_a_forgotten_ack_is_warned_about_once_for_each_consumer() {
    let (queue, _producer, mut one) = filled("forgetful", 1);
    let mut other = queue.consumer_named("other").unwrap();
    let warnings = || said(Level::Warn, "forgetful");
    for _ in 0..2 {
        drop(one.try_lease().unwrap());
        assert_eq!(warnings().len(), 1);
    }
    assert!(warnings()[0].contains("one dropped an item") && warnings()[0].contains("ack()"), "{:?}", warnings());
    drop(other.try_lease().unwrap());
    assert_eq!(warnings().len(), 2);
    assert!(warnings()[1].contains("other dropped an item"), "{:?}", warnings());
}

#[test]
fn d3_what_was_not_forgotten_is_not_warned_about() {
    let (queue, _producer, mut consumer) = filled("careful", 3);
    consumer.try_lease().unwrap().requeue();
    consumer.try_lease().unwrap().reject("bad");
    let died = catch_unwind(AssertUnwindSafe(|| {
        let _held = consumer.try_lease();
        panic!("with an item in hand");
    }));
    assert!(died.is_err());
    // It cannot come back any more.
    let held = consumer.try_lease().unwrap();
    assert_eq!(queue.abort(), [2]);
    drop(held);
    assert_eq!(said(Level::Warn, "careful"), [""; 0]);
}

#[test]
fn d7_items_that_are_dropped_with_the_queue_are_an_error() {
    let (queue, producer, consumer) = filled("lost", 2);
    queue.seal();
    drop(consumer);
    drop(producer);
    assert_eq!(queue.blocking_drained().outcome, Outcome::Abandoned);
    let text = format!("lost ({}): Abandoned; 2 items dropped: the last consumer left before", queue.id());
    assert_eq!(said(Level::Error, "lost"), [text]);
}

#[test]
fn any_other_end_is_for_debugging() {
    for (name, aborts) in [("is-complete", false), ("is-aborted", true)] {
        let (queue, producer, mut consumer) = filled(name, 1);
        queue.seal();
        drop(producer);
        if aborts {
            assert_eq!(queue.abort(), [0]);
        }
        assert_eq!(consumer.try_iter().count(), usize::from(!aborts));
        let ends = said(Level::Debug, name);
        let outcome = if aborts { "Aborted" } else { "Complete" };
        assert!(matches!(&ends[..], [end] if end.contains(outcome) && end.contains("accepted: 1")), "{ends:?}");
        assert_eq!(said(Level::Error, name), [""; 0]);
    }
}
