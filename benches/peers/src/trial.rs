//! One run of a contender, which may go wrong: that is a result, too, and ends nothing else.
//!
//! All that is measured runs through [`watched`]: each run on a thread of its own, which is left behind if it hangs.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use serde::Serialize;

/// After this much time a run has hung. The longest ones take some seconds.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(120);

/// What a contender measured: a value for each of its row's figures.
pub(crate) type Measured = anyhow::Result<Vec<f64>>;

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Failure {
    /// Fewer came out than went in.
    Lost {
        items: u64,
        of: u64,
    },
    /// More came out than went in.
    Repeated {
        items: u64,
        of: u64,
    },
    /// As many came out as went in, but not the same ones.
    Mixed {
        of: u64,
    },
    OutOfOrder {
        items: u64,
        of: u64,
    },
    /// Something that it needs is not on this machine.
    Missing {
        what: String,
    },
    Panicked {
        message: String,
    },
    Hung {
        seconds: u64,
    },
    Failed {
        error: String,
    },
}

impl Failure {
    pub(crate) fn missing(what: impl Into<String>) -> Self {
        Self::Missing { what: what.into() }
    }

    /// Whether it ran to its end, but not every item came once and in order.
    pub(crate) fn is_of_delivery(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::Repeated { .. } | Self::Mixed { .. } | Self::OutOfOrder { .. })
    }

    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }

    /// How many items it is about, as far as that is known.
    pub(crate) fn items(&self) -> u64 {
        match self {
            Self::Lost { items, .. } | Self::Repeated { items, .. } | Self::OutOfOrder { items, .. } => *items,
            _ => 0,
        }
    }

    /// As much of it as a cell of a table holds.
    pub(crate) fn short(&self) -> String {
        match self {
            Self::Missing { .. } => "missing".into(),
            Self::Panicked { .. } => "panicked".into(),
            Self::Hung { .. } => "hung".into(),
            Self::Failed { .. } => "failed".into(),
            delivery => delivery.to_string(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { items, of } => write!(f, "lost {} of {}", grouped(*items), grouped(*of)),
            Self::Repeated { items, of } => write!(f, "delivered {} of {} twice", grouped(*items), grouped(*of)),
            Self::Mixed { of } => write!(f, "delivered {} items, but not those that went in", grouped(*of)),
            Self::OutOfOrder { items, of } => {
                write!(f, "delivered {} of {} out of order", grouped(*items), grouped(*of))
            }
            Self::Missing { what } => write!(f, "missing: {what}"),
            Self::Panicked { message } => write!(f, "panicked: {message}"),
            Self::Hung { seconds } => write!(f, "hung: not done after {seconds} s"),
            Self::Failed { error } => write!(f, "failed: {error}"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        error.downcast().unwrap_or_else(|error| Self::Failed { error: format!("{error:#}") })
    }
}

/// Runs `work`, and returns what went wrong with it, be it an error or a panic.
pub(crate) fn caught<T>(work: impl FnOnce() -> anyhow::Result<T>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(Failure::from),
        Err(panic) => Err(Failure::Panicked { message: message(&*panic) }),
    }
}

/// Runs `work` on a thread of its own, and returns what went wrong with it. If the thread hangs, it is left behind.
pub(crate) fn watched<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let (home, result) = mpsc::channel();
    // One that comes after the limit is not waited for any more.
    let run = move || drop(home.send(caught(work)));
    if let Err(error) = thread::Builder::new().spawn(run) {
        return Err(Failure::Failed { error: format!("cannot start a thread: {error}") });
    }
    match result.recv_timeout(limit) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => Err(Failure::Hung { seconds: limit.as_secs() }),
        Err(RecvTimeoutError::Disconnected) => Err(Failure::Failed { error: "its thread ended early".into() }),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("no message").into()
}

/// With commas between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_what_went_wrong() {
        let lost = Failure::Lost { items: 4, of: 1_000_000 };
        assert_eq!(lost.to_string(), "lost 4 of 1,000,000");
        let error = anyhow::Error::from(lost.clone()).context("in a pass");
        assert_eq!(watched(WATCHDOG, move || Err::<(), _>(error)), Err(lost));
        let failed = watched(WATCHDOG, || Err::<(), _>(anyhow::anyhow!("refused").context("a pass")));
        assert_eq!(failed, Err(Failure::Failed { error: "a pass: refused".into() }));
    }

    #[test]
    fn a_panic_is_what_went_wrong() {
        let number = 7;
        let panicked = watched(WATCHDOG, move || -> anyhow::Result<()> { panic!("no {number}") });
        assert_eq!(panicked, Err(Failure::Panicked { message: "no 7".into() }));
    }

    #[test]
    fn a_run_that_hangs_is_left_behind() {
        let (hold, held) = mpsc::channel::<()>();
        let hung = watched(Duration::from_millis(50), move || {
            held.recv().ok();
            Ok(())
        });
        assert_eq!(hung, Err(Failure::Hung { seconds: 0 }));
        drop(hold);
    }
}
