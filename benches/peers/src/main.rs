//! How fast the queue is, beside its peers. `cargo run --release -p peers -- --help`
//!
//! The way through it: a theme (`facade`, …) makes rows of contenders; `rounds` runs the contenders
//! of a row in turn and compares them pair by pair; `report` is what came of it, printed by `table`,
//! written by `--json`, drawn by `plot`. What goes wrong with a run is a result, too: `trial` catches it,
//! and the run of the program goes on.

mod actors;
mod children;
mod facade;
#[cfg(test)]
mod fakes;
mod instructions;
mod jobs;
mod latency;
mod numbers;
mod plot;
mod redis;
mod report;
mod rounds;
mod runtime;
mod scale;
mod start;
mod table;
mod trial;
mod walk;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use clap::{Parser, ValueEnum};

use crate::report::Report;
use crate::rounds::Effort;
use crate::scale::Probe;

/// Runs the queue and its peers side by side, and prints how they compare.
///
/// What goes wrong with a peer (it loses items, panics, hangs, is not installed) is told in the table, and ends
/// nothing. What goes wrong with the queue is told, too, and is an error once all tables are printed.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
struct Args {
    /// Only this theme; can be given several times
    #[arg(long, value_name = "THEME")]
    only: Vec<Theme>,
    /// Write all figures to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw a picture of each theme that has peers into this folder
    #[arg(long, value_name = "DIR")]
    plot: Option<PathBuf>,
    /// Every row once and with few items, to see that all of it works; the figures mean nothing
    #[arg(long)]
    quick: bool,
    /// Runs this, in a process of its own, and prints the memory that it took
    #[arg(long, hide = true, value_parser = Probe::parse)]
    probe: Option<Probe>,
    /// Takes `count_items` items this way, for callgrind to count
    #[arg(long, hide = true, requires = "count_items")]
    count: Option<instructions::Way>,
    #[arg(long, hide = true)]
    count_items: Option<usize>,
    /// This program as a peer
    #[command(subcommand)]
    rival: Option<walk::Rival>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Theme {
    Facade,
    Actors,
    Jobs,
    Latency,
    Scale,
    Walk,
    Redis,
    Instructions,
}

impl Theme {
    fn run(self, effort: Effort) -> anyhow::Result<report::Theme> {
        match self {
            Theme::Facade => facade::run(effort),
            Theme::Actors => actors::run(effort),
            Theme::Jobs => jobs::run(effort),
            Theme::Latency => latency::run(effort),
            Theme::Scale => scale::run(effort),
            Theme::Walk => walk::run(effort),
            Theme::Redis => redis::run(effort),
            Theme::Instructions => instructions::run(effort),
        }
    }
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    if let Some(rival) = args.rival {
        rival.run()?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(probe) = args.probe {
        println!("{}", probe.run()?);
        return Ok(ExitCode::SUCCESS);
    }
    if let (Some(way), Some(items)) = (args.count, args.count_items) {
        way.go(items)?;
        return Ok(ExitCode::SUCCESS);
    }
    let began = Instant::now();
    let effort = if args.quick { Effort::QUICK } else { Effort::FULL };
    let themes = if args.only.is_empty() { Theme::value_variants() } else { &args.only };
    let mut report = Report::of_this_machine();
    let mut defects = Vec::new();
    for theme in themes {
        match trial::caught(|| theme.run(effort)) {
            Ok(theme) => {
                table::print(&theme);
                defects.extend(theme.defects());
                if let Some(folder) = &args.plot
                    && let Err(failure) = trial::caught(|| plot::write(&theme, folder))
                {
                    defects.push(format!("{}: no plot: {failure}", theme.name));
                }
                report.themes.push(theme);
            }
            Err(failure) => {
                let name = theme.to_possible_value().map_or_else(String::new, |value| value.get_name().into());
                println!("\n{name}: not measured: {failure}");
                defects.push(format!("{name}: not measured: {failure}"));
            }
        }
    }
    println!("\n{} s in all", began.elapsed().as_secs());
    if let Some(file) = args.json
        && let Err(failure) = trial::caught(|| write(&report, &file))
    {
        defects.push(failure.to_string());
    }
    for defect in &defects {
        eprintln!("error: {defect}");
    }
    Ok(if defects.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn write(report: &Report, file: &Path) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(report)?;
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}
