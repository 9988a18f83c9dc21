//! What a dashboard does with dead letters: list, retry and discard those that are kept.
//!
//! A list has no items: it needs no `T: Clone`, and no letter is out of the queue while somebody looks at it. The calls are
//! futures although they never wait in memory: the same code can work over Redis once they are made there, which takes a
//! round trip.

use std::future::Future;
use std::ops::RangeBounds;
use std::sync::Arc;

use crate::error::{PutError, Refusal};
use crate::queue::{DeadLetter, Ids, IterableQueue, Shared};

impl<T> IterableQueue<T> {
    /// Describes the dead letters that are kept, oldest first, without taking them: each is a letter without its item. Build
    /// the queue with [`describe_items`](crate::Builder::describe_items) to have the item as text.
    ///
    /// Letters that wait for an open [reader](IterableQueue::dead_letters) are the reader's, and not listed. It works after
    /// the end, too.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotOverRedis`] if the queue is in Redis.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::IterableQueue;
    ///
    /// # actix_rt::System::new().block_on(async {
    /// let queue = IterableQueue::builder().describe_items().build()?;
    /// let (producer, mut consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.put("mail to bob").await?;
    /// consumer.try_lease()?.reject("no such address");
    /// for letter in queue.list_dead_letters().await? {
    ///     println!("{}: {letter}", letter.id);
    ///     assert_eq!(letter.text.as_deref(), Some("\"mail to bob\""));
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn list_dead_letters(&self) -> impl Future<Output = Result<Vec<DeadLetter<()>>, Refusal>> + use<T> {
        let shared = Arc::clone(self.shared());
        async move { shared.list_letters() }
    }

    /// Describes the kept dead letters as [`list_dead_letters`](IterableQueue::list_dead_letters) does, for threads.
    ///
    /// # Errors
    ///
    /// As [`list_dead_letters`](IterableQueue::list_dead_letters).
    pub fn blocking_list_dead_letters(&self) -> Result<Vec<DeadLetter<()>>, Refusal> {
        self.shared().list_letters()
    }

    /// Puts the items of kept dead letters back into the queue, with their attempts counted from zero, and returns how many.
    ///
    /// `ids` is a range: `id..=id` is one letter, `..` is all. Ids that are not kept any more are left out.
    ///
    /// The items go before those that were never handed out; the capacity does not refuse them. It works also after seal, as
    /// long as the queue has not ended. Each then counts as [accepted](crate::report::Totals::accepted) once more.
    ///
    /// # Errors
    ///
    /// If the queue has ended or was abandoned: all letters stay kept. [`Refusal::NotOverRedis`] if it is in Redis.
    ///
    /// # Cancel safety
    ///
    /// A future that was not polled has retried nothing. In memory the first poll does everything.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::IterableQueue;
    ///
    /// # actix_rt::System::new().block_on(async {
    /// let queue = IterableQueue::unbounded();
    /// let (producer, mut consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.put("mail").await?;
    /// consumer.try_lease()?.reject("no such address");
    /// let letters = queue.list_dead_letters().await?;
    /// let id = letters[0].id;
    /// assert_eq!(queue.retry_dead_letters(id..=id).await?, 1);
    /// let again = consumer.try_lease()?;
    /// assert_eq!((*again, again.attempt()), ("mail", 1));
    /// # again.ack();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn retry_dead_letters<R: RangeBounds<u64>>(
        &self,
        ids: R,
    ) -> impl Future<Output = Result<usize, Refusal>> + use<T, R> {
        let (shared, ids) = (Arc::clone(self.shared()), bounds(&ids));
        async move { shared.retry_letters(ids) }
    }

    /// Retries kept dead letters as [`retry_dead_letters`](IterableQueue::retry_dead_letters) does, for threads.
    ///
    /// # Errors
    ///
    /// As [`retry_dead_letters`](IterableQueue::retry_dead_letters).
    pub fn blocking_retry_dead_letters(&self, ids: impl RangeBounds<u64>) -> Result<usize, Refusal> {
        self.shared().retry_letters(bounds(&ids))
    }

    /// Drops kept dead letters, and returns how many. `ids` is a range: `id..=id` is one letter, `..` is all.
    ///
    /// It works after the end, too. The totals stay as they are: the items stay
    /// [dead-lettered](crate::report::Totals::dead_lettered), so [`is_clean`](crate::Drained::is_clean) stays false. They are
    /// not in [`Totals::discarded`](crate::report::Totals::discarded), which counts what an early end left, nor in
    /// [`letters_dropped`](crate::report::Totals::letters_dropped).
    ///
    /// # Errors
    ///
    /// [`Refusal::NotOverRedis`] if the queue is in Redis.
    ///
    /// # Cancel safety
    ///
    /// A future that was not polled has dropped nothing. In memory the first poll does everything.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// # actix_rt::System::new().block_on(async {
    /// let queue = IterableQueue::unbounded();
    /// let (producer, mut consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.put("mail").await?;
    /// consumer.try_lease()?.reject("no such address");
    /// assert_eq!(queue.discard_dead_letters(..).await?, 1);
    /// assert!(queue.list_dead_letters().await?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn discard_dead_letters<R: RangeBounds<u64>>(
        &self,
        ids: R,
    ) -> impl Future<Output = Result<usize, Refusal>> + use<T, R> {
        let (shared, ids) = (Arc::clone(self.shared()), bounds(&ids));
        async move { shared.discard_letters(ids) }
    }

    /// Drops kept dead letters as [`discard_dead_letters`](IterableQueue::discard_dead_letters) does, for threads.
    ///
    /// # Errors
    ///
    /// As [`discard_dead_letters`](IterableQueue::discard_dead_letters).
    pub fn blocking_discard_dead_letters(&self, ids: impl RangeBounds<u64>) -> Result<usize, Refusal> {
        self.shared().discard_letters(bounds(&ids))
    }

    /// Puts the item of a letter that a [reader](IterableQueue::dead_letters) has in hand back into the queue, as
    /// [`retry_dead_letters`](IterableQueue::retry_dead_letters) does with those that are kept.
    ///
    /// # Errors
    ///
    /// As [`retry_dead_letters`](IterableQueue::retry_dead_letters). The letter is in the error.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped before its first poll drops the letter. In memory the first poll does everything.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// # actix_rt::System::new().block_on(async {
    /// let queue = IterableQueue::unbounded();
    /// let (producer, mut consumer) = (queue.producer()?, queue.consumer()?);
    /// let mut letters = queue.dead_letters()?;
    /// producer.put("mail").await?;
    /// consumer.try_lease()?.reject("no such address");
    /// let letter = letters.get().await.unwrap();
    /// queue.retry(letter).await?;
    /// assert_eq!(consumer.try_get()?, "mail");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn retry(&self, letter: DeadLetter<T>) -> impl Future<Output = Result<(), PutError<DeadLetter<T>>>> + use<T> {
        let shared = Arc::clone(self.shared());
        async move { retry(&shared, letter) }
    }

    /// Retries a letter as [`retry`](IterableQueue::retry) does, for threads.
    ///
    /// # Errors
    ///
    /// As [`retry`](IterableQueue::retry).
    #[expect(clippy::result_large_err, reason = "the letter is handed back, as errors of puts hand back their item")]
    pub fn blocking_retry(&self, letter: DeadLetter<T>) -> Result<(), PutError<DeadLetter<T>>> {
        retry(self.shared(), letter)
    }
}

#[expect(clippy::result_large_err, reason = "the letter is handed back, as errors of puts hand back their item")]
fn retry<T>(shared: &Shared<T>, letter: DeadLetter<T>) -> Result<(), PutError<DeadLetter<T>>> {
    let mut letter = Some(letter);
    match (shared.retry_letter(&mut letter), letter) {
        (Err(reason), Some(letter)) => Err(PutError::new(letter, reason)),
        _ => Ok(()),
    }
}

fn bounds(ids: &impl RangeBounds<u64>) -> Ids {
    (ids.start_bound().cloned(), ids.end_bound().cloned())
}
