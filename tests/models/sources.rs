//! The queue's sources, all that knows nothing of actix; and what models need of their inside.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};

use self::consumer_poller::ConsumerEnd;
use crate::sync::thread::{self, Thread};

#[path = "../../src/backoff.rs"]
pub(crate) mod backoff;
#[path = "../../src/config.rs"]
pub(crate) mod config;
#[path = "../../src/actor/consumer_poller.rs"]
mod consumer_poller;
#[path = "../../src/endpoint/mod.rs"]
pub(crate) mod endpoint;
#[path = "../../src/error/mod.rs"]
pub(crate) mod error;
#[path = "../../src/actor/handout.rs"]
mod handout;
#[path = "../../src/lock.rs"]
pub(crate) mod lock;
#[path = "../../src/one_line.rs"]
pub(crate) mod one_line;
#[path = "../../src/queue/mod.rs"]
pub(crate) mod queue;

#[path = "push.rs"]
mod push;

/// In a model nothing blocks an arbiter.
pub(crate) mod arbiter {
    pub(crate) fn assert_may_block(_instead: &str) {}

    /// The arbiter may come to the call at any time.
    pub(crate) fn call_later<C: FnOnce() + Send + 'static>(call: C) -> Result<(), C> {
        crate::sync::thread::spawn(call);
        Ok(())
    }
}

/// Nor is there an executor with other tasks.
pub(crate) mod coop {
    use std::task::{Context, Poll};

    pub(crate) fn is_due() -> bool {
        false
    }

    pub(crate) fn is_due_now() -> bool {
        false
    }

    pub(crate) fn count() {}

    pub(crate) fn poll_begin(_has_yielded: &mut bool, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    pub(crate) async fn yield_now() {}
}

pub use backoff::Backoff;
pub use config::Builder;
pub use endpoint::{Consumer, Permit, Producer};
pub use error::{GetTimeoutError, OpenError, PutError, PutTimeoutError, Refusal, TryGetError, TryPutError};
pub use push::{Mailbox, Pusher};
pub use queue::{
    DeadLetter, Drained, Item, IterableQueue, Outcome, ShutdownReport, Snapshot, State, Totals, WeakQueue,
};

/// Drives a future on this thread.
pub fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let (mut future, waker) = (pin!(future), Arc::new(Unpark(thread::current())).into());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

/// A `Put` message: the item, and a share of the handle.
pub struct PutMessage<T>(Option<(endpoint::HandleShare<T>, T)>);

impl<T> PutMessage<T> {
    pub fn new(producer: &Producer<T>, item: T) -> Self {
        Self(producer.share().map(|handle| (handle, item)))
    }

    /// As the actor does it; waits for room. `None` if the handle was closed before.
    pub fn put(self) -> Option<Result<(), PutError<T>>> {
        let (handle, item) = self.0?;
        let mut putting = endpoint::Putting::new(handle, Some(item));
        Some(block_on(poll_fn(|cx| putting.poll(cx))).map_err(|error| putting.refused(error)))
    }
}

/// A pool's right to open consumers.
pub struct Claim<T>(endpoint::PoolClaim<T>);

impl<T> Claim<T> {
    pub fn on(queue: &IterableQueue<T>) -> Self {
        Self(endpoint::PoolClaim::on(Arc::clone(queue.shared())).expect("the queue is open"))
    }

    pub fn consumer(&self) -> Consumer<T> {
        self.0.consumer("worker")
    }
}

/// A consumer actor's side of the queue.
pub struct Worker<T>(consumer_poller::ConsumerPoller<T>);

/// What comes next for it.
pub enum Next<T> {
    Item(Item<T>),
    Drained,
    Left,
}

impl<T> Worker<T> {
    pub fn new(consumer: Consumer<T>, max_in_flight: usize) -> Self {
        Self(consumer_poller::ConsumerPoller::new(consumer, max_in_flight, handout::OneByOne))
    }

    pub fn orders(&self) -> Orders {
        Orders(Arc::clone(&self.0.consumer().slot().row))
    }

    pub fn wait_for_next(&mut self) -> Next<T> {
        match block_on(poll_fn(|cx| self.0.poll_next(cx))) {
            consumer_poller::Next::Handed(item) => Next::Item(item),
            consumer_poller::Next::End(ConsumerEnd::Drained(_)) => Next::Drained,
            consumer_poller::Next::End(ConsumerEnd::Left) => Next::Left,
        }
    }
}

/// What a pool tells its worker.
pub struct Orders(Arc<queue::ConsumerRow>);

impl Orders {
    pub fn pause(&self, paused: bool) {
        self.0.pause(paused);
    }

    pub fn leave(&self) {
        self.0.leave(true);
    }
}

/// A producer that is watched, and so can be closed from outside.
pub fn watched<T>(queue: &IterableQueue<T>) -> Producer<T> {
    Producer::open(queue.shared(), None, true).expect("the queue is open")
}

/// What the watch does with the producers of an actor that died.
pub fn close_from_outside<T>(queue: &IterableQueue<T>, producer: &Producer<T>) {
    queue.shared().close_endpoints(&[Arc::clone(producer.endpoint())]);
}

/// Begins a shutdown whose grace has no end.
pub fn shut_down<T>(queue: &IterableQueue<T>) {
    queue.shared().shut_down();
}

/// What the watch does with the consumers of an actor that died; all clones of this one.
pub fn shut_consumer<T>(queue: &WeakQueue<T>, shut: &Shut) {
    queue.shared.shut_consumers([&*shut.0]);
}

/// Names a consumer and its clones to the watch.
#[derive(Clone)]
pub struct Shut(Arc<crate::sync::atomic::AtomicBool>);

impl Shut {
    pub fn of<T>(consumer: &Consumer<T>) -> Self {
        Self(Arc::clone(&consumer.slot().row.shut))
    }
}
