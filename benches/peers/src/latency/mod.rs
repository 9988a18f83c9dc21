//! From a put to the start of its handler, on a thread that sleeps when there is nothing to do.

mod contenders;
mod pace;
mod recorder;

use std::time::Duration;

use crate::report::{Target, Theme};
use crate::rounds::{Better, Effort, Figure, Row};
pub(crate) use contenders::{Run, Timed};
pub(crate) use pace::Pace;

pub(crate) const FIGURES: [Figure; 3] = [
    Figure { name: "p50", unit: "µs", better: Better::Less },
    Figure { name: "p99", unit: "µs", better: Better::Less },
    Figure { name: "p99.9", unit: "µs", better: Better::Less },
];
/// The name of the peer that the targets are about.
const DO_SEND: &str = "actix do_send";

pub(crate) fn run(effort: Effort) -> anyhow::Result<Theme> {
    let load = |micros| Pace::Load { every: Duration::from_micros(2 * micros), work: Duration::from_micros(micros) };
    let (mut lines, mut targets) = (Vec::new(), Vec::new());
    // Many short rounds: what else this machine does then meets all contenders alike.
    for (name, pace, items, rounds) in [
        ("idle", Pace::Idle, 2_000, 15),
        ("10 µs of work every 20 µs", load(10), 5_000, 31),
        ("100 µs of work every 200 µs", load(100), 1_000, 31),
    ] {
        let run = Run { pace, items: effort.items(items) };
        let row = Row {
            name: String::from(name),
            figures: &FIGURES,
            ours: vec![run.ours(), run.pushed()],
            peers: vec![run.do_send(), run.tokio_mpsc()],
        };
        let row = row.run(effort.rounds(rounds));
        for line in row.iter().filter(|line| line.figure != "p99.9") {
            let what = format!("{name}, {}, {DO_SEND} / ours {}", line.figure, line.ours);
            targets.extend(line.against(DO_SEND).map(|advantage| Target::at_least(what, 1.0, advantage)));
        }
        lines.extend(row);
    }
    Ok(Theme {
        name: "latency",
        about: "from put to the start of the handler, under load from the time at which the put was due; \
                ratios: time of the peer / ours",
        lines,
        targets,
    })
}
