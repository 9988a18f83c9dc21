//! `checksum [--workers N] [--] PATH…`: a parallel, recursive `sha256sum`.
//!
//! Directories and files are both work. A worker that meets a directory puts its entries through
//! the item it holds, so nobody knows the total beforehand, and the queue alone knows the end.
//! Standard output is what `sha256sum` prints, in no particular order, for the files that
//! `find PATH -type f` lists; links are followed only where they are arguments, also if one takes a file's place
//! just before it is opened.
//!
//! ```sh
//! cargo run --release -p checksum -- ~/Pictures > sums
//! sha256sum --check --quiet sums
//! ```
//!
//! With standard output closed (`>&-`) it succeeds and prints nothing, where `sha256sum` fails: before `main`, Rust's
//! runtime opens `/dev/null` in its place, which looks like one that the caller gave.
//!
//! A file's line is printed before its item is acked. Should a worker die, its item goes to
//! another one: no file is missed, but lines may come twice.
//!
//! With the feature `redis` several machines that have the same files may share the work. One of them is given
//! the paths; the others, started before or after it, are given none. Each prints the lines of the files that it
//! has read, and says nothing of the others'.
//!
//! ```sh
//! checksum --redis redis://boss/ > here              # on as many machines as you like
//! checksum --redis redis://boss/ /mnt/all > there    # on one of them
//! ```

use std::error::Error;
use std::ffi::OsString;
use std::fmt::{self, Display};
use std::fs;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

mod files;

use actix_iterable_queue::prelude::*;
use clap::Parser;
use files::{Entries, Kind, open_directory, open_file};
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A worker shares what it finds while fewer items than this wait, and works on it itself when more
/// do: put into a first-in, first-out queue, all of it would be a whole level of the tree at a time.
const SHARE_BELOW: usize = 1024;
/// A worker's open directories. What is deeper is shared however long the queue is, so that
/// neither a deep tree nor many workers run out of file descriptors.
const OPEN_DIRECTORIES: usize = 8;
/// Each needs a thread, and descriptors for what it has open.
const MAX_WORKERS: u16 = 64;
/// Files are read, and the lines of long walks are printed, in pieces of this size.
const CHUNK: usize = 128 * 1024;
const HEX: &[u8; 16] = b"0123456789abcdef";

/// Prints SHA-256 checksums of files, and of all files below directories, as sha256sum does.
#[derive(Parser)]
#[command(name = "checksum")]
struct Args {
    /// How many files to read at a time, 1 to 64 [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_WORKERS)))]
    workers: Option<u16>,
    /// Share the work with other processes over this Redis; all but one are given no paths
    #[cfg(feature = "redis")]
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    /// Files and directories (no devices, and no - for standard input)
    #[arg(value_name = "PATH")]
    #[cfg_attr(feature = "redis", arg(required_unless_present = "redis"))]
    #[cfg_attr(not(feature = "redis"), arg(required = true))]
    paths: Vec<OsString>, // `PathBuf` would refuse an empty one
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Work {
    /// Anything at all, and a link is followed.
    Argument(Name),
    Directory(Name),
    File(Name),
}

/// A path. Names need not be text, which JSON has to be: as a last resort there is what `OsString` makes of them.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Name {
    Text(String),
    Other(OsString),
}

impl From<PathBuf> for Name {
    fn from(path: PathBuf) -> Self {
        path.into_os_string().into_string().map_or_else(Self::Other, Self::Text)
    }
}

impl AsRef<Path> for Name {
    fn as_ref(&self) -> &Path {
        match self {
            Self::Text(path) => path.as_ref(),
            Self::Other(path) => path.as_ref(),
        }
    }
}

fn main() -> ExitCode {
    env_logger::init();
    run(Args::parse()).unwrap_or_else(|error| {
        eprintln!("checksum: {error}");
        ExitCode::FAILURE
    })
}

fn run(args: Args) -> Result<ExitCode, Box<dyn Error>> {
    let builder = IterableQueue::builder().name("checksum");
    let queue = match &args {
        #[cfg(feature = "redis")]
        Args { redis: Some(url), .. } => builder.redis(url).blocking_connect()?,
        _ => builder.build()?,
    };
    let report = Arc::new(Report::new(&queue));
    let worker = {
        let (queue, report) = (queue.clone(), Arc::clone(&report));
        move |_index| Worker {
            queue: queue.clone(),
            report: Arc::clone(&report),
            lines: Vec::new(),
            chunk: vec![0; CHUNK],
        }
    };
    let count = args.workers.unwrap_or_else(processors);
    let workers = queue.spawn_workers_with(usize::from(count), worker, Worker::work_on)?;

    if !args.paths.is_empty() {
        let mut producer = queue.producer_named("arguments")?;
        // Explicit, because the workers keep handles, and a queue with handles does not seal itself.
        queue.seal();
        match producer.blocking_put_all(args.paths.into_iter().map(|path| Work::Argument(PathBuf::from(path).into()))) {
            Ok(_) => producer.close(),
            // After an abort the report knows why.
            Err(error) if error.reason() == Refusal::Aborted => {}
            Err(error) => return Err(error.into()),
        }
    }

    let drained = queue.blocking_drained();
    let complete = report.close(&drained);
    // After an abort a worker may still be in the middle of a large file: nobody waits for it.
    if drained.outcome == Outcome::Complete {
        workers.join();
    }
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn processors() -> u16 {
    let all = thread::available_parallelism().map_or(1, usize::from);
    u16::try_from(all).map_or(MAX_WORKERS, |all| all.min(MAX_WORKERS))
}

/// Reads files and directories, on a thread of its own.
struct Worker {
    queue: IterableQueue<Work>,
    report: Arc<Report>,
    /// Not printed yet.
    lines: Vec<u8>,
    chunk: Vec<u8>,
}

/// Errors of the tree are reported where they occur. Those that are returned mean that nobody
/// wants the result.
impl Worker {
    fn work_on(&mut self, item: &Item<Work>) -> Verdict {
        match self.read(item).and_then(|()| self.print()) {
            Ok(()) => Verdict::Ack,
            // Without an output all further work is for nothing, this item's included.
            Err(error) => {
                let _ = self.report.lost.set(error); // the first reason counts
                drop(self.queue.abort());
                Verdict::Release
            }
        }
    }

    fn read(&mut self, item: &Item<Work>) -> io::Result<()> {
        match &**item {
            Work::File(path) => self.hash(path.as_ref(), false),
            Work::Directory(path) => self.walk(item, path.as_ref(), false),
            Work::Argument(path) => {
                let path = path.as_ref();
                match fs::metadata(path) {
                    Ok(found) if found.is_dir() => return self.walk(item, path, true),
                    Ok(found) if found.is_file() => return self.hash(path, true),
                    Ok(_) => self.report.error(path, "not a regular file or directory"),
                    Err(error) => self.report.error(path, error),
                }
                Ok(())
            }
        }
    }

    /// Shares what is below a directory while the queue is short, and otherwise works on it here
    /// and now, depth first: so memory does not grow with the tree.
    fn walk(&mut self, item: &Item<Work>, top: &Path, follow: bool) -> io::Result<()> {
        let mut open = Vec::from_iter(self.open(top, follow));
        while let Some((directory, entries)) = open.last_mut() {
            match entries.find_map(|entry| work_of(directory, entry).transpose()) {
                None => drop(open.pop()),
                Some(Err(error)) => self.report.error(directory, error),
                Some(Ok(work)) if self.queue.len() < SHARE_BELOW => share(item, work)?,
                Some(Ok(Work::File(path))) => self.hash(path.as_ref(), false)?,
                Some(Ok(Work::Directory(path))) if open.len() < OPEN_DIRECTORIES => {
                    open.extend(self.open(path.as_ref(), false));
                }
                Some(Ok(work)) => share(item, work)?,
            }
        }
        Ok(())
    }

    fn open(&self, path: &Path, follow: bool) -> Option<(PathBuf, Entries)> {
        match open_directory(path, follow) {
            Ok(entries) => Some((path.to_owned(), entries)),
            Err(error) => {
                self.report.error(path, error);
                None
            }
        }
    }

    fn hash(&mut self, path: &Path, follow: bool) -> io::Result<()> {
        match self.sha256(path, follow) {
            Ok(digest) => {
                self.report.files.fetch_add(1, Relaxed);
                push_line(&mut self.lines, &digest, path);
            }
            Err(error) => self.report.error(path, error),
        }
        if self.lines.len() < CHUNK { Ok(()) } else { self.print() }
    }

    fn sha256(&mut self, path: &Path, follow: bool) -> io::Result<[u8; 32]> {
        let mut file = open_file(path, follow)?;
        let mut sha = Sha256::new();
        loop {
            match file.read(&mut self.chunk)? {
                0 => return Ok(sha.finalize().into()),
                length => {
                    sha.update(&self.chunk[..length]);
                    self.report.bar.inc(length as u64);
                }
            }
        }
    }

    fn print(&mut self) -> io::Result<()> {
        let printed = self.report.print(&self.lines);
        self.lines.clear();
        printed
    }
}

/// Links, pipes, sockets and devices are no work.
fn work_of(directory: &Path, entry: io::Result<(OsString, Kind)>) -> io::Result<Option<Work>> {
    let (name, kind) = entry?;
    Ok(match kind {
        Kind::Directory => Some(Work::Directory(directory.join(name).into())),
        Kind::File => Some(Work::File(directory.join(name).into())),
        Kind::Other => None,
    })
}

/// The queue is not drained before `item` is settled, so it takes more work until then.
fn share(item: &Item<Work>, work: Work) -> io::Result<()> {
    item.put_child(work).map_err(io::Error::other)
}

/// As coreutils prints it: a backslash in front says that the name has escapes in it.
fn push_line(lines: &mut Vec<u8>, digest: &[u8], path: &Path) {
    let name = escape(path);
    if name.len() > path.as_os_str().len() {
        lines.push(b'\\');
    }
    for &byte in digest {
        // For small files, `format!` would take as long as the hashing.
        lines.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
    lines.extend(b"  ");
    lines.extend(name);
    lines.push(b'\n');
}

/// A name on one line, byte by byte: it need not be UTF-8.
fn escape(path: &Path) -> Vec<u8> {
    let mut name = Vec::with_capacity(path.as_os_str().len());
    for &byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'\\' => name.extend(b"\\\\"),
            b'\n' => name.extend(b"\\n"),
            b'\r' => name.extend(b"\\r"),
            _ => name.push(byte),
        }
    }
    name
}

/// What the workers have in common: the output, the figures, the progress line.
struct Report {
    began: Instant,
    /// Counts bytes; it is hidden where standard error is not a terminal.
    bar: ProgressBar,
    files: Arc<AtomicU64>,
    errors: AtomicU64,
    /// Why standard output takes no more.
    lost: OnceLock<io::Error>,
}

impl Report {
    fn new(queue: &IterableQueue<Work>) -> Self {
        let (queue, files) = (queue.clone(), Arc::new(AtomicU64::new(0)));
        let counted = Arc::clone(&files);
        let work = move |_: &ProgressState, line: &mut dyn fmt::Write| {
            let _ = write!(line, "{}, {} queued", count(counted.load(Relaxed), "file"), queue.len());
        };
        let style = ProgressStyle::with_template("{work}, {decimal_bytes}, {decimal_bytes_per_sec}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner())
            .with_key("work", work);
        let bar = ProgressBar::new_spinner().with_style(style);
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { began: Instant::now(), bar, files, errors: AtomicU64::new(0), lost: OnceLock::new() }
    }

    /// In one go, so that lines stay whole.
    fn print(&self, lines: &[u8]) -> io::Result<()> {
        let write = || {
            let mut stdout = io::stdout().lock();
            stdout.write_all(lines)?;
            stdout.flush()
        };
        // On a terminal the lines and the progress line would get into each other.
        if io::stdout().is_terminal() { self.bar.suspend(write) } else { write() }
    }

    fn error(&self, path: &Path, reason: impl Display) {
        self.errors.fetch_add(1, Relaxed);
        let name = if path.as_os_str().is_empty() { b"''".to_vec() } else { escape(path) };
        let line = [b"checksum: ", &*name, format!(": {reason}\n").as_bytes()].concat();
        // There is no one to tell if this fails.
        let _ = self.bar.suspend(|| io::stderr().write_all(&line));
    }

    /// Prints the summary, and says whether everything went well.
    fn close(&self, drained: &Drained) -> bool {
        self.bar.finish_and_clear();
        // Where the reader has seen enough, as `head` does, there is nothing to say.
        if let Some(error) = self.lost.get().filter(|error| error.kind() != io::ErrorKind::BrokenPipe) {
            self.error(Path::new("standard output"), error);
        }
        let seconds = self.began.elapsed().as_secs_f64();
        let (files, bytes) = (self.files.load(Relaxed), self.bar.position());
        let rate = bytes as f64 / 1e6 / seconds;
        let redelivered = drained.totals.redelivered;
        let errors = self.errors.load(Relaxed) + drained.totals.dead_lettered;
        let _ = writeln!(
            io::stderr(),
            "{}, {}, {seconds:.2} s, {rate:.1} MB/s, {redelivered} redelivered, {}",
            count(files, "file"),
            count(bytes, "byte"),
            count(errors, "error")
        );
        errors == 0 && drained.outcome == Outcome::Complete
    }
}

fn count(n: u64, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}
