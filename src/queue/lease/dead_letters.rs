//! Items that will not be delivered again.

use std::any::Any;
use std::fmt;

use crate::one_line::OneLine;

/// An item that used up its attempts or was rejected.
///
/// Prints as one line with `{}`: who gave it up, at which attempt, and why. The item is not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(any(feature = "redis", feature = "serde"), derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct DeadLetter<T> {
    /// The item.
    pub item: T,
    /// How many times it had been handed out.
    pub attempts: u32,
    /// What `reject` was given, or that the attempts were used up.
    pub reason: String,
    /// The name of the consumer that held it last.
    pub last_worker: String,
    /// What the panic said that the last attempt ended with, if a worker of a
    /// [`WorkerPool`](crate::WorkerPool) held the item.
    pub panic: Option<String>,
}

impl<T> fmt::Display for DeadLetter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (worker, reason) = (OneLine(&self.last_worker), OneLine(&self.reason));
        write!(f, "given up by {worker} at attempt {}: {reason}", self.attempts)?;
        match &self.panic {
            Some(panic) => write!(f, " (it panicked: {})", OneLine(panic)),
            None => Ok(()),
        }
    }
}

/// Where dead letters go once somebody has asked for them: itself a queue, whose item type must
/// not appear in the type of the queue that it belongs to.
pub(crate) trait DeadLetterQueue<T>: Send + Sync {
    /// Accepts the letter if somebody reads them.
    fn put(&self, letter: &mut Option<DeadLetter<T>>);

    /// The main queue has ended.
    fn close(&self);

    fn as_any(&self) -> &dyn Any;
}
