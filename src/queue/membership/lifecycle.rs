//! How far a queue has come.

use crate::error::{OpenError, Refusal};
use crate::queue::report::snapshot::{Drained, Outcome};

/// How far the queue has come. Every field changes once at most.
#[derive(Debug, Default)]
pub(crate) struct Lifecycle {
    pub(crate) sealed: bool,
    /// `seal` was called in this process.
    pub(crate) seal_said: bool,
    /// The queue is shutting down: puts are refused although producers are open.
    pub(crate) shut_down: bool,
    /// The queue is sealed and has no consumer: puts are refused, and only returned leases add items.
    pub(crate) abandoned: bool,
    /// The remote store takes no more puts from this process.
    pub(crate) puts_refused: bool,
    pub(crate) ended: Option<Drained>,
    pub(crate) elsewhere: RemoteStatus,
}

/// What other processes have done, if the store is remote.
#[derive(Debug, Default)]
pub(crate) struct RemoteStatus {
    pub(crate) sealed: bool,
    pub(crate) draining: bool,
}

impl Lifecycle {
    /// Returns whether an endpoint may be opened, given whether the queue is sealed for its kind (C3).
    pub(crate) fn may_open(&self, sealed: bool) -> Result<(), OpenError> {
        match sealed {
            _ if self.ended.is_some() => Err(OpenError::Ended),
            true => Err(OpenError::Sealed),
            false => Ok(()),
        }
    }

    /// Returns whether the queue is sealed, here or by another process.
    pub(crate) fn is_sealed(&self) -> bool {
        self.sealed || self.elsewhere.sealed
    }

    pub(crate) fn refuses_puts(&self) -> bool {
        self.shut_down || self.puts_refused || self.refuses_children()
    }

    pub(crate) fn refuses_children(&self) -> bool {
        self.abandoned || self.ended.is_some()
    }

    /// Returns why a put fails.
    pub(crate) fn refusal(&self) -> Refusal {
        match &self.ended {
            Some(Drained { outcome: Outcome::Aborted, .. }) => Refusal::Aborted,
            _ if self.abandoned => Refusal::Abandoned,
            _ if self.shut_down => Refusal::ShutDown,
            _ if self.puts_refused => Refusal::Sealed,
            _ => Refusal::Closed,
        }
    }
}
