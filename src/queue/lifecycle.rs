//! The counting: who is open, what is leased, and when it is drained.
//!
//! # Why `Drained` is right: the double reading
//!
//! A consumer raises `claimed` *before* it asks the buffer for an item, and whoever settles raises
//! `settled` *after* all that the lease did (its children are put, the item is back). To decide,
//! [`Shared::finish`] reads, under the lock and in this order: the sum S of `settled`, whether the
//! buffer is empty, the sum C of `claimed`.
//!
//! *Safe*: S = C means that every claim it saw is settled. Emptiness was read after S, so it
//! includes what those leases put and gave back; and a pop that made the buffer empty published
//! its claim before, so C includes it. No producer is open, so nothing else can come.
//!
//! *Live*: a settler raises `settled`, then reads `DRAINING`; the last close raises `DRAINING`, then
//! reads `settled`. All four are sequentially consistent, so one sees the other; and the last
//! settler of all finds S = C. A take without a lease, the last pop, stands in for a settler: it
//! goes through the lock of the outbox, as does the look that decides on emptiness.
//!
//! *Once*: the state changes under the lock.

use std::sync::Arc;

use super::effects::Effects;
use super::registry::HandleKey;
use super::remote::Settled;
use super::rows::{ConsumerRow, ProducerEndpoint, ProducerRow};
use super::shared::{Control, DRAINING, ENDED, Line, PERMITS, REMOTE, RETURNED, SIDE, Shared};
use super::snapshot::{ConsumerStatus, Drained, Outcome, State, Totals};
use crate::error::{OpenError, Refusal};
use crate::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// How far the queue has come. Every field changes once at most.
#[derive(Debug, Default)]
pub(crate) struct Lifecycle {
    sealed: bool,
    /// Shutting down: puts are refused although producers are open.
    pub(super) shut_down: bool,
    /// Sealed and without consumers: what is left can only come from returned leases.
    abandoned: bool,
    ended: Option<Drained>,
    /// For a queue that is elsewhere: somebody said `seal` here; this process may not put.
    pub(super) seal_said: bool,
    pub(super) puts_refused: bool,
}

impl<T> Control<T> {
    pub(super) fn state(&self) -> State {
        match &self.life.ended {
            Some(drained) if drained.outcome == Outcome::Complete => State::Drained,
            Some(_) => State::Aborted,
            None if !self.life.sealed && !self.elsewhere.sealed => State::Open,
            None if self.is_draining() => State::Draining,
            None => State::Sealed,
        }
    }

    fn is_draining(&self) -> bool {
        if self.elsewhere.draining {
            return true;
        }
        let nobody_puts = self.life.shut_down && self.permits == 0;
        self.life.sealed && (nobody_puts || self.registry.no_producer_open())
    }

    pub(super) fn ended(&self) -> Option<&Drained> {
        self.life.ended.as_ref()
    }

    /// Whether an endpoint may be opened, given whether the queue is sealed for its kind (C3).
    fn may_open(&self, sealed: bool) -> Result<(), OpenError> {
        match sealed {
            _ if self.life.ended.is_some() => Err(OpenError::Ended),
            true => Err(OpenError::Sealed),
            false => Ok(()),
        }
    }

    pub(super) fn refuses_puts(&self) -> bool {
        self.life.shut_down || self.life.puts_refused || self.refuses_children()
    }

    pub(super) fn refuses_children(&self) -> bool {
        self.life.abandoned || self.life.ended.is_some()
    }

    /// Why a put fails.
    pub(super) fn refusal(&self) -> Refusal {
        match &self.life.ended {
            Some(Drained { outcome: Outcome::Aborted, .. }) => Refusal::Aborted,
            _ if self.life.abandoned => Refusal::Abandoned,
            _ if self.life.shut_down => Refusal::ShutDown,
            _ if self.life.puts_refused => Refusal::Sealed,
            _ => Refusal::Closed,
        }
    }

    pub(super) fn totals(&self) -> Totals {
        let sums = self.registry.sums();
        Totals {
            accepted: sums.accepted,
            acked: sums.acked,
            taken: sums.taken,
            dead_lettered: self.dead_lettered,
            discarded: self.discarded,
            redelivered: self.redelivered,
            lost_producers: 0,
        }
    }

    fn nothing_beside_buffer(&self) -> bool {
        self.returned.is_empty() && self.delayed.is_empty() && self.side.is_empty()
    }

    /// Abandoned, and nobody is left who could ask for what is buffered.
    pub(super) fn is_lost(&self) -> bool {
        self.life.abandoned && self.openers == 0 && !self.life.shut_down
    }

    /// Nobody takes items, and nobody could open a consumer if the queue is sealed.
    pub(super) fn nobody_consumes(&self) -> bool {
        self.registry.no_consumer_open() && self.pools == 0
    }
}

impl<T> Shared<T> {
    /// Runs a change under the lock, then moves the state on, then does what may run user code.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut Control<T>, &mut Effects<T>) -> R) -> R {
        let (result, effects) = self.decide(change);
        effects.run();
        result
    }

    /// The same, for callers that hold another lock: they run the effects after it.
    pub(super) fn decide<R>(&self, change: impl FnOnce(&mut Control<T>, &mut Effects<T>) -> R) -> (R, Effects<T>) {
        let mut effects = Effects::new();
        let mut control = self.control();
        let result = change(&mut control, &mut effects);
        self.advance(&mut control, &mut effects);
        (result, effects)
    }

    /// C3. Idempotent.
    pub(crate) fn seal(&self) {
        self.change(|control, _| {
            control.life.sealed = true;
            control.life.seal_said = true;
        });
    }

    /// Another handle that can open endpoints, if there is one still.
    ///
    /// Counted under the lock under which the last one seals: a weak handle is upgraded before that, and the one
    /// that is dropped then is not the last; or it finds none, and there never is one again.
    pub(crate) fn add_opener(&self) -> bool {
        let mut control = self.control();
        let open = control.openers > 0;
        control.openers += usize::from(open);
        open
    }

    /// C3. After the last one nobody can open endpoints here any more. If others can, elsewhere, that does not seal
    /// the queue.
    pub(crate) fn close_opener(&self) {
        self.change(|control, _| {
            control.openers -= 1;
            control.life.sealed |= control.openers == 0 && self.remote.is_none();
        });
    }

    pub(crate) fn open_producer(
        &self,
        name: Option<Arc<str>>,
        watched: bool,
    ) -> Result<(HandleKey, Arc<ProducerRow>), OpenError> {
        let mut control = self.control();
        // Consumers may join a queue that others have sealed: that replaces those which a crash took.
        control.may_open(control.life.sealed || control.elsewhere.sealed)?;
        let opened = control.registry.open_producer(name, watched);
        self.tell_remote();
        Ok(opened)
    }

    /// Another handle for an endpoint, also after seal. `None` if it was closed from outside.
    pub(crate) fn add_handle(&self, endpoint: &Arc<ProducerEndpoint>) -> Option<(HandleKey, Arc<ProducerRow>)> {
        let mut control = self.control();
        control.registry.producer_is_open(endpoint.id).then(|| control.registry.add_handle(Arc::clone(endpoint)))
    }

    /// C2: the endpoint closes with its last handle.
    pub(crate) fn close_handle(&self, key: HandleKey) {
        self.change(|control, _| control.registry.remove_handle(key));
    }

    /// Closes watched endpoints with all their handles; their waiting puts wake to it (A3).
    pub(crate) fn close_endpoints(&self, endpoints: &[Arc<ProducerEndpoint>]) {
        for endpoint in endpoints {
            endpoint.shut();
        }
        self.change(|control, effects| {
            for endpoint in endpoints {
                effects.wake.extend(control.registry.remove_producer(endpoint.id));
            }
            effects.wake.extend(control.putters.pop_all());
            effects.wake.extend(control.refused.pop_all());
            self.flag_waiters(control);
        });
    }

    pub(crate) fn open_consumer(&self, name: Option<Arc<str>>) -> Result<Arc<ConsumerRow>, OpenError> {
        let mut control = self.control();
        control.may_open(control.life.sealed)?;
        let opened = control.registry.open_consumer(name);
        self.tell_remote();
        Ok(opened)
    }

    /// From now on a pool may open consumers, also after seal (D7).
    pub(crate) fn open_pool(&self) -> Result<(), OpenError> {
        let mut control = self.control();
        control.may_open(control.life.sealed)?;
        control.pools += 1;
        self.tell_remote();
        Ok(())
    }

    pub(crate) fn close_pool(&self) {
        self.change(|control, _| control.pools -= 1);
    }

    /// A consumer of a pool that is open.
    pub(crate) fn add_pool_consumer(&self, name: Arc<str>) -> Arc<ConsumerRow> {
        self.control().registry.open_consumer(Some(name))
    }

    /// Another consumer beside one that is open, also after seal.
    pub(crate) fn add_consumer(&self, beside: &ConsumerRow) -> Arc<ConsumerRow> {
        self.change(|control, _| {
            // A name that was given stays; one that is only the id does not.
            let named = *beside.name != *beside.id.to_string();
            let name = named.then(|| Arc::clone(&beside.name));
            let row = control.registry.add_consumer(name, Arc::clone(&beside.shut));
            if beside.is_shut() {
                control.registry.close_shut_consumers();
            }
            row
        })
    }

    pub(crate) fn close_consumer(&self, row: &ConsumerRow) {
        self.change(|control, _| control.registry.close_consumer(row));
    }

    /// Closes watched consumers from outside, with their clones: their takes end (A3).
    pub(crate) fn shut_consumers<'a>(&self, flags: impl IntoIterator<Item = &'a AtomicBool>) {
        // Raised before the lock is taken: a clone made meanwhile is in the registry by then, or
        // sees it.
        for shut in flags {
            shut.store(true, SeqCst);
        }
        self.change(|control, effects| {
            control.registry.close_shut_consumers();
            control.returned.end_promises();
            effects.wake.extend(control.getters.pop_all());
            self.flag_waiters(control);
        });
    }

    /// Returns the error of a put that was refused elsewhere.
    pub(super) fn refusal(&self) -> Refusal {
        self.control().refusal()
    }

    /// Returns why every put through this handle is refused from now on; `None` while one may be accepted.
    pub(crate) fn refusal_of(&self, row: &ProducerRow) -> Option<Refusal> {
        let Some(_held) = row.endpoint.hold_open() else { return Some(Refusal::Closed) };
        let control = self.control();
        control.refuses_puts().then(|| control.refusal())
    }

    /// Ends a lease. Everything that it did has been done by now, or is told to whoever has the items.
    #[inline]
    pub(crate) fn settle(&self, row: &ConsumerRow, lease: u64, how: Option<Settled>) {
        if self.flagged(REMOTE) {
            self.report(lease, how);
        }
        if row.settle() {
            self.control().registry.fold_consumer(row);
        }
        if self.flagged(DRAINING) {
            self.try_finish();
        }
    }

    #[cold]
    fn report(&self, lease: u64, how: Option<Settled>) {
        if let (Some(remote), Some(how)) = (self.remote(), how) {
            remote.settle(lease, how);
        }
    }

    /// D8: everybody ends, and the caller gets what was left, in order.
    pub(crate) fn abort(&self) -> Vec<T> {
        self.abort_and_tell().0
    }

    /// The same, with the consumers that hold items.
    pub(crate) fn abort_and_tell(&self) -> (Vec<T>, Vec<ConsumerStatus>) {
        self.change(|control, effects| {
            if control.life.ended.is_some() {
                return (Vec::new(), Vec::new());
            }
            let mut holders = self.consumers(control);
            holders.retain(|consumer| consumer.leased > 0);
            let left = self.take_all(control, effects);
            // After a shutdown it is this process alone that gives up.
            let leaves = self.remote.is_some() && control.life.shut_down;
            let outcome = if leaves { Outcome::Left } else { Outcome::Aborted };
            self.end(control, effects, outcome, self.remote().map(|remote| remote.report().totals));
            (left, holders)
        })
    }

    /// Seals and refuses all further puts; consumers go on.
    pub(crate) fn shut_down(&self) {
        self.change(|control, effects| {
            control.life.sealed = true;
            control.life.shut_down = true;
            self.buffer.close();
            self.release_putters(control, effects);
        });
    }

    /// What a shutdown left when there was nobody to take it.
    pub(crate) fn take_left(&self) -> Vec<T> {
        std::mem::take(&mut self.control().left)
    }

    /// Looks whether this was the last settle. Kept out of the fast paths.
    #[inline(never)]
    pub(super) fn try_finish(&self) {
        // Whoever takes what is still there will look again, if takes go on.
        if self.buffer.is_empty() || self.buffer.is_closed() {
            self.change(|_, _| ());
        }
    }

    /// Draws the consequences of any change (D7, C5).
    fn advance(&self, control: &mut Control<T>, effects: &mut Effects<T>) {
        if let Some(remote) = self.remote() {
            return remote.changed();
        }
        if !control.life.sealed || control.life.ended.is_some() {
            return;
        }
        if !control.life.abandoned && control.nobody_consumes() {
            control.life.abandoned = true;
            self.buffer.close();
            self.release_putters(control, effects);
        }
        if control.is_lost() {
            // At once, and not with the end: one of the items may hold the last producer, which keeps the end off.
            effects.discard = self.take_all(control, effects);
            effects.lost_from = Some((self.name.clone(), self.id));
        }
        if control.is_draining() {
            self.raise(control, DRAINING);
            self.finish(control, effects);
        }
    }

    fn tell_remote(&self) {
        if let Some(remote) = self.remote() {
            remote.changed();
        }
    }

    /// Puts wake to a refusal, and so does whoever waits for one.
    pub(super) fn release_putters(&self, control: &mut Control<T>, effects: &mut Effects<T>) {
        effects.wake.extend(control.putters.pop_all());
        effects.wake.extend(control.refused.pop_all());
        effects.wake.extend(control.registry.turn_wakers());
        self.flag_waiters(control);
    }

    /// The double reading; see the top of this file.
    fn finish(&self, control: &mut Control<T>, effects: &mut Effects<T>) {
        // Two shortcuts: whoever takes what is still there, or ends the claim that is seen, looks
        // again, for DRAINING is up.
        let something_to_take = !control.nothing_beside_buffer() || !self.buffer.is_empty();
        if (something_to_take && !control.life.abandoned) || control.registry.somebody_is_busy() {
            return;
        }
        let settled: u64 = control.registry.consumers().map(ConsumerRow::settled).sum();
        let empty = control.nothing_beside_buffer() && self.buffer.is_empty();
        let claimed: u64 = control.registry.consumers().map(ConsumerRow::claimed).sum();
        if settled != claimed {
            return;
        }
        if empty {
            let lost = control.life.abandoned && control.discarded > 0;
            self.end(control, effects, if lost { Outcome::Abandoned } else { Outcome::Complete }, None);
        } else if control.life.abandoned {
            let left = self.take_all(control, effects);
            let keeper = if control.life.shut_down { &mut control.left } else { &mut effects.discard };
            *keeper = left;
            self.end(control, effects, Outcome::Abandoned, None);
        }
    }

    /// Everything in the buffer, oldest first, as discarded: what came back, what was to come back,
    /// and what was never handed out. No put can follow.
    fn take_all(&self, control: &mut Control<T>, effects: &mut Effects<T>) -> Vec<T> {
        self.buffer.close();
        let mut left = Vec::new();
        if let Some(remote) = self.remote() {
            let (detached, wakers) = remote.refuse();
            left.extend(detached);
            effects.wake.extend(wakers);
        }
        left.extend(std::iter::from_fn(|| control.returned.pop()).map(|returned| *returned.item));
        let (delayed, timer) = control.delayed.take_all();
        // When they were due is chance; they have their order from the consumers that gave them back.
        delayed.for_each(|returned| control.returned.insert(returned));
        left.extend(std::iter::from_fn(|| control.returned.pop()).map(|returned| *returned.item));
        effects.timer = timer;
        left.extend(std::iter::from_fn(|| {
            let mut item = None;
            self.pop_in_order(control, &mut item);
            item
        }));
        control.discarded += left.len() as u64;
        left
    }

    /// The totals are counted here, unless the items were elsewhere.
    pub(super) fn end(
        &self,
        control: &mut Control<T>,
        effects: &mut Effects<T>,
        outcome: Outcome,
        counted: Option<Totals>,
    ) {
        self.buffer.close();
        self.raise(control, ENDED);
        self.lower(control, DRAINING | RETURNED | SIDE | PERMITS);
        let mut totals = counted.unwrap_or_else(|| control.totals());
        if counted.is_none() && outcome == Outcome::Complete && control.registry.no_producer_open() {
            // A take without a lease may be between its pop and its count. All else is settled
            // and closed, so what was accepted and is not elsewhere was taken.
            let elsewhere = totals.acked + totals.dead_lettered + totals.discarded;
            totals.taken = totals.accepted.saturating_sub(elsewhere);
        }
        control.life.sealed = true;
        let drained = Drained { queue: self.id, name: self.name.as_deref().map(str::to_owned), outcome, totals };
        effects.ended = Some(drained.clone());
        control.life.ended = Some(drained);
        for line in [Line::Getters, Line::Watchers] {
            effects.wake.extend(control.line(line).pop_all());
        }
        self.release_putters(control, effects);
        effects.close = control.dead_letters.take();
    }
}

#[cfg(test)]
mod tests {
    use crate::endpoint::Consumer;
    use crate::queue::{Item, IterableQueue, State, Taken};

    /// A consumer that has passed its look at the flag when it is closed from outside, and only
    /// then claims and pops.
    #[test]
    fn a3_a_take_that_overlaps_with_a_close_from_outside_is_waited_for() {
        let queue = IterableQueue::unbounded();
        let (producer, consumer): (_, Consumer<_>) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.try_put("item").unwrap();
        queue.seal();
        let (shared, slot) = (queue.shared(), consumer.slot());

        shared.shut_consumers([&*slot.row.shut]);
        let sequence = slot.row.claim();
        let mut taken = Taken { sequence, ..Taken::nothing() };
        assert!(shared.buffer.pop(&mut taken.item));
        drop(producer);

        assert_eq!(queue.state(), State::Draining);
        assert_eq!(queue.snapshot().leased, 1);
        Item::new(slot, taken).ack();
        assert_eq!(queue.state(), State::Drained);
        assert_eq!(queue.blocking_drained().totals.acked, 1);
    }
}
