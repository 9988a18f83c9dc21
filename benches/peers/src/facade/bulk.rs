//! Many items at once against one by one.

use std::time::Instant;

use actix_iterable_queue::IterableQueue;
use futures::StreamExt;
use tokio::runtime::Builder;

use super::ROUNDS;
use crate::numbers::Seen;
use crate::report::{Line, Target};
use crate::rounds::{Contender, Effort, Measured, NS_PER_ITEM, Row};

const ITEMS: usize = 200_000;

pub(super) fn run(effort: Effort) -> (Vec<Line>, Vec<Target>) {
    let items = effort.items(ITEMS);
    let (mut lines, mut targets) = (Vec::new(), Vec::new());
    for (name, single, puts) in
        [("put_all", "put, one by one", true), ("leases().ready_chunks(64)", "lease, one by one", false)]
    {
        let contender = |name, bulk| Contender::new(name, move || pass(items, puts, bulk));
        let (ours, peers) = (vec![contender("", true)], vec![contender(single, false)]);
        let row = Row { name: format!("a task, {name}"), figures: &NS_PER_ITEM, ours, peers };
        let row = row.run(effort.rounds(ROUNDS));
        let what = format!("{single} / {name}");
        let advantages = row.iter().filter_map(Line::best_opponent);
        targets.extend(advantages.map(|(_, advantage)| Target::at_least(what.clone(), 2.0, advantage)));
        lines.extend(row);
    }
    (lines, targets)
}

/// Numbers through a queue in one task: all in, then all out. Times the puts, or the takes.
fn pass(items: usize, puts: bool, bulk: bool) -> Measured {
    let runtime = Builder::new_current_thread().build()?;
    runtime.block_on(async {
        let (producer, mut consumer) = IterableQueue::unbounded().split()?;
        let began = Instant::now();
        if puts && bulk {
            producer.put_all(0..items as u64).await?;
        } else {
            for item in 0..items as u64 {
                producer.put(item).await?;
            }
        }
        let put = began.elapsed();
        let began = Instant::now();
        let mut seen = Seen::default();
        // The producer is open still, as it is most of the time.
        if !puts && bulk {
            let mut leases = consumer.leases().take(items).ready_chunks(64);
            while let Some(chunk) = leases.next().await {
                for item in chunk {
                    seen.note(*item);
                    item.ack();
                }
            }
        } else {
            for _ in 0..items {
                if let Some(item) = consumer.lease().await {
                    seen.note(*item);
                    item.ack();
                }
            }
        }
        let time = if puts { put } else { began.elapsed() };
        seen.check_in_order(items)?;
        Ok(vec![time.as_nanos() as f64 / items as f64])
    })
}
