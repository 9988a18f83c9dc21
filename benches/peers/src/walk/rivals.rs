//! Peers of the theme `walk` that are no programs yet. They are hidden subcommands of this one.
//!
//! Both read files in pieces of the size that ours has, and print as seldom.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Subcommand;
use ignore::{DirEntry, ParallelVisitor, ParallelVisitorBuilder, WalkBuilder, WalkState};
use sha2::{Digest, Sha256};

const CHUNK: usize = 128 * 1024;
const HEX: &[u8; 16] = b"0123456789abcdef";

#[derive(Subcommand)]
pub(crate) enum Rival {
    /// `sha256sum FILES`
    #[command(hide = true)]
    Hash { files: Vec<PathBuf> },
    /// The same for all files of a folder, found by `ignore`
    #[command(hide = true)]
    Walk {
        #[arg(long)]
        threads: usize,
        top: PathBuf,
    },
}

impl Rival {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Hash { files } => {
                let mut hasher = Hasher::new();
                files.iter().try_for_each(|path| hasher.hash(path))
            }
            Self::Walk { threads, top } => {
                let mut walk = WalkBuilder::new(top);
                walk.standard_filters(false).threads(threads).build_parallel().visit(&mut Hashers);
                Ok(())
            }
        }
    }
}

struct Hashers;

impl<'s> ParallelVisitorBuilder<'s> for Hashers {
    fn build(&mut self) -> Box<dyn ParallelVisitor + 's> {
        Box::new(Hasher::new())
    }
}

struct Hasher {
    chunk: Vec<u8>,
    /// Not printed yet.
    lines: Vec<u8>,
}

impl Hasher {
    fn new() -> Self {
        Self { chunk: vec![0; CHUNK], lines: Vec::new() }
    }

    fn visit_file(&mut self, entry: Result<DirEntry, ignore::Error>) -> anyhow::Result<()> {
        let entry = entry?;
        if entry.file_type().is_some_and(|kind| kind.is_file()) { self.hash(entry.path()) } else { Ok(()) }
    }

    fn hash(&mut self, path: &Path) -> anyhow::Result<()> {
        let digest = self.sha256(path).with_context(|| format!("cannot read {}", path.display()))?;
        for byte in digest {
            self.lines.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
        writeln!(self.lines, "  {}", path.display())?;
        if self.lines.len() >= CHUNK { Ok(self.print()?) } else { Ok(()) }
    }

    fn sha256(&mut self, path: &Path) -> io::Result<[u8; 32]> {
        let mut file = File::open(path)?;
        let mut sha = Sha256::new();
        loop {
            match file.read(&mut self.chunk)? {
                0 => return Ok(sha.finalize().into()),
                length => sha.update(&self.chunk[..length]),
            }
        }
    }

    fn print(&mut self) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(&self.lines)?;
        self.lines.clear();
        stdout.flush()
    }
}

impl ParallelVisitor for Hasher {
    fn visit(&mut self, entry: Result<DirEntry, ignore::Error>) -> WalkState {
        // What is not printed is missing in the end.
        if let Err(error) = self.visit_file(entry) {
            eprintln!("{error:#}");
        }
        WalkState::Continue
    }
}

impl Drop for Hasher {
    fn drop(&mut self) {
        if let Err(error) = self.print() {
            eprintln!("{error}");
        }
    }
}
