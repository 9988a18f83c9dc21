//! How numbers and times are printed.

use std::fmt;
use std::time::Duration;

/// Prints a number of things: `1 item`, `2 items`.
pub(crate) fn count(n: u64, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// Prints a duration: `80 ms`, `5 s`, `3 min`, `2 h`.
pub(crate) struct Age(pub(crate) Duration);

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            0 => write!(f, "{} ms", self.0.as_millis()),
            secs @ 1..120 => write!(f, "{secs} s"),
            secs @ 120..7200 => write!(f, "{} min", secs / 60),
            secs => write!(f, "{} h", secs / 3600),
        }
    }
}
