//! C1 to C5: states, closing, sealing, and when the queue is drained.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::thread;

use actix_iterable_queue::error::{OpenError, PutError, PutTimeoutError, Refusal, TryGetError, TryPutError};
use actix_iterable_queue::report::Blocker;
use actix_iterable_queue::{Drained, IterableQueue, Outcome, State};
use futures::{FutureExt, Sink, StreamExt};
use support::backend::{self, Soon};
use support::{Task, until, within_watchdog};

fn rank(state: State) -> u8 {
    match state {
        State::Open => 0,
        State::Sealed => 1,
        State::Draining => 2,
        _ => 3,
    }
}

#[test]
fn c1_state_moves_one_way_only() {
    let queue = backend::unbounded();
    let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    assert_eq!(queue.state(), State::Open);
    producer.try_put(1).unwrap();
    queue.seal();
    assert_eq!(queue.state(), State::Sealed);
    producer.close();
    backend::soon(|| queue.state(), State::Draining);
    let item = consumer.soon_lease();
    item.put_child(2).unwrap();
    item.requeue();
    backend::soon(|| queue.state(), State::Draining);
    // Over Redis, the child may be there a moment before the item is back.
    queue.blocking_flush();
    assert_eq!(consumer.soon_items(2), [1, 2]);
    backend::drained(&queue);
    assert_eq!(queue.abort(), [0; 0]);
    queue.seal();
    drop(consumer);
    backend::drained(&queue);
}

#[test]
fn c1_aborted_from_every_state_but_drained_and_final() {
    for steps in 0..3 {
        let queue = IterableQueue::unbounded();
        let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.try_put(1).unwrap();
        if steps > 0 {
            queue.seal();
        }
        if steps > 1 {
            producer.close();
        }
        assert_eq!(rank(queue.state()), steps);
        assert_eq!(queue.abort(), [1]);
        assert_eq!(queue.state(), State::Aborted);
        producer.close();
        drop(consumer);
        queue.seal();
        assert_eq!(queue.abort(), [0; 0]);
        assert_eq!(queue.state(), State::Aborted);
        assert_eq!(queue.producer().unwrap_err(), OpenError::Ended);
    }
}

#[test]
fn c1_threads_never_see_a_state_go_back() {
    within_watchdog(|| {
        for _ in 0..backend::rounds(200) {
            let queue = backend::unbounded();
            let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
            thread::scope(|scope| {
                scope.spawn(|| {
                    let mut last = 0;
                    until(|| {
                        let now = rank(queue.state());
                        assert!(now >= last, "{now} after {last}");
                        last = now;
                        now == 3
                    });
                });
                scope.spawn(move || (0..20).for_each(|n| producer.blocking_put(n).unwrap()));
                scope.spawn(|| queue.seal());
                scope.spawn(|| consumer.into_blocking_leases().for_each(|item| item.ack()));
            });
            backend::drained(&queue);
        }
    });
}

#[test]
fn c2_close_is_idempotent_and_a_put_after_it_gives_the_item_back() {
    let queue = backend::unbounded();
    let mut producer = queue.producer().unwrap();
    let _consumer = queue.consumer().unwrap();
    let mut sink = producer.sink();
    producer.close();
    producer.close();
    assert_eq!(producer.try_put(1), Err(TryPutError::Refused(PutError::new(1, Refusal::Closed))));
    assert_eq!(producer.blocking_put(2), Err(PutError::new(2, Refusal::Closed)));
    let timeout = std::time::Duration::ZERO;
    assert_eq!(
        producer.blocking_put_timeout(3, timeout),
        Err(PutTimeoutError::Refused(PutError::new(3, Refusal::Closed)))
    );
    assert_eq!(producer.put(4).now_or_never(), Some(Err(PutError::new(4, Refusal::Closed))));
    assert_eq!(producer.reserve().now_or_never().unwrap().err(), Some(Refusal::Closed));
    let mut items = 5..;
    assert_eq!(producer.put_all(&mut items).now_or_never(), Some(Err(PutError::new(5, Refusal::Closed))));
    assert_eq!(items.next(), Some(6));

    let task = Task::new();
    assert!(pin!(&mut sink).poll_close(&mut task.context()).is_ready());
    assert!(pin!(&mut sink).poll_close(&mut task.context()).is_ready());
    assert_eq!(pin!(&mut sink).start_send(7).unwrap_err().into_inner(), Some(7));
    assert_eq!(queue.snapshot().totals.accepted, 0);
}

#[test]
fn c2_an_endpoint_closes_with_its_last_handle() {
    let queue = backend::unbounded::<u8>();
    let mut first = queue.producer_named("http").unwrap();
    let _consumer = queue.consumer().unwrap();
    let second = first.clone();
    queue.seal();
    let third = second.clone(); // cloning an open one works after seal
    first.close();
    drop(second);
    assert_eq!((queue.state(), queue.snapshot().producers.len()), (State::Sealed, 1));
    assert_eq!(queue.snapshot().producers[0].name, "http");
    third.try_put(1).unwrap();
    drop(third);
    backend::soon(|| (queue.state(), queue.snapshot().producers.len()), (State::Draining, 0));
}

#[test]
fn c2_a_clone_of_a_closed_handle_is_closed() {
    let queue = backend::unbounded();
    let mut producer = queue.producer().unwrap();
    let open = producer.clone();
    producer.close();
    let clone = producer.clone();
    assert!(clone.is_closed() && !open.is_closed());
    assert_eq!(clone.try_put(1).unwrap_err().into_inner(), 1);
    open.try_put(2).unwrap();
}

#[test]
fn c2_permits_sinks_and_waiting_puts_own_a_handle() {
    let queue = backend::bounded(1);
    let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    queue.seal();
    let permit = producer.reserve().now_or_never().unwrap().unwrap();
    let sink = producer.sink();
    let other = producer.clone();
    let mut waiting = Box::pin(async move { other.put(2).await });
    let task = Task::new();
    assert!(task.poll(waiting.as_mut()).is_pending());
    producer.close();

    permit.put(1).unwrap();
    assert_eq!(consumer.soon_item(), 1);
    assert_eq!(backend::soon_ready(waiting.as_mut()), Ok(()));
    drop(waiting);
    assert_eq!(consumer.soon_item(), 2);
    assert_eq!(queue.state(), State::Sealed, "the sink is open");
    drop(sink);
    backend::drained(&queue);
}

#[test]
fn c3_after_seal_nothing_new_is_opened_but_clones_work() {
    let queue = backend::unbounded();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    queue.seal();
    queue.seal();
    assert_eq!(queue.producer().unwrap_err(), OpenError::Sealed);
    assert_eq!(queue.producer_named("late").unwrap_err(), OpenError::Sealed);
    assert_eq!(queue.consumer().unwrap_err(), OpenError::Sealed);
    assert_eq!(queue.consumer_named("late").unwrap_err(), OpenError::Sealed);
    assert_eq!(queue.clone().split().unwrap_err(), OpenError::Sealed);
    let (more, mut another) = (producer.clone(), consumer.clone());
    more.try_put(1).unwrap();
    producer.try_put(2).unwrap();
    assert_eq!((another.soon_item(), consumer.soon_item()), (1, 2));
}

#[test]
fn c3_the_queue_seals_itself_with_its_last_handle() {
    let queue = backend::unbounded::<u8>();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let (clone, more) = (queue.clone(), (producer.clone(), consumer.clone()));
    drop(producer);
    drop(queue);
    drop(more);
    assert_eq!(clone.state(), State::Open, "a handle is left");
    assert_eq!(consumer.try_get(), Err(TryGetError::Empty));
    drop(clone);
    consumer.soon_end();
}

#[test]
fn c3_drained_futures_are_no_handles_and_borrow_nothing() {
    fn free<F: Future<Output = Drained> + Send + 'static>(future: F) -> F {
        future
    }
    let queue = backend::unbounded::<u8>();
    let (unpolled, mut polled) = (free(queue.drained()), Box::pin(free(queue.drained())));
    let dropped = free(queue.drained());
    let task = Task::new();
    assert!(task.poll(polled.as_mut()).is_pending());
    let (producer, consumer) = queue.split().unwrap();
    drop((producer, dropped));
    backend::soon(|| task.wakes(), 1); // neither future kept it open
    assert!(matches!(task.poll(polled.as_mut()), Poll::Ready(Drained { outcome: Outcome::Complete, .. })));
    assert_eq!(backend::soon_ready(unpolled).outcome, Outcome::Complete);
    drop(consumer);
}

#[test]
fn c4_a_close_never_overtakes_earlier_puts() {
    within_watchdog(|| {
        for capacity in [1, 3, 64] {
            let (mut producer, consumer) = backend::bounded(capacity).split().unwrap();
            let putting = thread::spawn(move || {
                (0..500).for_each(|n| producer.blocking_put(n).unwrap());
                producer.close();
            });
            assert!(consumer.into_iter().eq(0..500));
            putting.join().unwrap();
        }
    });
}

#[test]
fn c4_a_waiting_put_arrives_before_the_end() {
    let (mut producer, mut consumer) = backend::bounded(1).split().unwrap();
    producer.try_put(1).unwrap();
    let other = producer.clone();
    let mut waiting = Box::pin(async move { other.put(2).await });
    let task = Task::new();
    assert!(task.poll(waiting.as_mut()).is_pending());
    producer.close();
    assert_eq!(consumer.soon_item(), 1);
    assert_eq!(consumer.try_get(), Err(TryGetError::Empty), "one put is under way");
    backend::soon_ready(waiting.as_mut()).unwrap();
    drop(waiting);
    assert_eq!(backend::soon_ready(consumer.by_ref().collect::<Vec<_>>()), [2]);
}

#[test]
fn c5_a_loop_over_a_borrowed_consumer_ends_with_the_queue() {
    let (producer, mut consumer) = backend::unbounded().split().unwrap();
    (0..3).try_for_each(|n| producer.try_put(n)).unwrap();
    drop(producer);
    let mut seen = Vec::new();
    for n in &mut consumer {
        seen.push(n);
    }
    assert_eq!((seen, consumer.try_get()), (vec![0, 1, 2], Err(TryGetError::Ended)));
}

#[test]
fn c5_the_last_lease_blocks_the_end_and_is_named() {
    let queue = backend::unbounded();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer_named("worker-2").unwrap());
    producer.try_put(1).unwrap();
    drop(producer);
    queue.seal();
    let item = consumer.soon_lease();
    let task = Task::new();
    assert!(task.poll(pin!(consumer.lease())).is_pending(), "it waits for itself");
    let named =
        |blockers: &[Blocker]| matches!(blockers, [Blocker::Leased(who)] if who.name == "worker-2" && who.leased == 1);
    backend::soon(|| named(&queue.snapshot().blockers()), true);
    let blockers = queue.snapshot().blockers();
    assert!(blockers.to_string().contains("consumer worker-2 has held 1 item"), "{blockers}");
    item.ack();
    backend::soon(|| queue.snapshot().blockers().len(), 0);
    assert!(backend::soon_ready(consumer.lease()).is_none());
}
