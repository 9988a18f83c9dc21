//! What a worker leaves behind: the numbers that it did, line by line.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// A file to which numbers are appended.
pub(crate) struct Trace(File);

impl Trace {
    pub(crate) fn open(file: &Path) -> io::Result<Self> {
        Ok(Self(OpenOptions::new().create(true).append(true).open(file)?))
    }

    /// When this returns the kernel has the line: nothing that kills the process can undo it.
    pub(crate) fn note(&self, number: u64) -> io::Result<()> {
        // One write, or the lines of several threads would get into each other.
        (&self.0).write_all(format!("{number}\n").as_bytes())
    }
}

/// The numbers of a file.
pub(crate) fn read(file: &Path) -> io::Result<Vec<u64>> {
    let text = fs::read_to_string(file)?;
    let number = |line: &str| line.parse().map_err(|_| io::Error::other(format!("{line:?} is no number")));
    text.lines().map(number).collect()
}
