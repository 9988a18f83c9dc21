//! Several leases in one call.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use super::block::{Limit, Operation, block};
use super::consumer::Consumer;
use super::gather::{Gather, TimedGather};
use crate::coop;
use crate::queue::{Batch, Item, Take, Taken};

const INSTEAD_OF_BLOCKING: &str = "use lease_batch(max, linger).await";

impl<T> Consumer<T> {
    /// Leases up to `max` items: it waits for the first one, and then for others until `linger` has passed. Returns an empty
    /// batch once the queue has ended.
    ///
    /// It returns as soon as the batch is full, and as soon as no more can come: the queue is sealed, no producer is open,
    /// nothing is buffered, and all that is leased is in batches that wait, here or in other consumers. As long as anything
    /// else is leased, that may come back, and the batch waits for it, but for no longer than `linger`. Over Redis a process
    /// cannot know that no more can come: there a batch that is not full always waits until `linger` has passed, and it
    /// waits for what this process fetches.
    ///
    /// With a `linger` of zero it takes what is there. No runtime is needed: a thread of the crate keeps the time.
    ///
    /// # Panics
    ///
    /// If `max` is 0.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses neither an item nor a wake-up. The items that it had gathered come back as if they had not
    /// been handed out: no attempt is counted.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::{Batch, IterableQueue};
    /// use std::time::Duration;
    ///
    /// # fn insert(_: &Batch<i32>) -> Result<(), String> { Ok(()) }
    /// # actix_rt::System::new().block_on(async {
    /// let (producer, mut consumer) = IterableQueue::unbounded().split()?;
    /// producer.put_all(1..=250).await?;
    /// drop(producer);
    /// let mut sizes = Vec::new();
    /// loop {
    ///     let batch = consumer.lease_batch(100, Duration::from_secs(60)).await;
    ///     if batch.is_empty() {
    ///         break; // the queue has ended
    ///     }
    ///     sizes.push(batch.len());
    ///     match insert(&batch) {
    ///         Ok(()) => batch.ack(),
    ///         Err(error) => batch.fail(error),
    ///     }
    /// }
    /// assert_eq!(sizes, [100, 100, 50]); // without waiting a minute for the last 50 to be more
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn lease_batch(&mut self, max: usize, linger: Duration) -> Batch<T> {
        assert_max("Consumer::lease_batch", max);
        if coop::is_due_now() {
            coop::yield_now().await;
        }
        let mut gather = TimedGather::new(self, max, linger);
        let gathering = Gathering::begin(self, max);
        poll_fn(|cx| gather.poll(gathering.consumer, cx)).await
    }

    /// Leases up to `max` items: the thread waits for the first one, and then for others until `linger` has passed, or no
    /// more can come. Returns an empty batch once the queue has ended. See [`lease_batch`](Consumer::lease_batch).
    ///
    /// # Panics
    ///
    /// If `max` is 0, or it would have to wait on the thread of an actix arbiter. The items that it has gathered come back
    /// then as if they had not been handed out.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// use std::time::Duration;
    ///
    /// let (producer, mut consumer) = IterableQueue::bounded(8).split()?;
    /// std::thread::spawn(move || producer.blocking_put_all(1..=250));
    /// let mut sum = 0;
    /// loop {
    ///     let batch = consumer.blocking_lease_batch(100, Duration::from_secs(60));
    ///     if batch.is_empty() {
    ///         break; // the queue has ended
    ///     }
    ///     sum += batch.iter().map(|item| **item).sum::<i32>();
    ///     batch.ack();
    /// }
    /// assert_eq!(sum, 31_375);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn blocking_lease_batch(&mut self, max: usize, linger: Duration) -> Batch<T> {
        assert_max("Consumer::blocking_lease_batch", max);
        let mut gather = Gather::new(self, max);
        let gathering = Gathering::begin(self, max);
        let mut first = Taken::nothing();
        let taken = gathering.consumer.blocking_take(Take::Lease, &mut first, Limit::Endless, INSTEAD_OF_BLOCKING);
        if let Some(Some(())) = taken {
            gather.push(Item::new(gathering.consumer.slot(), first));
            let mut more = More { gathering, gather: &mut gather };
            if more.attempt().is_none() {
                block(&mut more, Limit::For(linger), INSTEAD_OF_BLOCKING);
            }
        }
        gather.finish()
    }
}

/// Refuses a batch that could never have a member.
#[track_caller]
pub(crate) fn assert_max(method: &str, max: usize) {
    assert!(max > 0, "{method}: max is 0: give at least 1");
}

/// A consumer that gathers a batch. It leaves the line when this is dropped.
struct Gathering<'a, T> {
    consumer: &'a mut Consumer<T>,
}

impl<'a, T> Gathering<'a, T> {
    fn begin(consumer: &'a mut Consumer<T>, max: usize) -> Self {
        // Over Redis this limit is also the number of items that are fetched at once.
        let row = &consumer.slot().row;
        row.limit(row.in_flight().saturating_add(max as u64));
        Self { consumer }
    }
}

impl<T> Drop for Gathering<'_, T> {
    fn drop(&mut self) {
        self.consumer.leave_line();
        self.consumer.slot().row.limit(0);
    }
}

/// Waits until a batch is complete.
struct More<'a, T> {
    gathering: Gathering<'a, T>,
    gather: &'a mut Gather<T>,
}

impl<T> Operation for More<'_, T> {
    type Output = ();

    fn attempt(&mut self) -> Option<()> {
        self.gather.take(self.gathering.consumer).then_some(())
    }

    fn max_lead(&self) -> usize {
        self.gathering.consumer.slot().shared.max_lead()
    }

    fn may_succeed(&self) -> bool {
        self.gathering.consumer.slot().shared.may_take()
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.gather.poll(self.gathering.consumer, cx) {
            Poll::Pending if !self.gather.linger() => Poll::Pending,
            _ => Poll::Ready(()),
        }
    }
}
