//! Work that takes a while, on all cores: how much of their time is spent on it.

mod others;
mod ours;
mod work;

use std::sync::Arc;

use crate::report::{Target, Theme};
use crate::rounds::{Better, Effort, Figure, Row};

use self::work::{Gauge, Load};

/// Room in the queue, and in channels, and how many tasks there may be.
const CAPACITY: usize = 1024;
const ROUNDS: usize = 13;
const FIGURES: [Figure; 1] = [Figure { name: "", unit: "of ideal", better: Better::More }];

pub(crate) fn run(effort: Effort) -> anyhow::Result<Theme> {
    let others = others::Others::new()?;
    let mut lines = Vec::new();
    for load in Load::ALL {
        let gauge = Arc::new(Gauge::new(load, effort));
        let (ours, peers) = (ours::contenders(&gauge), others.contenders(&gauge));
        let row = Row { name: load.name.into(), figures: &FIGURES, ours, peers };
        // Fast and slow times of the machine come and go: each round is measured by its own pace.
        lines.extend(row.run_after(|| gauge.measure_pace(), effort.rounds(ROUNDS)));
    }
    let mut targets = Vec::new();
    for line in lines.iter().filter(|line| line.ours == ours::POOL) {
        if line.row == Load::TEN_MICROSECONDS.name {
            let of_ideal =
                line.median().map(|median| Target::at_least(format!("{}, of ideal", line.row), 0.95, median));
            targets.extend(of_ideal);
        }
        // What is in a Vec beforehand needs no handing over: that peer shows what there is to win.
        targets.extend(line.best_opponent_but(others::READY).map(|(best, advantage)| {
            Target::at_least(format!("{}, ours / best way to hand over ({best})", line.row), 0.97, advantage)
        }));
    }
    let about = "computations on all cores, handed over by one source; ideal is what as many bare loops would take";
    Ok(Theme { name: "jobs", about, lines, targets })
}
