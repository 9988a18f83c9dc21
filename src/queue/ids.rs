//! The ids and names of queues and endpoints.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::one_line::OneLine;

/// Tells queues of one process apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct QueueId(u64);

impl QueueId {
    pub(crate) fn next() -> Self {
        // An atomic of std: it outlives the runs of a model checker.
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Relaxed) + 1)
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "queue-{}", self.0)
    }
}

/// Names a consumer, in snapshots and for `Unregister`. It prints as `consumer-3`, counted within
/// its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ConsumerId {
    pub(crate) queue: QueueId,
    pub(crate) number: u64,
}

impl fmt::Display for ConsumerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "consumer-{}", self.number)
    }
}

/// Names a producer endpoint, in snapshots; its clones share it. It prints as `producer-3`, counted
/// within its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ProducerId {
    pub(crate) queue: QueueId,
    pub(crate) number: u64,
}

impl fmt::Display for ProducerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "producer-{}", self.number)
    }
}

/// Converts a name that a user gave.
pub(crate) fn name(given: impl Into<String>) -> Option<Arc<str>> {
    Some(Arc::from(given.into()))
}

/// Returns a queue's name for the log.
pub(crate) fn label(name: Option<&str>, queue: QueueId) -> String {
    match name {
        Some(name) => format!("{} ({queue})", OneLine(name)),
        None => queue.to_string(),
    }
}
