//! Dead letters: items that will not be delivered again.

use std::any::Any;
use std::fmt;
use std::time::SystemTime;

use crate::one_line::OneLine;

/// An item that used up its attempts or was rejected.
///
/// Prints with `{}` as one line that says which consumer gave it up, at which attempt, and why. The line contains the item
/// if the queue was built with [`describe_items`](crate::Builder::describe_items).
///
/// [`IterableQueue::list_dead_letters`](crate::IterableQueue::list_dead_letters) returns letters without their items: each is
/// a `DeadLetter<()>`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(any(feature = "redis", feature = "serde"), derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct DeadLetter<T> {
    /// Its number, which it keeps when it is handed to a reader and comes back. A later letter of the queue has a greater
    /// one. Over Redis, it is the same in all processes.
    #[cfg_attr(any(feature = "redis", feature = "serde"), serde(default))]
    pub id: u64,
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
    /// What its attempts failed of, oldest first: the last 10 for which a consumer said it, or a panic did, each text of at
    /// most 1 KiB. A retried item begins anew. Over Redis, the last attempt alone: an item has only the number of its
    /// attempts with it there.
    #[cfg_attr(any(feature = "redis", feature = "serde"), serde(default))]
    pub history: Vec<FailedAttempt>,
    /// When the item was given up, by the clock of the process that did it. Over Redis, by that of the server if no process
    /// did it. The Unix epoch if that is not known.
    #[cfg_attr(any(feature = "redis", feature = "serde"), serde(default = "unknown_time"))]
    pub died_at: SystemTime,
    /// The item as text, cut off after 200 bytes, if the queue was built with
    /// [`describe_items`](crate::Builder::describe_items).
    #[cfg_attr(any(feature = "redis", feature = "serde"), serde(default))]
    pub text: Option<String>,
    /// The item.
    // The last field: over Redis a script finds it there, however large it is.
    pub item: T,
}

#[cfg(any(feature = "redis", feature = "serde"))]
fn unknown_time() -> SystemTime {
    SystemTime::UNIX_EPOCH
}

/// An attempt of an item, and what it failed of. Found in [`DeadLetter::history`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(any(feature = "redis", feature = "serde"), derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct FailedAttempt {
    /// Which attempt, counted from 1.
    pub attempt: u32,
    /// What the consumer said, or the message of the panic.
    pub reason: String,
}

/// How many failed attempts an item remembers.
const MAX_HISTORY: usize = 10;
/// How long the reason of each may be, in bytes.
const MAX_REASON: usize = 1024;

impl FailedAttempt {
    pub(crate) fn new(attempt: u32, reason: &str) -> Self {
        let mut end = reason.len().min(MAX_REASON);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        Self { attempt, reason: reason[..end].to_owned() }
    }

    /// Adds it to the history of its item, in which the oldest makes room.
    pub(crate) fn join(self, history: &mut Vec<FailedAttempt>) {
        if history.len() >= MAX_HISTORY {
            history.remove(0);
        }
        history.push(self);
    }
}

impl<T> DeadLetter<T> {
    /// Separates what is said of the item from the item.
    pub(crate) fn with_item<U>(self, other: U) -> (DeadLetter<U>, T) {
        let Self { item, id, attempts, reason, last_worker, error, panic, history, died_at, text } = self;
        (DeadLetter { item: other, id, attempts, reason, last_worker, error, panic, history, died_at, text }, item)
    }

    /// Returns what the letter says, without its item.
    pub(crate) fn without_item(&self) -> DeadLetter<()> {
        let Self { item: _, id, attempts, reason, last_worker, error, panic, history, died_at, text } = self;
        DeadLetter {
            item: (),
            id: *id,
            attempts: *attempts,
            reason: reason.clone(),
            last_worker: last_worker.clone(),
            error: error.clone(),
            panic: panic.clone(),
            history: history.clone(),
            died_at: *died_at,
            text: text.clone(),
        }
    }
}

impl<T> fmt::Display for DeadLetter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (worker, reason) = (OneLine(&self.last_worker), OneLine(&self.reason));
        write!(f, "given up by {worker} at attempt {}: {reason}", self.attempts)?;
        match (&self.error, &self.panic) {
            (Some(error), _) => write!(f, " (it failed: {})", OneLine(error))?,
            (None, Some(panic)) => write!(f, " (it panicked: {})", OneLine(panic))?,
            (None, None) => {}
        }
        match &self.text {
            Some(text) => write!(f, "; the item: {}", OneLine(text)),
            None => Ok(()),
        }
    }
}

/// The queues that dead letters go to while readers are open.
///
/// A trait, so that the type of a queue does not contain that of the queue of its dead letters, which would contain that
/// of the queue of *their* dead letters, and so on. For the same reason no method names that type.
pub(crate) trait DeadLetterQueue<T>: Send + Sync {
    /// Accepts the letter, if a reader is open.
    fn put(&self, letter: &mut Option<DeadLetter<T>>);

    /// Returns whether a letter would be accepted.
    fn is_read(&self) -> bool;

    /// Takes the letters that readers have left, who are gone. It may be called with the main queue's mutex held.
    fn take_unread(&self) -> Vec<DeadLetter<T>>;

    /// Counts the letters that were dropped as nobody could read them any more. It may be called with the main queue's mutex
    /// held.
    fn dropped(&self) -> u64;

    /// Returns itself, for the caller that knows the type and opens a reader.
    fn as_any(&self) -> &dyn Any;

    /// Accepts no further letters, as the main queue has ended.
    fn close(&self);

    /// Drops what readers leave from now on, as the last handle is gone that could open another one.
    fn let_go(&self);
}
