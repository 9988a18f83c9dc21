//! What all handles of one queue share: the data plane beside the control plane.

use std::fmt;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use crossbeam_utils::CachePadded;

use super::buffer::Buffer;
use super::clock::Clock;
use super::dead_letters::DeadLetterQueue;
use super::delayed::Delayed;
use super::effects::wake;
use super::ids::{ConsumerId, QueueId};
use super::lifecycle::Lifecycle;
use super::registry::Registry;
use super::remote::{Elsewhere, Remote};
use super::returned::Returned;
use super::side::Side;
use super::waiters::{Standing, Ticket, Waiters};
use crate::backoff::Backoff;
use crate::sync::atomic::{
    AtomicBool, AtomicU8,
    Ordering::{Relaxed, SeqCst},
};
use crate::sync::{Mutex, MutexGuard};

/// Something was returned: takes look there first.
pub(super) const RETURNED: u8 = 1;
/// The side list holds items: puts and takes go by the lock, to keep their order.
pub(super) const SIDE: u8 = 2;
/// Permits are out: puts leave room for them.
pub(super) const PERMITS: u8 = 4;
/// Sealed and no producer open: settles and takes look whether they were the last.
pub(super) const DRAINING: u8 = 8;
/// Drained or aborted.
pub(super) const ENDED: u8 = 16;
/// Always, if the items are elsewhere.
pub(super) const REMOTE: u8 = 32;

/// The queue behind its handles.
pub(crate) struct Shared<T> {
    pub(crate) id: QueueId,
    pub(crate) name: Option<Arc<str>>,
    pub(crate) max_attempts: u32,
    /// How failed items wait, if they do.
    pub(super) redelivery: Option<Redelivery<T>>,
    pub(crate) clock: Clock,
    pub(super) buffer: Buffer<T>,
    /// Who has the items, if not the buffer.
    pub(super) remote: Option<Arc<dyn Remote<T>>>,
    /// Read on every put and take, written seldom and only under the lock.
    pub(super) flags: CachePadded<AtomicU8>,
    /// Whether the lines of `Control` have anybody in them; written under the lock.
    pub(super) getters_wait: CachePadded<AtomicBool>,
    pub(super) putters_wait: CachePadded<AtomicBool>,
    control: Mutex<Control<T>>,
}

/// All that is decided under the lock. No user code runs while it is held.
pub(crate) struct Control<T> {
    pub(super) life: Lifecycle,
    /// What other processes have done, if there are any.
    pub(super) elsewhere: Elsewhere,
    pub(super) registry: Registry,
    /// Handles that can open endpoints. Once there is none, there never will be.
    pub(super) openers: usize,
    /// Pools that run: each can open consumers at any time.
    pub(super) pools: usize,
    pub(super) returned: Returned<T>,
    pub(super) delayed: Delayed<T>,
    pub(super) side: Side<T>,
    pub(super) permits: usize,
    /// What a shutdown left when there was nobody to take it, for its report.
    pub(super) left: Vec<T>,
    pub(super) getters: Waiters,
    pub(super) putters: Waiters,
    pub(super) watchers: Waiters,
    pub(super) refused: Waiters,
    pub(super) flushers: Waiters,
    pub(super) dead_letters: Option<Arc<dyn DeadLetterQueue<T>>>,
    pub(super) redelivered: u64,
    pub(super) dead_lettered: u64,
    pub(super) discarded: u64,
}

/// What a queue is built from.
pub(crate) struct Config<T> {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) capacity: Option<usize>,
    pub(crate) max_attempts: u32,
    pub(crate) redelivery: Option<Redelivery<T>>,
}

/// How failed items wait.
pub(crate) struct Redelivery<T> {
    pub(crate) backoff: Backoff,
    /// Starts a thread that calls [`Shared::release_due`] in time: nothing in here waits.
    pub(crate) start_timer: fn(&Arc<Shared<T>>),
}

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    /// An item.
    Getters,
    /// Room.
    Putters,
    /// The end.
    Watchers,
    /// That puts are refused.
    Refused,
    /// What was said here is known elsewhere.
    Flushers,
}

/// A pending operation: its line, and its place there once it has parked.
#[derive(Debug)]
pub(crate) struct Place {
    line: Line,
    /// Who waits, if it is for an item.
    consumer: Option<ConsumerId>,
    ticket: Ticket,
    /// Where it stood when it last parked.
    standing: Standing,
}

impl Place {
    pub(crate) fn new(line: Line) -> Self {
        Self { line, consumer: None, ticket: Ticket::default(), standing: Standing::Behind }
    }

    /// Whether the operation has parked since it last left.
    #[inline]
    pub(crate) fn is_in_line(&self) -> bool {
        self.ticket.is_held()
    }

    pub(crate) fn for_items(consumer: ConsumerId) -> Self {
        Self { line: Line::Getters, consumer: Some(consumer), ticket: Ticket::default(), standing: Standing::Behind }
    }
}

/// A pending operation that leaves its line when it is dropped.
#[derive(Debug)]
pub(crate) struct Waiting<'a, T> {
    pub(crate) shared: &'a Shared<T>,
    pub(crate) place: Place,
}

impl<'a, T> Waiting<'a, T> {
    pub(crate) fn new(shared: &'a Shared<T>, line: Line) -> Self {
        Self { shared, place: Place::new(line) }
    }
}

impl<T> Drop for Waiting<'_, T> {
    fn drop(&mut self) {
        self.shared.leave(&mut self.place, false);
    }
}

impl<T> Shared<T> {
    /// With the first of its handles.
    pub(super) fn new(id: QueueId, config: Config<T>, remote: Option<Arc<dyn Remote<T>>>) -> Self {
        let Config { name, capacity, max_attempts, redelivery } = config;
        let flags = if remote.is_some() { REMOTE } else { 0 };
        Self {
            id,
            name,
            max_attempts,
            redelivery,
            clock: Clock::start(),
            buffer: Buffer::new(capacity),
            remote,
            flags: CachePadded::new(AtomicU8::new(flags)),
            getters_wait: CachePadded::default(),
            putters_wait: CachePadded::default(),
            control: Mutex::new(Control {
                life: Lifecycle::default(),
                elsewhere: Elsewhere::default(),
                registry: Registry::new(id),
                openers: 1,
                pools: 0,
                returned: Returned::new(),
                delayed: Delayed::new(),
                side: Side::new(),
                permits: 0,
                left: Vec::new(),
                getters: Waiters::default(),
                putters: Waiters::default(),
                watchers: Waiters::default(),
                refused: Waiters::default(),
                flushers: Waiters::default(),
                dead_letters: None,
                redelivered: 0,
                dead_lettered: 0,
                discarded: 0,
            }),
        }
    }

    /// The lock is never held across user code, so a poisoned one still guards whole data.
    pub(super) fn control(&self) -> MutexGuard<'_, Control<T>> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    pub(super) fn flagged(&self, flags: u8) -> bool {
        self.flags.load(SeqCst) & flags != 0
    }

    pub(super) fn raise(&self, _held: &mut Control<T>, flag: u8) {
        self.flags.fetch_or(flag, SeqCst);
    }

    pub(super) fn lower(&self, _held: &mut Control<T>, flag: u8) {
        self.flags.fetch_and(!flag, SeqCst);
    }

    /// Tries until `attempt` has a result, parking in between; who is not in line yet has tried in vain
    /// just before. `Err` is a result that took nothing: a notification that this operation may hold goes
    /// on to the next in line.
    ///
    /// Park, then try again: whatever is published before the second try is seen by it, and
    /// whoever publishes after it sees the parked waker.
    ///
    /// `attempt` is told whether it has a right to what is kept for the line.
    pub(crate) fn wait<R, E>(
        &self,
        place: &mut Place,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut(bool) -> Option<Result<R, E>>,
    ) -> Poll<Result<R, E>> {
        let mut result = if place.is_in_line() { attempt(false) } else { None };
        if result.is_none() {
            self.park(place, cx.waker().clone());
            result = attempt(place.standing == Standing::Entitled);
        }
        match result {
            None => {
                // What is promised to another, or kept for it, is to be had if that one does not come for it.
                let looks_again = match place.line {
                    Line::Getters => self.flagged(RETURNED),
                    Line::Putters => place.standing == Standing::Next && self.has_only_kept_room(),
                    Line::Watchers | Line::Refused | Line::Flushers => false,
                };
                if looks_again {
                    cx.waker().wake_by_ref();
                }
                Poll::Pending
            }
            Some(result) => {
                self.leave(place, result.is_ok());
                Poll::Ready(result)
            }
        }
    }

    fn park(&self, place: &mut Place, waker: Waker) {
        let replaced = {
            let mut control = self.control();
            let was_in_line = place.is_in_line();
            if place.line == Line::Putters && !was_in_line {
                self.buffer.begin_line();
            }
            let replaced = control.line(place.line).park(&mut place.ticket, waker, place.consumer);
            let notified = was_in_line && replaced.is_none();
            if notified {
                control.returned.end_promise(place.consumer);
            }
            self.flag_waiters(&control);
            place.standing = match notified {
                true => Standing::Entitled,
                false => control.line(place.line).standing(&place.ticket),
            };
            replaced
        };
        drop(replaced);
        match place.line {
            Line::Getters => self.buffer.meet_producers(),
            Line::Putters => self.buffer.meet_consumers(),
            // The end comes under the lock that was had, and so do those who tell of what is known elsewhere.
            Line::Watchers | Line::Refused | Line::Flushers => {}
        }
    }

    /// Gives up a place. A notification that the operation holds goes on to the next in line if
    /// the operation took nothing, and also if it `took` but there is more to take: what it took
    /// need not be what it was notified of.
    ///
    /// The push (or pop) behind a notification comes before it, so under the lock its item (or
    /// room) is either seen here or was taken by somebody.
    #[inline]
    pub(crate) fn leave(&self, place: &mut Place, took: bool) {
        if place.is_in_line() {
            self.leave_line(place, took);
        }
    }

    fn leave_line(&self, place: &mut Place, took: bool) {
        let (listed, next) = {
            let mut control = self.control();
            let line = control.line(place.line);
            let at_front = line.is_at_front(&place.ticket);
            let first = at_front && line.nobody_is_notified();
            let listed = control.line(place.line).leave(&mut place.ticket);
            let notified = listed.is_none();
            if notified {
                control.returned.end_promise(place.consumer);
            }
            // The next one may sleep beside a place that is kept for others.
            let was_next = place.line == Line::Putters && at_front && !took && self.has_room(&control, true);
            let pass_on = was_next || (notified && (!took || self.has_more(&control, place.line)));
            let next = if pass_on { control.line(place.line).pop() } else { None };
            if place.line == Line::Putters {
                if control.putters.is_idle() {
                    self.buffer.end_line();
                } else if took && (place.standing == Standing::Entitled || first || notified) {
                    self.buffer.move_line();
                }
            }
            self.flag_waiters(&control);
            (listed, next)
        };
        drop(listed);
        wake(next);
    }

    /// Whether there is room, and all of it is kept for the line.
    fn has_only_kept_room(&self) -> bool {
        let control = self.control();
        self.has_room(&control, true) && !self.has_room(&control, false)
    }

    fn has_more(&self, control: &Control<T>, line: Line) -> bool {
        match line {
            Line::Getters => match self.remote() {
                Some(remote) => remote.has_fetched(),
                None => self.buffered(control) > control.delayed.len(),
            },
            Line::Putters => self.has_room(control, true),
            // All of them are woken at once.
            Line::Watchers | Line::Refused | Line::Flushers => false,
        }
    }

    /// Takes the first of a line, to be woken after unlocking.
    pub(super) fn notify(&self, control: &mut Control<T>, line: Line) -> Option<Waker> {
        let waker = control.line(line).pop();
        self.flag_waiters(control);
        waker
    }

    /// The same, with the lock taken just for that.
    pub(super) fn notify_next(&self, line: Line) -> Option<Waker> {
        let mut control = self.control();
        self.notify(&mut control, line)
    }

    /// Takes whom an item is for that `giver` gave back: another consumer, if one waits.
    ///
    /// The item is promised to that one. What ends a promise is in `Returned`.
    pub(super) fn notify_of_return(&self, control: &mut Control<T>, giver: ConsumerId) -> Option<Waker> {
        let waker = match control.getters.pop_other(giver) {
            Some((other, waker)) => {
                control.returned.promise(other);
                Some(waker)
            }
            None => control.getters.pop(),
        };
        self.flag_waiters(control);
        waker
    }

    pub(super) fn flag_waiters(&self, control: &Control<T>) {
        for (flag, waiters) in [(&self.getters_wait, &control.getters), (&self.putters_wait, &control.putters)] {
            let waiting = !waiters.is_empty();
            if flag.load(Relaxed) != waiting {
                flag.store(waiting, SeqCst);
            }
        }
    }
}

impl<T> Control<T> {
    pub(super) fn line(&mut self, line: Line) -> &mut Waiters {
        match line {
            Line::Getters => &mut self.getters,
            Line::Putters => &mut self.putters,
            Line::Watchers => &mut self.watchers,
            Line::Refused => &mut self.refused,
            Line::Flushers => &mut self.flushers,
        }
    }
}

impl<T> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::task::{Context, Poll, Wake, Waker};

    use super::Place;
    use crate::queue::{IterableQueue, Take, Taken};

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    /// The first getter parks while an older item arrives unannounced, and takes that one. The
    /// item that it is then notified of must not be left to nobody.
    #[test]
    fn d6_a_getter_that_took_something_older_passes_its_notification_on() {
        let queue = IterableQueue::unbounded();
        let producer = queue.producer().unwrap();
        let (first, second) = (queue.consumer().unwrap(), queue.consumer().unwrap());
        let (shared, mut first_place, mut second_place) =
            (queue.shared(), Place::for_items(first.id()), Place::for_items(second.id()));
        let woken = Arc::new(Count::default());
        let second_waker = Waker::from(Arc::clone(&woken));

        // The put comes before this getter is listed.
        producer.try_put("older").unwrap();
        let took = shared.wait(&mut first_place, &mut Context::from_waker(Waker::noop()), |_| {
            let mut taken = Taken::nothing();
            shared.try_take(&first.slot().row, Take::Own, &mut taken).unwrap();
            // Before it leaves the line, the second getter parks behind it, and another item comes.
            let parked = shared.wait(&mut second_place, &mut Context::from_waker(&second_waker), |_| {
                shared.try_take(&second.slot().row, Take::Own, &mut Taken::nothing()).ok().map(Ok::<_, ()>)
            });
            assert!(parked.is_pending());
            producer.try_put("newer").unwrap();
            Some(Ok::<_, ()>(taken.item))
        });

        assert_eq!(took, Poll::Ready(Ok(Some("older"))));
        assert_eq!(woken.0.load(SeqCst), 1, "an item is there, and the one who waits for it sleeps");
    }
}
