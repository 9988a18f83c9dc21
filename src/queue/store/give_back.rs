//! An item's way back, when its lease ended unsettled.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::Store;
use super::delayed::TimerAction;
use super::remote::{RemoteStore, Settled};
use super::returned::ReturnedItem;
use crate::queue::effects::{drop_quietly, log_lost, wake};
use crate::queue::flags::{ENDED, RETURNED};
use crate::queue::ids::ConsumerId;
use crate::queue::lease::dead_letters::DeadLetter;
use crate::queue::report::clock::Ticks;
use crate::queue::shared::{Control, Redelivery, Shared};

/// An item whose lease ended unsettled.
pub(crate) struct GivenBack<T> {
    pub(crate) item: T,
    pub(crate) consumer: ConsumerId,
    /// The consumer's number for the lease.
    pub(crate) lease: u64,
    /// How many attempts count against the item.
    pub(crate) attempts: u32,
    pub(crate) way: Way<T>,
}

/// How an item goes back.
pub(crate) enum Way<T> {
    /// As if it had not been handed out.
    Undone,
    /// Its consumer gave it back, maybe to wait first, and this attempt counts.
    Failed(Option<Delay<T>>),
    /// The same, and this attempt does not count.
    Released(Option<Delay<T>>),
}

/// For how long an item waits before it comes back.
pub(crate) struct Delay<T> {
    time: Duration,
    /// Starts the thread that keeps the time, if none runs.
    start_timer: fn(&Arc<Shared<T>>),
}

impl<T> Delay<T> {
    pub(crate) fn new(time: Duration, start_timer: fn(&Arc<Shared<T>>)) -> Self {
        Self { time, start_timer }
    }
}

impl<T> Shared<T> {
    /// Returns whether an item may be handed out again. After the end it is discarded, unless the queue lives elsewhere,
    /// where it goes on.
    pub(crate) fn may_hand_out_again(&self) -> bool {
        !self.flags.any(ENDED) || !self.store.ends_here()
    }

    /// Brings an item back whose lease ended unsettled.
    pub(crate) fn give_back(self: &Arc<Self>, given: GivenBack<T>) {
        let GivenBack { item, consumer, lease, attempts, way } = given;
        match &self.store {
            Store::Plain(_) => {
                let returned = ReturnedItem { item: Box::new(item), attempts, consumer, sequence: lease };
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
    fn send_back(remote: &RemoteStore<T>, lease: u64, item: &T, way: Way<T>) {
        let time = |delay: Option<Delay<T>>| delay.map_or(Duration::ZERO, |delay| delay.time);
        let settled = match way {
            Way::Undone => Settled::Undone,
            Way::Failed(delay) => Settled::Failed(time(delay), remote.driver.encode_again(item)),
            Way::Released(delay) => Settled::Released(time(delay), remote.driver.encode_again(item)),
        };
        remote.settle(lease, settled);
    }

    /// Returns how long an item waits that has failed this number of attempts, if the queue has a backoff.
    pub(crate) fn backoff(&self, attempts: u32) -> Option<Delay<T>> {
        let Redelivery { backoff, start_timer } = self.redelivery.as_ref()?;
        Some(Delay::new(backoff.delay(attempts), *start_timer))
    }

    /// Makes an item a dead letter.
    pub(crate) fn dead_letter(&self, lease: u64, letter: DeadLetter<T>) {
        match &self.store {
            Store::Plain(_) => self.hand_to_readers(&mut Some(letter)),
            Store::Remote(remote) => {
                remote.settle(lease, Settled::Dead(remote.driver.encode_letter(&letter)));
                drop_quietly(letter.item);
            }
        }
    }

    fn hand_to_readers(&self, letter: &mut Option<DeadLetter<T>>) {
        let dead_letters = {
            let mut control = self.control();
            control.counts.dead_lettered += 1;
            control.dead_letters.clone()
        };
        if let Some(queue) = dead_letters {
            queue.put(letter);
        }
        if let Some(unread) = letter.take() {
            log::error!(
                "{}: a dead letter is dropped, because it has no reader (call dead_letters() before the work begins, and keep \
                 the consumer): {unread}",
                self.label(),
            );
            drop_quietly(unread.item);
        }
    }

    /// Brings an item back in memory, after the delay if there is one.
    fn take_back(self: &Arc<Self>, returned: ReturnedItem<T>, delay: Option<Delay<T>>) {
        let delay = delay.filter(|delay| !delay.time.is_zero());
        let due = delay.as_ref().map(|delay| self.clock.due_after(delay.time));
        let (waker, action) = {
            let mut control = self.control();
            let lost = control.is_lost() && control.ended().is_none();
            if lost || control.ended().is_some() {
                control.counts.discarded += 1;
                drop(control);
                log_lost(&self.label(), usize::from(lost));
                return drop_quietly(returned.item);
            }
            control.counts.redelivered += 1;
            match due {
                None => (self.put_back(&mut control, returned), TimerAction::Nothing),
                Some(due) => (None, control.delayed.insert(due, returned)),
            }
        };
        wake(waker);
        match (action, delay) {
            (TimerAction::Wake(timer), _) => timer.unpark(),
            (TimerAction::Start, Some(delay)) => (delay.start_timer)(self),
            (TimerAction::Start, None) | (TimerAction::Nothing, _) => {}
        }
    }

    /// Makes an item available to takers again.
    fn put_back(&self, control: &mut Control<T>, returned: ReturnedItem<T>) -> Option<Waker> {
        let giver = returned.consumer;
        control.returned.insert(returned);
        self.flags.raise(RETURNED);
        self.notify_of_return(control, giver)
    }

    /// Brings back the items that are due. Returns how long the timer may sleep, `None` if it can end.
    pub(crate) fn release_due(&self) -> Option<Duration> {
        self.release(self.clock.exactly_now())
    }

    /// Brings back all delayed items, as no timer could be started.
    pub(crate) fn release_all(&self) {
        // Further items may be delayed before `sleep` notes that there is no timer.
        while self.release(Ticks::MAX).is_some() {}
    }

    fn release(&self, now: Ticks) -> Option<Duration> {
        let wakers = {
            let mut control = self.control();
            let mut wakers = Vec::new();
            while let Some(returned) = control.delayed.pop_due(now) {
                wakers.extend(self.put_back(&mut control, returned));
            }
            wakers
        };
        // Woken before the time to sleep is computed: a waker that parks this thread may use up its unpark.
        wake(wakers);
        self.control().delayed.sleep(now)
    }
}
