//! The way back of items whose lease ended unsettled, and those that wait before they are on it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;
use std::thread::{self, Thread};
use std::time::Duration;

use super::buffer::ReturnedItem;
use super::clock::Ticks;
use super::effects::{drop_quietly, wake};
use super::shared::{Control, RETURNED, Shared};
use crate::backoff::Backoff;

/// How failed items wait.
pub(crate) struct Redelivery<T> {
    pub(crate) backoff: Backoff,
    /// Starts whoever calls [`Shared::release_due`] in time: this module counts, but does not wait.
    pub(crate) start_timer: fn(&Arc<Shared<T>>),
}

/// Items that wait, by when they are due.
#[derive(Debug)]
pub(crate) struct Delayed<T> {
    items: BTreeMap<(Ticks, u64), ReturnedItem<T>>,
    /// Counts all that ever waited, to tell apart those that are due together.
    count: u64,
    timer: Timer,
}

/// The thread that looks after them: there is one while any of them waits.
#[derive(Debug)]
enum Timer {
    Off,
    /// It will have its first look soon.
    Starting,
    Sleeping(Thread),
}

/// What the timer of a queue must be told.
#[must_use]
enum Call {
    Nothing,
    Start,
    LookAgain(Thread),
}

impl<T> Delayed<T> {
    pub(super) fn new() -> Self {
        Self { items: BTreeMap::new(), count: 0, timer: Timer::Off }
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    fn insert(&mut self, due: Ticks, returned: ReturnedItem<T>) -> Call {
        let earliest = self.items.first_key_value().is_none_or(|((first, _), _)| due < *first);
        self.count += 1;
        self.items.insert((due, self.count), returned);
        match &self.timer {
            Timer::Off => {
                self.timer = Timer::Starting;
                Call::Start
            }
            Timer::Sleeping(thread) if earliest => Call::LookAgain(thread.clone()),
            Timer::Starting | Timer::Sleeping(_) => Call::Nothing,
        }
    }

    fn pop_due(&mut self, now: Ticks) -> Option<ReturnedItem<T>> {
        let first = self.items.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// Takes all of them, the next one first; and the timer, to be woken, for it has no more to do.
    pub(super) fn take_all(&mut self) -> (impl Iterator<Item = ReturnedItem<T>> + use<T>, Option<Thread>) {
        let timer = match &self.timer {
            Timer::Sleeping(thread) => Some(thread.clone()),
            Timer::Off | Timer::Starting => None,
        };
        (std::mem::take(&mut self.items).into_values(), timer)
    }
}

impl<T> Shared<T> {
    /// Takes an item back whose lease ended unsettled. One that failed may have to wait.
    pub(super) fn take_back(self: &Arc<Self>, returned: ReturnedItem<T>, failed: bool) {
        let redelivery = self.redelivery.as_ref().filter(|_| failed);
        let due = redelivery.map(|redelivery| self.clock.now() + redelivery.backoff.delay(returned.attempts));
        let (waker, call) = {
            let mut control = self.control();
            if control.ended().is_some() {
                control.discarded += 1;
                drop(control);
                return drop_quietly(returned.item);
            }
            control.redelivered += 1;
            match due {
                None => (self.put_back(&mut control, returned), Call::Nothing),
                Some(due) => (None, control.delayed.insert(due, returned)),
            }
        };
        wake(waker);
        match (call, redelivery) {
            (Call::LookAgain(timer), _) => timer.unpark(),
            (Call::Start, Some(redelivery)) => (redelivery.start_timer)(self),
            (Call::Start, None) | (Call::Nothing, _) => {}
        }
    }

    /// An item is there again, for takers.
    fn put_back(&self, control: &mut Control<T>, returned: ReturnedItem<T>) -> Option<Waker> {
        let giver = returned.consumer;
        control.returned.insert(returned);
        self.raise(control, RETURNED);
        self.notify_of_return(control, giver)
    }

    /// Brings back what is due, and says how long the timer may sleep. `None` if nothing waits any
    /// more: then the timer is to end.
    pub(crate) fn release_due(&self) -> Option<Duration> {
        self.release(self.clock.now())
    }

    /// There is no timer: everything comes back now.
    pub(crate) fn release_all(&self) {
        self.release(Ticks::MAX);
    }

    fn release(&self, now: Ticks) -> Option<Duration> {
        let (wakers, sleep) = {
            let mut control = self.control();
            let mut wakers = Vec::new();
            while let Some(returned) = control.delayed.pop_due(now) {
                wakers.extend(self.put_back(&mut control, returned));
            }
            let delayed = &mut control.delayed;
            let sleep = delayed.items.first_key_value().map(|((due, _), _)| due.since(now));
            delayed.timer = if sleep.is_some() { Timer::Sleeping(thread::current()) } else { Timer::Off };
            (wakers, sleep)
        };
        wake(wakers);
        sleep
    }
}
