//! The ids and names of queues and endpoints.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::one_line::OneLine;

/// Tells queues of one process apart. It prints as `queue-3`. A [reader](crate::IterableQueue::dead_letters) of dead letters
/// has a queue of its own, which prints as `letters-3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct QueueId(u64);

// The counters are atomics of std: they outlive the runs of a model checker.
impl QueueId {
    /// The ids of readers' queues begin here. As a number in JSON they are exact.
    const LETTERS: u64 = 1 << 48;

    pub(crate) fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Relaxed) + 1)
    }

    /// Returns the id of a queue that readers of dead letters take from. Users did not create it, so it is counted apart.
    pub(crate) fn next_of_letters() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(QueueId::LETTERS);
        Self(LAST.fetch_add(1, Relaxed) + 1)
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.checked_sub(Self::LETTERS) {
            None => write!(f, "queue-{}", self.0),
            Some(number) => write!(f, "letters-{number}"),
        }
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
