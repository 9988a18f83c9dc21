//! How a supervisor changes the number of its workers: as it was told, and by itself.

use std::time::Instant;

use super::scaler::Look;
use super::supervisor::Supervisor;
use super::worker_count::WorkerCount;
use super::worker_slot::{SlotState, WorkerSlot};
use crate::one_line::OneLine;
use crate::queue::count;

impl<T: Send + 'static> Supervisor<T> {
    /// Obeys a handle of the pool.
    pub(super) fn resize(&mut self, count: WorkerCount) {
        if self.failure.is_some() {
            return;
        }
        let target = self.scaler.set_count(count, self.target);
        self.set_target(target);
    }

    /// Grows or shrinks, if it is time to.
    pub(super) fn scale(&mut self) {
        if !self.scales() {
            return;
        }
        if self.roster.is_paused() {
            return self.scaler.forget();
        }
        let look = self.look();
        let (from, to) = (self.target, self.scaler.decide(look));
        if from == to {
            return;
        }
        let (queue, pool) = (self.queue.label(), OneLine(&self.settings.name));
        if to > from {
            let items = count(look.ready.items as u64, "item");
            log::debug!("{queue}: pool {pool} grows from {from} to {to} workers: all are busy, and {items} waiting");
        } else {
            log::debug!("{queue}: pool {pool} shrinks from {from} to {to} workers: the others were not needed");
        }
        self.roster.count_scaling(from, to);
        self.set_target(to);
    }

    /// Returns whether the number of workers may change by itself.
    pub(super) fn scales(&self) -> bool {
        self.failure.is_none() && !self.queue.has_ended() && self.scaler.next_look(self.target).is_some()
    }

    fn look(&mut self) -> Look {
        let (mut free, mut busy) = (0, 0);
        for index in 0..self.target {
            let slot = &mut self.slots[index];
            if slot.state == SlotState::Running
                && let Some(row) = self.roster.row(index)
            {
                let is_free = row.in_flight() == 0;
                // Between two items, a worker at work holds nothing.
                let has_worked = slot.has_worked(&row);
                free += usize::from(is_free);
                busy += usize::from(!is_free || has_worked);
            }
        }
        let all_busy = busy == self.target;
        Look { now: Instant::now(), workers: self.target, free, all_busy, ready: self.queue.ready() }
    }

    /// Sets how many workers the pool is to have.
    pub(super) fn set_target(&mut self, target: usize) {
        let shrinks = target < self.target;
        self.target = target;
        for index in self.slots.len()..target {
            let name = format!("{}-{index}", self.settings.name);
            self.roster.add(name.clone());
            self.slots.push(WorkerSlot::new(name));
        }
        let ended = self.queue.has_ended();
        for index in 0..self.slots.len() {
            let wanted = index < target;
            match self.slots[index].state {
                // This also withdraws an order of an earlier resize.
                SlotState::Running => self.order_leave(index, !wanted),
                SlotState::RestartAt(_) if !wanted => self.close_slot(index),
                // Not after its backoff: the workers that run may all be about to leave.
                SlotState::RestartAt(_) if shrinks => {
                    self.slots[index].state = SlotState::RestartAt(Instant::now());
                }
                SlotState::Closed if wanted && !ended => {
                    self.slots[index].state = SlotState::RestartAt(Instant::now());
                }
                SlotState::RestartAt(_) | SlotState::Closed => {}
            }
        }
        // Last: once the pool's handles see it, no worker that is to leave takes a further item.
        self.roster.set_target(target);
    }
}
