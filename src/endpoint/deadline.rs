//! Calls that wait on a thread with a limit: a timeout or a deadline.

use std::time::Duration;

use super::block::Limit;
use super::blocking::await_drained;
use super::consumer::Consumer;
use super::producer::Producer;
use crate::error::{GetTimeoutError, PutTimeoutError};
use crate::queue::{Drained, Item, IterableQueue, Take, Taken, WeakQueue};
use crate::sync::Instant;

impl<T> Producer<T> {
    /// Puts an item. The thread waits for room until the timeout; with a timeout of zero it does not wait.
    ///
    /// # Errors
    ///
    /// [`PutTimeoutError::Timeout`] if there was no room in time, otherwise as [`put`](Producer::put). The item is in the
    /// error.
    ///
    /// # Panics
    ///
    /// If it would have to wait on the thread of an actix arbiter.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// # use actix_iterable_queue::error::PutTimeoutError;
    /// # use std::time::Duration;
    /// let (producer, _consumer) = IterableQueue::bounded(1).split()?;
    /// producer.try_put(1)?;
    /// let error = producer.blocking_put_timeout(2, Duration::from_millis(5)).unwrap_err();
    /// assert_eq!(error, PutTimeoutError::Timeout(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn blocking_put_timeout(&self, item: T, timeout: Duration) -> Result<(), PutTimeoutError<T>> {
        self.put_within(item, Limit::For(timeout))
    }

    /// Puts an item. The thread waits for room until the deadline; if that has passed, it does not wait.
    ///
    /// # Errors
    ///
    /// As [`blocking_put_timeout`](Producer::blocking_put_timeout).
    ///
    /// # Panics
    ///
    /// If it would have to wait on the thread of an actix arbiter.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// # use std::time::{Duration, Instant};
    /// let (producer, _consumer) = IterableQueue::bounded(2).split()?;
    /// // All three puts together may take five milliseconds.
    /// let deadline = Instant::now() + Duration::from_millis(5);
    /// let put = (1..=3).take_while(|n| producer.blocking_put_deadline(*n, deadline).is_ok());
    /// assert_eq!(put.count(), 2);
    /// # Ok::<(), actix_iterable_queue::error::OpenError>(())
    /// ```
    #[track_caller]
    pub fn blocking_put_deadline(&self, item: T, deadline: Instant) -> Result<(), PutTimeoutError<T>> {
        self.put_within(item, Limit::Until(deadline))
    }
}

impl<T> Consumer<T> {
    /// Takes the next item for good. The thread waits for it until the timeout; with a timeout of zero it does not wait.
    ///
    /// # Errors
    ///
    /// [`GetTimeoutError::Timeout`] if none came in time, [`GetTimeoutError::Ended`] if there will be no more.
    ///
    /// # Panics
    ///
    /// If it would have to wait on the thread of an actix arbiter.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// # use actix_iterable_queue::error::GetTimeoutError;
    /// # use std::time::Duration;
    /// let (_producer, mut consumer) = IterableQueue::<u8>::unbounded().split()?;
    /// assert_eq!(consumer.blocking_get_timeout(Duration::from_millis(5)), Err(GetTimeoutError::Timeout));
    /// # Ok::<(), actix_iterable_queue::error::OpenError>(())
    /// ```
    #[track_caller]
    pub fn blocking_get_timeout(&mut self, timeout: Duration) -> Result<T, GetTimeoutError> {
        self.get_within(Limit::For(timeout))
    }

    /// Takes the next item for good. The thread waits for it until the deadline; if that has passed, it does not wait.
    ///
    /// # Errors
    ///
    /// As [`blocking_get_timeout`](Consumer::blocking_get_timeout).
    ///
    /// # Panics
    ///
    /// If it would have to wait on the thread of an actix arbiter.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// # use std::time::{Duration, Instant};
    /// let (producer, mut consumer) = IterableQueue::unbounded().split()?;
    /// (1..=3).try_for_each(|n| producer.try_put(n))?;
    /// // A batch of the items that come within five milliseconds.
    /// let deadline = Instant::now() + Duration::from_millis(5);
    /// let batch: Vec<_> = std::iter::from_fn(|| consumer.blocking_get_deadline(deadline).ok()).collect();
    /// assert_eq!(batch, [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn blocking_get_deadline(&mut self, deadline: Instant) -> Result<T, GetTimeoutError> {
        self.get_within(Limit::Until(deadline))
    }

    #[inline]
    #[track_caller]
    fn get_within(&mut self, limit: Limit) -> Result<T, GetTimeoutError> {
        let mut taken = Taken::nothing();
        within(self.blocking_take(Take::Own, &mut taken, limit, "use get().await with a timer"))?;
        Ok(taken.into_item())
    }

    /// Takes the next item as a lease. The thread waits for it until the timeout; with a timeout of zero it does not wait.
    ///
    /// # Errors
    ///
    /// As [`blocking_get_timeout`](Consumer::blocking_get_timeout).
    ///
    /// # Panics
    ///
    /// If it would have to wait on the thread of an actix arbiter.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// # use actix_iterable_queue::error::GetTimeoutError;
    /// # use std::time::Duration;
    /// let (producer, mut consumer) = IterableQueue::unbounded().split()?;
    /// producer.try_put(1)?;
    /// drop(producer);
    /// let mut beats = 0;
    /// loop {
    ///     match consumer.blocking_lease_timeout(Duration::from_secs(1)) {
    ///         Ok(item) => item.ack(),
    ///         Err(GetTimeoutError::Timeout) => beats += 1, // nothing to do: a sign of life
    ///         Err(_) => break,
    ///     }
    /// }
    /// # assert_eq!(beats, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn blocking_lease_timeout(&mut self, timeout: Duration) -> Result<Item<T>, GetTimeoutError> {
        self.lease_within(Limit::For(timeout))
    }

    /// Takes the next item as a lease. The thread waits for it until the deadline; if that has passed, it does not wait.
    ///
    /// # Errors
    ///
    /// As [`blocking_get_timeout`](Consumer::blocking_get_timeout).
    ///
    /// # Panics
    ///
    /// If it would have to wait on the thread of an actix arbiter.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// # use std::time::{Duration, Instant};
    /// let (producer, mut consumer) = IterableQueue::unbounded().split()?;
    /// (0..250).try_for_each(|n| producer.try_put(n))?;
    /// drop(producer);
    /// let mut sizes = Vec::new();
    /// // Batches of at most 100 items, which come within 5 ms of the first.
    /// while let Some(first) = consumer.blocking_lease() {
    ///     let deadline = Instant::now() + Duration::from_millis(5);
    ///     let mut batch = vec![first];
    ///     // The queue cannot end while the batch holds leases, so the last batch waits until its deadline.
    ///     while batch.len() < 100 && let Ok(item) = consumer.blocking_lease_deadline(deadline) {
    ///         batch.push(item);
    ///     }
    ///     sizes.push(batch.len());
    ///     batch.into_iter().for_each(|item| item.ack());
    /// }
    /// assert_eq!(sizes, [100, 100, 50]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn blocking_lease_deadline(&mut self, deadline: Instant) -> Result<Item<T>, GetTimeoutError> {
        self.lease_within(Limit::Until(deadline))
    }

    #[inline]
    #[track_caller]
    fn lease_within(&mut self, limit: Limit) -> Result<Item<T>, GetTimeoutError> {
        let mut taken = Taken::nothing();
        within(self.blocking_take(Take::Lease, &mut taken, limit, "use lease().await with a timer"))?;
        Ok(Item::new(self.slot(), taken))
    }
}

/// Converts what `blocking_take` returns for users.
#[inline]
fn within(taken: Option<Option<()>>) -> Result<(), GetTimeoutError> {
    taken.ok_or(GetTimeoutError::Timeout)?.ok_or(GetTimeoutError::Ended)
}

impl<T> IterableQueue<T> {
    /// Waits until the queue has ended, or until the timeout. `None` if the queue has not ended by then. With a timeout of
    /// zero it does not wait.
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
    /// # use std::time::Duration;
    /// let queue = IterableQueue::<u8>::unbounded();
    /// let producer = queue.producer_named("http")?;
    /// queue.seal();
    /// if queue.blocking_drained_timeout(Duration::from_millis(5)).is_none() {
    ///     println!("{}", queue.snapshot().blockers()); // producer http is open, 0 puts
    /// }
    /// drop(producer);
    /// assert!(queue.blocking_drained_timeout(Duration::ZERO).is_some());
    /// # Ok::<(), actix_iterable_queue::error::OpenError>(())
    /// ```
    #[track_caller]
    pub fn blocking_drained_timeout(&self, timeout: Duration) -> Option<Drained> {
        await_drained(self.shared(), Limit::For(timeout))
    }

    /// Waits until the queue has ended, or until the deadline. `None` if the queue has not ended by then. If the deadline
    /// has passed, it does not wait.
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
    /// # use std::time::{Duration, Instant};
    /// let queues = [IterableQueue::<u8>::unbounded(), IterableQueue::unbounded()];
    /// queues.iter().for_each(IterableQueue::seal);
    /// let deadline = Instant::now() + Duration::from_secs(5); // for both together
    /// assert!(queues.iter().all(|queue| queue.blocking_drained_deadline(deadline).is_some()));
    /// ```
    #[track_caller]
    pub fn blocking_drained_deadline(&self, deadline: Instant) -> Option<Drained> {
        await_drained(self.shared(), Limit::Until(deadline))
    }
}

impl<T> WeakQueue<T> {
    /// Waits until the queue has ended, or until the timeout. `None` if the queue has not ended by then.
    ///
    /// # Panics
    ///
    /// If it would have to wait on the thread of an actix arbiter.
    ///
    /// # Examples
    ///
    /// A thread that prints how far the queue has come, until the queue has ended:
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// # use std::{thread, time::Duration};
    /// let queue = IterableQueue::unbounded();
    /// let eye = queue.downgrade();
    /// let (producer, consumer) = queue.split()?;
    /// let monitor = thread::spawn(move || {
    ///     while eye.blocking_drained_timeout(Duration::from_secs(10)).is_none() {
    ///         println!("{}", eye.snapshot());
    ///     }
    /// });
    /// producer.try_put(1)?;
    /// drop(producer);
    /// assert_eq!(consumer.into_iter().count(), 1);
    /// monitor.join().unwrap();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn blocking_drained_timeout(&self, timeout: Duration) -> Option<Drained> {
        await_drained(self.shared(), Limit::For(timeout))
    }

    /// Waits until the queue has ended, or until the deadline. `None` if the queue has not ended by then.
    ///
    /// # Panics
    ///
    /// If it would have to wait on the thread of an actix arbiter.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// # use std::time::{Duration, Instant};
    /// let eyes = [IterableQueue::<u8>::unbounded(), IterableQueue::unbounded()].map(|queue| queue.downgrade());
    /// let deadline = Instant::now() + Duration::from_secs(5); // for both together
    /// assert!(eyes.iter().all(|eye| eye.blocking_drained_deadline(deadline).is_some()));
    /// ```
    #[track_caller]
    pub fn blocking_drained_deadline(&self, deadline: Instant) -> Option<Drained> {
        await_drained(self.shared(), Limit::Until(deadline))
    }
}
