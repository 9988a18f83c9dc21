//! A handler whose calls have a cost of their own, as a request to a database has. In batches it is paid once for many items.

use std::thread::sleep;
use std::time::Duration;

use actix::System;
use actix_iterable_queue::{Item, WorkerPoolBuilder};

use super::ours::{Started, pool};
use crate::numbers::{Tallies, Tally};
use crate::rounds::{Contender, NS_PER_ITEM, Row};

pub(super) const BATCHES: &str = "batches of 100";
pub(super) const SINGLE: &str = "single items";

const CALL: Duration = Duration::from_millis(1);
/// Longer than it takes to fill a batch. The last ones are handed over as no more can come.
const LINGER: Duration = Duration::from_secs(1);

pub(super) fn row(items: usize) -> Row {
    Row {
        name: "calls of 1 ms".to_owned(),
        figures: &NS_PER_ITEM,
        ours: vec![Contender::new(BATCHES, move || System::new().block_on(pool(items, in_batches)))],
        peers: vec![Contender::new(SINGLE, move || System::new().block_on(pool(items, one_by_one)))],
    }
}

fn in_batches(builder: WorkerPoolBuilder<u64>, tallies: &Tallies) -> Started {
    let tally = tallies.maker();
    let call = |tally: &mut Tally, items: &[Item<u64>]| {
        sleep(CALL);
        items.iter().for_each(|item| tally.note(**item));
    };
    builder.batch(100, LINGER).run_with(move |_| tally(), call)
}

fn one_by_one(builder: WorkerPoolBuilder<u64>, tallies: &Tallies) -> Started {
    let tally = tallies.maker();
    let call = |tally: &mut Tally, item: &Item<u64>| {
        sleep(CALL);
        tally.note(**item);
    };
    builder.run_with(move |_| tally(), call)
}
