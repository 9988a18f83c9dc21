//! The errors of takes.

use std::error::Error;
use std::fmt;

/// A [`try_get`](crate::Consumer::try_get) or [`try_lease`](crate::Consumer::try_lease) got nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TryGetError {
    /// There is no item now.
    Empty,
    /// There will be no more items.
    Ended,
}

impl fmt::Display for TryGetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the queue is empty now: wait with get or blocking_get",
            Self::Ended => "the queue has ended: there will be no more items",
        })
    }
}

impl Error for TryGetError {}

/// A take with a timeout or a deadline got nothing, as
/// [`blocking_get_timeout`](crate::Consumer::blocking_get_timeout).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GetTimeoutError {
    /// No item came in time.
    Timeout,
    /// There will be no more items.
    Ended,
}

impl fmt::Display for GetTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "no item came before the timeout",
            Self::Ended => "the queue has ended: there will be no more items",
        })
    }
}

impl Error for GetTimeoutError {}
