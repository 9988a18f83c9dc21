//! The errors of puts and reservations.

use std::error::Error;
use std::fmt;

/// Why a put was refused for good, or a call on dead letters.
///
/// # Examples
///
/// A producer that ends quietly when no consumer wants its items any more:
///
/// ```
/// use actix_iterable_queue::{IterableQueue, Producer};
/// use actix_iterable_queue::error::{PutError, Refusal};
///
/// fn feed(producer: &Producer<u32>) -> Result<(), PutError<u32>> {
///     (0..).try_for_each(|n| producer.blocking_put(n)).or_else(|error| match error.reason() {
///         Refusal::Abandoned | Refusal::ShutDown => Ok(()),
///         _ => Err(error), // there may be more reasons in a later version
///     })
/// }
///
/// let (producer, consumer) = IterableQueue::bounded(4).split()?;
/// let feeder = std::thread::spawn(move || feed(&producer));
/// assert!(consumer.into_iter().take(10).eq(0..10)); // the consumer is dropped here
/// feeder.join().unwrap()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// This producer handle is closed, or its actor was found dead.
    Closed,
    /// The queue is sealed and its last consumer is gone: no consumer could take the item.
    Abandoned,
    /// The queue is shutting down and takes no more items.
    ShutDown,
    /// The queue was aborted.
    Aborted,
    /// The queue has ended, and takes no item of a dead letter back.
    Ended,
    /// Redis did not carry out this call on dead letters, and will not before a person changes something: its user may not make
    /// it, or something else is under a key of the queue. Or no thread could be started to ask. The log has the reason.
    Redis,
    /// Another process sealed the queue before it knew of this one's producers.
    Sealed,
    /// The lease was lost to another process, as this one was silent for too long, or kept the item beyond its
    /// `item_deadline`: no item can be put through it.
    Fenced,
    /// The item cannot be written as JSON; the log says why.
    Unserializable,
    /// The item's JSON is longer than Redis takes (`proto-max-bulk-len`, 512 MiB unless it was changed); the log says how
    /// long it is.
    TooLarge,
    /// The `QueueActor` that was sent the [`Put`](crate::message::Put) stopped while the put waited for room. The producer and
    /// its queue are open: put again, through the producer or another actor.
    ActorStopped,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "this producer is closed: put before closing it, or open another producer",
            Self::Abandoned => {
                "the queue is sealed and its last consumer is gone: open consumers before sealing it, and keep one"
            }
            Self::ShutDown => "the queue is shutting down and takes no more items",
            Self::Aborted => "the queue was aborted",
            Self::Ended => "the queue has ended: retry dead letters before that",
            Self::Redis => "Redis did not carry out this call on dead letters: the log has the reason",
            Self::Sealed => {
                "another process sealed the queue before it knew of this producer: open producers before sealing it"
            }
            Self::Fenced => {
                "the lease was lost to another process, because this one was silent for longer than the lease, or kept the \
                 item beyond its deadline"
            }
            Self::Unserializable => "the item cannot be written as JSON: the log has the reason",
            Self::TooLarge => {
                "the item's JSON is longer than Redis takes: store the data elsewhere, and put a reference to it"
            }
            Self::ActorStopped => {
                "the queue's actor stopped before there was room: put again, through the producer or another actor"
            }
        })
    }
}

impl Error for Refusal {}

/// A put was refused for good; the item is inside.
///
/// # Examples
///
/// ```
/// use actix_iterable_queue::IterableQueue;
/// use actix_iterable_queue::error::Refusal;
///
/// let queue = IterableQueue::bounded(4);
/// let mut producer = queue.producer()?;
/// producer.close();
/// let error = producer.blocking_put("late").unwrap_err();
/// assert_eq!(error.reason(), Refusal::Closed);
/// assert_eq!(error.into_inner(), "late");
/// # Ok::<(), actix_iterable_queue::error::OpenError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PutError<T> {
    item: T,
    reason: Refusal,
}

impl<T> PutError<T> {
    /// Creates the error of a put of `item`, for a test or for a queue of your own that stands in for this one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// # use actix_iterable_queue::error::{PutError, Refusal};
    /// let queue = IterableQueue::unbounded();
    /// let producer = queue.producer()?;
    /// assert!(queue.abort().is_empty());
    /// assert_eq!(producer.blocking_put(7), Err(PutError::new(7, Refusal::Aborted)));
    /// # Ok::<(), actix_iterable_queue::error::OpenError>(())
    /// ```
    pub fn new(item: T, reason: Refusal) -> Self {
        Self { item, reason }
    }

    /// Returns the item that was not accepted.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let mut producer = IterableQueue::unbounded().producer()?;
    /// producer.close();
    /// assert_eq!(producer.blocking_put(7).unwrap_err().into_inner(), 7);
    /// # Ok::<(), actix_iterable_queue::error::OpenError>(())
    /// ```
    pub fn into_inner(self) -> T {
        self.item
    }

    /// Returns a reference to the item that was not accepted.
    pub fn get_ref(&self) -> &T {
        &self.item
    }

    /// Returns why the item was not accepted.
    pub fn reason(&self) -> Refusal {
        self.reason
    }
}

impl<T> fmt::Debug for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PutError").field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl<T> Error for PutError<T> {}

/// A [`try_put`](crate::Producer::try_put) was refused; the item is inside.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TryPutError<T> {
    /// There is no room now.
    Full(T),
    /// There will never be room for it.
    Refused(PutError<T>),
}

impl<T> TryPutError<T> {
    /// Returns the item that was not accepted.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::error::TryPutError;
    /// assert_eq!(TryPutError::Full(7).into_inner(), 7);
    /// ```
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(item) => item,
            Self::Refused(error) => error.into_inner(),
        }
    }

    /// Returns a reference to the item that was not accepted.
    pub fn get_ref(&self) -> &T {
        match self {
            Self::Full(item) => item,
            Self::Refused(error) => error.get_ref(),
        }
    }

    /// Returns whether waiting could help.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }
}

impl<T> From<PutError<T>> for TryPutError<T> {
    fn from(error: PutError<T>) -> Self {
        Self::Refused(error)
    }
}

impl<T> fmt::Debug for TryPutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("TryPutError::Full(..)"),
            Self::Refused(error) => write!(f, "TryPutError::Refused({error:?})"),
        }
    }
}

impl<T> fmt::Display for TryPutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("the queue is full: wait with put or blocking_put"),
            Self::Refused(error) => error.fmt(f),
        }
    }
}

impl<T> Error for TryPutError<T> {}

/// A [`try_reserve`](crate::Producer::try_reserve) was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TryReserveError {
    /// There is no room now.
    Full,
    /// There will never be room.
    Refused(Refusal),
}

impl TryReserveError {
    /// Returns whether waiting could help.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full)
    }
}

impl From<Refusal> for TryReserveError {
    fn from(reason: Refusal) -> Self {
        Self::Refused(reason)
    }
}

impl fmt::Display for TryReserveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the queue is full: wait with reserve"),
            Self::Refused(reason) => reason.fmt(f),
        }
    }
}

impl Error for TryReserveError {}

/// A put with a timeout or a deadline failed, as
/// [`blocking_put_timeout`](crate::Producer::blocking_put_timeout); the item is inside.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PutTimeoutError<T> {
    /// There was no room in time.
    Timeout(T),
    /// There will never be room for it.
    Refused(PutError<T>),
}

impl<T> PutTimeoutError<T> {
    /// Returns the item that was not accepted.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::error::PutTimeoutError;
    /// assert_eq!(PutTimeoutError::Timeout(7).into_inner(), 7);
    /// ```
    pub fn into_inner(self) -> T {
        match self {
            Self::Timeout(item) => item,
            Self::Refused(error) => error.into_inner(),
        }
    }

    /// Returns a reference to the item that was not accepted.
    pub fn get_ref(&self) -> &T {
        match self {
            Self::Timeout(item) => item,
            Self::Refused(error) => error.get_ref(),
        }
    }
}

impl<T> fmt::Debug for PutTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout(_) => f.write_str("PutTimeoutError::Timeout(..)"),
            Self::Refused(error) => write!(f, "PutTimeoutError::Refused({error:?})"),
        }
    }
}

impl<T> fmt::Display for PutTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout(_) => f.write_str("the queue stayed full until the timeout"),
            Self::Refused(error) => error.fmt(f),
        }
    }
}

impl<T> Error for PutTimeoutError<T> {}

/// A [`PutSink`](crate::PutSink) was refused.
///
/// Refusals by `poll_ready` come before the sink has been given an item, so they hold none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SinkError<T> {
    item: Option<T>,
    reason: Refusal,
}

impl<T> SinkError<T> {
    pub(crate) fn new(item: Option<T>, reason: Refusal) -> Self {
        Self { item, reason }
    }

    /// Returns the item that was not accepted, if the sink had been given one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// # use actix_iterable_queue::error::OpenError;
    /// use futures::SinkExt;
    ///
    /// # actix_rt::System::new().block_on(async {
    /// let mut sink = IterableQueue::unbounded().producer()?.into_sink();
    /// sink.close().await.unwrap();
    /// let error = sink.feed(7).await.unwrap_err(); // refused before the sink was given the item
    /// assert_eq!(error.into_inner(), None);
    /// # Ok::<(), OpenError>(())
    /// # }).unwrap();
    /// ```
    pub fn into_inner(self) -> Option<T> {
        self.item
    }

    /// Returns a reference to the item that was not accepted, if the sink had been given one.
    pub fn get_ref(&self) -> Option<&T> {
        self.item.as_ref()
    }

    /// Returns why the sink takes no more.
    pub fn reason(&self) -> Refusal {
        self.reason
    }
}

impl<T> fmt::Debug for SinkError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkError").field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for SinkError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl<T> Error for SinkError<T> {}
