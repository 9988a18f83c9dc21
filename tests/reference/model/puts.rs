//! Puts: whether there is room, and whose turn it is.

use std::collections::BTreeSet;

use actix_iterable_queue::Outcome;
use actix_iterable_queue::error::{PutError, Refusal};

use super::{EndpointNumber, HandleNumber, Model, PutNumber, Work};

/// After this many puts that go before those which wait, one place is kept for these (D11).
const PUTS_PAST_LINE: u64 = 32;

#[derive(Debug, Clone, Default)]
pub(crate) struct Handle {
    pub(crate) endpoint: EndpointNumber,
    /// Itself, its waiting puts, its permits: it is open as long as one of them is there.
    pub(crate) shares: usize,
    /// Its puts that wait, in turn.
    pub(crate) waiting: BTreeSet<PutNumber>,
}

/// Whether a put waits if there is no room, and was woken since it began to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    No,
    Yes,
    Woken,
}

impl Model {
    /// How many more puts would not wait behind others (D11).
    pub(crate) fn room_past_line(&self) -> usize {
        let kept = self.kept_from.is_some_and(|from| self.made >= from);
        self.room().saturating_sub(usize::from(kept))
    }

    /// How many more puts there is room for (D5).
    pub(crate) fn room(&self) -> usize {
        let used = self.new.iter().filter(|(_, counts)| *counts).count() + self.permits;
        self.capacity.map_or(usize::MAX, |capacity| capacity.saturating_sub(used))
    }

    /// Why puts are refused. During a shutdown a put through a permit or a lease still goes on.
    pub(crate) fn refusal<T>(&self, promised: bool, item: T) -> Result<T, PutError<T>> {
        match self.ended {
            Some((Outcome::Aborted, _)) => Err(PutError::new(item, Refusal::Aborted)),
            _ if self.abandoned => Err(PutError::new(item, Refusal::Abandoned)),
            Some(_) => Err(PutError::new(item, Refusal::ShutDown)),
            None if self.shut_down && !promised => Err(PutError::new(item, Refusal::ShutDown)),
            None => Ok(item),
        }
    }

    pub(crate) fn refuses(&self) -> bool {
        self.refusal(false, ()).is_err()
    }

    /// From a producer, or through a lease.
    fn accept(&mut self, work: Work, producer: Option<HandleNumber>) {
        if let Some(handle) = producer {
            self.made += 1;
            *self.puts.entry(self.handles[&handle].endpoint).or_default() += 1;
        }
        self.new.push_back((work, producer.is_some()));
        self.totals.accepted += 1;
    }

    /// The put waits for earlier ones of its handle (D1).
    pub(crate) fn waits_for_turn(&self, handle: HandleNumber, put: PutNumber) -> bool {
        self.handles[&handle].waiting.range(..put).next().is_some()
    }

    /// Puts an item, or reserves room for one if there is `None`. No result: it has to wait.
    pub(crate) fn put(
        &mut self,
        handle: HandleNumber,
        put: PutNumber,
        work: Option<Work>,
        waits: Waits,
    ) -> Option<Result<(), PutError<Option<Work>>>> {
        let first = self.line.first().is_none_or(|first| *first == put);
        let woken = waits == Waits::Woken && self.line.contains(&put);
        let by_right = woken || (waits != Waits::No && first);
        let room = if by_right { self.room() } else { self.room_past_line() };
        let in_turn = !self.waits_for_turn(handle, put);
        let result = match self.refusal(false, work) {
            Err(refused) => Some(Err(refused)),
            Ok(_) if room == 0 || !in_turn => None,
            Ok(work) => {
                match work {
                    Some(work) => self.accept(work, Some(handle)),
                    None => self.permits += 1,
                }
                Some(Ok(()))
            }
        };
        if let Some(handle) = self.handles.get_mut(&handle) {
            match result {
                None => handle.waiting.insert(put),
                Some(_) => handle.waiting.remove(&put),
            };
        }
        match result {
            None if waits != Waits::No && in_turn => self.join_line(put),
            None => {}
            Some(result) => self.leave_line(put, result.is_ok() && by_right),
        }
        result
    }

    fn join_line(&mut self, put: PutNumber) {
        if !self.line.contains(&put) {
            self.line.push(put);
        }
        self.kept_from.get_or_insert(self.made + PUTS_PAST_LINE);
    }

    fn leave_line(&mut self, put: PutNumber, had_its_turn: bool) {
        let stood_there = self.line.contains(&put);
        self.line.retain(|other| *other != put);
        if self.line.is_empty() {
            self.kept_from = None;
        } else if stood_there && had_its_turn {
            self.kept_from = Some(self.made + PUTS_PAST_LINE);
        }
    }

    /// A put that is given up.
    pub(crate) fn leave(&mut self, handle: HandleNumber, put: PutNumber) {
        if let Some(handle) = self.handles.get_mut(&handle) {
            handle.waiting.remove(&put);
        }
        self.leave_line(put, false);
    }

    pub(crate) fn put_reserved(&mut self, handle: HandleNumber, work: Work) -> Result<(), PutError<Work>> {
        self.permits -= 1;
        self.refusal(true, work).map(|work| self.accept(work, Some(handle)))
    }

    /// D9.
    pub(crate) fn put_child(&mut self, work: Work) -> Result<(), PutError<Work>> {
        self.refusal(true, work).map(|work| self.accept(work, None))
    }

    /// One share less; the handle closes with its last one (C2).
    pub(crate) fn drop_share(&mut self, handle: HandleNumber) {
        if let Some(found) = self.handles.get_mut(&handle) {
            found.shares -= 1;
            if found.shares == 0 {
                self.handles.remove(&handle);
            }
        }
    }
}
