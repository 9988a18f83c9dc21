//! Threads that wait.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::consumer::{Consumer, Taking};
use super::handle::{Handle, Putting};
use super::operation::Operation;
use super::producer::Producer;
use crate::arbiter::assert_may_block;
use crate::error::{GetTimeoutError, PutError, PutTimeoutError, TryGetError};
use crate::queue::{Drained, Item, IterableQueue, Line, NotDone, Outgoing, Shared, Take, Taken, Waiting};
use crate::sync::thread::{self, Thread};
use crate::sync::{Backoff, Instant, thread_local};

/// A thread parks behind a waker of its own, so that threads and tasks wait in the same lines.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

thread_local! {
    static UNPARK: Waker = Arc::new(Unpark(thread::current())).into();
}

/// Before the second attempt; about a microsecond.
const SPINS: usize = 64;

/// Waits for the operation, which was tried once in vain; `None` if that takes longer than the timeout.
///
/// Spins a little before it parks: under load the other side is rarely far.
#[cold]
#[track_caller]
fn block<O: Operation>(operation: &mut O, timeout: Option<Duration>, instead: &str) -> Option<O::Output> {
    if timeout == Some(Duration::ZERO) {
        return None;
    }
    assert_may_block(instead);
    // A timeout too far away to be a point in time is none.
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    // Let the other side get some items ahead: two threads that hand over item by item pay for a
    // cache line going to and fro with each.
    for _ in 0..operation.slack().min(SPINS) {
        std::hint::spin_loop();
    }
    let backoff = Backoff::new();
    while !backoff.is_completed() {
        backoff.snooze();
        if operation.may_succeed()
            && let Some(output) = operation.attempt()
        {
            return Some(output);
        }
    }
    UNPARK.with(|waker| {
        let mut cx = Context::from_waker(waker);
        loop {
            // A wake-up meant for something else only leads to another look.
            if let Poll::Ready(output) = operation.wait(&mut cx) {
                return Some(output);
            }
            match deadline {
                None => thread::park(),
                Some(deadline) => match deadline.checked_duration_since(Instant::now()) {
                    None | Some(Duration::ZERO) => return None,
                    Some(left) => thread::park_timeout(left),
                },
            }
        }
    })
}

/// Waits for a put that is not done, or not confirmed.
#[cold]
#[track_caller]
fn finish_put<T>(handle: &Handle<T>, put: &mut Outgoing<T>) -> Result<(), PutError<()>> {
    let put = block(&mut Putting::new(handle, put), None, "use put(item).await, or try_put");
    put.unwrap_or_else(|| unreachable!("only a timeout ends without a result"))
}

/// The same until the timeout. `None` if the item is still here by then.
#[cold]
#[track_caller]
fn finish_put_by<T>(handle: &Handle<T>, put: &mut Outgoing<T>, timeout: Duration) -> Option<Result<(), PutError<()>>> {
    let mut putting = Putting::new(handle, put);
    let result = block(&mut putting, Some(timeout), "use put(item).await with a timer");
    if result.is_some() || putting.call_back() {
        return result;
    }
    // It is on its way, and only the answer can tell what became of it.
    block(&mut putting, None, "use put(item).await with a timer")
}

impl<T> Producer<T> {
    /// Puts an item; the thread waits for room if there is none.
    ///
    /// # Errors
    ///
    /// As [`put`](Producer::put).
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
    /// std::thread::spawn(move || {
    ///     for n in 0..10 {
    ///         if producer.blocking_put(n).is_err() {
    ///             break; // no consumer is left
    ///         }
    ///     }
    /// });
    /// assert_eq!(consumer.into_iter().sum::<i32>(), 45);
    /// # Ok::<(), actix_iterable_queue::OpenError>(())
    /// ```
    #[track_caller]
    pub fn blocking_put(&self, item: T) -> Result<(), PutError<T>> {
        let Some(handle) = self.open_handle() else { return Err(PutError::Closed(item)) };
        let mut put = Outgoing::Here(item);
        // What need not wait is spared the making of something that can.
        let result = match handle.try_put(&mut put) {
            Err(NotDone::Full | NotDone::Unconfirmed) => finish_put(handle, &mut put),
            Err(NotDone::Refused(error)) => Err(error),
            Ok(()) => Ok(()),
        };
        match result {
            Ok(()) => Ok(()),
            Err(error) => Err(put.refused(error)),
        }
    }

    /// Puts an item; the thread waits for room until the timeout.
    ///
    /// # Errors
    ///
    /// [`PutTimeoutError::Timeout`] if there was no room in time, otherwise as
    /// [`put`](Producer::put); the item is in the error.
    ///
    /// # Panics
    ///
    /// If it would have to wait on the thread of an actix arbiter.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::{IterableQueue, PutTimeoutError};
    /// # use std::time::Duration;
    /// let (producer, _consumer) = IterableQueue::bounded(1).split()?;
    /// producer.try_put(1)?;
    /// let error = producer.blocking_put_timeout(2, Duration::from_millis(5)).unwrap_err();
    /// assert_eq!(error, PutTimeoutError::Timeout(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn blocking_put_timeout(&self, item: T, timeout: Duration) -> Result<(), PutTimeoutError<T>> {
        let Some(handle) = self.open_handle() else { return Err(PutTimeoutError::Refused(PutError::Closed(item))) };
        let mut put = Outgoing::Here(item);
        let result = match handle.try_put(&mut put) {
            Err(NotDone::Full | NotDone::Unconfirmed) => finish_put_by(handle, &mut put, timeout),
            Err(NotDone::Refused(error)) => Some(Err(error)),
            Ok(()) => Some(Ok(())),
        };
        match result {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(PutTimeoutError::Refused(put.refused(error))),
            None => Err(PutTimeoutError::Timeout(put.into_item())),
        }
    }
}

impl<T> Consumer<T> {
    /// `None` at the timeout, `Some(None)` at the end.
    #[inline]
    #[track_caller]
    fn blocking_take(
        &mut self,
        take: Take,
        taken: &mut Taken<T>,
        timeout: Option<Duration>,
        instead: &str,
    ) -> Option<Option<()>> {
        match self.try_take(take, taken) {
            Ok(()) => return Some(Some(())),
            Err(TryGetError::Ended) => return Some(None),
            Err(TryGetError::Empty) => {}
        }
        block(&mut Taking { consumer: self, take, taken }, timeout, instead)
    }

    /// Takes the next item for good; the thread waits for it. `None` when the queue has ended.
    ///
    /// # Panics
    ///
    /// If it would have to wait on the thread of an actix arbiter.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let (producer, mut consumer) = IterableQueue::unbounded().split()?;
    /// producer.try_put("a")?;
    /// drop(producer);
    /// assert_eq!(consumer.blocking_get(), Some("a"));
    /// assert_eq!(consumer.blocking_get(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn blocking_get(&mut self) -> Option<T> {
        let mut taken = Taken::nothing();
        self.blocking_take(Take::Own, &mut taken, None, "use get().await, or try_get");
        taken.item
    }

    /// Takes the next item for good; the thread waits for it until the timeout.
    ///
    /// # Errors
    ///
    /// [`GetTimeoutError::Timeout`] if none came in time, [`GetTimeoutError::Ended`] if there will
    /// be no more.
    ///
    /// # Panics
    ///
    /// If it would have to wait on the thread of an actix arbiter.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::{GetTimeoutError, IterableQueue};
    /// # use std::time::Duration;
    /// let (_producer, mut consumer) = IterableQueue::<u8>::unbounded().split()?;
    /// assert_eq!(consumer.blocking_get_timeout(Duration::from_millis(5)), Err(GetTimeoutError::Timeout));
    /// # Ok::<(), actix_iterable_queue::OpenError>(())
    /// ```
    #[track_caller]
    pub fn blocking_get_timeout(&mut self, timeout: Duration) -> Result<T, GetTimeoutError> {
        let mut taken = Taken::nothing();
        match self.blocking_take(Take::Own, &mut taken, Some(timeout), "use get().await with a timer") {
            Some(Some(())) => Ok(taken.into_item()),
            Some(None) => Err(GetTimeoutError::Ended),
            None => Err(GetTimeoutError::Timeout),
        }
    }

    /// Takes the next item as a lease; the thread waits for it. `None` when the queue has ended.
    ///
    /// # Panics
    ///
    /// If it would have to wait on the thread of an actix arbiter.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let (producer, mut consumer) = IterableQueue::unbounded().split()?;
    /// producer.try_put("a")?;
    /// drop(producer);
    /// while let Some(item) = consumer.blocking_lease() {
    ///     item.ack();
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn blocking_lease(&mut self) -> Option<Item<T>> {
        let mut taken = Taken::nothing();
        self.blocking_take(Take::Lease, &mut taken, None, "use lease().await, or try_lease").flatten()?;
        Some(Item::new(self.slot(), taken))
    }
}

/// The end of a queue, as something to wait for.
struct Ending<'a, T>(Waiting<'a, T>);

impl<T> Operation for Ending<'_, T> {
    type Output = Drained;

    fn attempt(&mut self) -> Option<Drained> {
        self.0.shared.ended()
    }

    fn slack(&self) -> usize {
        0
    }

    fn may_succeed(&self) -> bool {
        self.0.shared.has_ended()
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Drained> {
        self.0.shared.poll_end(&mut self.0.place, cx)
    }
}

/// Waits for the end, as long as the timeout allows.
#[track_caller]
pub(super) fn await_end<T>(shared: &Shared<T>, timeout: Option<Duration>) -> Option<Drained> {
    if let Some(drained) = shared.ended() {
        return Some(drained);
    }
    block(&mut Ending(Waiting::new(shared, Line::Watchers)), timeout, "use drained().await")
}

impl<T> IterableQueue<T> {
    /// Waits for the end, as a thread.
    ///
    /// **This handle keeps the queue from sealing itself**: call [`seal`](IterableQueue::seal)
    /// first.
    ///
    /// # Panics
    ///
    /// If it would have to wait on the thread of an actix arbiter.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// use std::thread;
    ///
    /// let queue = IterableQueue::unbounded();
    /// let (producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// queue.seal();
    /// thread::spawn(move || (0..10).try_for_each(|n| producer.blocking_put(n)));
    /// thread::spawn(move || consumer.into_blocking_leases().for_each(|item| item.ack()));
    /// assert_eq!(queue.blocking_drained().totals.acked, 10);
    /// # Ok::<(), actix_iterable_queue::OpenError>(())
    /// ```
    #[track_caller]
    pub fn blocking_drained(&self) -> Drained {
        await_end(self.shared(), None).unwrap_or_else(|| unreachable!("only a timeout ends without a result"))
    }
}
