//! Calls that wait on a thread, for as long as it takes. Those with a limit are in `deadline.rs`.

use super::block::{Limit, block, block_without_limit};
use super::consumer::{Consumer, Taking};
use super::handle::{Handle, Putting};
use super::line_wait::LineWait;
use super::producer::Producer;
use crate::error::{PutError, PutTimeoutError, Refusal, TryGetError};
use crate::queue::{Drained, Item, IterableQueue, Line, NotPut, Receipt, Shared, Take, Taken, WeakQueue, refused};

/// Waits for a put that found no room, or is not confirmed.
#[cold]
#[track_caller]
fn finish_put<T>(handle: &Handle<T>, put: &mut Option<T>, receipt: Receipt) -> Result<(), Refusal> {
    block_without_limit(&mut Putting::accepted(handle, put, receipt), "use put(item).await, or try_put")
}

/// Waits for such a put, for as long as the limit allows. `None` if the item is not accepted by then.
#[cold]
#[track_caller]
fn finish_put_within<T>(
    handle: &Handle<T>,
    put: &mut Option<T>,
    receipt: Receipt,
    limit: Limit,
) -> Option<Result<(), Refusal>> {
    let mut putting = Putting::accepted(handle, put, receipt);
    let instead = "use reserve().await with a timer, then the permit";
    let result = block(&mut putting, limit, instead);
    if result.is_some() || putting.call_back() {
        return result;
    }
    // The item is on its way, and only the answer can tell what became of it.
    block(&mut putting, Limit::Endless, instead)
}

impl<T> Producer<T> {
    /// Puts an item. The thread waits for room if there is none.
    ///
    /// # Errors
    ///
    /// As [`put`](Producer::put).
    ///
    /// # Panics
    ///
    /// If it would have to wait on the thread of an actix arbiter.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let (producer, consumer) = IterableQueue::bounded(1).split()?;
    /// std::thread::spawn(move || {
    ///     for n in 0..10 {
    ///         if producer.blocking_put(n).is_err() {
    ///             break; // no consumer is left
    ///         }
    ///     }
    /// });
    /// assert_eq!(consumer.into_iter().sum::<i32>(), 45);
    /// # Ok::<(), actix_iterable_queue::error::OpenError>(())
    /// ```
    #[track_caller]
    pub fn blocking_put(&self, item: T) -> Result<(), PutError<T>> {
        let Some(handle) = self.open_handle() else { return Err(PutError::new(item, Refusal::Closed)) };
        let mut put = Some(item);
        // Fast path: build the operation only if it must wait.
        let result = match handle.try_put(&mut put) {
            Ok(Receipt::Confirmed) => Ok(()),
            Ok(receipt) => finish_put(handle, &mut put, receipt),
            Err(NotPut::Full) => finish_put(handle, &mut put, Receipt::Confirmed),
            Err(NotPut::Refused(reason)) => Err(reason),
        };
        match result {
            Ok(()) => Ok(()),
            Err(error) => Err(refused(put, error)),
        }
    }

    #[inline]
    #[track_caller]
    pub(super) fn put_within(&self, item: T, limit: Limit) -> Result<(), PutTimeoutError<T>> {
        let Some(handle) = self.open_handle() else {
            return Err(PutTimeoutError::Refused(PutError::new(item, Refusal::Closed)));
        };
        let mut put = Some(item);
        let result = match handle.try_put(&mut put) {
            Ok(Receipt::Confirmed) => Some(Ok(())),
            Ok(receipt) => finish_put_within(handle, &mut put, receipt, limit),
            Err(NotPut::Full) => finish_put_within(handle, &mut put, Receipt::Confirmed, limit),
            Err(NotPut::Refused(reason)) => Some(Err(reason)),
        };
        match result {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(PutTimeoutError::Refused(refused(put, error))),
            None => match put {
                Some(item) => Err(PutTimeoutError::Timeout(item)),
                None => unreachable!("an item that was not put in time is still here"),
            },
        }
    }
}

impl<T> Consumer<T> {
    /// Takes an item. `None` at the limit, `Some(None)` at the end of the queue.
    #[inline]
    #[track_caller]
    pub(super) fn blocking_take(
        &mut self,
        take: Take,
        taken: &mut Taken<T>,
        limit: Limit,
        instead: &str,
    ) -> Option<Option<()>> {
        match self.try_take(take, taken) {
            Ok(()) => return Some(Some(())),
            Err(TryGetError::Ended) => return Some(None),
            Err(TryGetError::Empty) => {}
        }
        block(&mut Taking { consumer: self, take, taken }, limit, instead)
    }

    /// Takes the next item for good. The thread waits for it. `None` once the queue has ended.
    ///
    /// # Panics
    ///
    /// If it would have to wait on the thread of an actix arbiter.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let (producer, mut consumer) = IterableQueue::unbounded().split()?;
    /// producer.try_put("a")?;
    /// drop(producer);
    /// assert_eq!(consumer.blocking_get(), Some("a"));
    /// assert_eq!(consumer.blocking_get(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn blocking_get(&mut self) -> Option<T> {
        let mut taken = Taken::nothing();
        self.blocking_take(Take::Own, &mut taken, Limit::Endless, "use get().await, or try_get");
        taken.item
    }

    /// Takes the next item as a lease. The thread waits for it. `None` once the queue has ended.
    ///
    /// # Panics
    ///
    /// If it would have to wait on the thread of an actix arbiter.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let (producer, mut consumer) = IterableQueue::unbounded().split()?;
    /// producer.try_put("a")?;
    /// drop(producer);
    /// while let Some(item) = consumer.blocking_lease() {
    ///     item.ack();
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn blocking_lease(&mut self) -> Option<Item<T>> {
        let mut taken = Taken::nothing();
        self.blocking_take(Take::Lease, &mut taken, Limit::Endless, "use lease().await, or try_lease").flatten()?;
        Some(Item::new(self.slot(), taken))
    }
}

/// Waits for the end, for as long as the limit allows.
#[track_caller]
pub(super) fn await_end<T>(shared: &Shared<T>, limit: Limit, instead: &str) -> Option<Drained> {
    if let Some(drained) = shared.ended() {
        return Some(drained);
    }
    // The flag spares a spinning thread the mutex.
    let look = |shared: &Shared<T>| if shared.has_ended() { shared.ended() } else { None };
    block(&mut LineWait::new(shared, Line::Watchers, look), limit, instead)
}

#[track_caller]
pub(super) fn await_drained<T>(shared: &Shared<T>, limit: Limit) -> Option<Drained> {
    await_end(shared, limit, "use drained().await")
}

impl<T> WeakQueue<T> {
    /// Waits until the queue has ended, as [`IterableQueue::blocking_drained`].
    ///
    /// # Panics
    ///
    /// If it would have to wait on the thread of an actix arbiter.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let queue = IterableQueue::unbounded();
    /// let eye = queue.downgrade();
    /// let (producer, consumer) = queue.split()?; // the last handle is gone: the queue is sealed
    /// std::thread::spawn(move || producer.blocking_put_all(0..10));
    /// std::thread::spawn(move || consumer.into_blocking_leases().for_each(|item| item.ack()));
    /// assert_eq!(eye.blocking_drained().totals.acked, 10);
    /// # Ok::<(), actix_iterable_queue::error::OpenError>(())
    /// ```
    #[track_caller]
    pub fn blocking_drained(&self) -> Drained {
        await_drained(self.shared(), Limit::Endless)
            .unwrap_or_else(|| unreachable!("only a limit ends without a result"))
    }
}

impl<T> IterableQueue<T> {
    /// Waits until the queue has ended. The thread is blocked meanwhile.
    ///
    /// **This handle keeps the queue from sealing itself**: call [`seal`](IterableQueue::seal) first.
    ///
    /// # Panics
    ///
    /// If it would have to wait on the thread of an actix arbiter.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// use std::thread;
    ///
    /// let queue = IterableQueue::unbounded();
    /// let (producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// queue.seal();
    /// thread::spawn(move || (0..10).try_for_each(|n| producer.blocking_put(n)));
    /// thread::spawn(move || consumer.into_blocking_leases().for_each(|item| item.ack()));
    /// assert_eq!(queue.blocking_drained().totals.acked, 10);
    /// # Ok::<(), actix_iterable_queue::error::OpenError>(())
    /// ```
    #[track_caller]
    pub fn blocking_drained(&self) -> Drained {
        await_drained(self.shared(), Limit::Endless)
            .unwrap_or_else(|| unreachable!("only a limit ends without a result"))
    }
}
