//! The alarm of delayed items: it rings when the next one is due.
//!
//! A thread keeps the time. It touches no item, so items need not be `Send`: it raises a flag, and the next consumer that
//! takes brings the items back that are due. Of the consumers that wait, one is the *leader*: its waker is here, and the
//! alarm wakes it. When the leader leaves its line it wakes another consumer, which leads from then on. This is the
//! leader-follower pattern, as in Java's [`DelayQueue`].
//!
//! No item is stranded: whenever the queue's mutex is free, an item is delayed, and a consumer is parked, then the alarm has
//! a leader, or a consumer was woken that has not looked yet. That one takes the lead as it parks again (`wait.rs`), or wakes
//! another as it leaves. An item that becomes delayed wakes a consumer if there is no leader (`give_back.rs`).
//!
//! [`DelayQueue`]: https://docs.oracle.com/en/java/javase/21/docs/api/java.base/java/util/concurrent/DelayQueue.html

use std::io;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use crate::lock::lock;
use crate::queue::effects::wake;
use crate::queue::report::clock::{Clock, Ticks};
use crate::sync::atomic::{AtomicBool, Ordering::SeqCst};
use crate::sync::thread::{self, Thread};
use crate::sync::{Mutex, MutexGuard};

#[derive(Debug)]
pub(crate) struct Alarm {
    clock: Clock,
    /// Whether `next` is `Rung`, to be read without a lock.
    rung: AtomicBool,
    /// Locked under the queue's mutex, or alone.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    next: Next,
    /// The leader's ticket and waker.
    leader: Option<(u64, Waker)>,
    keeper: Keeper,
}

#[derive(Debug, Clone, Copy)]
enum Next {
    /// Nothing is delayed.
    Nothing,
    Due(Ticks),
    /// What was due by then is to be brought back.
    Rung(Ticks),
}

/// The thread that keeps the time. It runs while items are delayed.
#[derive(Debug)]
enum Keeper {
    Off,
    /// It was started, and will look at the state soon.
    Starting,
    Sleeping(Thread),
}

/// What the caller does with the thread, after it has unlocked the queue's mutex.
#[must_use]
#[derive(Debug)]
pub(crate) enum KeeperAction {
    Nothing,
    Start,
    Wake(Thread),
}

impl KeeperAction {
    /// Returns the thread to wake; without delayed items none is started.
    pub(crate) fn wakes(self) -> Option<Thread> {
        match self {
            Self::Wake(keeper) => Some(keeper),
            Self::Start | Self::Nothing => None,
        }
    }
}

/// How long the thread sleeps.
pub(crate) enum Sleep {
    For(Duration),
    UntilWoken,
}

impl Alarm {
    pub(crate) fn new(clock: Clock) -> Self {
        let state = State { next: Next::Nothing, leader: None, keeper: Keeper::Off };
        Self { clock, rung: AtomicBool::new(false), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Sets the time at which the first of the delayed items is due; `None` if there are none.
    pub(crate) fn set(&self, first: Option<Ticks>) -> KeeperAction {
        let mut state = self.state();
        let sleeps_on = matches!((state.next, first), (Next::Due(before), Some(due)) if before <= due);
        state.next = first.map_or(Next::Nothing, Next::Due);
        self.rung.store(false, SeqCst);
        match &state.keeper {
            Keeper::Sleeping(thread) if !sleeps_on => KeeperAction::Wake(thread.clone()),
            Keeper::Off if first.is_some() => {
                state.keeper = Keeper::Starting;
                KeeperAction::Start
            }
            Keeper::Off | Keeper::Starting | Keeper::Sleeping(_) => KeeperAction::Nothing,
        }
    }

    /// Returns whether items are due.
    #[inline]
    pub(crate) fn has_rung(&self) -> bool {
        self.rung.load(SeqCst)
    }

    /// Returns up to which time items are due, once it has rung.
    pub(crate) fn rung_at(&self) -> Option<Ticks> {
        match self.state().next {
            Next::Rung(now) => Some(now),
            Next::Nothing | Next::Due(_) => None,
        }
    }

    /// Makes a parked consumer the leader, unless another one is. Returns whether it may sleep: once the alarm has rung it
    /// looks again.
    pub(crate) fn lead(&self, ticket: u64, waker: Waker) -> bool {
        let (may_sleep, dropped) = {
            let mut state = self.state();
            match (state.next, &state.leader) {
                (Next::Rung(_), _) => (false, Some(waker)),
                (_, Some((leader, _))) if *leader != ticket => (true, Some(waker)),
                (Next::Nothing, None) => (true, Some(waker)),
                // Also while nothing is delayed a leader has its present waker here.
                (Next::Nothing, Some(_)) | (Next::Due(_), _) => {
                    (true, state.leader.replace((ticket, waker)).map(|(_, replaced)| replaced))
                }
            }
        };
        drop(dropped); // after unlocking, as its drop is user code
        may_sleep
    }

    pub(crate) fn has_leader(&self) -> bool {
        self.state().leader.is_some()
    }

    /// Takes the waker of the leader if it has this ticket, for the caller to drop after unlocking.
    pub(crate) fn resign(&self, ticket: u64) -> Option<Waker> {
        self.state().leader.take_if(|(leader, _)| *leader == ticket).map(|(_, waker)| waker)
    }

    /// Starts the thread. It needs no runtime, and ends when nothing is delayed any more.
    pub(crate) fn start(self: &Arc<Self>) -> io::Result<()> {
        let alarm = Arc::clone(self);
        let keeper = thread::Builder::new().name("queue-redelivery".to_owned());
        let started = keeper.spawn(move || {
            while let Some(sleep) = alarm.ring_if_due(alarm.clock.exactly_now()) {
                match sleep {
                    Sleep::For(time) => thread::park_timeout(time),
                    Sleep::UntilWoken => thread::park(),
                }
            }
        });
        if started.is_err() {
            self.state().keeper = Keeper::Off;
        }
        started.map(drop)
    }

    /// Rings if an item is due by now. Returns how long this thread may sleep, `None` if it can end.
    pub(crate) fn ring_if_due(&self, now: Ticks) -> Option<Sleep> {
        let leader = {
            let mut state = self.state();
            match state.next {
                Next::Nothing => {
                    state.keeper = Keeper::Off;
                    return None;
                }
                Next::Due(due) if due > now => {
                    state.keeper = Keeper::Sleeping(thread::current());
                    return Some(Sleep::For(due.since(now)));
                }
                Next::Due(_) => {
                    state.next = Next::Rung(now);
                    self.rung.store(true, SeqCst);
                    state.leader.take()
                }
                Next::Rung(_) => {
                    state.keeper = Keeper::Sleeping(thread::current());
                    return Some(Sleep::UntilWoken);
                }
            }
        };
        wake(leader.map(|(_, waker)| waker));
        // It looks at the state once more: a waker that parks this thread may have used up its unpark.
        Some(Sleep::For(Duration::ZERO))
    }
}
