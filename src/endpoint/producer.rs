//! The producer, and its puts.

use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::sync::Arc;

use super::block::Operation;
use super::handle::{Handle, HandleShare, Putting};
use crate::coop;
use crate::error::{OpenError, PutError, Refusal, TryPutError};
use crate::queue::{NotPut, ProducerEndpoint, Receipt, Shared, not_put, refused};

/// Puts items into a queue. The queue does not end while a producer is open.
///
/// A clone is another handle of the same endpoint. Dropping a handle closes it, and the endpoint closes with its last
/// handle. To put from several threads, clone it: each handle has a counter of its own, so they share no cache line.
///
/// | waits (async) | waits (thread) | at once |
/// |---|---|---|
/// | [`put`](Producer::put) | [`blocking_put`](Producer::blocking_put), [`blocking_put_timeout`](Producer::blocking_put_timeout), [`blocking_put_deadline`](Producer::blocking_put_deadline) | [`try_put`](Producer::try_put) |
/// | [`ask`](Producer::ask) | [`blocking_ask`](Producer::blocking_ask) | |
/// | [`put_all`](Producer::put_all), [`sink`](Producer::sink), [`into_sink`](Producer::into_sink) | [`blocking_put_all`](Producer::blocking_put_all) | |
/// | [`reserve`](Producer::reserve) | [`blocking_reserve`](Producer::blocking_reserve) | [`try_reserve`](Producer::try_reserve) |
/// | [`closed`](Producer::closed) | | [`is_closed`](Producer::is_closed) |
pub struct Producer<T> {
    /// `None` once closed.
    handle: Option<HandleShare<T>>,
    /// Kept after that, as `shared` is.
    endpoint: Arc<ProducerEndpoint>,
    shared: Arc<Shared<T>>,
}

/// Waits for a put that found no room, or is not confirmed. If it `yields`, it lets other tasks run first.
async fn finish_put<T>(
    handle: &Handle<T>,
    put: &mut Option<T>,
    receipt: Receipt,
    mut yields: bool,
) -> Result<(), Refusal> {
    let mut putting = Putting::accepted(handle, put, receipt);
    poll_fn(|cx| if mem::take(&mut yields) { putting.yield_in_turn(cx) } else { putting.wait(cx) }).await
}

impl<T> Producer<T> {
    pub(crate) fn open(
        shared: &Arc<Shared<T>>,
        producer_name: Option<Arc<str>>,
        watched: bool,
    ) -> Result<Self, OpenError> {
        let handle = Handle::open(shared, producer_name, watched)?;
        let endpoint = Arc::clone(&handle.row.endpoint);
        Ok(Self { handle: Some(HandleShare::new(handle)), endpoint, shared: Arc::clone(shared) })
    }

    /// Returns a share of this handle, if it is open.
    pub(crate) fn share(&self) -> Option<HandleShare<T>> {
        self.handle.clone()
    }

    /// Takes this handle's share out, which closes the producer.
    pub(crate) fn take(&mut self) -> Option<HandleShare<T>> {
        self.handle.take()
    }

    pub(crate) fn open_handle(&self) -> Option<&Handle<T>> {
        self.handle.as_deref()
    }

    pub(crate) fn endpoint(&self) -> &Arc<ProducerEndpoint> {
        &self.endpoint
    }

    pub(super) fn shared(&self) -> &Arc<Shared<T>> {
        &self.shared
    }

    /// Puts an item, and waits for room if there is none. `Ok` means that the buffer has it; over Redis, that Redis has it.
    ///
    /// It takes part in cooperative scheduling: now and then it is pending once although there is room, so that a loop lets
    /// other tasks run.
    ///
    /// # Errors
    ///
    /// If this handle is closed, or the queue was abandoned, is shutting down or was aborted. The item is in the error.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it is ready drops the item, which was not accepted. Where that matters, use
    /// [`reserve`](Producer::reserve).
    ///
    /// The puts of one handle keep their order: while one of them waits, later ones wait behind it. So do not keep a future
    /// that has begun to wait without polling it: drop it, or put through a clone.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// # actix_rt::System::new().block_on(async {
    /// let (producer, mut consumer) = IterableQueue::bounded(1).split()?;
    /// producer.put("a").await?;
    /// assert_eq!(consumer.get().await, Some("a"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn put(&self, item: T) -> Result<(), PutError<T>> {
        let Some(handle) = self.open_handle() else { return Err(PutError::new(item, Refusal::Closed)) };
        let mut put = Some(item);
        let yields = coop::is_due();
        // Fast path: build the future only if we must wait.
        let tried = if yields { Err(NotPut::Full) } else { handle.try_put(&mut put) };
        let result = match tried {
            Ok(Receipt::Confirmed) => {
                coop::count();
                Ok(())
            }
            Err(NotPut::Refused(reason)) => Err(reason),
            _ => finish_put(handle, &mut put, tried.unwrap_or(Receipt::Confirmed), yields).await,
        };
        match result {
            Ok(()) => Ok(()),
            Err(reason) => Err(refused(put, reason)),
        }
    }

    /// Puts an item if there is room now, and no earlier put through this handle waits for room. Over Redis it does not wait
    /// until Redis has the item; a later [`put`](Producer::put) through this handle does.
    ///
    /// # Errors
    ///
    /// [`TryPutError::Full`] if it would have to wait, otherwise as [`put`](Producer::put). The item is in the error.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let (producer, _consumer) = IterableQueue::bounded(1).split()?;
    /// producer.try_put(1)?;
    /// let error = producer.try_put(2).unwrap_err();
    /// assert!(error.is_full());
    /// assert_eq!(error.into_inner(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_put(&self, item: T) -> Result<(), TryPutError<T>> {
        let Some(handle) = self.open_handle() else { return Err(PutError::new(item, Refusal::Closed).into()) };
        let mut put = Some(item);
        match handle.try_put(&mut put) {
            Ok(receipt) => {
                handle.shared.detach(receipt);
                Ok(())
            }
            Err(error) => Err(not_put(put, error)),
        }
    }

    /// Closes this handle. Calling it again changes nothing.
    ///
    /// It takes `&mut self`, so that a close cannot overtake a put of another thread.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let (mut producer, mut consumer) = IterableQueue::unbounded().split()?;
    /// producer.try_put(1)?;
    /// producer.close();
    /// assert_eq!(consumer.blocking_get(), Some(1));
    /// assert_eq!(consumer.blocking_get(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&mut self) {
        self.handle = None;
    }
}

impl<T> Clone for Producer<T> {
    fn clone(&self) -> Self {
        let handle = self.handle.as_ref().and_then(|handle| handle.another()).map(HandleShare::new);
        Self { handle, endpoint: Arc::clone(&self.endpoint), shared: Arc::clone(&self.shared) }
    }
}

impl<T> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("queue", &self.queue_id())
            .field("id", &self.id())
            .field("name", &self.name())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
