//! The error of asks.

use std::error::Error;
use std::fmt;

use super::put::PutError;
use crate::queue::{DeadLetter, Outcome};

/// An [`ask`](crate::Producer::ask) got no answer.
///
/// # Examples
///
/// ```
/// use actix_iterable_queue::{Ask, Producer};
/// use actix_iterable_queue::error::AskError;
///
/// async fn measure(queue: &Producer<Ask<String, usize>>, text: String) -> Option<usize> {
///     match queue.ask(text).await {
///         Ok(length) => return Some(length),
///         Err(AskError::Refused(error)) => println!("try another queue with {}", error.into_inner()),
///         Err(AskError::DeadLetter(letter)) => println!("do not try it again: {letter}"),
///         Err(error) => println!("{error}"), // there may be more reasons in a later version
///     }
///     None
/// }
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AskError<J> {
    /// The queue did not accept the job, which is inside.
    Refused(PutError<J>),
    /// The job used up its attempts or was rejected. The letter says why; the job itself is with the reader of the queue's
    /// dead letters, if there is one.
    DeadLetter(Box<DeadLetter<()>>),
    /// A consumer acked or took the job, and dropped it without an answer. The log warns of the first, second, fourth, eighth …
    /// time in a queue.
    Unanswered,
    /// The queue was aborted, or abandoned by its last consumer, and the job was dropped without an answer. It may have been
    /// done.
    Ended(Outcome),
}

impl<J> AskError<J> {
    /// Returns the job, if the queue did not accept it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::{Ask, IterableQueue};
    /// let mut producer = IterableQueue::<Ask<u8, ()>>::unbounded().producer()?;
    /// producer.close();
    /// assert_eq!(producer.blocking_ask(7).unwrap_err().into_inner(), Some(7));
    /// # Ok::<(), actix_iterable_queue::error::OpenError>(())
    /// ```
    pub fn into_inner(self) -> Option<J> {
        match self {
            Self::Refused(error) => Some(error.into_inner()),
            Self::DeadLetter(_) | Self::Unanswered | Self::Ended(_) => None,
        }
    }
}

impl<J> From<PutError<J>> for AskError<J> {
    fn from(error: PutError<J>) -> Self {
        Self::Refused(error)
    }
}

impl<J> fmt::Debug for AskError<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => write!(f, "AskError::Refused({error:?})"),
            Self::DeadLetter(letter) => write!(f, "AskError::DeadLetter({letter:?})"),
            Self::Unanswered => f.write_str("AskError::Unanswered"),
            Self::Ended(outcome) => write!(f, "AskError::Ended({outcome:?})"),
        }
    }
}

impl<J> fmt::Display for AskError<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::DeadLetter(letter) => write!(f, "the job is a dead letter, {letter}"),
            Self::Unanswered => {
                f.write_str("a consumer dropped the job without an answer: call answer(…) before ack() or into_inner()")
            }
            Self::Ended(Outcome::Abandoned) => f.write_str(
                "the last consumer is gone, and the job has no answer: keep a consumer until all asks are answered",
            ),
            Self::Ended(outcome) => write!(
                f,
                "the queue has ended ({outcome:?}), and the job has no answer: it may have been done, so ask again only if \
                 doing it twice is right"
            ),
        }
    }
}

impl<J> Error for AskError<J> {}
