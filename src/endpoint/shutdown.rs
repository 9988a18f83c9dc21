//! Shutdown: an orderly end within a given time.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::channel::oneshot;

use super::block::Limit;
use super::blocking::await_end;
use super::left::LeftClaim;
use crate::queue::{IterableQueue, Shared, ShutdownReport, drained};
use crate::sync::{Instant, thread};

impl<T: Send + 'static> IterableQueue<T> {
    /// Seals the queue, refuses all further puts (waiting ones get their item back), lets consumers finish what was accepted,
    /// and aborts when the grace is over.
    ///
    /// The report has the items that no consumer had been handed. What consumers still hold when the grace is over,
    /// [`take_left`](IterableQueue::take_left) returns once they have given it back.
    ///
    /// The shutdown begins with the call; the future only waits for the report. A thread keeps the time, so it works with
    /// and without a runtime. If no thread can be started, which is logged as an error, the future keeps the time: the grace
    /// then ends only while the future is polled, and it wakes itself every millisecond.
    ///
    /// Over Redis only this process leaves, and the queue goes on elsewhere: items that no consumer of this process was
    /// handed go back at once, and the outcome is [`Left`](crate::Outcome::Left).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not stop the shutdown. It drops the report, and with it the items that were left. If no
    /// thread could be started, the grace then has no end: the queue stays sealed, refuses puts, and ends when its items are
    /// settled.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::{IterableQueue, Outcome};
    /// use std::time::Duration;
    ///
    /// # actix_rt::System::new().block_on(async {
    /// let queue = IterableQueue::unbounded();
    /// let (producer, _idle) = (queue.producer()?, queue.consumer()?);
    /// producer.put_all(["a", "b"]).await?;
    /// let report = queue.shutdown(Duration::from_millis(10)).await;
    /// assert_eq!(report.drained.outcome, Outcome::Aborted);
    /// assert_eq!(report.left, ["a", "b"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn shutdown(&self, grace: Duration) -> impl Future<Output = ShutdownReport<T>> + use<T> {
        shutdown(Arc::clone(self.shared()), grace)
    }
}

impl<T> IterableQueue<T> {
    /// Shuts the queue down as [`shutdown`](IterableQueue::shutdown) does. The thread waits until the queue has ended, or
    /// the grace is over.
    ///
    /// # Panics
    ///
    /// If it would have to wait on the thread of an actix arbiter. The queue is shutting down all the same, without an end
    /// of its grace.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::{IterableQueue, Outcome};
    /// use std::time::Duration;
    ///
    /// let queue = IterableQueue::unbounded();
    /// let (producer, _idle) = (queue.producer()?, queue.consumer()?);
    /// producer.blocking_put_all(["a", "b"])?;
    /// let report = queue.blocking_shutdown(Duration::from_millis(10));
    /// assert_eq!(report.drained.outcome, Outcome::Aborted);
    /// assert_eq!(report.left, ["a", "b"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn blocking_shutdown(&self, grace: Duration) -> ShutdownReport<T> {
        self.shared().shut_down();
        finish(self.shared(), Some(grace))
    }
}

/// Begins the shutdown. The future waits for its report.
pub(crate) fn shutdown<T: Send + 'static>(
    shared: Arc<Shared<T>>,
    grace: Duration,
) -> impl Future<Output = ShutdownReport<T>> + use<T> {
    // Until the report is made, it may be the only one that asks for what is left.
    let claim = Arc::new(LeftClaim::on(Arc::clone(&shared)));
    shared.shut_down();
    let (done, report) = oneshot::channel();
    let timer = thread::Builder::new().name("queue-shutdown".to_owned());
    let spawned = timer.spawn({
        let claim = Arc::clone(&claim);
        move || {
            // If its future was dropped, the report is dropped here, with the items.
            drop(done.send(finish(claim.shared(), Some(grace))));
        }
    });
    let keeps_time = spawned.is_err().then(|| Instant::now().checked_add(grace));
    if let Err(error) = spawned {
        log::error!(
            "{}: no thread could be started for the grace of a shutdown, so its future keeps the time: {error}",
            shared.label()
        );
    }
    async move {
        if let Some(deadline) = keeps_time {
            poll_for_the_end(&shared, deadline).await;
        }
        match report.await {
            Ok(report) => report,
            Err(oneshot::Canceled) => finish(claim.shared(), None),
        }
    }
}

/// Waits until the queue has ended or the grace is over, without a thread that keeps the time: each poll sleeps for a
/// moment and wakes its task. In between, the executor runs the other tasks of this thread.
///
/// There is no deadline if the grace is too long for a point in time.
async fn poll_for_the_end<T>(shared: &Arc<Shared<T>>, deadline: Option<Instant>) {
    let mut end = pin!(drained(shared));
    poll_fn(|cx| {
        let left = deadline.map(|deadline| deadline.checked_duration_since(Instant::now()));
        if end.as_mut().poll(cx).is_ready() || matches!(left, Some(None | Some(Duration::ZERO))) {
            return Poll::Ready(());
        }
        if deadline.is_some() {
            thread::park_timeout(NAP);
            // Woken after the sleep, which may have used up an unpark of this thread.
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await;
}

/// Short enough for an arbiter, and long enough not to keep its core busy.
const NAP: Duration = Duration::from_millis(1);

/// Waits until the queue has ended. When the grace is over, aborts it.
#[track_caller]
fn finish<T>(shared: &Shared<T>, grace: Option<Duration>) -> ShutdownReport<T> {
    let in_time = match grace {
        Some(grace) => await_end(shared, Limit::For(grace), "use shutdown(grace).await"),
        None => None,
    };
    // The queue may end between the two calls: then there is nothing to abort, but the end may have left items.
    let (mut left, holders) = if in_time.is_some() { (Vec::new(), Vec::new()) } else { shared.abort_with_holders() };
    left.append(&mut shared.take_left());
    let drained = in_time.or_else(|| shared.ended()).unwrap_or_else(|| unreachable!("abort ends the queue"));
    ShutdownReport { drained, left, holders }
}

#[cfg(test)]
mod tests {
    use super::finish;
    use crate::queue::{IterableQueue, Outcome};

    /// The grace is over, but before the abort the last consumer goes, and that ends the queue.
    #[test]
    fn d7_what_is_left_is_reported_also_if_the_last_consumer_goes_as_the_grace_ends() {
        let queue = IterableQueue::unbounded();
        let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.try_put("left").unwrap();
        queue.shared().shut_down();
        drop(consumer);
        let report = finish(queue.shared(), None);
        assert_eq!((report.drained.outcome, report.left), (Outcome::Abandoned, vec!["left"]));
    }
}
