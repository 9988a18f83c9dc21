//! Whether all went well, and how a `main` returns it.

use std::fmt;
use std::process::{ExitCode, Termination};

use crate::queue::ids::label;
use crate::queue::report::snapshot::{Drained, Outcome};
use crate::queue::report::units::count;
use crate::queue::report::workers::PoolReport;

impl Drained {
    /// Returns whether all went well: the queue was drained, no item was given up or discarded, and no producer was lost
    /// with its process.
    ///
    /// An item whose [dead letter was retried](crate::IterableQueue::retry_dead_letters) counts by what became of it then;
    /// one whose letter was discarded, or read, stays given up. A retried letter of another queue, or over Redis of an earlier one,
    /// counts as if it were of this one. An item that a put did not accept is in no total.
    ///
    /// # Examples
    ///
    /// A `main` may return a `Drained`, alone or as the `Ok` of a `Result`. If all went well, the program succeeds. If not, it
    /// prints what became of the items, and fails with exit code 1.
    ///
    /// ```no_run
    /// use actix_iterable_queue::{Drained, IterableQueue};
    ///
    /// fn main() -> Result<Drained, Box<dyn std::error::Error>> {
    ///     let queue = IterableQueue::unbounded();
    ///     let consumer = queue.consumer()?;
    ///     queue.producer()?.try_put("mail")?;
    ///     queue.seal();
    ///     for mail in consumer.into_blocking_leases() {
    ///         mail.reject("no such address");
    ///     }
    ///     Ok(queue.blocking_drained()) // prints: queue-1: Complete; of 1 item 0 acked, 0 taken, 1 dead-lettered, 0 discarded
    /// }
    /// ```
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let totals = &self.totals;
        let given_up = totals.dead_lettered - totals.retried.min(totals.dead_lettered);
        self.outcome == Outcome::Complete && (given_up, totals.discarded, totals.lost_producers) == (0, 0, 0)
    }
}

/// Prints on one line how the queue ended, and what became of its items. Retried dead letters are named if there are any: they
/// are among the dead-lettered, and their items count as accepted once more.
impl fmt::Display for Drained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (label, totals) = (label(self.name.as_deref(), self.queue), &self.totals);
        write!(
            f,
            "{label}: {:?}; of {} {} acked, {} taken, {} dead-lettered, {} discarded",
            self.outcome,
            count(totals.accepted, "item"),
            totals.acked,
            totals.taken,
            totals.dead_lettered,
            totals.discarded
        )?;
        if totals.retried > 0 {
            write!(f, ", {} retried", count(totals.retried, "dead letter"))?;
        }
        match totals.lost_producers {
            0 => Ok(()),
            lost => write!(f, "; {} lost", count(lost, "producer")),
        }
    }
}

/// Succeeds if [all went well](Drained::is_clean). If not, it says on the standard error what became of the items.
impl Termination for Drained {
    fn report(self) -> ExitCode {
        if self.is_clean() {
            return ExitCode::SUCCESS;
        }
        eprintln!("{self}");
        ExitCode::FAILURE
    }
}

impl PoolReport {
    /// Returns whether [all went well](Drained::is_clean) with the queue. Workers may have died on the way.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.drained.is_clean()
    }
}

/// Prints on one line how the queue ended and what became of its items, as [`Drained`] does, and what the workers did. How a
/// pool grew and shrank is in the lines of [`scaling`](PoolReport::scaling).
///
/// # Examples
///
/// ```
/// use actix_iterable_queue::prelude::*;
///
/// let queue = IterableQueue::builder().name("mails").build()?;
/// let workers = queue.spawn_workers(2, |mail: &Item<&str>| match mail.contains('@') {
///     true => Verdict::Ack,
///     false => Verdict::Reject("no address".to_owned()),
/// })?;
/// queue.producer()?.blocking_put_all(["a@b.example", "nobody"])?;
/// queue.seal();
/// let report = workers.join().to_string();
/// assert!(report.ends_with(
///     ": Complete; of 2 items 1 acked, 0 taken, 1 dead-lettered, 0 discarded; \
///      2 workers: 1 acked, 0 taken, 1 given back or rejected"
/// ));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl fmt::Display for PoolReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (workers, totals) = (count(self.workers.len() as u64, "worker"), &self.totals);
        write!(
            f,
            "{}; {workers}: {} acked, {} taken, {} given back or rejected",
            self.drained, totals.acked, totals.taken, totals.failed
        )?;
        if totals.timed_out > 0 {
            write!(f, ", {} timed out", count(totals.timed_out, "handler"))?;
        }
        if totals.deaths > 0 {
            write!(f, ", {}", count(totals.deaths, "death"))?;
        }
        Ok(())
    }
}

/// Succeeds if [all went well](PoolReport::is_clean). If not, it says on the standard error what became of the items.
///
/// # Examples
///
/// ```
/// use actix_iterable_queue::prelude::*;
///
/// #[actix::main]
/// async fn main() -> Result<PoolReport, Box<dyn std::error::Error>> {
///     let queue = IterableQueue::bounded(100);
///     let pool = WorkerPool::builder(&queue).workers(2).run(|n: &Item<u32>| assert!(**n < 100))?;
///     queue.producer()?.put_all(0..100).await?;
///     queue.seal();
///     Ok(pool.drained().await?)
/// }
/// ```
impl Termination for PoolReport {
    fn report(self) -> ExitCode {
        self.drained.report()
    }
}
