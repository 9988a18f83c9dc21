//! What a program holds of the real queue, and what it waits for.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use actix_iterable_queue::error::PutError;
use actix_iterable_queue::{Consumer, Drained, Item, Permit, Producer};
use support::Task;

use super::model::{ConsumerNumber, HandleNumber, PutNumber, Work};
use super::operation::How;

pub(super) type Boxed<R> = Pin<Box<dyn Future<Output = R>>>;

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

    /// Since when it sleeps, if it does.
    pub(super) fn sleeps(&self) -> Option<usize> {
        self.parked.filter(|(_, wakes)| *wakes == self.task.wakes()).map(|(since, _)| since)
    }

    /// Whether somebody else has woken it.
    pub(super) fn is_notified(&self) -> bool {
        self.parked.is_some() && self.looked < self.task.wakes()
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
    pub(super) producer: Rc<Producer<Work>>,
}

pub(super) struct WaitingPut {
    pub(super) number: PutNumber,
    pub(super) handle: HandleNumber,
    /// `None` for a reservation.
    pub(super) work: Option<Work>,
    pub(super) sleeper: Sleeper,
    pub(super) future: Boxed<PutOutcome>,
}

/// The permit if it was a reservation. An error holds the item, if there was one.
pub(super) type PutOutcome = Result<Option<Permit<Work>>, PutError<Option<Work>>>;

impl WaitingPut {
    pub(super) fn new(number: PutNumber, of: &OpenProducer, work: Option<Work>) -> Self {
        let producer = Rc::clone(&of.producer);
        let future: Boxed<_> = match work {
            Some(work) => Box::pin(async move {
                producer
                    .put(work)
                    .await
                    .map(|()| None)
                    .map_err(|error| PutError::new(Some(*error.get_ref()), error.reason()))
            }),
            None => {
                Box::pin(
                    async move { producer.reserve().await.map(Some).map_err(|reason| PutError::new(None, reason)) },
                )
            }
        };
        Self { number, handle: of.handle, work, sleeper: Sleeper::new(), future }
    }
}

pub(super) struct OpenPermit {
    pub(super) handle: HandleNumber,
    pub(super) permit: Permit<Work>,
}

pub(super) struct OpenConsumer {
    pub(super) number: ConsumerNumber,
    pub(super) sleeper: Sleeper,
    pub(super) doing: Doing,
}

pub(super) enum Doing {
    Nothing(Consumer<Work>),
    /// In a `get` or a `lease`.
    Waiting(Wait),
}

pub(super) struct Wait {
    pub(super) future: Boxed<(Consumer<Work>, Taken)>,
    cancelled: Rc<Cell<bool>>,
}

/// What came of a take.
pub(super) enum Taken {
    Owned(Work),
    Leased(Item<Work>),
    Nothing,
    Ended,
}

impl OpenConsumer {
    pub(super) fn new(number: ConsumerNumber, consumer: Consumer<Work>) -> Self {
        Self { number, sleeper: Sleeper::new(), doing: Doing::Nothing(consumer) }
    }

    pub(super) fn idle(&mut self) -> Option<&mut Consumer<Work>> {
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
    pub(super) fn new(mut consumer: Consumer<Work>, how: How) -> Self {
        let cancelled = Rc::new(Cell::new(false));
        let cancel = Rc::clone(&cancelled);
        let future = Box::pin(async move {
            let taken = match how {
                How::Get => until(&cancel, consumer.get()).await.map(|got| got.map(Taken::Owned)),
                How::Lease => until(&cancel, consumer.lease()).await.map(|got| got.map(Taken::Leased)),
            };
            (consumer, taken.map_or(Taken::Nothing, |taken| taken.unwrap_or(Taken::Ended)))
        });
        Self { future, cancelled }
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
