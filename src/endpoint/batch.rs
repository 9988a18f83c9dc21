//! Several items in one call.

use std::future::poll_fn;
use std::mem;

use super::block::{Limit, Operation, block_without_limit};
use super::consumer::Consumer;
use super::handle::{Handle, InLine, PutLineWait, accepted};
use super::producer::Producer;
use super::unconfirmed::UnconfirmedPuts;
use crate::coop;
use crate::error::{PutError, Refusal};
use crate::queue::{NotPut, Receipt, Take, Taken, refused};

const INSTEAD_OF_BLOCKING: &str = "use put_all(items).await";

impl<T> Producer<T> {
    /// Puts all items of an iterator, and returns how many. It waits for room as needed. Over Redis the items travel in
    /// batches, and Redis has all of them when the future is ready.
    ///
    /// # Errors
    ///
    /// As [`put`](Producer::put), at the first item that is refused. With `put_all(&mut iterator)` the iterator keeps the
    /// items after it. Over Redis several items may be on their way then: the error has the last one, and the others are
    /// dropped, or returned by `abort` or a shutdown.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the one item that was waiting. Those put before stay in the queue.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// # actix_rt::System::new().block_on(async {
    /// let (producer, consumer) = IterableQueue::unbounded().split()?;
    /// assert_eq!(producer.put_all(1..=4).await?, 4);
    /// # drop(producer);
    /// # assert_eq!(consumer.into_iter().sum::<i32>(), 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn put_all(&self, items: impl IntoIterator<Item = T>) -> Result<usize, PutError<T>> {
        let mut count = 0;
        let mut unconfirmed = UnconfirmedPuts::new(&**self.shared());
        for item in items {
            let mut put = Some(item);
            match self.put_unconfirmed(&mut put).await {
                Ok(receipt) => unconfirmed.push(receipt),
                Err(error) => return Err(refused(put, error)),
            }
            count += 1;
        }
        let mut put = None;
        let mut confirming = unconfirmed.confirming(&mut put);
        match poll_fn(|cx| confirming.wait(cx)).await {
            Ok(()) => Ok(count),
            Err(reason) => Err(refused(put, reason)),
        }
    }

    /// Puts an item, and leaves its confirmation for later if the store is remote.
    async fn put_unconfirmed(&self, put: &mut Option<T>) -> Result<Receipt, Refusal> {
        let Some(handle) = self.open_handle() else { return Err(Refusal::Closed) };
        let mut yields = coop::is_due();
        let tried = if yields { Err(NotPut::Full) } else { handle.try_put(put) };
        match tried {
            Err(NotPut::Full) => {
                let mut line = InLine::new(handle);
                poll_fn(|cx| if mem::take(&mut yields) { line.yield_in_turn(cx) } else { line.put(cx, put) }).await
            }
            Err(NotPut::Refused(reason)) => Err(reason),
            Ok(receipt) => {
                coop::count();
                Ok(receipt)
            }
        }
    }

    /// Puts all items of an iterator, and returns how many. The thread waits for room as needed. Over Redis the items travel
    /// in batches, and Redis has all of them on return.
    ///
    /// # Errors
    ///
    /// As [`put_all`](Producer::put_all), at the first item that is refused.
    ///
    /// # Panics
    ///
    /// If it would have to wait on the thread of an actix arbiter.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let (producer, consumer) = IterableQueue::bounded(2).split()?;
    /// let feeder = std::thread::spawn(move || producer.blocking_put_all(1..=100));
    /// assert_eq!(consumer.into_iter().sum::<i32>(), 5050);
    /// assert_eq!(feeder.join().unwrap()?, 100);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn blocking_put_all(&self, items: impl IntoIterator<Item = T>) -> Result<usize, PutError<T>> {
        let mut count = 0;
        let mut unconfirmed = UnconfirmedPuts::new(&**self.shared());
        for item in items {
            let mut put = Some(item);
            match self.blocking_put_unconfirmed(&mut put) {
                Ok(receipt) => unconfirmed.push(receipt),
                Err(reason) => return Err(refused(put, reason)),
            }
            count += 1;
        }
        let mut put = None;
        let mut confirming = unconfirmed.confirming(&mut put);
        let confirmed = match confirming.attempt() {
            Some(confirmed) => confirmed,
            None => block_without_limit(&mut confirming, INSTEAD_OF_BLOCKING),
        };
        match confirmed {
            Ok(()) => Ok(count),
            Err(reason) => Err(refused(put, reason)),
        }
    }

    /// Puts an item as [`put_unconfirmed`](Producer::put_unconfirmed) does; the thread waits.
    #[track_caller]
    fn blocking_put_unconfirmed(&self, put: &mut Option<T>) -> Result<Receipt, Refusal> {
        let Some(handle) = self.open_handle() else { return Err(Refusal::Closed) };
        match handle.try_put(put) {
            Err(NotPut::Full) => {
                let attempt =
                    |handle: &Handle<T>, entitled| accepted(handle.shared.try_put(&handle.row, put, entitled));
                block_without_limit(&mut PutLineWait::new(handle, attempt), INSTEAD_OF_BLOCKING)
            }
            Err(NotPut::Refused(reason)) => Err(reason),
            Ok(receipt) => Ok(receipt),
        }
    }
}

impl<T> Consumer<T> {
    /// Takes up to `max` items for good: it waits for one, and takes those that are there, too. Returns an empty vector once
    /// the queue has ended.
    ///
    /// # Panics
    ///
    /// If `max` is 0.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses neither an item nor a wake-up.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// # actix_rt::System::new().block_on(async {
    /// let (producer, mut consumer) = IterableQueue::unbounded().split()?;
    /// producer.put_all(1..=5).await?;
    /// drop(producer);
    /// let mut batches = Vec::new();
    /// loop {
    ///     let batch = consumer.get_batch(3).await;
    ///     if batch.is_empty() {
    ///         break; // the queue has ended
    ///     }
    ///     batches.push(batch); // or write them in one transaction
    /// }
    /// assert_eq!(batches, [vec![1, 2, 3], vec![4, 5]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn get_batch(&mut self, max: usize) -> Vec<T> {
        assert!(max > 0, "Consumer::get_batch: max is 0: give at least 1");
        if coop::is_due_now() {
            coop::yield_now().await;
        }
        let first = self.get().await;
        // Nothing waits from here on, so the items cannot be dropped with the future.
        let others = self.try_iter().take(max - 1).inspect(|_| coop::count());
        first.into_iter().chain(others).collect()
    }

    /// Takes up to `max` items for good: the thread waits for one, and takes those that are there, too. Returns an empty
    /// vector once the queue has ended.
    ///
    /// # Panics
    ///
    /// If `max` is 0, or it would have to wait on the thread of an actix arbiter.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let (producer, mut consumer) = IterableQueue::unbounded().split()?;
    /// (1..=5).try_for_each(|n| producer.try_put(n))?;
    /// drop(producer);
    /// assert_eq!(consumer.blocking_get_batch(3), [1, 2, 3]);
    /// assert_eq!(consumer.blocking_get_batch(3), [4, 5]);
    /// assert!(consumer.blocking_get_batch(3).is_empty()); // the queue has ended
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn blocking_get_batch(&mut self, max: usize) -> Vec<T> {
        assert!(max > 0, "Consumer::blocking_get_batch: max is 0: give at least 1");
        let mut first = Taken::nothing();
        self.blocking_take(Take::Own, &mut first, Limit::Endless, "use get_batch(max).await, or try_iter");
        first.item.into_iter().chain(self.try_iter().take(max - 1)).collect()
    }
}
