//! The example `checksum` against other parallel, recursive `sha256sum`s: whole programs against whole programs.

mod processes;
mod rivals;
mod trees;

use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use crate::report::{Line, Target, Theme};
use crate::rounds::{Better, Contender, Effort, Figure, Row};
use crate::trial::Failure;

use processes::{Pipeline, checksum_program, need};
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
        Some(Target::at_least(format!("{}, time of {XARGS} / ours", line.row), 1.0, line.against(XARGS)?))
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
    checksum: Result<String, Failure>,
    /// This very program, which is some of the peers, too.
    rivals: String,
    find: Result<(), Failure>,
    sha256sum: Result<(), Failure>,
}

impl Walkers {
    fn of_this_machine() -> anyhow::Result<Self> {
        Ok(Self {
            checksum: checksum_program().map_err(Failure::from),
            rivals: std::env::current_exe()?.to_string_lossy().into_owned(),
            find: need(&["find", "xargs"]),
            sha256sum: need(&["sha256sum"]),
        })
    }

    fn row(&self, files: Files, threads: usize, effort: Effort) -> anyhow::Result<Vec<Line>> {
        const RATES: [Figure; 1] = [Figure { name: "", unit: "MB/s", better: Better::More }];
        let tree = Tree::plant(files)?;
        let top = tree.top();
        let bytes = files.bytes as f64 * files.count as f64;
        let contender = |name, pipeline: Result<Pipeline, Failure>| {
            let sums = Arc::clone(&tree.sums);
            Contender::new(name, move || {
                let (time, lines) = pipeline.as_ref().map_err(Failure::clone)?.run()?;
                sums.check(&lines)?;
                Ok(vec![rate(bytes, time)])
            })
        };

        let count = threads.to_string();
        let ours = self.checksum.clone();
        let ours = ours.map(|program| Pipeline::of([&*program, "--workers", &count, "--", top]));
        let find = self.find.clone();
        let plain = find.clone().and(self.sha256sum.clone()).map(|()| find_and(top, files, threads, &["sha256sum"]));
        let same = find.map(|()| find_and(top, files, threads, &[&self.rivals, "hash"]));
        let ignore = Pipeline::of([&self.rivals, "walk", "--threads", &count, top]);
        let peers = vec![
            contender(XARGS, plain).lacking("no progress, no summary"),
            contender(XARGS_SAME, same).lacking("a sha256sum made with the library that ours has"),
            contender(IGNORE, Ok(ignore)).lacking("no progress, no summary; a panic ends it"),
        ];
        let row = Row { name: name(files, threads), figures: &RATES, ours: vec![contender("", ours)], peers };
        Ok(row.run(effort.rounds(ROUNDS)))
    }
}

/// `find TOP -type f -print0 | xargs -0 -n FILES -P THREADS HASH…`
///
/// Without `-n`, xargs would give all of a few files to a single process. Eight processes for each
/// thread even out well, and starting them takes little time.
fn find_and(top: &str, files: Files, threads: usize, hash: &[&str]) -> Pipeline {
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
