//! Who gets an item that came back: another consumer than the one that failed, when one waits.

use std::task::Poll;
use std::thread;
use std::time::Duration;

use actix::prelude::*;
use actix_iterable_queue::Backoff;
use actix_iterable_queue::error::TryGetError;
use actix_iterable_queue::prelude::*;
use support::actors;
use support::actors::{Hand, in_system};
use support::leases::{consumer, done, filled, park, poll, try_done};
use support::{Task, until, within_watchdog};

#[test]
fn d3_one_that_waits_gets_it_even_if_the_giver_looks_first() {
    for fail in [drop as fn(Item<u32>), Item::requeue] {
        let (queue, _producer) = filled(1);
        let (mut giver, mut other) = (consumer(&queue), consumer(&queue));
        let item = giver.try_lease().unwrap();
        let (task, giver_task) = (Task::new(), Task::new());
        let mut lease = Box::pin(other.lease());
        assert!(task.poll(lease.as_mut()).is_pending());
        fail(item);
        assert_eq!(task.wakes(), 1);
        // However it looks.
        assert_eq!(try_done(&mut giver), None);
        assert_eq!(giver.try_get(), Err(TryGetError::Empty));
        assert!(park(&mut giver, &giver_task) && park(&mut giver, &giver_task));
        let Poll::Ready(Some(item)) = task.poll(lease.as_mut()) else { panic!("it is there") };
        assert_eq!(done(item), (0, 2));
    }
}

#[test]
fn d3_a_thread_that_waits_gets_it() {
    within_watchdog(|| {
        for _ in 0..50 {
            let (queue, _producer) = filled(1);
            let (mut giver, mut other) = (consumer(&queue), consumer(&queue));
            let item = giver.try_lease().unwrap();
            let thread = thread::spawn(move || done(other.blocking_lease().unwrap()));
            until(|| queue.snapshot().waiting_gets == 1);
            item.requeue();
            assert_eq!(try_done(&mut giver), None);
            assert_eq!(thread.join().unwrap(), (0, 2));
        }
    });
}

#[test]
fn d3_an_actor_that_waits_gets_it_pulled_or_pushed() {
    in_system(|| async {
        for push in [true, false] {
            let (queue, _producer) = filled(1);
            let mut giver = consumer(&queue);
            let item = giver.try_lease().unwrap();
            let actor = QueueActor::new(queue.clone()).start();
            let mut events = if push {
                let (hand, events) = Hand::push();
                actor.send(RegisterConsumer::new(hand)).await.unwrap().unwrap();
                events
            } else {
                Hand::pull(consumer(&queue)).1
            };
            actors::until(|| queue.snapshot().waiting_gets == 1).await;
            item.requeue();
            assert_eq!(try_done(&mut giver), None);
            assert_eq!(done(events.item().await), (0, 2));
        }
    });
}

#[test]
fn d3_after_the_backoff_it_is_the_same() {
    within_watchdog(|| {
        let backoff = Backoff::exponential(Duration::from_millis(2), Duration::from_millis(2));
        let queue = IterableQueue::builder().redelivery_backoff(backoff).build().unwrap();
        let producer = queue.producer().unwrap();
        producer.try_put(0).unwrap();
        let (mut giver, mut other) = (consumer(&queue), consumer(&queue));
        let item = giver.try_lease().unwrap();
        let (task, giver_task) = (Task::new(), Task::new());
        // The giver is first in line.
        assert!(park(&mut giver, &giver_task) && park(&mut other, &task));
        item.requeue();
        // The other one was woken to wait for the time, and maybe the time has come.
        let polled = poll(&mut other, &task);
        if polled.is_pending() {
            let before = task.wakes();
            until(|| queue.snapshot().delayed == 0);
            assert_eq!(giver.try_get(), Err(TryGetError::Empty));
            until(|| task.wakes() > before);
            assert_eq!(poll(&mut other, &task), Poll::Ready(Some(0)));
        }
        assert_eq!(giver_task.wakes(), 0);
    });
}

#[test]
fn d6_if_the_other_leaves_the_giver_gets_it() {
    for giver_waits in [true, false] {
        for other_stays_open in [true, false] {
            let (queue, _producer) = filled(1);
            let (mut giver, mut other) = (consumer(&queue), consumer(&queue));
            let item = giver.try_lease().unwrap();
            let (task, giver_task) = (Task::new(), Task::new());
            let mut lease = Box::pin(other.lease());
            assert!(task.poll(lease.as_mut()).is_pending());
            item.requeue();
            assert_eq!((task.wakes(), giver.try_get()), (1, Err(TryGetError::Empty)));
            assert!(!giver_waits || park(&mut giver, &giver_task));
            let looks = giver_task.wakes();
            drop(lease);
            if !other_stays_open {
                drop(other);
            }
            if giver_waits {
                assert_eq!(giver_task.wakes(), looks + 1, "the item is there, and the one who waits for it sleeps");
                assert_eq!(poll(&mut giver, &giver_task), Poll::Ready(Some(0)));
            } else {
                assert_eq!(try_done(&mut giver), Some((0, 2)));
            }
        }
    }
}

#[test]
fn d6_if_the_other_loses_its_race_nobody_hangs() {
    let (queue, producer) = filled(1);
    let (mut giver, mut other, mut third) = (consumer(&queue), consumer(&queue), consumer(&queue));
    let item = giver.try_lease().unwrap();
    let task = Task::new();
    assert!(park(&mut other, &task));
    item.requeue();
    // A running one may be faster.
    let item = third.try_lease().unwrap();
    assert!(park(&mut other, &task), "woken for nothing, it keeps its place");
    item.requeue();
    assert_eq!((task.wakes(), try_done(&mut third)), (2, None));
    assert_eq!(try_done(&mut giver), Some((0, 3)), "it has nothing to leave to others");
    assert!(park(&mut other, &task));
    // Nothing is left of the promises.
    producer.try_put(1).unwrap();
    let item = third.try_lease().unwrap();
    drop(other);
    item.requeue();
    assert_eq!(try_done(&mut third), Some((1, 2)));
}

#[test]
fn d3_two_that_fail_and_wait_take_over_from_each_other() {
    let (queue, _producer) = filled(2);
    let (mut one, mut two) = (consumer(&queue), consumer(&queue));
    let (item_0, item_1) = (one.try_lease().unwrap(), two.try_lease().unwrap());
    let (task_1, task_2) = (Task::new(), Task::new());
    assert!(park(&mut one, &task_1) && park(&mut two, &task_2));
    item_0.requeue();
    assert_eq!((task_1.wakes(), task_2.wakes()), (0, 1));
    item_1.requeue();
    assert_eq!((task_1.wakes(), task_2.wakes()), (1, 1));
    assert_eq!(poll(&mut one, &task_1), Poll::Ready(Some(1)));
    assert_eq!(poll(&mut two, &task_2), Poll::Ready(Some(0)));
}

/// Two items and two that wait: the first one's look says nothing about the second.
#[test]
fn d3_each_that_was_woken_gets_its_item_whoever_looks_in_between() {
    let (queue, _producer) = filled(2);
    let (mut giver, mut one, mut two) = (consumer(&queue), consumer(&queue), consumer(&queue));
    let items = [giver.try_lease().unwrap(), giver.try_lease().unwrap()];
    let (task_1, task_2) = (Task::new(), Task::new());
    assert!(park(&mut one, &task_1) && park(&mut two, &task_2));
    items.into_iter().for_each(Item::requeue);
    assert_eq!((task_1.wakes(), task_2.wakes()), (1, 1));
    assert_eq!(poll(&mut one, &task_1), Poll::Ready(Some(0)));
    assert_eq!(giver.try_get(), Err(TryGetError::Empty), "another was woken for it and has not looked yet");
    assert_eq!(poll(&mut two, &task_2), Poll::Ready(Some(1)));
}

/// A woken stream that is asked with `try_get` has had its look, too.
#[test]
fn d6_one_that_was_woken_is_not_kept_from_its_own_items() {
    let (queue, _producer) = filled(2);
    let (mut one, mut two, mut third) = (consumer(&queue), consumer(&queue), consumer(&queue));
    let (item_0, item_1) = (one.try_lease().unwrap(), two.try_lease().unwrap());
    let task = Task::new();
    assert!(park(&mut two, &task));
    item_0.requeue();
    item_1.requeue();
    assert_eq!((task.wakes(), third.try_get()), (1, Ok(0)));
    drop((one, third));
    // It is the only consumer, and the item is its own.
    assert_eq!(two.try_get(), Ok(1));
}
