//! Parked wakers, served in turn.
//!
//! Everything that waits, task or thread, parks a [`Waker`] here. The rules that make it safe:
//!
//! 1. One ticket for each pending operation, kept over its polls: a woken loser keeps its place.
//! 2. The waiter parks, then looks again; the notifier publishes, then looks for waiters. One of
//!    the two sees the other.
//! 3. Whoever leaves removes its ticket. A ticket that is no longer listed was notified; if its
//!    owner took nothing, it passes the notification on.
//! 4. Wakers are cloned, woken and dropped outside of any lock, because each of these may run
//!    foreign code that comes back to this queue.

use std::collections::BTreeMap;
use std::task::Waker;

use super::ids::ConsumerId;

/// A pending operation's place in a line, if it has one.
#[derive(Debug, Default)]
pub(crate) struct Ticket(Option<u64>);

impl Ticket {
    /// Whether the operation has parked since it last left.
    #[inline]
    pub(crate) fn is_held(&self) -> bool {
        self.0.is_some()
    }
}

/// A line of parked wakers, first come, first served.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    next: u64,
    parked: BTreeMap<u64, Parked>,
}

#[derive(Debug)]
struct Parked {
    waker: Waker,
    /// Who waits, if it waits for an item.
    consumer: Option<ConsumerId>,
}

impl Waiters {
    /// Lists `waker` under `ticket`, at its old place if it had one. The replaced waker comes
    /// back, to be dropped outside of the lock.
    pub(crate) fn park(&mut self, ticket: &mut Ticket, waker: Waker, consumer: Option<ConsumerId>) -> Option<Waker> {
        let number = *ticket.0.get_or_insert_with(|| {
            self.next += 1;
            self.next
        });
        self.parked.insert(number, Parked { waker, consumer }).map(|parked| parked.waker)
    }

    /// Gives a held ticket up. Its waker, to be dropped outside of the lock; `None` if it had been
    /// notified.
    pub(crate) fn leave(&mut self, ticket: &mut Ticket) -> Option<Waker> {
        self.parked.remove(&ticket.0.take()?).map(|parked| parked.waker)
    }

    /// Takes the first waiter out of the line, to be woken outside of the lock.
    pub(crate) fn pop(&mut self) -> Option<Waker> {
        self.parked.pop_first().map(|(_, parked)| parked.waker)
    }

    /// The first consumer that is not this one, which has one place at most.
    pub(crate) fn pop_other(&mut self, than: ConsumerId) -> Option<(ConsumerId, Waker)> {
        let mut consumers = self.parked.iter().filter_map(|(number, parked)| Some((*number, parked.consumer?)));
        let (number, other) = consumers.find(|(_, consumer)| *consumer != than)?;
        self.parked.remove(&number).map(|parked| (other, parked.waker))
    }

    /// Takes everybody out of the line, in turn.
    pub(crate) fn pop_all(&mut self) -> impl Iterator<Item = Waker> + use<> {
        std::mem::take(&mut self.parked).into_values().map(|parked| parked.waker)
    }

    pub(crate) fn len(&self) -> usize {
        self.parked.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parked.is_empty()
    }
}
