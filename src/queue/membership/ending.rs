//! How a queue ends: drained, aborted, or abandoned.
//!
//! # Why `Drained` is right: the double reading
//!
//! A consumer raises `claimed` *before* it asks the boxes for an item, and the thread that settles raises
//! `settled` *after* everything else that the lease did (its children are put, its item is back). To decide,
//! [`Shared::finish`] reads, with the mutex held and in this order: the sum S of `settled`, whether the
//! boxes are empty, the sum C of `claimed`.
//!
//! *Safe*: S = C means that every claim in C is settled. Emptiness was read after S, so it includes what those leases put
//! and gave back. A pop that made the boxes empty published its claim before, so C includes that. No producer is open, so
//! nothing else can come.
//!
//! *Live*: a settler raises `settled`, then reads `DRAINING`; the last close raises `DRAINING`, then
//! reads `settled`. All four accesses are sequentially consistent, so one of the two sees the other, and the last settler
//! finds S = C. A take without a lease counts as a settler with its pop: it goes through the lock of the outbox, as does
//! the reading of emptiness.
//!
//! *Once*: the state changes under the mutex.
//!
//! The same reading finds that no further item can come to the batches that wait for more: the L leases that they hold are
//! not settled while they wait, so S + L = C and empty says that all claims in C are settled or among these. A batch tells
//! of its leases under the mutex, and this is decided again then.

use super::consumer_row::ConsumerRow;
use crate::queue::effects::{Effects, drop_quietly, wake};
use crate::queue::flags::{DRAINING, ENDED, RETURNED};
use crate::queue::report::snapshot::{ConsumerStatus, Drained, Outcome, State, Totals};
use crate::queue::shared::{Control, Shared};
use crate::queue::store::boxes::Closed;
use crate::queue::store::remote::Settled;
use crate::queue::waiting::lines::Line;

impl<T> Control<T> {
    pub(crate) fn ended(&self) -> Option<&Drained> {
        self.life.ended.as_ref()
    }

    /// Returns the totals of a queue in which everything is settled and nobody can put.
    ///
    /// A take without a lease may be between its pop and its count. What was accepted and is nowhere else was taken.
    fn settled_totals(&self) -> Totals {
        let totals = self.totals();
        let elsewhere = totals.acked + totals.dead_lettered + totals.discarded;
        Totals { taken: totals.accepted.saturating_sub(elsewhere), ..totals }
    }
}

impl<T> Shared<T> {
    pub(crate) fn state_of(&self, control: &Control<T>) -> State {
        match &control.life.ended {
            Some(drained) if drained.outcome == Outcome::Complete => State::Drained,
            Some(_) => State::Aborted,
            None if !control.life.is_sealed() => State::Open,
            None if self.is_draining(control) => State::Draining,
            None => State::Sealed,
        }
    }

    /// Returns whether the queue is abandoned, and is to drop what is buffered now: no handle is left that could ask for it, or
    /// it has askers, which would wait for as long as a handle or a producer is there.
    pub(crate) fn is_lost(&self, control: &Control<T>) -> bool {
        let drops_now = control.registry.openers == 0 || self.tell_asker.get().is_some();
        control.life.abandoned && drops_now && !control.life.shut_down
    }

    /// Returns how the queue ended, or is about to, if items may have been discarded by that.
    pub(crate) fn loss(&self) -> Option<Outcome> {
        let control = self.control();
        match control.ended() {
            Some(drained) => Some(drained.outcome).filter(|outcome| *outcome != Outcome::Complete),
            None => control.life.abandoned.then_some(Outcome::Abandoned),
        }
    }

    fn is_draining(&self, control: &Control<T>) -> bool {
        if control.life.elsewhere.draining {
            return true;
        }
        // A permit counts as a producer. After a shutdown no more permits are given.
        let nobody_puts = || control.life.shut_down && self.store.permits() == 0;
        control.life.sealed && (control.registry.no_producer_open() || nobody_puts())
    }

    /// Runs a change under the mutex, moves the state on, and after unlocking does what may run user code.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut Control<T>, &mut Effects<T>) -> R) -> R {
        let mut effects = Effects::new();
        let result = {
            let mut control = self.control();
            let result = change(&mut control, &mut effects);
            self.advance(&mut control, &mut effects);
            result
        };
        effects.run();
        result
    }

    /// Seals the queue (C3). Idempotent.
    pub(crate) fn seal(&self) {
        self.change(|control, _| {
            control.life.sealed = true;
            control.life.seal_said = true;
        });
    }

    /// Ends a lease. Everything else that it did comes before.
    #[inline]
    pub(crate) fn settle(&self, row: &ConsumerRow, lease: u64, how: Option<Settled>) {
        if let Some(how) = how {
            self.store.settle(lease, how);
        }
        if row.settle() {
            self.clean_up(row, lease);
        }
        if self.flags.any(DRAINING | ENDED) {
            self.try_finish();
        }
    }

    /// Does what few settles have to. Kept out of the fast path.
    #[inline(never)]
    fn clean_up(&self, row: &ConsumerRow, lease: u64) {
        self.control().clean_up(row, lease);
    }

    /// Ends the queue now (D8), and returns the items that were left, in order.
    pub(crate) fn abort(&self) -> Vec<T> {
        self.abort_with_holders().0
    }

    /// Ends the queue now, and also returns the consumers that hold items.
    pub(crate) fn abort_with_holders(&self) -> (Vec<T>, Vec<ConsumerStatus>) {
        let (left, holders) = self.change(|control, effects| {
            if control.life.ended.is_some() {
                return (Vec::new(), Vec::new());
            }
            let mut holders = self.consumers(control);
            holders.retain(|consumer| consumer.leased > 0);
            let left = self.take_all(control, effects);
            // If the queue lives elsewhere, a shutdown ends only this process's part.
            let leaves = control.life.shut_down && !self.store.ends_here();
            let outcome = if leaves { Outcome::Left } else { Outcome::Aborted };
            let totals = self.stock(control).totals;
            self.end(control, effects, outcome, totals);
            (left, holders)
        });
        self.tell_askers_of_the_end(&left);
        (left, holders)
    }

    /// Tells the askers of items that were left. The caller who is given the items may keep them.
    pub(crate) fn tell_askers_of_the_end(&self, left: &[T]) {
        if let Some(tell_asker) = self.tell_asker.get() {
            for item in left {
                tell_asker(item, None);
            }
        }
    }

    /// Seals and refuses all further puts; consumers go on.
    pub(crate) fn shut_down(&self) {
        self.change(|control, effects| {
            control.life.sealed = true;
            control.life.shut_down = true;
            self.store.close(Closed::Producers);
            self.release_putters(control, effects);
        });
    }

    /// Takes the items that were left at the end or came back after it, and that no caller has been given yet.
    pub(crate) fn take_left(&self) -> Vec<T> {
        let left = std::mem::take(&mut self.control().leftovers);
        self.tell_askers_of_the_end(&left);
        left
    }

    /// Keeps what an abort left for a later `take_left`, if there is a handle that may ask for it.
    pub(crate) fn keep_left(&self, left: Vec<T>) {
        let unclaimed = {
            let mut control = self.control();
            // Before the items that have come back since the abort.
            control.leftovers.splice(0..0, left);
            control.unclaimed()
        };
        unclaimed.into_iter().for_each(drop_quietly);
    }

    /// Returns whether the queue has ended and no consumer holds an item any more.
    ///
    /// One that waits for that is in the line of the watchers. It parks under the mutex, and then looks. A thread that
    /// settles raises `settled`, and then reads `ENDED`, which was raised before the look. So it sees the flag and wakes the
    /// line, or the look sees its settle.
    pub(crate) fn is_settled(&self) -> bool {
        // The flag spares a spinning thread the mutex.
        self.flags.any(ENDED) && !self.control().registry.any_consumer_busy()
    }

    /// Checks whether this was the last settle: that ends the queue, or a wait after its end. Kept out of the fast paths.
    #[inline(never)]
    pub(crate) fn try_finish(&self) {
        if self.flags.any(ENDED) {
            let mut wakers = Vec::new();
            {
                let mut control = self.control();
                if !control.registry.any_consumer_busy() {
                    wakers.extend(control.lines.watchers.pop_all());
                }
            }
            return wake(wakers);
        }
        // If items are left, the consumer that takes them checks again.
        if self.store.is_empty() || self.store.is_closed() {
            self.change(|_, _| ());
        }
    }

    /// Draws the consequences of any change (D7, C5).
    fn advance(&self, control: &mut Control<T>, effects: &mut Effects<T>) {
        self.store.membership_changed();
        if !self.store.ends_here() || !control.life.sealed || control.life.ended.is_some() {
            return;
        }
        if !control.life.abandoned && control.nobody_consumes() {
            control.life.abandoned = true;
            self.store.close(Closed::Everybody);
            self.release_putters(control, effects);
        }
        if self.is_lost(control) {
            // Now, not at the end: one of the items may hold the last producer, or its asker does, and the end would wait for
            // that.
            effects.discard = self.take_all(control, effects);
            effects.lost_from = Some((self.name.clone(), self.id));
        }
        if self.is_draining(control) {
            self.flags.raise(DRAINING);
            self.finish(control, effects);
        }
    }

    /// Wakes the waiting puts, which are refused now, and those that wait for a refusal.
    pub(crate) fn release_putters(&self, control: &mut Control<T>, effects: &mut Effects<T>) {
        effects.wake.extend(control.lines.putters.pop_all());
        effects.wake.extend(control.lines.refused.pop_all());
        effects.wake.extend(control.registry.turn_wakers());
        self.flag_waiters(control);
    }

    /// Ends the queue if all is done, by the double reading at the top of this file.
    fn finish(&self, control: &mut Control<T>, effects: &mut Effects<T>) {
        // Two shortcuts. The consumer that takes an item seen here, or ends a claim seen here, checks again, as DRAINING
        // is raised.
        let something_to_take = !self.is_empty(control);
        let lingering = control.lingering.leases();
        if (something_to_take && !control.life.abandoned) || (lingering == 0 && control.registry.any_consumer_busy()) {
            return;
        }
        let settled: u64 = control.registry.consumers().map(ConsumerRow::settled).sum();
        let empty = self.is_empty(control);
        let claimed: u64 = control.registry.consumers().map(ConsumerRow::claimed).sum();
        if settled + lingering != claimed {
            return;
        }
        if lingering > 0 {
            if empty {
                control.lingering.stop_all();
                effects.wake.extend(control.lines.getters.pop_all());
                self.flag_waiters(control);
            }
            return;
        }
        if empty {
            let lost = control.life.abandoned && control.counts.discarded > 0;
            let outcome = if lost { Outcome::Abandoned } else { Outcome::Complete };
            self.end(control, effects, outcome, control.settled_totals());
        } else if control.life.abandoned {
            let left = self.take_all(control, effects);
            let keeper = if control.life.shut_down { &mut control.leftovers } else { &mut effects.discard };
            *keeper = left;
            self.end(control, effects, Outcome::Abandoned, control.settled_totals());
        }
    }

    /// Ends the queue.
    pub(crate) fn end(&self, control: &mut Control<T>, effects: &mut Effects<T>, outcome: Outcome, totals: Totals) {
        self.store.close(Closed::Everybody);
        self.flags.raise(ENDED);
        self.flags.lower(DRAINING | RETURNED);
        control.life.sealed = true;
        let drained = Drained { queue: self.id, name: self.name.as_deref().map(str::to_owned), outcome, totals };
        effects.ended = Some(drained.clone());
        control.life.ended = Some(drained);
        for line in [Line::Getters, Line::Watchers] {
            effects.wake.extend(control.lines.of(line).pop_all());
        }
        self.release_putters(control, effects);
        effects.close.clone_from(&control.letter_readers);
    }
}
