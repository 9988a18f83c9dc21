//! Askers, and what they hear.

use std::task::Poll;

use actix_iterable_queue::error::AskError;

use super::model::{Answer, Silence, Told};
use super::operation::Any;
use super::parts::Asker;
use super::world::{World, among};

impl World {
    /// The model has accepted the ask: its put waits for the answer.
    pub(super) fn begin_to_wait(&mut self, asker: Asker) {
        self.note(format!("  {} is asked for by p{}", asker.work, asker.handle));
        self.model.begin_to_wait(asker.work);
        self.askers.push(asker);
    }

    pub(super) fn poll_ask(&mut self, which: Any) -> Option<()> {
        let which = among(which, self.askers.len())?;
        let step = self.step;
        let Asker { work, handle, sleeper, future } = &mut self.askers[which];
        let (work, handle) = (*work, *handle);
        let polled = sleeper.poll(step, |task| task.poll(future.as_mut()));
        self.note(format!("asker of {work}: {polled:?}"));
        let told = self.model.told(work);
        match polled {
            Poll::Pending => self.same("D13: an asker waits until it is told", &Told::Nothing, &told),
            Poll::Ready(heard) => {
                self.require("D13: what an asker hears", self.is_right(&heard, &told));
                self.forget_asker(which);
                self.model.forget_asker(work);
                self.model.drop_share(handle);
            }
        }
        Some(())
    }

    fn is_right(&self, heard: &Result<Answer, AskError<u32>>, told: &Told) -> bool {
        match (heard, told) {
            (Ok(answer), Told::Answer(expected)) => answer == expected,
            (Err(AskError::DeadLetter(letter)), Told::DeadLetter(expected)) => {
                (letter.id, letter.attempts, &*letter.reason) == (expected.number, expected.attempts, expected.reason)
            }
            (Err(AskError::Unanswered), Told::NoAnswer) => self.model.silence() == Silence::Unanswered,
            (Err(AskError::Ended(outcome)), Told::NoAnswer) => self.model.silence() == Silence::Ended(*outcome),
            _ => false,
        }
    }

    pub(super) fn drop_ask(&mut self, which: Any) -> Option<()> {
        let which = among(which, self.askers.len())?;
        let (work, handle) = (self.askers[which].work, self.askers[which].handle);
        self.note(format!("asker of {work}: it stops waiting"));
        self.forget_asker(which);
        self.model.forget_asker(work);
        self.model.drop_share(handle);
        Some(())
    }

    fn forget_asker(&mut self, which: usize) {
        drop(self.askers.swap_remove(which));
    }

    /// Also where there is no asker, or it was told before.
    pub(super) fn answer(&mut self, which: Any) -> Option<()> {
        let item = &self.leases[among(which, self.leases.len())?];
        let (work, answer) = (*item.job(), self.step as Answer);
        item.answer(answer);
        self.note(format!("lease of {work}: answer({answer})"));
        self.model.tell(work, Told::Answer(answer));
        Some(())
    }

    /// Those that were told have been woken; and a consumer sees who waits.
    pub(super) fn compare_askers(&self) {
        for asker in &self.askers {
            let told = self.model.is_told(asker.work);
            self.same(&format!("D13: the asker of {} is woken", asker.work), &asker.sleeper.is_notified(), &told);
        }
        for item in self.leases.iter().chain(self.batches.iter().flatten()) {
            let waits = self.model.is_asked_for(*item.job());
            self.same(&format!("D13: {}.is_waiting()", item.job()), &item.is_waiting(), &waits);
        }
    }
}
