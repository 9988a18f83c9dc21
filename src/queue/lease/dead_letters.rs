//! Dead letters: items that will not be delivered again.

use std::any::Any;
use std::fmt;

use crate::one_line::OneLine;

/// An item that used up its attempts or was rejected.
///
/// Prints with `{}` as one line that says which consumer gave it up, at which attempt, and why. The line does not contain
/// the item.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(any(feature = "redis", feature = "serde"), derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct DeadLetter<T> {
    /// The item.
    pub item: T,
    /// How many times the item was handed out.
    pub attempts: u32,
    /// The reason given to `reject`, or that the attempts were used up.
    pub reason: String,
    /// The name of the consumer that held it last.
    pub last_worker: String,
    /// What the last attempt failed of: as [`fail`](crate::Item::fail), [`retry_after`](crate::Item::retry_after) or a
    /// function of a pool said, or that it had no end within the pool's
    /// [`handler_timeout`](crate::WorkerPoolBuilder::handler_timeout).
    #[cfg_attr(any(feature = "redis", feature = "serde"), serde(default))]
    pub error: Option<String>,
    /// The message of the panic that ended the last attempt, if a worker of a [`WorkerPool`](crate::WorkerPool) held the
    /// item.
    pub panic: Option<String>,
}

impl<T> DeadLetter<T> {
    /// Returns what the letter says, without its item.
    pub(crate) fn without_item(&self) -> DeadLetter<()> {
        let Self { item: _, attempts, reason, last_worker, error, panic } = self;
        DeadLetter {
            item: (),
            attempts: *attempts,
            reason: reason.clone(),
            last_worker: last_worker.clone(),
            error: error.clone(),
            panic: panic.clone(),
        }
    }
}

impl<T> fmt::Display for DeadLetter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (worker, reason) = (OneLine(&self.last_worker), OneLine(&self.reason));
        write!(f, "given up by {worker} at attempt {}: {reason}", self.attempts)?;
        match (&self.error, &self.panic) {
            (Some(error), _) => write!(f, " (it failed: {})", OneLine(error)),
            (None, Some(panic)) => write!(f, " (it panicked: {})", OneLine(panic)),
            (None, None) => Ok(()),
        }
    }
}

/// The queue that dead letters go to, once a reader has asked for them.
///
/// A trait, so that the type of a queue does not contain that of the queue of its dead letters, which would contain that
/// of the queue of *their* dead letters, and so on. For the same reason no method names that type.
pub(crate) trait DeadLetterQueue<T>: Send + Sync {
    /// Accepts the letter, if there is a reader.
    fn put(&self, letter: &mut Option<DeadLetter<T>>);

    /// Returns itself, for the caller that knows the type and opens a reader.
    fn as_any(&self) -> &dyn Any;

    /// Ends it, as the main queue has ended.
    fn close(&self);
}
