//! How a lease ends: by the word of its consumer, or unsettled.

use std::time::{Duration, SystemTime};

use super::dead_letters::{DeadLetter, FailedAttempt};
use super::hold_back::DropCause;
use super::item::{Item, Unsettled};
use crate::one_line::OneLine;
use crate::queue::report::units::Age;
use crate::queue::store::give_back::{GivenBack, Way};
use crate::queue::store::remote::Settled;

const ATTEMPTS_USED_UP: &str = "attempts used up";

impl<T> Item<T> {
    /// Settles the item: its work is done. The item is dropped after the queue has counted the ack.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let queue = IterableQueue::unbounded();
    /// let (producer, mut consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.try_put("work")?;
    /// consumer.try_lease()?.ack();
    /// assert_eq!(queue.snapshot().totals.acked, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn ack(mut self) {
        let value = self.value.take();
        self.slot.shared.settle(&self.slot.row, self.sequence, Some(Settled::Acked));
        drop(value);
    }

    /// Takes the item for good. The queue does not wait for it any more.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let (producer, mut consumer) = IterableQueue::unbounded().split()?;
    /// producer.try_put(String::from("work"))?;
    /// let work: String = consumer.try_lease()?.into_inner();
    /// assert_eq!(work, "work");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_inner(mut self) -> T {
        let Some(value) = self.value.take() else { unreachable!("a lease holds its item until it is settled") };
        self.slot.row.count_converted();
        self.slot.shared.settle(&self.slot.row, self.sequence, Some(Settled::Taken));
        value
    }

    /// Gives the item back, with this attempt counted. After the last attempt it becomes a dead letter.
    ///
    /// The item waits for the queue's [`redelivery_backoff`](crate::Builder::redelivery_backoff). Then it goes before items
    /// that were never handed out, to another consumer if one waits. [`fail`](Item::fail) does the same and says why.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let (producer, mut consumer) = IterableQueue::builder().no_redelivery_backoff().build()?.split()?;
    /// producer.try_put("busy")?;
    /// producer.try_put("new")?;
    /// consumer.try_lease()?.requeue();
    /// let again = consumer.try_lease()?;
    /// assert_eq!((*again, again.attempt()), ("busy", 2));
    /// # again.ack();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn requeue(mut self) {
        self.end(Unsettled::DROPPED);
    }

    /// Gives the item back as [`requeue`](Item::requeue) does, and says why. If this was its last attempt, the dead letter
    /// carries the reason as its [`error`](DeadLetter::error).
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let queue = IterableQueue::builder().max_attempts(1).build()?;
    /// let mut dead_letters = queue.dead_letters()?; // before the work begins
    /// let (producer, mut consumer) = queue.split()?;
    /// producer.try_put("mail")?;
    /// consumer.try_lease()?.fail("the server is down");
    /// assert_eq!(dead_letters.try_get()?.error.as_deref(), Some("the server is down"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fail(mut self, reason: impl Into<String>) {
        self.end(Unsettled::Failed { error: Some(reason.into()), panic: None, delay: None });
    }

    /// Gives the item back as [`fail`](Item::fail) does, to come back after this time instead of the queue's
    /// [`redelivery_backoff`](crate::Builder::redelivery_backoff).
    ///
    /// While it waits it counts as buffered, so the queue is not drained before it has come back and is settled.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// use std::time::Duration;
    ///
    /// let (producer, mut consumer) = IterableQueue::unbounded().split()?;
    /// producer.try_put("mail")?;
    /// consumer.try_lease()?.retry_after(Duration::from_millis(10), "too many requests");
    /// let again = consumer.blocking_lease().unwrap(); // after 10 ms
    /// assert_eq!(again.attempt(), 2);
    /// # again.ack();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn retry_after(mut self, delay: Duration, reason: impl Into<String>) {
        self.end(Unsettled::Failed { error: Some(reason.into()), panic: None, delay: Some(delay) });
    }

    /// Gives the item back, and this attempt does not count: that it cannot be worked on now is not its fault.
    ///
    /// It may be handed out again at once, to another consumer if one waits. It goes before items that were never handed out,
    /// so a consumer that is alone gets the same item again, and no other, for as long as it releases it. Use
    /// [`release_after`](Item::release_after) to work on others in the meantime.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let (producer, mut consumer) = IterableQueue::unbounded().split()?;
    /// producer.try_put("mail")?;
    /// consumer.try_lease()?.release();
    /// assert_eq!(consumer.try_lease()?.attempt(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn release(mut self) {
        self.end(Unsettled::Released(None));
    }

    /// Gives the item back as [`release`](Item::release) does, to come back after this time.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// use std::time::Duration;
    ///
    /// let (producer, mut consumer) = IterableQueue::unbounded().split()?;
    /// producer.try_put("mail")?;
    /// consumer.try_lease()?.release_after(Duration::from_millis(10)); // the other side restarts
    /// let again = consumer.blocking_lease().unwrap(); // after 10 ms
    /// assert_eq!(again.attempt(), 1);
    /// # again.ack();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn release_after(mut self, delay: Duration) {
        self.end(Unsettled::Released(Some(delay)));
    }

    /// Gives the item up: it becomes a [dead letter](crate::IterableQueue::dead_letters), for this reason.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let queue = IterableQueue::unbounded();
    /// let mut dead_letters = queue.dead_letters()?; // before the work begins
    /// let (producer, mut consumer) = queue.split()?;
    /// producer.try_put("???")?;
    /// consumer.try_lease()?.reject("cannot be parsed");
    /// assert_eq!(dead_letters.try_get()?.reason, "cannot be parsed");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reject(mut self, reason: impl Into<String>) {
        self.end(Unsettled::Rejected(reason.into()));
    }

    /// Gives the item back as if it had not been handed out, because it could not be delivered.
    pub(crate) fn undo(mut self) {
        self.end(Unsettled::Undone);
    }

    /// Ends a lease that was held back when it was dropped. What a dead worker only held comes back at once.
    pub(super) fn end_dropped(mut self, cause: DropCause<'_>) {
        let (panic, delay) = match cause {
            DropCause::Panicked(message) => (Some(message), None),
            DropCause::Caught => (None, None),
            DropCause::WorkerDied => (None, Some(Duration::ZERO)),
        };
        self.end(Unsettled::Failed { error: None, panic, delay });
    }

    pub(super) fn end(&mut self, how: Unsettled<'_>) {
        let Some(value) = self.value.take() else { return };
        let (shared, row) = (&self.slot.shared, &self.slot.row);
        row.count_unacked();
        match how {
            Unsettled::Rejected(reason) => self.dead_letter(value, reason, None, None),
            Unsettled::Failed { error, panic, .. } if shared.is_last(self.attempt) && shared.may_hand_out_again() => {
                self.dead_letter(value, ATTEMPTS_USED_UP.to_owned(), error, panic);
            }
            Unsettled::Failed { error, panic, delay } => {
                let delay = delay.or_else(|| shared.backoff(self.attempt));
                let reason = error.as_deref().or(panic);
                self.log_failed(&value, reason, delay);
                let failed = reason.map(|reason| FailedAttempt::new(self.attempt, reason));
                self.put_back(value, self.attempt, failed, Way::Failed(delay));
            }
            Unsettled::Released(delay) => self.put_back(value, self.attempt - 1, None, Way::Released(delay)),
            Unsettled::Undone => self.put_back(value, self.attempt - 1, None, Way::Undone),
        }
        // Last, as this may drain the queue.
        shared.settle(row, self.sequence, None);
    }

    /// Logs a failed attempt that was not the last one.
    #[inline(never)]
    fn log_failed(&self, item: &T, reason: Option<&str>, delay: Option<Duration>) {
        if !log::log_enabled!(log::Level::Debug) {
            return;
        }
        let shared = &self.slot.shared;
        let next = match delay.filter(|delay| !delay.is_zero()) {
            _ if !shared.may_hand_out_again() => String::new(),
            None => "; to be tried again at once".to_owned(),
            Some(delay) => format!("; to be tried again in {}", Age(delay)),
        };
        let item = shared.text_of(item).map(|text| format!("; the item: {}", OneLine(text))).unwrap_or_default();
        log::debug!(
            "{}: attempt {} failed at {}: {}{next}{item}",
            shared.label(),
            self.attempt,
            OneLine(&self.slot.row.name),
            OneLine(reason.unwrap_or("no reason was given"))
        );
    }

    #[inline(never)]
    fn put_back(&self, item: T, attempts: u32, failed: Option<FailedAttempt>, way: Way) {
        let (shared, row) = (&self.slot.shared, &self.slot.row);
        shared.give_back(GivenBack { item, consumer: row.id, lease: self.sequence, attempts, failed, way });
    }

    #[inline(never)]
    fn dead_letter(&self, item: T, reason: String, error: Option<String>, panic: Option<&str>) {
        let failed = error.as_deref().or(panic).map(|reason| FailedAttempt::new(self.attempt, reason));
        let letter = DeadLetter {
            item,
            id: 0,
            attempts: self.attempt,
            reason,
            last_worker: self.slot.row.name.to_string(),
            error,
            panic: panic.map(str::to_owned),
            history: failed.into_iter().collect(),
            died_at: SystemTime::now(),
            text: None,
        };
        self.slot.shared.dead_letter(self.slot.row.id, self.sequence, letter);
    }
}
