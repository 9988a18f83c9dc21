//! Streams over a consumer, and the sink of a producer.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::stream::FusedStream;
use futures::{Sink, Stream};

use super::block::Operation;
use super::consumer::Consumer;
use super::handle::{HandleShare, InLine};
use super::permit::Permit;
use super::producer::Producer;
use super::unconfirmed::UnconfirmedPuts;
use crate::coop;
use crate::error::{Refusal, SinkError};
use crate::queue::{Item, Shared, Take, Taken};

// Nothing in a consumer is pinned.
impl<T> Unpin for Consumer<T> {}

/// Takes items for good, in order. It ends once the queue has ended, and stays ended.
impl<T> Stream for Consumer<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.get_mut();
        ready!(coop::poll_begin(&mut this.has_yielded, cx));
        let mut taken = Taken::nothing();
        ready!(this.poll_take(Take::Own, &mut taken, cx));
        coop::count();
        Poll::Ready(taken.item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.items_left()
    }
}

/// Terminated once it has returned `None`.
impl<T> FusedStream for Consumer<T> {
    fn is_terminated(&self) -> bool {
        self.has_returned_none()
    }
}

/// A stream of leases. Returned by [`Consumer::leases`].
#[must_use = "streams do nothing unless polled"]
pub struct Leases<'a, T> {
    pub(super) consumer: &'a mut Consumer<T>,
}

/// A stream of leases that owns its consumer. Returned by [`Consumer::into_leases`].
#[must_use = "streams do nothing unless polled"]
pub struct IntoLeases<T> {
    pub(super) consumer: Consumer<T>,
}

impl<T> Consumer<T> {
    /// Returns a stream that leases the items.
    ///
    /// The queue does not end while an item is leased. So a stream that collects leases and waits for more, such as
    /// `chunks(100)`, does not end: the last leases of a sealed queue wait for the end, which waits for them. Use
    /// [`lease_batch`](Consumer::lease_batch).
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// use futures::StreamExt;
    ///
    /// # actix_rt::System::new().block_on(async {
    /// let (producer, mut consumer) = IterableQueue::unbounded().split()?;
    /// producer.put_all(1..=3).await?;
    /// drop(producer);
    /// consumer.leases().for_each(|item| async move { item.ack() }).await;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn leases(&mut self) -> Leases<'_, T> {
        Leases { consumer: self }
    }

    /// Returns a stream that leases the items and owns this consumer.
    ///
    /// Collecting leases in it, as `chunks(100)` does, waits for ever at the end: see [`leases`](Consumer::leases).
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// use futures::StreamExt;
    ///
    /// # actix_rt::System::new().block_on(async {
    /// let (producer, consumer) = IterableQueue::unbounded().split()?;
    /// producer.put_all(1..=3).await?;
    /// drop(producer);
    /// // works on up to two items at a time
    /// consumer.into_leases().for_each_concurrent(2, |item| async move { item.ack() }).await;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn into_leases(self) -> IntoLeases<T> {
        IntoLeases { consumer: self }
    }
}

impl<T> Consumer<T> {
    fn poll_next_lease(&mut self, cx: &mut Context<'_>) -> Poll<Option<Item<T>>> {
        ready!(coop::poll_begin(&mut self.has_yielded, cx));
        let item = ready!(self.poll_lease(cx));
        coop::count();
        Poll::Ready(item)
    }
}

impl<T> Stream for Leases<'_, T> {
    type Item = Item<T>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item<T>>> {
        self.get_mut().consumer.poll_next_lease(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.consumer.items_left()
    }
}

impl<T> FusedStream for Leases<'_, T> {
    fn is_terminated(&self) -> bool {
        self.consumer.has_returned_none()
    }
}

impl<T> Drop for Leases<'_, T> {
    fn drop(&mut self) {
        self.consumer.leave_line();
    }
}

impl<T> Stream for IntoLeases<T> {
    type Item = Item<T>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item<T>>> {
        self.get_mut().consumer.poll_next_lease(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.consumer.items_left()
    }
}

impl<T> FusedStream for IntoLeases<T> {
    fn is_terminated(&self) -> bool {
        self.consumer.has_returned_none()
    }
}

/// A sink that puts items. Returned by [`Producer::sink`] and [`Producer::into_sink`].
///
/// A producer itself is no sink, as it would have two methods `close`, and calling the sink's without polling its future
/// would do nothing. A sink that is ready holds a [`Permit`]; closing or dropping the sink gives it back.
///
/// Between polls it keeps its place in the line for room, even if the future that polled it is dropped. In a `select!` use
/// [`Producer::put`] or [`Producer::reserve`], which leave the line.
///
/// # Errors
///
/// A [`SinkError`], with the item if the sink had been given one.
///
/// # Panics
///
/// If `start_send` is called before `poll_ready` was ready, as the trait allows.
pub struct PutSink<T> {
    /// `None` once closed.
    line: Option<InLine<T, HandleShare<T>>>,
    permit: Option<Permit<T>>,
    unconfirmed: UnconfirmedPuts<T, Arc<Shared<T>>>,
}

impl<T> Producer<T> {
    /// Returns a sink on another handle of this producer. The endpoint stays open until both are closed.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// use futures::{SinkExt, StreamExt, stream};
    ///
    /// # actix_rt::System::new().block_on(async {
    /// let (producer, consumer) = IterableQueue::unbounded().split()?;
    /// let mut sink = producer.sink();
    /// drop(producer);
    /// sink.send_all(&mut stream::iter(1..=3).map(Ok)).await?;
    /// sink.close().await?;
    /// assert_eq!(consumer.collect::<Vec<_>>().await, [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn sink(&self) -> PutSink<T> {
        self.clone().into_sink()
    }

    /// Turns this producer into a sink.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// use futures::{StreamExt, stream};
    ///
    /// # actix_rt::System::new().block_on(async {
    /// let (producer, consumer) = IterableQueue::bounded(8).split()?;
    /// stream::iter(1..=3).map(Ok).forward(producer.into_sink()).await?; // forward closes the sink
    /// assert_eq!(consumer.collect::<Vec<_>>().await, [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn into_sink(mut self) -> PutSink<T> {
        let (shared, handle) = (Arc::clone(self.shared()), self.take());
        PutSink { line: handle.map(InLine::new), permit: None, unconfirmed: UnconfirmedPuts::new(shared) }
    }
}

impl<T> Unpin for PutSink<T> {}

impl<T> Sink<T> for PutSink<T> {
    type Error = SinkError<T>;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SinkError<T>>> {
        let this = self.get_mut();
        if this.permit.is_some() {
            return Poll::Ready(Ok(()));
        }
        let Some(line) = &mut this.line else {
            return Poll::Ready(Err(SinkError::new(None, Refusal::Closed)));
        };
        let permit = ready!(Permit::poll(line, cx));
        this.permit = Some(permit.map_err(|error| SinkError::new(None, error))?);
        Poll::Ready(Ok(()))
    }

    fn start_send(self: Pin<&mut Self>, item: T) -> Result<(), SinkError<T>> {
        let this = self.get_mut();
        let mut put = Some(item);
        let result = match this.permit.take() {
            Some(permit) => permit.put_unconfirmed(&mut put),
            None if this.line.is_none() => Err(Refusal::Closed),
            None => panic!("PutSink::start_send: call poll_ready first, until it is ready"),
        };
        match result {
            Ok(receipt) => {
                this.unconfirmed.push(receipt);
                Ok(())
            }
            Err(reason) => Err(SinkError::new(put, reason)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SinkError<T>>> {
        let this = self.get_mut();
        let mut put = None;
        match ready!(this.unconfirmed.confirming(&mut put).wait(cx)) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(reason) => Poll::Ready(Err(SinkError::new(put, reason))),
        }
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SinkError<T>>> {
        ready!(self.as_mut().poll_flush(cx))?;
        let this = self.get_mut();
        this.permit = None;
        this.line = None;
        Poll::Ready(Ok(()))
    }
}

impl<T> fmt::Debug for PutSink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PutSink")
            .field("ready", &self.permit.is_some())
            .field("closed", &self.line.is_none())
            .finish_non_exhaustive()
    }
}
