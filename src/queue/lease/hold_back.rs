//! Leases that are dropped with the work on them, held back until it is known why.
//!
//! A lease that a panic drops cannot know the panic's message yet. One that is dropped with a future cannot know that the
//! future's time was over. So the pool catches the panics of its workers, and what a panic or a timeout drops is held back
//! here until the reason is known.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::task::Poll;

use crate::lock::lock;
use crate::queue::effects::quietly;
use crate::sync::Mutex;
use crate::sync::thread::{self, ThreadId};

/// Holds back the leases of one consumer while its worker is polled. Boxed, as most consumers have no worker.
pub(crate) struct HoldBack<L>(Mutex<Option<Box<HeldBack<L>>>>);

/// Leases that are held back while the worker is polled.
struct HeldBack<L> {
    /// The thread that polls the worker. What other threads drop is not held back.
    thread: ThreadId,
    stage: Stage,
    /// Leases dropped by the panic itself, or by the timeout.
    caused: Vec<L>,
    /// Leases dropped with a worker that has died.
    bystanders: Vec<L>,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    /// The worker is polled.
    Polled,
    /// The worker has died, and is being dropped.
    Dying,
    /// A handler's future has timed out, and is being dropped.
    TimedOut,
}

/// Why a lease was dropped.
pub(crate) enum DropCause<'a> {
    /// By the worker's panic, with this message.
    Panicked(&'a str),
    /// By a panic that the worker caught itself.
    Caught,
    /// With its worker, which died of something else.
    WorkerDied,
}

impl<L> HoldBack<L> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(None))
    }

    fn held_back<R>(&self, change: impl FnOnce(&mut Option<Box<HeldBack<L>>>) -> R) -> R {
        change(&mut lock(&self.0))
    }

    /// Begins to hold back what this thread drops. Returns what was held back until now: a future may time out while the
    /// worker that it belongs to is polled.
    fn begin(&self, stage: Stage) -> Option<Box<HeldBack<L>>> {
        let thread = thread::current().id();
        let none = HeldBack { thread, stage, caused: Vec::new(), bystanders: Vec::new() };
        self.held_back(|held| held.replace(Box::new(none)))
    }

    /// Returns what was held back since `begin`, and goes on with what was held back before.
    fn finish(&self, before: Option<Box<HeldBack<L>>>) -> Option<Box<HeldBack<L>>> {
        self.held_back(|held| std::mem::replace(held, before))
    }

    /// Holds back a lease that is dropped unsettled, if its worker is panicking or its handler's future has timed out.
    /// Returns whether it did.
    pub(crate) fn hold(&self, lease: impl FnOnce() -> L) -> bool {
        self.held_back(|held| {
            let Some(held) = held.as_mut().filter(|held| held.thread == thread::current().id()) else { return false };
            match held.stage {
                Stage::Polled if !thread::panicking() => return false,
                Stage::Polled | Stage::TimedOut => held.caused.push(lease()),
                Stage::Dying => held.bystanders.push(lease()),
            }
            true
        })
    }

    /// Polls a worker and catches its panic. A worker that is done or has panicked is dropped in here, which catches a panic
    /// of its drop, too. `Err` has the panic's message. Then `end` is called for each lease that was held back.
    pub(crate) fn poll_caught<W>(
        &self,
        worker: &mut Option<W>,
        poll: impl FnOnce(&mut W) -> Poll<()>,
        end: impl Fn(L, DropCause<'_>),
    ) -> Poll<Result<(), String>> {
        let Some(running) = worker else { return Poll::Ready(Ok(())) };
        let before = self.begin(Stage::Polled);
        let polled = catch_unwind(AssertUnwindSafe(|| poll(running)));
        let result = match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => Poll::Ready(catch_unwind(AssertUnwindSafe(|| drop(worker.take())))),
            Err(panic) => {
                self.held_back(|held| held.iter_mut().for_each(|held| held.stage = Stage::Dying));
                // A second panic would say less than the first.
                quietly("the drop of a worker that panicked", || drop(worker.take()));
                Poll::Ready(Err(panic))
            }
        };
        let result = result.map_err(message);
        // A worker that lives may have caught a panic itself.
        if let Some(held) = self.finish(before) {
            let cause = || match &result {
                Poll::Ready(Err(panic)) => DropCause::Panicked(panic),
                _ => DropCause::Caught,
            };
            held.caused.into_iter().for_each(|lease| end(lease, cause()));
            held.bystanders.into_iter().for_each(|lease| end(lease, DropCause::WorkerDied));
        }
        result
    }

    /// Drops a worker that has ended. Then `end` is called for each lease that was dropped with it, before a panic of the
    /// drop goes on.
    pub(crate) fn drop_worker<W>(&self, worker: W, end: impl Fn(L, DropCause<'_>)) {
        let before = self.begin(Stage::Dying);
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(worker)));
        if let Some(held) = self.finish(before) {
            held.bystanders.into_iter().for_each(|lease| end(lease, DropCause::WorkerDied));
        }
        if let Err(panic) = dropped {
            resume_unwind(panic);
        }
    }

    /// Drops a future that has timed out, and catches a panic of its drop. Then `end` is called for each lease that was
    /// dropped with it.
    pub(crate) fn drop_timed_out<F>(&self, future: F, end: impl Fn(L)) {
        let before = self.begin(Stage::TimedOut);
        quietly("the drop of a handler's future that timed out", || drop(future));
        if let Some(held) = self.finish(before) {
            held.caused.into_iter().for_each(end);
        }
    }
}

fn message(payload: Box<dyn Any + Send>) -> String {
    let other = match payload.downcast::<String>() {
        Ok(text) => return *text,
        Err(payload) => match payload.downcast::<&str>() {
            Ok(text) => return (*text).to_owned(),
            Err(payload) => payload,
        },
    };
    // Its drop is user code.
    std::mem::forget(other);
    "a panic without a text".to_owned()
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;
    use std::task::Poll;

    use crate::endpoint::Consumer;
    use crate::queue::{Item, IterableQueue};

    /// The lease is dropped while a panic unwinds, but the worker lives on.
    #[test]
    fn d3_a_worker_that_catches_its_own_panic_gives_the_lease_back() {
        let queue = IterableQueue::builder().no_redelivery_backoff().build().unwrap();
        let mut consumer = queue.consumer().unwrap();
        queue.producer().unwrap().try_put("item").unwrap();
        let mut worker: Option<Option<Item<_>>> = Some(consumer.try_lease().ok());

        let polled = consumer.slot().poll_caught(&mut worker, |item| {
            let item = std::panic::AssertUnwindSafe(item.take());
            let caught = catch_unwind(|| {
                let _held = item;
                panic!("caught by the worker itself");
            });
            assert!(caught.is_err());
            Poll::Pending
        });

        assert_eq!((polled, worker.is_some()), (Poll::Pending, true));
        assert_eq!(consumer.try_lease().unwrap().attempt(), 2);
    }

    /// Creates a queue that holds 0..n, and its consumer.
    fn filled(n: u32) -> (IterableQueue<u32>, Consumer<u32>) {
        let queue = IterableQueue::unbounded();
        let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        (0..n).for_each(|n| producer.try_put(n).unwrap());
        (queue, consumer)
    }

    #[test]
    fn d3_a_lease_that_another_thread_drops_by_a_panic_comes_back_at_once() {
        let (queue, mut consumer) = filled(1);
        let mut worker = Some(consumer.try_lease().ok());
        let polled = consumer.slot().poll_caught(&mut worker, |item| {
            let item = item.take();
            let panics = std::thread::spawn(move || {
                let _held = item;
                panic!("not the worker's panic");
            });
            assert!(panics.join().is_err());
            assert_eq!(queue.len(), 1);
            Poll::Pending
        });
        assert_eq!(polled, Poll::Pending);
    }

    #[test]
    fn d3_a_lease_that_a_worker_forgets_comes_back_at_once_and_is_warned_about() {
        let (queue, mut consumer) = filled(1);
        let mut worker = Some(consumer.try_lease().ok());
        let polled = consumer.slot().poll_caught(&mut worker, |item| {
            drop(item.take());
            assert_eq!(queue.len(), 1);
            Poll::Pending
        });
        assert_eq!(polled, Poll::Pending);
        assert!(!consumer.slot().row.first_warning());
    }

    #[test]
    fn d3_leases_that_die_with_their_worker_are_not_warned_about() {
        let (queue, mut consumer) = filled(2);
        let mut worker = Some([consumer.try_lease().ok(), consumer.try_lease().ok()]);
        let polled = consumer.slot().poll_caught(&mut worker, |[item, _bystander]| {
            let _in_hand = item.take();
            panic!("boom");
        });
        assert_eq!(polled, Poll::Ready(Err("boom".to_owned())));
        assert_eq!((worker.is_none(), queue.len()), (true, 2));
        assert!(consumer.slot().row.first_warning());
    }

    /// An actor's future times out while the actor is polled, and after that the actor panics.
    #[test]
    fn d3_a_timeout_in_the_middle_of_a_poll_hides_no_panic_after_it() {
        let queue = IterableQueue::builder().max_attempts(1).build().unwrap();
        let mut letters = queue.dead_letters().unwrap();
        let (producer, mut consumer) = queue.split().unwrap();
        (0..2).for_each(|n| producer.try_put(n).unwrap());
        let mut worker = Some([consumer.try_lease().ok(), consumer.try_lease().ok()]);
        let slot = std::sync::Arc::clone(consumer.slot());
        let polled = slot.poll_caught(&mut worker, |[silent, poison]| {
            slot.drop_timed_out(silent.take(), "no end");
            let _in_hand = poison.take();
            panic!("boom");
        });
        assert_eq!(polled, Poll::Ready(Err("boom".to_owned())));
        let mut letter = || letters.try_get().map(|letter| (letter.item, letter.error, letter.panic)).unwrap();
        assert_eq!(letter(), (0, Some("no end".to_owned()), None));
        assert_eq!(letter(), (1, None, Some("boom".to_owned())));
    }
}
