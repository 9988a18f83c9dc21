//! The queue used as a channel.

mod bulk;
mod tasks;
mod threads;

use crate::numbers::{self, Seen};
use crate::report::{Line, Spread, Target, Theme};
use crate::rounds::Effort;
use crate::trial::Failure;

const CAPACITIES: [Option<usize>; 4] = [Some(1), Some(64), Some(1024), None];
const SHAPES: [Shape; 4] = [Shape::new(1, 1), Shape::new(2, 2), Shape::new(4, 4), Shape::new(17, 13)];
const ROUNDS: usize = 9;

#[derive(Clone, Copy)]
struct Shape {
    producers: usize,
    consumers: usize,
}

impl Shape {
    const fn new(producers: usize, consumers: usize) -> Self {
        Self { producers, consumers }
    }

    fn row(self, on: &str, capacity: Option<usize>) -> String {
        let capacity = capacity.map_or_else(|| String::from("no bound"), |capacity| format!("capacity {capacity}"));
        format!("{on}, {capacity}, {}p{}c", self.producers, self.consumers)
    }

    /// What each producer sends of `items` numbers.
    fn shares(self, items: usize) -> impl Iterator<Item = std::ops::Range<u64>> {
        numbers::shares(items, self.producers)
    }

    /// That all arrived, as they should.
    fn check(self, seen: Seen, items: usize) -> Result<(), Failure> {
        if self.producers == 1 { seen.check_in_order(items) } else { seen.check(items) }
    }
}

type RunRow = fn(Effort, Shape, Option<usize>) -> anyhow::Result<Vec<Line>>;

pub(crate) fn run(effort: Effort) -> anyhow::Result<Theme> {
    let (mut lines, mut targets) = (Vec::new(), Vec::new());
    let threads: RunRow = threads::row;
    for (on, row, wanted) in [("threads", threads, 1.0), ("tasks", tasks::row, 1.2)] {
        let mut advantages = Vec::new();
        for capacity in CAPACITIES {
            for shape in SHAPES {
                let row = row(effort, shape, capacity)?;
                let best = row.iter().filter_map(Line::best_opponent).map(|(_, advantage)| advantage);
                advantages.extend(best.filter(|_| capacity != Some(1)));
                lines.extend(row);
            }
        }
        let worst = advantages.iter().copied().fold(f64::INFINITY, f64::min);
        let what = format!("on {on}, capacity 64 and more, fastest peer / ours");
        if let Some(all) = Spread::of(advantages) {
            targets.push(Target::at_least(format!("{what}, median over all shapes"), wanted, all.median));
            if on == "threads" {
                targets.push(Target::at_least(format!("{what}, worst shape"), 0.8, worst));
            }
        }
    }
    let (bulk, bulk_targets) = bulk::run(effort);
    lines.extend(bulk);
    targets.extend(bulk_targets);
    Ok(Theme {
        name: "facade",
        about: "the queue as a channel of u64; ratios: time of the peer / ours",
        lines,
        targets,
    })
}
