//! What the supervisor of a pool hears.

use futures::channel::mpsc::UnboundedSender;

use crate::error::Death;

/// What the supervisor must know.
#[derive(Debug)]
pub(super) enum Event {
    Exited(usize, Exit),
    Resize(usize),
}

/// How a worker came to its end.
#[derive(Debug)]
pub(super) enum Exit {
    /// It was told that the queue has ended.
    Told,
    /// It left, as it was told to.
    Left,
    Died(Death),
}

/// Brings the news of a worker's end, once. Dropped without any, its arbiter is gone.
#[derive(Debug)]
pub(super) struct ExitNote {
    index: usize,
    events: Option<UnboundedSender<Event>>,
}

impl ExitNote {
    pub(super) fn new(index: usize, events: UnboundedSender<Event>) -> Self {
        Self { index, events: Some(events) }
    }

    pub(super) fn index(&self) -> usize {
        self.index
    }

    pub(super) fn send(&mut self, exit: Exit) {
        if let Some(events) = self.events.take() {
            // Without a supervisor there is nobody to care.
            let _ = events.unbounded_send(Event::Exited(self.index, exit));
        }
    }
}

impl Drop for ExitNote {
    fn drop(&mut self) {
        self.send(Exit::Died(Death::ArbiterStopped));
    }
}
