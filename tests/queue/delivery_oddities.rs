//! Leases of odd items, and leases that end in odd places (D3, C6).

use std::cell::RefCell;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use actix_iterable_queue::{Backoff, Consumer, Item, IterableQueue, Producer};
use support::{assert_conserved, within_watchdog};

fn failing<T: Send + 'static>(backoff: Duration) -> (IterableQueue<T>, Producer<T>, Consumer<T>) {
    let backoff = Backoff::exponential(backoff, backoff);
    let queue = IterableQueue::builder().max_attempts(u32::MAX).redelivery_backoff(backoff).keep_dead_letters(0);
    let queue = queue.build().expect("valid");
    let (producer, consumer) = (queue.producer().expect("open"), queue.consumer().expect("open"));
    (queue, producer, consumer)
}

/// What holds it may be dropped when its thread ends, after the thread's other locals.
#[test]
fn d3_a_lease_in_a_thread_local_comes_back_when_the_thread_ends() {
    thread_local! { static KEPT: RefCell<Option<Item<u32>>> = const { RefCell::new(None) }; }
    within_watchdog(|| {
        for backoff in [0, 1] {
            let (queue, producer, mut consumer) = failing(Duration::from_millis(backoff));
            producer.try_put(7).unwrap();
            let item = consumer.try_lease().unwrap();
            thread::spawn(move || KEPT.with_borrow_mut(|kept| *kept = Some(item))).join().unwrap();
            let item = consumer.blocking_lease().unwrap();
            assert_eq!((*item, item.attempt()), (7, 2));
            item.ack();
            assert_conserved(&queue);
        }
    });
}

#[test]
fn d3_an_item_that_is_not_send_comes_back() {
    let (producer, mut consumer) = support::backend::in_memory().split().unwrap();
    producer.try_put(Rc::new(7)).unwrap();
    consumer.try_lease().unwrap().requeue();
    drop(consumer.try_lease().unwrap());
    let item = consumer.try_lease().unwrap();
    assert_eq!((**item, item.attempt()), (7, 3));
    item.ack();
}

#[test]
fn d3_items_of_no_size_and_huge_ones_wait_for_their_backoff() {
    fn all_come_back<T: Clone + Send + PartialEq + 'static>(item: T) {
        const ITEMS: u64 = 40;
        let (queue, producer, mut consumer) = failing(Duration::from_millis(1));
        (0..ITEMS).for_each(|_| assert!(producer.try_put(item.clone()).is_ok()));
        drop(producer);
        queue.seal();
        let items: Vec<_> = (0..ITEMS).map(|_| consumer.try_lease().expect("it is there")).collect();
        drop(items);
        for again in consumer.into_blocking_leases() {
            assert!(*again == item && again.attempt() == 2);
            again.ack();
        }
        assert_eq!(queue.snapshot().totals.acked, ITEMS);
    }
    within_watchdog(|| {
        all_come_back(());
        all_come_back([7_u8; 32 * 1024]);
    });
}

/// Its drop puts into its own queue, and drops a lease of it.
#[derive(Default)]
struct Tangled {
    producer: Option<Producer<Tangled>>,
    lease: Option<Box<Item<Tangled>>>,
}

impl Drop for Tangled {
    fn drop(&mut self) {
        if let Some(producer) = self.producer.take() {
            let _ = producer.try_put(Self::default());
        }
        drop(self.lease.take());
    }
}

#[test]
fn c6_items_whose_drop_uses_their_queue_are_conserved() {
    for wait in [Duration::ZERO, Duration::from_millis(1), Duration::from_secs(7200)] {
        let ends: [fn(Item<Tangled>); 5] =
            [Item::ack, drop, Item::requeue, |item| item.reject("bad"), |item| drop(item.into_inner())];
        for end in ends {
            within_watchdog(move || {
                let (queue, producer, mut consumer) = failing(wait);
                producer.try_put(Tangled::default()).unwrap_or_else(|_| panic!("room"));
                let lease = Some(Box::new(consumer.try_lease().unwrap()));
                producer
                    .try_put(Tangled { producer: Some(producer.clone()), lease })
                    .unwrap_or_else(|_| panic!("room"));
                end(consumer.try_lease().unwrap());
                assert_conserved(&queue);
                // What is left is dropped when the queue has let go of it.
                drop(queue.abort());
                assert_conserved(&queue);
                assert_eq!((queue.len(), queue.snapshot().leased), (0, 0));
            });
        }
    }
}

#[test]
fn d3_what_was_changed_through_a_lease_comes_back_changed() {
    let (producer, mut consumer) = support::backend::in_memory().split().unwrap();
    producer.try_put(String::from("half ")).unwrap();
    let mut item = consumer.try_lease().unwrap();
    item.push_str("done");
    drop(item);
    assert_eq!(consumer.try_lease().unwrap().into_inner(), "half done");
}
