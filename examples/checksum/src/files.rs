//! Opens files and directories as what they were found to be.
//!
//! Between the look at a name and its opening somebody may put something else there: a link that leads out of the
//! tree, or a pipe, which keeps those who open it until somebody writes. So what was found in a directory is not
//! followed, nothing waits, and what was opened is looked at again. (This is about the last part of a path: a
//! directory above it can still be moved.)

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

pub(crate) use system::{Entries, open_directory};

/// What an entry of a directory is.
pub(crate) enum Kind {
    File,
    Directory,
    /// Links, pipes, sockets and devices.
    Other,
}

/// Opens a regular file. Only an argument is to be followed.
pub(crate) fn open_file(path: &Path, follow: bool) -> io::Result<File> {
    loop {
        match system::open(path, follow) {
            // Somebody has a lease of the file, is now asked to give it up, and has some seconds for that.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(Duration::from_millis(10)),
            Err(error) => return Err(error),
            Ok(file) if file.metadata()?.is_file() => return Ok(file),
            Ok(_) => return Err(io::Error::other("not a regular file any more")),
        }
    }
}

/// An entry of a directory: its name, and what it is.
type Entry = io::Result<(OsString, Kind)>;

#[cfg(unix)]
mod system {
    use std::ffi::OsStr;
    use std::fs::OpenOptions;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::OpenOptionsExt;

    use rustix::fs::{AtFlags, Dir, DirEntry, FileType, OFlags, statat};

    use super::*;

    pub(crate) struct Entries(Dir);

    pub(super) fn open(path: &Path, follow: bool) -> io::Result<File> {
        open_as(path, follow, OFlags::empty())
    }

    pub(crate) fn open_directory(path: &Path, follow: bool) -> io::Result<Entries> {
        let directory = open_as(path, follow, OFlags::DIRECTORY)?;
        Ok(Entries(Dir::new(directory)?))
    }

    fn open_as(path: &Path, follow: bool, what: OFlags) -> io::Result<File> {
        let links = if follow { OFlags::empty() } else { OFlags::NOFOLLOW };
        let flags = what | links | OFlags::NONBLOCK | OFlags::NOCTTY;
        OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)
    }

    impl Iterator for Entries {
        type Item = Entry;

        fn next(&mut self) -> Option<Entry> {
            loop {
                match self.0.read()? {
                    Ok(entry) if matches!(entry.file_name().to_bytes(), b"." | b"..") => {}
                    Ok(entry) => return Some(self.look_at(&entry)),
                    Err(error) => return Some(Err(error.into())),
                }
            }
        }
    }

    impl Entries {
        fn look_at(&self, entry: &DirEntry) -> Entry {
            let kind = match entry.file_type() {
                // Not every file system has it at hand.
                FileType::Unknown => {
                    let found = statat(self.0.fd()?, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)?;
                    FileType::from_raw_mode(found.st_mode)
                }
                kind => kind,
            };
            let kind = match kind {
                FileType::RegularFile => Kind::File,
                FileType::Directory => Kind::Directory,
                _ => Kind::Other,
            };
            Ok((OsStr::from_bytes(entry.file_name().to_bytes()).to_owned(), kind))
        }
    }
}

#[cfg(not(unix))]
mod system {
    use std::fs::{DirEntry, ReadDir, read_dir};

    use super::*;

    pub(crate) struct Entries(ReadDir);

    pub(super) fn open(path: &Path, _follow: bool) -> io::Result<File> {
        File::open(path)
    }

    pub(crate) fn open_directory(path: &Path, _follow: bool) -> io::Result<Entries> {
        read_dir(path).map(Entries)
    }

    impl Iterator for Entries {
        type Item = Entry;

        fn next(&mut self) -> Option<Entry> {
            self.0.next().map(|entry| look_at(entry?))
        }
    }

    fn look_at(entry: DirEntry) -> Entry {
        let kind = match entry.file_type()? {
            kind if kind.is_file() => Kind::File,
            kind if kind.is_dir() => Kind::Directory,
            _ => Kind::Other,
        };
        Ok((entry.file_name(), kind))
    }
}
