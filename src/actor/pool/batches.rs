//! Pools whose workers are handed batches.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context, Handler, ResponseFuture};

use super::builder::WorkerPoolBuilder;
use super::function::{AsyncFunctionWorker, FunctionWorker};
use super::handle::WorkerPool;
use crate::actor::handout::InBatches;
use crate::endpoint::assert_max;
use crate::error::PoolError;
use crate::queue::{Batch, Drained, IntoVerdicts, Item};

impl<T> WorkerPoolBuilder<T> {
    /// Hands the workers up to `max` items at a time, as a [`Batch`](crate::Batch).
    ///
    /// This comes after all settings: what it returns has none, such as `workers`. It starts the pool with
    /// [`run`](BatchPoolBuilder::run), [`start`](BatchPoolBuilder::start), or one of their kin.
    ///
    /// A worker waits for the first item, and then for others until `linger` has passed, or no more can come: as
    /// [`lease_batch`](crate::Consumer::lease_batch) does. If it is paused or told to leave meanwhile, it gives back what it
    /// has gathered, and no attempt is counted.
    ///
    /// A worker begins a batch only if it may hold a full one beside what it holds already. So it has one batch at a time,
    /// unless [`max_in_flight`](WorkerPoolBuilder::max_in_flight), which counts items, has room for several: then the handlers
    /// of the worker may work on several batches at a time, if they return futures. What a worker gathers counts as held: give
    /// [`stuck_after`](WorkerPoolBuilder::stuck_after) a time that is longer than `linger`.
    ///
    /// # Panics
    ///
    /// If `max` is 0, or greater than the `max_in_flight` that was set: such a batch could never be full.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::prelude::*;
    /// use std::time::Duration;
    ///
    /// fn insert(rows: &[Item<u32>]) -> Result<(), std::io::Error> {
    ///     println!("inserting {} rows in one transaction", rows.len());
    ///     Ok(())
    /// }
    ///
    /// #[actix::main]
    /// async fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     let queue = IterableQueue::bounded(1000);
    ///     let pool = WorkerPool::builder(&queue).workers(2).batch(100, Duration::from_millis(20)).run(insert)?;
    ///     queue.producer()?.put_all(0..1000).await?;
    ///     queue.seal();
    ///     assert_eq!(pool.drained().await?.totals.acked, 1000);
    ///     Ok(())
    /// }
    /// ```
    #[track_caller]
    pub fn batch(self, max: usize, linger: Duration) -> BatchPoolBuilder<T> {
        assert_max("WorkerPoolBuilder::batch", max);
        if let Some(limit) = self.settings.max_in_flight {
            assert!(
                max <= limit,
                "WorkerPoolBuilder::batch: a batch of {max} items exceeds max_in_flight, which is {limit}: raise that, or do \
                 not set it"
            );
        }
        BatchPoolBuilder { builder: self, handout: InBatches { max, linger } }
    }
}

/// Describes a pool whose workers are handed batches, before it is started. Returned by [`WorkerPoolBuilder::batch`].
#[derive(Debug)]
#[must_use = "a pool does nothing before it is started"]
pub struct BatchPoolBuilder<T> {
    pub(super) builder: WorkerPoolBuilder<T>,
    pub(super) handout: InBatches,
}

impl<T: Send + 'static> BatchPoolBuilder<T> {
    /// Starts the pool with actors that handle [`Batch`], as [`WorkerPoolBuilder::start`] does with those that handle
    /// [`Item`]. The handler settles the batch, or its members one by one.
    ///
    /// # Errors
    ///
    /// As [`WorkerPoolBuilder::start`].
    ///
    /// # Examples
    ///
    /// ```
    /// use actix::prelude::*;
    /// use actix_iterable_queue::prelude::*;
    /// use std::time::Duration;
    ///
    /// struct Inserter;
    ///
    /// impl Actor for Inserter {
    ///     type Context = Context<Self>;
    /// }
    ///
    /// impl Handler<Batch<u32>> for Inserter {
    ///     type Result = (); // or ResponseFuture<()>, ResponseActFuture<Self, ()>
    ///
    ///     fn handle(&mut self, rows: Batch<u32>, _: &mut Self::Context) {
    ///         println!("inserting {} rows", rows.len());
    ///         rows.ack(); // or fail("busy"), retry_after(…), release(), reject("no such table")
    ///     }
    /// }
    ///
    /// impl Handler<Drained> for Inserter {
    ///     type Result = ();
    ///
    ///     fn handle(&mut self, _: Drained, _: &mut Self::Context) {}
    /// }
    ///
    /// # System::new().block_on(async {
    /// let queue = IterableQueue::bounded(1000);
    /// let pool = WorkerPool::builder(&queue).batch(100, Duration::from_millis(20)).start(|_index| Inserter)?;
    /// queue.producer()?.put_all(0..250).await?;
    /// queue.seal();
    /// assert_eq!(pool.drained().await?.totals.acked, 250);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn start<A, F>(self, factory: F) -> Result<WorkerPool<T>, PoolError>
    where
        A: Actor<Context = Context<A>> + Handler<Batch<T>> + Handler<Drained>,
        F: Fn(usize) -> A + Send + Sync + 'static,
    {
        self.builder.launch(self.handout, factory)
    }

    /// Starts the pool with a function that works on batches.
    ///
    /// The pool keeps the leases and lends the members. What the function returns decides: `()`, a `Result` or a
    /// [`Verdict`](crate::Verdict) for all members, or a vector with one for each, in order ([`IntoVerdicts`]). A vector of
    /// another length than the batch acks nothing: all members fail. A panic is the death of the worker, and costs each
    /// member an attempt.
    ///
    /// All else is as with [`WorkerPoolBuilder::run`].
    ///
    /// # Errors
    ///
    /// As [`WorkerPoolBuilder::start`].
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::{Verdict, prelude::*};
    /// use std::time::Duration;
    ///
    /// /// Sends all mails over one connection. The other side answers for each of them.
    /// fn send(mails: &[Item<String>]) -> Result<Vec<Verdict>, std::io::Error> {
    ///     let answer = |mail: &Item<String>| match mail.contains('@') {
    ///         true => Verdict::Ack,
    ///         false => Verdict::Reject("no address".to_owned()),
    ///     };
    ///     Ok(mails.iter().map(answer).collect())
    /// }
    ///
    /// #[actix::main]
    /// async fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     let queue = IterableQueue::bounded(100);
    ///     let dead_letters = queue.dead_letters()?; // before the work begins
    ///     let pool = WorkerPool::builder(&queue).workers(1).batch(50, Duration::from_millis(20)).run(send)?;
    ///     queue.producer()?.put_all(["a@b.example", "nobody"].map(String::from)).await?;
    ///     queue.seal();
    ///     assert_eq!(pool.drained().await?.totals.acked, 1);
    ///     assert_eq!(dead_letters.into_iter().count(), 1);
    ///     Ok(())
    /// }
    /// ```
    pub fn run<R, F>(self, work: F) -> Result<WorkerPool<T>, PoolError>
    where
        F: Fn(&[Item<T>]) -> R + Send + Sync + 'static,
        R: IntoVerdicts,
    {
        self.run_with(|_index| (), move |(), batch| work(batch))
    }

    /// Starts the pool as [`run`](BatchPoolBuilder::run) does, with something that each worker makes for itself, as with
    /// [`WorkerPoolBuilder::run_with`].
    ///
    /// # Errors
    ///
    /// As [`WorkerPoolBuilder::start`].
    pub fn run_with<S, R, I, F>(self, init: I, work: F) -> Result<WorkerPool<T>, PoolError>
    where
        S: 'static,
        I: Fn(usize) -> S + Send + Sync + 'static,
        F: Fn(&mut S, &[Item<T>]) -> R + Send + Sync + 'static,
        R: IntoVerdicts,
    {
        let work = Arc::new(work);
        self.start(move |index| FunctionWorker { state: init(index), work: Arc::clone(&work) })
    }

    /// Starts the pool with an async function that works on batches.
    ///
    /// What it returns decides, as in [`run`](BatchPoolBuilder::run). A future that panics costs each member an attempt, and
    /// not the worker its life. All else is as with [`WorkerPoolBuilder::run_async`].
    ///
    /// # Errors
    ///
    /// As [`WorkerPoolBuilder::start`].
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::prelude::*;
    /// use std::time::Duration;
    /// # async fn insert(_: &[Item<u32>]) -> Result<(), std::io::Error> { Ok(()) }
    ///
    /// #[actix::main]
    /// async fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     let queue = IterableQueue::bounded(1000);
    ///     let pool = WorkerPool::builder(&queue)
    ///         .workers(2)
    ///         .handler_timeout(Duration::from_secs(30)) // for each batch
    ///         .batch(100, Duration::from_millis(20))
    ///         .run_async(async |rows: &[Item<u32>]| insert(rows).await)?;
    ///     queue.producer()?.put_all(0..1000).await?;
    ///     queue.seal();
    ///     assert_eq!(pool.drained().await?.totals.acked, 1000);
    ///     Ok(())
    /// }
    /// ```
    pub fn run_async<R, F>(self, work: F) -> Result<WorkerPool<T>, PoolError>
    where
        F: AsyncFn(&[Item<T>]) -> R + Send + Sync + 'static,
        R: IntoVerdicts,
    {
        self.run_async_with(|_index| (), async move |(): &(), batch: &[Item<T>]| work(batch).await)
    }

    /// Starts the pool as [`run_async`](BatchPoolBuilder::run_async) does, with something that each worker makes for itself,
    /// as with [`WorkerPoolBuilder::run_async_with`].
    ///
    /// # Errors
    ///
    /// As [`WorkerPoolBuilder::start`].
    pub fn run_async_with<S, R, I, F>(self, init: I, work: F) -> Result<WorkerPool<T>, PoolError>
    where
        S: 'static,
        I: Fn(usize) -> S + Send + Sync + 'static,
        F: AsyncFn(&S, &[Item<T>]) -> R + Send + Sync + 'static,
        R: IntoVerdicts,
    {
        let work = Arc::new(work);
        self.start(move |index| AsyncFunctionWorker { state: Rc::new(init(index)), work: Arc::clone(&work) })
    }
}

impl<T, S, R, F> Handler<Batch<T>> for FunctionWorker<S, F>
where
    T: Send + 'static,
    S: 'static,
    F: Fn(&mut S, &[Item<T>]) -> R + 'static,
    R: IntoVerdicts,
{
    type Result = ();

    fn handle(&mut self, batch: Batch<T>, _: &mut Self::Context) {
        let verdicts = (self.work)(&mut self.state, &batch).into_verdicts();
        verdicts.settle(batch);
    }
}

impl<T, S, R, F> Handler<Batch<T>> for AsyncFunctionWorker<S, F>
where
    T: Send + 'static,
    S: 'static,
    F: AsyncFn(&S, &[Item<T>]) -> R + 'static,
    R: IntoVerdicts,
{
    type Result = ResponseFuture<()>;

    fn handle(&mut self, batch: Batch<T>, _: &mut Self::Context) -> Self::Result {
        let (state, work) = (Rc::clone(&self.state), Arc::clone(&self.work));
        Box::pin(async move {
            let verdicts = work(&state, &batch).await.into_verdicts();
            verdicts.settle(batch);
        })
    }
}
