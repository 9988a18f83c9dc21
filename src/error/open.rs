//! The errors of building queues and opening endpoints.

use std::error::Error;
use std::fmt;

/// An endpoint could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// The queue was sealed before.
    Sealed,
    /// The queue has ended.
    Ended,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sealed => {
                "the queue is sealed and opens no new endpoints: open them before sealing it, or clone one that is open"
            }
            Self::Ended => "the queue has ended: open endpoints before that",
        })
    }
}

impl Error for OpenError {}

/// A [`Builder`](crate::Builder) was given values that no queue can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// The capacity is 0, so the queue could never accept an item.
    ZeroCapacity,
    /// The number of attempts is 0, so no item could ever be handed out.
    ZeroMaxAttempts,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ZeroCapacity => "capacity is 0: give at least 1, or leave it out for an unbounded queue",
            Self::ZeroMaxAttempts => "max_attempts is 0: give at least 1",
        })
    }
}

impl Error for BuildError {}
