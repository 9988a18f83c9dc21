//! How operations wait, and how they are woken.

use std::task::{Context, Poll, Waker};

use super::lines::{Line, Place};
use super::waiters::Standing;
use crate::queue::effects::wake;
use crate::queue::flags::{DELAYED, RETURNED};
use crate::queue::ids::ConsumerId;
use crate::queue::shared::{Control, Shared};
use crate::sync::atomic::Ordering::{Relaxed, SeqCst};

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
    /// Polls until `attempt` has a result, and parks in between. An operation that is not in the line yet has just tried
    /// without a result. `Err` is a result that took nothing: a notification that this operation holds goes on to the next
    /// in line.
    ///
    /// It parks, then tries again: the second try sees what was published before it, and a thread that publishes later
    /// sees the parked waker.
    ///
    /// `attempt` is told whether it is entitled to what is kept for the line.
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
                // What is promised to another operation, or kept for it, goes to this one if the other does not come.
                let looks_again = match place.line {
                    Line::Getters => self.flags.any(RETURNED) || !self.may_sleep(place, cx),
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

    /// Sees to it that a parked consumer is woken when a delayed item is due. Returns `false` if one is due already.
    fn may_sleep(&self, place: &mut Place, cx: &Context<'_>) -> bool {
        let may_lead = place.may_lead || self.flags.any(DELAYED);
        let Some(ticket) = place.ticket.number().filter(|_| may_lead) else { return true };
        place.may_lead = true;
        self.alarm.lead(ticket, cx.waker().clone())
    }

    fn park(&self, place: &mut Place, waker: Waker) {
        let replaced = {
            let mut control = self.control();
            let was_in_line = place.is_in_line();
            if place.line == Line::Putters && !was_in_line {
                self.store.begin_line();
            }
            let line = control.lines.of(place.line);
            let replaced = line.park(&mut place.ticket, waker, place.consumer);
            let notified = was_in_line && replaced.is_none();
            place.standing = if notified { Standing::Entitled } else { line.standing(&place.ticket) };
            if notified {
                control.returned.end_promise(place.consumer);
            }
            self.flag_waiters(&control);
            replaced
        };
        drop(replaced);
        match place.line {
            Line::Getters => self.store.sync_with_producers(),
            Line::Putters => self.store.sync_with_consumers(),
            // What these wait for is set under the mutex just released, or before its line is woken under it.
            Line::Watchers | Line::Refused | Line::Flushers => {}
        }
    }

    /// Gives up a place. A notification that the operation holds goes on to the next in line if the operation took nothing,
    /// and also if it `took` and there is more: what it took need not be what it was notified of.
    ///
    /// A push (or pop) comes before its notification, so its item (or room) is either seen here, with the mutex held, or
    /// was taken by another operation.
    #[inline]
    pub(crate) fn leave(&self, place: &mut Place, took: bool) {
        if place.is_in_line() {
            self.leave_line(place, took);
        }
    }

    fn leave_line(&self, place: &mut Place, took: bool) {
        let (listed, leads, next) = {
            let mut control = self.control();
            let leads = self.resign(place);
            let line = control.lines.of(place.line);
            let at_front = line.is_at_front(&place.ticket);
            let first = at_front && line.none_notified();
            let listed = line.leave(&mut place.ticket);
            let notified = listed.is_none();
            if notified {
                control.returned.end_promise(place.consumer);
            }
            // The next one must not sleep beside a kept place that this one leaves.
            let was_next = place.line == Line::Putters && at_front && !took && self.has_room(&control, true);
            let lead_is_free = place.line == Line::Getters && self.flags.any(DELAYED) && !self.alarm.has_leader();
            let pass_on = was_next || lead_is_free || (notified && (!took || self.has_more(&control, place.line)));
            let next = if pass_on { control.lines.of(place.line).pop() } else { None };
            if place.line == Line::Putters {
                if control.lines.putters.is_idle() {
                    self.store.end_line();
                } else if took && (place.standing == Standing::Entitled || first || notified) {
                    self.store.move_line();
                }
            }
            self.flag_waiters(&control);
            (listed, leads, next)
        };
        drop((listed, leads));
        wake(next);
    }

    /// Gives up the lead if this operation has it. The caller drops the waker after unlocking.
    fn resign(&self, place: &mut Place) -> Option<Waker> {
        let may_lead = std::mem::take(&mut place.may_lead);
        place.ticket.number().filter(|_| may_lead).and_then(|ticket| self.alarm.resign(ticket))
    }

    /// Returns whether there is room, and all of it is kept for the line.
    fn has_only_kept_room(&self) -> bool {
        let control = self.control();
        self.has_room(&control, true) && !self.has_room(&control, false)
    }

    fn has_more(&self, control: &Control<T>, line: Line) -> bool {
        match line {
            Line::Getters => self.has_items(control),
            Line::Putters => self.has_room(control, true),
            // These are always woken all at once.
            Line::Watchers | Line::Refused | Line::Flushers => false,
        }
    }

    /// Picks the first waiter of a line. The caller wakes it after unlocking.
    pub(crate) fn notify(&self, control: &mut Control<T>, line: Line) -> Option<Waker> {
        let waker = control.lines.of(line).pop();
        self.flag_waiters(control);
        waker
    }

    /// Locks the mutex and picks the first waiter of a line. The caller wakes it.
    pub(crate) fn notify_next(&self, line: Line) -> Option<Waker> {
        let mut control = self.control();
        self.notify(&mut control, line)
    }

    /// Wakes all waiters of a line, after what they look at has changed.
    pub(crate) fn notify_all(&self, line: Line) {
        let wakers: Vec<_> = self.control().lines.of(line).pop_all().collect();
        wake(wakers);
    }

    /// Picks a waiter for an item that `giver` returned: another consumer, if one waits. The item is promised to that one;
    /// `Returned` says how a promise ends.
    pub(crate) fn notify_of_return(&self, control: &mut Control<T>, giver: ConsumerId) -> Option<Waker> {
        let (other, waker) = self.pick_getter(control, giver);
        if let Some(other) = other {
            control.returned.promise(other);
        }
        waker
    }

    /// Picks a waiter to take the lead, as an item of `giver` became delayed: another consumer, if one waits.
    pub(crate) fn notify_of_delay(&self, control: &mut Control<T>, giver: ConsumerId) -> Option<Waker> {
        if self.alarm.has_leader() { None } else { self.pick_getter(control, giver).1 }
    }

    fn pick_getter(&self, control: &mut Control<T>, giver: ConsumerId) -> (Option<ConsumerId>, Option<Waker>) {
        let getters = &mut control.lines.getters;
        let (other, waker) = getters.pop_other(giver).map_or((None, None), |(other, waker)| (Some(other), Some(waker)));
        let waker = waker.or_else(|| getters.pop());
        self.flag_waiters(control);
        (other, waker)
    }

    /// Updates the flags that say whether operations wait.
    pub(crate) fn flag_waiters(&self, control: &Control<T>) {
        let lines = &control.lines;
        for (flag, waiters) in [(&self.getters_wait, &lines.getters), (&self.putters_wait, &lines.putters)] {
            let waiting = !waiters.is_empty();
            if flag.load(Relaxed) != waiting {
                flag.store(waiting, SeqCst);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::task::{Context, Poll, Wake, Waker};
    use std::time::Duration;

    use crate::queue::report::clock::Ticks;
    use crate::queue::waiting::lines::Place;
    use crate::queue::{IterableQueue, Take, Taken};

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    /// The first getter parks while an older item arrives without a notification, and takes that one. The item that it is
    /// then notified of must not be stranded.
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
        assert_eq!(woken.0.load(SeqCst), 1, "an item is there, and the getter that waits for it sleeps");
    }

    /// As after a thread that could not be started, all items come back at once while a consumer leads.
    #[test]
    fn d6_a_leader_that_is_polled_while_nothing_is_delayed_is_woken_by_its_last_waker() {
        let queue = IterableQueue::unbounded();
        let [mut giver, mut leader, mut third] = [(); 3].map(|()| queue.consumer().unwrap());
        (0..2).for_each(|n| queue.producer().unwrap().try_put(n).unwrap());
        let hours = Duration::from_secs(7200);
        let items = [giver.try_lease().unwrap(), giver.try_lease().unwrap()];
        let (early, late) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let [first, second] = [&early, &late].map(|count| Waker::from(Arc::clone(count)));
        let mut lease = Box::pin(leader.lease());
        let [one, other] = items;
        one.retry_after(hours, "busy");
        assert!(lease.as_mut().poll(&mut Context::from_waker(&first)).is_pending());
        let shared = queue.shared();
        shared.release(Ticks::MAX);
        third.try_lease().unwrap().ack();
        assert!(lease.as_mut().poll(&mut Context::from_waker(&second)).is_pending());
        let before = late.0.load(SeqCst);
        other.retry_after(hours, "busy");
        assert!(shared.alarm.ring_if_due(Ticks::MAX).is_some());
        assert_eq!(late.0.load(SeqCst), before + 1);
        assert!(matches!(lease.as_mut().poll(&mut Context::from_waker(&second)), Poll::Ready(Some(_))));
    }
}
