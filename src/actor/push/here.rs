//! The tasks that a thread polls in place.
//!
//! A poll may wake other tasks, whose polls wake others. So that polls are not nested, without a bound, tasks that are woken on a
//! thread that polls one join a list, and are polled after it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;

use crate::sync::thread_local;

/// After this many tasks a thread goes on with its own work, and leaves those that are still listed to their actors.
const POLLS_IN_PLACE: usize = 64;

/// A task of any kind.
pub(super) trait InPlace: Send + Sync {
    fn poll_in_place(self: Arc<Self>);

    /// Leaves it to its actor.
    fn leave_here(self: Arc<Self>);
}

thread_local! {
    static HERE: Here = Here::default();
}

#[derive(Default)]
struct Here {
    /// Whether the thread polls a task.
    polls: Cell<bool>,
    /// Those that were woken meanwhile.
    woken: RefCell<VecDeque<Arc<dyn InPlace>>>,
}

impl Here {
    fn next(&self) -> Option<Arc<dyn InPlace>> {
        self.woken.borrow_mut().pop_front()
    }
}

/// Lists a task, if this thread polls one.
pub(super) fn list(task: impl FnOnce() -> Arc<dyn InPlace>) -> bool {
    let listed = HERE.try_with(|here| {
        let polls = here.polls.get();
        if polls {
            here.woken.borrow_mut().push_back(task());
        }
        polls
    });
    listed.unwrap_or(false)
}

/// Polls a task, and then those that this wakes. `None` on a thread that is ending, which polls none.
pub(super) fn poll<R>(first: impl FnOnce() -> R) -> Option<R> {
    /// Leaves tasks that are still listed to their actors, also after a panic.
    struct End<'a> {
        here: &'a Here,
        polled: bool,
    }

    impl Drop for End<'_> {
        fn drop(&mut self) {
            self.here.polls.set(self.polled);
            std::iter::from_fn(|| self.here.next()).for_each(InPlace::leave_here);
        }
    }

    let polled = HERE.try_with(|here| {
        let _end = End { here, polled: here.polls.replace(true) };
        let result = first();
        for task in std::iter::from_fn(|| here.next()).take(POLLS_IN_PLACE) {
            task.poll_in_place();
        }
        result
    });
    polled.ok()
}
