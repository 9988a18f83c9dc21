//! What becomes of an item, as what a function returned says.

use std::fmt::Display;
use std::time::Duration;

use super::item::Item;

/// What becomes of an item after a function has worked on it.
///
/// Functions that a pool [runs](crate::WorkerPoolBuilder::run) return it, or what [becomes one](IntoVerdict).
///
/// # Examples
///
/// ```
/// use actix_iterable_queue::{IterableQueue, Verdict};
/// use std::time::Duration;
///
/// fn verdict(status: u16) -> Verdict {
///     match status {
///         200..300 => Verdict::Ack,
///         429 => Verdict::RetryAfter(Duration::from_secs(10), "too many requests".to_owned()),
///         503 => Verdict::ReleaseAfter(Duration::from_secs(1)), // not the item's fault
///         400..500 => Verdict::Reject(format!("status {status}")),
///         _ => Verdict::Retry(format!("status {status}")),
///     }
/// }
///
/// let (producer, mut consumer) = IterableQueue::unbounded().split()?;
/// producer.try_put("https://example.org")?;
/// drop(producer);
/// let item = consumer.try_lease()?;
/// verdict(200).settle(item);
/// assert!(consumer.blocking_lease().is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "a verdict does nothing by itself: return it, or settle an item with it"]
pub enum Verdict {
    /// The work is done: [`Item::ack`].
    Ack,
    /// The attempt failed, for this reason: [`Item::fail`].
    Retry(String),
    /// The attempt failed, for this reason, and the item comes back after this time: [`Item::retry_after`].
    RetryAfter(Duration, String),
    /// The item cannot be worked on now, which is not its fault: [`Item::release`].
    Release,
    /// The same, and it comes back after this time: [`Item::release_after`].
    ReleaseAfter(Duration),
    /// The item is given up, for this reason: [`Item::reject`].
    Reject(String),
}

impl Verdict {
    /// Settles the item as this verdict says.
    pub fn settle<T: Send + 'static>(self, item: Item<T>) {
        match self {
            Self::Ack => item.ack(),
            Self::Retry(reason) => item.fail(reason),
            Self::RetryAfter(delay, reason) => item.retry_after(delay, reason),
            Self::Release => item.release(),
            Self::ReleaseAfter(delay) => item.release_after(delay),
            Self::Reject(reason) => item.reject(reason),
        }
    }
}

/// What a function may return that works on an item.
///
/// `()` and `Ok(())` ack the item. `Err` is a failed attempt: if it is the last one, the dead letter carries the error's text.
/// That is its `{:#}`, which for errors of `anyhow` has the causes, too. For all else there is [`Verdict`], also in an `Ok`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say what becomes of an item",
    note = "return `()`, a `Verdict`, or a `Result` of one of them whose error implements `Display`",
    note = "if the function is async, start it with `run_async`, which pools have"
)]
pub trait IntoVerdict {
    /// Returns what becomes of the item.
    fn into_verdict(self) -> Verdict;
}

impl IntoVerdict for Verdict {
    fn into_verdict(self) -> Verdict {
        self
    }
}

impl IntoVerdict for () {
    fn into_verdict(self) -> Verdict {
        Verdict::Ack
    }
}

impl<R: IntoVerdict, E: Display> IntoVerdict for Result<R, E> {
    fn into_verdict(self) -> Verdict {
        match self {
            Ok(result) => result.into_verdict(),
            // The alternate form has the causes, too, where an error knows them, as those of `anyhow` do.
            Err(error) => Verdict::Retry(format!("{error:#}")),
        }
    }
}
