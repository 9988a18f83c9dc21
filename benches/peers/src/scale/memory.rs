//! What endpoints and items take, each measured in a process of its own; see `probe.rs`.

use super::Part;
use super::probe::Probe;
use crate::report::{Line, Target};
use crate::rounds::{Better, Contender, Effort, Figure, Measured, Row};

/// Of floods. What is counted in bytes is the same each time.
const ROUNDS: usize = 3;
const BYTES: [Figure; 1] = [Figure { name: "", unit: "bytes", better: Better::Less }];
const MIB: [Figure; 1] = [Figure { name: "", unit: "MiB", better: Better::Less }];

/// Enough of them that a page more or less does not matter.
const ENDPOINTS: usize = 100_000;
const QUEUED: usize = 1_000_000;

pub(super) fn run(effort: Effort) -> Part {
    if !cfg!(target_os = "linux") {
        eprintln!("scale: memory is left out: it is read from /proc, which only Linux has");
        return Part::default();
    }
    let mut part = Part::default();
    let endpoints = effort.items(ENDPOINTS);
    for (name, probe, wanted) in [
        ("an idle producer", Probe::Producers(endpoints), Some(512.0)),
        ("an idle consumer", Probe::Consumers(endpoints), Some(512.0)),
        ("a clone of a producer", Probe::ClonesOfProducer(endpoints), None),
        ("a clone of a consumer", Probe::ClonesOfConsumer(endpoints), None),
        ("a queue without a bound, empty", Probe::Queues(endpoints), None),
    ] {
        part.weigh(name, probe, endpoints, wanted);
    }
    for items in [10, 100, 1_000, QUEUED] {
        let probe = Probe::Unbounded { queues: QUEUED / items, items };
        // The first block of cells is there for one item as for many.
        let wanted = (items >= 100).then_some(24.0);
        part.weigh(&format!("a u64 of {items} in a queue without a bound"), probe, QUEUED, wanted);
    }
    for capacity in [100, 1_000, QUEUED] {
        let probe = Probe::Bounded { queues: QUEUED / capacity, capacity };
        // With the queue itself, which weighs more than 100 items.
        let wanted = (capacity >= 1_000).then_some(24.0);
        part.weigh(&format!("a u64 in a full queue of {capacity}, with the queue"), probe, QUEUED, wanted);
    }
    part.flood(effort);
    part
}

impl Part {
    /// Bytes for each of `count`.
    fn weigh(&mut self, name: &str, probe: Probe, count: usize, wanted: Option<f64>) {
        let ours = Contender::new("", move || Ok(vec![probe.run_apart()? / count as f64]));
        let row = Row { name: format!("memory of {name}"), figures: &BYTES, ours: vec![ours], peers: Vec::new() };
        let row = row.run_once();
        if let Some(wanted) = wanted {
            let medians = row.iter().filter_map(Line::median);
            self.targets.extend(medians.map(|median| Target::at_most(format!("bytes: {name}"), wanted, median)));
        }
        self.lines.extend(row);
    }

    fn flood(&mut self, effort: Effort) {
        const CAPACITY: usize = 1_000;
        let items = effort.items(200_000);
        let mib = |probe: Probe| -> Measured { Ok(vec![probe.run_apart()? / f64::from(1 << 20)]) };
        let row = Row {
            name: format!("peak memory for {items} items of 1 KiB, capacity {CAPACITY}, slow consumer"),
            figures: &MIB,
            ours: vec![Contender::new("", move || mib(Probe::Flood { capacity: CAPACITY, items }))],
            peers: vec![Contender::new("actix do_send", move || mib(Probe::DoSendFlood { items })).lacking("no bound")],
        };
        let row = row.run(effort.rounds(ROUNDS));
        // Each of the buffer's two boxes may come to hold as much.
        let what = format!("MiB at the peak, with a capacity of {CAPACITY} KiB");
        let medians = row.iter().filter_map(Line::median);
        self.targets.extend(medians.map(|median| Target::at_most(what.clone(), 3.0, median)));
        self.lines.extend(row);
    }
}
