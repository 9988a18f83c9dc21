//! Threads that work on a queue's items with a function.

use std::fmt;
use std::future::poll_fn;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use super::block::{Operation, block_without_limit};
use super::consumer::Consumer;
use super::line_wait::LineWait;
use super::open::PoolClaim;
use crate::error::{Death, PoolError};
use crate::lock::lock;
use crate::one_line::OneLine;
use crate::queue::{
    IntoVerdict, Item, IterableQueue, Line, PoolReport, Shared, WorkerReport, WorkerTally, count, drop_quietly,
};
use crate::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use crate::sync::thread::{self, JoinHandle};
use crate::sync::{self, Mutex};

/// Threads that share the items of a queue, and work on them with a function.
///
/// Returned by [`spawn_workers`](IterableQueue::spawn_workers). Neither actix nor a runtime is needed.
///
/// Dropping it lets the threads go on by themselves, as dropping a [`JoinHandle`](std::thread::JoinHandle) does. It does
/// not keep the queue from sealing itself.
#[must_use = "the threads end with the process: call join() before that"]
pub struct WorkerThreads<T> {
    crew: Arc<Crew<T>>,
    threads: Vec<JoinHandle<()>>,
}

/// What the threads share with their handle.
struct Crew<T> {
    queue: Arc<Shared<T>>,
    /// By the worker's index.
    tallies: Vec<Mutex<WorkerTally>>,
    /// How many threads have not ended.
    running: AtomicUsize,
}

impl<T: Send + 'static> IterableQueue<T> {
    /// Starts threads that work on the items, each on one item at a time.
    ///
    /// What the function returns decides what becomes of the item: `()` and `Ok(())` ack it, `Err` is a failed attempt, and
    /// a [`Verdict`](crate::Verdict) says all else. A panic costs the item an attempt, the dead letter has its message, and
    /// the thread goes on with the next item. The log warns of a worker's first, second, fourth, eighth … panic.
    ///
    /// The threads end when the queue has, however it ended; the function is dropped with the last of them. So it may hold
    /// the producer of a second queue, and that queue ends after this one. In snapshots and blockers the workers are
    /// `worker-0`, `worker-1` and so on, and the threads are named after the queue and these.
    ///
    /// To put into the same queue, the function uses [`put_child`](Item::put_child): with a producer, all threads may come
    /// to wait for room that only they could make.
    ///
    /// [`WorkerPool`](crate::WorkerPool) has workers that can be resized, paused and told to leave, and restarts them. It
    /// needs actix.
    ///
    /// # Errors
    ///
    /// [`PoolError::Sealed`] and [`PoolError::Ended`] as [`consumer`](IterableQueue::consumer), [`PoolError::Thread`] if a
    /// thread cannot be started. Then none runs, and the queue is as before.
    ///
    /// # Panics
    ///
    /// If `threads` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::prelude::*;
    ///
    /// fn send(mail: &str) -> Result<(), std::io::Error> {
    ///     println!("sending {mail}");
    ///     Ok(())
    /// }
    ///
    /// let queue = IterableQueue::bounded(100);
    /// let workers = queue.spawn_workers(4, |mail: &Item<String>| send(mail))?;
    /// queue.producer()?.blocking_put_all(["a", "b", "c"].map(String::from))?;
    /// queue.seal();
    /// assert_eq!(workers.join().totals.acked, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "work_on_threads")]
    #[doc(alias = "thread_pool")]
    #[track_caller]
    pub fn spawn_workers<R, F>(&self, threads: usize, work: F) -> Result<WorkerThreads<T>, PoolError>
    where
        F: Fn(&Item<T>) -> R + Send + Sync + 'static,
        R: IntoVerdict,
    {
        assert!(threads > 0, "IterableQueue::spawn_workers: 0 threads: give at least 1");
        let claim = PoolClaim::on(Arc::clone(self.shared()))?;
        let crew = Arc::new(Crew::new(claim.shared(), threads));
        let work = sync::Arc::new(work);
        // Locked until all threads have started. Each begins by taking its consumer from here, and ends if there is none.
        let consumers = Arc::new(Mutex::new(Vec::new()));
        let mut not_yet = lock(&consumers);
        let mut handles = Vec::with_capacity(threads);
        for index in 0..threads {
            let (crew, work, consumers) = (Arc::clone(&crew), sync::Arc::clone(&work), Arc::clone(&consumers));
            let builder = thread::Builder::new().name(crew.thread_name(index));
            let spawned = builder.spawn(move || {
                let _running = Running(&crew);
                let consumer = lock(&consumers).get_mut(index).and_then(Option::take);
                if let Some(consumer) = consumer {
                    crew.work(index, consumer, &*work);
                }
                drop_quietly(work);
            });
            match spawned {
                Ok(handle) => handles.push(handle),
                Err(error) => {
                    drop(not_yet);
                    join(handles);
                    return Err(PoolError::Thread(error));
                }
            }
        }
        not_yet.extend((0..threads).map(|index| Some(crew.open(index, &claim))));
        drop(not_yet);
        Ok(WorkerThreads { crew, threads: handles })
    }
}

impl<T> WorkerThreads<T> {
    /// Waits until the queue has ended and all threads, too.
    ///
    /// The report says in `drained.outcome` how the queue ended, and what each worker did. The function must not wait here:
    /// its thread would wait for itself.
    ///
    /// # Panics
    ///
    /// If it would have to wait on the thread of an actix arbiter: use [`drained`](WorkerThreads::drained). The threads go
    /// on.
    #[track_caller]
    pub fn join(self) -> PoolReport {
        let report =
            self.crew.report().unwrap_or_else(|| block_without_limit(&mut self.crew.end(), "use drained().await"));
        // They have nothing left to run but the destructors of their thread-locals.
        join(self.threads);
        report
    }

    /// Waits until the queue has ended and the threads are done with it, and returns what [`join`](WorkerThreads::join)
    /// does.
    ///
    /// The future borrows nothing, and any number of tasks may wait.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub fn drained(&self) -> impl Future<Output = PoolReport> + use<T> {
        let crew = Arc::clone(&self.crew);
        async move {
            let mut end = crew.end();
            poll_fn(|cx| end.wait(cx)).await
        }
    }

    /// Returns whether the queue has ended and the threads are done with it. Then [`join`](WorkerThreads::join) need not
    /// wait.
    pub fn is_finished(&self) -> bool {
        self.crew.report().is_some()
    }

    /// Returns what each worker has done so far.
    pub fn workers(&self) -> Vec<WorkerReport> {
        self.crew.workers()
    }
}

// It reads what the threads have counted, and waits for them: a panic leaves nothing half done.
impl<T> UnwindSafe for WorkerThreads<T> {}
impl<T> RefUnwindSafe for WorkerThreads<T> {}

impl<T> fmt::Debug for WorkerThreads<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerThreads")
            .field("queue", &self.crew.queue)
            .field("threads", &self.threads.len())
            .finish_non_exhaustive()
    }
}

impl<T> Crew<T> {
    fn new(queue: &Arc<Shared<T>>, threads: usize) -> Self {
        let tallies = (0..threads).map(|index| Mutex::new(WorkerTally::new(worker_name(index)))).collect();
        Self { queue: Arc::clone(queue), tallies, running: AtomicUsize::new(threads) }
    }

    fn thread_name(&self, index: usize) -> String {
        let worker = worker_name(index);
        match &self.queue.name {
            // A thread's name must not have a NUL.
            Some(name) => format!("{} {worker}", OneLine(name)),
            None => format!("{} {worker}", self.queue.id),
        }
    }

    fn open(&self, index: usize, claim: &PoolClaim<T>) -> Consumer<T> {
        let consumer = claim.consumer(&worker_name(index));
        lock(&self.tallies[index]).add_run(Arc::clone(&consumer.slot().row));
        consumer
    }

    fn workers(&self) -> Vec<WorkerReport> {
        self.tallies.iter().map(|tally| lock(tally).report()).collect()
    }

    /// `None` before the end.
    fn report(&self) -> Option<PoolReport> {
        if self.running.load(SeqCst) > 0 {
            return None;
        }
        self.queue.ended().map(|drained| PoolReport::new(drained, self.workers()))
    }

    /// Waits for the end. The queue's end wakes the line, and so does the last thread.
    fn end(&self) -> impl Operation<Output = PoolReport> {
        LineWait::new(&self.queue, Line::Watchers, |_| self.report())
    }
}

impl<T: Send + 'static> Crew<T> {
    /// Works on items until the queue has ended.
    fn work<R: IntoVerdict>(&self, index: usize, mut consumer: Consumer<T>, work: impl Fn(&Item<T>) -> R) {
        let slot = Arc::clone(consumer.slot());
        while let Some(item) = consumer.blocking_lease() {
            // The closure owns the item, so a panic drops it in there.
            let caught = slot.run_caught(|| {
                let verdict = work(&item).into_verdict();
                verdict.settle(item);
            });
            if let Err(panic) = caught {
                self.count_panic(index, panic);
            }
        }
    }

    fn count_panic(&self, index: usize, panic: String) {
        let text = OneLine(&panic).to_string();
        let panics = lock(&self.tallies[index]).count_death(Death::Panicked(panic));
        // An item may panic as often as it has attempts, and there may be any number of such items.
        if panics.is_power_of_two() {
            let times = count(panics, "panic");
            let (queue, worker) = (self.queue.label(), worker_name(index));
            log::warn!("{queue}: {worker} panicked: {text}; it goes on with the next item ({times} so far)");
        }
    }
}

/// Counts a thread as running until it is dropped.
struct Running<'a, T>(&'a Crew<T>);

impl<T> Drop for Running<'_, T> {
    fn drop(&mut self) {
        if self.0.running.fetch_sub(1, SeqCst) == 1 {
            self.0.queue.notify_all(Line::Watchers);
        }
    }
}

fn worker_name(index: usize) -> String {
    format!("worker-{index}")
}

/// Joins threads that are about to end.
fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        // The function's panics are caught, and a destructor's was reported by the panic hook.
        let _ = thread.join();
    }
}
