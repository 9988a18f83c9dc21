//! What becomes of the members of a batch, as what a function returned says.

use std::fmt::Display;

use super::batch::Batch;
use super::verdict::{IntoVerdict, Verdict};

/// What becomes of the members of a batch after a function has worked on it.
///
/// Functions that a pool [runs](crate::BatchPoolBuilder::run) return it, or what [becomes one](IntoVerdicts).
///
/// # Examples
///
/// ```
/// use actix_iterable_queue::{IntoVerdicts, IterableQueue, Verdict, Verdicts};
/// use std::time::Duration;
///
/// assert_eq!(().into_verdicts(), Verdicts::All(Verdict::Ack));
/// let (producer, mut consumer) = IterableQueue::unbounded().split()?;
/// (1..=3).try_for_each(|n| producer.try_put(n))?;
/// drop(producer);
/// let batch = consumer.blocking_lease_batch(3, Duration::ZERO);
/// let each = batch.iter().map(|n| if **n == 2 { Verdict::Release } else { Verdict::Ack }).collect();
/// Verdicts::Each(each).settle(batch);
/// assert_eq!(*consumer.try_lease()?, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "verdicts do nothing by themselves: return them, or settle a batch with them"]
pub enum Verdicts {
    /// The same for all members.
    All(Verdict),
    /// One for each member, in order.
    Each(Vec<Verdict>),
}

impl Verdicts {
    /// Settles the members as these verdicts say.
    ///
    /// If there are not as many verdicts as members, it is not known which verdict belongs to which member. So none of them
    /// counts: all members fail, with a reason that says so.
    pub fn settle<T: Send + 'static>(self, batch: Batch<T>) {
        match self {
            Self::All(verdict) => batch.into_iter().for_each(|item| verdict.clone().settle(item)),
            Self::Each(verdicts) if verdicts.len() == batch.len() => {
                verdicts.into_iter().zip(batch).for_each(|(verdict, item)| verdict.settle(item));
            }
            Self::Each(verdicts) => {
                let reason =
                    format!("the number of verdicts is {}, that of members is {}", verdicts.len(), batch.len());
                batch.fail(reason);
            }
        }
    }
}

/// What a function may return that works on a batch.
///
/// `()`, `Ok`, `Err` and [`Verdict`] speak of all members, as [`IntoVerdict`] says for one. A vector has one for each member,
/// in order: `()`, a `Result` or a [`Verdict`]. A function whose batch may fail as a whole returns a `Result` of a vector. If
/// the vector has another length than the batch, all members [fail](Verdicts::settle).
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say what becomes of the members of a batch",
    note = "return `()`, a `Verdict`, a vector of what becomes of each member, or a `Result` of one of these whose error \
            implements `Display`",
    note = "if the function is async, start it with `run_async`, which pools have"
)]
pub trait IntoVerdicts {
    /// Returns what becomes of the members.
    fn into_verdicts(self) -> Verdicts;
}

impl IntoVerdicts for Verdicts {
    fn into_verdicts(self) -> Verdicts {
        self
    }
}

impl IntoVerdicts for Verdict {
    fn into_verdicts(self) -> Verdicts {
        Verdicts::All(self)
    }
}

impl IntoVerdicts for () {
    fn into_verdicts(self) -> Verdicts {
        Verdicts::All(Verdict::Ack)
    }
}

impl<V: IntoVerdict> IntoVerdicts for Vec<V> {
    fn into_verdicts(self) -> Verdicts {
        Verdicts::Each(self.into_iter().map(V::into_verdict).collect())
    }
}

impl<R: IntoVerdicts, E: Display> IntoVerdicts for Result<R, E> {
    fn into_verdicts(self) -> Verdicts {
        match self {
            Ok(results) => results.into_verdicts(),
            Err(error) => Verdicts::All(Err::<(), _>(error).into_verdict()),
        }
    }
}
