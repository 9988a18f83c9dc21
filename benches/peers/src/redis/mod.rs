//! The queue over Redis, and what else there is for jobs in Redis: on one server, in one run.

mod apalis;
mod bare;
mod job;
mod ours;
mod server;

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::latency::{self, Pace, Run};
use crate::report::{Line, Target, Theme};
use crate::rounds::{Better, Effort, Figure, Row};
use server::{Address, Server};

const RATE: [Figure; 1] = [Figure { name: "", unit: "items/s", better: Better::More }];
/// After this much time something is lost, and will not come.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn run(effort: Effort) -> anyhow::Result<Theme> {
    let (mut lines, mut targets) = (Vec::new(), Vec::new());
    let (_server, address) = Server::start();
    for consumers in [1, 4] {
        let row = throughput(&address, consumers, effort);
        targets.extend(row.iter().filter(|line| line.ours == ours::TASKS).flat_map(rate_targets));
        lines.extend(row);
    }
    let row = latency(&address, effort);
    let medians = row.iter().filter(|line| line.figure == "p50");
    targets.extend(
        medians.filter_map(|line| Some(Target::at_most(format!("{}, µs", line.name()), 1_000.0, line.median()?))),
    );
    lines.extend(row);
    Ok(Theme {
        name: "redis",
        about: "jobs of 100 bytes over one Redis, put and confirmed, done and acked; idle: from put to the start of \
                the handler; ratios: how many times better ours is",
        lines,
        targets,
    })
}

fn throughput(server: &Address, consumers: usize, effort: Effort) -> Vec<Line> {
    let items = effort.items(50_000);
    let row = Row {
        name: if consumers == 1 { String::from("1 consumer") } else { format!("{consumers} consumers") },
        figures: &RATE,
        ours: ours::throughput(server, consumers, items),
        peers: vec![apalis::throughput(server, consumers, items), bare::throughput(server, items)],
    };
    row.run(effort.rounds(5))
}

fn rate_targets(line: &Line) -> impl Iterator<Item = Target> {
    let name = line.name();
    let rate = line.median().map(|rate| Target::at_least(format!("{name}, items/s"), 100_000.0, rate));
    let ratio = line
        .against(apalis::NAME)
        .map(|advantage| Target::at_least(format!("{name}, ours / {}", apalis::NAME), 5.0, advantage));
    rate.into_iter().chain(ratio)
}

fn latency(server: &Address, effort: Effort) -> Vec<Line> {
    let run = Run { pace: Pace::Idle, items: effort.items(400) };
    let row = Row {
        name: String::from("idle"),
        figures: &latency::FIGURES,
        ours: vec![ours::latency(server, run)],
        peers: vec![apalis::latency(server, run), bare::latency(server, run)],
    };
    row.run(effort.rounds(7))
}

fn runtime() -> anyhow::Result<Runtime> {
    Ok(Builder::new_multi_thread().enable_all().build()?)
}
