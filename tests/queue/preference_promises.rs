//! How long an item is left to whoever was woken for it (D1): until that one has had its look, and
//! only for a moment if it has none.

use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use actix::prelude::*;
use actix_iterable_queue::error::TryGetError;
use actix_iterable_queue::prelude::*;
use futures::Stream;
use futures::executor::block_on;
use support::actors;
use support::actors::{Hand, in_system, run};
use support::{Task, within_watchdog};

fn poll(consumer: &mut Consumer<u32>, task: &Task) -> Poll<Option<u32>> {
    Pin::new(consumer).poll_next(&mut task.context())
}

/// What a lease holds; it is acked.
fn done(item: Item<u32>) -> (u32, u32) {
    let done = (*item, item.attempt());
    item.ack();
    done
}

/// An item that `giver` failed, and a stream that was woken for it and is not polled again.
fn promised() -> (IterableQueue<u32>, Producer<u32>, Consumer<u32>, Consumer<u32>) {
    let queue = support::backend::in_memory();
    let producer = queue.producer().expect("open");
    let (mut giver, mut idle) = (queue.consumer().expect("open"), queue.consumer().expect("open"));
    producer.try_put(0).expect("it has no bound");
    let item = giver.try_lease().expect("it is there");
    let task = Task::new();
    assert!(poll(&mut idle, &task).is_pending());
    item.requeue();
    assert_eq!(task.wakes(), 1);
    assert!(matches!(giver.try_lease(), Err(TryGetError::Empty)), "it is promised");
    (queue, producer, giver, idle)
}

type Ask = fn(&mut Consumer<u32>) -> Option<Item<u32>>;

/// Whatever the giver does to get it.
#[test]
fn d1_a_woken_stream_that_is_not_polled_keeps_the_item_for_a_moment_only() {
    let asks: [Ask; 4] = [
        |giver| loop {
            if let Ok(item) = giver.try_lease() {
                return Some(item);
            }
        },
        |giver| block_on(giver.lease()),
        Consumer::blocking_lease,
        // Parked, it is woken to look again until it has it.
        |giver| {
            let task = Task::new();
            let mut lease = pin!(giver.lease());
            let mut looks = 0;
            loop {
                if let Poll::Ready(item) = task.poll(lease.as_mut()) {
                    return item;
                }
                looks += 1;
                assert_eq!(task.wakes(), looks, "it sleeps, and the item is there");
            }
        },
    ];
    for asks in asks {
        within_watchdog(move || {
            let (_queue, _producer, mut giver, mut idle) = promised();
            assert_eq!(asks(&mut giver).map(done), Some((0, 2)));
            // The stream has missed nothing but this.
            let task = Task::new();
            assert!(poll(&mut idle, &task).is_pending());
        });
    }
}

/// Who is woken to look again in vain keeps its place, and is woken for what comes later.
#[test]
fn d11_a_giver_that_looks_again_and_again_keeps_its_place() {
    let (_queue, producer, mut giver, mut idle) = promised();
    let (task, idle_task) = (Task::new(), Task::new());
    assert!(poll(&mut giver, &task).is_pending());
    assert_eq!(poll(&mut idle, &idle_task), Poll::Ready(Some(0)));
    assert!(poll(&mut giver, &task).is_pending());
    let before = task.wakes();
    producer.try_put(1).unwrap();
    assert_eq!(task.wakes(), before + 1);
    assert_eq!(poll(&mut giver, &task), Poll::Ready(Some(1)));
}

/// A putter looks for room, not for the item.
#[test]
fn d1_a_putter_that_was_woken_ends_no_promise() {
    let queue = support::backend::builder().capacity(1).build().unwrap();
    let (producer, other_producer) = (queue.producer().unwrap(), queue.producer().unwrap());
    let (mut giver, mut waits) = (queue.consumer().unwrap(), queue.consumer().unwrap());
    producer.try_put(0).unwrap();
    let (putter, getter) = (Task::new(), Task::new());
    let mut put = pin!(producer.put(1));
    assert!(putter.poll(put.as_mut()).is_pending());
    let item = giver.try_lease().unwrap();
    assert!(poll(&mut waits, &getter).is_pending());
    item.requeue();
    assert_eq!((putter.wakes(), getter.wakes()), (1, 1));
    // It looks, in vain at first, and puts.
    other_producer.try_put(9).unwrap();
    assert!(putter.poll(put.as_mut()).is_pending());
    assert_eq!(giver.try_get(), Ok(9));
    assert_eq!(putter.poll(put.as_mut()), Poll::Ready(Ok(())));
    assert_eq!(giver.try_get(), Ok(1), "0 is promised");
    assert_eq!(giver.try_get(), Err(TryGetError::Empty));
    assert_eq!(poll(&mut waits, &getter), Poll::Ready(Some(0)));
}

/// Nobody polls the consumer of a dead actor. The third one is there to show that it is the promise
/// that has ended: to a last consumer everything is handed out at once.
#[test]
fn a3_a_consumer_that_the_watch_shuts_keeps_no_promise_and_is_not_at_work() {
    in_system(|| async {
        let queue = support::backend::builder().max_attempts(100).build().unwrap();
        let actor = QueueActor::new(queue.clone()).watch_interval(Duration::from_millis(10)).start();
        let owner = Hand::push().0;
        let (producer, mut giver) = (queue.producer().unwrap(), queue.consumer().unwrap());
        let _third = queue.consumer().unwrap();
        let mut shut = actor.send(OpenConsumer::new().watch(&owner)).await.unwrap().unwrap();
        (0..3).for_each(|n| producer.try_put(n).unwrap());
        // It holds one, too.
        let (held, failed) = (shut.try_lease().unwrap(), giver.try_lease().unwrap());
        assert_eq!(giver.try_get(), Ok(2));
        let task = Task::new();
        assert!(poll(&mut shut, &task).is_pending());
        failed.requeue();
        assert_eq!((task.wakes(), giver.try_get()), (1, Err(TryGetError::Empty)));

        owner.send(run::<Hand>(|_, ctx| ctx.terminate())).await.unwrap();
        actors::until(|| queue.snapshot().consumers.iter().filter(|consumer| consumer.open).count() == 2).await;
        producer.try_put(3).unwrap();
        assert_eq!((giver.try_get(), giver.try_get()), (Ok(1), Ok(3)));
        held.ack();
    });
}
