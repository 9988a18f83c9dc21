//! A task that is polled in place: by the thread that wakes it.
//!
//! So a thread that makes a step possible takes the step, and no other thread has to wake up for it. What a thread does not
//! go on with, it leaves to the next thread that wakes the task, or to the actor's [`Backlog`] if that comes first.
//!
//! # No wake is lost
//!
//! Each wake polls the task, unless a thread is `POLLING` it: then it raises `WOKEN`. `POLLING` is lowered in one step with the
//! look that `WOKEN` is not raised, or together with raising `DUE`; and a task that is due is in the backlog. A paused task is due,
//! so a wake during a pause may leave it alone. So after each wake there is a poll that begins later, and there is one at a time:
//! each begins with a change of the state that only one thread can make.
//!
//! # Turns
//!
//! An actor reads its mailbox until that is empty. If each settle in a handler put the next item into it, the actor's timers,
//! and all else on its arbiter, would never get their turn (D11). So when the work asks for it, the task is `PAUSED`: the next step
//! is taken by the arbiter of the settling thread, which comes to that after the actor has come to rest, or by the queue's actor, if
//! that arbiter is busy with something else.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Waker};

use futures::task::{ArcWake, waker, waker_ref};

use super::here::{self, InPlace};
use crate::arbiter;
use crate::lock::lock;
use crate::sync::atomic::Ordering::{Relaxed, SeqCst};
use crate::sync::atomic::{AtomicBool, AtomicU8};
use crate::sync::{AtomicWaker, Mutex, thread};

/// What a task does.
pub(crate) trait Work: Send + 'static {
    /// Gives it the waker of its task, once, before the first step.
    fn wake_by(&mut self, waker: Waker);

    /// Takes a step. It runs with the task's mutex held, which otherwise only the actor locks.
    fn step(&mut self, cx: &mut Context<'_>) -> Step;

    /// Returns whether other tasks should get their turn before the next step. Asked after each step, and true once.
    fn wants_pause(&mut self) -> bool;
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It was taken. There may be another one.
    Taken,
    /// It was taken. There is no other one until the task is woken.
    TakenLast,
    /// There is none until the task is woken.
    Waits,
    /// There will be none.
    Over,
}

/// What became of a task that the actor has polled.
pub(crate) enum Polled<W> {
    Moved,
    Waits,
    /// The work, unless it was taken out before.
    Over(Option<W>),
}

/// A thread polls the task.
const POLLING: u8 = 1;
/// It was woken since that began.
const WOKEN: u8 = 2;
/// It is to be polled, by the next thread that wakes it or by the actor.
const DUE: u8 = 4;
/// It is in the backlog.
const LISTED: u8 = 8;
/// It is due, and wakes do not poll it: the arbiter of the thread that paused it does, or the actor.
const PAUSED: u8 = 16;

/// A poll takes at most this many steps.
const STEPS_PER_POLL: usize = 64;

pub(crate) struct Task<W> {
    state: AtomicU8,
    /// It is to be paused before the next step. Changed by the thread that polls it alone.
    wants_pause: AtomicBool,
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
        let (state, wants_pause, work) = (AtomicU8::new(POLLING), AtomicBool::new(false), Mutex::new(Some(work)));
        let task = Arc::new(Self { state, wants_pause, work, backlog: Arc::clone(backlog) });
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

    /// Begins a poll for a wake. Returns `false` if a thread polls the task, which then polls it again, or if it is paused.
    fn begin(&self) -> bool {
        let next = |state| match state & (POLLING | PAUSED) {
            0 => state & LISTED | POLLING,
            POLLING => state | WOKEN,
            _ => state,
        };
        self.change(next) & (POLLING | PAUSED) == 0
    }

    /// Pauses a task that this thread has begun to poll, if it wants that. Returns whether it did.
    fn pause(self: &Arc<Self>) -> bool {
        let pauses = self.wants_pause.load(Relaxed);
        if pauses {
            self.wants_pause.store(false, Relaxed);
            self.leave(PAUSED);
            let task = Arc::clone(self);
            if let Err(call) = arbiter::call_later(move || task.end_pause()) {
                // There is no actor on this thread that waits for its turn.
                call();
            }
        }
        pauses
    }

    /// Goes on after a pause, unless the actor has done so before.
    fn end_pause(self: &Arc<Self>) {
        let next = |state| if state & PAUSED == 0 { state } else { state & LISTED | POLLING };
        if self.change(next) & PAUSED != 0 {
            // What the consumer had in hand before the pause is settled by now.
            poll_or_list(self, STEPS_PER_POLL);
        }
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
        self.leave(0);
    }

    fn leave(self: &Arc<Self>, paused: u8) {
        let before = self.change(|_| DUE | LISTED | paused);
        if before & LISTED == 0 {
            self.backlog.push(Arc::clone(self));
            self.backlog.actor.wake();
        }
    }

    /// Takes a step, or as many as are asked for, and further ones if the task was woken meanwhile. Returns the last.
    fn poll(self: &Arc<Self>, mut steps: usize) -> Step {
        let waker = waker_ref(self);
        let mut cx = Context::from_waker(&waker);
        let _unless_it_panics = LeaveOnPanic(self);
        for _ in 0..STEPS_PER_POLL {
            let step = lock(&self.work).as_mut().map(|work| {
                let step = work.step(&mut cx);
                if work.wants_pause() {
                    self.wants_pause.store(true, Relaxed);
                }
                step
            });
            match step {
                // It was taken out, so nobody is to poll it again.
                None => return Step::Waits,
                Some(Step::Over) => return Step::Over,
                Some(step @ (Step::TakenLast | Step::Waits)) if self.rest() => return step,
                Some(Step::TakenLast) => {}
                Some(Step::Taken) if steps > 1 => steps -= 1,
                // A task that waits and was woken has woken itself, to look again once others had their turn.
                Some(step @ (Step::Taken | Step::Waits)) => {
                    self.leave_to_actor();
                    return step;
                }
            }
        }
        self.leave_to_actor();
        Step::Taken
    }
}

impl<W: Work> ArcWake for Task<W> {
    fn wake_by_ref(task: &Arc<Self>) {
        if !task.begin() {
            return;
        }
        // While the thread unwinds, a panic in a step would abort the process.
        if thread::panicking() {
            task.leave_to_actor();
        } else if !task.pause() {
            poll_or_list(task, 1);
        }
    }
}

/// Leaves a task to the actor if its poll panics: mailboxes of users' own contexts may do that.
struct LeaveOnPanic<'a, W: Work>(&'a Arc<Task<W>>);

impl<W: Work> Drop for LeaveOnPanic<'_, W> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.leave_to_actor();
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

    /// Polls the first task that no other thread saw to, and then those that it wakes.
    pub(crate) fn poll_next(&self) -> Option<Polled<W>> {
        loop {
            let task = lock(&self.tasks).as_mut()?.pop_front()?;
            if task.begin_listed() {
                return Some(match here::poll(|| task.poll(1)) {
                    Some(Step::Taken | Step::TakenLast) => Polled::Moved,
                    Some(Step::Waits) => Polled::Waits,
                    Some(Step::Over) => Polled::Over(task.take_work()),
                    None => {
                        // The actor's thread is ending.
                        task.leave_to_actor();
                        Polled::Waits
                    }
                });
            }
        }
    }

    fn push(&self, task: Arc<Task<W>>) {
        if let Some(tasks) = &mut *lock(&self.tasks) {
            tasks.push_back(task);
        }
    }

    /// Forgets the tasks that are listed.
    pub(crate) fn clear(&self) {
        let tasks = lock(&self.tasks).as_mut().map(std::mem::take);
        drop(tasks);
    }

    /// Forgets the tasks that are listed, and all that come later.
    pub(crate) fn close(&self) {
        let tasks = lock(&self.tasks).take();
        drop(tasks);
    }
}

impl<W: Work> InPlace for Task<W> {
    fn poll_in_place(self: Arc<Self>) {
        if self.poll(1) == Step::Over {
            self.leave_to_actor();
        }
    }

    fn leave_here(self: Arc<Self>) {
        self.leave_to_actor();
    }
}

/// Polls a task on this thread: now, or after the one that the thread polls.
fn poll_or_list<W: Work>(task: &Arc<Task<W>>, steps: usize) {
    let listed = here::list(|| Arc::clone(task) as Arc<dyn InPlace>);
    if !listed && here::poll(|| task.poll(steps)).is_none_or(|step| step == Step::Over) {
        task.leave_to_actor();
    }
}
