//! What a program holds of the real queue, and what it waits for.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use actix_iterable_queue::error::{AskError, PutError};
use actix_iterable_queue::{Ask, Batch, Consumer, Drained, Item, IterableQueue, Permit, Producer};
use futures::FutureExt;
use support::Task;

use super::model::{Answer, ConsumerNumber, HandleNumber, PutNumber, Work};
use super::operation::{BatchOf, How};

pub(super) type Boxed<R> = Pin<Box<dyn Future<Output = R>>>;

/// What the queue holds. Most of them have no asker.
pub(super) type Job = Ask<Work, Answer>;

/// Makes items that have no asker. As only a call that asks makes an [`Ask`], it asks a queue of its own.
pub(super) struct Mint {
    producer: Producer<Job>,
    consumer: Consumer<Job>,
}

impl Mint {
    pub(super) fn new() -> Self {
        let (producer, consumer) = IterableQueue::unbounded().split().expect("it is new");
        Self { producer, consumer }
    }

    pub(super) fn job(&mut self, work: Work) -> Job {
        loop {
            // The asker is gone at once. Now and then it yields before it puts.
            let _gone = self.producer.ask(work).now_or_never();
            if let Ok(job) = self.consumer.try_get() {
                return job;
            }
        }
    }
}

/// Without the item, which cannot be compared.
pub(super) fn of_work(error: PutError<Job>) -> PutError<Work> {
    let reason = error.reason();
    PutError::new(error.into_inner().into_job(), reason)
}

/// A task that may have been told to look again.
pub(super) struct Sleeper {
    pub(super) task: Task,
    /// Since which step it stands in line, and its wake-ups before its last look.
    parked: Option<(usize, usize)>,
    /// Its wake-ups after its last look, in which it may have woken itself.
    looked: usize,
}

impl Sleeper {
    pub(super) fn new() -> Self {
        Self { task: Task::new(), parked: None, looked: 0 }
    }

    /// Polls, and stands in line from `step` on if it is pending and did not before.
    pub(super) fn poll<R>(&mut self, step: usize, poll: impl FnOnce(&Task) -> Poll<R>) -> Poll<R> {
        let wakes = self.task.wakes();
        let polled = poll(&self.task);
        let since = self.parked.map_or(step, |(since, _)| since);
        self.parked = polled.is_pending().then_some((since, wakes));
        self.looked = self.task.wakes();
        polled
    }

    pub(super) fn is_parked(&self) -> bool {
        self.parked.is_some()
    }

    pub(super) fn leave(&mut self) {
        self.parked = None;
    }

    /// It had what it waited for, and stands in line again.
    pub(super) fn stand_again(&mut self, step: usize) {
        self.parked = self.parked.map(|(_, wakes)| (step, wakes));
    }

    /// Since when it sleeps, if it does.
    pub(super) fn sleeps(&self) -> Option<usize> {
        self.parked.filter(|(_, wakes)| *wakes == self.task.wakes()).map(|(since, _)| since)
    }

    /// Whether somebody else has woken it.
    pub(super) fn is_notified(&self) -> bool {
        self.parked.is_some() && self.looked < self.task.wakes()
    }

    /// Whether it has woken itself in its last look.
    pub(super) fn looks_again(&self) -> bool {
        self.parked.is_some_and(|(_, wakes)| wakes < self.looked)
    }

    pub(super) fn is_woken(&self) -> bool {
        self.parked.is_some_and(|(_, wakes)| wakes < self.task.wakes())
    }
}

pub(super) struct OpenProducer {
    /// By a call of `close`.
    pub(super) closed: bool,
    pub(super) handle: HandleNumber,
    /// Shared with puts that wait, which borrow it.
    pub(super) producer: Rc<Producer<Job>>,
}

/// What is put by a call that may wait.
pub(super) enum Put {
    Item(Job),
    /// A reservation: nothing so far.
    Permit,
    Ask(Work),
}

pub(super) struct WaitingPut {
    pub(super) number: PutNumber,
    pub(super) handle: HandleNumber,
    /// `None` for a reservation.
    pub(super) work: Option<Work>,
    pub(super) sleeper: Sleeper,
    pub(super) future: PutFuture,
}

pub(super) enum PutFuture {
    Put(Boxed<PutOutcome>),
    /// It goes on after the put, and waits for the answer.
    Ask(Boxed<Heard>),
}

/// The permit if it was a reservation. An error holds the item, if there was one.
pub(super) type PutOutcome = Result<Option<Permit<Job>>, PutError<Option<Work>>>;

pub(super) type Heard = Result<Answer, AskError<Work>>;

impl WaitingPut {
    pub(super) fn new(number: PutNumber, of: &OpenProducer, put: Put) -> Self {
        let producer = Rc::clone(&of.producer);
        let some = |error: PutError<Work>| PutError::new(Some(*error.get_ref()), error.reason());
        let (work, future) = match put {
            Put::Item(job) => {
                let work = *job.job();
                let put = async move { producer.put(job).await.map(|()| None).map_err(|error| some(of_work(error))) };
                (Some(work), PutFuture::Put(Box::pin(put)))
            }
            Put::Permit => {
                let reserve =
                    async move { producer.reserve().await.map(Some).map_err(|reason| PutError::new(None, reason)) };
                (None, PutFuture::Put(Box::pin(reserve)))
            }
            Put::Ask(work) => (Some(work), PutFuture::Ask(Box::pin(async move { producer.ask(work).await }))),
        };
        Self { number, handle: of.handle, work, sleeper: Sleeper::new(), future }
    }

    pub(super) fn is_ask(&self) -> bool {
        matches!(self.future, PutFuture::Ask(_))
    }

    pub(super) fn poll(&mut self, step: usize) -> Poll<PutOutcome> {
        let Self { sleeper, future, .. } = self;
        sleeper.poll(step, |task| match future {
            PutFuture::Put(put) => task.poll(put.as_mut()),
            PutFuture::Ask(ask) => task.poll(ask.as_mut()).map(|heard| match heard {
                Err(AskError::Refused(refused)) => Err(PutError::new(Some(*refused.get_ref()), refused.reason())),
                heard => panic!("an ask that was not put has heard {heard:?}"),
            }),
        })
    }
}

/// It has put its ask, and keeps its producer open.
pub(super) struct Asker {
    pub(super) work: Work,
    pub(super) handle: HandleNumber,
    pub(super) sleeper: Sleeper,
    pub(super) future: Boxed<Heard>,
}

pub(super) struct OpenPermit {
    pub(super) handle: HandleNumber,
    pub(super) permit: Permit<Job>,
}

pub(super) struct OpenConsumer {
    pub(super) number: ConsumerNumber,
    pub(super) sleeper: Sleeper,
    pub(super) doing: Doing,
}

pub(super) enum Doing {
    Nothing(Consumer<Job>),
    /// In a `get`, a `lease` or a `lease_batch`.
    Waiting(Wait),
}

pub(super) struct Wait {
    pub(super) future: Boxed<(Consumer<Job>, Taken)>,
    pub(super) batch: Option<BatchOf>,
    cancelled: Rc<Cell<bool>>,
}

/// What came of a take.
pub(super) enum Taken {
    Owned(Job),
    Leased(Item<Job>),
    Batch(Batch<Job>),
    Nothing,
    Ended,
}

impl OpenConsumer {
    pub(super) fn new(number: ConsumerNumber, consumer: Consumer<Job>) -> Self {
        Self { number, sleeper: Sleeper::new(), doing: Doing::Nothing(consumer) }
    }

    pub(super) fn idle(&mut self) -> Option<&mut Consumer<Job>> {
        match &mut self.doing {
            Doing::Nothing(consumer) => Some(consumer),
            Doing::Waiting(_) => None,
        }
    }

    /// What is not idle waits.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.doing, Doing::Waiting(_))
    }
}

impl Wait {
    pub(super) fn new(mut consumer: Consumer<Job>, how: How) -> Self {
        let cancelled = Rc::new(Cell::new(false));
        let cancel = Rc::clone(&cancelled);
        let future = Box::pin(async move {
            let taken = match how {
                How::Get => until(&cancel, consumer.get()).await.map(|got| got.map(Taken::Owned)),
                How::Lease => until(&cancel, consumer.lease()).await.map(|got| got.map(Taken::Leased)),
            };
            (consumer, taken.map_or(Taken::Nothing, |taken| taken.unwrap_or(Taken::Ended)))
        });
        Self { future, batch: None, cancelled }
    }

    pub(super) fn for_batch(mut consumer: Consumer<Job>, batch: BatchOf) -> Self {
        let cancelled = Rc::new(Cell::new(false));
        let cancel = Rc::clone(&cancelled);
        let linger = if batch.lingers { Duration::MAX } else { Duration::ZERO };
        let future = Box::pin(async move {
            let taken = until(&cancel, consumer.lease_batch(batch.max, linger)).await;
            (consumer, taken.map_or(Taken::Nothing, Taken::Batch))
        });
        Self { future, batch: Some(batch), cancelled }
    }

    /// The next poll drops what it waits in.
    pub(super) fn cancel(&self) {
        self.cancelled.set(true);
    }
}

/// Drops the future once it is cancelled.
async fn until<F: Future>(cancelled: &Cell<bool>, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| if cancelled.get() { Poll::Ready(None) } else { future.as_mut().poll(cx).map(Some) }).await
}

pub(super) struct Watcher {
    pub(super) task: Task,
    pub(super) future: Boxed<Drained>,
}
