//! Waiting until puts are refused.

use std::future::poll_fn;

use super::block::Operation;
use super::line_wait::LineWait;
use super::producer::Producer;
use crate::error::Refusal;
use crate::queue::Line;

impl<T> Producer<T> {
    /// Waits until every further put through this handle would be refused, and returns why: the queue was abandoned, is
    /// shutting down, was aborted or has ended, or this handle is closed, by [`close`](Producer::close) or because its actor
    /// was found dead. Over Redis, another process may also have sealed the queue before it knew of this producer.
    ///
    /// Use it in a task that makes items at its own pace, or reads them from elsewhere, to know when to stop. While it
    /// waits, this producer is open, so the queue does not become drained. A [`Permit`](crate::Permit) may still be used
    /// after a shutdown has begun.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    ///
    /// # Examples
    ///
    /// A feed that ends when no consumer is left:
    ///
    /// ```
    /// use actix_iterable_queue::IterableQueue;
    /// use actix_iterable_queue::error::Refusal;
    /// use futures::future::{Either, select};
    /// use std::pin::pin;
    ///
    /// # actix_rt::System::new().block_on(async {
    /// # async fn read_from_socket() -> u8 { std::future::pending().await }
    /// let (producer, consumer) = IterableQueue::bounded(16).split()?;
    /// drop(consumer); // elsewhere, and later
    /// while let Either::Left((byte, _)) = select(pin!(read_from_socket()), pin!(producer.closed())).await {
    ///     producer.put(byte).await?;
    /// }
    /// assert_eq!(producer.closed().await, Refusal::Abandoned); // ready from then on
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn closed(&self) -> Refusal {
        let Some(handle) = self.open_handle() else { return Refusal::Closed };
        // What refuses puts wakes this line afterwards, so a waker that parks later finds the refusal at its second look.
        let mut waiting = LineWait::new(&handle.shared, Line::Refused, |shared| shared.refusal_of(&handle.row));
        poll_fn(|cx| waiting.wait(cx)).await
    }

    /// Returns whether every further put through this handle would be refused, as the handle is closed or the queue takes no
    /// more. [`closed`](Producer::closed) waits for that.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let queue = IterableQueue::<u8>::unbounded();
    /// let (mut producer, other) = (queue.producer()?, queue.producer()?);
    /// producer.close();
    /// assert!(producer.is_closed() && producer.clone().is_closed());
    /// assert!(!other.is_closed());
    /// assert!(queue.abort().is_empty());
    /// assert!(other.is_closed());
    /// # Ok::<(), actix_iterable_queue::error::OpenError>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.open_handle().is_none_or(|handle| handle.shared.refuses(&handle.row))
    }
}
