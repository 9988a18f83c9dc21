//! The weak handle, which observes a queue without keeping it unsealed.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use super::{IterableQueue, Shared, drained};
use crate::queue::ids::QueueId;
use crate::queue::report::snapshot::{Drained, Snapshot, State};

/// A handle that observes a queue without keeping it from sealing itself. Returned by [`IterableQueue::downgrade`].
///
/// Use it for a status page, or a log line every minute. It is cheap to clone.
///
/// # Examples
///
/// ```
/// use actix_iterable_queue::{IterableQueue, State};
///
/// let queue = IterableQueue::bounded(100);
/// let eye = queue.downgrade();
/// let (producer, consumer) = queue.split()?; // the last handle is gone: the queue is sealed
/// assert_eq!(eye.state(), State::Sealed);
/// producer.try_put("work")?;
/// println!("{}", eye.snapshot());
/// drop(producer);
/// assert_eq!(consumer.into_iter().count(), 1);
/// assert_eq!(eye.state(), State::Drained);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct WeakQueue<T> {
    pub(crate) shared: Arc<Shared<T>>,
}

impl<T> IterableQueue<T> {
    /// Returns a handle that does not keep the queue from sealing itself.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::{IterableQueue, State};
    /// let queue = IterableQueue::<u8>::unbounded();
    /// let weak = queue.downgrade();
    /// let _producer = queue.producer()?;
    /// drop(queue);
    /// assert_eq!(weak.state(), State::Sealed);
    /// # Ok::<(), actix_iterable_queue::error::OpenError>(())
    /// ```
    pub fn downgrade(&self) -> WeakQueue<T> {
        WeakQueue { shared: Arc::clone(&self.shared) }
    }
}

impl<T> WeakQueue<T> {
    /// Returns a handle that can open endpoints and keeps the queue unsealed. `None` once the last such handle is gone.
    ///
    /// A strong address of a [`QueueActor`](crate::QueueActor) counts as such a handle. If the queue was sealed by
    /// [`seal`](IterableQueue::seal), the returned handle opens no endpoints.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let queue = IterableQueue::<u8>::unbounded();
    /// let weak = queue.downgrade();
    /// let producer = weak.upgrade().map(|queue| queue.producer());
    /// assert!(producer.is_some_and(|opened| opened.is_ok()));
    /// drop(queue);
    /// assert!(weak.upgrade().is_none());
    /// ```
    pub fn upgrade(&self) -> Option<IterableQueue<T>> {
        self.shared.add_opener().then(|| IterableQueue { shared: Arc::clone(&self.shared) })
    }

    /// Returns the id that tells this queue from others in the process.
    pub fn id(&self) -> QueueId {
        self.shared.id
    }

    /// Returns the name that the queue was built with.
    pub fn name(&self) -> Option<&str> {
        self.shared.name.as_deref()
    }

    /// Returns how far the queue has come.
    pub fn state(&self) -> State {
        self.shared.state()
    }

    /// Counts the items that wait for a consumer, as [`IterableQueue::len`].
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Returns whether no item waits for a consumer, as [`IterableQueue::is_empty`].
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Describes the queue at this moment, as [`IterableQueue::snapshot`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let queue = IterableQueue::<u8>::unbounded();
    /// let eye = queue.downgrade();
    /// let (_producer, _consumer) = queue.split()?;
    /// println!("{}", eye.snapshot()); // … waits: producer producer-1 is open, 0 puts
    /// assert_eq!(eye.snapshot().producers.len(), 1);
    /// # Ok::<(), actix_iterable_queue::error::OpenError>(())
    /// ```
    pub fn snapshot(&self) -> Snapshot {
        self.shared.snapshot()
    }

    pub(crate) fn shared(&self) -> &Shared<T> {
        &self.shared
    }

    /// Waits until the queue has ended, as [`IterableQueue::drained`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::{IterableQueue, Outcome};
    /// # actix_rt::System::new().block_on(async {
    /// let queue = IterableQueue::unbounded();
    /// let eye = queue.downgrade();
    /// let (producer, mut consumer) = queue.split()?;
    /// producer.put("only").await?;
    /// drop(producer);
    /// while let Some(_) = consumer.get().await {}
    /// assert_eq!(eye.drained().await.outcome, Outcome::Complete);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn drained(&self) -> impl Future<Output = Drained> + use<T> {
        drained(&self.shared)
    }
}

impl<T> Clone for WeakQueue<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> fmt::Debug for WeakQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakQueue")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("state", &self.state())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
