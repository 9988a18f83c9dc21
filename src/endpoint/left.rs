//! What comes back after the end of a queue, and who may ask for it.

use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::time::Duration;

use super::block::{Limit, Operation, block, block_without_limit};
use super::line_wait::LineWait;
use crate::queue::{IterableQueue, Line, Shared};
use crate::sync::Instant;

const INSTEAD: &str = "use settled().await";

impl<T> IterableQueue<T> {
    /// Takes the items that were left at the end of the queue or came back after it, and that no call has returned yet.
    ///
    /// After an abort, or a shutdown whose grace ended, consumers may still hold items. What they ack is done. What they fail,
    /// release, reject or drop is kept for this call, in the order in which it comes back, until the last handle of the queue
    /// and of its pools is dropped. Await [`settled`](IterableQueue::settled) first, to get all of them. Each item is returned
    /// once; before the end there is nothing.
    ///
    /// While an item is kept it is not dropped: a task that waits for an answer through a channel in the item goes on
    /// waiting. An item that holds a handle of its own queue is kept until it is taken.
    ///
    /// Over Redis, what consumers of this process give back does not come back here. After a shutdown it goes to the other
    /// processes, and after an abort it counts as discarded, as all that is in Redis does.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::IterableQueue;
    ///
    /// # actix_rt::System::new().block_on(async {
    /// let queue = IterableQueue::unbounded();
    /// let (producer, mut consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.put_all(["a", "b", "c"]).await?;
    /// let (done, failed) = (consumer.try_lease()?, consumer.try_lease()?);
    ///
    /// let mut left = queue.abort(); // what no consumer was handed
    /// assert_eq!(left, ["c"]);
    /// done.ack();
    /// failed.fail("the other side hung up");
    /// queue.settled().await;
    /// left.extend(queue.take_left());
    /// assert_eq!(left, ["c", "b"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[must_use = "the items are in here only: drop them if they are not needed"]
    pub fn take_left(&self) -> Vec<T> {
        self.shared().take_left()
    }

    /// Waits until the queue has ended and no consumer holds an item any more.
    ///
    /// After a drained queue's end that is so at once. After an abort, or a shutdown whose grace ended, it waits for what
    /// consumers still hold; then [`take_left`](IterableQueue::take_left) returns what they did not finish. A consumer that
    /// never settles its item keeps it waiting, so give it a limit, for example with `tokio::time::timeout`.
    ///
    /// The future borrows nothing and does not keep the queue unsealed. Over Redis it waits for the consumers of this process.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    ///
    /// # Examples
    ///
    /// See [`take_left`](IterableQueue::take_left).
    pub fn settled(&self) -> impl Future<Output = ()> + use<T> {
        let shared = Arc::clone(self.shared());
        async move { settled(&shared).await }
    }

    /// Waits as [`settled`](IterableQueue::settled) does. The thread is blocked meanwhile.
    ///
    /// # Panics
    ///
    /// If it would have to wait on the thread of an actix arbiter.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::IterableQueue;
    /// use std::thread;
    ///
    /// let queue = IterableQueue::unbounded();
    /// let (producer, mut consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.try_put("work")?;
    /// let item = consumer.try_lease()?;
    /// assert!(queue.abort().is_empty());
    /// thread::spawn(move || item.reject("too late"));
    /// queue.blocking_settled();
    /// assert_eq!(queue.take_left(), ["work"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn blocking_settled(&self) {
        let mut settling = settling(self.shared());
        settling.attempt().unwrap_or_else(|| block_without_limit(&mut settling, INSTEAD));
    }

    /// Waits as [`settled`](IterableQueue::settled) does, or until the timeout. Returns whether no consumer holds an item any
    /// more. With a timeout of zero it does not wait.
    ///
    /// # Panics
    ///
    /// If it would have to wait on the thread of an actix arbiter.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// # use std::time::Duration;
    /// let queue = IterableQueue::<u8>::unbounded();
    /// let mut left = queue.abort();
    /// if !queue.blocking_settled_timeout(Duration::from_secs(5)) {
    ///     eprintln!("still at work: {}", queue.snapshot());
    /// }
    /// left.extend(queue.take_left()); // what has come back by now
    /// ```
    #[track_caller]
    pub fn blocking_settled_timeout(&self, timeout: Duration) -> bool {
        self.settled_within(Limit::For(timeout))
    }

    /// Waits as [`settled`](IterableQueue::settled) does, or until the deadline. Returns whether no consumer holds an item any
    /// more. If the deadline has passed, it does not wait.
    ///
    /// # Panics
    ///
    /// If it would have to wait on the thread of an actix arbiter.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// # use std::time::{Duration, Instant};
    /// let queues = [IterableQueue::<u8>::unbounded(), IterableQueue::unbounded()];
    /// let left: Vec<_> = queues.iter().flat_map(IterableQueue::abort).collect();
    /// let deadline = Instant::now() + Duration::from_secs(5); // for both together
    /// assert!(queues.iter().all(|queue| queue.blocking_settled_deadline(deadline)));
    /// # assert!(left.is_empty());
    /// ```
    #[track_caller]
    pub fn blocking_settled_deadline(&self, deadline: Instant) -> bool {
        self.settled_within(Limit::Until(deadline))
    }

    #[track_caller]
    fn settled_within(&self, limit: Limit) -> bool {
        let mut settling = settling(self.shared());
        settling.attempt().is_some() || block(&mut settling, limit, INSTEAD).is_some()
    }
}

/// Waits until the queue has ended and no consumer holds an item.
pub(crate) async fn settled<T>(shared: &Shared<T>) {
    let mut settling = settling(shared);
    poll_fn(|cx| settling.wait(cx)).await;
}

/// Returns an operation that waits until the queue has ended and no consumer holds an item.
fn settling<T>(shared: &Shared<T>) -> impl Operation<Output = ()> {
    LineWait::new(shared, Line::Watchers, |shared| shared.is_settled().then_some(()))
}

/// A right to ask for what is left after the end, beside the handles of the queue: a pool's, or a shutdown's. While there is
/// one, what comes back after the end is kept.
pub(crate) struct LeftClaim<T> {
    shared: Arc<Shared<T>>,
}

impl<T> LeftClaim<T> {
    pub(crate) fn on(shared: Arc<Shared<T>>) -> Self {
        shared.add_keeper();
        Self { shared }
    }

    pub(crate) fn shared(&self) -> &Shared<T> {
        &self.shared
    }
}

impl<T> Drop for LeftClaim<T> {
    fn drop(&mut self) {
        self.shared.close_keeper();
    }
}

impl<T> fmt::Debug for LeftClaim<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeftClaim").field("queue", &self.shared).finish()
    }
}
