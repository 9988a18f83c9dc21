//! A line of parked wakers, served in turn.
//!
//! Every operation that waits, of a task or a thread, parks a [`Waker`] here. The rules that make it safe:
//!
//! 1. Each pending operation has one ticket, over all of its polls: one that was woken and found nothing keeps its place.
//! 2. The waiter parks, then looks again; the notifier publishes, then looks for waiters. One of the two sees the other.
//! 3. An operation that leaves gives its ticket up. A ticket that is not listed any more was notified; if its operation
//!    took nothing, it passes the notification on.
//! 4. Wakers are cloned, woken and dropped without a lock, as each of these may run user code that calls this queue.

use std::collections::VecDeque;
use std::mem;
use std::task::Waker;

use crate::queue::ids::ConsumerId;
use crate::sync::LOOKS_BESIDE_NOTIFIED;

/// A pending operation's place in a line, if it has one.
#[derive(Debug, Default)]
pub(crate) struct Ticket(Option<u64>);

impl Ticket {
    pub(super) fn number(&self) -> Option<u64> {
        self.0
    }

    /// Returns whether the operation has parked since it last left.
    #[inline]
    pub(crate) fn is_held(&self) -> bool {
        self.0.is_some()
    }
}

/// A line of parked wakers, first come, first served.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    last: u64,
    /// In the order of their tickets.
    parked: VecDeque<Parked>,
    /// How many operations were notified, and have neither left nor parked again.
    notified: usize,
    /// How many more times the first parked operation looks before it may take what is kept for the notified ones.
    patience: u32,
}

/// Whether an operation may take what is kept for its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It may: it is the first, or was notified.
    Entitled,
    /// It may if those that were notified do not come for it.
    Next,
    /// It may not: others are parked before it.
    Behind,
}

#[derive(Debug)]
struct Parked {
    ticket: u64,
    waker: Waker,
    /// The consumer that waits, if it waits for an item.
    consumer: Option<ConsumerId>,
}

impl Waiters {
    /// Lists `waker` under `ticket`, at its old place if it had one. Returns the waker that it replaces, which the caller
    /// drops after unlocking.
    pub(crate) fn park(&mut self, ticket: &mut Ticket, waker: Waker, consumer: Option<ConsumerId>) -> Option<Waker> {
        let Some(ticket) = ticket.0 else {
            self.last += 1;
            ticket.0 = Some(self.last);
            self.parked.push_back(Parked { ticket: self.last, waker, consumer });
            return None;
        };
        match self.place_of(ticket) {
            Ok(place) => Some(mem::replace(&mut self.parked[place].waker, waker)),
            Err(place) => {
                self.forget_notified();
                self.parked.insert(place, Parked { ticket, waker, consumer });
                None
            }
        }
    }

    /// Finds where a ticket is, or would be.
    fn place_of(&self, ticket: u64) -> Result<usize, usize> {
        self.parked.binary_search_by_key(&ticket, |parked| parked.ticket)
    }

    /// Gives a ticket up. Returns its waker, which the caller drops after unlocking; `None` if it was notified.
    pub(crate) fn leave(&mut self, ticket: &mut Ticket) -> Option<Waker> {
        let Ok(place) = self.place_of(ticket.0.take()?) else {
            self.forget_notified();
            return None;
        };
        self.parked.remove(place).map(|parked| parked.waker)
    }

    /// Takes the first waiter out of the line. The caller wakes it after unlocking.
    pub(crate) fn pop(&mut self) -> Option<Waker> {
        let first = self.parked.pop_front()?;
        self.count_notified(1);
        Some(first.waker)
    }

    /// Takes the first consumer other than this one out of the line.
    pub(crate) fn pop_other(&mut self, than: ConsumerId) -> Option<(ConsumerId, Waker)> {
        let others = |parked: &Parked| parked.consumer.filter(|consumer| *consumer != than);
        let (place, other) =
            self.parked.iter().enumerate().find_map(|(place, parked)| Some((place, others(parked)?)))?;
        let parked = self.parked.remove(place)?;
        self.count_notified(1);
        Some((other, parked.waker))
    }

    /// Takes all waiters out of the line, in turn.
    pub(crate) fn pop_all(&mut self) -> impl Iterator<Item = Waker> + use<> {
        self.count_notified(self.parked.len());
        mem::take(&mut self.parked).into_iter().map(|parked| parked.waker)
    }

    pub(crate) fn len(&self) -> usize {
        self.parked.len()
    }

    /// Returns the consumers that are parked.
    #[cfg(feature = "redis")]
    pub(crate) fn consumers(&self) -> impl Iterator<Item = ConsumerId> {
        self.parked.iter().filter_map(|parked| parked.consumer)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parked.is_empty()
    }

    /// Counts operations that are notified.
    fn count_notified(&mut self, count: usize) {
        self.notified += count;
        self.patience = LOOKS_BESIDE_NOTIFIED;
    }

    /// Uncounts a notified operation, which has left or parked again.
    fn forget_notified(&mut self) {
        self.notified -= 1;
        self.patience = LOOKS_BESIDE_NOTIFIED;
    }

    /// Returns whether this is the first parked operation.
    pub(crate) fn is_at_front(&self, ticket: &Ticket) -> bool {
        self.parked.front().is_some_and(|first| Some(first.ticket) == ticket.0)
    }

    /// Returns whether every notified operation has looked.
    pub(crate) fn none_notified(&self) -> bool {
        self.notified == 0
    }

    /// Returns the standing of a parked operation. Each call uses up patience with those that were notified: one that is
    /// not polled any more must not hold up the others.
    pub(crate) fn standing(&mut self, ticket: &Ticket) -> Standing {
        if !self.is_at_front(ticket) {
            return Standing::Behind;
        }
        if self.notified == 0 || self.patience == 0 {
            return Standing::Entitled;
        }
        self.patience -= 1;
        Standing::Next
    }

    /// Returns whether no operation is parked, and every notified one has looked.
    pub(crate) fn is_idle(&self) -> bool {
        self.parked.is_empty() && self.notified == 0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::{Wake, Waker};

    use super::{Ticket, Waiters};
    use crate::queue::ids::{ConsumerId, QueueId};

    struct Known;

    impl Wake for Known {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn d11_a_woken_loser_keeps_its_place_also_behind_one_who_was_passed_over() {
        let queue = QueueId::next();
        let consumers = [1, 2, 3].map(|number| ConsumerId { queue, number });
        let wakers = [(); 3].map(|()| Waker::from(Arc::new(Known)));
        let mut tickets = [(); 3].map(|()| Ticket::default());
        let mut line = Waiters::default();
        let park = |line: &mut Waiters, tickets: &mut [Ticket; 3], who: usize| {
            line.park(&mut tickets[who], wakers[who].clone(), Some(consumers[who]))
        };
        (0..3).for_each(|who| assert!(park(&mut line, &mut tickets, who).is_none()));
        let (woken, _) = line.pop_other(consumers[0]).unwrap();
        assert_eq!(woken, consumers[1]);
        assert!(park(&mut line, &mut tickets, 1).is_none(), "it was not listed");
        assert!(line.leave(&mut tickets[2]).is_some_and(|waker| waker.will_wake(&wakers[2])));
        for waker in &wakers[..2] {
            assert!(line.pop().is_some_and(|next| next.will_wake(waker)));
        }
        assert!(line.leave(&mut tickets[0]).is_none(), "it was notified");
    }
}
