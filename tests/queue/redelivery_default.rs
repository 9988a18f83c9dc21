//! A failed item waits by default (D3), whatever its type; and a waiting consumer always leads (D6).

use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use actix_iterable_queue::prelude::*;
use support::{Task, until, within_watchdog};

#[test]
fn d3_a_failed_item_waits_by_default() {
    for queue in [IterableQueue::bounded(3), IterableQueue::unbounded(), IterableQueue::builder().build().unwrap()] {
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        (0..3).for_each(|n| producer.try_put(n).unwrap());
        consumer.try_lease().unwrap().requeue();
        consumer.try_lease().unwrap().fail("busy");
        drop(consumer.try_lease().unwrap());
        assert_eq!(queue.snapshot().delayed, 3);
        assert_eq!(queue.abort(), [0, 1, 2]);
    }
}

#[test]
fn d3_without_a_backoff_it_comes_back_at_once() {
    let (producer, mut consumer) = IterableQueue::builder().no_redelivery_backoff().build().unwrap().split().unwrap();
    producer.try_put('x').unwrap();
    for attempt in 1..5 {
        let item = consumer.try_lease().unwrap();
        assert_eq!(item.attempt(), attempt);
        item.requeue();
    }
    consumer.try_lease().unwrap().ack();
}

#[test]
fn d3_unlimited_attempts_have_no_last_one() {
    let builder = IterableQueue::builder().unlimited_attempts().no_redelivery_backoff();
    let (producer, mut consumer) = builder.build().unwrap().split().unwrap();
    producer.try_put('x').unwrap();
    (1..10_000).for_each(|_| consumer.try_lease().unwrap().requeue());
    assert_eq!(consumer.try_lease().unwrap().attempt(), 10_000);
}

/// The thread that keeps the time does not touch the items, so they may be of one thread only, or borrowed.
#[test]
fn d3_items_of_one_thread_and_borrowed_ones_wait_and_wake_a_consumer() {
    within_watchdog(|| {
        let text = String::from("borrowed");
        for item in [(Rc::new(1), &text[..]), (Rc::new(2), &text[1..])] {
            let (producer, mut consumer) = IterableQueue::unbounded().split().unwrap();
            producer.try_put(item.clone()).unwrap();
            drop(producer);
            consumer.try_lease().unwrap().retry_after(Duration::from_millis(5), "busy");
            let again = consumer.blocking_lease().unwrap();
            assert_eq!((&*again, again.attempt()), (&item, 2));
            again.requeue();
            let again = futures::executor::block_on(consumer.lease()).unwrap();
            assert_eq!(again.attempt(), 3);
            again.ack();
            assert!(consumer.blocking_lease().is_none());
        }
    });
}

/// Both wait before the item is delayed, so one of them has to be woken to take the lead.
#[test]
fn d6_a_leader_that_leaves_passes_the_lead_on() {
    within_watchdog(|| {
        for gets_another in [true, false] {
            let queue = IterableQueue::unbounded();
            let producer = queue.producer().unwrap();
            producer.try_put("fails").unwrap();
            let [mut giver, mut first, mut second] = [(); 3].map(|()| queue.consumer().unwrap());
            let item = giver.try_lease().unwrap();
            let (one, other) = (Task::new(), Task::new());
            let (mut leading, mut following) = (Box::pin(first.lease()), Box::pin(second.lease()));
            assert!(one.poll(leading.as_mut()).is_pending() && other.poll(following.as_mut()).is_pending());

            item.retry_after(Duration::from_millis(50), "busy");
            assert_eq!((one.wakes(), other.wakes()), (1, 0), "one is to lead");
            let polled = one.poll(leading.as_mut());
            if gets_another && polled.is_pending() {
                producer.try_put("new").unwrap();
                let Poll::Ready(Some(item)) = one.poll(leading.as_mut()) else { panic!("it was put") };
                item.ack();
            }
            drop((polled, leading));
            // The machine may have stalled for so long that the item is due already.
            let item = other.run(following).unwrap();
            assert_eq!((*item, item.attempt() > 1), ("fails", true));
            item.ack();
        }
    });
}

/// The alarm rings while the leader does not look, and then the leader goes away.
#[test]
fn d6_a_leader_that_was_woken_and_leaves_passes_the_lead_on() {
    within_watchdog(|| {
        let queue = IterableQueue::unbounded();
        queue.producer().unwrap().try_put("fails").unwrap();
        let [mut giver, mut first, mut second] = [(); 3].map(|()| queue.consumer().unwrap());
        giver.try_lease().unwrap().retry_after(Duration::from_millis(50), "busy");
        let (one, other) = (Task::new(), Task::new());
        let (mut leading, mut following) = (Box::pin(first.lease()), Box::pin(second.lease()));
        if let Poll::Ready(item) = one.poll(leading.as_mut()) {
            return item.unwrap().ack(); // the machine stalled
        }
        assert!(other.poll(following.as_mut()).is_pending());
        until(|| one.wakes() > 0);
        drop(leading);
        other.run(following).unwrap().ack();
    });
}

/// A consumer that is busy comes for what is due when it takes next.
#[test]
fn d3_what_is_due_is_there_also_where_no_consumer_waits() {
    within_watchdog(|| {
        let (producer, mut consumer) = IterableQueue::unbounded().split().unwrap();
        producer.try_put("fails").unwrap();
        consumer.try_lease().unwrap().retry_after(Duration::from_millis(5), "busy");
        until(|| {
            producer.try_put("new").unwrap();
            let item = consumer.try_lease().unwrap();
            let came_back = *item == "fails";
            item.ack();
            came_back
        });
    });
}

/// Each was given back by a consumer of its own, and is due at a time that is partly random.
#[test]
fn d8_an_abort_returns_what_is_delayed_in_the_order_in_which_it_was_given_back() {
    let hours = Duration::from_secs(7200);
    let queue = IterableQueue::builder().redelivery_backoff(Backoff::exponential(hours, hours)).build().unwrap();
    let producer = queue.producer().unwrap();
    for n in 0..30 {
        producer.try_put(n).unwrap();
        queue.consumer().unwrap().try_lease().unwrap().requeue();
    }
    assert_eq!(queue.snapshot().delayed, 30);
    assert!(queue.abort().into_iter().eq(0..30));
}
