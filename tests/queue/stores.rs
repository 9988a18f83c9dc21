//! D5, D8: the same promises, whichever store the size of the items and the capacity lead to.

use std::time::Duration;

use actix_iterable_queue::error::{PutError, Refusal, TryPutError};
use actix_iterable_queue::{IterableQueue, State};
use support::{Task, assert_conserved};

/// Too large for the store's own cells.
const BOXED: usize = 2000;
/// With items of a kilobyte, that is too much to allocate ahead.
const COUNTED: usize = 1200;

/// Fills a queue, has it refuse, takes one, and ends it with the rest in it.
fn refuses_with_the_item<const BYTES: usize>(capacity: Option<usize>) {
    let item = |n: usize| [n as u8; BYTES];
    let queue = capacity.map_or_else(IterableQueue::unbounded, IterableQueue::bounded);
    let (producer, mut consumer) = (queue.producer().expect("open"), queue.consumer().expect("open"));
    assert!(queue.is_empty() && !queue.is_full());
    let room = capacity.unwrap_or(10);
    (0..room).for_each(|n| producer.try_put(item(n)).expect("room"));
    assert_eq!((queue.len(), queue.is_full()), (room, capacity.is_some()));
    if capacity.is_some() {
        assert_eq!(producer.try_put(item(7)), Err(TryPutError::Full(item(7))));
    }
    assert_eq!(consumer.try_get(), Ok(item(0)));
    assert!(!queue.is_full() && (room == 1 || !queue.is_empty()));
    producer.try_put(item(room)).expect("room");

    let left = queue.abort();
    assert!(left.into_iter().eq((1..=room).map(item)));
    assert_eq!(producer.try_put(item(8)), Err(TryPutError::Refused(PutError::new(item(8), Refusal::Aborted))));
    assert_eq!(queue.len(), 0);
    assert_conserved(&queue);
}

#[test]
fn d8_every_store_refuses_with_the_item() {
    refuses_with_the_item::<8>(Some(1));
    refuses_with_the_item::<8>(Some(5));
    refuses_with_the_item::<8>(None);
    refuses_with_the_item::<1000>(Some(COUNTED));
    refuses_with_the_item::<BOXED>(Some(1));
    refuses_with_the_item::<BOXED>(Some(5));
    refuses_with_the_item::<BOXED>(None);
}

/// Refused for good, and not for want of room: whoever waited for that would wait in vain.
#[test]
fn d12_a_full_queue_that_shuts_down_says_so() {
    fn of<const BYTES: usize>(capacity: usize) {
        let queue = IterableQueue::bounded(capacity);
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        (0..capacity).for_each(|_| producer.try_put([0_u8; BYTES]).unwrap());
        let task = Task::new();
        let mut shutdown = Box::pin(queue.shutdown(Duration::MAX));
        assert!(task.poll(shutdown.as_mut()).is_pending());
        let refused = producer.try_put([1; BYTES]);
        assert_eq!(refused, Err(TryPutError::Refused(PutError::new([1; BYTES], Refusal::ShutDown))));
        assert_eq!(consumer.try_iter().count(), capacity);
        assert_eq!(queue.state(), State::Drained);
    }
    of::<8>(3);
    of::<BOXED>(3);
    of::<1000>(COUNTED);
}

#[test]
fn d9_children_of_every_size_fit_into_every_store() {
    fn of<const BYTES: usize>(capacity: Option<usize>) {
        let queue = capacity.map_or_else(IterableQueue::unbounded, IterableQueue::bounded);
        let (producer, mut consumer) = queue.split().unwrap();
        producer.try_put([0_u8; BYTES]).unwrap();
        drop(producer);
        let parent = consumer.try_lease().unwrap();
        parent.put_children((1..=5_u8).map(|n| [n; BYTES])).unwrap();
        parent.ack();
        assert!(consumer.iter().map(|item| item[BYTES - 1]).eq(1..=5));
    }
    of::<8>(Some(1));
    of::<8>(None);
    of::<BOXED>(Some(1));
    of::<BOXED>(None);
}
