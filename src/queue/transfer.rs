//! The data plane: items in and items out.
//!
//! A put pushes to the buffer and then looks whether a getter waits; a getter parks and then looks into the
//! buffer again (the other way round for room). That one of them sees the other is due to the locks of the
//! buffer: see there.

use std::task::Waker;

use super::buffer::PushError;
use super::effects::wake;
use super::moves::{Outgoing, Taken};
use super::remote::NotDone;
use super::rows::{ConsumerRow, ProducerRow};
use super::shared::{Control, DRAINING, ENDED, Line, PERMITS, REMOTE, RETURNED, SIDE, Shared};
use super::side::Origin;
use crate::error::{Refusal, TryGetError};
use crate::sync::atomic::Ordering::SeqCst;

/// How a consumer takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Take {
    /// The item stays the queue's until it is settled.
    Lease,
    /// The item is the taker's at once.
    Own,
}

impl Take {
    /// Published before the buffer is asked. Without a lease there is nothing to claim.
    #[inline]
    fn claim(self, row: &ConsumerRow) -> u64 {
        match self {
            Take::Lease => row.claim(),
            Take::Own => 0,
        }
    }
}

/// What a consumer got of the items that came back.
enum TakeReturned {
    Taken,
    Nothing,
    /// Only what it gave back itself, and there are new ones.
    NewFirst,
}

impl<T> Shared<T> {
    /// Puts an item if there is room now; `by_right` also into the room that is kept for the line.
    #[inline]
    pub(crate) fn try_put(&self, row: &ProducerRow, put: &mut Outgoing<T>, by_right: bool) -> Result<(), NotDone> {
        if self.flagged(REMOTE) {
            return Err(self.put_remote(row, put, by_right));
        }
        let waker = match row.endpoint.hold_open() {
            Some(_held) => self.push(row, put, by_right)?,
            None => return Err(Refusal::Closed.into()),
        };
        wake(waker);
        Ok(())
    }

    /// Whether every put through this handle is refused from now on.
    pub(crate) fn refuses(&self, row: &ProducerRow) -> bool {
        self.buffer.is_closed() || row.endpoint.hold_open().is_none()
    }

    /// The fast path is kept small, as it is compiled into the caller; all else is out of line.
    #[inline]
    fn push(&self, row: &ProducerRow, put: &mut Outgoing<T>, by_right: bool) -> Result<Option<Waker>, NotDone> {
        if self.flagged(SIDE | PERMITS) {
            return self.push_in_order(row, put, by_right);
        }
        match self.buffer.push(put, by_right, || row.count_put()) {
            Ok(()) => {
                if self.flagged(SIDE) {
                    // The side list got its first item meanwhile: this one is behind it.
                    self.control().side.count_behind();
                }
                if self.getters_wait.load(SeqCst) { Ok(self.notify_of_put(row)) } else { Ok(None) }
            }
            Err(error) => Err(self.not_pushed(error)),
        }
    }

    #[cold]
    fn notify_of_put(&self, row: &ProducerRow) -> Option<Waker> {
        row.stamp_put(self.clock.now());
        self.notify_next(Line::Getters)
    }

    #[cold]
    fn not_pushed(&self, error: PushError) -> NotDone {
        match error {
            PushError::Full => NotDone::Full,
            PushError::Closed => self.refusal().into(),
        }
    }

    /// While items are beside the buffer or permits are out, room is counted and order is kept
    /// under the lock.
    #[cold]
    fn push_in_order(
        &self,
        row: &ProducerRow,
        put: &mut Outgoing<T>,
        by_right: bool,
    ) -> Result<Option<Waker>, NotDone> {
        let mut control = self.control();
        if control.refuses_puts() {
            return Err(control.refusal().into());
        }
        if !self.has_room(&control, by_right) {
            return Err(NotDone::Full);
        }
        // Full all the same: a put that began before the permits were given was faster.
        if self.buffer.push(put, by_right, || row.count_put()).is_err() {
            return Err(NotDone::Full);
        }
        control.side.count_behind();
        row.stamp_put(self.clock.now());
        Ok(self.notify(&mut control, Line::Getters))
    }

    /// Whether a producer may put now; permits that are out count as used, and so does the place that is kept for
    /// the line, unless it has a right to that.
    pub(super) fn has_room(&self, control: &Control<T>, by_right: bool) -> bool {
        if let Some(remote) = self.remote() {
            let (puts, window) = remote.window();
            let kept = usize::from(!by_right && !control.putters.is_idle());
            return puts + control.permits + kept < window;
        }
        let Some(capacity) = self.buffer.capacity() else { return true };
        let kept = usize::from(!by_right && self.buffer.keeps_place());
        self.buffer.len() + control.side.producer_items() + control.permits + kept < capacity
    }

    /// Reserves room for one put. `None` if there is none now.
    pub(crate) fn try_reserve(&self, row: &ProducerRow, by_right: bool) -> Option<Result<(), Refusal>> {
        let Some(_held) = row.endpoint.hold_open() else { return Some(Err(Refusal::Closed)) };
        let mut control = self.control();
        if control.refuses_puts() {
            return Some(Err(control.refusal()));
        }
        if !self.has_room(&control, by_right) {
            return None;
        }
        control.permits += 1;
        // Without a bound there is nothing to keep free, and puts stay on the fast path.
        if self.buffer.capacity().is_some() {
            self.raise(&mut control, PERMITS);
        }
        Some(Ok(()))
    }

    /// Uses a permit up. It never waits: if others were faster, the item goes beside the buffer. A
    /// shutdown waits for it (D6).
    pub(crate) fn put_reserved(&self, row: &ProducerRow, put: &mut Outgoing<T>) -> Result<(), Refusal> {
        if let Some(remote) = self.remote() {
            return self.put_reserved_remote(remote, row, put);
        }
        let (result, effects) = {
            let held = row.endpoint.hold_open();
            self.decide(|control, effects| {
                self.return_permit(control);
                if held.is_none() {
                    effects.wake.extend(self.notify(control, Line::Putters));
                    return Err(Refusal::Closed);
                }
                if control.refuses_children() {
                    return Err(control.refusal());
                }
                self.push_past_capacity(control, put, Origin::Producer);
                row.count_put_beside();
                row.stamp_put(self.clock.now());
                effects.wake.extend(self.notify(control, Line::Getters));
                Ok(())
            })
        };
        effects.run();
        result
    }

    /// Gives an unused permit back: there is room for somebody else.
    pub(crate) fn cancel_reserve(&self) {
        self.change(|control, effects| {
            self.return_permit(control);
            effects.wake.extend(self.notify(control, Line::Putters));
        });
    }

    pub(super) fn return_permit(&self, control: &mut Control<T>) {
        control.permits -= 1;
        if control.permits == 0 {
            self.lower(control, PERMITS);
        }
    }

    fn push_past_capacity(&self, control: &mut Control<T>, put: &mut Outgoing<T>, origin: Origin) {
        if origin == Origin::Producer && self.buffer.push(put, true, || ()).is_ok() {
            return control.side.count_behind();
        }
        control.side.push(put, origin);
        self.raise(control, SIDE);
    }

    /// Puts through a lease. It ignores the capacity, and every producer may have closed.
    ///
    /// The caller holds the lease, so the queue cannot become drained meanwhile.
    pub(crate) fn put_child(&self, row: &ConsumerRow, lease: u64, put: &mut Outgoing<T>) -> Result<(), Refusal> {
        if let Some(remote) = self.remote() {
            return self.put_child_remote(remote, row, lease, put);
        }
        // Without a bound the buffer is as good a place, and quicker. A bounded one is for
        // producers alone: its size is their capacity.
        // If it is closed to producers, leases may go on all the same while the queue shuts down.
        if self.buffer.capacity().is_none() && !self.flagged(SIDE) && self.buffer.push(put, false, || ()).is_ok() {
            row.count_child();
            if self.getters_wait.load(SeqCst) {
                wake(self.notify_next(Line::Getters));
            }
            return Ok(());
        }
        let waker = {
            let mut control = self.control();
            if control.refuses_children() {
                return Err(control.refusal());
            }
            self.push_past_capacity(&mut control, put, Origin::Lease);
            row.count_child();
            self.notify(&mut control, Line::Getters)
        };
        wake(waker);
        Ok(())
    }

    /// Takes if there is an item now. The fast path is kept small, as it is compiled into the caller: always, or it
    /// depended on what else the program does.
    #[inline(always)]
    pub(crate) fn try_take(&self, row: &ConsumerRow, take: Take, taken: &mut Taken<T>) -> Result<(), TryGetError> {
        let flags = self.flags.load(SeqCst);
        if flags & !PERMITS != 0 || row.is_shut() {
            return self.take_by_flags(row, take, flags, taken);
        }
        let sequence = take.claim(row);
        if !self.pop_buffer(&mut taken.item) {
            return self.take_failed(row, take, sequence, false, taken);
        }
        self.count_take(row, take, sequence, taken);
        Ok(())
    }

    /// The same for a queue that has something beside its buffer, or comes to its end.
    #[inline(never)]
    fn take_by_flags(&self, row: &ConsumerRow, take: Take, flags: u8, taken: &mut Taken<T>) -> Result<(), TryGetError> {
        if row.is_shut() {
            return Err(TryGetError::Ended);
        }
        if flags & REMOTE != 0 {
            return self.take_remote(row, take, taken);
        }
        let mut new_first = false;
        if flags & RETURNED != 0 {
            match self.take_returned(row, take, true, taken) {
                TakeReturned::Taken => return Ok(()),
                TakeReturned::NewFirst => new_first = true,
                TakeReturned::Nothing => {}
            }
        }
        // Look before you claim: while draining, a claim that fails has to check for the end, and
        // waiting consumers would keep each other from finding it.
        if flags & (DRAINING | SIDE) == DRAINING && !new_first && self.buffer.seems_empty() {
            return Err(self.nothing());
        }
        let sequence = take.claim(row);
        let slot = &mut taken.item;
        let popped = if flags & SIDE == 0 { self.pop_buffer(slot) } else { self.pop_beside(slot) };
        if !popped {
            return self.take_failed(row, take, sequence, new_first, taken);
        }
        self.count_take(row, take, sequence, taken);
        Ok(())
    }

    /// The buffer had nothing. If there is nothing beside it either, the claim ends.
    #[inline(never)]
    fn take_failed(
        &self,
        row: &ConsumerRow,
        take: Take,
        sequence: u64,
        new_first: bool,
        taken: &mut Taken<T>,
    ) -> Result<(), TryGetError> {
        if self.flagged(SIDE) && self.pop_beside(&mut taken.item) {
            self.count_take(row, take, sequence, taken);
            return Ok(());
        }
        if take == Take::Lease {
            // A failed take is a settler too: the end may have waited for this claim alone.
            row.claim_failed();
            if self.flagged(DRAINING) {
                self.try_finish();
            }
        }
        // Others were faster: now it may take what it gave back itself.
        if new_first && let TakeReturned::Taken = self.take_returned(row, take, false, taken) {
            return Ok(());
        }
        Err(self.nothing())
    }

    fn nothing(&self) -> TryGetError {
        if self.flagged(ENDED) { TryGetError::Ended } else { TryGetError::Empty }
    }

    /// After an item has left the buffer.
    #[inline]
    fn count_take(&self, row: &ConsumerRow, take: Take, sequence: u64, taken: &mut Taken<T>) {
        match take {
            Take::Lease => {
                row.stamp_lease(self.clock.now());
                taken.sequence = sequence;
            }
            Take::Own => {
                row.count_taken();
                // Nobody will settle it, so this take may be the last thing that happens.
                if self.flagged(DRAINING) {
                    self.try_finish();
                }
            }
        }
    }

    /// Takes an item that came back. One that this consumer gave back itself it leaves to others: to
    /// whoever was woken for it; and, as long as there are new items to do, to those who are at work,
    /// if it is to `spare` them.
    #[cold]
    fn take_returned(&self, row: &ConsumerRow, take: Take, spare: bool, taken: &mut Taken<T>) -> TakeReturned {
        let (returned, sequence) = {
            let mut control = self.control();
            // No more than one item for each of them: what came back has no capacity to bound it.
            let leave = control.registry.open_consumers() > control.returned.len();
            let returned = match control.returned.pop_other(row.id) {
                Some(returned) => returned,
                None if leave && control.returned.is_promised_to_another(row.id) => return TakeReturned::Nothing,
                None if leave
                    && spare
                    && self.has_new(&control)
                    && control.registry.somebody_else_is_at_work(row.id) =>
                {
                    return TakeReturned::NewFirst;
                }
                None => match control.returned.pop() {
                    Some(returned) => returned,
                    None => return TakeReturned::Nothing,
                },
            };
            if control.returned.is_empty() {
                self.lower(&mut control, RETURNED);
            }
            // Claimed under the lock: between two places an item is never in nobody's hand.
            (returned, take.claim(row))
        };
        self.count_take(row, take, sequence, taken);
        taken.attempt = returned.attempts + 1;
        taken.item = Some(*returned.item);
        TakeReturned::Taken
    }

    fn has_new(&self, control: &Control<T>) -> bool {
        !self.buffer.is_empty() || !control.side.is_empty()
    }

    /// Takes the oldest item that was never handed out, from the buffer or beside it.
    fn pop_beside(&self, slot: &mut Option<T>) -> bool {
        let waker = {
            let mut control = self.control();
            let Some(origin) = self.pop_in_order(&mut control, slot) else { return false };
            if origin == Origin::Producer { self.notify(&mut control, Line::Putters) } else { None }
        };
        wake(waker);
        true
    }

    /// The same while there is nothing beside it. The caller has claimed the item, if it leases.
    #[inline]
    fn pop_buffer(&self, slot: &mut Option<T>) -> bool {
        if !self.buffer.pop(slot) {
            return false;
        }
        if self.putters_wait.load(SeqCst) {
            self.tell_of_room();
        }
        true
    }

    #[cold]
    fn tell_of_room(&self) {
        wake(self.notify_next(Line::Putters));
    }

    /// From the buffer or beside it, whichever is older, and who had put it: only what a producer put makes room
    /// for one.
    pub(super) fn pop_in_order(&self, control: &mut Control<T>, slot: &mut Option<T>) -> Option<Origin> {
        if self.buffer.len() > control.side.behind() && self.buffer.pop(slot) {
            return Some(Origin::Producer);
        }
        if let Some(origin) = control.side.pop(slot) {
            if control.side.is_empty() {
                self.lower(control, SIDE);
            }
            return Some(origin);
        }
        self.buffer.pop(slot).then_some(Origin::Producer)
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use futures::FutureExt;

    use super::{Outgoing, Shared};
    use crate::endpoint::{Permit, Producer};
    use crate::error::TryPutError;
    use crate::queue::IterableQueue;

    /// A put that has passed its look at the flags when the first permit is given, and only then
    /// pushes: it takes the room that the permit was to keep.
    fn overlapping_put(shared: &Shared<&'static str>, producer: &Producer<&'static str>) -> Permit<&'static str> {
        let permit = producer.reserve().now_or_never().unwrap().unwrap();
        shared.buffer.push(&mut Outgoing::Here("faster"), false, || ()).unwrap();
        permit
    }

    #[test]
    fn d5_a_permit_that_lost_its_room_puts_all_the_same_and_counts() {
        let queue = IterableQueue::bounded(1);
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        overlapping_put(queue.shared(), &producer).put("permit").unwrap();
        assert_eq!(queue.len(), 2);
        let mut waiting = Box::pin(producer.put("waits"));
        let mut cx = Context::from_waker(Waker::noop());
        for item in ["faster", "permit"] {
            assert!(waiting.as_mut().poll_unpin(&mut cx).is_pending(), "no room before {item} is out");
            assert!(queue.is_full());
            assert_eq!(consumer.try_get(), Ok(item));
        }
        assert!(!queue.is_full());
        assert_eq!(queue.snapshot().waiting_puts, 0, "it was told of the room");
        assert_eq!(waiting.as_mut().poll_unpin(&mut cx), Poll::Ready(Ok(())));
        assert_eq!(producer.clone().try_put("more"), Err(TryPutError::Full("more")));
        assert_eq!(consumer.try_get(), Ok("waits"));
    }
}
