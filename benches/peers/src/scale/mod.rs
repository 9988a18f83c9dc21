//! What many endpoints, many items and large items cost, in time and in memory.

mod call;
mod ending;
mod memory;
mod opening;
mod passing;
mod probe;
mod stack;

use crate::report::{Line, Target, Theme};
use crate::rounds::Effort;

pub(crate) use probe::Probe;

/// So many endpoints are many.
const MANY: usize = 10_000;

pub(crate) fn run(effort: Effort) -> anyhow::Result<Theme> {
    let (mut lines, mut targets) = (Vec::new(), Vec::new());
    for part in [passing::run, opening::run, ending::run, memory::run, stack::run] {
        let part: Part = part(effort);
        lines.extend(part.lines);
        targets.extend(part.targets);
    }
    Ok(Theme {
        name: "scale",
        about: "what many endpoints, many items and large items cost; ratios: figure of the column's / ours",
        lines,
        targets,
    })
}

#[derive(Default)]
struct Part {
    lines: Vec<Line>,
    targets: Vec<Target>,
}
