//! Several leases that are worked on together.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use super::item::Item;

/// Several items that a consumer holds and works on together. Returned by [`Consumer::lease_batch`] and
/// [`blocking_lease_batch`], and handed to the workers of a pool that was given a
/// [`batch`](crate::WorkerPoolBuilder::batch).
///
/// Each member is a lease of its own. The calls here settle all members alike; to settle them one by one, iterate over the
/// batch. It dereferences to the slice of its members. A member that is dropped unsettled, with the batch or alone, comes
/// back as a failed one: see [`Item`].
///
/// [`Consumer::lease_batch`]: crate::Consumer::lease_batch
/// [`blocking_lease_batch`]: crate::Consumer::blocking_lease_batch
///
/// # Examples
///
/// ```
/// use actix_iterable_queue::IterableQueue;
/// use std::time::Duration;
///
/// let (producer, mut consumer) = IterableQueue::unbounded().split()?;
/// (1..=5).try_for_each(|n| producer.try_put(n))?;
/// drop(producer);
///
/// let batch = consumer.blocking_lease_batch(3, Duration::from_millis(20));
/// assert_eq!(batch.iter().map(|item| **item).sum::<i32>(), 6);
/// batch.ack();
///
/// for item in consumer.blocking_lease_batch(3, Duration::from_millis(20)) {
///     match *item {
///         4 => item.ack(),
///         _ => item.reject("too large"),
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the members of a batch that is dropped unsettled go back to the queue: ack it"]
pub struct Batch<T>(Vec<Item<T>>);

impl<T> Batch<T> {
    pub(crate) fn new(members: Vec<Item<T>>) -> Self {
        Self(members)
    }

    /// Settles all members: their work is done.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// # use std::time::Duration;
    /// let queue = IterableQueue::unbounded();
    /// let (producer, mut consumer) = (queue.producer()?, queue.consumer()?);
    /// (0..3).try_for_each(|n| producer.try_put(n))?;
    /// consumer.blocking_lease_batch(3, Duration::ZERO).ack();
    /// assert_eq!(queue.snapshot().totals.acked, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ack(self) {
        self.0.into_iter().for_each(Item::ack);
    }

    /// Gives all members back, each with this attempt counted, and says why: see [`Item::fail`].
    pub fn fail(self, reason: impl Into<String>) {
        let reason = reason.into();
        self.0.into_iter().for_each(|item| item.fail(reason.as_str()));
    }

    /// Gives all members back as [`fail`](Batch::fail) does, to come back after this time: see [`Item::retry_after`].
    pub fn retry_after(self, delay: Duration, reason: impl Into<String>)
    where
        T: Send + 'static,
    {
        let reason = reason.into();
        self.0.into_iter().for_each(|item| item.retry_after(delay, reason.as_str()));
    }

    /// Gives all members back, and this attempt does not count: see [`Item::release`].
    pub fn release(self) {
        self.0.into_iter().for_each(Item::release);
    }

    /// Gives all members back as [`release`](Batch::release) does, to come back after this time: see
    /// [`Item::release_after`].
    pub fn release_after(self, delay: Duration)
    where
        T: Send + 'static,
    {
        self.0.into_iter().for_each(|item| item.release_after(delay));
    }

    /// Gives all members up: each becomes a [dead letter](crate::IterableQueue::dead_letters), for this reason.
    pub fn reject(self, reason: impl Into<String>) {
        let reason = reason.into();
        self.0.into_iter().for_each(|item| item.reject(reason.as_str()));
    }
}

impl<T> Deref for Batch<T> {
    type Target = [Item<T>];

    fn deref(&self) -> &[Item<T>] {
        &self.0
    }
}

impl<T> DerefMut for Batch<T> {
    fn deref_mut(&mut self) -> &mut [Item<T>] {
        &mut self.0
    }
}

impl<T> IntoIterator for Batch<T> {
    type Item = Item<T>;
    type IntoIter = std::vec::IntoIter<Item<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Batch<T> {
    type Item = &'a Item<T>;
    type IntoIter = std::slice::Iter<'a, Item<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<T: fmt::Debug> fmt::Debug for Batch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Batch").field(&self.0).finish()
    }
}
