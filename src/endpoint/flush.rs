//! Waiting until the other processes know what this one has done.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::time::Duration;

use super::block::{Limit, Operation, block};
use super::line_wait::LineWait;
use crate::queue::{IterableQueue, Line, Mark, Shared};
use crate::sync::Instant;

impl<T> IterableQueue<T> {
    /// Waits until Redis knows everything that this process did before this call: what it put, settled, opened, closed,
    /// sealed or aborted.
    ///
    /// Call it in a program that ends right after [`seal`](IterableQueue::seal), [`abort`](IterableQueue::abort), an ack or
    /// a `try_put`: otherwise the program may end before Redis hears of that. After `abort()` it is done once Redis has
    /// ended the queue and told the other processes. It is also done when Redis can never hear of it, because the queue has
    /// ended, or this process has left it or given it up. While Redis does not answer, or does not have the queue, it
    /// waits. In memory it is done at once.
    ///
    /// It does not wait for work: items may still wait in the queue, or be held. Nor does it wait for what became of dead
    /// letters, which are a queue of their own: a letter may be read again if the process ends just after its ack. The
    /// future borrows nothing and does not keep the queue unsealed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing: Redis is told anyway.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::IterableQueue;
    ///
    /// # actix_rt::System::new().block_on(async {
    /// let queue = IterableQueue::unbounded(); // or connected to Redis
    /// let (producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.try_put("the last one")?;
    /// drop(producer);
    /// queue.seal();
    /// queue.flush().await; // now this process may end
    /// # drop(consumer);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn flush(&self) -> impl Future<Output = ()> + use<T> {
        let shared = Arc::clone(self.shared());
        let mark = shared.store.mark();
        async move { known(&shared, mark).await }
    }

    /// Waits as [`flush`](IterableQueue::flush) does. The thread is blocked meanwhile.
    ///
    /// # Panics
    ///
    /// If it would have to wait on the thread of an actix arbiter.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::IterableQueue;
    /// let queue = IterableQueue::<u8>::unbounded();
    /// drop(queue.abort());
    /// queue.blocking_flush(); // now the others know
    /// ```
    #[track_caller]
    pub fn blocking_flush(&self) {
        self.flush_within(Limit::Endless);
    }

    /// Waits as [`flush`](IterableQueue::flush) does, or until the timeout. Returns whether Redis knows everything. With a
    /// timeout of zero it does not wait.
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
    /// queue.seal();
    /// if !queue.blocking_flush_timeout(Duration::from_secs(5)) {
    ///     eprintln!("the others may not know that the queue is sealed");
    /// }
    /// ```
    #[track_caller]
    pub fn blocking_flush_timeout(&self, timeout: Duration) -> bool {
        self.flush_within(Limit::For(timeout))
    }

    /// Waits as [`flush`](IterableQueue::flush) does, or until the deadline. Returns whether Redis knows everything. If the
    /// deadline has passed, it does not wait.
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
    /// let deadline = Instant::now() + Duration::from_secs(5); // for both together
    /// assert!(queues.iter().all(|queue| queue.blocking_flush_deadline(deadline)));
    /// ```
    #[track_caller]
    pub fn blocking_flush_deadline(&self, deadline: Instant) -> bool {
        self.flush_within(Limit::Until(deadline))
    }

    #[track_caller]
    fn flush_within(&self, limit: Limit) -> bool {
        let shared = self.shared();
        blocking_known(shared, shared.store.mark(), limit, "use flush().await")
    }
}

/// Returns a mark of what became of the leases that ended in this process until now.
pub(super) fn mark_of_settles<T>(shared: &Shared<T>) -> Option<Mark> {
    shared.store.mark().map(|mark| Mark { puts: 0, changes: 0, ..mark })
}

/// Waits until everything up to the mark is known elsewhere.
pub(super) async fn known<T>(shared: &Shared<T>, mark: Option<Mark>) {
    let Some(mark) = mark else { return };
    let mut flushing = flushing(shared, mark);
    if flushing.attempt().is_none() {
        poll_fn(|cx| flushing.wait(cx)).await;
    }
}

/// Waits on this thread as [`known`] does.
#[track_caller]
pub(super) fn blocking_known<T>(shared: &Shared<T>, mark: Option<Mark>, limit: Limit, instead: &str) -> bool {
    let Some(mark) = mark else { return true };
    let mut flushing = flushing(shared, mark);
    flushing.attempt().is_some() || block(&mut flushing, limit, instead).is_some()
}

/// Returns an operation that waits until everything up to the mark is known elsewhere.
fn flushing<T>(shared: &Shared<T>, mark: Mark) -> impl Operation<Output = ()> {
    LineWait::new(shared, Line::Flushers, move |shared| shared.store.is_known(mark).then_some(()))
}
