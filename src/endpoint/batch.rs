//! Several items in one call.

use std::task::{Context, Poll};

use super::ahead::Ahead;
use super::blocking::block;
use super::consumer::Consumer;
use super::handle::{Handle, InLine, accepted};
use super::operation::{Limit, Operation};
use super::producer::Producer;
use crate::coop;
use crate::error::{PutError, Refusal};
use crate::queue::{NotPut, Receipt, Take, Taken, refused};

impl<T> Producer<T> {
    /// Puts all items of an iterator, and returns how many; the thread waits for room as needed. Over Redis they travel
    /// in batches, and all are confirmed when it returns.
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
        let mut ahead = Ahead::new(&**self.shared());
        for item in items {
            let mut put = Some(item);
            match self.blocking_put_ahead(&mut put) {
                Ok(receipt) => ahead.push(receipt),
                Err(reason) => return Err(refused(put, reason)),
            }
            count += 1;
        }
        let mut put = None;
        let mut confirming = ahead.confirming(&mut put);
        let confirmed = match confirming.attempt() {
            Some(confirmed) => confirmed,
            None => without_limit(&mut confirming),
        };
        match confirmed {
            Ok(()) => Ok(count),
            Err(reason) => Err(refused(put, reason)),
        }
    }

    /// Puts an item, and leaves its confirmation for later, if the items are elsewhere.
    #[track_caller]
    fn blocking_put_ahead(&self, put: &mut Option<T>) -> Result<Receipt, Refusal> {
        let Some(handle) = self.open_handle() else { return Err(Refusal::Closed) };
        match handle.try_put(put) {
            Err(NotPut::Full) => without_limit(&mut Entering { line: InLine::new(handle), put }),
            Err(NotPut::Refused(reason)) => Err(reason),
            Ok(receipt) => Ok(receipt),
        }
    }
}

#[track_caller]
fn without_limit<O: Operation>(operation: &mut O) -> O::Output {
    let output = block(operation, Limit::Endless, "use put_all(items).await");
    output.unwrap_or_else(|| unreachable!("only a limit ends without a result"))
}

/// A put that waits for room, and not for its confirmation.
struct Entering<'a, T> {
    line: InLine<T, &'a Handle<T>>,
    put: &'a mut Option<T>,
}

impl<T> Operation for Entering<'_, T> {
    type Output = Result<Receipt, Refusal>;

    fn attempt(&mut self) -> Option<Self::Output> {
        accepted(self.line.handle.try_put(self.put))
    }

    fn slack(&self) -> usize {
        self.line.handle.shared.slack()
    }

    fn may_succeed(&self) -> bool {
        self.line.handle.shared.may_put()
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.line.put(cx, self.put)
    }
}

impl<T> Consumer<T> {
    /// Takes up to `max` items for good: waits for one, and takes what else is there. Empty when the queue has ended.
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
        let first = self.get().await;
        // From here on nothing waits, so the items are not in a future that somebody may drop.
        let others = self.try_iter().take(max - 1).inspect(|_| coop::count());
        first.into_iter().chain(others).collect()
    }

    /// Takes up to `max` items for good: the thread waits for one, and takes what else is there. Empty when the queue
    /// has ended.
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
