//! The specification: a naive queue that does what `docs/contract.md` says, one call at a time.
//!
//! It never waits: a call that would wait has no result yet, and is made again later.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use actix_iterable_queue::error::{PutError, Refusal};
use actix_iterable_queue::report::Totals;
use actix_iterable_queue::{Outcome, State};

/// What is put: every item has a number of its own.
pub(super) type Work = u32;
pub(super) type ConsumerNumber = u64;
pub(super) type EndpointNumber = u64;
pub(super) type HandleNumber = u64;
/// A put or a reservation that has begun to wait.
pub(super) type PutNumber = u64;

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) capacity: Option<usize>,
    pub(super) max_attempts: u32,
    /// Failed items wait for ever: their backoff has no end.
    pub(super) for_ever: bool,
    pub(super) sealed: bool,
    pub(super) no_handle: bool,
    pub(super) shut_down: bool,
    /// Sealed, and without consumers.
    pub(super) abandoned: bool,
    pub(super) ended: Option<(Outcome, Totals)>,
    pub(super) handles: BTreeMap<HandleNumber, Handle>,
    /// Open ones, and those that hold items.
    pub(super) consumers: BTreeMap<ConsumerNumber, Consumer>,
    pub(super) permits: usize,
    /// Puts that wait for room, in the order in which they began to.
    pub(super) line: Vec<PutNumber>,
    /// From this many puts on one place is kept for the line.
    pub(super) kept_from: Option<u64>,
    /// By producers, all in all.
    pub(super) made: u64,
    /// How many puts there were, by endpoint.
    pub(super) puts: BTreeMap<EndpointNumber, u64>,
    /// Never handed out, and whether it counts against the capacity.
    pub(super) new: VecDeque<(Work, bool)>,
    /// Came back; by consumer, in the order in which it was handed them. With the attempts so far.
    pub(super) back: BTreeMap<(ConsumerNumber, u64), (Work, u32)>,
    pub(super) leased: BTreeMap<Work, Lease>,
    pub(super) leases: u64,
    /// Who had given back what was left at the end.
    pub(super) givers: BTreeMap<Work, ConsumerNumber>,
    /// What an end without consumers left to the report of a shutdown.
    pub(super) left: Vec<Work>,
    /// Dead letters that no reader has asked for.
    pub(super) kept_letters: VecDeque<(Work, u32, &'static str, ConsumerNumber)>,
    /// Dead letters while somebody reads them: the item, its attempts, the reason, who held it last.
    pub(super) letters: Option<VecDeque<(Work, u32, &'static str, ConsumerNumber)>>,
    pub(super) totals: Totals,
}

/// After this many puts that go before those which wait, one place is kept for these (D11).
const PUTS_PAST_LINE: u64 = 32;

#[derive(Debug, Clone, Default)]
pub(super) struct Handle {
    pub(super) endpoint: EndpointNumber,
    /// Itself, its waiting puts, its permits: it is open as long as one of them is there.
    pub(super) shares: usize,
    /// Its puts that wait, in turn.
    pub(super) waiting: BTreeSet<PutNumber>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Consumer {
    pub(super) open: bool,
    pub(super) taken: u64,
    pub(super) acked: u64,
    pub(super) leased: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Lease {
    pub(super) consumer: ConsumerNumber,
    sequence: u64,
    pub(super) attempt: u32,
}

/// Whether a put waits if there is no room, and was woken since it began to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waits {
    No,
    Yes,
    Woken,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Settle {
    Ack,
    IntoInner,
    Requeue,
    Release,
    Drop,
    Reject,
}

impl Model {
    pub(super) fn state(&self) -> State {
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

    pub(super) fn open_consumers(&self) -> usize {
        self.consumers.values().filter(|consumer| consumer.open).count()
    }

    pub(super) fn buffered(&self) -> usize {
        self.new.len() + self.back.len()
    }

    pub(super) fn delayed(&self) -> usize {
        if self.for_ever { self.back.len() } else { 0 }
    }

    /// How many more puts would not wait behind others (D11).
    pub(super) fn room_past_line(&self) -> usize {
        let kept = self.kept_from.is_some_and(|from| self.made >= from);
        self.room().saturating_sub(usize::from(kept))
    }

    /// How many more puts there is room for (D5).
    pub(super) fn room(&self) -> usize {
        let used = self.new.iter().filter(|(_, counts)| *counts).count() + self.permits;
        self.capacity.map_or(usize::MAX, |capacity| capacity.saturating_sub(used))
    }

    /// C5 and D7, after every change.
    pub(super) fn advance(&mut self) {
        if !self.sealed || self.ended.is_some() {
            return;
        }
        self.abandoned |= self.open_consumers() == 0;
        if self.is_lost() {
            self.discard_all();
        }
        if !self.nobody_puts() || !self.leased.is_empty() {
            return;
        }
        if self.buffered() == 0 {
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

    /// Nobody can take what is there, nor ask for it.
    fn is_lost(&self) -> bool {
        self.abandoned && self.no_handle && !self.shut_down
    }

    /// What came back, then what is new.
    fn discard_all(&mut self) -> Vec<Work> {
        self.givers = self.back.iter().map(|((giver, _), (work, _))| (*work, *giver)).collect();
        let back = std::mem::take(&mut self.back).into_values().map(|(work, _)| work);
        let left: Vec<_> = back.chain(std::mem::take(&mut self.new).into_iter().map(|(work, _)| work)).collect();
        self.totals.discarded += left.len() as u64;
        left
    }

    /// D8. What different consumers gave back may be left in any order among them.
    pub(super) fn abort(&mut self) -> Vec<Work> {
        if self.ended.is_some() {
            return Vec::new();
        }
        self.sealed = true;
        let left = self.discard_all();
        self.ended = Some((Outcome::Aborted, self.totals));
        left
    }

    /// Why puts are refused; whoever has a permit or a lease may go on during a shutdown.
    pub(super) fn refusal<T>(&self, promised: bool, item: T) -> Result<T, PutError<T>> {
        match self.ended {
            Some((Outcome::Aborted, _)) => Err(PutError::new(item, Refusal::Aborted)),
            _ if self.abandoned => Err(PutError::new(item, Refusal::Abandoned)),
            Some(_) => Err(PutError::new(item, Refusal::ShutDown)),
            None if self.shut_down && !promised => Err(PutError::new(item, Refusal::ShutDown)),
            None => Ok(item),
        }
    }

    pub(super) fn refuses(&self) -> bool {
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
    pub(super) fn waits_for_turn(&self, handle: HandleNumber, put: PutNumber) -> bool {
        self.handles[&handle].waiting.range(..put).next().is_some()
    }

    /// Puts an item, or reserves room for one if there is `None`. No result: it has to wait.
    pub(super) fn put(
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
    pub(super) fn leave(&mut self, handle: HandleNumber, put: PutNumber) {
        if let Some(handle) = self.handles.get_mut(&handle) {
            handle.waiting.remove(&put);
        }
        self.leave_line(put, false);
    }

    pub(super) fn put_reserved(&mut self, handle: HandleNumber, work: Work) -> Result<(), PutError<Work>> {
        self.permits -= 1;
        self.refusal(true, work).map(|work| self.accept(work, Some(handle)))
    }

    /// D9.
    pub(super) fn put_child(&mut self, work: Work) -> Result<(), PutError<Work>> {
        self.refusal(true, work).map(|work| self.accept(work, None))
    }

    /// What a take by `consumer` may bring (D1); `None` is nothing. With `others_woken`, another
    /// consumer was woken and has not looked since.
    pub(super) fn choices(&self, consumer: ConsumerNumber, others_woken: bool) -> Vec<Option<Work>> {
        let new = self.new.front().map(|(work, _)| *work);
        let first = |of: ConsumerNumber| self.back.range((of, 0)..=(of, u64::MAX)).next().map(|(_, (work, _))| *work);
        let givers: BTreeSet<_> = self.back.keys().map(|(giver, _)| *giver).filter(|_| !self.for_ever).collect();
        if givers.iter().any(|giver| *giver != consumer) {
            return givers.into_iter().filter(|giver| *giver != consumer).map(first).collect();
        }
        let Some(own) = givers.into_iter().next().map(first) else { return vec![new] };
        // The exceptions, as long as fewer items came back than there are consumers.
        let at_work = |(other, row): (&ConsumerNumber, &Consumer)| *other != consumer && row.open && row.leased > 0;
        if self.back.len() >= self.open_consumers() {
            vec![own]
        } else if others_woken {
            vec![own, new]
        } else if new.is_some() && self.consumers.iter().any(at_work) {
            vec![new]
        } else {
            vec![own]
        }
    }

    /// Hands out an item that was one of the choices, and says which attempt it is.
    pub(super) fn take(&mut self, consumer: ConsumerNumber, work: Work, lease: bool) -> u32 {
        let back =
            self.back.iter().find(|(_, (other, _))| *other == work).map(|(key, (_, attempts))| (*key, *attempts));
        let attempt = match back {
            Some((key, attempts)) => {
                self.back.remove(&key);
                attempts + 1
            }
            None => {
                self.new.retain(|(other, _)| *other != work);
                1
            }
        };
        if lease {
            self.leases += 1;
            self.leased.insert(work, Lease { consumer, sequence: self.leases, attempt });
            self.row(consumer).leased += 1;
        } else {
            self.totals.taken += 1;
            self.row(consumer).taken += 1;
        }
        attempt
    }

    pub(super) fn settle(&mut self, work: Work, how: Settle) {
        let Some(Lease { consumer, sequence, attempt }) = self.leased.remove(&work) else { unreachable!() };
        self.row(consumer).leased -= 1;
        match how {
            Settle::Ack => {
                self.totals.acked += 1;
                self.row(consumer).acked += 1;
            }
            Settle::IntoInner => {
                self.totals.taken += 1;
                self.row(consumer).taken += 1;
            }
            Settle::Reject | Settle::Requeue | Settle::Release | Settle::Drop if self.ended.is_some() => {
                self.totals.discarded += 1;
            }
            Settle::Reject => self.bury((work, attempt, "rejected", consumer)),
            Settle::Requeue | Settle::Drop if attempt == self.max_attempts => {
                self.bury((work, attempt, "attempts used up", consumer));
            }
            Settle::Requeue | Settle::Release | Settle::Drop if self.is_lost() => self.totals.discarded += 1,
            Settle::Requeue | Settle::Release | Settle::Drop => {
                self.totals.redelivered += 1;
                let counted = attempt - u32::from(matches!(how, Settle::Release));
                self.back.insert((consumer, sequence), (work, counted));
            }
        }
        self.forget_closed();
    }

    fn bury(&mut self, letter: (Work, u32, &'static str, ConsumerNumber)) {
        self.totals.dead_lettered += 1;
        // After the end a reader gets no more; what comes is kept for the next.
        match (&mut self.letters, self.ended) {
            (Some(letters), None) => letters.push_back(letter),
            _ => {
                self.kept_letters.push_back(letter);
                self.let_letters_go();
            }
        }
    }

    /// Without a handle no call can ask for the letters that are kept, or that a reader leaves.
    pub(super) fn let_letters_go(&mut self) {
        if self.no_handle {
            self.totals.letters_dropped += self.kept_letters.len() as u64;
            self.kept_letters.clear();
        }
    }

    fn row(&mut self, consumer: ConsumerNumber) -> &mut Consumer {
        self.consumers.entry(consumer).or_default()
    }

    pub(super) fn close_consumer(&mut self, consumer: ConsumerNumber) {
        self.row(consumer).open = false;
        self.forget_closed();
    }

    fn forget_closed(&mut self) {
        self.consumers.retain(|_, row| row.open || row.leased > 0);
    }

    /// One share less; the handle closes with its last one (C2).
    pub(super) fn drop_share(&mut self, handle: HandleNumber) {
        if let Some(found) = self.handles.get_mut(&handle) {
            found.shares -= 1;
            if found.shares == 0 {
                self.handles.remove(&handle);
            }
        }
    }
}
