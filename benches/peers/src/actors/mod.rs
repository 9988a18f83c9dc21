//! Numbers from four producers to four worker actors.

mod elsewhere;
mod fixed_cost;
mod ours;
mod plain;
mod producers;

use std::time::Instant;

use actix_rt::Arbiter;

use crate::numbers::{Seen, Tallies};
use crate::report::{Line, Target, Theme};
use crate::rounds::{Effort, Measured, NS_PER_ITEM, Row};

const ITEMS: usize = 1_000_000;
/// For ways that take some microseconds an item; what is compared is the cost of each.
const FEWER_ITEMS: usize = 200_000;
const PRODUCERS: usize = 4;
const WORKERS: usize = 4;
/// For calls that take a millisecond.
const FEW_ITEMS: usize = 4000;
/// Room in the queue, and in mailboxes that have a bound.
const CAPACITY: usize = 1024;
/// What each producer that waits for answers has under way, and each worker that is served by address.
const IN_FLIGHT: usize = 64;
const ROUNDS: usize = 9;

const DO_SEND: &str = "do_send";
const SYNC_ARBITER: &str = "SyncArbiter";
const KAMEO: &str = "kameo pool";
const RACTOR: &str = "ractor factory";

pub(crate) fn run(effort: Effort) -> anyhow::Result<Theme> {
    let (items, fewer) = (effort.items(ITEMS), effort.items(FEWER_ITEMS));
    let row = Row {
        name: String::new(),
        figures: &NS_PER_ITEM,
        ours: ours::contenders(items, fewer),
        peers: plain::contenders(items, fewer).into_iter().chain(elsewhere::contenders(fewer)?).collect(),
    };
    let mut lines = row.run(effort.rounds(ROUNDS));
    lines.extend(fixed_cost::row(effort.items(FEW_ITEMS)).run(effort.rounds(ROUNDS)));
    let wanted = [
        (ours::PULL, DO_SEND, 8.0),
        (ours::PULL, SYNC_ARBITER, 8.0),
        (ours::PULL, KAMEO, 25.0),
        (ours::PULL, RACTOR, 50.0),
        (ours::PUSH, SYNC_ARBITER, 1.0),
        (ours::PUSH, KAMEO, 2.0),
        (ours::PUT, SYNC_ARBITER, 1.0),
        (ours::PUT, KAMEO, 2.0),
        (fixed_cost::BATCHES, fixed_cost::SINGLE, 3.0),
    ];
    let targets = wanted.into_iter().filter_map(|(way, peer, wanted)| {
        let line = lines.iter().find(|line: &&Line| line.ours == way)?;
        Some(Target::at_least(format!("{peer} / {way}"), wanted, line.against(peer)?))
    });
    Ok(Theme {
        name: "actors",
        about: "1 M u64 from 4 producers to 4 worker actors on arbiters of their own, 200,000 where each takes \
                microseconds; ratios: time of the peer / ours",
        targets: targets.collect(),
        lines,
    })
}

/// An arbiter for each worker, or for each producer.
struct Arbiters(Vec<Arbiter>);

impl Arbiters {
    fn new(count: usize) -> Self {
        Self((0..count).map(|_| Arbiter::new()).collect())
    }

    fn stop(self) {
        for arbiter in self.0 {
            arbiter.stop();
            // It was stopped, so it ends; a panic in it has cost items, which is seen elsewhere.
            let _ = arbiter.join();
        }
    }
}

/// The time until all workers are done, if they saw all the numbers. The caller cleans up, also if they did not.
async fn measured(began: Instant, tallies: Tallies, items: usize) -> Measured {
    let seen: Seen = tallies.of(WORKERS).await?;
    let time = began.elapsed();
    seen.check(items)?;
    Ok(vec![time.as_nanos() as f64 / items as f64])
}
