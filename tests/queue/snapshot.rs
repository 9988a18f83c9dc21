//! What a queue tells about itself, and how that reads. In short: who keeps it from its end, by name.

use std::time::Duration;

use actix_iterable_queue::report::Blocker;
use actix_iterable_queue::{IterableQueue, Producer, Snapshot, State};
use support::Task;
use support::backend::{self, Soon};

const SECOND: Duration = Duration::from_secs(1);

/// What a snapshot says of why its queue is not done, line by line.
fn reasons(snapshot: &Snapshot) -> Vec<String> {
    snapshot.blockers().into_iter().map(|blocker| blocker.to_string()).collect()
}

#[test]
fn it_reads_as_in_the_readme() {
    let queue = support::backend::builder().name("jobs").capacity(100).build().unwrap();
    let (producer, mut consumer) = (queue.producer_named("http").unwrap(), queue.consumer_named("worker-2").unwrap());
    queue.seal();
    for n in 0..103 {
        producer.try_put(n).unwrap();
        if n < 102 {
            consumer.try_lease().unwrap().ack();
        }
    }
    let held = consumer.try_lease().unwrap();
    let mut snapshot = queue.snapshot();
    snapshot.producers[0].last_put = Some(5 * SECOND);
    snapshot.consumers[0].last_lease = Some(12 * SECOND);
    assert_eq!(
        snapshot.to_string(),
        format!(
            "jobs ({}): sealed, 0 buffered of 100, 1 leased; \
             103 accepted, 102 acked, 0 taken, 0 dead-lettered, 0 discarded, 0 redelivered\n  \
             waits: producer http is open, 103 puts, last one 5 s ago\n  \
             waits: consumer worker-2 has held 1 item for 12 s",
            queue.id()
        )
    );
    held.ack();
}

#[test]
fn a_clone_of_a_consumer_has_the_same_name_if_that_was_given() {
    let queue = IterableQueue::<u8>::unbounded();
    let (first, second) = (queue.consumer().unwrap(), queue.consumer_named("consumer-2").unwrap());
    assert_eq!((first.name(), second.name()), ("consumer-1", "consumer-2"));
    assert_eq!((first.clone().name(), second.clone().name()), ("consumer-3", "consumer-2"));
}

#[test]
fn names_stay_on_their_line_and_are_as_given_in_the_fields() {
    let (forged, printed) = ("x\n  waits: \u{1b}[31mnothing\u{2028}", r"x\n  waits: \u{1b}[31mnothing\u{2028}");
    let queue = support::backend::builder().name(forged).build().unwrap();
    let (producer, mut consumer) = (queue.producer_named(forged).unwrap(), queue.consumer_named(forged).unwrap());
    producer.try_put(0).unwrap();
    let held = consumer.try_lease().unwrap();
    let mut snapshot = queue.snapshot();
    (snapshot.producers[0].last_put, snapshot.consumers[0].last_lease) = (None, None);
    let lines = snapshot.to_string().lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(lines[0].starts_with(&format!("{printed} ({}): open", queue.id())), "{lines:?}");
    assert_eq!(lines[1], "  waits: not sealed: call seal(), or in memory drop the queue's handles and actor addresses");
    assert_eq!(lines[2], format!("  waits: producer {printed} is open, 1 put"));
    assert_eq!(lines[3..], [format!("  waits: consumer {printed} holds 1 item")]);
    assert_eq!(snapshot.blockers().to_string().lines().count(), 1);

    assert_eq!((queue.name(), snapshot.name.as_deref()), (Some(forged), Some(forged)));
    assert_eq!((&*snapshot.producers[0].name, &*snapshot.consumers[0].name), (forged, forged));
    held.ack();
}

#[test]
fn ids_of_two_queues_differ_and_print_as_within_their_queue() {
    let ids = || {
        let queue = IterableQueue::<u8>::unbounded();
        let _open = (queue.producer().unwrap(), queue.consumer().unwrap());
        let seen = queue.snapshot();
        (seen.producers[0].id, seen.consumers[0].id)
    };
    let (one, other) = (ids(), ids());
    assert!(one.0 != other.0 && one.1 != other.1);
    for (producer, consumer) in [one, other] {
        assert_eq!((producer.to_string(), consumer.to_string()), ("producer-1".to_owned(), "consumer-1".to_owned()));
    }
}

#[test]
fn it_tells_who_waits_and_what_became_of_the_items() {
    let queue = support::backend::builder().capacity(1).max_attempts(2).build().unwrap();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    for n in 0..4 {
        producer.try_put(n).unwrap();
        match n {
            0 => consumer.try_lease().unwrap().ack(),
            1 => assert_eq!(consumer.try_get(), Ok(1)),
            2 => consumer.try_lease().unwrap().reject("bad"),
            _ => consumer.try_lease().unwrap().requeue(),
        }
    }
    producer.try_put(4).unwrap();
    let task = Task::new();
    let (mut one, mut other) = (Box::pin(producer.put(5)), queue.producer().unwrap());
    let mut another = Box::pin(other.put(6));
    assert!(task.poll(one.as_mut()).is_pending() && task.poll(another.as_mut()).is_pending());
    let text = queue.snapshot().to_string();
    let totals =
        "0 leased; 5 accepted, 1 acked, 1 taken, 1 dead-lettered, 0 discarded, 1 redelivered, 2 puts waiting\n";
    assert!(text.starts_with(&format!("{}: open, 2 buffered of 1, {totals}", queue.id())), "{text}");
    drop((one, another));
    other.close();

    assert_eq!(consumer.try_iter().count(), 2);
    let mut get = Box::pin(consumer.get());
    assert!(task.poll(get.as_mut()).is_pending());
    let text = queue.snapshot().to_string();
    assert!(text.contains("1 redelivered, 1 get waiting\n"), "{text}");
}

#[test]
fn every_state_has_its_word() {
    let queue = backend::unbounded();
    let mut words = vec![queue.state().to_string()];
    let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.try_put(1).unwrap();
    queue.seal();
    words.push(queue.state().to_string());
    producer.close();
    words.push(queue.state().to_string());
    assert_eq!(consumer.soon_item(), 1);
    backend::soon(|| queue.state().to_string() != words[2], true);
    words.push(queue.state().to_string());
    let aborted = backend::unbounded::<u8>();
    drop(aborted.abort());
    words.push(aborted.state().to_string());
    assert_eq!(words, ["open", "sealed", "draining", "drained", "aborted"]);
    assert_eq!(aborted.snapshot().blockers().to_string(), "nothing");
}

#[test]
fn a_queue_has_the_name_that_it_was_built_with() {
    let queue = support::backend::builder::<u8>().name("jobs").build().unwrap();
    assert_eq!((queue.name(), queue.snapshot().name.as_deref()), (Some("jobs"), Some("jobs")));
}

#[test]
fn open_producers_are_named_with_their_handles_and_puts() {
    let queue = IterableQueue::unbounded();
    let (http, _consumer) = (queue.producer_named("http").unwrap(), queue.consumer().unwrap());
    let clone = http.clone();
    let cron = queue.producer_named("cron").unwrap();
    let sealed = "not sealed: call seal(), or in memory drop the queue's handles and actor addresses";
    http.try_put(1).unwrap();
    clone.try_put(2).unwrap();
    cron.try_put(3).unwrap();
    let (http_says, cron_says) = ("producer http is open, 2 puts through 2 handles", "producer cron is open, 1 put");
    assert_eq!(reasons(&queue.snapshot()), [sealed, http_says, cron_says, "3 items buffered for 1 consumer"]);
    drop(clone);
    queue.seal();
    let one_handle = "producer http is open, 2 puts";
    assert_eq!(
        queue.snapshot().blockers().to_string(),
        [one_handle, cron_says, "3 items buffered for 1 consumer"].join("; ")
    );
}

#[test]
fn the_time_of_the_last_put_is_told_if_a_consumer_waited_for_it() {
    let queue = IterableQueue::unbounded();
    let (one, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let other = one.clone();
    let is_known = || queue.snapshot().producers[0].last_put.is_some();
    let task = Task::new();
    let mut hand_over = |producer: &Producer<u8>| {
        let mut get = Box::pin(consumer.get());
        assert!(task.poll(get.as_mut()).is_pending());
        producer.try_put(1).unwrap();
        assert!(task.poll(get.as_mut()).is_ready());
    };
    assert!(!is_known(), "there was none");
    hand_over(&one);
    assert!(is_known());
    hand_over(&other);
    assert!(is_known());
    other.try_put(2).unwrap();
    assert!(!is_known(), "nobody waited for the clone's");
    drop(other);
    assert!(!is_known(), "a handle that is closed leaves that behind");
    assert_eq!(queue.snapshot().producers[0].puts, 3);
}

#[test]
fn what_is_buffered_is_told_with_those_who_could_take_it() {
    let queue = IterableQueue::unbounded();
    let producer = queue.producer_named("p").unwrap();
    producer.try_put(1).unwrap();
    let buffered = |snapshot: &Snapshot| reasons(snapshot).last().cloned().unwrap();
    assert_eq!(buffered(&queue.snapshot()), "1 item buffered and no consumer is open");
    let mut snapshot = queue.snapshot();
    (snapshot.state, snapshot.pools) = (State::Sealed, 1);
    assert_eq!(
        buffered(&snapshot),
        "1 item buffered and no consumer is open: the workers of the pool are about to be replaced"
    );
    // What failed and waits for its backoff is told apart.
    let _consumer = queue.consumer().unwrap();
    let mut snapshot = queue.snapshot();
    (snapshot.buffered, snapshot.delayed) = (5, 3);
    let ends = ["2 items buffered for 1 consumer", "3 items will come back after a delay"];
    assert!(reasons(&snapshot).ends_with(&ends.map(String::from)), "{snapshot}");
    assert!(snapshot.to_string().contains("5 buffered (3 delayed), "), "{snapshot}");
    snapshot.buffered = 3;
    assert!(!snapshot.blockers().iter().any(|blocker| matches!(blocker, Blocker::Buffered { .. })), "{snapshot}");
}

#[test]
fn d7_it_says_what_will_be_dropped_when_no_consumer_is_left() {
    let queue = IterableQueue::unbounded();
    let (producer, consumer) = (queue.producer_named("p").unwrap(), queue.consumer().unwrap());
    (1..=2).try_for_each(|n| producer.try_put(n)).unwrap();
    queue.seal();
    assert_eq!(reasons(&queue.snapshot())[1], "2 items buffered for 1 consumer");
    let empty = IterableQueue::<u8>::unbounded();
    let _producer = empty.producer_named("p").unwrap();
    empty.seal();
    assert_eq!(reasons(&empty.snapshot()), ["producer p is open, 0 puts"]);
    let lost = "no consumer is left: 2 items will be dropped with the last producer, or the last handle of the queue";
    let mut paused = queue.snapshot();
    paused.consumers[0].paused = true;
    assert_eq!(reasons(&paused)[1], "2 items buffered for 0 consumers, and 1 paused");
    drop(consumer);
    assert_eq!(reasons(&queue.snapshot()), ["producer p is open, 2 puts", lost]);
}

#[test]
fn a_consumer_that_holds_items_is_named_also_after_it_was_dropped() {
    let queue = backend::unbounded();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer_named("worker").unwrap());
    (1..=2).try_for_each(|n| producer.try_put(n)).unwrap();
    let held = [consumer.soon_lease(), consumer.soon_lease()];
    let last = |snapshot: &Snapshot| reasons(snapshot).last().cloned().unwrap();
    let mut snapshot = queue.snapshot();
    snapshot.consumers[0].last_lease = Some(180 * SECOND);
    assert_eq!(last(&snapshot), "consumer worker has held 2 items, the last one for 3 min");
    snapshot.consumers[0].last_lease = None;
    assert_eq!(last(&snapshot), "consumer worker holds 2 items");
    drop(consumer);
    let gone = last(&queue.snapshot());
    assert!(gone.starts_with("consumer worker (closed) has held 2 items, the last one for "), "{gone}");
    for item in held {
        item.ack();
    }
    assert_eq!(queue.snapshot().consumers, []);
}

#[test]
fn who_holds_nothing_has_no_last_lease() {
    let queue = backend::unbounded();
    let mut idle = queue.consumer().unwrap();
    queue.producer().unwrap().try_put(1).unwrap();
    idle.soon_lease().ack();
    assert_eq!(queue.snapshot().consumers[0].last_lease, None);
}

#[test]
fn endpoints_are_called_as_they_were_named_or_counted() {
    let queue = IterableQueue::<u8>::unbounded();
    let (named, unnamed) = (queue.consumer_named("worker").unwrap(), queue.consumer().unwrap());
    let _producer = queue.producer().unwrap();
    assert_eq!(
        (queue.snapshot().producers[0].name.as_str(), unnamed.id().to_string().as_str()),
        ("producer-1", "consumer-2")
    );
    assert!(queue.id().to_string().starts_with("queue-") && queue.name().is_none());
    let clones = (named.clone(), unnamed.clone());
    let names = queue.snapshot().consumers.into_iter().map(|consumer| consumer.name);
    assert!(names.eq(["worker", "consumer-2", "worker", "consumer-4"]));
    drop(clones);
}

#[test]
fn ages_read_well() {
    let queue = backend::unbounded::<u8>();
    let _producer = queue.producer_named("p").unwrap();
    let mut snapshot = queue.snapshot();
    let millisecond = Duration::from_millis(1);
    for (age, text) in [
        (Duration::ZERO, "0 ms"),
        (SECOND - millisecond, "999 ms"),
        (SECOND, "1 s"),
        (120 * SECOND - millisecond, "119 s"),
        (120 * SECOND, "2 min"),
        (7200 * SECOND - millisecond, "119 min"),
        (7200 * SECOND, "2 h"),
        (90_000 * SECOND, "25 h"),
    ] {
        snapshot.producers[0].last_put = Some(age);
        assert_eq!(reasons(&snapshot)[1], format!("producer p is open, 0 puts, last one {text} ago"));
    }
}
