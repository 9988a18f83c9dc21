//! Permits: room that is reserved before there is an item.

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll};

use super::block::{Operation, block_without_limit};
use super::handle::{Handle, HandleShare, InLine, PutLineWait, accepted};
use super::producer::Producer;
use crate::error::{PutError, Refusal, TryReserveError};
use crate::queue::{Receipt, refused};

/// Room for one item. Returned by [`Producer::reserve`], [`blocking_reserve`](Producer::blocking_reserve) and
/// [`try_reserve`](Producer::try_reserve).
///
/// No other put can take its room, so its `put` never waits. Dropping it gives the room back;
/// [`mem::forget`](std::mem::forget) would lose the room. A permit keeps its producer's endpoint open, and a shutdown waits
/// for it.
pub struct Permit<T> {
    handle: HandleShare<T>,
    used: bool,
}

impl<T> Permit<T> {
    /// Polls a reservation that waits for room.
    pub(super) fn poll(line: &mut InLine<T, HandleShare<T>>, cx: &mut Context<'_>) -> Poll<Result<Permit<T>, Refusal>> {
        line.poll(cx, |handle, entitled| accepted(handle.shared.try_reserve(&handle.row, entitled)))
            .map_ok(|()| Permit::of(HandleShare::clone(&line.handle)))
    }

    fn of(handle: HandleShare<T>) -> Self {
        Self { handle, used: false }
    }

    /// Puts an item, without waiting.
    ///
    /// # Errors
    ///
    /// If the queue has ended or was abandoned, or the producer's actor was found dead. The item is in the error.
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

    /// Puts an item, and leaves its confirmation for later if the store is remote.
    pub(super) fn put_unconfirmed(mut self, put: &mut Option<T>) -> Result<Receipt, Refusal> {
        let result = self.handle.shared.put_reserved(&self.handle.row, put);
        // Set afterwards: if encoding the item panics, the drop gives the room back.
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
    /// Waits for room, and reserves it for one item. Use it if items are costly to make, or must not be lost with a dropped
    /// future.
    ///
    /// # Errors
    ///
    /// As [`put`](Producer::put), without an item.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses only its place in the line.
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

    /// Waits for room, and reserves it for one item. The thread is blocked meanwhile. Use it if items should be made only
    /// once there is room for them.
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

    /// Reserves room for one item if there is some now, and no earlier put through this handle waits for room.
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
