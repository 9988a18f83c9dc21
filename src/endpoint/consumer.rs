//! The consumer, and its takes.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::block::Operation;
use crate::coop;
use crate::error::{OpenError, TryGetError};
use crate::queue::{ConsumerRow, Item, Place, Shared, Slot, Take, Taken};

/// Takes items out of a queue, until the queue has ended.
///
/// A clone is another consumer of the same queue, with the same name if that was given; cloning works after seal, too. A
/// consumer closes when it is dropped. Once the last one is gone and the queue is sealed, puts fail.
///
/// | | waits (async) | waits (thread) | at once |
/// |---|---|---|---|
/// | a `T`, settled by taking it | [`get`](Consumer::get), [`get_batch`](Consumer::get_batch), `Stream` | `for item in consumer`, [`iter`](Consumer::iter), [`blocking_get`](Consumer::blocking_get), [`blocking_get_timeout`](Consumer::blocking_get_timeout), [`blocking_get_deadline`](Consumer::blocking_get_deadline), [`blocking_get_batch`](Consumer::blocking_get_batch) | [`try_get`](Consumer::try_get), [`try_iter`](Consumer::try_iter) |
/// | an [`Item<T>`](Item), to be settled | [`lease`](Consumer::lease), [`lease_batch`](Consumer::lease_batch), [`leases`](Consumer::leases), [`into_leases`](Consumer::into_leases) | [`blocking_lease`](Consumer::blocking_lease), [`blocking_lease_timeout`](Consumer::blocking_lease_timeout), [`blocking_lease_deadline`](Consumer::blocking_lease_deadline), [`blocking_lease_batch`](Consumer::blocking_lease_batch), [`blocking_leases`](Consumer::blocking_leases), [`into_blocking_leases`](Consumer::into_blocking_leases) | [`try_lease`](Consumer::try_lease), [`try_leases`](Consumer::try_leases) |
///
/// As a `Stream`, a consumer keeps its place in the line of waiting consumers from one poll to the next. If it is not polled
/// again, an item's wake-up may go to that place, and the item waits until this consumer is polled or dropped, or another
/// consumer takes it. In a `select!` use [`get`](Consumer::get), which leaves the line when its future is dropped.
pub struct Consumer<T> {
    slot: Arc<Slot<T>>,
    place: Place,
    /// A stream over it has returned `None`.
    returned_none: bool,
    /// The last poll of a stream over it let other tasks run.
    pub(super) has_yielded: bool,
}

impl<T> Consumer<T> {
    pub(crate) fn open(shared: &Arc<Shared<T>>, consumer_name: Option<Arc<str>>) -> Result<Self, OpenError> {
        Ok(Self::new(Arc::clone(shared), shared.open_consumer(consumer_name)?))
    }

    pub(super) fn new(shared: Arc<Shared<T>>, row: Arc<ConsumerRow>) -> Self {
        let place = Place::for_items(row.id);
        Self { slot: Arc::new(Slot::new(shared, row)), place, returned_none: false, has_yielded: false }
    }

    pub(crate) fn slot(&self) -> &Arc<Slot<T>> {
        &self.slot
    }

    /// Tries to take an item. `None` if there is none now, `Err` at the end.
    fn attempt(slot: &Slot<T>, take: Take, taken: &mut Taken<T>) -> Option<Result<(), ()>> {
        match slot.shared.try_take(&slot.row, take, taken) {
            Ok(()) => Some(Ok(())),
            Err(TryGetError::Ended) => Some(Err(())),
            Err(TryGetError::Empty) => None,
        }
    }

    /// Polls for an item. `None` at the end.
    #[inline(always)]
    pub(super) fn poll_take(&mut self, take: Take, taken: &mut Taken<T>, cx: &mut Context<'_>) -> Poll<Option<()>> {
        let polled = if self.place.is_in_line() {
            self.wait(take, taken, cx)
        } else {
            match self.slot.shared.try_take(&self.slot.row, take, taken) {
                Ok(()) => return Poll::Ready(Some(())),
                Err(TryGetError::Ended) => Poll::Ready(None),
                Err(TryGetError::Empty) => self.wait(take, taken, cx),
            }
        };
        self.returned_none |= polled == Poll::Ready(None);
        polled
    }

    /// Returns whether a stream over this consumer has returned `None`.
    pub(super) fn has_returned_none(&self) -> bool {
        self.returned_none
    }

    /// Polls for an item, after an attempt that found none.
    fn wait(&mut self, take: Take, taken: &mut Taken<T>, cx: &mut Context<'_>) -> Poll<Option<()>> {
        let Self { slot, place, .. } = self;
        slot.shared.wait(place, cx, |_| Self::attempt(slot, take, taken)).map(Result::ok)
    }

    #[inline(always)]
    pub(crate) fn poll_lease(&mut self, cx: &mut Context<'_>) -> Poll<Option<Item<T>>> {
        let mut taken = Taken::nothing();
        match ready!(self.poll_take(Take::Lease, &mut taken, cx)) {
            Some(()) => Poll::Ready(Some(Item::new(&self.slot, taken))),
            None => Poll::Ready(None),
        }
    }

    /// Leaves the line of waiting consumers. A consumer that may not take must not stand in it.
    pub(crate) fn leave_line(&mut self) {
        self.slot.shared.leave(&mut self.place, false);
    }

    async fn take(&mut self, take: Take, taken: &mut Taken<T>) -> Option<()> {
        if coop::is_due() {
            coop::yield_now().await;
        }
        // Fast path: build the future only if we must wait.
        match self.try_take(take, taken) {
            Ok(()) => {
                coop::count();
                return Some(());
            }
            Err(TryGetError::Ended) => return None,
            Err(TryGetError::Empty) => {}
        }
        let mut taking = Taking { consumer: self, take, taken };
        poll_fn(|cx| taking.wait(cx)).await
    }

    #[inline(always)]
    pub(super) fn try_take(&mut self, take: Take, taken: &mut Taken<T>) -> Result<(), TryGetError> {
        self.slot.shared.try_take(&self.slot.row, take, taken)?;
        // This take uses up the place of an earlier poll as a stream.
        self.slot.shared.leave(&mut self.place, true);
        Ok(())
    }

    /// Takes the next item for good. `None` once the queue has ended.
    ///
    /// Like all futures and streams of this crate, it takes part in cooperative scheduling: now and then it is pending once
    /// although there is an item, so that a loop lets other tasks run. To look without waiting, use
    /// [`try_get`](Consumer::try_get).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses neither an item nor a wake-up.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// # actix_rt::System::new().block_on(async {
    /// let (producer, mut consumer) = IterableQueue::unbounded().split()?;
    /// producer.put_all(["a", "b"]).await?;
    /// drop(producer);
    /// assert_eq!(consumer.get().await, Some("a"));
    /// assert_eq!(consumer.get().await, Some("b"));
    /// assert_eq!(consumer.get().await, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn get(&mut self) -> Option<T> {
        let mut taken = Taken::nothing();
        self.take(Take::Own, &mut taken).await;
        taken.item
    }

    /// Takes the next item as a lease. `None` once the queue has ended.
    ///
    /// The queue does not end while an item is leased. So a consumer that waits here while it holds the last lease waits for
    /// ever, unless another task settles the lease.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses neither an item nor a wake-up.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// # actix_rt::System::new().block_on(async {
    /// let (producer, mut consumer) = IterableQueue::unbounded().split()?;
    /// producer.put("work").await?;
    /// drop(producer);
    /// while let Some(item) = consumer.lease().await {
    ///     item.ack();
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn lease(&mut self) -> Option<Item<T>> {
        let mut taken = Taken::nothing();
        self.take(Take::Lease, &mut taken).await?;
        Some(Item::new(&self.slot, taken))
    }

    /// Takes an item for good if there is one now. Over Redis it looks at what this process has fetched, and if that is
    /// nothing, has some items fetched for a later call.
    ///
    /// # Errors
    ///
    /// [`TryGetError::Empty`] if there is none now, [`TryGetError::Ended`] if there will be no more.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// # use actix_iterable_queue::error::TryGetError;
    /// let (producer, mut consumer) = IterableQueue::unbounded().split()?;
    /// producer.try_put(1)?;
    /// assert_eq!(consumer.try_get(), Ok(1));
    /// assert_eq!(consumer.try_get(), Err(TryGetError::Empty));
    /// drop(producer);
    /// assert_eq!(consumer.try_get(), Err(TryGetError::Ended));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_get(&mut self) -> Result<T, TryGetError> {
        let mut taken = Taken::nothing();
        self.try_take(Take::Own, &mut taken)?;
        Ok(taken.into_item())
    }

    /// Takes an item as a lease if there is one now.
    ///
    /// # Errors
    ///
    /// As [`try_get`](Consumer::try_get).
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let (producer, mut consumer) = IterableQueue::unbounded().split()?;
    /// producer.try_put(1)?;
    /// consumer.try_lease()?.ack();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_lease(&mut self) -> Result<Item<T>, TryGetError> {
        let mut taken = Taken::nothing();
        self.try_take(Take::Lease, &mut taken)?;
        Ok(Item::new(&self.slot, taken))
    }
}

/// A take that waits. It uses the consumer's own place in the line, and leaves it when it is dropped.
pub(super) struct Taking<'a, T> {
    pub(super) consumer: &'a mut Consumer<T>,
    pub(super) take: Take,
    /// The place that the item is taken into.
    pub(super) taken: &'a mut Taken<T>,
}

impl<T> Operation for Taking<'_, T> {
    /// `None` at the end.
    type Output = Option<()>;

    fn attempt(&mut self) -> Option<Self::Output> {
        Consumer::attempt(&self.consumer.slot, self.take, self.taken).map(Result::ok)
    }

    fn max_lead(&self) -> usize {
        self.consumer.slot.shared.max_lead()
    }

    fn may_succeed(&self) -> bool {
        self.consumer.slot.shared.may_take()
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.consumer.wait(self.take, self.taken, cx)
    }
}

impl<T> Drop for Taking<'_, T> {
    fn drop(&mut self) {
        self.consumer.leave_line();
    }
}

impl<T> Clone for Consumer<T> {
    fn clone(&self) -> Self {
        let shared = &self.slot.shared;
        Self::new(Arc::clone(shared), shared.add_consumer(&self.slot.row))
    }
}

impl<T> Drop for Consumer<T> {
    fn drop(&mut self) {
        self.leave_line();
        self.slot.shared.close_consumer(&self.slot.row);
    }
}

impl<T> fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("queue", &self.slot.shared.id)
            .field("id", &self.id())
            .field("name", &self.slot.row.name)
            .finish_non_exhaustive()
    }
}
