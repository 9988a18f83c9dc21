//! Workers that are functions: the pool keeps the lease, lends the item, and settles it as the function says.

use std::rc::Rc;
use std::sync::Arc;

use actix::{Actor, Context, Handler, ResponseFuture};

use super::builder::WorkerPoolBuilder;
use super::handle::WorkerPool;
use crate::error::PoolError;
use crate::queue::{Drained, IntoVerdict, Item};

impl<T: Send + 'static> WorkerPoolBuilder<T> {
    /// Starts the pool with a function that works on the items.
    ///
    /// What it returns decides what becomes of the item: `()` and `Ok(())` ack it, `Err` is a failed attempt, and a
    /// [`Verdict`](crate::Verdict) says all else. A panic is the death of the worker, as in a handler: it costs the item an
    /// attempt, and the worker is restarted.
    ///
    /// Each worker has a thread of its own, unless the pool is given [`arbiters`](WorkerPoolBuilder::arbiters): the function
    /// may block on files, sockets, a database. To call functions that wait for another queue, use
    /// [`run_async`](WorkerPoolBuilder::run_async).
    ///
    /// # Errors
    ///
    /// As [`start`](WorkerPoolBuilder::start).
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
    /// #[actix::main]
    /// async fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     let queue = IterableQueue::bounded(100);
    ///     let pool = WorkerPool::builder(&queue).workers(4).run(|mail: &Item<String>| send(mail))?;
    ///     queue.producer()?.put_all(["a", "b", "c"].map(String::from)).await?;
    ///     queue.seal();
    ///     assert_eq!(pool.drained().await?.totals.acked, 3);
    ///     Ok(())
    /// }
    /// ```
    pub fn run<R, F>(self, work: F) -> Result<WorkerPool<T>, PoolError>
    where
        F: Fn(&Item<T>) -> R + Send + Sync + 'static,
        R: IntoVerdict,
    {
        self.run_with(|_index| (), move |(), item| work(item))
    }

    /// Starts the pool as [`run`](WorkerPoolBuilder::run) does, with something that each worker makes for itself: a
    /// connection, a buffer.
    ///
    /// `init` is called with the worker's index, on the worker's thread, and again when the worker is restarted.
    ///
    /// # Errors
    ///
    /// As [`start`](WorkerPoolBuilder::start).
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::prelude::*;
    ///
    /// #[actix::main]
    /// async fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     let queue = IterableQueue::bounded(100);
    ///     let pool = WorkerPool::builder(&queue).workers(2).run_with(
    ///         |_index| Vec::with_capacity(1024), // a buffer for each worker
    ///         |buffer, line: &Item<String>| {
    ///             buffer.clear();
    ///             buffer.extend_from_slice(line.as_bytes());
    ///         },
    ///     )?;
    ///     queue.producer()?.put("a line".to_owned()).await?;
    ///     queue.seal();
    ///     assert_eq!(pool.drained().await?.totals.acked, 1);
    ///     Ok(())
    /// }
    /// ```
    pub fn run_with<S, R, I, F>(self, init: I, work: F) -> Result<WorkerPool<T>, PoolError>
    where
        S: 'static,
        I: Fn(usize) -> S + Send + Sync + 'static,
        F: Fn(&mut S, &Item<T>) -> R + Send + Sync + 'static,
        R: IntoVerdict,
    {
        let work = Arc::new(work);
        self.start(move |index| FunctionWorker { state: init(index), work: Arc::clone(&work) })
    }

    /// Starts the pool with an async function that works on the items.
    ///
    /// What it returns decides, as in [`run`](WorkerPoolBuilder::run). Each worker works on up to
    /// [`max_in_flight`](WorkerPoolBuilder::max_in_flight) items at a time, on its own thread: the futures need not be `Send`,
    /// and must not block. A future that panics costs its item an attempt, and not the worker its life.
    ///
    /// # Errors
    ///
    /// As [`start`](WorkerPoolBuilder::start).
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::prelude::*;
    /// # async fn post(_: &str) -> Result<(), std::io::Error> { Ok(()) }
    ///
    /// #[actix::main]
    /// async fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     let queue = IterableQueue::bounded(100);
    ///     let pool = WorkerPool::builder(&queue)
    ///         .workers(2)
    ///         .max_in_flight(8)
    ///         .run_async(async |mail: &Item<String>| post(mail).await)?;
    ///     queue.producer()?.put_all(["a", "b", "c"].map(String::from)).await?;
    ///     queue.seal();
    ///     assert_eq!(pool.drained().await?.totals.acked, 3);
    ///     Ok(())
    /// }
    /// ```
    pub fn run_async<R, F>(self, work: F) -> Result<WorkerPool<T>, PoolError>
    where
        F: AsyncFn(&Item<T>) -> R + Send + Sync + 'static,
        R: IntoVerdict,
    {
        self.run_async_with(|_index| (), async move |(): &(), item: &Item<T>| work(item).await)
    }

    /// Starts the pool as [`run_async`](WorkerPoolBuilder::run_async) does, with something that each worker makes for itself.
    ///
    /// `init` is called as by [`run_with`](WorkerPoolBuilder::run_with). The futures of a worker share what it made.
    ///
    /// # Errors
    ///
    /// As [`start`](WorkerPoolBuilder::start).
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::prelude::*;
    /// use std::cell::Cell;
    ///
    /// #[actix::main]
    /// async fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     let queue = IterableQueue::bounded(100);
    ///     let pool = WorkerPool::builder(&queue).workers(2).max_in_flight(8).run_async_with(
    ///         |_index| Cell::new(0), // the sum of what this worker has done
    ///         async |sum: &Cell<u32>, job: &Item<u32>| sum.set(sum.get() + **job),
    ///     )?;
    ///     queue.producer()?.put_all(0..100).await?;
    ///     queue.seal();
    ///     assert_eq!(pool.drained().await?.totals.acked, 100);
    ///     Ok(())
    /// }
    /// ```
    pub fn run_async_with<S, R, I, F>(self, init: I, work: F) -> Result<WorkerPool<T>, PoolError>
    where
        S: 'static,
        I: Fn(usize) -> S + Send + Sync + 'static,
        F: AsyncFn(&S, &Item<T>) -> R + Send + Sync + 'static,
        R: IntoVerdict,
    {
        let work = Arc::new(work);
        self.start(move |index| AsyncFunctionWorker { state: Rc::new(init(index)), work: Arc::clone(&work) })
    }
}

pub(super) struct FunctionWorker<S, F> {
    pub(super) state: S,
    pub(super) work: Arc<F>,
}

/// Its state is never pinned.
impl<S, F> Unpin for FunctionWorker<S, F> {}

impl<S: 'static, F: 'static> Actor for FunctionWorker<S, F> {
    type Context = Context<Self>;
}

impl<T, S, R, F> Handler<Item<T>> for FunctionWorker<S, F>
where
    T: Send + 'static,
    S: 'static,
    F: Fn(&mut S, &Item<T>) -> R + 'static,
    R: IntoVerdict,
{
    type Result = ();

    fn handle(&mut self, item: Item<T>, _: &mut Self::Context) {
        let verdict = (self.work)(&mut self.state, &item).into_verdict();
        verdict.settle(item);
    }
}

impl<S: 'static, F: 'static> Handler<Drained> for FunctionWorker<S, F> {
    type Result = ();

    fn handle(&mut self, _: Drained, _: &mut Self::Context) {}
}

pub(super) struct AsyncFunctionWorker<S, F> {
    /// The futures share it.
    pub(super) state: Rc<S>,
    pub(super) work: Arc<F>,
}

impl<S: 'static, F: 'static> Actor for AsyncFunctionWorker<S, F> {
    type Context = Context<Self>;
}

impl<T, S, R, F> Handler<Item<T>> for AsyncFunctionWorker<S, F>
where
    T: Send + 'static,
    S: 'static,
    F: AsyncFn(&S, &Item<T>) -> R + 'static,
    R: IntoVerdict,
{
    type Result = ResponseFuture<()>;

    fn handle(&mut self, item: Item<T>, _: &mut Self::Context) -> Self::Result {
        let (state, work) = (Rc::clone(&self.state), Arc::clone(&self.work));
        Box::pin(async move {
            let verdict = work(&state, &item).await.into_verdict();
            verdict.settle(item);
        })
    }
}

impl<S: 'static, F: 'static> Handler<Drained> for AsyncFunctionWorker<S, F> {
    type Result = ();

    fn handle(&mut self, _: Drained, _: &mut Self::Context) {}
}
