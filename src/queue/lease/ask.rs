//! Jobs whose producer waits for an answer.

use std::fmt;
use std::ops::{Deref, DerefMut};

use futures::channel::oneshot::{self, Receiver, Sender};

use super::dead_letters::DeadLetter;
use crate::lock::lock;
use crate::queue::effects::{drop_quietly, quietly};
use crate::queue::shared::Shared;
use crate::sync::Mutex;

/// What the asker is told: the answer, or that the ask became a dead letter.
pub(crate) type Told<D> = Result<D, DeadLetter<()>>;

/// A job whose producer waits for an answer. [`Producer::ask`](crate::Producer::ask) puts it into its queue.
///
/// It dereferences to the job, and a leased one ([`Item`](crate::Item)) does, too. A consumer [answers](Ask::answer) it, and
/// settles the lease as that of any other item. The asker waits across attempts: if the consumer fails without an answer, the
/// next one may answer.
///
/// An ask stays in its process, so it cannot be put into a queue over Redis. An ask may be put into another queue in
/// memory, and answered there. If that queue was never asked itself, its dead letters tell the asker only when they are
/// dropped.
///
/// # Examples
///
/// A pool that answers:
///
/// ```
/// use actix_iterable_queue::prelude::*;
///
/// # actix_rt::System::new().block_on(async {
/// let queue = IterableQueue::<Ask<String, usize>>::bounded(100);
/// let pool = WorkerPool::builder(&queue).workers(2).run(|text: &Item<Ask<String, usize>>| text.answer(text.len()))?;
/// let producer = queue.producer()?;
/// assert_eq!(producer.ask(String::from("hello")).await?, 5);
/// # drop(producer);
/// # queue.seal();
/// # pool.drained().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
///
/// A worker that is an actor:
///
/// ```
/// use actix::prelude::*;
/// use actix_iterable_queue::prelude::*;
///
/// struct Measure;
///
/// impl Actor for Measure {
///     type Context = Context<Self>;
/// }
///
/// impl Handler<Item<Ask<String, usize>>> for Measure {
///     type Result = ();
///
///     fn handle(&mut self, text: Item<Ask<String, usize>>, _: &mut Self::Context) {
///         text.answer(text.len());
///         text.ack();
///     }
/// }
/// #
/// # impl Handler<Drained> for Measure {
/// #     type Result = ();
/// #     fn handle(&mut self, _: Drained, _: &mut Self::Context) {}
/// # }
/// # System::new().block_on(async {
/// # let queue = IterableQueue::bounded(100);
/// # let pool = WorkerPool::builder(&queue).start(|_| Measure)?;
/// # let producer = queue.producer()?;
/// # queue.seal();
/// # assert_eq!(producer.ask(String::from("hello")).await?, 5);
/// # drop(producer);
/// # pool.drained().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct Ask<J, D> {
    job: J,
    asker: AskerChannel<D>,
}

/// The channel to the asker. `None` once the asker was told.
struct AskerChannel<D>(Mutex<Option<Sender<Told<D>>>>);

impl<J, D> Ask<J, D> {
    /// Creates the item that asks `queue`, and the receiver of what becomes of it.
    pub(crate) fn new(job: J, queue: &Shared<Self>) -> (Self, Receiver<Told<D>>) {
        // Before the put: the thread that makes it a dead letter, or finds that nobody will take it, sees this.
        queue.tell_asker.get_or_init(|| Self::tell_asker);
        let (sender, told) = oneshot::channel();
        (Self { job, asker: AskerChannel(Mutex::new(Some(sender))) }, told)
    }

    /// Sends the answer to the asker, at once. The lease is not settled by that.
    ///
    /// The first answer counts. A further one is dropped, and so is one that comes after the asker has stopped waiting, or
    /// was told that the ask is a dead letter. It never waits and never fails.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::{Ask, IterableQueue};
    /// use std::thread;
    ///
    /// let (producer, consumer) = IterableQueue::<Ask<u32, u32>>::unbounded().split()?;
    /// thread::spawn(move || {
    ///     for ask in consumer.into_blocking_leases() {
    ///         ask.answer(*ask.job() * 2);
    ///         ask.ack();
    ///     }
    /// });
    /// assert_eq!(producer.blocking_ask(21)?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn answer(&self, answer: D) {
        self.asker.tell(Ok(answer));
    }

    /// Returns whether the asker still waits for an answer. If it does not, a consumer may skip the work.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::{Ask, IterableQueue};
    /// use futures::FutureExt;
    ///
    /// let (producer, mut consumer) = IterableQueue::<Ask<u32, u32>>::unbounded().split()?;
    /// assert!(producer.ask(21).now_or_never().is_none()); // the asker gives up at once
    /// let ask = consumer.try_lease()?;
    /// assert!(!ask.is_waiting());
    /// ask.ack();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_waiting(&self) -> bool {
        lock(&self.asker.0).as_ref().is_some_and(|sender| !sender.is_canceled())
    }

    /// Returns the job: `ask.job()` is easier to read than the `***ask` of a function that is lent a lease.
    pub fn job(&self) -> &J {
        &self.job
    }

    /// Returns the job. An asker that still waits is told that there will be no answer.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::{Ask, IterableQueue};
    /// # use futures::FutureExt;
    /// let queue = IterableQueue::<Ask<&str, ()>>::unbounded();
    /// let producer = queue.producer()?;
    /// assert!(producer.ask("left").now_or_never().is_none());
    /// let left: Vec<&str> = queue.abort().into_iter().map(Ask::into_job).collect();
    /// assert_eq!(left, ["left"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_job(self) -> J {
        self.job
    }

    fn tell_asker(&self, letter: Option<DeadLetter<()>>) -> bool {
        match letter {
            Some(letter) => self.asker.tell(Err(letter)),
            None => self.asker.close(),
        }
    }
}

impl<J, D> Shared<Ask<J, D>> {
    /// Warns of an ask that a consumer dropped without an answer.
    pub(crate) fn warn_unanswered(&self) {
        let unanswered = {
            let counts = &mut self.control().counts;
            counts.unanswered += 1;
            counts.unanswered
        };
        if unanswered.is_power_of_two() {
            log::warn!(
                "{}: a consumer acked or took an ask and dropped it without an answer; its asker gets AskError::Unanswered. \
                 Call answer(…) before ack(). (Number {unanswered}; logged for numbers 1, 2, 4, 8 and so on.)",
                self.label()
            );
        }
    }
}

impl<D> AskerChannel<D> {
    /// Tells the asker, unless it was told before. Returns whether it was still waiting. The asker's waker is user code, and
    /// so is the drop of an answer that nobody waits for.
    fn tell(&self, told: Told<D>) -> bool {
        let sender = lock(&self.0).take();
        let Some(sender) = sender else {
            drop_quietly(told);
            return false;
        };
        let waits = !sender.is_canceled();
        quietly("the waker of an asker, or the drop of an answer that nobody waits for,", || drop(sender.send(told)));
        waits
    }

    /// Ends the wait of an asker that was told nothing. Returns whether it was still waiting.
    fn close(&self) -> bool {
        let sender = lock(&self.0).take();
        let waits = sender.as_ref().is_some_and(|sender| !sender.is_canceled());
        quietly("the waker of an asker", || drop(sender));
        waits
    }
}

impl<D> Drop for AskerChannel<D> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<J, D> Deref for Ask<J, D> {
    type Target = J;

    fn deref(&self) -> &J {
        &self.job
    }
}

impl<J, D> DerefMut for Ask<J, D> {
    fn deref_mut(&mut self) -> &mut J {
        &mut self.job
    }
}

impl<J: fmt::Debug, D> fmt::Debug for Ask<J, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask").field("job", &self.job).field("waiting", &self.is_waiting()).finish()
    }
}
