//! One worker as its supervisor sees it, across all restarts.

use std::time::{Duration, Instant};

use super::arbiters::WorkerArbiter;
use crate::one_line::OneLine;
use crate::queue::{Age, ConsumerRow, count};

#[derive(Debug)]
pub(super) struct WorkerSlot {
    pub(super) name: String,
    pub(super) state: SlotState,
    pub(super) arbiter: Option<WorkerArbiter>,
    /// An earlier worker of this slot ran in the same arbiter, and may have stopped it.
    pub(super) reuses_arbiter: bool,
    /// Deaths in a row before the worker was handed an item.
    pub(super) idle_deaths: u32,
    /// The worker was started after the end of the queue, only to handle it.
    pub(super) started_after_end: bool,
    progress: Progress,
    /// How many items the worker had been handed when the supervisor last looked whether to scale.
    handed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SlotState {
    Running,
    /// No worker runs; one is to be started at this time.
    RestartAt(Instant),
    /// The worker has handled the end, or is not wanted any more.
    Closed,
}

/// How far the worker was when the supervisor last saw it move.
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

impl WorkerSlot {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            state: SlotState::Closed,
            arbiter: None,
            reuses_arbiter: false,
            idle_deaths: 0,
            started_after_end: false,
            progress: Progress::none(),
            handed: 0,
        }
    }

    /// Notes that a worker runs in this slot.
    pub(super) fn run(&mut self, arbiter: WorkerArbiter, reuses_arbiter: bool, started_after_end: bool) {
        self.state = SlotState::Running;
        self.arbiter = Some(arbiter);
        self.reuses_arbiter = reuses_arbiter;
        self.started_after_end = started_after_end;
        self.progress = Progress::none();
        self.handed = 0;
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        matches!(self.state, SlotState::RestartAt(time) if time <= now)
    }

    /// Returns whether the worker was handed an item since the last call.
    pub(super) fn has_worked(&mut self, row: &ConsumerRow) -> bool {
        let handed = row.handed();
        std::mem::replace(&mut self.handed, handed) < handed
    }

    /// Marks the worker as stuck, and logs that once, if it has held the same items for this long.
    pub(super) fn check_stuck(&mut self, row: &ConsumerRow, after: Duration) {
        let (settled, claimed) = (row.settled(), row.claimed());
        let last = self.progress;
        if claimed == settled || (claimed, settled) != (last.claimed, last.settled) {
            self.progress = Progress { claimed, settled, since: Instant::now() };
            if row.is_stuck() {
                row.stuck(false);
            }
        } else if last.since.elapsed() >= after && !row.is_stuck() {
            row.stuck(true);
            let items = count(claimed - settled, "item");
            log::warn!("{} seems stuck: it has held the same {items} for {}", OneLine(&self.name), Age(after));
        }
    }
}
