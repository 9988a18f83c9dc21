//! The data plane: items in and items out.
//!
//! A put pushes to the buffer and then looks whether a getter waits; a getter parks and then looks into the
//! buffer again (the other way round for room). That one of them sees the other is due to the locks of the
//! buffer: see there.

use std::task::Waker;

use super::buffer::PushError;
use super::effects::wake;
use super::remote::{NotDone, Receipt};
use super::rows::{ConsumerRow, ProducerRow};
use super::shared::{Control, DRAINING, ENDED, Line, PERMITS, REMOTE, RETURNED, SIDE, Shared};
use super::side::Origin;
use crate::error::{PutError, TryGetError};
use crate::sync::atomic::Ordering::SeqCst;

/// An item on its way to a consumer.
#[derive(Debug)]
pub(crate) struct Taken<T> {
    pub(crate) item: T,
    /// How many times it has been handed out, this one included.
    pub(crate) attempt: u32,
    /// The consumer's number for the lease; 0 without one.
    pub(crate) sequence: u64,
}

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
enum TakeReturned<T> {
    Taken(Taken<T>),
    Nothing,
    /// Only what it gave back itself, and there are new ones.
    NewFirst,
}

impl<T> Shared<T> {
    /// Puts if there is room now; `by_right` also into the room that is kept for the line.
    #[inline]
    pub(crate) fn try_put(&self, row: &ProducerRow, item: T, by_right: bool) -> Result<(), NotDone<T>> {
        if self.flagged(REMOTE) {
            return Err(self.put_remote(row, item, by_right));
        }
        let waker = match row.endpoint.hold_open() {
            Some(_held) => self.push(row, item, by_right)?,
            None => return Err(PutError::Closed(item).into()),
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
    fn push(&self, row: &ProducerRow, item: T, by_right: bool) -> Result<Option<Waker>, NotDone<T>> {
        if self.flagged(SIDE | PERMITS) {
            return self.push_in_order(row, item, by_right);
        }
        match self.buffer.push(item, by_right, || row.count_put()) {
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
    fn not_pushed(&self, error: PushError<T>) -> NotDone<T> {
        match error {
            PushError::Full(item) => NotDone::Full(item),
            PushError::Closed(item) => self.control().refusal(item).into(),
        }
    }

    /// While items are beside the buffer or permits are out, room is counted and order is kept
    /// under the lock.
    #[cold]
    fn push_in_order(&self, row: &ProducerRow, item: T, by_right: bool) -> Result<Option<Waker>, NotDone<T>> {
        let mut control = self.control();
        if control.refuses_puts() {
            return Err(control.refusal(item).into());
        }
        if !self.has_room(&control, by_right) {
            return Err(NotDone::Full(item));
        }
        // Full all the same: a put that began before the permits were given was faster.
        let pushed = self.buffer.push(item, by_right, || row.count_put());
        if let Err(PushError::Full(item) | PushError::Closed(item)) = pushed {
            return Err(NotDone::Full(item));
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
    pub(crate) fn try_reserve(&self, row: &ProducerRow, by_right: bool) -> Option<Result<(), PutError<()>>> {
        let Some(_held) = row.endpoint.hold_open() else { return Some(Err(PutError::Closed(()))) };
        let mut control = self.control();
        if control.refuses_puts() {
            return Some(Err(control.refusal(())));
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
    pub(crate) fn put_reserved(&self, row: &ProducerRow, item: T) -> Result<Receipt, PutError<T>> {
        if let Some(remote) = self.remote() {
            return self.put_reserved_remote(remote, row, item);
        }
        let (result, effects) = {
            let held = row.endpoint.hold_open();
            self.decide(|control, effects| {
                self.return_permit(control);
                if held.is_none() {
                    effects.wake.extend(self.notify(control, Line::Putters));
                    return Err(PutError::Closed(item));
                }
                if control.refuses_children() {
                    return Err(control.refusal(item));
                }
                self.push_past_capacity(control, item, Origin::Producer);
                row.count_put_beside();
                row.stamp_put(self.clock.now());
                effects.wake.extend(self.notify(control, Line::Getters));
                Ok(None)
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

    fn push_past_capacity(&self, control: &mut Control<T>, item: T, origin: Origin) {
        let item = match origin {
            Origin::Lease => item,
            Origin::Producer => match self.buffer.push(item, true, || ()) {
                Ok(()) => return control.side.count_behind(),
                Err(PushError::Full(item) | PushError::Closed(item)) => item,
            },
        };
        control.side.push(item, origin);
        self.raise(control, SIDE);
    }

    /// Puts through a lease. It ignores the capacity, and every producer may have closed.
    ///
    /// The caller holds the lease, so the queue cannot become drained meanwhile.
    pub(crate) fn put_child(&self, row: &ConsumerRow, lease: u64, item: T) -> Result<(), PutError<T>> {
        if let Some(remote) = self.remote() {
            return self.put_child_remote(remote, row, lease, item);
        }
        let mut item = item;
        // Without a bound the buffer is as good a place, and quicker. A bounded one is for
        // producers alone: its size is their capacity.
        if self.buffer.capacity().is_none() && !self.flagged(SIDE) {
            match self.buffer.push(item, false, || ()) {
                Ok(()) => {
                    row.count_child();
                    if self.getters_wait.load(SeqCst) {
                        wake(self.notify_next(Line::Getters));
                    }
                    return Ok(());
                }
                // The buffer is closed to producers; leases may go on while the queue shuts down.
                Err(PushError::Full(back) | PushError::Closed(back)) => item = back,
            }
        }
        let waker = {
            let mut control = self.control();
            if control.refuses_children() {
                return Err(control.refusal(item));
            }
            self.push_past_capacity(&mut control, item, Origin::Lease);
            row.count_child();
            self.notify(&mut control, Line::Getters)
        };
        wake(waker);
        Ok(())
    }

    /// Takes if there is an item now. The fast path is kept small, as it is compiled into the caller.
    #[inline]
    pub(crate) fn try_take(&self, row: &ConsumerRow, take: Take) -> Result<Taken<T>, TryGetError> {
        let flags = self.flags.load(SeqCst);
        if flags & !PERMITS != 0 || row.is_shut() {
            return self.take_by_flags(row, take, flags);
        }
        let sequence = take.claim(row);
        match self.pop_buffer() {
            Some(item) => Ok(self.taken(row, take, item, sequence)),
            None => self.take_failed(row, take, sequence, false),
        }
    }

    /// The same for a queue that has something beside its buffer, or comes to its end.
    #[inline(never)]
    fn take_by_flags(&self, row: &ConsumerRow, take: Take, flags: u8) -> Result<Taken<T>, TryGetError> {
        if row.is_shut() {
            return Err(TryGetError::Ended);
        }
        if flags & REMOTE != 0 {
            return self.take_remote(row, take);
        }
        let mut new_first = false;
        if flags & RETURNED != 0 {
            match self.take_returned(row, take, true) {
                TakeReturned::Taken(taken) => return Ok(taken),
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
        match if flags & SIDE == 0 { self.pop_buffer() } else { self.pop_beside() } {
            Some(item) => Ok(self.taken(row, take, item, sequence)),
            None => self.take_failed(row, take, sequence, new_first),
        }
    }

    /// The buffer had nothing. If there is nothing beside it either, the claim ends.
    #[inline(never)]
    fn take_failed(
        &self,
        row: &ConsumerRow,
        take: Take,
        sequence: u64,
        new_first: bool,
    ) -> Result<Taken<T>, TryGetError> {
        if self.flagged(SIDE)
            && let Some(item) = self.pop_beside()
        {
            return Ok(self.taken(row, take, item, sequence));
        }
        if take == Take::Lease {
            // A failed take is a settler too: the end may have waited for this claim alone.
            row.claim_failed();
            if self.flagged(DRAINING) {
                self.try_finish();
            }
        }
        // Others were faster: now it may take what it gave back itself.
        if new_first && let TakeReturned::Taken(taken) = self.take_returned(row, take, false) {
            return Ok(taken);
        }
        Err(self.nothing())
    }

    #[inline]
    fn taken(&self, row: &ConsumerRow, take: Take, item: T, sequence: u64) -> Taken<T> {
        self.count_take(row, take);
        Taken { item, attempt: 1, sequence }
    }

    fn nothing(&self) -> TryGetError {
        if self.flagged(ENDED) { TryGetError::Ended } else { TryGetError::Empty }
    }

    /// After an item has left the buffer.
    #[inline]
    fn count_take(&self, row: &ConsumerRow, take: Take) {
        match take {
            Take::Lease => row.stamp_lease(self.clock.now()),
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
    fn take_returned(&self, row: &ConsumerRow, take: Take, spare: bool) -> TakeReturned<T> {
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
        self.count_take(row, take);
        TakeReturned::Taken(Taken { item: returned.item, attempt: returned.attempts + 1, sequence })
    }

    fn has_new(&self, control: &Control<T>) -> bool {
        !self.buffer.is_empty() || !control.side.is_empty()
    }

    /// Takes the oldest item that was never handed out, from the buffer or beside it.
    fn pop_beside(&self) -> Option<T> {
        let (item, waker) = {
            let mut control = self.control();
            let (item, room) = self.pop_in_order(&mut control)?;
            (item, if room { self.notify(&mut control, Line::Putters) } else { None })
        };
        wake(waker);
        Some(item)
    }

    /// The same while there is nothing beside it. The caller has claimed the item, if it leases.
    #[inline]
    fn pop_buffer(&self) -> Option<T> {
        let item = self.buffer.pop()?;
        if self.putters_wait.load(SeqCst) {
            self.tell_of_room();
        }
        Some(item)
    }

    #[cold]
    fn tell_of_room(&self) {
        wake(self.notify_next(Line::Putters));
    }

    /// From the buffer or beside it, whichever is older, and whether that makes room for a producer.
    pub(super) fn pop_in_order(&self, control: &mut Control<T>) -> Option<(T, bool)> {
        if self.buffer.len() > control.side.behind()
            && let Some(item) = self.buffer.pop()
        {
            return Some((item, true));
        }
        match control.side.pop() {
            Some((item, origin)) => {
                if control.side.is_empty() {
                    self.lower(control, SIDE);
                }
                Some((item, origin == Origin::Producer))
            }
            None => self.buffer.pop().map(|item| (item, true)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use futures::FutureExt;

    use super::Shared;
    use crate::endpoint::{Permit, Producer};
    use crate::error::TryPutError;
    use crate::queue::IterableQueue;

    /// A put that has passed its look at the flags when the first permit is given, and only then
    /// pushes: it takes the room that the permit was to keep.
    fn overlapping_put(shared: &Shared<&'static str>, producer: &Producer<&'static str>) -> Permit<&'static str> {
        let permit = producer.reserve().now_or_never().unwrap().unwrap();
        shared.buffer.push("faster", false, || ()).unwrap();
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
