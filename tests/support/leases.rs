//! Leases by hand: what the tests of the way back share.

use std::pin::pin;
use std::task::Poll;

use actix_iterable_queue::{Consumer, Item, IterableQueue, Producer};
use futures::Stream;

use crate::Task;

/// A queue with 0..n in it that stays open.
pub fn filled(n: u32) -> (IterableQueue<u32>, Producer<u32>) {
    let queue = crate::backend::builder().max_attempts(u32::MAX).build().expect("valid");
    let producer = queue.producer().expect("open");
    (0..n).for_each(|n| producer.try_put(n).expect("room"));
    (queue, producer)
}

pub fn consumer(queue: &IterableQueue<u32>) -> Consumer<u32> {
    queue.consumer().expect("open")
}

/// What a lease holds; it is acked.
pub fn done(item: Item<u32>) -> (u32, u32) {
    let done = (*item, item.attempt());
    item.ack();
    done
}

pub fn try_done(consumer: &mut Consumer<u32>) -> Option<(u32, u32)> {
    consumer.try_lease().ok().map(done)
}

/// Stands in the line as a stream does.
pub fn park(consumer: &mut Consumer<u32>, task: &Task) -> bool {
    pin!(consumer).poll_next(&mut task.context()).is_pending()
}

pub fn poll(consumer: &mut Consumer<u32>, task: &Task) -> Poll<Option<u32>> {
    pin!(consumer).poll_next(&mut task.context())
}
