//! How much stack a large item takes on its way into a channel and out of it.
//!
//! It depends on how the program was built: `cargo run -p peers` shows what it is without optimization.

use anyhow::Context as _;

use super::Part;
use super::call::{Call, FRAME, Of, SIZES, STACK, What};
use super::probe::Probe;
use crate::report::Target;
use crate::rounds::{Better, Contender, Effort, Figure, Row};

const FIGURE: [Figure; 1] = [Figure { name: "", unit: "x its size", better: Better::Less }];
const CROSSBEAM: &str = "crossbeam-channel";

pub(super) fn run(effort: Effort) -> Part {
    let mut part = Part::default();
    for (name, what) in [
        ("try_put", What::TryPut),
        ("try_put, full", What::TryPutFull),
        ("blocking_put", What::Put),
        ("blocking_put, waits", What::PutWaits),
        ("blocking_get", What::Get),
        ("blocking_get, waits", What::GetWaits),
        ("blocking_lease, ack", What::LeaseAck),
        ("blocking_lease, waits, ack", What::LeaseAckWaits),
        ("blocking_lease, into_inner", What::LeaseIntoInner),
        ("put_child", What::PutChild),
        ("put().await", What::PutAwait),
        ("get().await", What::GetAwait),
    ] {
        let peers: &[_] = match what {
            What::PutAwait | What::GetAwait => &[("flume", Of::Flume)],
            _ => &[(CROSSBEAM, Of::Crossbeam), ("flume", Of::Flume)],
        };
        for size in SIZES.into_iter().take(effort.rounds(SIZES.len())) {
            let contender = |name, of| {
                let call = Call { what, of, size, frames: 0 };
                Contender::new(name, move || Ok(vec![multiple(call)?]))
            };
            let name = format!("stack of {name}, {} KiB", size >> 10);
            let peers = peers.iter().map(|(name, of)| contender(*name, *of)).collect();
            let row = Row { name: name.clone(), figures: &FIGURE, ours: vec![contender("", Of::Ours)], peers };
            // The same each time.
            let row = row.run_once();
            part.targets.extend(row.iter().filter_map(|line| {
                let theirs = line.opponent(CROSSBEAM)?.value?.median;
                Some(Target::at_most(format!("{name}, in what {CROSSBEAM} takes"), 2.0, line.median()? / theirs))
            }));
            part.lines.extend(row);
        }
    }
    part
}

/// How much more stack the call needs than with an item of one byte, in sizes of the item.
fn multiple(call: Call) -> anyhow::Result<f64> {
    let left = |size| most_taken_away(Call { size, ..call });
    Ok((left(1)? - left(call.size)?) / call.size as f64)
}

/// How much of the stack can be taken away.
fn most_taken_away(call: Call) -> anyhow::Result<f64> {
    // How many bytes the frames take away, if the call survives that. If it does not, its process dies.
    let survives = |frames| Probe::Stack(Call { frames, ..call }).run_on_stack();
    let (mut survived, mut died) = (0, STACK / FRAME);
    let mut most = survives(0)?.context("it needs all of its stack")?;
    while died - survived > 1 {
        let frames = survived.midpoint(died);
        match survives(frames)? {
            Some(taken_away) => (survived, most) = (frames, taken_away),
            None => died = frames,
        }
    }
    Ok(most)
}
