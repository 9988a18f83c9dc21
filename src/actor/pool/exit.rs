//! What the supervisor of a pool receives: how workers ended, and orders from the pool's handles.

use futures::channel::mpsc::UnboundedSender;

use super::worker_count::WorkerCount;
use crate::error::Death;

#[derive(Debug)]
pub(super) enum PoolEvent {
    /// The worker with this index has ended.
    Exited(usize, Exit),
    Resize(WorkerCount),
}

/// How a worker ended.
#[derive(Debug)]
pub(super) enum Exit {
    /// It has handled the end of the queue.
    Finished,
    /// It obeyed the order to leave.
    Left,
    Died(Death),
}

/// Sends the exit of a worker, once. If it is dropped before, the worker's arbiter has stopped.
#[derive(Debug)]
pub(super) struct ExitSender {
    index: usize,
    events: Option<UnboundedSender<PoolEvent>>,
}

impl ExitSender {
    pub(super) fn new(index: usize, events: UnboundedSender<PoolEvent>) -> Self {
        Self { index, events: Some(events) }
    }

    /// Returns the worker's index.
    pub(super) fn index(&self) -> usize {
        self.index
    }

    pub(super) fn send(&mut self, exit: Exit) {
        if let Some(events) = self.events.take() {
            // It fails if the supervisor has ended, which needs no exit any more.
            let _ = events.unbounded_send(PoolEvent::Exited(self.index, exit));
        }
    }
}

impl Drop for ExitSender {
    fn drop(&mut self) {
        self.send(Exit::Died(Death::ArbiterStopped));
    }
}
