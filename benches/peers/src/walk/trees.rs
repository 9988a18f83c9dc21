//! Files to be hashed.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::numbers;

#[derive(Clone, Copy)]
pub(super) struct Files {
    pub(super) count: usize,
    pub(super) bytes: usize,
}

/// A folder of files in nested folders, and what is to be said of them.
pub(super) struct Tree {
    folder: TempDir,
    pub(super) sums: Arc<Sums>,
}

/// The lines of `sha256sum`, in order.
pub(super) struct Sums(Vec<String>);

impl Tree {
    /// 50 files in a folder, 20 folders in a folder.
    pub(super) fn plant(files: Files) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut content = vec![0; files.bytes];
        let mut expected = Vec::with_capacity(files.count);
        for index in 0..files.count {
            let below: PathBuf = [index / 1000, index / 50 % 20].iter().map(ToString::to_string).collect();
            let below = folder.path().join(below);
            fs::create_dir_all(&below)?;
            let path = below.join(format!("{index}.data"));
            for (position, bytes) in content.chunks_mut(8).enumerate() {
                let number = (index as u64 + 1) << 32 | position as u64;
                bytes.copy_from_slice(&number.to_le_bytes()[..bytes.len()]);
            }
            fs::write(&path, &content).with_context(|| format!("cannot write {}", path.display()))?;
            let digest: String = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
            expected.push(format!("{digest}  {}", path.display()));
        }
        expected.sort_unstable();
        Ok(Self { folder, sums: Arc::new(Sums(expected)) })
    }

    pub(super) fn top(&self) -> &str {
        self.folder.path().to_str().unwrap_or_default()
    }
}

impl Sums {
    /// That these are the lines for all files, in any order.
    pub(super) fn check(&self, lines: &str) -> anyhow::Result<()> {
        let mut lines: Vec<&str> = lines.lines().collect();
        lines.sort_unstable();
        numbers::check((lines.len() as u64, 0), (self.0.len() as u64, 0))?;
        match self.0.iter().zip(&lines).find(|(expected, line)| expected != line) {
            Some((expected, line)) => Err(anyhow!("it printed {line:?} where {expected:?} was right")),
            None => Ok(()),
        }
    }
}
