//! Iterators over a consumer, for threads.

use std::iter::FusedIterator;

use super::consumer::Consumer;
use crate::queue::Item;

impl<T> Consumer<T> {
    /// Returns an iterator that takes the items for good, and waits for each of them.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let (producer, mut consumer) = IterableQueue::unbounded().split()?;
    /// (1..=3).try_for_each(|n| producer.try_put(n))?;
    /// assert_eq!(consumer.iter().take(2).collect::<Vec<_>>(), [1, 2]);
    /// drop(producer);
    /// assert_eq!(consumer.iter().collect::<Vec<_>>(), [3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&mut self) -> BlockingIter<'_, T> {
        BlockingIter { consumer: self }
    }

    /// Returns an iterator that takes the items that are there now for good, and does not wait.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let (producer, mut consumer) = IterableQueue::unbounded().split()?;
    /// producer.try_put(1)?;
    /// assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [1]);
    /// producer.try_put(2)?;
    /// assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_iter(&mut self) -> TryIter<'_, T> {
        TryIter { consumer: self }
    }

    /// Returns an iterator that leases the items that are there now, and does not wait.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let (producer, mut consumer) = IterableQueue::unbounded().split()?;
    /// (1..=3).try_for_each(|n| producer.try_put(n))?;
    /// for item in consumer.try_leases().take(2) {
    ///     item.ack();
    /// }
    /// assert_eq!(consumer.try_get(), Ok(3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_leases(&mut self) -> TryLeases<'_, T> {
        TryLeases { consumer: self }
    }

    /// Returns an iterator that leases the items, and waits for each of them.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let (producer, mut consumer) = IterableQueue::unbounded().split()?;
    /// producer.try_put(1)?;
    /// drop(producer);
    /// for item in consumer.blocking_leases() {
    ///     item.ack();
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn blocking_leases(&mut self) -> BlockingLeases<'_, T> {
        BlockingLeases { consumer: self }
    }

    /// Returns an iterator that leases the items, waits for each of them, and owns this consumer.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let (producer, consumer) = IterableQueue::unbounded().split()?;
    /// producer.try_put(1)?;
    /// drop(producer);
    /// consumer.into_blocking_leases().for_each(|item| item.ack());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_blocking_leases(self) -> IntoBlockingLeases<T> {
        IntoBlockingLeases { consumer: self }
    }
}

/// An iterator that takes items for good, and waits for each. Returned by [`Consumer::iter`].
///
/// # Panics
///
/// `next` panics if it would have to wait on the thread of an actix arbiter.
#[must_use = "iterators do nothing unless consumed"]
pub struct BlockingIter<'a, T> {
    pub(super) consumer: &'a mut Consumer<T>,
}

/// An iterator that takes items for good, and waits for each. `for item in consumer` uses it.
///
/// # Panics
///
/// `next` panics if it would have to wait on the thread of an actix arbiter.
#[must_use = "iterators do nothing unless consumed"]
pub struct IntoBlockingIter<T> {
    pub(super) consumer: Consumer<T>,
}

/// An iterator that takes the items that are there for good. Returned by [`Consumer::try_iter`].
#[must_use = "iterators do nothing unless consumed"]
pub struct TryIter<'a, T> {
    pub(super) consumer: &'a mut Consumer<T>,
}

/// An iterator that leases the items that are there. Returned by [`Consumer::try_leases`].
#[must_use = "iterators do nothing unless consumed"]
pub struct TryLeases<'a, T> {
    pub(super) consumer: &'a mut Consumer<T>,
}

/// An iterator that leases items, and waits for each. Returned by [`Consumer::blocking_leases`].
///
/// # Panics
///
/// `next` panics if it would have to wait on the thread of an actix arbiter.
#[must_use = "iterators do nothing unless consumed"]
pub struct BlockingLeases<'a, T> {
    pub(super) consumer: &'a mut Consumer<T>,
}

/// An iterator that leases items, waits for each, and owns its consumer. Returned by [`Consumer::into_blocking_leases`].
///
/// # Panics
///
/// `next` panics if it would have to wait on the thread of an actix arbiter.
#[must_use = "iterators do nothing unless consumed"]
pub struct IntoBlockingLeases<T> {
    pub(super) consumer: Consumer<T>,
}

impl<T> Iterator for BlockingIter<'_, T> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<T> {
        self.consumer.blocking_get()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.consumer.items_left()
    }
}

impl<T> Iterator for IntoBlockingIter<T> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<T> {
        self.consumer.blocking_get()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.consumer.items_left()
    }
}

impl<T> Iterator for TryIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.consumer.try_get().ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.consumer.items_left()
    }
}

impl<T> Iterator for TryLeases<'_, T> {
    type Item = Item<T>;

    fn next(&mut self) -> Option<Item<T>> {
        self.consumer.try_lease().ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.consumer.items_left()
    }
}

impl<T> Iterator for BlockingLeases<'_, T> {
    type Item = Item<T>;

    #[track_caller]
    fn next(&mut self) -> Option<Item<T>> {
        self.consumer.blocking_lease()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.consumer.items_left()
    }
}

impl<T> Iterator for IntoBlockingLeases<T> {
    type Item = Item<T>;

    #[track_caller]
    fn next(&mut self) -> Option<Item<T>> {
        self.consumer.blocking_lease()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.consumer.items_left()
    }
}

impl<T> FusedIterator for BlockingIter<'_, T> {}
impl<T> FusedIterator for IntoBlockingIter<T> {}
impl<T> FusedIterator for BlockingLeases<'_, T> {}
impl<T> FusedIterator for IntoBlockingLeases<T> {}

impl<T> IntoIterator for Consumer<T> {
    type Item = T;
    type IntoIter = IntoBlockingIter<T>;

    fn into_iter(self) -> IntoBlockingIter<T> {
        IntoBlockingIter { consumer: self }
    }
}

impl<'a, T> IntoIterator for &'a mut Consumer<T> {
    type Item = T;
    type IntoIter = BlockingIter<'a, T>;

    fn into_iter(self) -> BlockingIter<'a, T> {
        self.iter()
    }
}
