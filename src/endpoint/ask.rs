//! Asking: a put whose producer waits for the answer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::channel::oneshot::{Canceled, Receiver};

use super::block::{Operation, block_without_limit};
use super::producer::Producer;
use crate::arbiter::assert_may_block;
use crate::error::{AskError, PutError};
use crate::queue::{Ask, Shared, Told};

/// Waits for the answer to an ask.
pub(crate) struct PendingAnswer<J, D> {
    told: Receiver<Told<D>>,
    queue: Arc<Shared<Ask<J, D>>>,
}

impl<J, D> PendingAnswer<J, D> {
    /// Creates the item that asks a queue, and the future of its answer.
    pub(crate) fn new(job: J, queue: &Arc<Shared<Ask<J, D>>>) -> (Ask<J, D>, Self) {
        let (ask, told) = Ask::new(job, queue);
        (ask, Self { told, queue: Arc::clone(queue) })
    }

    fn result(&self, told: Result<Told<D>, Canceled>) -> Result<D, AskError<J>> {
        match told {
            Ok(told) => told.map_err(|letter| AskError::DeadLetter(Box::new(letter))),
            Err(Canceled) => Err(match self.queue.loss() {
                Some(outcome) => AskError::Ended(outcome),
                None => {
                    self.queue.warn_unanswered();
                    AskError::Unanswered
                }
            }),
        }
    }
}

impl<J, D> Future for PendingAnswer<J, D> {
    type Output = Result<D, AskError<J>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = self.get_mut();
        Pin::new(&mut answer.told).poll(cx).map(|told| answer.result(told))
    }
}

impl<J, D> Operation for PendingAnswer<J, D> {
    type Output = Result<D, AskError<J>>;

    fn attempt(&mut self) -> Option<Self::Output> {
        let told = self.told.try_recv().transpose()?;
        Some(self.result(told))
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(self).poll(cx)
    }
}

/// Turns the error of the put into that of the ask.
pub(crate) fn refused_ask<J, D>(error: PutError<Ask<J, D>>) -> AskError<J> {
    let reason = error.reason();
    AskError::Refused(PutError::new(error.into_inner().into_job(), reason))
}

impl<J, D> Producer<Ask<J, D>> {
    /// Puts a job, waits for room if there is none, and then waits until a consumer has [answered](Ask::answer).
    ///
    /// It waits across all attempts, and has no limit of its own: where that matters, await it with a timer. While it waits
    /// this producer is open.
    ///
    /// A consumer of the same queue that asks it and waits for the answer keeps its own lease meanwhile. If all consumers do
    /// that, they wait for ever. Let them ask another queue.
    ///
    /// # Errors
    ///
    /// [`AskError`] says why there is no answer: [`Refused`](AskError::Refused) hands the job back, as the error of
    /// [`put`](Producer::put) does; [`DeadLetter`](AskError::DeadLetter) comes as soon as the job is a dead letter.
    ///
    /// [`Ended`](AskError::Ended) comes as soon as no consumer can be handed the job any more, because the queue was aborted,
    /// or its shutdown is over, or it is sealed and its last consumer is gone. A consumer that has leased the job by then may still
    /// answer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before the queue has accepted the job drops the job. After that the job goes on, and its answer is
    /// dropped. A consumer can see that with [`is_waiting`](Ask::is_waiting).
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::{Ask, IterableQueue};
    /// use futures::future::join;
    ///
    /// # actix_rt::System::new().block_on(async {
    /// let (producer, mut consumer) = IterableQueue::<Ask<u32, u32>>::bounded(10).split()?;
    /// let work = async {
    ///     while let Some(ask) = consumer.lease().await {
    ///         ask.answer(*ask.job() * 2);
    ///         ask.ack();
    ///     }
    /// };
    /// let asker = async move { producer.ask(21).await }; // drops the producer: then the queue ends
    /// assert_eq!(join(asker, work).await.0?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn ask(&self, job: J) -> Result<D, AskError<J>> {
        let (ask, answer) = PendingAnswer::new(job, self.shared());
        self.put(ask).await.map_err(refused_ask)?;
        answer.await
    }

    /// Puts a job, and waits for the answer, as [`ask`](Producer::ask) does. The thread is blocked meanwhile.
    ///
    /// # Errors
    ///
    /// As [`ask`](Producer::ask).
    ///
    /// # Panics
    ///
    /// On the thread of an actix arbiter, unless the job is refused. The job is not put then.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::{Ask, IterableQueue};
    /// use std::thread;
    ///
    /// let (producer, consumer) = IterableQueue::<Ask<&str, usize>>::bounded(10).split()?;
    /// thread::spawn(move || {
    ///     for ask in consumer { // taken: nobody else will answer
    ///         ask.answer(ask.len());
    ///     }
    /// });
    /// assert_eq!(producer.blocking_ask("hello")?, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn blocking_ask(&self, job: J) -> Result<D, AskError<J>> {
        if !self.is_closed() {
            // Before the put, so that no job is done whose answer nobody can wait for.
            assert_may_block("use ask(job).await");
        }
        let (ask, mut answer) = PendingAnswer::new(job, self.shared());
        self.blocking_put(ask).map_err(refused_ask)?;
        block_without_limit(&mut answer, "use ask(job).await")
    }
}
