//! Starts a pool.

use std::sync::Arc;
use std::thread;

use actix::{Actor, Context, Handler, Message};
use actix_rt::{Arbiter, ArbiterHandle, System};
use tokio::sync::watch;

use super::builder::WorkerPoolBuilder;
use super::handle::WorkerPool;
use super::supervisor::Supervisor;
use super::time_limit::can_be_dropped;
use super::worker::{SpawnWorker, WorkerTask};
use crate::actor::handout::{Handout, OneByOne};
use crate::endpoint::{LeftClaim, PoolClaim};
use crate::error::PoolError;
use crate::queue::{Drained, Item};

impl<T> WorkerPoolBuilder<T> {
    /// Starts the pool.
    ///
    /// The factory is called with the worker's index, in the arbiter of the worker that it makes, and again for each
    /// restart. It is dropped when the pool has ended. So it may hold the producer of a second queue for its workers,
    /// and that queue ends after the first one.
    ///
    /// # Errors
    ///
    /// If no actix system is running, the queue is sealed or has ended, an arbiter has stopped or cannot be started, or
    /// there is a [`handler_timeout`](WorkerPoolBuilder::handler_timeout) and nothing can interrupt the handlers. No
    /// worker runs then.
    pub fn start<A, F>(self, factory: F) -> Result<WorkerPool<T>, PoolError>
    where
        T: Send + 'static,
        A: Actor<Context = Context<A>> + Handler<Item<T>> + Handler<Drained>,
        F: Fn(usize) -> A + Send + Sync + 'static,
    {
        self.launch(OneByOne, factory)
    }

    /// Starts the pool, with workers that are handed items in this way.
    pub(super) fn launch<A, H, F>(self, handout: H, factory: F) -> Result<WorkerPool<T>, PoolError>
    where
        T: Send + 'static,
        H: Handout<T>,
        H::Handed: Message<Result = ()> + 'static,
        A: Actor<Context = Context<A>> + Handler<H::Handed> + Handler<Drained>,
        F: Fn(usize) -> A + Send + Sync + 'static,
    {
        let Self { queue, workers, settings } = self;
        let workers = workers.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from).into());
        if !System::try_current().is_some_and(|system| system.arbiter().alive()) {
            return Err(PoolError::NoSystem);
        }
        if settings.handler_timeout.is_some() && !can_be_dropped::<A, H::Handed>() {
            return Err(PoolError::NotInterruptible);
        }
        if !settings.arbiters.iter().all(ArbiterHandle::alive) {
            return Err(PoolError::ArbiterStopped);
        }
        let claim = PoolClaim::on(Arc::clone(&queue))?;
        let queue = Arc::new(LeftClaim::on(queue));

        let max_in_flight = settings.max_in_flight.unwrap_or(handout.size());
        let factory = Arc::new(factory);
        let spawn: SpawnWorker<T> = Box::new(move |arbiter, parts| {
            let factory = Arc::clone(&factory);
            arbiter.spawn_fn(move || {
                actix_rt::spawn(WorkerTask::new(parts, handout, max_in_flight, move |index| factory(index)));
            });
        });
        let (result_sender, result) = watch::channel(None);
        let mut supervisor = Supervisor::new(settings, workers, handout.size(), spawn, claim, result_sender);
        let (roster, events) = supervisor.handles();
        let supervisor_arbiter = Arbiter::try_new().map_err(PoolError::Arbiter)?;
        if let Err(error) = supervisor.start_all(workers.min) {
            // The drop of the supervisor ends the workers that it has started.
            supervisor_arbiter.stop();
            return Err(PoolError::Arbiter(error));
        }
        supervisor_arbiter.spawn(supervisor.run());
        Ok(WorkerPool { queue, roster, events, result })
    }
}
