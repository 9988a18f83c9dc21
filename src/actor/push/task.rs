//! A task that is polled in place: by the thread that wakes it.
//!
//! So a thread that makes a step possible takes the step, and no other thread has to wake up for it. What a thread must not
//! go on with, it leaves to the actor's [`Backlog`].
//!
//! # No wake is lost
//!
//! The thread that raises `BUSY` has to see to a poll: it polls the task, lists it to be polled next, or leaves it to the
//! actor. A wake that finds it raised raises `WOKEN`. `BUSY` is lowered in one step with the look that `WOKEN` is not raised.
//! So after each wake there is a poll that begins later, and there is one at a time.
//!
//! # No recursion
//!
//! A poll may wake other tasks. On a thread that polls one, they join a list, and are polled after it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Waker};

use futures::task::{ArcWake, waker_ref};

use crate::lock::lock;
use crate::sync::atomic::AtomicU8;
use crate::sync::atomic::Ordering::SeqCst;
use crate::sync::{AtomicWaker, Mutex, thread, thread_local};

/// What a task does.
pub(crate) trait Work: Send + 'static {
    /// Takes a step. It runs with the task's mutex held, which otherwise only the actor locks.
    fn step(&mut self, cx: &mut Context<'_>) -> Step;
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It was taken. There may be another one.
    Taken,
    /// There is none now. The waker is registered.
    Waits,
    /// There will be none.
    Over,
}

/// What became of a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Polled {
    /// The task waits to be woken.
    Waits,
    /// It is to be polled again, by the actor. Maybe it has `moved`.
    Again { moved: bool },
    /// The actor is to forget it.
    Over,
}

/// The task will be polled, or is.
const BUSY: u8 = 1;
/// It was woken since.
const WOKEN: u8 = 2;

/// A thread that was to take one step takes at most this many.
const STEPS_IN_PLACE: usize = 32;

pub(crate) struct Task<W> {
    state: AtomicU8,
    /// `None` once it was taken out.
    work: Mutex<Option<W>>,
    backlog: Arc<Backlog<W>>,
}

/// The tasks that the actor is to poll.
pub(crate) struct Backlog<W> {
    /// `None` once the actor is gone.
    tasks: Mutex<Option<VecDeque<Arc<Task<W>>>>>,
    actor: AtomicWaker,
}

impl<W: Work> Task<W> {
    /// Creates a task, and leaves it to the actor.
    pub(crate) fn new(work: W, backlog: &Arc<Backlog<W>>) -> Arc<Self> {
        let task =
            Arc::new(Self { state: AtomicU8::new(BUSY), work: Mutex::new(Some(work)), backlog: Arc::clone(backlog) });
        Arc::clone(&task).leave_to_actor();
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

    /// Returns whether the caller has to see to a poll.
    fn begin(&self) -> bool {
        self.state.compare_exchange(0, BUSY, SeqCst, SeqCst).is_ok()
            || self.state.fetch_or(BUSY | WOKEN, SeqCst) & BUSY == 0
    }

    /// Ends a poll. Returns `false` if the task was woken meanwhile, and is to be polled again.
    fn rest(&self) -> bool {
        let rests = self.state.compare_exchange(BUSY, 0, SeqCst, SeqCst).is_ok();
        if !rests {
            self.state.fetch_and(!WOKEN, SeqCst);
        }
        rests
    }

    /// Takes steps until there are none, or as many as the budget has.
    fn poll(self: &Arc<Self>, budget: &mut usize) -> Polled {
        let waker = waker_ref(self);
        let mut cx = Context::from_waker(&waker);
        loop {
            let mut moved = false;
            {
                let mut work = lock(&self.work);
                let Some(work) = &mut *work else { return Polled::Waits };
                loop {
                    if *budget == 0 {
                        return Polled::Again { moved };
                    }
                    match work.step(&mut cx) {
                        Step::Taken => (moved, *budget) = (true, *budget - 1),
                        Step::Waits => break,
                        Step::Over => return Polled::Over,
                    }
                }
            }
            if self.rest() {
                return Polled::Waits;
            }
            if !moved {
                // It wakes itself, to look again after others had their turn.
                return Polled::Again { moved };
            }
        }
    }
}

impl<W: Work> ArcWake for Task<W> {
    fn wake_by_ref(task: &Arc<Self>) {
        if !task.begin() {
            return;
        }
        // While the thread unwinds, a panic in a step would abort the process.
        if thread::panicking() || !poll_or_list(task) {
            Arc::clone(task).leave_to_actor();
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

    /// Polls the first task, for one step, and those that it wakes. The caller gives it back if it is to be polled again.
    pub(crate) fn poll_first(&self) -> Option<(Arc<Task<W>>, Polled)> {
        let task = lock(&self.tasks).as_mut()?.pop_front()?;
        task.state.fetch_and(!WOKEN, SeqCst);
        let polled = poll_here(1, |budget| task.poll(budget));
        Some((task, polled))
    }

    /// Lists a task that is to be polled.
    pub(crate) fn push(&self, task: Arc<Task<W>>) {
        if let Some(tasks) = &mut *lock(&self.tasks) {
            tasks.push_back(task);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.tasks).as_ref().is_none_or(VecDeque::is_empty)
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
    fn leave_to_actor(self: Arc<Self>);
}

impl<W: Work> InPlace for Task<W> {
    fn poll_in_place(self: Arc<Self>, budget: &mut usize) {
        if self.poll(budget) != Polled::Waits {
            self.leave_to_actor();
        }
    }

    fn leave_to_actor(self: Arc<Self>) {
        let backlog = Arc::clone(&self.backlog);
        backlog.push(self);
        backlog.actor.wake();
    }
}

type List = VecDeque<Arc<dyn InPlace>>;

thread_local! {
    /// The tasks that were woken while this thread polls one; `None` while it polls none.
    static LIST: RefCell<Option<List>> = const { RefCell::new(None) };
}

/// Ends the list. Tasks that are still there, because a poll panicked, are left to their actors.
struct EndOfList;

impl Drop for EndOfList {
    fn drop(&mut self) {
        let list = LIST.try_with(|list| list.borrow_mut().take()).ok().flatten();
        list.into_iter().flatten().for_each(InPlace::leave_to_actor);
    }
}

/// Polls a task, and then those that were woken on this thread meanwhile, for as many steps in all.
fn poll_here(mut budget: usize, first: impl FnOnce(&mut usize) -> Polled) -> Polled {
    // A thread that ends has no list any more. What is woken there is left to the actor.
    LIST.try_with(|list| *list.borrow_mut() = Some(List::new())).ok();
    let _end = EndOfList;
    let polled = first(&mut budget);
    let next = || LIST.try_with(|list| list.borrow_mut().as_mut()?.pop_front()).ok().flatten();
    while let Some(task) = next() {
        task.poll_in_place(&mut budget);
    }
    polled
}

/// Polls a task on this thread: now, or after the one that the thread polls. Returns `false` if the thread is ending.
fn poll_or_list<W: Work>(task: &Arc<Task<W>>) -> bool {
    let listed = LIST.try_with(|list| {
        let mut list = list.borrow_mut();
        list.as_mut().map(|list| list.push_back(Arc::clone(task) as Arc<dyn InPlace>)).is_some()
    });
    if listed == Ok(false) {
        let polled = poll_here(STEPS_IN_PLACE, |budget| task.poll(budget));
        if polled != Polled::Waits {
            Arc::clone(task).leave_to_actor();
        }
    }
    listed.is_ok()
}
