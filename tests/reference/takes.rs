//! Takes, in every way.

use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use actix_iterable_queue::Consumer;
use actix_iterable_queue::error::{GetTimeoutError, TryGetError};
use futures::Stream;

use super::model::{self, Settle, Work};
use super::operation::{Any, How, Patience, Redelivery};
use super::parts::{Doing, Job, OpenConsumer, Sleeper, Taken, Wait};
use super::world::{World, among};

/// A giver may be refused its own items for a moment (D1), not for so many looks.
const ENOUGH: usize = 300;

impl World {
    pub(super) fn add_consumer(&mut self, consumer: Consumer<Job>) {
        self.opened_consumers += 1;
        let number = self.opened_consumers;
        self.note(format!("  is c{number}"));
        self.same("the id of a consumer", &consumer.id().to_string(), &format!("consumer-{number}"));
        self.model.consumers.insert(number, model::Consumer { open: true, ..Default::default() });
        self.consumers.push(OpenConsumer::new(number, consumer));
    }

    pub(super) fn idle(&self, which: Any) -> Option<usize> {
        let idle: Vec<_> = (0..self.consumers.len()).filter(|which| !self.consumers[*which].is_waiting()).collect();
        Some(idle[among(which, idle.len())?])
    }

    pub(super) fn waiting(&self, which: Any) -> Option<usize> {
        let waiting: Vec<_> = (0..self.consumers.len()).filter(|which| self.consumers[*which].is_waiting()).collect();
        Some(waiting[among(which, waiting.len())?])
    }

    pub(super) fn try_take(&mut self, which: usize, how: How, patience: Patience) {
        let others_woken = self.others_woken(which);
        let Some(consumer) = self.consumers[which].idle() else { return };
        let taken = match (how, patience) {
            (How::Get, Patience::Zero) => match consumer.blocking_get_timeout(Duration::ZERO) {
                Ok(work) => Taken::Owned(work),
                Err(GetTimeoutError::Ended) => Taken::Ended,
                Err(_) => Taken::Nothing,
            },
            (How::Get, _) => consumer.try_get().map_or_else(nothing, Taken::Owned),
            (How::Lease, Patience::Insisting) => {
                let mut asked = (0..ENOUGH).map(|_| consumer.try_lease());
                let answer = asked.find(|taken| !matches!(taken, Err(TryGetError::Empty)));
                answer.map_or(Taken::Nothing, |taken| taken.map_or_else(nothing, Taken::Leased))
            }
            (How::Lease, _) => consumer.try_lease().map_or_else(nothing, Taken::Leased),
        };
        let left = matches!(taken, Taken::Owned(_) | Taken::Leased(_)) || (how, patience) == (How::Get, Patience::Zero);
        if left {
            self.consumers[which].sleeper.leave();
        }
        let what = if patience == Patience::Insisting && how == How::Lease { "insist" } else { "try" };
        self.judge(which, what, taken, others_woken);
    }

    pub(super) fn poll_stream(&mut self, which: Any) -> Option<()> {
        let (which, step) = (self.idle(which)?, self.step);
        let others_woken = self.others_woken(which);
        let OpenConsumer { sleeper, doing: Doing::Nothing(consumer), .. } = &mut self.consumers[which] else {
            return None;
        };
        let polled = sleeper.poll(step, |task| Pin::new(consumer).poll_next(&mut task.context()));
        let taken = match polled {
            Poll::Pending => Taken::Nothing,
            Poll::Ready(got) => got.map_or(Taken::Ended, Taken::Owned),
        };
        self.judge(which, "poll_next", taken, others_woken);
        Some(())
    }

    pub(super) fn wait(&mut self, which: Any, how: How) -> Option<()> {
        let which = self.idle(which)?;
        self.begin_to_take(which, |consumer| Wait::new(consumer, how))?;
        self.poll_one(self.consumers.len() - 1, if how == How::Get { "get" } else { "lease" });
        Some(())
    }

    /// The consumer is the last one afterwards.
    pub(super) fn begin_to_take(&mut self, which: usize, wait: impl FnOnce(Consumer<Job>) -> Wait) -> Option<()> {
        let consumer = self.consumers.swap_remove(which);
        let Doing::Nothing(idle) = consumer.doing else { return None };
        self.consumers.push(OpenConsumer { doing: Doing::Waiting(wait(idle)), ..consumer });
        Some(())
    }

    pub(super) fn poll_wait(&mut self, which: Any) -> Option<()> {
        let which = self.waiting(which)?;
        let Doing::Waiting(wait) = &self.consumers[which].doing else { return None };
        match wait.batch {
            Some(batch) => self.poll_batch(which, batch)?,
            None => self.poll_one(which, "poll"),
        }
        Some(())
    }

    fn poll_one(&mut self, which: usize, what: &str) {
        let step = self.step;
        let others_woken = self.others_woken(which);
        let OpenConsumer { sleeper, doing: Doing::Waiting(wait), .. } = &mut self.consumers[which] else { return };
        let polled = sleeper.poll(step, |task| task.poll(wait.future.as_mut()));
        let taken = match polled {
            Poll::Pending => Taken::Nothing,
            Poll::Ready((consumer, taken)) => {
                self.consumers[which].doing = Doing::Nothing(consumer);
                taken
            }
        };
        self.judge(which, what, taken, others_woken);
    }

    pub(super) fn cancel_wait(&mut self, which: Any) -> Option<()> {
        let which = self.waiting(which)?;
        let consumer = self.consumers.swap_remove(which);
        let Doing::Waiting(mut wait) = consumer.doing else { return None };
        wait.cancel();
        let Poll::Ready((idle, _)) = consumer.sleeper.task.poll(wait.future.as_mut()) else { unreachable!() };
        self.note(format!("c{}: its take is cancelled", consumer.number));
        self.acting = Some(consumer.number);
        self.model.drop_batch(consumer.number);
        self.consumers.push(OpenConsumer { doing: Doing::Nothing(idle), ..consumer });
        self.consumers.last_mut()?.sleeper.leave();
        Some(())
    }

    pub(super) fn drop_consumer(&mut self, which: Any) -> Option<()> {
        let consumer = self.consumers.swap_remove(among(which, self.consumers.len())?);
        let number = consumer.number;
        self.note(format!("drop(c{number})"));
        drop(consumer);
        self.acting = Some(number);
        self.model.drop_batch(number);
        self.model.close_consumer(number);
        Some(())
    }

    /// Whether somebody else has been woken and has not looked since. A timer's wake-up may be on its way.
    pub(super) fn others_woken(&self, than: usize) -> bool {
        let timer = self.redelivery == Redelivery::AfterAMillisecond;
        let woken = |sleeper: &Sleeper| sleeper.is_woken() || (timer && sleeper.is_parked());
        (0..self.consumers.len()).any(|which| which != than && woken(&self.consumers[which].sleeper))
    }

    pub(super) fn judge(&mut self, which: usize, what: &str, taken: Taken, others_woken: bool) {
        let number = self.consumers[which].number;
        let work = match &taken {
            Taken::Owned(job) => Some((*job.job(), None)),
            Taken::Leased(item) => Some((*item.job(), Some(item.attempt()))),
            Taken::Batch(_) | Taken::Nothing | Taken::Ended => None,
        };
        let ended = matches!(taken, Taken::Ended);
        self.note(format!("c{number}.{what} -> {work:?}{}", if ended { ", ended" } else { "" }));
        self.same("C5: takes end with the queue", &ended, &self.model.ended.is_some());
        // What is there is left to another: whoever polls looks again by itself, and gets it in the end.
        let in_vain = work.is_none() && self.model.buffered() > self.model.delayed();
        let looks_again = what == "try" || (what != "insist" && self.consumers[which].sleeper.is_woken());
        self.require("D1: it is left out for a moment only", !in_vain || looks_again);
        self.judge_work(which, work, others_woken);
        if let Taken::Leased(item) = taken {
            self.leases.push(item);
        }
    }

    /// D1: whether the specification allows what a take brought: an item, and its attempt if it was leased.
    pub(super) fn judge_work(&mut self, which: usize, taken: Option<(Work, Option<u32>)>, others_woken: bool) {
        let number = self.consumers[which].number;
        self.acting = Some(number);
        let choices = self.model.choices(number, others_woken);
        let work = taken.map(|(work, _)| work);
        self.require(&format!("D1: {work:?} is one of {choices:?}"), choices.contains(&work));
        if let Some((work, lease)) = taken {
            let attempt = self.model.take(number, work, lease.is_some());
            self.same("the attempt", &lease.unwrap_or(attempt), &attempt);
        }
    }

    pub(super) fn settle(&mut self, which: Any, how: Settle) -> Option<()> {
        let item = self.leases.remove(among(which, self.leases.len())?);
        let work = *item.job();
        self.note(format!("lease of {work}: {how:?}"));
        self.acting = self.model.holder(work);
        match how {
            Settle::Ack => item.ack(),
            Settle::IntoInner => self.same("the item taken out", &item.into_inner().into_job(), &work),
            Settle::Requeue => item.requeue(),
            // As what failed does.
            Settle::Release if self.model.for_ever => item.release_after(Duration::MAX),
            Settle::Release => item.release(),
            Settle::Drop | Settle::Undo => drop(item),
            Settle::Reject => item.reject("rejected"),
        }
        self.model.settle(work, how);
        Some(())
    }
}

fn nothing(error: TryGetError) -> Taken {
    if error == TryGetError::Ended { Taken::Ended } else { Taken::Nothing }
}
