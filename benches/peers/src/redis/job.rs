//! What goes through the queues.

use serde::{Deserialize, Serialize};

use crate::latency::Timed;

/// About 100 bytes as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) number: u64,
    text: String,
}

impl Job {
    pub(super) fn new(number: u64) -> Self {
        Self { number, text: "x".repeat(74) }
    }
}

/// Its number is the time at which it is due.
impl Timed for Job {
    fn at(due: u64) -> Self {
        Self::new(due)
    }

    fn due(&self) -> u64 {
        self.number
    }
}
