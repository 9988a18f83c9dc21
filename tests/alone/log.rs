//! What the queue writes to the log, and what it does not.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use ::log::Level;
use actix::prelude::*;
use actix_iterable_queue::message::Put;
use actix_iterable_queue::{Consumer, IterableQueue, Outcome, Producer, QueueActor, WeakQueue};
use support::log::{keep, said};
use support::within_watchdog;

/// A queue with 0..n in it, and its endpoints.
fn filled(name: &str, n: u32) -> (IterableQueue<u32>, Producer<u32>, Consumer<u32>) {
    keep();
    let queue = support::backend::builder().name(name).build().expect("valid");
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
    let warnings = said(Level::Warn, "careful");
    assert!(matches!(&warnings[..], [letter] if letter.contains("a dead letter is kept")), "{warnings:?}");
}

#[test]
fn d7_items_that_are_dropped_with_the_queue_are_an_error() {
    let (queue, producer, consumer) = filled("lost", 2);
    queue.seal();
    drop(consumer);
    drop(producer);
    assert_eq!(queue.blocking_drained().outcome, Outcome::Abandoned);
    let text = format!("lost ({}): Abandoned; 2 items dropped: no consumer was left", queue.id());
    assert_eq!(said(Level::Error, "lost"), [text]);
}

#[test]
fn d7_items_that_nobody_can_have_any_more_are_an_error_at_once() {
    let (queue, producer, mut consumer) = filled("out of reach", 3);
    let item = consumer.try_lease().unwrap();
    drop((queue, consumer));
    let errors = || said(Level::Error, "out of reach");
    assert!(matches!(&*errors(), [one] if one.contains("2 items dropped: no consumer is left")), "{:?}", errors());
    item.requeue();
    assert!(matches!(&*errors(), [_, two] if two.contains("1 item dropped")), "{:?}", errors());
    drop(producer);
    assert_eq!(errors().len(), 2, "the end drops nothing more");
}

#[test]
fn d7_items_that_are_lost_just_at_the_end_are_one_error() {
    let (queue, producer, consumer) = filled("never taken", 2);
    drop((producer, consumer));
    drop(queue);
    assert!(matches!(&*said(Level::Error, "never taken"), [one] if one.contains("2 items dropped")));
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

#[test]
fn what_users_say_stays_on_its_line() {
    let (queue, _producer, mut consumer) = filled("forged\n[ERROR]", 2);
    let mut other = queue.consumer_named("worker\n\u{9b}").unwrap();
    drop(other.try_lease().unwrap());
    consumer.try_lease().unwrap().reject("no\nreason\u{202e}");
    let said = said(Level::Warn, "forged");
    let label = format!(r"forged\n[ERROR] ({}): ", queue.id());
    assert!(said.len() == 2 && said.iter().all(|line| line.starts_with(&label)), "{said:?}");
    assert!(said[0].contains(r": worker\n\u{9b} dropped an item"), "{said:?}");
    assert!(
        said[1].contains(r"given up by one at attempt ") && said[1].contains(r": no\nreason\u{202e}. ("),
        "{said:?}"
    );
}

#[test]
fn each_failed_attempt_is_for_debugging() {
    keep();
    let queue = IterableQueue::builder().name("debugged").max_attempts(6).build().unwrap();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer_named("one").unwrap());
    producer.try_put("secret").unwrap();
    let mut lease = || consumer.blocking_lease().unwrap();
    lease().fail("busy\nno");
    lease().retry_after(Duration::from_millis(2), "later");
    lease().retry_after(Duration::ZERO, "now");
    lease().requeue();
    lease().release();
    let died = catch_unwind(AssertUnwindSafe(|| {
        let _held = lease();
        panic!("with an item in hand");
    }));
    assert!(died.is_err());
    lease().fail("the last one");
    let label = format!("debugged ({}): ", queue.id());
    let lines = said(Level::Debug, "debugged");
    let said: Vec<_> = lines.iter().map(|line| line.strip_prefix(&label).unwrap()).collect();
    assert!(
        said[0].starts_with(r"attempt 1 failed at one: busy\nno; to be tried again in ") && said[0].ends_with(" ms")
    );
    assert_eq!(said[1], "attempt 2 failed at one: later; to be tried again in 2 ms");
    assert_eq!(said[2], "attempt 3 failed at one: now; to be tried again at once");
    assert!(said[3].starts_with("attempt 4 failed at one: no reason was given; to be tried again in "));
    assert!(said[4].starts_with("attempt 5 failed at one: no reason was given; to be tried again in "));
    assert_eq!(said[5], "an item was given up by one at attempt 6: attempts used up (it failed: the last one)");
    assert_eq!(said.len(), 6);
    assert!(!lines.concat().contains("secret"));
    // It does not come back.
    producer.try_put("late").unwrap();
    let late = consumer.try_lease().unwrap();
    drop(queue.abort());
    late.fail("too late");
    assert_eq!(crate::said(Level::Debug, "too late"), [format!("{label}attempt 1 failed at one: too late")]);
}

/// Prints what its queue says: not under the queue's mutex.
struct Curious(WeakQueue<Curious>);

impl fmt::Debug for Curious {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "of a queue with {} leased", self.0.snapshot().leased)
    }
}

#[test]
fn a_failed_attempt_names_its_item_if_it_may() {
    keep();
    let queue = support::backend::builder().name("describing").describe_items().build().unwrap();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer_named("one").unwrap());
    producer.try_put(Curious(queue.downgrade())).unwrap();
    let item = consumer.try_lease().unwrap();
    within_watchdog(|| item.fail("busy"));
    let line = "attempt 1 failed at one: busy; to be tried again at once; the item: of a queue with 1 leased";
    assert_eq!(said(Level::Debug, "describing"), [format!("describing ({}): {line}", queue.id())]);
}

#[test]
fn one_item_is_one_item() {
    let (queue, producer, consumer) = filled("lonely", 1);
    queue.seal();
    drop((producer, consumer));
    assert!(said(Level::Error, "lonely")[0].contains("; 1 item dropped: "));
    System::new().block_on(async {
        let queue = support::backend::builder().name("orphaned").capacity(1).build().unwrap();
        let (producer, _consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.try_put(0).unwrap();
        let actor = QueueActor::new(queue).start();
        // A put that waits makes it abort the queue when it goes.
        let (put, killed) = futures::join!(actor.send(Put::new(&producer, 1)), actor.send(Killed));
        assert!(put.unwrap().is_err() && killed.is_err());
    });
    assert!(said(Level::Error, "orphaned")[0].ends_with(": its actor is gone for good; 1 item dropped"));
}

struct Killed;

impl Message for Killed {
    type Result = ();
}

impl Handler<Killed> for QueueActor<u32> {
    type Result = ();

    fn handle(&mut self, _: Killed, _: &mut Self::Context) {
        panic!("killed on purpose");
    }
}
