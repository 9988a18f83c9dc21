//! Delayed items: they were given back, and wait before they come back.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::queue::report::clock::Ticks;
use crate::queue::store::returned::ReturnedItem;
use crate::sync::thread::{self, Thread};

/// Delayed items, by the time at which they are due.
#[derive(Debug)]
pub(crate) struct Delayed<T> {
    items: BTreeMap<(Ticks, u64), ReturnedItem<T>>,
    /// Counts all items that were ever delayed, to tell apart those that are due together.
    count: u64,
    timer: Timer,
}

/// The thread that brings the items back. It runs while there are any.
#[derive(Debug)]
enum Timer {
    Off,
    /// It was started, and will look at the items soon.
    Starting,
    Sleeping(Thread),
}

/// What the caller does with the timer, after unlocking.
#[must_use]
pub(crate) enum TimerAction {
    Nothing,
    Start,
    Wake(Thread),
}

impl<T> Delayed<T> {
    pub(crate) fn new() -> Self {
        Self { items: BTreeMap::new(), count: 0, timer: Timer::Off }
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(crate) fn insert(&mut self, due: Ticks, returned: ReturnedItem<T>) -> TimerAction {
        let earliest = self.items.first_key_value().is_none_or(|((first, _), _)| due < *first);
        self.count += 1;
        self.items.insert((due, self.count), returned);
        match &self.timer {
            Timer::Off => {
                self.timer = Timer::Starting;
                TimerAction::Start
            }
            Timer::Sleeping(thread) if earliest => TimerAction::Wake(thread.clone()),
            Timer::Starting | Timer::Sleeping(_) => TimerAction::Nothing,
        }
    }

    pub(crate) fn pop_due(&mut self, now: Ticks) -> Option<ReturnedItem<T>> {
        let first = self.items.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// Returns how long this thread, which is the timer, may sleep. `None` if it can end.
    pub(crate) fn sleep(&mut self, now: Ticks) -> Option<Duration> {
        let next = self.items.first_key_value().map(|((due, _), _)| due.since(now));
        self.timer = if next.is_some() { Timer::Sleeping(thread::current()) } else { Timer::Off };
        next
    }

    /// Takes all items, and the timer's thread, which the caller wakes so that it ends.
    pub(crate) fn take_all(&mut self) -> (impl Iterator<Item = ReturnedItem<T>> + use<T>, Option<Thread>) {
        let timer = match &self.timer {
            Timer::Sleeping(thread) => Some(thread.clone()),
            Timer::Off | Timer::Starting => None,
        };
        (std::mem::take(&mut self.items).into_values(), timer)
    }
}
