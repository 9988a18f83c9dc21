//! What endpoints tell about themselves and their queue, also when they are closed.

use super::consumer::Consumer;
use super::producer::Producer;
use crate::queue::{ConsumerId, ProducerId, QueueId, WeakQueue};

impl<T> Producer<T> {
    /// Returns the id under which snapshots list it; its clones have the same.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let queue = IterableQueue::<u8>::unbounded();
    /// let producer = queue.producer()?;
    /// assert_eq!(queue.snapshot().producers[0].id, producer.id());
    /// assert_eq!(producer.clone().id(), producer.id());
    /// # Ok::<(), actix_iterable_queue::error::OpenError>(())
    /// ```
    pub fn id(&self) -> ProducerId {
        self.endpoint().id
    }

    /// Returns the name it was given, or its id.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let queue = IterableQueue::<u8>::unbounded();
    /// assert_eq!(queue.producer_named("http")?.name(), "http");
    /// assert_eq!(queue.producer()?.name(), "producer-2");
    /// # Ok::<(), actix_iterable_queue::error::OpenError>(())
    /// ```
    pub fn name(&self) -> &str {
        &self.endpoint().name
    }

    /// Returns the id of the queue that it puts into.
    pub fn queue_id(&self) -> QueueId {
        self.shared().id
    }

    /// Returns whether both put into the same queue. To compare with a consumer, compare the
    /// [`queue_id`](Producer::queue_id)s.
    pub fn same_queue(&self, other: &Self) -> bool {
        self.queue_id() == other.queue_id()
    }

    /// Counts the items that wait for a consumer, as [`IterableQueue::len`](crate::IterableQueue::len).
    pub fn len(&self) -> usize {
        self.shared().len()
    }

    /// Returns whether no item waits for a consumer.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether a put would have to wait. One place may be kept for puts that wait already. It is a hint:
    /// [`try_put`](Producer::try_put) decides.
    pub fn is_full(&self) -> bool {
        self.shared().is_full()
    }

    /// Returns the queue's bound, in items; `None` if there is none.
    pub fn capacity(&self) -> Option<usize> {
        self.shared().store.capacity()
    }
}

impl<T> Consumer<T> {
    /// Returns the id under which snapshots list it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let queue = IterableQueue::<u8>::unbounded();
    /// let consumer = queue.consumer()?;
    /// assert_eq!(queue.snapshot().consumers[0].id, consumer.id());
    /// # Ok::<(), actix_iterable_queue::error::OpenError>(())
    /// ```
    pub fn id(&self) -> ConsumerId {
        self.slot().row.id
    }

    /// Returns the name it was given, or its id.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let queue = IterableQueue::<u8>::unbounded();
    /// assert_eq!(queue.consumer_named("worker-1")?.name(), "worker-1");
    /// assert_eq!(queue.consumer()?.name(), "consumer-2");
    /// # Ok::<(), actix_iterable_queue::error::OpenError>(())
    /// ```
    pub fn name(&self) -> &str {
        &self.slot().row.name
    }

    /// Returns the id of the queue that it takes from.
    pub fn queue_id(&self) -> QueueId {
        self.slot().shared.id
    }

    /// Returns whether both take from the same queue. To compare with a producer, compare the
    /// [`queue_id`](Consumer::queue_id)s.
    pub fn same_queue(&self, other: &Self) -> bool {
        self.queue_id() == other.queue_id()
    }

    /// Counts the items that wait for a consumer, as [`IterableQueue::len`](crate::IterableQueue::len).
    pub fn len(&self) -> usize {
        self.slot().shared.len()
    }

    /// Returns whether no item waits for a consumer. More may come, until a take says that the queue has ended.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether a put would have to wait. One place may be kept for puts that wait already. It is a hint:
    /// [`try_put`](Producer::try_put) decides.
    pub fn is_full(&self) -> bool {
        self.slot().shared.is_full()
    }

    /// Returns the queue's bound, in items; `None` if there is none.
    pub fn capacity(&self) -> Option<usize> {
        self.slot().shared.store.capacity()
    }
}

impl<T> WeakQueue<T> {
    /// Returns whether a put would have to wait, as [`IterableQueue::is_full`](crate::IterableQueue::is_full).
    pub fn is_full(&self) -> bool {
        self.shared().is_full()
    }

    /// Returns the queue's bound, in items; `None` if there is none.
    pub fn capacity(&self) -> Option<usize> {
        self.shared().store.capacity()
    }
}
