//! Every error of this crate.
//!
//! Errors of puts hand the item back: [`into_inner`](PutError::into_inner) takes it,
//! [`get_ref`](PutError::get_ref) looks at it. None of them needs `T: Debug`.

use std::error::Error;
use std::{fmt, io};

use crate::one_line::OneLine;

/// A put was refused for good; the item is inside.
///
/// # Examples
///
/// ```
/// use actix_iterable_queue::{IterableQueue, PutError};
///
/// let queue = IterableQueue::bounded(4);
/// let mut producer = queue.producer()?;
/// producer.close();
/// let error = producer.blocking_put("late").unwrap_err();
/// assert!(matches!(error, PutError::Closed(_)));
/// assert_eq!(error.into_inner(), "late");
/// # Ok::<(), actix_iterable_queue::OpenError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PutError<T> {
    /// This producer handle was closed before, or its actor was found dead.
    Closed(T),
    /// The queue is sealed and its last consumer has gone: nobody could take the item.
    Abandoned(T),
    /// The queue is shutting down and takes no more.
    ShutDown(T),
    /// The queue was aborted.
    Aborted(T),
    /// The queue was sealed by another process before it knew of this one's producers.
    Sealed(T),
    /// The lease was lost to another process, as this one was silent for too long, or kept the item beyond its
    /// `item_deadline`: nothing can be put through it.
    Fenced(T),
    /// The item cannot be written as JSON; the log says why.
    Unserializable(T),
    /// The item's JSON is longer than Redis takes (`proto-max-bulk-len`, 512 MiB unless it was changed); the log says how
    /// long it is.
    TooLarge(T),
    /// The `QueueActor` that was sent the [`Put`](crate::Put) stopped while the put waited for room. The producer and
    /// its queue are open: put again, through the producer or another actor.
    ActorStopped(T),
}

impl<T> PutError<T> {
    /// The item that was not accepted.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::*;
    /// let mut producer = IterableQueue::unbounded().producer()?;
    /// producer.close();
    /// assert_eq!(producer.blocking_put(7).unwrap_err().into_inner(), 7);
    /// # Ok::<(), OpenError>(())
    /// ```
    pub fn into_inner(self) -> T {
        match self {
            Self::Closed(item)
            | Self::Abandoned(item)
            | Self::ShutDown(item)
            | Self::Aborted(item)
            | Self::Sealed(item)
            | Self::Fenced(item)
            | Self::Unserializable(item)
            | Self::TooLarge(item)
            | Self::ActorStopped(item) => item,
        }
    }

    /// A look at the item that was not accepted.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::*;
    /// let mut producer = IterableQueue::unbounded().producer()?;
    /// producer.close();
    /// assert_eq!(producer.blocking_put(7).unwrap_err().get_ref(), &7);
    /// # Ok::<(), OpenError>(())
    /// ```
    pub fn get_ref(&self) -> &T {
        match self {
            Self::Closed(item)
            | Self::Abandoned(item)
            | Self::ShutDown(item)
            | Self::Aborted(item)
            | Self::Sealed(item)
            | Self::Fenced(item)
            | Self::Unserializable(item)
            | Self::TooLarge(item)
            | Self::ActorStopped(item) => item,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Closed(_) => "Closed",
            Self::Abandoned(_) => "Abandoned",
            Self::ShutDown(_) => "ShutDown",
            Self::Aborted(_) => "Aborted",
            Self::Sealed(_) => "Sealed",
            Self::Fenced(_) => "Fenced",
            Self::Unserializable(_) => "Unserializable",
            Self::TooLarge(_) => "TooLarge",
            Self::ActorStopped(_) => "ActorStopped",
        }
    }
}

impl PutError<()> {
    /// The same error around an item.
    pub(crate) fn with<T>(self, item: T) -> PutError<T> {
        match self {
            Self::Closed(()) => PutError::Closed(item),
            Self::Abandoned(()) => PutError::Abandoned(item),
            Self::ShutDown(()) => PutError::ShutDown(item),
            Self::Aborted(()) => PutError::Aborted(item),
            Self::Sealed(()) => PutError::Sealed(item),
            Self::Fenced(()) => PutError::Fenced(item),
            Self::Unserializable(()) => PutError::Unserializable(item),
            Self::TooLarge(()) => PutError::TooLarge(item),
            Self::ActorStopped(()) => PutError::ActorStopped(item),
        }
    }
}

impl<T> fmt::Debug for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PutError::{}(..)", self.name())
    }
}

impl<T> fmt::Display for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed(_) => "this producer is closed: put before close, or open another producer",
            Self::Abandoned(_) => {
                "the queue is sealed and its last consumer has gone: open consumers before seal, and keep one"
            }
            Self::ShutDown(_) => "the queue is shutting down and takes no more items",
            Self::Aborted(_) => "the queue was aborted",
            Self::Sealed(_) => {
                "another process sealed the queue before it knew of this producer: open producers before seal"
            }
            Self::Fenced(_) => {
                "the lease was lost to another process, because this one was silent for longer than the lease, or kept the \
                 item beyond its deadline"
            }
            Self::Unserializable(_) => "the item cannot be written as JSON: look into the log for the reason",
            Self::TooLarge(_) => {
                "the item's JSON is longer than Redis takes: put the data elsewhere, and where it is here"
            }
            Self::ActorStopped(_) => {
                "the queue's actor stopped before there was room: put again, through the producer or another actor"
            }
        })
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
    /// The item that was not accepted.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::*;
    /// assert_eq!(TryPutError::Full(7).into_inner(), 7);
    /// ```
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(item) => item,
            Self::Refused(error) => error.into_inner(),
        }
    }

    /// A look at the item that was not accepted.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::*;
    /// assert_eq!(TryPutError::Full(7).get_ref(), &7);
    /// ```
    pub fn get_ref(&self) -> &T {
        match self {
            Self::Full(item) => item,
            Self::Refused(error) => error.get_ref(),
        }
    }

    /// Whether waiting could help.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::*;
    /// assert!(TryPutError::Full(7).is_full());
    /// ```
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
    /// The item that was not accepted.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::*;
    /// assert_eq!(PutTimeoutError::Timeout(7).into_inner(), 7);
    /// ```
    pub fn into_inner(self) -> T {
        match self {
            Self::Timeout(item) => item,
            Self::Refused(error) => error.into_inner(),
        }
    }

    /// A look at the item that was not accepted.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::*;
    /// assert_eq!(PutTimeoutError::Timeout(7).get_ref(), &7);
    /// ```
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
#[non_exhaustive]
pub struct SinkError<T> {
    reason: PutError<Option<T>>,
}

impl<T> SinkError<T> {
    pub(crate) fn new(reason: PutError<Option<T>>) -> Self {
        Self { reason }
    }

    /// The item that was not accepted, if the sink had been given one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::*;
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
        self.reason.into_inner()
    }

    /// A look at the item that was not accepted, if the sink had been given one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::*;
    /// use futures::SinkExt;
    ///
    /// # actix_rt::System::new().block_on(async {
    /// let mut sink = IterableQueue::unbounded().producer()?.into_sink();
    /// sink.close().await.unwrap();
    /// let error = sink.feed(7).await.unwrap_err(); // refused before the sink was given the item
    /// assert_eq!(error.get_ref(), None);
    /// # Ok::<(), OpenError>(())
    /// # }).unwrap();
    /// ```
    pub fn get_ref(&self) -> Option<&T> {
        self.reason.get_ref().as_ref()
    }

    /// Why the sink takes no more, with the item if there is one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::*;
    /// use futures::SinkExt;
    ///
    /// # actix_rt::System::new().block_on(async {
    /// let mut sink = IterableQueue::unbounded().producer()?.into_sink();
    /// sink.close().await.unwrap();
    /// let error = sink.feed(7).await.unwrap_err(); // refused before the sink was given the item
    /// assert_eq!(error.reason(), &PutError::Closed(None));
    /// # Ok::<(), OpenError>(())
    /// # }).unwrap();
    /// ```
    pub fn reason(&self) -> &PutError<Option<T>> {
        &self.reason
    }
}

impl<T> fmt::Debug for SinkError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SinkError({})", self.reason.name())
    }
}

impl<T> fmt::Display for SinkError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl<T> Error for SinkError<T> {}

/// A [`try_get`](crate::Consumer::try_get) or [`try_lease`](crate::Consumer::try_lease) got nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TryGetError {
    /// There is no item now.
    Empty,
    /// There will be no more items.
    Ended,
}

impl fmt::Display for TryGetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the queue is empty now: wait with get or blocking_get",
            Self::Ended => "the queue has ended: there will be no more items",
        })
    }
}

impl Error for TryGetError {}

/// A take with a timeout or a deadline got nothing, as
/// [`blocking_get_timeout`](crate::Consumer::blocking_get_timeout).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GetTimeoutError {
    /// No item came in time.
    Timeout,
    /// There will be no more items.
    Ended,
}

impl fmt::Display for GetTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "no item came before the timeout",
            Self::Ended => "the queue has ended: there will be no more items",
        })
    }
}

impl Error for GetTimeoutError {}

/// An endpoint could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// The queue was sealed before.
    Sealed,
    /// The queue has ended.
    Ended,
    /// A consumer that may hold no item at all would never get one.
    ZeroMaxInFlight,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sealed => {
                "the queue is sealed and opens no new endpoints: open them before seal, or clone one that is open"
            }
            Self::Ended => "the queue has ended: what is to be opened must be opened before",
            Self::ZeroMaxInFlight => "max_in_flight is 0: a consumer needs room for at least one item",
        })
    }
}

impl Error for OpenError {}

/// A [`Builder`](crate::Builder) was given values that make no queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// A queue without room could never accept an item.
    ZeroCapacity,
    /// An item that may never be handed out could never be finished.
    ZeroMaxAttempts,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ZeroCapacity => "capacity is 0: give at least 1, or leave it out for an unbounded queue",
            Self::ZeroMaxAttempts => "max_attempts is 0: give at least 1",
        })
    }
}

impl Error for BuildError {}

/// A [`WorkerPool`](crate::WorkerPool) could not be started or resized.
#[derive(Debug)]
#[non_exhaustive]
pub enum PoolError {
    /// Workers are actors, which live in a running actix system.
    NoSystem,
    /// A pool without workers would never do anything.
    ZeroWorkers,
    /// A worker that may hold no item at all would never get one.
    ZeroMaxInFlight,
    /// The queue was sealed before.
    Sealed,
    /// An arbiter that was given for workers has stopped.
    ArbiterStopped,
    /// No arbiter could be started.
    Arbiter(io::Error),
    /// The pool, or its queue, has ended.
    Ended,
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSystem => {
                "no actix system is running on this thread: start the pool in System::block_on, #[actix::main], or an actor"
            }
            Self::ZeroWorkers => "0 workers: give at least 1, or pause the pool",
            Self::ZeroMaxInFlight => "max_in_flight is 0: a worker needs room for at least one item",
            Self::Sealed => "the queue is sealed and opens no consumers: start its pools before seal",
            Self::ArbiterStopped => "an arbiter that was given for workers has stopped: give only running ones",
            Self::Arbiter(error) => {
                return write!(f, "no arbiter could be started: {error}; with fewer workers, or arbiters given, it might");
            }
            Self::Ended => "the pool or its queue has ended: there is nothing to do for workers",
        })
    }
}

impl Error for PoolError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Arbiter(error) => Some(error),
            _ => None,
        }
    }
}

/// Why a worker died. Prints as one line with `{}`, whatever a panic said.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Death {
    /// It panicked, and said this.
    Panicked(String),
    /// It stopped by itself, with `ctx.stop()`.
    Stopped,
    /// Its arbiter stopped.
    ArbiterStopped,
    /// No arbiter could be started for it, for this reason.
    NoArbiter(String),
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(message) => write!(f, "it panicked: {}", OneLine(message)),
            Self::Stopped => f.write_str("it stopped by itself"),
            Self::ArbiterStopped => f.write_str("its arbiter stopped"),
            Self::NoArbiter(reason) => write!(f, "no arbiter could be started for it: {}", OneLine(reason)),
        }
    }
}

/// A [`WorkerPool`](crate::WorkerPool) ended before its queue was done. Prints as one line with `{}`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoolFailure {
    /// More workers died than its restart limit allows.
    GaveUp {
        /// The worker that died last.
        worker: String,
        /// Why.
        death: Death,
    },
    /// The actix system that the pool was started in has stopped. The queue goes on as far as others use
    /// it; otherwise what is left in it is dropped as abandoned.
    Stopped,
}

impl fmt::Display for PoolFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GaveUp { worker, death } => {
                let worker = OneLine(worker);
                write!(f, "the pool gave up: too many of its workers died, the last one was {worker}: {death}")
            }
            Self::Stopped => f.write_str("the actix system stopped before the pool's queue was done"),
        }
    }
}

impl Error for PoolFailure {}
