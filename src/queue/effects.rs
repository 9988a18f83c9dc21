//! What a change under the mutex leaves to do after unlocking: all that runs user code.

use std::cell::RefCell;
use std::mem;
use std::sync::Arc;
use std::task::Waker;

use crate::queue::ids::{QueueId, label};
use crate::queue::lease::dead_letters::DeadLetterQueue;
use crate::queue::report::snapshot::Drained;
use crate::queue::report::units::count;
use crate::sync::thread::Thread;
use crate::sync::thread_local;

/// What remains to do once the mutex is released.
#[must_use]
pub(crate) struct Effects<T> {
    pub(crate) wake: Vec<Waker>,
    pub(crate) discard: Vec<T>,
    /// Dead letters that are dropped unread.
    pub(crate) letters: Vec<Box<T>>,
    pub(crate) close: Option<Arc<dyn DeadLetterQueue<T>>>,
    /// Where readers get dead letters from, if no further reader can be opened.
    pub(crate) let_go: Option<Arc<dyn DeadLetterQueue<T>>>,
    /// The thread that waits for delayed items to be due. None are left, so it can end.
    pub(crate) keeper: Option<Thread>,
    /// The queue, if the discarded items were lost before it ended.
    pub(crate) lost_from: Option<(Option<Arc<str>>, QueueId)>,
    /// The queue, if these letters are dropped.
    pub(crate) letters_from: Option<(Option<Arc<str>>, QueueId)>,
    /// How the queue ended, if this change ended it.
    pub(crate) ended: Option<Drained>,
    /// An error for the log. Loggers are user code, too.
    pub(crate) error: Option<String>,
}

impl<T> Effects<T> {
    pub(crate) fn new() -> Self {
        let (wake, discard, letters) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            wake,
            discard,
            letters,
            close: None,
            let_go: None,
            keeper: None,
            lost_from: None,
            letters_from: None,
            ended: None,
            error: None,
        }
    }

    pub(crate) fn run(self) {
        wake(self.wake);
        if let Some(error) = self.error {
            log::error!("{error}");
        }
        if let Some(drained) = self.ended {
            log_end(&drained, self.discard.len());
        } else if let Some((name, queue)) = self.lost_from {
            log_lost(&label(name.as_deref(), queue), self.discard.len());
        }
        if let Some((name, queue)) = self.letters_from
            && !self.letters.is_empty()
        {
            log::error!(
                "{}: {} dropped unread: the last handle of the queue is gone, which could open dead_letters()",
                label(name.as_deref(), queue),
                count(self.letters.len() as u64, "dead letter")
            );
        }
        self.discard.into_iter().for_each(drop_quietly);
        self.letters.into_iter().for_each(drop_quietly);
        if let Some(keeper) = self.keeper {
            keeper.unpark();
        }
        if let Some(dead_letters) = self.let_go {
            dead_letters.let_go();
        }
        if let Some(dead_letters) = self.close {
            dead_letters.close();
        }
    }
}

fn log_end(drained: &Drained, dropped: usize) {
    let Drained { queue, name, outcome, totals } = drained;
    let label = label(name.as_deref(), *queue);
    if dropped > 0 {
        log::error!("{label}: {outcome:?}; {} dropped: no consumer was left", count(dropped as u64, "item"));
    } else {
        log::debug!("{label}: {outcome:?}, {totals:?}");
    }
}

/// Logs items that were dropped because no consumer can take them any more.
pub(crate) fn log_lost(label: &str, items: usize) {
    if items > 0 {
        log::error!("{label}: {} dropped: no consumer is left", count(items as u64, "item"));
    }
}

/// Wakes the operations that a change under the mutex has picked, now that it is released.
#[inline]
pub(crate) fn wake(wakers: impl IntoIterator<Item = Waker>) {
    wakers.into_iter().for_each(wake_or_collect);
}

thread_local! {
    /// The wakers that this thread collects; `None` while it wakes them at once.
    static COLLECTED: RefCell<Option<Vec<Waker>>> = RefCell::default();
}

#[inline(never)]
fn wake_or_collect(waker: Waker) {
    let mut waker = Some(waker);
    // A thread that ends collects none.
    COLLECTED.try_with(|wakers| wakers.borrow_mut().as_mut().map(|wakers| wakers.extend(waker.take()))).ok();
    if let Some(waker) = waker {
        quietly("the waker of a waiting operation", || waker.wake());
    }
}

/// Calls `call`, and adds the operations that it would wake to `wakers`. The caller wakes them soon.
pub(crate) fn collect_wakers<R>(wakers: &mut Vec<Waker>, call: impl FnOnce() -> R) -> R {
    struct Collecting<'a> {
        wakers: &'a mut Vec<Waker>,
        /// What a call around this one collects.
        outer: Option<Vec<Waker>>,
    }

    impl Drop for Collecting<'_> {
        fn drop(&mut self) {
            let outer = self.outer.take();
            *self.wakers = COLLECTED.try_with(|collected| collected.replace(outer)).ok().flatten().unwrap_or_default();
        }
    }

    let outer = COLLECTED.try_with(|collected| collected.replace(Some(mem::take(wakers)))).ok().flatten();
    let _collecting = Collecting { wakers, outer };
    call()
}

/// Drops a user's item, and catches a panic of its drop.
pub(crate) fn drop_quietly<T>(item: T) {
    quietly("the drop of a discarded item", || drop(item));
}

/// Runs user code and catches its panic. The caller may be a drop, maybe while unwinding, or hold an item.
pub(crate) fn quietly(what: &str, foreign: impl FnOnce()) {
    if let Err(payload) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(foreign)) {
        log::error!("{what} panicked");
        // Its drop is user code, too.
        std::mem::forget(payload);
    }
}
