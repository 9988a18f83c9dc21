//! Takes, in every way.

use std::task::Poll;
use std::time::Duration;

use actix_iterable_queue::Consumer;
use actix_iterable_queue::error::{GetTimeoutError, TryGetError};

use super::model::{self, Work};
use super::operation::{Any, How, Patience, Redelivery};
use super::parts::{Doing, OpenConsumer, Sleeper, Taken};
use super::world::{World, among};

/// A giver may be refused its own items for a moment (D1), not for so many looks.
const ENOUGH: usize = 300;

impl World {
    pub(super) fn add_consumer(&mut self, consumer: Consumer<Work>) {
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

    pub(super) fn poll_wait(&mut self, which: usize, what: &str) {
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

    /// Whether somebody else has been woken and has not looked since. A timer's wake-up may be on its way.
    pub(super) fn others_woken(&self, than: usize) -> bool {
        let timer = self.redelivery == Redelivery::AfterAMillisecond;
        let woken = |sleeper: &Sleeper| sleeper.is_woken() || (timer && sleeper.is_parked());
        (0..self.consumers.len()).any(|which| which != than && woken(&self.consumers[which].sleeper))
    }

    /// D1: whether the specification allows what a take brought.
    pub(super) fn judge(&mut self, which: usize, what: &str, taken: Taken, others_woken: bool) {
        let number = self.consumers[which].number;
        let (work, lease) = match &taken {
            Taken::Owned(work) => (Some(*work), None),
            Taken::Leased(item) => (Some(**item), Some(item.attempt())),
            Taken::Nothing | Taken::Ended => (None, None),
        };
        self.acting = Some(number);
        let ended = matches!(taken, Taken::Ended);
        self.note(format!("c{number}.{what} -> {work:?}{}", if ended { ", ended" } else { "" }));
        self.same("C5: takes end with the queue", &ended, &self.model.ended.is_some());
        let choices = self.model.choices(number, others_woken);
        self.require(&format!("D1: it is one of {choices:?}"), choices.contains(&work));
        // What is there is left to another: whoever polls looks again by itself, and gets it in the end.
        let in_vain = work.is_none() && self.model.buffered() > self.model.delayed();
        let looks_again = what == "try" || (what != "insist" && self.consumers[which].sleeper.is_woken());
        self.require("D1: it is left out for a moment only", !in_vain || looks_again);
        if let Some(work) = work {
            let attempt = self.model.take(number, work, lease.is_some());
            self.same("the attempt", &lease.unwrap_or(attempt), &attempt);
        }
        if let Taken::Leased(item) = taken {
            self.leases.push(item);
        }
    }

    pub(super) fn read_letter(&mut self) {
        let Some(reader) = &mut self.letters else { return };
        let read = reader.try_get().map(|letter| (letter.item, letter.attempts, letter.reason, letter.last_worker));
        self.note(format!("read a dead letter -> {read:?}"));
        let nothing = if self.model.ended.is_some() { TryGetError::Ended } else { TryGetError::Empty };
        let next = self.model.letters.as_mut().and_then(|letters| letters.pop_front()).ok_or(nothing);
        let next = next
            .map(|(work, attempts, reason, holder)| (work, attempts, reason.to_owned(), format!("consumer-{holder}")));
        self.same("D3: a dead letter", &read, &next);
    }
}

fn nothing(error: TryGetError) -> Taken {
    if error == TryGetError::Ended { Taken::Ended } else { Taken::Nothing }
}
