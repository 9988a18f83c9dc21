//! The end, in every way.

use std::task::Poll;
use std::time::Duration;

use actix_iterable_queue::Drained;
use futures::executor::block_on;
use support::Task;

use super::model::{self, Answer, ConsumerNumber, Settle, Work};
use super::operation::{Grace, How, Operation, Patience, Redelivery};
use super::parts::{Boxed, Job, OpenConsumer};
use super::world::World;

/// No asker may hear it.
const TOO_LATE: Answer = Answer::MAX;

impl World {
    /// Compares what was left: what came back, of each consumer in order, then what is new. Its askers have heard of the end,
    /// although the caller keeps it: an answer comes too late.
    pub(super) fn compare_left(&self, left: Vec<Job>, expected: &[Work]) {
        let mut works: Vec<_> = left.iter().map(|job| *job.job()).collect();
        let givers = &self.model.givers;
        let back = givers.len().min(left.len());
        if self.redelivery == Redelivery::AfterAMillisecond {
            // What the end has met on its way back is the last of these.
            works[..back].sort_by_key(|work| expected.iter().position(|other| other == work));
        } else {
            works[..back].sort_by_key(|work| givers.get(work).copied().unwrap_or((true, ConsumerNumber::MAX)));
        }
        self.same("D8: what was left", &&*works, &expected);
        self.require("D13: no asker waits for what was left", !left.iter().any(Job::is_waiting));
        left.iter().for_each(|job| job.answer(TOO_LATE));
    }

    /// Only once: with two, either of them may be handed what is left.
    pub(super) fn shut_down(&mut self, grace: Grace) -> Option<()> {
        if self.model.shut_down {
            return None;
        }
        let queue = self.queues.first()?.clone();
        self.note(format!("shutdown, grace {grace:?}"));
        self.model.sealed = true;
        self.model.shut_down = true;
        match grace {
            Grace::None => {
                let report = block_on(queue.shutdown(Duration::ZERO));
                drop(queue);
                self.model.advance();
                let holders: Vec<_> = report.holders.iter().map(|holder| holder.id.to_string()).collect();
                let holding =
                    |(number, row): (&u64, &model::Consumer)| (row.leased > 0).then(|| format!("consumer-{number}"));
                let expected: Vec<_> = match self.model.ended {
                    None => self.model.consumers.iter().filter_map(holding).collect(),
                    Some(_) => Vec::new(),
                };
                self.same("who held items at the end of the grace", &holders, &expected);
                let mut left = self.model.abort();
                left.append(&mut self.model.left);
                self.compare_left(report.left, &left);
                self.compare_end(&report.drained);
            }
            Grace::Endless => {
                let mut report: Boxed<_> = Box::pin(async move { queue.shutdown(Duration::MAX).await });
                // From here on puts are refused; the report comes from another thread after the end.
                let polled = Task::new().poll(report.as_mut());
                match polled {
                    Poll::Pending => self.report = Some(report),
                    Poll::Ready(early) => self.report = Some(Box::pin(async move { early })),
                }
            }
        }
        Some(())
    }

    /// The end of a shutdown that has waited for it: from then on what comes back is not in its report.
    pub(super) fn end_shutdown(&mut self) {
        if let Some(report) = self.report.take_if(|_| self.model.ended.is_some()) {
            let report = block_on(report);
            self.compare_end(&report.drained);
            let left = std::mem::take(&mut self.model.left);
            self.compare_left(report.left, &left);
            // It had a handle, too.
            if self.queues.is_empty() {
                self.model.drop_last_handle();
            }
        }
    }

    pub(super) fn compare_end(&self, drained: &Drained) {
        self.same("which queue has ended", &drained.queue, &self.id);
        self.same("C5: how it has ended", &Some((drained.outcome, drained.totals)), &self.model.ended);
    }

    /// Everything comes to its end: takes get all that is left, and the queue says that it is done.
    pub(super) fn finish(&mut self) {
        let repeat = |world: &mut Self, operation, more: fn(&Self) -> bool| {
            while more(world) {
                world.step(operation);
            }
        };
        // What was promised to one who does not come for it is there for all others.
        let idle = self.consumers.iter().filter(|consumer| !consumer.is_waiting()).count();
        for which in (0..8).take(idle) {
            self.step(Operation::Take(which, How::Lease, Patience::Insisting));
        }
        repeat(self, Operation::CancelWait(0), |world| world.consumers.iter().any(OpenConsumer::is_waiting));
        repeat(self, Operation::DropPut(0), |world| !world.puts.is_empty());
        repeat(self, Operation::DropPermit(0), |world| !world.permits.is_empty());
        repeat(self, Operation::UnpackBatch(0), |world| !world.batches.is_empty());
        repeat(self, Operation::Settle(0, Settle::Ack), |world| !world.leases.is_empty());
        repeat(self, Operation::DropProducer(0), |world| !world.producers.is_empty());
        self.step(Operation::Watch);
        self.step(Operation::Seal);
        while !self.consumers.is_empty() && self.model.buffered() > self.model.delayed() {
            self.step(Operation::Take(0, How::Lease, Patience::Insisting));
            self.step(Operation::Settle(0, Settle::Ack));
        }
        repeat(self, Operation::DropConsumer(0), |world| !world.consumers.is_empty());
        repeat(self, Operation::PollAsk(0), |world| world.askers.iter().any(|asker| world.model.is_told(asker.work)));
        self.require("D13: all askers have heard", self.askers.is_empty());
        self.require("D7: it has ended", self.model.ended.is_some());
        self.step(Operation::ReadLetter);
        repeat(self, Operation::ReadLetter, |world| {
            world.model.letters.reader.iter().any(|letters| !letters.is_empty())
        });
        self.step(Operation::ListLetters);
    }
}
