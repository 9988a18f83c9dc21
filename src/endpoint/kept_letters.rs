//! What a dashboard does with dead letters: list, retry and discard those that are kept.
//!
//! A list has no items: it needs no `T: Clone`, and no letter is out of the queue while somebody looks at it. The calls never
//! wait in memory. They are futures for queues over Redis, where they take a round trip or more.

use std::future::Future;
use std::ops::RangeBounds;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures::FutureExt;
use futures::future::BoxFuture;

use super::block::{Limit, Operation, block_without_limit};
use super::flush::{blocking_known, known, mark_of_settles};
use crate::arbiter::assert_may_block;
use crate::error::{PutError, Refusal};
use crate::queue::{Answer, DeadLetter, Ids, IterableQueue, Shared};

impl<T> IterableQueue<T> {
    /// Describes the dead letters that are kept, oldest first, without taking them: each is a letter without its item. Build
    /// the queue with [`describe_items`](crate::Builder::describe_items) to have the item as text.
    ///
    /// Letters that wait for an open [reader](IterableQueue::dead_letters) are the reader's, and not listed. It works after
    /// the end, too.
    ///
    /// Over Redis it lists the letters of all processes that no reader has, also while readers are open: the last 1,000, or as
    /// many as [`keep_dead_letters`](crate::Builder::keep_dead_letters) says. Those that a process has fetched for its readers
    /// are not listed; it gives them back within a second if no reader takes them. What this process rejected before is among
    /// them. While Redis does not answer, the call waits.
    ///
    /// # Errors
    ///
    /// In memory, none. [`Refusal::Redis`] if Redis does not let its user ask for that.
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
        async move {
            known(&shared, mark_of_settles(&shared)).await;
            shared.list_letters().get().await
        }
    }

    /// Describes the kept dead letters as [`list_dead_letters`](IterableQueue::list_dead_letters) does, for threads.
    ///
    /// # Errors
    ///
    /// As [`list_dead_letters`](IterableQueue::list_dead_letters).
    ///
    /// # Panics
    ///
    /// If the queue is in Redis, on the thread of an actix arbiter.
    #[track_caller]
    pub fn blocking_list_dead_letters(&self) -> Result<Vec<DeadLetter<()>>, Refusal> {
        const INSTEAD: &str = "use list_dead_letters().await";
        may_ask(self.shared(), INSTEAD);
        wait(self.shared().list_letters(), INSTEAD)
    }

    /// Puts the items of kept dead letters back into the queue, with their attempts counted from zero, and returns how many.
    ///
    /// `ids` is a range: `id..=id` is one letter, `..` is all. Ids that are not kept any more are left out.
    ///
    /// The items go before those that were never handed out; the capacity does not refuse them. It works also after seal, as
    /// long as the queue has not ended. Each then counts as [accepted](crate::report::Totals::accepted) once more.
    ///
    /// Over Redis it retries letters of all processes: those that no reader has, and that were there when it began. Each goes
    /// from the dead letters to the queue in one step, so none is lost or doubled, also if the process dies in the middle; some
    /// hundred go at a time. While Redis does not answer, the call waits. After such a wait it may return too few, as the answer
    /// to a step may be lost; [`Totals::retried`](crate::report::Totals::retried) has all. What is among the letters and was
    /// written by another hand stays, with an error in the log.
    ///
    /// # Errors
    ///
    /// If the queue has ended or was abandoned: all letters stay kept. If a queue over Redis ends in the middle, it is no error:
    /// the call returns how many were retried, and the others stay kept. [`Refusal::Redis`] if Redis does not let its user do that.
    ///
    /// # Cancel safety
    ///
    /// A future that was not polled has retried nothing. In memory the first poll does everything. Over Redis, one that is
    /// dropped has retried some of the letters; the others stay kept.
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
        async move {
            known(&shared, mark_of_settles(&shared)).await;
            shared.retry_letters(ids).get().await
        }
    }

    /// Retries kept dead letters as [`retry_dead_letters`](IterableQueue::retry_dead_letters) does, for threads.
    ///
    /// # Errors
    ///
    /// As [`retry_dead_letters`](IterableQueue::retry_dead_letters).
    ///
    /// # Panics
    ///
    /// If the queue is in Redis, on the thread of an actix arbiter.
    #[track_caller]
    pub fn blocking_retry_dead_letters(&self, ids: impl RangeBounds<u64>) -> Result<usize, Refusal> {
        const INSTEAD: &str = "use retry_dead_letters(…).await";
        may_ask(self.shared(), INSTEAD);
        wait(self.shared().retry_letters(bounds(&ids)), INSTEAD)
    }

    /// Drops kept dead letters, and returns how many. `ids` is a range: `id..=id` is one letter, `..` is all.
    ///
    /// It works after the end, too. The totals stay as they are: the items stay
    /// [dead-lettered](crate::report::Totals::dead_lettered), so [`is_clean`](crate::Drained::is_clean) stays false. They are
    /// not in [`Totals::discarded`](crate::report::Totals::discarded), which counts what an early end left, nor in
    /// [`letters_dropped`](crate::report::Totals::letters_dropped).
    ///
    /// Over Redis it drops letters of all processes: those that no reader has, and that were there when it began. While Redis
    /// does not answer, the call waits. After such a wait it may return too few, as the answer to a step may be lost.
    ///
    /// # Errors
    ///
    /// In memory, none. [`Refusal::Redis`] if Redis does not let its user do that.
    ///
    /// # Cancel safety
    ///
    /// A future that was not polled has dropped nothing. In memory the first poll does everything. Over Redis, one that is
    /// dropped has dropped some of the letters; the others stay kept.
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
        async move {
            known(&shared, mark_of_settles(&shared)).await;
            shared.discard_letters(ids).get().await
        }
    }

    /// Drops kept dead letters as [`discard_dead_letters`](IterableQueue::discard_dead_letters) does, for threads.
    ///
    /// # Errors
    ///
    /// As [`discard_dead_letters`](IterableQueue::discard_dead_letters).
    ///
    /// # Panics
    ///
    /// If the queue is in Redis, on the thread of an actix arbiter.
    #[track_caller]
    pub fn blocking_discard_dead_letters(&self, ids: impl RangeBounds<u64>) -> Result<usize, Refusal> {
        const INSTEAD: &str = "use discard_dead_letters(…).await";
        may_ask(self.shared(), INSTEAD);
        wait(self.shared().discard_letters(bounds(&ids)), INSTEAD)
    }

    /// Puts the item of a letter that a [reader](IterableQueue::dead_letters) has in hand back into the queue, as
    /// [`retry_dead_letters`](IterableQueue::retry_dead_letters) does with those that are kept.
    ///
    /// Over Redis the call waits until Redis has the item, which is put once. It may be put twice if Redis was away for more than
    /// ten leases in the middle of the call. A letter that was taken, as by `get`, is lost if the process dies
    /// before that, as any item is that was taken. For one that must not be lost, lease the letter, retry a clone of it, and then
    /// [`ack`](crate::Item::ack): if the process dies between the two, the letter comes back although its item was retried. Or
    /// [`release`](crate::Item::release) the letter, and retry it by its id.
    ///
    /// # Errors
    ///
    /// As [`retry_dead_letters`](IterableQueue::retry_dead_letters); over Redis also
    /// [`Refusal::Unserializable`] and [`Refusal::TooLarge`]. The letter is in the error.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped before its first poll drops the letter. The first poll does everything in memory. Over Redis the
    /// item is put also if the future is dropped after that; if it is refused then, it is dropped, with an error in the log.
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
        let (shared, mut letter) = (Arc::clone(self.shared()), Some(letter));
        async move {
            let answer = shared.retry_letter(&mut letter).get().await;
            retried(answer, letter)
        }
    }

    /// Retries a letter as [`retry`](IterableQueue::retry) does, for threads.
    ///
    /// # Errors
    ///
    /// As [`retry`](IterableQueue::retry).
    ///
    /// # Panics
    ///
    /// If the queue is in Redis, on the thread of an actix arbiter.
    #[track_caller]
    #[expect(clippy::result_large_err, reason = "the letter is handed back, as errors of puts hand back their item")]
    pub fn blocking_retry(&self, letter: DeadLetter<T>) -> Result<(), PutError<DeadLetter<T>>> {
        const INSTEAD: &str = "use retry(letter).await";
        may_wait(self.shared(), INSTEAD);
        let mut letter = Some(letter);
        let answer = wait(self.shared().retry_letter(&mut letter), INSTEAD);
        retried(answer, letter)
    }
}

#[expect(clippy::result_large_err, reason = "the letter is handed back, as errors of puts hand back their item")]
fn retried<T>(answer: Result<(), Refusal>, letter: Option<DeadLetter<T>>) -> Result<(), PutError<DeadLetter<T>>> {
    match (answer, letter) {
        (Err(reason), Some(letter)) => Err(PutError::new(letter, reason)),
        _ => Ok(()),
    }
}

/// Panics where a call would have to wait and must not: before it has done anything.
#[track_caller]
fn may_wait<T>(shared: &Shared<T>, instead: &str) {
    if !shared.store.ends_here() {
        assert_may_block(instead);
    }
}

/// The same, and waits until the remote store knows the letters of this process.
#[track_caller]
fn may_ask<T>(shared: &Shared<T>, instead: &str) {
    may_wait(shared, instead);
    blocking_known(shared, mark_of_settles(shared), Limit::Endless, instead);
}

/// Waits for an answer on this thread.
#[track_caller]
fn wait<R>(answer: Answer<R>, instead: &str) -> R {
    match answer {
        Answer::Here(answer) => answer,
        Answer::Asked(answer) => block_without_limit(&mut Asked(answer), instead),
    }
}

struct Asked<R>(BoxFuture<'static, R>);

impl<R> Operation for Asked<R> {
    type Output = R;

    fn attempt(&mut self) -> Option<R> {
        match self.wait(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        }
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<R> {
        self.0.poll_unpin(cx)
    }
}

fn bounds(ids: &impl RangeBounds<u64>) -> Ids {
    (ids.start_bound().cloned(), ids.end_bound().cloned())
}
