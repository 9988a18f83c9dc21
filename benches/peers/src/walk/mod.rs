//! `examples/checksum` against other parallel, recursive `sha256sum`s: whole programs against whole programs.

mod processes;
mod rivals;
mod trees;

use std::thread::available_parallelism;
use std::time::Duration;

use crate::report::{Line, Target, Theme};
use crate::rounds::{Better, Contender, Effort, Figure, Row};

use processes::{Pipeline, checksum_program, is_here};
pub(crate) use rivals::Rival;
use trees::{Files, Tree};

const ROUNDS: usize = 7;
/// What most people would type, and what hashes as slowly or fast as the machine's `sha256sum` does.
const XARGS: &str = "find | xargs -P";
/// The same pipeline with our hashing, to see the walk alone.
const XARGS_SAME: &str = "find | xargs -P, same hashing";
const IGNORE: &str = "ignore";

pub(crate) fn run(effort: Effort) -> anyhow::Result<Theme> {
    let walkers = Walkers::of_this_machine()?;
    let all = available_parallelism().map_or(1, usize::from);
    let mut lines = Vec::new();
    for (files, threads) in [
        (Files { count: effort.items(20_000), bytes: 2 << 10 }, all),
        (Files { count: 16, bytes: effort.items(16 << 20) }, all),
        // How fast each hashes.
        (Files { count: 1, bytes: effort.items(64 << 20) }, 1),
    ] {
        lines.extend(walkers.row(files, threads, effort)?);
    }
    // The last row decides nothing: it says why the others are as they are.
    let targets = lines[..2].iter().filter_map(|line| {
        let ratio = line.against(XARGS)?;
        Some(Target::at_least(format!("{}, time of {XARGS} / ours", line.row), 1.0, ratio.median))
    });
    let targets = targets.collect();
    Ok(Theme {
        name: "walk",
        about: "sha256 of all files of a folder, by whole programs; ratios: time of the peer / ours",
        lines,
        targets,
    })
}

struct Walkers {
    checksum: String,
    /// This very program, which is some of the peers, too.
    rivals: String,
    has_find: bool,
    has_sha256sum: bool,
}

impl Walkers {
    fn of_this_machine() -> anyhow::Result<Self> {
        Ok(Self {
            checksum: checksum_program()?,
            rivals: std::env::current_exe()?.to_string_lossy().into_owned(),
            has_find: is_here("find") && is_here("xargs"),
            has_sha256sum: is_here("sha256sum"),
        })
    }

    fn row(&self, files: Files, threads: usize, effort: Effort) -> anyhow::Result<Vec<Line>> {
        let tree = Tree::plant(files)?;
        let top = tree.top();
        let bytes = files.bytes as f64 * files.count as f64;
        let rates: &[Figure] = &[Figure { name: "", unit: "MB/s", better: Better::More }];
        let contender = |name, pipeline: Pipeline| {
            let tree = &tree;
            Contender::new(name, move || {
                let (time, lines) = pipeline.run()?;
                tree.check(lines)?;
                Ok(vec![rate(bytes, time)])
            })
        };

        let count = threads.to_string();
        let ours = contender("", Pipeline::of([&self.checksum, "--workers", &count, "--", top]));
        let mut peers = Vec::new();
        if self.has_find {
            if self.has_sha256sum {
                let pipeline = find(top, files, threads, &["sha256sum"]);
                peers.push(contender(XARGS, pipeline).lacking("no progress, no summary"));
            }
            let pipeline = find(top, files, threads, &[&self.rivals, "hash"]);
            peers.push(contender(XARGS_SAME, pipeline).lacking("a sha256sum made with the library that ours has"));
        }
        let pipeline = Pipeline::of([&self.rivals, "walk", "--threads", &count, top]);
        peers.push(contender(IGNORE, pipeline).lacking("no progress, no summary; a panic ends it"));
        Row { name: name(files, threads), figures: rates, ours: vec![ours], peers }.run(effort.rounds(ROUNDS))
    }
}

/// `find TOP -type f -print0 | xargs -0 -n FILES -P THREADS HASH…`
///
/// Without `-n`, xargs would give all of a few files to a single process. Eight processes for each
/// thread even out well, and starting them takes little time.
fn find(top: &str, files: Files, threads: usize, hash: &[&str]) -> Pipeline {
    let share = files.count.div_ceil(8 * threads).to_string();
    let threads = threads.to_string();
    let xargs = ["xargs", "-0", "-n", &share, "-P", &threads];
    Pipeline::of(["find", top, "-type", "f", "-print0"]).into(xargs.iter().chain(hash).copied())
}

fn name(files: Files, threads: usize) -> String {
    let size =
        if files.bytes < 1 << 20 { format!("{} KiB", files.bytes >> 10) } else { format!("{} MiB", files.bytes >> 20) };
    let threads = if threads == 1 { ", one thread" } else { "" };
    format!("{} of {size}{threads}", if files.count == 1 { "1 file".into() } else { format!("{} files", files.count) })
}

fn rate(bytes: f64, time: Duration) -> f64 {
    bytes / 1e6 / time.as_secs_f64()
}
