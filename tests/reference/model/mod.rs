//! The specification: a naive queue that does what `docs/contract.md` says, one call at a time.
//!
//! It never waits: a call that would wait has no result yet, and is made again later.

mod asks;
mod batches;
mod letters;
mod puts;
mod takes;

use std::collections::{BTreeMap, VecDeque};

use actix_iterable_queue::report::Totals;
use actix_iterable_queue::{Outcome, State};

pub(crate) use asks::{Answer, Silence, Told};
use batches::Lingering;
use letters::Letters;
pub(crate) use letters::{Letter, LetterNumber};
pub(crate) use puts::{Handle, Waits};
use takes::Lease;
pub(crate) use takes::{Consumer, Settle};

/// What is put: every item has a number of its own.
pub(crate) type Work = u32;
pub(crate) type ConsumerNumber = u64;
pub(crate) type EndpointNumber = u64;
pub(crate) type HandleNumber = u64;
/// A put or a reservation that has begun to wait.
pub(crate) type PutNumber = u64;

#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    pub(crate) capacity: Option<usize>,
    pub(crate) max_attempts: u32,
    /// Failed items wait for ever: their backoff has no end.
    pub(crate) for_ever: bool,
    /// The queue was asked before.
    pub(crate) asked: bool,
    pub(crate) sealed: bool,
    pub(crate) no_handle: bool,
    pub(crate) shut_down: bool,
    /// Sealed, and without consumers.
    pub(crate) abandoned: bool,
    pub(crate) ended: Option<(Outcome, Totals)>,
    pub(crate) handles: BTreeMap<HandleNumber, Handle>,
    /// Open ones, and those that hold items.
    pub(crate) consumers: BTreeMap<ConsumerNumber, Consumer>,
    pub(crate) permits: usize,
    /// Puts that wait for room, in the order in which they began to.
    pub(crate) line: Vec<PutNumber>,
    /// From this many puts on one place is kept for the line.
    pub(crate) kept_from: Option<u64>,
    /// By producers, all in all.
    pub(crate) made: u64,
    /// How many puts there were, by endpoint.
    pub(crate) puts: BTreeMap<EndpointNumber, u64>,
    /// Never handed out, and whether it counts against the capacity.
    pub(crate) new: VecDeque<(Work, bool)>,
    /// Came back; by consumer, in the order in which it was handed them.
    pub(crate) back: BTreeMap<(ConsumerNumber, u64), Returned>,
    pub(crate) leased: BTreeMap<Work, Lease>,
    pub(crate) leases: u64,
    /// Those that were polled, and wait for more.
    pub(crate) lingering: BTreeMap<ConsumerNumber, Lingering>,
    /// What the askers are told who wait, or have not heard yet.
    pub(crate) askers: BTreeMap<Work, Told>,
    /// Of what came back and was left at the end: whether it was delayed, and who had given it back.
    pub(crate) givers: BTreeMap<Work, (bool, ConsumerNumber)>,
    /// What a shutdown left that no consumer could take, and what came back after the end.
    pub(crate) left: Vec<Work>,
    pub(crate) letters: Letters,
    pub(crate) totals: Totals,
}

/// An item that came back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Returned {
    pub(crate) work: Work,
    /// So far.
    pub(crate) attempts: u32,
    /// For ever.
    pub(crate) delayed: bool,
}

impl Model {
    pub(crate) fn state(&self) -> State {
        match self.ended {
            Some((Outcome::Complete, _)) => State::Drained,
            Some(_) => State::Aborted,
            None if !self.sealed => State::Open,
            None if self.nobody_puts() => State::Draining,
            None => State::Sealed,
        }
    }

    fn nobody_puts(&self) -> bool {
        self.handles.is_empty() || (self.shut_down && self.permits == 0)
    }

    pub(crate) fn open_consumers(&self) -> usize {
        self.consumers.values().filter(|consumer| consumer.open).count()
    }

    pub(crate) fn buffered(&self) -> usize {
        self.new.len() + self.back.len()
    }

    pub(crate) fn delayed(&self) -> usize {
        self.back.values().filter(|returned| returned.delayed).count()
    }

    /// C5 and D7, after every change.
    pub(crate) fn advance(&mut self) {
        if !self.sealed || self.ended.is_some() {
            return;
        }
        self.abandoned |= self.open_consumers() == 0;
        if self.is_lost() {
            self.discard_all();
        }
        if !self.nobody_puts() {
            return;
        }
        if !self.leased.is_empty() {
            self.stop_batches();
        } else if self.buffered() == 0 {
            let lost = self.abandoned && self.totals.discarded > 0;
            self.ended = Some((if lost { Outcome::Abandoned } else { Outcome::Complete }, self.totals));
        } else if self.abandoned {
            let left = self.discard_all();
            if self.shut_down {
                self.left = left;
            }
            self.ended = Some((Outcome::Abandoned, self.totals));
        }
    }

    /// No consumer can take what is there, and no caller can ask for it, or askers wait for word of it. A shutdown has what is
    /// there in its report, and its askers hear of it at the end.
    fn is_lost(&self) -> bool {
        self.abandoned && (self.no_handle || self.asked) && !self.shut_down
    }

    /// What came back, the delayed last; then what is new. Its askers are told.
    fn discard_all(&mut self) -> Vec<Work> {
        let mut back: Vec<_> = std::mem::take(&mut self.back).into_iter().collect();
        back.sort_by_key(|(place, returned)| (returned.delayed, *place));
        self.givers = back.iter().map(|((giver, _), back)| (back.work, (back.delayed, *giver))).collect();
        let back = back.into_iter().map(|(_, returned)| returned.work);
        let left: Vec<_> = back.chain(std::mem::take(&mut self.new).into_iter().map(|(work, _)| work)).collect();
        self.totals.discarded += left.len() as u64;
        left.iter().for_each(|work| self.tell(*work, Told::NoAnswer));
        left
    }

    /// D8: an item that comes back after the end.
    fn leave_over(&mut self, work: Work) {
        self.totals.discarded += 1;
        self.tell(work, Told::NoAnswer);
        if !self.no_handle {
            self.left.push(work);
        }
    }

    /// The last handle is gone: no call can ask for letters, or for what is left.
    pub(crate) fn drop_last_handle(&mut self) {
        self.no_handle = true;
        self.sealed = true;
        self.let_letters_go();
        self.left.clear();
    }

    /// D8. What different consumers gave back may be left in any order among them.
    pub(crate) fn abort(&mut self) -> Vec<Work> {
        if self.ended.is_some() {
            return Vec::new();
        }
        self.sealed = true;
        let left = self.discard_all();
        self.ended = Some((Outcome::Aborted, self.totals));
        left
    }
}
