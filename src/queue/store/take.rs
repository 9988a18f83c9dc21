//! An item's way out.

use super::Store;
use super::boxes::{Boxes, Closed};
use super::remote::{Ready, StoreReport};
use crate::error::TryGetError;
use crate::queue::effects::{Effects, wake};
use crate::queue::flags::{DELAYED, DRAINING, ENDED, RETURNED};
use crate::queue::membership::consumer_row::ConsumerRow;
use crate::queue::shared::{Control, Shared};
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
    /// Claims an item, before the consumer asks the boxes. A take without a lease claims nothing.
    #[inline]
    fn claim(self, row: &ConsumerRow) -> u64 {
        match self {
            Take::Lease => row.claim(),
            Take::Own => 0,
        }
    }
}

/// The place that a consumer takes an item into.
///
/// Functions pass a reference to it, as puts pass a `&mut Option<T>`. Passed by value and in results, an item would be
/// copied at each step, and a large one would take its size of the stack each time.
#[derive(Debug)]
pub(crate) struct Taken<T> {
    /// `None` until one is taken.
    pub(crate) item: Option<T>,
    /// How many times it has been handed out, including this time.
    pub(crate) attempt: u32,
    /// The consumer's number for the lease; 0 without one.
    pub(crate) sequence: u64,
}

impl<T> Taken<T> {
    /// Creates an empty place, with the numbers of an item that is handed out for the first time.
    #[inline]
    pub(crate) fn nothing() -> Self {
        Self { item: None, attempt: 1, sequence: 0 }
    }

    /// Returns the item, after a take that succeeded.
    #[inline]
    pub(crate) fn into_item(self) -> T {
        match self.item {
            Some(item) => item,
            None => unreachable!("a take that succeeds has an item"),
        }
    }
}

/// What a consumer got from the items that came back.
enum TakeReturned {
    Taken,
    Nothing,
    /// All of them are its own, and it should take new items first.
    NewFirst,
}

impl<T> Shared<T> {
    /// Takes an item if there is one now.
    ///
    /// The fast path is small, as it is always inlined: left to the compiler, that would depend on the rest of the program.
    #[inline(always)]
    pub(crate) fn try_take(&self, row: &ConsumerRow, take: Take, taken: &mut Taken<T>) -> Result<(), TryGetError> {
        let boxes = match &self.store {
            Store::Plain(boxes) => boxes,
            Store::Remote(remote) => return self.take_elsewhere(remote, row, take, taken),
        };
        let flags = self.flags.load();
        if flags != 0 || row.is_shut() {
            return self.take_by_flags(boxes, row, take, flags, taken);
        }
        let sequence = take.claim(row);
        if !self.pop(boxes, &mut taken.item) {
            return self.take_failed(row, take, false, taken);
        }
        self.count_take(row, take, sequence, taken);
        Ok(())
    }

    /// Takes while a flag is raised: items came back or are delayed, or the queue is draining or has ended.
    #[inline(never)]
    fn take_by_flags(
        &self,
        boxes: &Boxes<T>,
        row: &ConsumerRow,
        take: Take,
        mut flags: u8,
        taken: &mut Taken<T>,
    ) -> Result<(), TryGetError> {
        if row.is_shut() {
            return Err(TryGetError::Ended);
        }
        if flags & DELAYED != 0 && self.alarm.has_rung() {
            self.release_due();
            flags = self.flags.load();
        }
        let mut new_first = false;
        if flags & RETURNED != 0 {
            match self.take_returned(row, take, true, taken) {
                TakeReturned::Taken => return Ok(()),
                TakeReturned::NewFirst => new_first = true,
                TakeReturned::Nothing => {}
            }
        }
        // Look before claiming: while draining, a claim that fails has to check for the end, and waiting consumers would
        // keep each other from finding it.
        if flags & (DRAINING | ENDED) != 0 && !new_first && boxes.seems_empty() {
            return Err(self.nothing());
        }
        let sequence = take.claim(row);
        if !self.pop(boxes, &mut taken.item) {
            return self.take_failed(row, take, new_first, taken);
        }
        self.count_take(row, take, sequence, taken);
        Ok(())
    }

    /// Ends the claim of a take that found no item.
    #[inline(never)]
    fn take_failed(
        &self,
        row: &ConsumerRow,
        take: Take,
        new_first: bool,
        taken: &mut Taken<T>,
    ) -> Result<(), TryGetError> {
        if take == Take::Lease {
            // A failed claim counts as settled: the end, or a wait after it, may have waited for this one alone.
            row.claim_failed();
            if self.flags.any(DRAINING | ENDED) {
                self.try_finish();
            }
        }
        // Others took the new items, so now it may take what it gave back itself.
        if new_first && let TakeReturned::Taken = self.take_returned(row, take, false, taken) {
            return Ok(());
        }
        Err(self.nothing())
    }

    pub(super) fn nothing(&self) -> TryGetError {
        if self.flags.any(ENDED) { TryGetError::Ended } else { TryGetError::Empty }
    }

    /// Takes the oldest item that was never handed out. The caller has claimed it, if it leases.
    #[inline]
    fn pop(&self, boxes: &Boxes<T>, slot: &mut Option<T>) -> bool {
        let popped = boxes.pop(slot);
        if popped {
            wake(self.notify_of_room());
        }
        popped
    }

    /// Counts an item that has left the boxes.
    #[inline]
    fn count_take(&self, row: &ConsumerRow, take: Take, sequence: u64, taken: &mut Taken<T>) {
        match take {
            Take::Lease => {
                row.stamp_lease(self.clock.now());
                taken.sequence = sequence;
            }
            Take::Own => {
                row.count_taken();
                // No settle follows, so this take may be the last thing that happens.
                if self.flags.any(DRAINING) {
                    self.try_finish();
                }
            }
        }
    }

    /// Takes an item that came back. A consumer leaves the items that it gave back itself to others: to the one that was
    /// woken for it, and, if it is to `spare` them, to those at work, as long as there are new items.
    #[cold]
    fn take_returned(&self, row: &ConsumerRow, take: Take, spare: bool, taken: &mut Taken<T>) -> TakeReturned {
        let (returned, sequence) = {
            let mut control = self.control();
            // At most one item for each consumer is left: no capacity bounds what came back.
            let leave = control.registry.open_consumers() > control.returned.len();
            let mut returned = match control.returned.pop_other(row.id) {
                Some(returned) => returned,
                None if leave && control.returned.is_promised_to_another(row.id) => return TakeReturned::Nothing,
                None if leave && spare && !self.store.is_empty() && control.registry.another_consumer_works(row.id) => {
                    return TakeReturned::NewFirst;
                }
                None => match control.returned.pop() {
                    Some(returned) => returned,
                    None => return TakeReturned::Nothing,
                },
            };
            if control.returned.is_empty() {
                self.flags.lower(RETURNED);
            }
            // Claimed under the mutex, so that the item is counted somewhere at any time.
            let sequence = take.claim(row);
            if take == Take::Lease && !returned.history.is_empty() {
                control.remember(row, sequence, std::mem::take(&mut returned.history));
            }
            (returned, sequence)
        };
        self.count_take(row, take, sequence, taken);
        taken.attempt = returned.attempts.saturating_add(1);
        taken.item = Some(*returned.item);
        TakeReturned::Taken
    }

    /// Returns whether no item is buffered: none that is new, came back, or is delayed.
    pub(crate) fn is_empty(&self, control: &Control<T>) -> bool {
        control.returned.is_empty() && control.delayed.is_empty() && self.store.is_empty()
    }

    /// Returns whether a consumer would find an item.
    pub(crate) fn has_items(&self, control: &Control<T>) -> bool {
        match &self.store {
            Store::Plain(boxes) => boxes.len() + control.returned.len() > 0,
            Store::Remote(remote) => remote.driver.has_fetched(),
        }
    }

    /// Counts the items that consumers could take now. There is none while a consumer of this process waits for one.
    pub(crate) fn ready(&self) -> Ready {
        let ready = match &self.store {
            Store::Plain(boxes) => {
                // What is due is not delayed any more, also while all are too busy to come for it.
                self.release_due();
                let returned = self.control().returned.len();
                Ready { items: boxes.len() + returned, report: None }
            }
            Store::Remote(remote) => remote.driver.ready(),
        };
        if self.getters_wait.load(SeqCst) { Ready { items: 0, ..ready } } else { ready }
    }

    /// Counts the items that wait for a consumer.
    pub(crate) fn buffered(&self, control: &Control<T>) -> usize {
        match &self.store {
            Store::Plain(boxes) => boxes.len() + control.returned.len() + control.delayed.len(),
            // The items that an abort left there are discarded.
            Store::Remote(_) if control.ended().is_some() => 0,
            Store::Remote(remote) => remote.driver.report().buffered,
        }
    }

    /// Reports the items of the queue, and what became of all others.
    pub(crate) fn stock(&self, control: &Control<T>) -> StoreReport {
        match &self.store {
            Store::Plain(_) => StoreReport {
                buffered: self.buffered(control),
                delayed: control.delayed.len(),
                totals: control.totals(),
                ..StoreReport::default()
            },
            Store::Remote(remote) => {
                let report = remote.driver.report();
                match control.ended() {
                    Some(drained) => StoreReport { buffered: 0, totals: drained.totals, ..report },
                    None => report,
                }
            }
        }
    }

    /// Takes all buffered items, oldest first, and counts them as discarded: those that came back, those that are delayed,
    /// and those that were never handed out. No put can follow.
    pub(crate) fn take_all(&self, control: &mut Control<T>, effects: &mut Effects<T>) -> Vec<T> {
        self.store.close(Closed::Everybody);
        let left = match &self.store {
            Store::Plain(boxes) => {
                let mut left = Vec::new();
                left.extend(std::iter::from_fn(|| control.returned.pop()).map(|returned| *returned.item));
                // Their order is that of the consumers that gave them back, not that of their random delays.
                control.delayed.take_all().for_each(|returned| control.returned.insert(returned));
                left.extend(std::iter::from_fn(|| control.returned.pop()).map(|returned| *returned.item));
                self.flags.lower(DELAYED);
                effects.keeper = self.alarm.set(None).wakes();
                left.extend(std::iter::from_fn(|| {
                    let mut item = None;
                    boxes.pop(&mut item);
                    item
                }));
                left
            }
            Store::Remote(remote) => {
                let (detached, wakers) = remote.driver.refuse();
                effects.wake.extend(wakers);
                detached
            }
        };
        control.counts.discarded += left.len() as u64;
        left
    }
}

#[cfg(test)]
mod tests {
    use super::{Store, Taken};
    use crate::endpoint::Consumer;
    use crate::queue::{Item, IterableQueue, State};

    /// The consumer has read the flag when it is closed from outside, and only then claims and pops.
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
        let Store::Plain(boxes) = &shared.store else { unreachable!("it is in memory") };
        assert!(boxes.pop(&mut taken.item));
        drop(producer);

        assert_eq!(queue.state(), State::Draining);
        assert_eq!(queue.snapshot().leased, 1);
        Item::new(slot, taken).ack();
        assert_eq!(queue.state(), State::Drained);
        assert_eq!(queue.blocking_drained().totals.acked, 1);
    }
}
