//! The message of a worker's panic, for the leases that it dropped.
//!
//! A lease that a panic drops cannot know the panic's message yet. So the pool catches the panics of its workers, and the
//! leases that a panic drops are held back until its message is known.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use crate::lock::lock;
use crate::queue::effects::quietly;
use crate::sync::Mutex;
use crate::sync::thread::{self, ThreadId};

/// Holds back the leases of one consumer while its worker is polled. Boxed, as most consumers have no worker.
pub(crate) struct PanicCapture<L>(Mutex<Option<Box<HeldBack<L>>>>);

/// Leases that are held back while the worker is polled.
struct HeldBack<L> {
    /// The thread that polls the worker. Leases dropped by panics of other threads are not held back.
    thread: ThreadId,
    /// The worker has panicked, and is being dropped.
    panicked: bool,
    /// Leases dropped by the panic itself.
    during_panic: Vec<L>,
    /// Leases dropped with the worker after that.
    after_panic: Vec<L>,
}

impl<L> PanicCapture<L> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(None))
    }

    fn held_back<R>(&self, change: impl FnOnce(&mut Option<Box<HeldBack<L>>>) -> R) -> R {
        change(&mut lock(&self.0))
    }

    /// Holds back a lease that is dropped unsettled, if its worker is panicking. Returns whether it did.
    pub(crate) fn hold(&self, lease: impl FnOnce() -> L) -> bool {
        self.held_back(|held| match held {
            Some(held) if held.thread != thread::current().id() => false,
            Some(held) if held.panicked => {
                held.after_panic.push(lease());
                true
            }
            Some(held) if thread::panicking() => {
                held.during_panic.push(lease());
                true
            }
            _ => false,
        })
    }

    /// Polls a worker and catches its panic. A worker that is done or has panicked is dropped in here, which catches a panic
    /// of its drop, too. `Err` has the panic's message. Then `end` is called for each lease that was held back, with the
    /// message if the panic itself dropped the lease.
    pub(crate) fn poll_caught<W>(
        &self,
        worker: &mut Option<W>,
        poll: impl FnOnce(&mut W) -> Poll<()>,
        end: impl Fn(L, Option<&str>),
    ) -> Poll<Result<(), String>> {
        let Some(running) = worker else { return Poll::Ready(Ok(())) };
        let thread = thread::current().id();
        let none = HeldBack { thread, panicked: false, during_panic: Vec::new(), after_panic: Vec::new() };
        self.held_back(|held| *held = Some(Box::new(none)));
        let polled = catch_unwind(AssertUnwindSafe(|| poll(running)));
        let result = match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => Poll::Ready(catch_unwind(AssertUnwindSafe(|| drop(worker.take())))),
            Err(panic) => {
                self.held_back(|held| held.iter_mut().for_each(|held| held.panicked = true));
                // A second panic would say less than the first.
                quietly("the drop of a worker that panicked", || drop(worker.take()));
                Poll::Ready(Err(panic))
            }
        };
        let result = result.map_err(message);
        // A worker that lives may have caught a panic itself.
        if let Some(held) = self.held_back(Option::take) {
            let panic = if let Poll::Ready(Err(panic)) = &result { Some(panic.as_str()) } else { None };
            held.during_panic.into_iter().for_each(|lease| end(lease, panic));
            held.after_panic.into_iter().for_each(|lease| end(lease, None));
        }
        result
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
        let queue = IterableQueue::unbounded();
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
}
