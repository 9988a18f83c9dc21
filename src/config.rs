//! How a queue is made.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::error::BuildError;
use crate::queue::{IterableQueue, name};

/// How often an item is handed out unless the builder says otherwise.
const MAX_ATTEMPTS: u32 = 5;

impl<T> IterableQueue<T> {
    /// A queue that holds at most `capacity` items that nobody has been handed yet; puts wait for
    /// room. A huge capacity allocates nothing ahead.
    ///
    /// Items that come back, and items put through a lease or a permit, may exceed it.
    ///
    /// # Panics
    ///
    /// If `capacity` is 0. [`builder`](IterableQueue::builder) returns an error instead.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::{IterableQueue, TryPutError};
    ///
    /// let (producer, _consumer) = IterableQueue::bounded(1).split()?;
    /// producer.try_put('a')?;
    /// assert_eq!(producer.try_put('b'), Err(TryPutError::Full('b')));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bounded(capacity: usize) -> Self {
        match Builder::new().capacity(capacity).build() {
            Ok(queue) => queue,
            Err(error) => panic!("IterableQueue::bounded: {error}"),
        }
    }

    /// A queue without a bound: puts never wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::IterableQueue;
    ///
    /// let (producer, consumer) = IterableQueue::unbounded().split()?;
    /// (0..1000).try_for_each(|n| producer.try_put(n))?;
    /// drop(producer);
    /// assert_eq!(consumer.into_iter().count(), 1000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unbounded() -> Self {
        Self::new(None, None, MAX_ATTEMPTS)
    }

    /// A queue with a name, a capacity, a limit of attempts.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::{BuildError, IterableQueue};
    ///
    /// let queue = IterableQueue::<u64>::builder().name("jobs").capacity(100).max_attempts(3).build()?;
    /// assert_eq!((queue.name(), queue.capacity()), (Some("jobs"), Some(100)));
    /// assert_eq!(IterableQueue::<u64>::builder().capacity(0).build().unwrap_err(), BuildError::ZeroCapacity);
    /// # Ok::<(), BuildError>(())
    /// ```
    pub fn builder() -> Builder<T> {
        Builder::new()
    }
}

/// Describes a queue before it is built; from [`IterableQueue::builder`].
pub struct Builder<T> {
    name: Option<Arc<str>>,
    capacity: Option<usize>,
    max_attempts: u32,
    item: PhantomData<fn(T)>,
}

impl<T> Builder<T> {
    fn new() -> Self {
        Self { name: None, capacity: None, max_attempts: MAX_ATTEMPTS, item: PhantomData }
    }

    /// A name, for snapshots and the log.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let queue = IterableQueue::<u8>::builder().name("jobs").build()?;
    /// assert_eq!(queue.name(), Some("jobs"));
    /// # Ok::<(), actix_iterable_queue::BuildError>(())
    /// ```
    #[must_use]
    pub fn name(mut self, queue_name: impl Into<String>) -> Self {
        self.name = name(queue_name);
        self
    }

    /// The most items that wait for a consumer before puts have to wait. Without it there is no
    /// bound.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let queue = IterableQueue::<u8>::builder().capacity(100).build()?;
    /// assert_eq!(queue.capacity(), Some(100));
    /// # Ok::<(), actix_iterable_queue::BuildError>(())
    /// ```
    #[must_use]
    pub fn capacity(mut self, items: usize) -> Self {
        self.capacity = Some(items);
        self
    }

    /// How often an item is handed out at most; 5 unless given. A lease that ends unsettled uses
    /// one attempt up, and after the last the item is a dead letter.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let queue = IterableQueue::builder().max_attempts(1).build()?;
    /// let mut dead_letters = queue.dead_letters()?;
    /// let (producer, mut consumer) = queue.split()?;
    /// producer.try_put('x')?;
    /// drop(consumer.try_lease()?);
    /// assert_eq!(dead_letters.try_get()?.item, 'x');
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// Builds the queue.
    ///
    /// # Errors
    ///
    /// If the capacity or the number of attempts is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::{BuildError, IterableQueue};
    /// let error = IterableQueue::<u8>::builder().max_attempts(0).build().unwrap_err();
    /// assert_eq!(error, BuildError::ZeroMaxAttempts);
    /// ```
    pub fn build(self) -> Result<IterableQueue<T>, BuildError> {
        if self.capacity == Some(0) {
            return Err(BuildError::ZeroCapacity);
        }
        if self.max_attempts == 0 {
            return Err(BuildError::ZeroMaxAttempts);
        }
        Ok(IterableQueue::new(self.name, self.capacity, self.max_attempts))
    }
}

impl<T> fmt::Debug for Builder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("name", &self.name)
            .field("capacity", &self.capacity)
            .field("max_attempts", &self.max_attempts)
            .finish()
    }
}
