//! A task that is polled in place: by the thread that wakes it.
//!
//! So a thread that makes a step possible takes the step, and no other thread has to wake up for it. What a thread does not
//! go on with, it leaves to the next thread that wakes the task, or to the actor's [`Backlog`] if that comes first.
//!
//! # No wake is lost
//!
//! Each wake polls the task, unless a thread is `POLLING` it: then it raises `WOKEN`. `POLLING` is lowered in one step with the
//! look that `WOKEN` is not raised, or together with raising `DUE`; and a task that is due is in the backlog. So after each
//! wake there is a poll that begins later, and there is one at a time.
//!
//! # No recursion
//!
//! A poll may wake other tasks. On a thread that polls one, they join a list, and are polled after it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Waker};

use futures::task::{ArcWake, waker, waker_ref};

use crate::lock::lock;
use crate::sync::atomic::AtomicU8;
use crate::sync::atomic::Ordering::SeqCst;
use crate::sync::{AtomicWaker, Mutex, thread, thread_local};

/// What a task does.
pub(crate) trait Work: Send + 'static {
    /// Gives it the waker of its task, once, before the first step.
    fn wake_by(&mut self, waker: Waker);

    /// Takes a step. It runs with the task's mutex held, which otherwise only the actor locks.
    fn step(&mut self, cx: &mut Context<'_>) -> Step;
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It was taken. There may be another one.
    Taken,
    /// It was taken. Another one is for the next thread that wakes the task, or for the actor.
    Enough,
    /// There is none now. The waker is registered.
    Waits,
    /// There will be none.
    Over,
}

/// What became of a task that the actor has polled.
pub(crate) struct Polled<W> {
    /// It took a step.
    pub(crate) moved: bool,
    /// The work, if it is over.
    pub(crate) over: Option<W>,
}

/// A thread polls the task.
const POLLING: u8 = 1;
/// It was woken since that began.
const WOKEN: u8 = 2;
/// It is to be polled, by the next thread that wakes it or by the actor.
const DUE: u8 = 4;
/// It is in the backlog.
const LISTED: u8 = 8;

/// A thread that was to take one step takes at most this many.
const STEPS_IN_PLACE: usize = 32;

pub(crate) struct Task<W> {
    state: AtomicU8,
    /// `None` once it was taken out.
    work: Mutex<Option<W>>,
    backlog: Arc<Backlog<W>>,
}

/// The tasks that the actor is to poll, if no other thread does so before.
pub(crate) struct Backlog<W> {
    /// `None` once the actor is gone.
    tasks: Mutex<Option<VecDeque<Arc<Task<W>>>>>,
    actor: AtomicWaker,
}

impl<W: Work> Task<W> {
    /// Creates a task, and leaves it to the actor.
    pub(crate) fn new(work: W, backlog: &Arc<Backlog<W>>) -> Arc<Self> {
        let (state, work) = (AtomicU8::new(POLLING), Mutex::new(Some(work)));
        let task = Arc::new(Self { state, work, backlog: Arc::clone(backlog) });
        if let Some(work) = &mut *lock(&task.work) {
            work.wake_by(waker(Arc::clone(&task)));
        }
        task.leave_to_actor();
        task
    }

    /// Takes the work out. No step of it follows.
    pub(crate) fn take_work(&self) -> Option<W> {
        lock(&self.work).take()
    }

    /// Takes the work out if it `is_over`.
    pub(crate) fn take_work_if(&self, is_over: impl FnOnce(&mut W) -> bool) -> Option<W> {
        lock(&self.work).take_if(is_over)
    }

    /// Changes the state. Returns the one before.
    fn change(&self, next: impl Fn(u8) -> u8) -> u8 {
        let changed = self.state.fetch_update(SeqCst, SeqCst, |state| Some(next(state)));
        changed.unwrap_or_else(|state| state)
    }

    /// Begins a poll for a wake. Returns `false` if a thread polls the task: that one polls it again.
    fn begin(&self) -> bool {
        let next = |state| if state & POLLING == 0 { state & LISTED | POLLING } else { state | WOKEN };
        self.change(next) & POLLING == 0
    }

    /// Begins the poll of a task that was taken out of the backlog. Returns `false` if another thread saw to it.
    fn begin_listed(&self) -> bool {
        let next = |state| if state & (POLLING | DUE) == DUE { POLLING } else { state & !LISTED };
        self.change(next) & (POLLING | DUE) == DUE
    }

    /// Ends a poll. Returns `false` if the task was woken meanwhile, and is to be polled again.
    fn rest(&self) -> bool {
        let next = |state| if state & WOKEN == 0 { state & !POLLING } else { state & !WOKEN };
        self.change(next) & WOKEN == 0
    }

    /// Ends a poll that another one is to follow.
    fn leave_to_actor(self: &Arc<Self>) {
        let before = self.change(|_| DUE | LISTED);
        if before & LISTED == 0 {
            self.backlog.push(Arc::clone(self));
            self.backlog.actor.wake();
        }
    }

    /// Takes steps until there are none, or as many as the budget has. Returns `false` if the task is over.
    fn poll(self: &Arc<Self>, budget: &mut usize) -> bool {
        let waker = waker_ref(self);
        let mut cx = Context::from_waker(&waker);
        loop {
            let mut moved = false;
            let mut guard = lock(&self.work);
            let Some(work) = &mut *guard else { return true };
            let step = loop {
                if *budget == 0 {
                    break Step::Enough;
                }
                match work.step(&mut cx) {
                    Step::Taken => (moved, *budget) = (true, *budget - 1),
                    step => break step,
                }
            };
            drop(guard);
            match step {
                Step::Waits if self.rest() => return true,
                // It was woken since.
                Step::Waits if moved => {}
                Step::Over => return false,
                // Without a move it wakes itself, to look again once others had their turn.
                Step::Waits | Step::Enough | Step::Taken => {
                    self.leave_to_actor();
                    return true;
                }
            }
        }
    }
}

impl<W: Work> ArcWake for Task<W> {
    fn wake_by_ref(task: &Arc<Self>) {
        // While the thread unwinds, a panic in a step would abort the process.
        if task.begin() && (thread::panicking() || !poll_or_list(task)) {
            task.leave_to_actor();
        }
    }
}

impl<W: Work> Backlog<W> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { tasks: Mutex::new(Some(VecDeque::new())), actor: AtomicWaker::new() })
    }

    /// Wakes this waker when there is a task.
    pub(crate) fn register(&self, waker: &Waker) {
        self.actor.register(waker);
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.tasks).as_ref().map_or(0, VecDeque::len)
    }

    /// Polls the first task that no other thread saw to, for one step, and then those that it wakes.
    pub(crate) fn poll_next(&self) -> Option<Polled<W>> {
        loop {
            let task = lock(&self.tasks).as_mut()?.pop_front()?;
            if !task.begin_listed() {
                continue;
            }
            let (mut moved, mut is_over) = (false, false);
            let polled = HERE.try_with(|here| {
                here.poll(1, |budget| {
                    is_over = !task.poll(budget);
                    moved = *budget == 0;
                });
            });
            if polled.is_err() {
                task.leave_to_actor();
            }
            return Some(Polled { moved, over: if is_over { task.take_work() } else { None } });
        }
    }

    fn push(&self, task: Arc<Task<W>>) {
        if let Some(tasks) = &mut *lock(&self.tasks) {
            tasks.push_back(task);
        }
    }

    /// Forgets the tasks that are listed, and all that come later.
    pub(crate) fn close(&self) {
        let tasks = lock(&self.tasks).take();
        drop(tasks);
    }
}

/// A task of any kind.
trait InPlace: Send + Sync {
    fn poll_in_place(self: Arc<Self>, budget: &mut usize);
}

impl<W: Work> InPlace for Task<W> {
    fn poll_in_place(self: Arc<Self>, budget: &mut usize) {
        if !self.poll(budget) {
            self.leave_to_actor();
        }
    }
}

thread_local! {
    static HERE: Here = Here::default();
}

/// What a thread knows of the tasks that it polls.
#[derive(Default)]
struct Here {
    /// Whether it polls one.
    polls: Cell<bool>,
    /// Those that were woken meanwhile.
    woken: RefCell<VecDeque<Arc<dyn InPlace>>>,
}

impl Here {
    /// Polls a task, and then those that it wakes, for as many steps in all.
    fn poll<R>(&self, mut budget: usize, first: impl FnOnce(&mut usize) -> R) -> R {
        /// After a panic, the tasks that are still listed are left to their actors.
        struct End<'a>(&'a Here, bool);

        impl Drop for End<'_> {
            fn drop(&mut self) {
                let Self(here, polled) = self;
                here.polls.set(*polled);
                here.poll_woken(&mut 0);
            }
        }

        let _end = End(self, self.polls.replace(true));
        let result = first(&mut budget);
        self.poll_woken(&mut budget);
        result
    }

    fn poll_woken(&self, budget: &mut usize) {
        let next = || self.woken.borrow_mut().pop_front();
        while let Some(task) = next() {
            task.poll_in_place(budget);
        }
    }
}

/// Polls a task on this thread: now, or after the one that the thread polls. Returns `false` if the thread is ending.
fn poll_or_list<W: Work>(task: &Arc<Task<W>>) -> bool {
    let polled = HERE.try_with(|here| {
        if here.polls.get() {
            here.woken.borrow_mut().push_back(Arc::clone(task) as Arc<dyn InPlace>);
        } else if !here.poll(STEPS_IN_PLACE, |budget| task.poll(budget)) {
            task.leave_to_actor();
        }
    });
    polled.is_ok()
}
