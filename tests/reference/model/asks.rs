//! Asks: whose asker waits, and what it is told (D13).

use actix_iterable_queue::Outcome;

use super::{Letter, Model, Work};

pub(crate) type Answer = u32;

/// What an asker is told, once it has put its ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// Nothing so far.
    Nothing,
    Answer(Answer),
    DeadLetter(Letter),
    /// That no answer will come.
    NoAnswer,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Silence {
    Unanswered,
    Ended(Outcome),
}

impl Model {
    /// The ask is in the queue, and its asker waits.
    pub(crate) fn begin_to_wait(&mut self, work: Work) {
        self.askers.insert(work, Told::Nothing);
    }

    /// It has heard, or does not wait any more.
    pub(crate) fn forget_asker(&mut self, work: Work) {
        self.askers.remove(&work);
    }

    pub(crate) fn is_told(&self, work: Work) -> bool {
        self.told(work) != Told::Nothing
    }

    pub(crate) fn told(&self, work: Work) -> Told {
        self.askers.get(&work).cloned().unwrap_or(Told::Nothing)
    }

    /// Whether there is an asker that was not told.
    pub(crate) fn is_asked_for(&self, work: Work) -> bool {
        self.askers.get(&work) == Some(&Told::Nothing)
    }

    /// The first one counts.
    pub(crate) fn tell(&mut self, work: Work, told: Told) {
        if let Some(asker) = self.askers.get_mut(&work).filter(|asker| **asker == Told::Nothing) {
            *asker = told;
        }
    }

    /// As of the moment when the asker hears of it.
    pub(crate) fn silence(&self) -> Silence {
        match self.ended {
            Some((Outcome::Complete, _)) => Silence::Unanswered,
            Some((outcome, _)) => Silence::Ended(outcome),
            None if self.abandoned => Silence::Ended(Outcome::Abandoned),
            None => Silence::Unanswered,
        }
    }
}
