//! What the report of a shutdown says: what was left, and who held items (D8).

use std::pin::Pin;
use std::sync::{Arc, Barrier};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use actix_iterable_queue::error::{PutError, Refusal, TryGetError, TryPutError};
use actix_iterable_queue::report::ShutdownReport;
use actix_iterable_queue::{Consumer, Item, IterableQueue, Outcome, Producer, State};
use futures::FutureExt;
use futures::executor::block_on;
use support::{Task, assert_conserved, within_watchdog};

const LONG: Duration = Duration::from_secs(3600);

fn open(queue: &IterableQueue<u32>) -> (Producer<u32>, Consumer<u32>) {
    (queue.producer().expect("open"), queue.consumer_named("worker").expect("open"))
}

/// A shutdown that has begun.
fn begun(queue: &IterableQueue<u32>) -> impl Future<Output = ShutdownReport<u32>> + Unpin {
    let mut report = Box::pin(queue.shutdown(LONG));
    assert!(Task::new().poll(report.as_mut()).is_pending());
    report
}

#[test]
fn d8_what_is_left_is_in_order_whatever_its_way() {
    within_watchdog(|| {
        for queue in [IterableQueue::bounded(4), IterableQueue::unbounded()] {
            let (producer, mut consumer) = open(&queue);
            (0..4).for_each(|n| producer.try_put(n).unwrap());
            let (parent, back) = (consumer.try_lease().unwrap(), consumer.try_lease().unwrap());
            parent.put_child(10).unwrap();
            producer.try_put(4).unwrap();
            let permit = producer.reserve().now_or_never().unwrap().unwrap();
            permit.put(5).unwrap();
            back.requeue();
            let late = begun(&queue);
            // The work that is under way may still make work.
            parent.put_child(11).unwrap();
            let report = block_on(queue.shutdown(Duration::ZERO));
            assert_eq!(report.left, [1, 2, 3, 10, 4, 5, 11]);
            assert_eq!((report.drained.outcome, report.drained.totals.discarded), (Outcome::Aborted, 7));
            assert_eq!(parent.put_child(12), Err(PutError::new(12, Refusal::Aborted)));
            // The other one has nothing to report any more.
            assert_eq!(block_on(late).left, [0; 0]);
            parent.ack();
            assert_conserved(&queue);
        }
    });
}

#[test]
fn d8_the_holders_are_named_and_what_they_ack_later_counts() {
    within_watchdog(|| {
        let queue = IterableQueue::unbounded();
        let (producer, mut one) = open(&queue);
        let (mut two, mut three) = (queue.consumer_named("second").unwrap(), queue.consumer_named("third").unwrap());
        let _idle = queue.consumer_named("idle").unwrap();
        (0..6).for_each(|n| producer.try_put(n).unwrap());
        let held: Vec<_> = (0..3).map(|_| one.try_lease().unwrap()).collect();
        let outlives = two.try_lease().unwrap();
        drop(two);
        three.try_lease().unwrap().ack();
        let report = block_on(queue.shutdown(Duration::ZERO));
        assert_eq!((report.left, report.drained.outcome), (vec![5], Outcome::Aborted));
        let holders: Vec<_> =
            report.holders.iter().map(|holder| (holder.name.as_str(), holder.leased, holder.open)).collect();
        assert_eq!(holders, [("worker", 3, true), ("second", 1, false)]);
        assert!(report.holders.iter().all(|holder| holder.last_lease.is_some()));

        // The end has come; the work that was under way may be finished all the same.
        assert_eq!(one.try_get(), Err(TryGetError::Ended));
        let mut held = held.into_iter();
        held.next().unwrap().ack();
        assert_eq!(held.next().unwrap().into_inner(), 1);
        drop(held);
        outlives.requeue();
        let totals = queue.snapshot().totals;
        assert_eq!((totals.accepted, totals.acked, totals.taken, totals.discarded), (6, 2, 1, 3));
        assert_conserved(&queue);
    });
}

#[test]
fn d8_a_complete_shutdown_leaves_nothing_and_nobody() {
    within_watchdog(|| {
        let queue = IterableQueue::bounded(2);
        let (producer, mut consumer) = open(&queue);
        (0..2).for_each(|n| producer.try_put(n).unwrap());
        let first = consumer.try_lease().unwrap();
        let (task, mut waiting) = (Task::new(), Box::pin(producer.put(2)));
        // There is room, so one more; the next has to wait.
        assert!(task.poll(waiting.as_mut()).is_ready());
        let mut waiting = Box::pin(producer.put(3));
        assert!(task.poll(waiting.as_mut()).is_pending());

        let mut report = begun(&queue);
        assert_eq!(task.poll(waiting.as_mut()), Poll::Ready(Err(PutError::new(3, Refusal::ShutDown))));
        assert_eq!(producer.try_put(4), Err(TryPutError::Refused(PutError::new(4, Refusal::ShutDown))));
        assert_eq!(queue.state(), State::Draining);
        assert!(queue.consumer().is_err(), "it is sealed");
        assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [1, 2]);
        assert!(task.poll(Pin::new(&mut report)).is_pending(), "one is leased");
        first.ack();
        let report = block_on(report);
        assert_eq!((report.drained.outcome, report.drained.totals.acked), (Outcome::Complete, 1));
        assert!(report.left.is_empty() && report.holders.is_empty());
        assert_eq!(queue.state(), State::Drained);
    });
}

#[test]
fn d7_what_the_last_consumer_leaves_behind_is_in_the_report() {
    within_watchdog(|| {
        let queue = IterableQueue::unbounded();
        let (producer, mut consumer) = open(&queue);
        (0..4).for_each(|n| producer.try_put(n).unwrap());
        let held = consumer.try_lease().unwrap();
        let report = begun(&queue);
        drop(consumer);
        assert_eq!(queue.state(), State::Draining, "one is leased");
        held.requeue();
        let report = block_on(report);
        assert_eq!((report.left, report.drained.outcome), (vec![0, 1, 2, 3], Outcome::Abandoned));
        assert!(report.holders.is_empty());
        assert_conserved(&queue);
    });
}

#[test]
fn d8_after_the_end_a_shutdown_only_reports() {
    within_watchdog(|| {
        let queue = IterableQueue::unbounded();
        let (producer, consumer) = open(&queue);
        producer.try_put(0).unwrap();
        assert_eq!(queue.abort(), [0]);
        let report = block_on(queue.shutdown(LONG));
        assert_eq!((report.drained.outcome, report.left), (Outcome::Aborted, vec![]));
        drop(consumer);

        let queue = IterableQueue::<u32>::unbounded();
        queue.seal();
        assert_eq!(block_on(queue.shutdown(Duration::ZERO)).drained.outcome, Outcome::Complete);
    });
}

#[test]
fn d8_dropping_the_future_does_not_call_the_shutdown_off() {
    within_watchdog(|| {
        let queue = IterableQueue::unbounded();
        let (producer, mut consumer) = open(&queue);
        producer.try_put(0).unwrap();
        drop(begun(&queue));
        assert_eq!(producer.try_put(1), Err(TryPutError::Refused(PutError::new(1, Refusal::ShutDown))));
        consumer.try_lease().unwrap().ack();
        assert_eq!(queue.blocking_drained().outcome, Outcome::Complete);
    });
}

#[test]
fn d8_of_several_shutdowns_each_item_is_in_one_report() {
    within_watchdog(|| {
        for round in 0..100_u64 {
            let queue = if round % 2 == 0 { IterableQueue::bounded(8) } else { IterableQueue::unbounded() };
            let (producer, consumer) = open(&queue);
            let start = Arc::new(Barrier::new(6));
            let putting = thread::spawn({
                let start = Arc::clone(&start);
                move || {
                    start.wait();
                    let refused = (0..).find(|n| producer.blocking_put(*n).is_err());
                    refused.expect("it ends")
                }
            });
            let working = thread::spawn({
                let start = Arc::clone(&start);
                move || {
                    start.wait();
                    let mut done = Vec::new();
                    for item in consumer.into_blocking_leases() {
                        if *item % 8 == 0 {
                            let _ = item.put_child(*item + 1_000_000_001);
                        }
                        if *item % 3 == 0 && item.attempt() == 1 {
                            item.requeue();
                        } else {
                            done.push(*item);
                            item.ack();
                        }
                    }
                    done
                }
            });
            let shutdowns: Vec<_> = (0..3)
                .map(|n| {
                    let (queue, start) = (queue.clone(), Arc::clone(&start));
                    thread::spawn(move || {
                        start.wait();
                        // Some end it at once, some wait a little.
                        block_on(queue.shutdown(Duration::from_micros((round + n) % 3 * 300)))
                    })
                })
                .collect();
            start.wait();
            let reports: Vec<_> = shutdowns.into_iter().map(|thread| thread.join().unwrap()).collect();
            let (puts, done) = (putting.join().unwrap(), working.join().unwrap());
            let mut left: Vec<u32> = reports.iter().flat_map(|report| report.left.iter().copied()).collect();
            // One may have been in the worker's hands at the end. If it came back, it is in a later report, or here.
            left.extend(queue.take_left());

            let totals = queue.snapshot().totals;
            assert_eq!((totals.acked as usize, totals.discarded as usize), (done.len(), left.len()));
            assert_conserved(&queue);
            let mut all: Vec<u32> = done.into_iter().chain(left).filter(|n| *n < 1_000_000_000).collect();
            all.sort_unstable();
            let unique = all.len();
            all.dedup();
            assert_eq!(all.len(), unique, "one is in two places");
            assert_eq!(all.len(), puts as usize, "all are in one place");
        }
    });
}

#[test]
fn d2_a_lease_returned_in_the_grace_is_done_by_another() {
    within_watchdog(|| {
        let queue = IterableQueue::unbounded();
        let (producer, mut consumer) = open(&queue);
        producer.try_put(0).unwrap();
        let item = consumer.try_lease().unwrap();
        let report = begun(&queue);
        let other = consumer.clone();
        let worker = thread::spawn(move || other.into_blocking_leases().for_each(Item::ack));
        item.requeue();
        let report = block_on(report);
        worker.join().unwrap();
        assert_eq!((report.drained.outcome, report.drained.totals.acked), (Outcome::Complete, 1));
    });
}

/// Nobody polls the report.
#[test]
fn d8_a_shutdown_acts_when_it_is_called() {
    let queue = IterableQueue::bounded(4);
    let (producer, mut consumer) = open(&queue);
    producer.try_put(1).unwrap();
    let report = queue.shutdown(LONG);
    assert_eq!(producer.try_put(2), Err(TryPutError::Refused(PutError::new(2, Refusal::ShutDown))));
    assert_eq!(queue.state(), State::Draining);
    assert_eq!(consumer.try_get(), Ok(1));
    assert_eq!(queue.state(), State::Drained);
    drop(queue); // the report borrows nothing
    assert_eq!(block_on(report).drained.outcome, Outcome::Complete);
}

/// Nor does anybody wait for the grace to begin.
#[test]
fn d8_the_grace_begins_with_the_call() {
    within_watchdog(|| {
        let queue = IterableQueue::bounded(4);
        let (producer, _consumer) = open(&queue);
        producer.try_put(1).unwrap();
        let report = queue.shutdown(Duration::from_millis(1));
        assert_eq!(queue.blocking_drained().outcome, Outcome::Aborted);
        assert_eq!(block_on(report).left, [1]);
    });
}

#[test]
fn a_thread_that_shuts_down_waits_for_those_who_finish() {
    within_watchdog(|| {
        let queue = IterableQueue::unbounded();
        let (producer, mut consumer) = open(&queue);
        (0..3).for_each(|n| producer.try_put(n).unwrap());
        let first = consumer.try_lease().unwrap();
        let working = thread::spawn(move || {
            assert_eq!(block_on(producer.closed()), Refusal::ShutDown);
            first.ack();
            consumer.into_blocking_leases().for_each(|item| item.ack());
        });
        let report = queue.blocking_shutdown(LONG);
        working.join().unwrap();
        assert_eq!((report.drained.outcome, report.drained.totals.acked), (Outcome::Complete, 3));
        assert_eq!((report.left, report.holders), (vec![], vec![]));
    });
}

#[test]
fn a_thread_that_shuts_down_without_grace_gets_what_is_left_and_who_holds_items() {
    let queue = IterableQueue::unbounded();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    (0..3).for_each(|n| producer.try_put(n).unwrap());
    let held = consumer.try_lease().unwrap();
    let report = queue.blocking_shutdown(Duration::ZERO);
    assert_eq!((report.drained.outcome, report.left), (Outcome::Aborted, vec![1, 2]));
    assert_eq!(report.holders[0].id, consumer.id());
    held.ack();
}
