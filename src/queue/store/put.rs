//! An item's way in.
//!
//! A put appends to the inbox and then looks whether a getter waits. A getter parks and then looks into the boxes again.
//! The locks of the boxes see to it that one of the two sees the other (`boxes.rs`). For room it is the other way round.

use std::task::Waker;

use super::Store;
use super::boxes::PushError;
use super::remote::Receipt;
use crate::error::{PutError, Refusal, TryPutError, TryReserveError};
use crate::queue::effects::wake;
use crate::queue::membership::consumer_row::ConsumerRow;
use crate::queue::membership::producer_row::ProducerRow;
use crate::queue::shared::{Control, Shared};
use crate::queue::waiting::lines::Line;
use crate::sync::atomic::Ordering::SeqCst;

/// Why an item was not accepted. The error of `try_reserve` is that of a put, without its item.
pub(crate) type NotPut = TryReserveError;

/// Builds the error of a put that does not wait, around its item.
#[cold]
pub(crate) fn not_put<T>(put: Option<T>, error: NotPut) -> TryPutError<T> {
    match (error, put) {
        (NotPut::Full, Some(item)) => TryPutError::Full(item),
        (NotPut::Full, None) => unreachable!("an item that is not accepted is still here"),
        (NotPut::Refused(reason), put) => TryPutError::Refused(refused(put, reason)),
    }
}

/// Builds the error of a put that was refused, around its item.
#[cold]
pub(crate) fn refused<T>(put: Option<T>, reason: Refusal) -> PutError<T> {
    match put {
        Some(item) => PutError::new(item, reason),
        None => unreachable!("an item that is not accepted is still here"),
    }
}

impl<T> Shared<T> {
    /// Puts an item if there is room now, and takes it out of `put`. An `entitled` put may use the place that is kept for
    /// the line.
    #[inline]
    pub(crate) fn try_put(&self, row: &ProducerRow, put: &mut Option<T>, entitled: bool) -> Result<Receipt, NotPut> {
        let boxes = match &self.store {
            Store::Plain(boxes) => boxes,
            Store::Remote(remote) => return self.put_elsewhere(remote, row, put, entitled),
        };
        let waker = match row.endpoint.hold_open() {
            Some(_held) => match boxes.push(put, entitled, || row.count_put()) {
                Ok(()) => self.notify_of_put(row),
                Err(error) => return Err(self.not_put(error)),
            },
            None => return Err(Refusal::Closed.into()),
        };
        wake(waker);
        Ok(Receipt::Confirmed)
    }

    /// Returns whether every put through this handle is refused from now on.
    pub(crate) fn refuses(&self, row: &ProducerRow) -> bool {
        self.store.is_closed() || row.endpoint.hold_open().is_none()
    }

    /// Picks a consumer for an item that was put, if one waits.
    #[inline]
    fn notify_of_put(&self, row: &ProducerRow) -> Option<Waker> {
        if self.getters_wait.load(SeqCst) { self.notify_getter(row) } else { None }
    }

    #[cold]
    fn notify_getter(&self, row: &ProducerRow) -> Option<Waker> {
        row.stamp_put(self.clock.now());
        self.notify_next(Line::Getters)
    }

    #[cold]
    fn not_put(&self, error: PushError) -> NotPut {
        match error {
            PushError::Full => NotPut::Full,
            PushError::Closed => self.refusal().into(),
        }
    }

    /// Returns whether there is room for a put. Permits use room, and so does the place that is kept for the line, unless
    /// the put is entitled to it.
    pub(crate) fn has_room(&self, control: &Control<T>, entitled: bool) -> bool {
        match &self.store {
            Store::Plain(boxes) => boxes.has_room(entitled),
            Store::Remote(remote) => {
                let (puts, window) = remote.driver.window();
                let kept = usize::from(!entitled && !control.lines.putters.is_idle());
                puts + remote.permits() + kept < window
            }
        }
    }

    /// Reserves room for one put.
    pub(crate) fn try_reserve(&self, row: &ProducerRow, entitled: bool) -> Result<(), NotPut> {
        let Some(_held) = row.endpoint.hold_open() else { return Err(Refusal::Closed.into()) };
        match &self.store {
            Store::Plain(boxes) => boxes.reserve(entitled).map_err(|error| self.not_put(error)),
            Store::Remote(remote) => self.reserve_elsewhere(remote, entitled),
        }
    }

    /// Uses up a permit. It never waits, and works during a shutdown, which waits for permits (D6).
    pub(crate) fn put_reserved(&self, row: &ProducerRow, put: &mut Option<T>) -> Result<Receipt, Refusal> {
        let boxes = match &self.store {
            Store::Plain(boxes) => boxes,
            Store::Remote(remote) => return self.put_reserved_elsewhere(remote, row, put),
        };
        let (result, waker) = match row.endpoint.hold_open() {
            Some(_held) => match boxes.push_reserved(put, || row.count_put()) {
                Ok(()) => (Ok(Receipt::Confirmed), self.notify_of_put(row)),
                Err(_) => (Err(self.refusal()), None),
            },
            None => {
                boxes.cancel_reserve();
                (Err(Refusal::Closed), self.notify_of_room())
            }
        };
        wake(waker);
        self.permit_has_ended();
        result
    }

    /// Gives an unused permit back, and its room to another put.
    pub(crate) fn cancel_reserve(&self) {
        match &self.store {
            Store::Plain(boxes) => boxes.cancel_reserve(),
            Store::Remote(remote) => {
                let _control = self.control();
                remote.return_permit();
            }
        }
        wake(self.notify_of_room());
        self.permit_has_ended();
    }

    /// Checks whether a shutdown waits for this permit. A shutdown closes the store and then counts the permits, so either
    /// it does not count this one, or this check sees that the store is closed.
    fn permit_has_ended(&self) {
        if self.store.is_closed() {
            self.change(|_, _| ());
        }
    }

    /// Picks a waiting put for room that has become free, if there is one.
    #[inline]
    pub(crate) fn notify_of_room(&self) -> Option<Waker> {
        if self.putters_wait.load(SeqCst) { self.notify_putter() } else { None }
    }

    #[cold]
    fn notify_putter(&self) -> Option<Waker> {
        let may_fit = match &self.store {
            // An item beyond the capacity frees no room.
            Store::Plain(boxes) => boxes.may_have_room(),
            Store::Remote(_) => true,
        };
        if may_fit { self.notify_next(Line::Putters) } else { None }
    }

    /// Puts an item through a lease. It ignores the capacity, and every producer may be closed: the caller holds the lease,
    /// so the queue cannot become drained meanwhile.
    pub(crate) fn put_child(&self, row: &ConsumerRow, lease: u64, put: &mut Option<T>) -> Result<(), Refusal> {
        let boxes = match &self.store {
            Store::Plain(boxes) => boxes,
            Store::Remote(remote) => return self.put_child_elsewhere(remote, row, lease, put),
        };
        boxes.push_beyond(put, || row.count_child()).map_err(|_| self.refusal())?;
        if self.getters_wait.load(SeqCst) {
            wake(self.notify_next(Line::Getters));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use crate::error::TryPutError;
    use crate::queue::IterableQueue;

    #[test]
    fn d5_what_is_put_through_leases_takes_no_room_and_leaves_none() {
        let queue = IterableQueue::bounded(2);
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.try_put(1).unwrap();
        let parent = consumer.try_lease().unwrap();
        producer.try_put(2).unwrap();
        parent.put_children([3, 4]).unwrap();
        producer.try_put(5).unwrap();
        assert_eq!(producer.try_put(6), Err(TryPutError::Full(6)));
        assert_eq!((queue.len(), consumer.try_get()), (4, Ok(2)));
        producer.try_put(6).unwrap();
        for child in [3, 4] {
            assert_eq!((consumer.try_get(), producer.try_put(7)), (Ok(child), Err(TryPutError::Full(7))));
        }
        assert_eq!(consumer.try_get(), Ok(5));
        producer.try_put(7).unwrap();
        parent.ack();
        assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [6, 7]);
    }

    #[test]
    fn d5_the_largest_capacity_has_room_beside_children() {
        let queue = IterableQueue::bounded(usize::MAX);
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.try_put(1).unwrap();
        let parent = consumer.try_lease().unwrap();
        parent.put_child(2).unwrap();
        assert!(!queue.is_full());
        drop(producer.try_reserve().unwrap());
        producer.try_put(3).unwrap();
        parent.ack();
        assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn d5_a_put_waits_beside_children_that_are_taken_until_there_is_room() {
        let queue = IterableQueue::bounded(1);
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.try_put(1).unwrap();
        let parent = consumer.try_lease().unwrap();
        parent.put_child(2).unwrap();
        producer.try_put(3).unwrap();
        let mut put = Box::pin(producer.put(4));
        assert!(put.as_mut().now_or_never().is_none());
        assert_eq!((consumer.try_get(), queue.snapshot().waiting_puts), (Ok(2), 1), "it left no room");
        assert_eq!((consumer.try_get(), queue.snapshot().waiting_puts), (Ok(3), 0), "it was told of the room");
        assert_eq!(put.now_or_never(), Some(Ok(())));
        parent.ack();
    }

    #[test]
    fn d5_room_that_is_promised_is_nobody_elses() {
        let queue = IterableQueue::bounded(2);
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        let permit = producer.try_reserve().unwrap();
        producer.try_put(1).unwrap();
        assert!(queue.is_full());
        assert_eq!(producer.clone().try_put(2), Err(TryPutError::Full(2)));
        permit.put(2).unwrap();
        assert_eq!(producer.try_put(3), Err(TryPutError::Full(3)));
        assert_eq!(consumer.try_get(), Ok(1));
        drop(producer.try_reserve().unwrap());
        producer.try_put(3).unwrap();
        assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [2, 3]);
    }
}
