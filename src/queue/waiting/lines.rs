//! The lines of a queue, one for each thing to wait for, and an operation's place in one.

use super::waiters::{Standing, Ticket, Waiters};
use crate::queue::ids::ConsumerId;

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    /// An item.
    Getters,
    /// Room.
    Putters,
    /// The end.
    Watchers,
    /// The refusal of all further puts.
    Refused,
    /// The other processes' knowledge of what this process has done.
    Flushers,
}

/// Parked wakers, a line for each thing to wait for.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pub(crate) getters: Waiters,
    pub(crate) putters: Waiters,
    pub(crate) watchers: Waiters,
    pub(crate) refused: Waiters,
    pub(crate) flushers: Waiters,
}

impl Lines {
    pub(crate) fn of(&mut self, line: Line) -> &mut Waiters {
        match line {
            Line::Getters => &mut self.getters,
            Line::Putters => &mut self.putters,
            Line::Watchers => &mut self.watchers,
            Line::Refused => &mut self.refused,
            Line::Flushers => &mut self.flushers,
        }
    }
}

/// A pending operation: its line, and its place there once it has parked.
#[derive(Debug)]
pub(crate) struct Place {
    pub(super) line: Line,
    /// The consumer that waits, if it is for an item.
    pub(super) consumer: Option<ConsumerId>,
    pub(super) ticket: Ticket,
    /// Its standing when it last parked.
    pub(super) standing: Standing,
    /// Whether it may have the lead (`alarm.rs`).
    pub(super) may_lead: bool,
}

impl Place {
    pub(crate) fn new(line: Line) -> Self {
        Self { line, consumer: None, ticket: Ticket::default(), standing: Standing::Behind, may_lead: false }
    }

    pub(crate) fn for_items(consumer: ConsumerId) -> Self {
        Self { consumer: Some(consumer), ..Self::new(Line::Getters) }
    }

    /// Returns whether the operation has parked since it last left.
    #[inline]
    pub(crate) fn is_in_line(&self) -> bool {
        self.ticket.is_held()
    }
}
