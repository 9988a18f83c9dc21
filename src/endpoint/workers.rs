//! Threads that work on a queue's items with a function.

use std::fmt;
use std::future::poll_fn;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use super::block::{Operation, block_without_limit};
use super::crew::{Crew, Running};
use super::open::PoolClaim;
use crate::error::PoolError;
use crate::lock::lock;
use crate::queue::{IntoVerdict, Item, IterableQueue, PoolReport, WorkerReport, quietly};
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

impl<T: Send + 'static> IterableQueue<T> {
    /// Starts threads that work on the items, each on one item at a time.
    ///
    /// What the function returns decides what becomes of the item: `()` and `Ok(())` ack it, `Err` is a failed attempt, and
    /// a [`Verdict`](crate::Verdict) says all else. A panic costs the item an attempt, the dead letter has its message, and
    /// the thread goes on with the next item. The log warns of a worker's first, second, fourth, eighth … panic.
    ///
    /// The threads end when the queue has, however it ended; the last of them drops the function. So it may hold the
    /// producer of a second queue, and that queue ends after this one. In snapshots and blockers the workers are `worker-0`,
    /// `worker-1` and so on, and the threads have these names, too: `worker-0 of mails`.
    ///
    /// The number of threads is fixed. A [`WorkerPool`](crate::WorkerPool) may have a range of workers.
    ///
    /// To put into the same queue, the function uses [`put_child`](Item::put_child): with a producer, all threads may come
    /// to wait for room that only they could make.
    ///
    /// There is no restart limit, as a thread is never restarted: an item panics at most as often as it has attempts. A
    /// function that wants to give up calls [`abort`](IterableQueue::abort), on what a [`WeakQueue`](crate::WeakQueue)
    /// upgrades to as long as there is another handle of the queue. [`WorkerPool`](crate::WorkerPool) has such limits, and
    /// workers that can be resized, paused and told to leave. It needs actix.
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
        self.spawn_workers_with(threads, |_index| (), move |(), item| work(item))
    }

    /// Starts threads as [`spawn_workers`](IterableQueue::spawn_workers) does, with something that each makes for itself: a
    /// connection, a buffer.
    ///
    /// `init` is called with the worker's index, on the worker's thread. After a panic of the function what it made is
    /// dropped, and `init` is called again, unless the queue has ended. If `init` panics, no item has failed: the panic is
    /// counted, and `init` is called again after a pause, from 10 ms up to 10 s as it goes on panicking. What it made is
    /// dropped on the worker's thread before [`join`](WorkerThreads::join) returns.
    ///
    /// # Errors
    ///
    /// As [`spawn_workers`](IterableQueue::spawn_workers).
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
    /// let queue = IterableQueue::bounded(100);
    /// let workers = queue.spawn_workers_with(
    ///     2,
    ///     |_index| Vec::with_capacity(1024), // a buffer for each thread
    ///     |buffer, line: &Item<String>| {
    ///         buffer.clear();
    ///         buffer.extend_from_slice(line.as_bytes());
    ///     },
    /// )?;
    /// queue.producer()?.blocking_put("a line".to_owned())?;
    /// queue.seal();
    /// assert_eq!(workers.join().totals.acked, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn spawn_workers_with<S, R, I, F>(
        &self,
        threads: usize,
        init: I,
        work: F,
    ) -> Result<WorkerThreads<T>, PoolError>
    where
        I: Fn(usize) -> S + Send + Sync + 'static,
        F: Fn(&mut S, &Item<T>) -> R + Send + Sync + 'static,
        R: IntoVerdict,
    {
        assert!(threads > 0, "IterableQueue::spawn_workers: 0 threads: give at least 1");
        let claim = PoolClaim::on(Arc::clone(self.shared()))?;
        let crew = Arc::new(Crew::new(claim.shared(), threads));
        let functions = sync::Arc::new((init, work));
        // Locked until all threads have started. Each begins by taking its consumer from here, and ends if there is none.
        let consumers = Arc::new(Mutex::new(Vec::new()));
        let mut not_yet = lock(&consumers);
        let mut handles = Vec::with_capacity(threads);
        for index in 0..threads {
            let (crew, functions, consumers) =
                (Arc::clone(&crew), sync::Arc::clone(&functions), Arc::clone(&consumers));
            let builder = thread::Builder::new().name(crew.thread_name(index));
            let spawned = builder.spawn(move || {
                let _running = Running(&crew);
                let consumer = lock(&consumers).get_mut(index).and_then(Option::take);
                if let Some(consumer) = consumer {
                    crew.work(index, consumer, &functions.0, &functions.1);
                }
                quietly("the drop of a worker's functions", || drop(functions));
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
        // A thread is to drop it last: here a panic of its drop would cost the caller the handle.
        drop(functions);
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

/// Joins threads that are about to end.
fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        // The function's panics are caught, and a destructor's was reported by the panic hook.
        let _ = thread.join();
    }
}
