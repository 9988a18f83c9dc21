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
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let (producer, consumer) = IterableQueue::<u8>::unbounded().split()?;
    /// assert_eq!(producer.queue_id(), consumer.queue_id());
    /// # Ok::<(), actix_iterable_queue::error::OpenError>(())
    /// ```
    pub fn queue_id(&self) -> QueueId {
        self.shared().id
    }

    /// Returns whether both put into the same queue. To compare with a consumer, compare the
    /// [`queue_id`](Producer::queue_id)s.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let queue = IterableQueue::<u8>::unbounded();
    /// assert!(queue.producer()?.same_queue(&queue.producer()?));
    /// assert!(!queue.producer()?.same_queue(&IterableQueue::unbounded().producer()?));
    /// # Ok::<(), actix_iterable_queue::error::OpenError>(())
    /// ```
    pub fn same_queue(&self, other: &Self) -> bool {
        self.queue_id() == other.queue_id()
    }

    /// Counts the items that wait for a consumer, as [`IterableQueue::len`](crate::IterableQueue::len).
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let (producer, _consumer) = IterableQueue::bounded(3).split()?;
    /// producer.try_put(7)?;
    /// assert_eq!(producer.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn len(&self) -> usize {
        self.shared().len()
    }

    /// Returns whether no item waits for a consumer.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// assert!(IterableQueue::<u8>::bounded(3).producer()?.is_empty());
    /// # Ok::<(), actix_iterable_queue::error::OpenError>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether a put would have to wait. One place may be kept for puts that wait already. It is a hint:
    /// [`try_put`](Producer::try_put) decides.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let (producer, _consumer) = IterableQueue::bounded(1).split()?;
    /// producer.try_put(7)?;
    /// assert!(producer.is_full());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_full(&self) -> bool {
        self.shared().is_full()
    }

    /// Returns the queue's bound, in items; `None` if there is none.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// assert_eq!(IterableQueue::<u8>::bounded(3).producer()?.capacity(), Some(3));
    /// # Ok::<(), actix_iterable_queue::error::OpenError>(())
    /// ```
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
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let queue = IterableQueue::<u8>::unbounded();
    /// assert_eq!(queue.consumer()?.queue_id(), queue.id());
    /// # Ok::<(), actix_iterable_queue::error::OpenError>(())
    /// ```
    pub fn queue_id(&self) -> QueueId {
        self.slot().shared.id
    }

    /// Returns whether both take from the same queue. To compare with a producer, compare the
    /// [`queue_id`](Consumer::queue_id)s.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let consumer = IterableQueue::<u8>::unbounded().consumer()?;
    /// assert!(consumer.same_queue(&consumer.clone()));
    /// # Ok::<(), actix_iterable_queue::error::OpenError>(())
    /// ```
    pub fn same_queue(&self, other: &Self) -> bool {
        self.queue_id() == other.queue_id()
    }

    /// Counts the items that wait for a consumer, as [`IterableQueue::len`](crate::IterableQueue::len).
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let (producer, consumer) = IterableQueue::unbounded().split()?;
    /// producer.try_put(7)?;
    /// assert_eq!(consumer.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn len(&self) -> usize {
        self.slot().shared.len()
    }

    /// Returns whether no item waits for a consumer. More may come, until a take says that the queue has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// assert!(IterableQueue::<u8>::unbounded().consumer()?.is_empty());
    /// # Ok::<(), actix_iterable_queue::error::OpenError>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether a put would have to wait. One place may be kept for puts that wait already. It is a hint:
    /// [`try_put`](Producer::try_put) decides.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let (producer, mut consumer) = IterableQueue::bounded(1).split()?;
    /// producer.try_put(7)?;
    /// assert!(consumer.is_full());
    /// consumer.try_get()?;
    /// assert!(!consumer.is_full());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_full(&self) -> bool {
        self.slot().shared.is_full()
    }

    /// Returns the queue's bound, in items; `None` if there is none.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// assert_eq!(IterableQueue::<u8>::unbounded().consumer()?.capacity(), None);
    /// # Ok::<(), actix_iterable_queue::error::OpenError>(())
    /// ```
    pub fn capacity(&self) -> Option<usize> {
        self.slot().shared.store.capacity()
    }
}

impl<T> WeakQueue<T> {
    /// Returns whether a put would have to wait, as [`IterableQueue::is_full`](crate::IterableQueue::is_full).
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let queue = IterableQueue::bounded(1);
    /// queue.producer()?.try_put(7)?;
    /// assert!(queue.downgrade().is_full());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_full(&self) -> bool {
        self.shared().is_full()
    }

    /// Returns the queue's bound, in items; `None` if there is none.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// assert_eq!(IterableQueue::<u8>::bounded(3).downgrade().capacity(), Some(3));
    /// ```
    pub fn capacity(&self) -> Option<usize> {
        self.shared().store.capacity()
    }
}
