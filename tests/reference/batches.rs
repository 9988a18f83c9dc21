//! Batches: several leases at once, which may wait for more.

use std::task::Poll;
use std::time::Duration;

use actix_iterable_queue::Batch;

use super::model::{Settle, Work};
use super::operation::{Any, BatchOf};
use super::parts::{Doing, Job, OpenConsumer, Taken, Wait};
use super::world::{World, among};

impl World {
    pub(super) fn wait_for_batch(&mut self, which: Any, batch: BatchOf) -> Option<()> {
        let which = self.idle(which)?;
        self.foresee(which, batch)?;
        self.begin_to_take(which, |consumer| Wait::for_batch(consumer, batch))?;
        self.poll_batch(self.consumers.len() - 1, batch)
    }

    /// What a batch that is polled now takes, and keeps if it waits for more. These are seen only when it is handed over, so
    /// it is not polled where the contract leaves open which they are.
    fn foresee(&self, which: usize, batch: BatchOf) -> Option<Vec<Work>> {
        if !batch.lingers {
            return Some(Vec::new());
        }
        let number = self.consumers[which].number;
        let more = batch.max - self.model.lingering_members(number).len();
        self.model.foresee(number, self.others_woken(which), more)
    }

    pub(super) fn poll_batch(&mut self, which: usize, batch: BatchOf) -> Option<()> {
        let (step, others_woken, number) = (self.step, self.others_woken(which), self.consumers[which].number);
        let foreseen = self.foresee(which, batch)?;
        let OpenConsumer { sleeper, doing: Doing::Waiting(wait), .. } = &mut self.consumers[which] else { return None };
        match sleeper.poll(step, |task| task.poll(wait.future.as_mut())) {
            Poll::Ready((consumer, Taken::Batch(taken))) => {
                self.consumers[which].doing = Doing::Nothing(consumer);
                self.judge_batch(which, batch, taken, others_woken);
            }
            Poll::Ready(_) => unreachable!("a batch is waited for"),
            Poll::Pending => {
                let mut members = self.model.lingering_members(number);
                for work in foreseen {
                    self.model.take(number, work, true);
                    members.push(work);
                    sleeper.stand_again(step);
                }
                self.judge(which, "poll", Taken::Nothing, others_woken);
                self.note(format!("  c{number} waits for more than {members:?}"));
                self.require("D14: it is handed over when it is full", members.len() < batch.max);
                if !members.is_empty() {
                    let stops = self.model.linger(number, members);
                    self.require("D14: it waits only as long as more can come", !stops);
                }
            }
        }
        Some(())
    }

    /// On the thread of the program, so it must not wait.
    pub(super) fn take_batch(&mut self, which: Any, max: usize) -> Option<()> {
        let which = self.idle(which)?;
        let (others_woken, number) = (self.others_woken(which), self.consumers[which].number);
        let foreseen = self.model.foresee(number, others_woken, max)?;
        if foreseen.is_empty() && self.model.ended.is_none() {
            return None;
        }
        let batch = self.consumers[which].idle()?.blocking_lease_batch(max, Duration::ZERO);
        self.consumers[which].sleeper.leave();
        self.judge_batch(which, BatchOf { max, lingers: false }, batch, others_woken);
        Some(())
    }

    fn judge_batch(&mut self, which: usize, batch: BatchOf, taken: Batch<Job>, others_woken: bool) {
        let number = self.consumers[which].number;
        let works: Vec<_> = taken.iter().map(|item| *item.job()).collect();
        self.note(format!("c{number}: {batch:?} -> {works:?}"));
        let held = self.model.lingering_members(number);
        self.same("D14: what it held while it waited", &works.get(..held.len()), &Some(&*held));
        for item in &taken[..held.len()] {
            self.same("the attempt", &Some(item.attempt()), &self.model.attempt(*item.job()));
        }
        for item in &taken[held.len()..] {
            self.judge_work(which, Some((*item.job(), Some(item.attempt()))), others_woken);
        }
        let is_short = works.len() < batch.max;
        self.require("D14: it is not longer than it may be", works.len() <= batch.max);
        if is_short {
            self.judge_work(which, None, others_woken);
            let may_stop = match batch.lingers {
                true => !works.is_empty() && self.model.linger(number, works),
                false => !works.is_empty(),
            };
            let ended = self.model.ended.is_some();
            self.require("D14: it waits for the first, and while more can come", ended || may_stop);
        }
        self.model.stop_lingering(number);
        if !taken.is_empty() {
            self.batches.push(taken);
        }
    }

    /// All members alike.
    pub(super) fn settle_batch(&mut self, which: Any, how: Settle) -> Option<()> {
        let batch = self.batches.swap_remove(among(which, self.batches.len())?);
        let works: Vec<Work> = batch.iter().map(|item| *item.job()).collect();
        self.note(format!("batch {works:?}: {how:?}"));
        self.acting = works.first().and_then(|work| self.model.holder(*work));
        match how {
            Settle::Ack => batch.ack(),
            Settle::IntoInner => batch.into_iter().for_each(|item| drop(item.into_inner())),
            Settle::Requeue => batch.fail("failed"),
            Settle::Release if self.model.for_ever => batch.release_after(Duration::MAX),
            Settle::Release => batch.release(),
            Settle::Drop | Settle::Undo => drop(batch),
            Settle::Reject => batch.reject("rejected"),
        }
        works.into_iter().for_each(|work| self.model.settle(work, how));
        Some(())
    }

    /// To settle the members one by one.
    pub(super) fn unpack_batch(&mut self, which: Any) -> Option<()> {
        let batch = self.batches.swap_remove(among(which, self.batches.len())?);
        self.leases.extend(batch);
        Some(())
    }

    /// D14: those to which no more can come do not sleep.
    pub(super) fn compare_batches(&self) {
        for consumer in &self.consumers {
            let stopped = self.model.is_stopped(consumer.number);
            let asleep = consumer.sleeper.sleeps().is_some();
            self.require(&format!("D14: the batch of c{} is woken", consumer.number), !stopped || !asleep);
        }
    }
}
