//! D7 and D8: nobody is left to take, and abort.

use std::sync::{Arc, Barrier, Weak};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use actix_iterable_queue::error::{PutError, Refusal, TryGetError, TryPutError};
use actix_iterable_queue::{Backoff, Consumer, IterableQueue, Outcome, Producer, State};
use futures::executor::block_on;
use futures::{FutureExt, SinkExt};
use support::backend::{self, Soon};
use support::{Task, assert_conserved, until, within_watchdog};

#[test]
fn d7_without_a_consumer_a_sealed_queue_refuses_puts() {
    let queue = IterableQueue::unbounded();
    let producer = queue.producer().unwrap();
    queue.consumer().unwrap(); // gone at once
    producer.try_put(1).unwrap();
    assert_eq!(queue.state(), State::Open, "somebody may still open a consumer");
    queue.seal();
    assert_eq!(producer.try_put(2), Err(TryPutError::Refused(PutError::new(2, Refusal::Abandoned))));
    assert_eq!(producer.blocking_put(3), Err(PutError::new(3, Refusal::Abandoned)));
    assert_eq!(producer.put(4).now_or_never(), Some(Err(PutError::new(4, Refusal::Abandoned))));
    assert_eq!(producer.reserve().now_or_never().unwrap().err(), Some(Refusal::Abandoned));
    assert_eq!(queue.state(), State::Sealed, "a producer is open");
    drop(producer);
    let drained = queue.blocking_drained();
    assert_eq!((queue.state(), drained.outcome, drained.totals.discarded), (State::Aborted, Outcome::Abandoned, 1));
}

#[test]
fn d7_waiting_puts_wake_to_it() {
    let queue = IterableQueue::bounded(1);
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    queue.seal();
    producer.try_put(0).unwrap();
    let tasks: Vec<_> = (0..3).map(|_| Task::new()).collect();
    let mut puts: Vec<_> = (0..3).map(|n| Box::pin(producer.put(n))).collect();
    puts.iter_mut().zip(&tasks).for_each(|(put, task)| assert!(task.poll(put.as_mut()).is_pending()));
    drop(consumer);
    for (n, (put, task)) in puts.iter_mut().zip(&tasks).enumerate() {
        assert_eq!(task.wakes(), 1);
        assert_eq!(task.poll(put.as_mut()), Poll::Ready(Err(PutError::new(n, Refusal::Abandoned))));
    }
}

#[test]
fn d7_permits_and_sinks_fail_with_the_item() {
    let queue = IterableQueue::bounded(4);
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let permit = block_on(producer.reserve()).unwrap();
    let mut sink = producer.sink();
    block_on(sink.feed(0)).unwrap();
    queue.seal();
    drop(consumer);
    assert_eq!(permit.put(1), Err(PutError::new(1, Refusal::Abandoned)));
    assert_eq!(block_on(sink.send(2)).unwrap_err().reason(), Refusal::Abandoned);
}

#[test]
fn d7_empty_and_settled_it_is_drained_after_all() {
    let queue = backend::unbounded();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.try_put(1).unwrap();
    let item = consumer.soon_lease();
    queue.seal();
    drop(consumer);
    drop(producer);
    backend::soon(|| queue.state(), State::Draining); // the lease is out
    item.ack();
    assert_eq!((queue.blocking_drained().outcome, queue.state()), (Outcome::Complete, State::Drained));
}

#[test]
fn d7_a_last_lease_that_comes_back_ends_it() {
    let queue = IterableQueue::unbounded();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.try_put(1).unwrap();
    let item = consumer.try_lease().unwrap();
    queue.seal();
    drop((consumer, producer));
    drop(item);
    assert_eq!((queue.state(), queue.blocking_drained().outcome), (State::Aborted, Outcome::Abandoned));
    assert_conserved(&queue);
}

#[test]
fn d8_abort_wakes_everybody() {
    let queue = backend::bounded(1);
    let producer = queue.producer().unwrap();
    producer.try_put(0).unwrap();
    let (putter, reserver, watcher) = (Task::new(), Task::new(), Task::new());
    let (mut put, mut reserve) = (Box::pin(producer.put(1)), Box::pin(producer.reserve()));
    let mut drained = Box::pin(queue.drained());
    assert!(putter.poll(put.as_mut()).is_pending());
    assert!(reserver.poll(reserve.as_mut()).is_pending());
    assert!(watcher.poll(drained.as_mut()).is_pending());
    backend::assert_left(queue.abort(), [0]);
    assert_eq!((putter.wakes(), reserver.wakes(), watcher.wakes()), (1, 1, 1));
    assert_eq!(putter.poll(put.as_mut()), Poll::Ready(Err(PutError::new(1, Refusal::Aborted))));
    assert!(matches!(reserver.poll(reserve.as_mut()), Poll::Ready(Err(Refusal::Aborted))));
    assert!(matches!(watcher.poll(drained.as_mut()), Poll::Ready(end) if end.outcome == Outcome::Aborted));

    let queue = backend::unbounded::<u8>();
    let mut consumer = queue.consumer().unwrap();
    let (getter, mut get) = (Task::new(), Box::pin(consumer.get()));
    assert!(getter.poll(get.as_mut()).is_pending());
    assert_eq!(queue.abort(), [0; 0]);
    assert_eq!((getter.wakes(), getter.poll(get.as_mut())), (1, Poll::Ready(None)));
}

#[test]
fn d8_abort_wakes_every_put_of_a_handle_whoever_is_polled_first() {
    let queue = backend::bounded(1);
    let producer = queue.producer().unwrap();
    producer.try_put(0).unwrap();
    let tasks: Vec<_> = (0..3).map(|_| Task::new()).collect();
    let mut puts: Vec<_> = (0..3).map(|n| Box::pin(producer.put(n))).collect();
    puts.iter_mut().zip(&tasks).for_each(|(put, task)| assert!(task.poll(put.as_mut()).is_pending()));
    backend::assert_left(queue.abort(), [0]);
    assert_eq!(tasks.iter().map(Task::wakes).collect::<Vec<_>>(), [1, 1, 1]);
    for (n, (put, task)) in puts.iter_mut().zip(&tasks).enumerate().rev() {
        assert_eq!(task.poll(put.as_mut()), Poll::Ready(Err(PutError::new(n, Refusal::Aborted))));
    }
}

#[test]
fn d8_abort_wakes_threads() {
    within_watchdog(|| {
        let queue = backend::bounded(1);
        let (producer, other) = (queue.producer().unwrap(), backend::unbounded::<u8>());
        producer.try_put(0).unwrap();
        let mut consumer = other.consumer().unwrap();
        let putting = thread::spawn(move || producer.blocking_put(1));
        let taking = thread::spawn(move || consumer.blocking_get());
        // Over Redis a put waits among what is buffered, for its confirmation.
        until(|| queue.len() + queue.snapshot().waiting_puts == 2 && other.snapshot().waiting_gets == 1);
        backend::assert_left(queue.abort(), [0]);
        assert_eq!(other.abort(), [0; 0]);
        assert_eq!((putting.join().unwrap(), taking.join().unwrap()), (Err(PutError::new(1, Refusal::Aborted)), None));
    });
}

#[test]
fn d8_the_caller_gets_what_was_left_in_order() {
    let queue = IterableQueue::bounded(3);
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    (0..3).for_each(|n| producer.try_put(n).unwrap());
    let (first, second) = (consumer.try_lease().unwrap(), consumer.try_lease().unwrap());
    first.put_child(10).unwrap();
    producer.try_put(11).unwrap();
    second.requeue();
    first.requeue();
    assert_eq!(queue.abort(), [0, 1, 2, 10, 11]);
    assert_eq!(consumer.try_get(), Err(TryGetError::Ended));
}

#[test]
fn d8_no_accepted_item_is_stranded_by_an_abort_that_races_with_puts() {
    within_watchdog(|| {
        for round in 0..300 {
            let queue = match round % 3 {
                0 => IterableQueue::bounded(1),
                1 => IterableQueue::bounded(64),
                _ => IterableQueue::unbounded(),
            };
            let producers: Vec<_> = (0..2).map(|_| queue.producer().unwrap()).collect();
            let mut consumer = queue.consumer().unwrap();
            let start = Arc::new(Barrier::new(4));
            let putting: Vec<_> = (0..)
                .zip(producers)
                .map(|(id, producer)| {
                    let start = Arc::clone(&start);
                    thread::spawn(move || {
                        start.wait();
                        let mut accepted = Vec::new();
                        for n in 0.. {
                            match producer.try_put((id, n)) {
                                Ok(()) => accepted.push((id, n)),
                                Err(TryPutError::Full(_)) => thread::yield_now(),
                                Err(error) => {
                                    assert_eq!(error, TryPutError::Refused(PutError::new((id, n), Refusal::Aborted)));
                                    break;
                                }
                            }
                        }
                        accepted
                    })
                })
                .collect();
            let taking = thread::spawn({
                let start = Arc::clone(&start);
                move || {
                    start.wait();
                    let mut taken = Vec::new();
                    loop {
                        match consumer.try_get() {
                            Ok(item) => taken.push(item),
                            Err(TryGetError::Empty) => thread::yield_now(),
                            Err(_) => return taken,
                        }
                    }
                }
            });
            start.wait();
            (0..round % 50).for_each(|_| std::hint::spin_loop());
            let left = queue.abort();
            let mut accepted: Vec<(u8, u32)> = putting.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
            let mut found = taking.join().unwrap();
            found.extend(left);
            accepted.sort_unstable();
            found.sort_unstable();
            assert_eq!(found, accepted);
            assert_conserved(&queue);
        }
    });
}

#[test]
fn d8_after_the_end_leases_can_still_be_settled() {
    let queue = IterableQueue::unbounded();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    block_on(producer.put_all(0..4)).unwrap();
    let mut held: Vec<_> = (0..4).map(|_| consumer.try_lease().unwrap()).collect();
    assert_eq!(queue.abort(), [0; 0]);
    let totals = || queue.snapshot().totals;
    held.pop().unwrap().ack();
    assert_eq!((totals().acked, totals().discarded), (1, 0));
    let item = held.pop().unwrap();
    assert_eq!(item.put_child(9), Err(PutError::new(9, Refusal::Aborted)));
    let mut children = 5..;
    assert_eq!(item.put_children(&mut children), Err(PutError::new(5, Refusal::Aborted)));
    assert_eq!(children.next(), Some(6));
    drop(item);
    held.pop().unwrap().requeue();
    assert_eq!((totals().acked, totals().discarded, queue.len()), (1, 2, 0));
    assert_eq!(held.pop().unwrap().into_inner(), 0);
    assert_eq!((totals().taken, totals().accepted), (1, 4));
    assert_conserved(&queue);
}

#[test]
fn c6_what_is_leased_when_it_is_aborted_is_missing_from_the_totals() {
    let queue = IterableQueue::unbounded();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    block_on(producer.put_all(0..5)).unwrap();
    drop(producer);
    assert_eq!(consumer.try_get(), Ok(0));
    consumer.try_lease().unwrap().ack();
    let held = consumer.try_lease().unwrap();
    assert_eq!(queue.abort(), [3, 4]);
    let totals = block_on(queue.drained()).totals;
    assert_eq!((totals.accepted, totals.acked, totals.taken, totals.discarded), (5, 1, 1, 2));
    held.ack();
    assert_eq!(queue.snapshot().totals.acked, 2);
    assert_conserved(&queue);
}

#[test]
fn d8_put_child_after_drained_of_a_bounded_queue_fails_too() {
    let queue = backend::bounded(1);
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.try_put(1).unwrap();
    let item = consumer.soon_lease();
    drop(queue.abort());
    assert_eq!(item.put_child(2).unwrap_err().into_inner(), 2);
    assert_eq!(queue.len(), 0);
}

/// Work that may put more of its kind, and tells when it is dropped.
#[derive(Debug)]
struct Holder {
    _producer: Option<Producer<Holder>>,
    _alive: Arc<()>,
}

/// The only item of the queue holds its last producer.
fn circle(queue: IterableQueue<Holder>) -> (IterableQueue<Holder>, Consumer<Holder>, Weak<()>) {
    let (producer, consumer) = (queue.producer().expect("open"), queue.consumer().expect("open"));
    let alive = Arc::new(());
    let dropped = Arc::downgrade(&alive);
    let item = Holder { _producer: Some(producer.clone()), _alive: alive };
    assert!(producer.try_put(item).is_ok());
    (queue, consumer, dropped)
}

#[test]
fn d7_an_item_that_holds_the_last_producer_is_dropped_once_nobody_can_have_it() {
    for handle_goes_first in [true, false] {
        let (queue, consumer, item) = circle(IterableQueue::unbounded());
        let end = queue.drained();
        if handle_goes_first {
            drop(queue);
            drop(consumer);
        } else {
            drop(consumer);
            queue.seal();
            assert_eq!((item.strong_count(), queue.len()), (1, 1), "an abort would hand it out");
            drop(queue);
        }
        assert_eq!(item.strong_count(), 0);
        let drained = end.now_or_never().expect("it has ended");
        assert_eq!((drained.outcome, drained.totals.discarded), (Outcome::Abandoned, 1));
    }
}

#[test]
fn d7_an_item_that_holds_the_last_producer_is_dropped_when_it_comes_back() {
    let (queue, mut consumer, item) = circle(IterableQueue::unbounded());
    let end = queue.drained();
    let lease = consumer.try_lease().unwrap();
    drop((queue, consumer));
    assert_eq!(item.strong_count(), 1);
    lease.requeue();
    assert_eq!(item.strong_count(), 0);
    let drained = end.now_or_never().expect("it has ended");
    assert_eq!((drained.outcome, drained.totals.discarded, drained.totals.redelivered), (Outcome::Abandoned, 1, 0));
}

#[test]
fn d7_an_item_that_waits_for_its_backoff_is_dropped_too() {
    let backoff = Backoff::exponential(Duration::MAX, Duration::MAX);
    let (queue, mut consumer, item) = circle(IterableQueue::builder().redelivery_backoff(backoff).build().unwrap());
    consumer.try_lease().unwrap().requeue();
    assert_eq!((item.strong_count(), queue.snapshot().delayed), (1, 1));
    let end = queue.drained();
    drop((queue, consumer));
    assert_eq!(end.now_or_never().expect("it has ended").totals.discarded, 1);
}

#[test]
fn d7_what_a_shutdown_is_to_report_is_kept_for_it() {
    let queue = IterableQueue::unbounded();
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.try_put(1).unwrap();
    let permit = producer.reserve().now_or_never().unwrap().unwrap();
    let report = queue.shutdown(Duration::from_secs(3600));
    drop((queue, consumer));
    drop((permit, producer));
    assert_eq!(block_on(report).left, [1]);
}
