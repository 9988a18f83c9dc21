//! One place in a pool, whoever fills it.

use std::time::{Duration, Instant};

use actix_rt::{Arbiter, ArbiterHandle};

use crate::one_line::OneLine;
use crate::queue::{Age, ConsumerRow, count};

#[derive(Debug)]
pub(super) struct Place {
    pub(super) name: String,
    pub(super) duty: Duty,
    pub(super) home: Option<Home>,
    /// Its arbiter had somebody else in this place before, who may have stopped it.
    pub(super) inherited: bool,
    /// Deaths in a row before an item was handed out.
    pub(super) futile: u32,
    /// Whoever fills it began after the end of the queue, only to hear of it.
    pub(super) late: bool,
    progress: Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Duty {
    Working,
    /// Nobody fills it; somebody is to, at this time.
    Vacant(Instant),
    /// Told of the end, or not wanted any more.
    Done,
}

#[derive(Debug)]
pub(super) enum Home {
    Own(Arbiter),
    Given(ArbiterHandle),
}

impl Home {
    pub(super) fn handle(&self) -> ArbiterHandle {
        match self {
            Self::Own(arbiter) => arbiter.handle(),
            Self::Given(handle) => handle.clone(),
        }
    }
}

/// How far a worker was when somebody looked, and since when.
#[derive(Debug, Clone, Copy)]
struct Progress {
    claimed: u64,
    settled: u64,
    since: Instant,
}

impl Progress {
    fn none() -> Self {
        Self { claimed: 0, settled: 0, since: Instant::now() }
    }
}

impl Place {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            duty: Duty::Done,
            home: None,
            inherited: false,
            futile: 0,
            late: false,
            progress: Progress::none(),
        }
    }

    /// A worker fills it.
    pub(super) fn begin(&mut self, home: Home, inherited: bool, late: bool) {
        self.home = Some(home);
        self.inherited = inherited;
        self.duty = Duty::Working;
        self.late = late;
        self.progress = Progress::none();
    }

    pub(super) fn is_vacant_at(&self, now: Instant) -> bool {
        matches!(self.duty, Duty::Vacant(until) if until <= now)
    }

    /// Looks whether the worker makes progress, and reports it once if it has not for so long.
    pub(super) fn look_for_progress(&mut self, row: &ConsumerRow, after: Duration) {
        let (settled, claimed) = (row.settled(), row.claimed());
        let seen = self.progress;
        if claimed == settled || (claimed, settled) != (seen.claimed, seen.settled) {
            self.progress = Progress { claimed, settled, since: Instant::now() };
            if row.is_stuck() {
                row.stuck(false);
            }
        } else if seen.since.elapsed() >= after && !row.is_stuck() {
            row.stuck(true);
            let items = count(claimed - settled, "item");
            log::warn!("{} seems stuck: it has held the same {items} for {}", OneLine(&self.name), Age(after));
        }
    }
}
