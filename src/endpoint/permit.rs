//! Permits: room that is kept until the item is there.

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll};

use super::block::{Operation, block_without_limit};
use super::handle::{Handle, HandleShare, InLine, PutLineWait, accepted};
use super::producer::Producer;
use crate::error::{PutError, Refusal, TryReserveError};
use crate::queue::{Receipt, refused};

/// Room for one item, from [`Producer::reserve`] and its kin. Dropping it gives the room back; a permit
/// that is forgotten with [`mem::forget`](std::mem::forget) keeps it.
///
/// It keeps its producer's endpoint open. Its `put` never waits, as no other put can take its place. It fails only if the
/// queue has ended or was abandoned, or the producer was found dead; a shutdown waits for it.
pub struct Permit<T> {
    handle: HandleShare<T>,
    used: bool,
}

impl<T> Permit<T> {
    /// One poll of a reservation that waits for room.
    pub(super) fn poll(line: &mut InLine<T, HandleShare<T>>, cx: &mut Context<'_>) -> Poll<Result<Permit<T>, Refusal>> {
        line.poll(cx, |handle, entitled| accepted(handle.shared.try_reserve(&handle.row, entitled)))
            .map_ok(|()| Permit::of(HandleShare::clone(&line.handle)))
    }

    fn of(handle: HandleShare<T>) -> Self {
        Self { handle, used: false }
    }

    /// Puts the item, at once.
    ///
    /// # Errors
    ///
    /// If the queue was abandoned or has ended meanwhile; the item is in the error.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// # actix_rt::System::new().block_on(async {
    /// let (producer, mut consumer) = IterableQueue::bounded(1).split()?;
    /// let permit = producer.reserve().await?;
    /// assert!(producer.try_put("no room").is_err());
    /// permit.put("kept")?;
    /// assert_eq!(consumer.get().await, Some("kept"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn put(self, item: T) -> Result<(), PutError<T>> {
        let handle = HandleShare::clone(&self.handle);
        let mut put = Some(item);
        match self.put_unconfirmed(&mut put) {
            Ok(receipt) => {
                handle.shared.detach(receipt);
                Ok(())
            }
            Err(reason) => Err(refused(put, reason)),
        }
    }

    /// Puts, and leaves the confirmation for later.
    pub(super) fn put_unconfirmed(mut self, put: &mut Option<T>) -> Result<Receipt, Refusal> {
        let result = self.handle.shared.put_reserved(&self.handle.row, put);
        // After it, as writing the item may panic: then the room comes back.
        self.used = true;
        result
    }
}

impl<T> Drop for Permit<T> {
    fn drop(&mut self) {
        if !self.used {
            self.handle.shared.cancel_reserve();
        }
    }
}

impl<T> fmt::Debug for Permit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("queue", &self.handle.shared.id).finish_non_exhaustive()
    }
}

impl<T> Producer<T> {
    /// Waits for room and keeps it for one item: for when making the item, or losing it in a
    /// dropped future, is what matters.
    ///
    /// # Errors
    ///
    /// As [`put`](Producer::put), without an item.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing but its place in the line.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// # actix_rt::System::new().block_on(async {
    /// let (producer, _consumer) = IterableQueue::bounded(1).split()?;
    /// let permit = producer.reserve().await?;
    /// drop(permit); // changed our mind
    /// producer.try_put(1)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn reserve(&self) -> Result<Permit<T>, Refusal> {
        let Some(handle) = self.share() else { return Err(Refusal::Closed) };
        let mut line = InLine::new(handle);
        poll_fn(|cx| Permit::poll(&mut line, cx)).await
    }

    /// Waits for room, as a thread, and keeps it for one item: for when an item is made only once there is room for it.
    ///
    /// # Errors
    ///
    /// As [`put`](Producer::put), without an item.
    ///
    /// # Panics
    ///
    /// If it would have to wait on the thread of an actix arbiter.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let (producer, consumer) = IterableQueue::bounded(1).split()?;
    /// let camera = std::thread::spawn(move || {
    ///     for n in 0..3 {
    ///         let Ok(permit) = producer.blocking_reserve() else { break };
    ///         let frame = format!("frame {n}, as new as can be"); // taken now, not before there was room
    ///         permit.put(frame).ok();
    ///     }
    /// });
    /// assert_eq!(consumer.into_iter().count(), 3);
    /// camera.join().unwrap();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn blocking_reserve(&self) -> Result<Permit<T>, Refusal> {
        let Some(handle) = self.share() else { return Err(Refusal::Closed) };
        let mut reserving = PutLineWait::new(HandleShare::clone(&handle), |handle: &Handle<T>, entitled| {
            accepted(handle.shared.try_reserve(&handle.row, entitled))
        });
        let reserved = reserving
            .attempt()
            .unwrap_or_else(|| block_without_limit(&mut reserving, "use reserve().await, or try_reserve"));
        reserved.map(|()| Permit::of(handle))
    }

    /// Keeps room for one item if there is some now, and no earlier put through this handle waits for room.
    ///
    /// # Errors
    ///
    /// As [`try_put`](Producer::try_put), without an item.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// # use actix_iterable_queue::error::TryReserveError;
    /// let (producer, _consumer) = IterableQueue::bounded(1).split()?;
    /// let permit = producer.try_reserve()?;
    /// assert_eq!(producer.try_reserve().unwrap_err(), TryReserveError::Full);
    /// permit.put("made only now that there is room")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_reserve(&self) -> Result<Permit<T>, TryReserveError> {
        let Some(handle) = self.share() else { return Err(Refusal::Closed.into()) };
        if handle.is_behind_others() {
            return Err(TryReserveError::Full);
        }
        handle.shared.try_reserve(&handle.row, false)?;
        Ok(Permit::of(handle))
    }
}
