//! The arbiters that a pool's workers run in.

use std::io;
use std::thread::{self, JoinHandle};

use actix_rt::{Arbiter, ArbiterHandle};

use crate::one_line::OneLine;

/// The arbiter of one worker.
#[derive(Debug)]
pub(super) enum WorkerArbiter {
    /// The pool has started it, and stops it.
    Own(Arbiter),
    /// The user gave it, and it goes on after the pool.
    Given(ArbiterHandle),
}

impl WorkerArbiter {
    pub(super) fn handle(&self) -> ArbiterHandle {
        match self {
            Self::Own(arbiter) => arbiter.handle(),
            Self::Given(handle) => handle.clone(),
        }
    }
}

pub(super) struct Arbiters {
    /// For the log.
    pool_name: String,
    given: Vec<ArbiterHandle>,
    /// Threads that join arbiters that were told to stop.
    stopping: Vec<JoinHandle<thread::Result<()>>>,
}

impl Arbiters {
    pub(super) fn new(pool_name: String, given: Vec<ArbiterHandle>) -> Self {
        Self { pool_name, given, stopping: Vec::new() }
    }

    /// Returns an arbiter for the worker with this index: one that was given, if it still runs, or a new one.
    pub(super) fn provide(&self, index: usize) -> io::Result<WorkerArbiter> {
        let given = &self.given;
        match given.get(index % given.len().max(1)).filter(|given| given.alive()) {
            Some(given) => Ok(WorkerArbiter::Given(given.clone())),
            None => Arbiter::try_new().map(WorkerArbiter::Own),
        }
    }

    /// Stops an arbiter if it is the pool's own.
    pub(super) fn release(&mut self, arbiter: WorkerArbiter) {
        let WorkerArbiter::Own(arbiter) = arbiter else { return };
        arbiter.stop();
        // Joined on a thread of its own, as the arbiter may take its time and the supervisor must not wait.
        let joining = thread::Builder::new().name("pool-join".to_owned()).spawn(|| arbiter.join());
        match joining {
            Ok(joining) => self.stopping.push(joining),
            Err(error) => {
                log::error!("pool {}: cannot start a thread to join an arbiter: {error}", OneLine(&self.pool_name));
            }
        }
    }

    /// Forgets the arbiters that have stopped by now.
    pub(super) fn join_stopped(&mut self) {
        self.stopping.extract_if(.., |joining| joining.is_finished()).for_each(join);
    }

    /// Waits until all arbiters that were released have stopped.
    pub(super) fn join_all(&mut self) {
        std::mem::take(&mut self.stopping).into_iter().for_each(join);
    }
}

fn join(joining: JoinHandle<thread::Result<()>>) {
    if !matches!(joining.join(), Ok(Ok(()))) {
        log::error!("an arbiter of a pool panicked");
    }
}
