//! An item's way back, when its lease ended unsettled.

use std::slice;
use std::task::Waker;
use std::time::Duration;

use super::Store;
use super::alarm::KeeperAction;
use super::remote::{RemoteStore, Settled};
use super::returned::ReturnedItem;
use crate::queue::effects::{drop_quietly, log_lost, quietly, wake};
use crate::queue::flags::{DELAYED, ENDED, RETURNED};
use crate::queue::ids::ConsumerId;
use crate::queue::lease::dead_letters::{DeadLetter, FailedAttempt};
use crate::queue::report::clock::Ticks;
use crate::queue::shared::{Control, Shared, UNLIMITED_ATTEMPTS};
use crate::sync::MutexGuard;

/// An item whose lease ended unsettled.
pub(crate) struct GivenBack<T> {
    pub(crate) item: T,
    pub(crate) consumer: ConsumerId,
    /// The consumer's number for the lease.
    pub(crate) lease: u64,
    /// How many attempts count against the item.
    pub(crate) attempts: u32,
    /// What this attempt failed of, if that is known.
    pub(crate) failed: Option<FailedAttempt>,
    pub(crate) way: Way,
}

/// How an item goes back.
pub(crate) enum Way {
    /// As if it had not been handed out.
    Undone,
    /// Its consumer gave it back, maybe to wait first, and this attempt counts.
    Failed(Option<Duration>),
    /// The same, and this attempt does not count.
    Released(Option<Duration>),
}

impl<T> Shared<T> {
    /// Returns whether an item may be handed out again: after the end only if the queue lives elsewhere, where it goes on.
    pub(crate) fn may_hand_out_again(&self) -> bool {
        !self.flags.any(ENDED) || !self.store.ends_here()
    }

    /// Returns whether the queue allows no further attempt after this one.
    pub(crate) fn is_last(&self, attempt: u32) -> bool {
        self.max_attempts != UNLIMITED_ATTEMPTS && attempt >= self.max_attempts
    }

    /// Brings an item back whose lease ended unsettled.
    pub(crate) fn give_back(&self, given: GivenBack<T>) {
        let GivenBack { item, consumer, lease, attempts, failed, way } = given;
        match &self.store {
            Store::Plain(_) => {
                let history = failed.into_iter().collect();
                let returned = ReturnedItem { item: Box::new(item), attempts, history, consumer, sequence: lease };
                match way {
                    Way::Undone => self.take_back(returned, None),
                    Way::Failed(delay) | Way::Released(delay) => self.take_back(returned, delay),
                }
            }
            Store::Remote(remote) => {
                Self::send_back(remote, lease, &item, way);
                drop_quietly(item);
            }
        }
    }

    /// Sends an item back to the remote store.
    fn send_back(remote: &RemoteStore<T>, lease: u64, item: &T, way: Way) {
        let settled = match way {
            Way::Undone => Settled::Undone,
            Way::Failed(delay) => Settled::Failed(delay.unwrap_or_default(), remote.driver.encode_again(item)),
            Way::Released(delay) => Settled::Released(delay.unwrap_or_default(), remote.driver.encode_again(item)),
        };
        remote.settle(lease, settled);
    }

    /// Returns how long an item waits that has failed this number of attempts, if the queue has a backoff.
    pub(crate) fn backoff(&self, attempts: u32) -> Option<Duration> {
        self.redelivery_backoff.map(|backoff| backoff.delay(attempts))
    }

    /// Writes an item as text, if the queue was built to do so.
    pub(crate) fn text_of(&self, item: &T) -> Option<String> {
        let describe = self.describe?;
        let mut text = None;
        quietly("the `Debug` of an item", || text = Some(describe(item)));
        text
    }

    /// Makes an item a dead letter.
    pub(crate) fn dead_letter(&self, consumer: ConsumerId, lease: u64, mut letter: DeadLetter<T>) {
        letter.text = self.text_of(&letter.item);
        log::debug!("{}: an item was {letter}", self.label());
        match &self.store {
            Store::Plain(_) => self.bury(consumer, lease, &mut Some(letter)),
            Store::Remote(remote) => {
                remote.settle(lease, Settled::Dead(remote.driver.encode_letter(&letter)));
                drop_quietly(letter.item);
            }
        }
    }

    /// Brings an item back in memory, after the delay if there is one.
    fn take_back(&self, mut returned: ReturnedItem<T>, delay: Option<Duration>) {
        let due = delay.filter(|delay| !delay.is_zero()).map(|delay| self.clock.due_after(delay));
        let (waker, action) = {
            let mut control = self.control();
            returned.history = control.recall(returned.consumer, returned.sequence, returned.history);
            if control.ended().is_some() {
                return self.keep_late(control, *returned.item);
            }
            if self.is_lost(&control) {
                control.counts.discarded += 1;
                drop(control);
                log_lost(&self.label(), 1);
                return drop_quietly(returned.item);
            }
            control.counts.redelivered += 1;
            match due {
                None => (self.put_back(&mut control, returned), KeeperAction::Nothing),
                Some(due) => self.delay(&mut control, due, returned),
            }
        };
        wake(waker);
        self.carry_out(action);
    }

    /// Keeps an item until it is due. Picks a consumer to take the lead, if consumers wait and none has it.
    fn delay(&self, control: &mut Control<T>, due: Ticks, returned: ReturnedItem<T>) -> (Option<Waker>, KeeperAction) {
        let giver = returned.consumer;
        let earliest = control.delayed.insert(due, returned);
        self.flags.raise(DELAYED);
        let action = if earliest { self.alarm.set(Some(due)) } else { KeeperAction::Nothing };
        (self.notify_of_delay(control, giver), action)
    }

    fn carry_out(&self, action: KeeperAction) {
        match action {
            KeeperAction::Nothing => {}
            KeeperAction::Wake(keeper) => keeper.unpark(),
            KeeperAction::Start => {
                if let Err(error) = self.alarm.start() {
                    log::error!(
                        "{}: no thread could be started for delayed items, so they come back at once: {error}",
                        self.label()
                    );
                    self.release(Ticks::MAX);
                }
            }
        }
    }

    /// Keeps an item that came back after the end, if there is a handle that may ask for it.
    pub(super) fn keep_late(&self, mut control: MutexGuard<'_, Control<T>>, item: T) {
        control.counts.discarded += 1;
        drop(control);
        self.tell_askers_of_the_end(slice::from_ref(&item));
        let mut control = self.control();
        if control.may_take_left() {
            return control.leftovers.push(item);
        }
        drop(control);
        drop_quietly(item);
    }

    /// Makes an item available to takers again.
    pub(super) fn put_back(&self, control: &mut Control<T>, returned: ReturnedItem<T>) -> Option<Waker> {
        let giver = returned.consumer;
        control.returned.insert(returned);
        self.flags.raise(RETURNED);
        self.notify_of_return(control, giver)
    }

    /// Brings back the items for which the alarm has rung.
    pub(crate) fn release_due(&self) {
        if let Some(now) = self.alarm.rung_at() {
            self.release(now);
        }
    }

    /// Brings back the items that are due by then.
    pub(crate) fn release(&self, now: Ticks) {
        let (wakers, action) = {
            let mut control = self.control();
            let mut wakers = Vec::new();
            while let Some(returned) = control.delayed.pop_due(now) {
                wakers.extend(self.put_back(&mut control, returned));
            }
            if control.delayed.is_empty() {
                self.flags.lower(DELAYED);
            }
            (wakers, self.alarm.set(control.delayed.first_due()))
        };
        wake(wakers);
        self.carry_out(action);
    }
}
