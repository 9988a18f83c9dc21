//! Work that takes a while, on all cores: how much of their time is spent on it.

mod others;
mod ours;
mod work;

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
        let gauge = Gauge::new(load, effort);
        let (ours, peers) = (ours::contenders(&gauge), others.contenders(&gauge));
        gauge.measure_anew_after(ours.len() + peers.len());
        lines.extend(Row { name: load.name.into(), figures: &FIGURES, ours, peers }.run(effort.rounds(ROUNDS))?);
    }
    let mut targets = Vec::new();
    for line in lines.iter().filter(|line| line.ours == ours::POOL) {
        if line.row == Load::TEN_MICROSECONDS.name {
            targets.push(Target::at_least(format!("{}, of ideal", line.row), 0.95, line.value.median));
        }
        // What is in a Vec beforehand needs no handing over: that peer shows what there is to win.
        let handed = line.opponents.iter().filter(|opponent| opponent.name != others::READY);
        if let Some(best) = handed.min_by(|one, other| one.advantage.median.total_cmp(&other.advantage.median)) {
            targets.push(Target::at_least(
                format!("{}, ours / best way to hand over ({})", line.row, best.name),
                0.97,
                best.advantage.median,
            ));
        }
    }
    let about = "computations on all cores, handed over by one source; ideal is what as many bare loops would take";
    Ok(Theme { name: "jobs", about, lines, targets })
}
