//! How endpoints are opened.

use std::sync::Arc;

use super::consumer::Consumer;
use super::producer::Producer;
use crate::error::OpenError;
use crate::queue::{IterableQueue, Shared, name};

impl<T> IterableQueue<T> {
    /// Opens a producer.
    ///
    /// # Errors
    ///
    /// [`OpenError::Sealed`] if the queue is sealed: clone a producer that is open instead.
    /// [`OpenError::Ended`] if it has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let queue = IterableQueue::unbounded();
    /// let producer = queue.producer()?;
    /// producer.try_put(1)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "get_producer")]
    pub fn producer(&self) -> Result<Producer<T>, OpenError> {
        Producer::open(self.shared(), None, false)
    }

    /// Opens a producer with a name, which snapshots show.
    ///
    /// # Errors
    ///
    /// As [`producer`](IterableQueue::producer).
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let queue = IterableQueue::<u8>::unbounded();
    /// let _producer = queue.producer_named("http")?;
    /// assert!(queue.snapshot().blockers().to_string().contains("producer http is open"));
    /// # Ok::<(), actix_iterable_queue::error::OpenError>(())
    /// ```
    pub fn producer_named(&self, producer_name: impl Into<String>) -> Result<Producer<T>, OpenError> {
        Producer::open(self.shared(), name(producer_name), false)
    }

    /// Opens a consumer.
    ///
    /// # Errors
    ///
    /// [`OpenError::Sealed`] if the queue is sealed: clone a consumer that is open instead.
    /// [`OpenError::Ended`] if it has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// # use actix_iterable_queue::error::TryGetError;
    /// let queue = IterableQueue::<u8>::unbounded();
    /// let mut consumer = queue.consumer()?;
    /// assert_eq!(consumer.try_get(), Err(TryGetError::Empty));
    /// # Ok::<(), actix_iterable_queue::error::OpenError>(())
    /// ```
    #[doc(alias = "get_consumer")]
    pub fn consumer(&self) -> Result<Consumer<T>, OpenError> {
        Consumer::open(self.shared(), None)
    }

    /// Opens a consumer with a name, which snapshots and the log show.
    ///
    /// # Errors
    ///
    /// As [`consumer`](IterableQueue::consumer).
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let queue = IterableQueue::<u8>::unbounded();
    /// let _consumer = queue.consumer_named("worker-1")?;
    /// assert_eq!(queue.snapshot().consumers[0].name, "worker-1");
    /// # Ok::<(), actix_iterable_queue::error::OpenError>(())
    /// ```
    pub fn consumer_named(&self, consumer_name: impl Into<String>) -> Result<Consumer<T>, OpenError> {
        Consumer::open(self.shared(), name(consumer_name))
    }

    /// Opens a producer and a consumer, and drops this handle. If it was the last one, that seals the queue.
    ///
    /// A queue over Redis stays open, and its consumers wait for more items: connect it with `seal_when_unowned()`, or call
    /// `producer()`, `consumer()` and then `seal()`.
    ///
    /// # Errors
    ///
    /// As [`producer`](IterableQueue::producer) and [`consumer`](IterableQueue::consumer).
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let (producer, consumer) = IterableQueue::bounded(16).split()?;
    /// std::thread::spawn(move || (0..100).try_for_each(|n| producer.blocking_put(n)));
    /// assert_eq!(consumer.into_iter().count(), 100);
    /// # Ok::<(), actix_iterable_queue::error::OpenError>(())
    /// ```
    pub fn split(self) -> Result<(Producer<T>, Consumer<T>), OpenError> {
        Ok((self.producer()?, self.consumer()?))
    }
}

/// A pool's right to open consumers, also after seal. While a pool holds it, a queue without consumers is not
/// abandoned (D7).
pub(crate) struct PoolClaim<T> {
    shared: Arc<Shared<T>>,
}

impl<T> PoolClaim<T> {
    pub(crate) fn on(queue: Arc<Shared<T>>) -> Result<Self, OpenError> {
        queue.open_pool()?;
        Ok(Self { shared: queue })
    }

    pub(crate) fn shared(&self) -> &Arc<Shared<T>> {
        &self.shared
    }

    pub(crate) fn consumer(&self, name: &str) -> Consumer<T> {
        Consumer::new(Arc::clone(&self.shared), self.shared.add_pool_consumer(Arc::from(name)))
    }
}

impl<T> Drop for PoolClaim<T> {
    fn drop(&mut self) {
        self.shared.close_pool();
    }
}
