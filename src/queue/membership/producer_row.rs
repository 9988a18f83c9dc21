//! What the queue keeps of a producer: a row for each handle, with its counters.
//!
//! Each *handle* has a row, so that clones on several threads do not share a counter. Its counters are written on the data
//! plane, on a cache line of their own, and added up with the queue's mutex held. The other fields of the row keep them a
//! line away from what follows, with less memory than padding takes.

use std::sync::{Arc, PoisonError};

use crate::lock::lock;
use crate::queue::ids::ProducerId;
use crate::queue::report::clock::Ticks;
use crate::queue::waiting::turns::Turns;
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard};

/// What the clones of one producer share.
#[derive(Debug)]
pub(crate) struct ProducerEndpoint {
    pub(crate) id: ProducerId,
    pub(crate) name: Arc<str>,
    /// The puts of handles that have closed; changed with the queue's mutex held.
    folded: Mutex<FoldedPuts>,
    /// Whether the endpoint is open. Only watched endpoints have it: they can be closed from outside.
    open: Option<RwLock<bool>>,
}

#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct FoldedPuts {
    pub(crate) puts: u64,
    pub(crate) last_put: LastPut,
}

/// The time of the last of some puts.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) enum LastPut {
    #[default]
    Never,
    At(Ticks),
    /// The put took the fast path, which does not read the clock.
    Unknown,
}

impl LastPut {
    pub(crate) fn or_later(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never, either) | (either, Self::Never) => either,
            (Self::At(one), Self::At(other)) => Self::At(one.max(other)),
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
        }
    }

    pub(crate) fn known(self) -> Option<Ticks> {
        match self {
            Self::At(ticks) => Some(ticks),
            Self::Never | Self::Unknown => None,
        }
    }
}

/// Keeps a watched endpoint from being closed from outside while it lives.
pub(crate) type HeldOpen<'a> = Option<RwLockReadGuard<'a, bool>>;

impl ProducerEndpoint {
    pub(crate) fn new(id: ProducerId, name: Arc<str>, watched: bool) -> Self {
        Self { id, name, folded: Mutex::default(), open: watched.then(|| RwLock::new(true)) }
    }

    /// Keeps the endpoint open while a put pushes. `None` if it was closed from outside.
    ///
    /// The watch closes the endpoint either before this, and the put is refused, or after the push, and then the put came
    /// before the close (A3, C2).
    #[inline]
    pub(crate) fn hold_open(&self) -> Option<HeldOpen<'_>> {
        let Some(open) = &self.open else { return Some(None) };
        let open = open.read().unwrap_or_else(PoisonError::into_inner);
        open.then_some(Some(open))
    }

    pub(crate) fn folded(&self) -> MutexGuard<'_, FoldedPuts> {
        lock(&self.folded)
    }

    /// Refuses all further puts, after those under way are done.
    pub(crate) fn shut(&self) {
        if let Some(open) = &self.open {
            *open.write().unwrap_or_else(PoisonError::into_inner) = false;
        }
    }
}

/// One producer handle.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct ProducerRow {
    counters: PutCounters,
    pub(crate) endpoint: Arc<ProducerEndpoint>,
    pub(crate) turns: Turns,
}

#[derive(Debug, Default)]
struct PutCounters {
    /// Plain stores are enough: it is written with the lock of the inbox held, or the queue's mutex if the store is remote.
    puts: AtomicU64,
    /// How many puts there were at the time of `stamp`.
    stamped_puts: AtomicU64,
    stamp: AtomicU64,
}

impl ProducerRow {
    pub(crate) fn new(endpoint: Arc<ProducerEndpoint>) -> Self {
        Self { counters: PutCounters::default(), endpoint, turns: Turns::default() }
    }

    /// Counts a put, under the lock under which it is made.
    #[inline]
    pub(crate) fn count_put(&self) {
        let puts = &self.counters.puts;
        puts.store(puts.load(Relaxed) + 1, Relaxed);
    }

    #[inline]
    pub(crate) fn puts(&self) -> u64 {
        self.counters.puts.load(Relaxed)
    }

    /// Notes the time of the last put. Only puts on the slow path call it.
    pub(crate) fn stamp_put(&self, now: Ticks) {
        self.counters.stamped_puts.store(self.puts(), Relaxed);
        self.counters.stamp.store(now.0, Relaxed);
    }

    pub(crate) fn last_put(&self) -> LastPut {
        match self.puts() {
            0 => LastPut::Never,
            puts if puts == self.counters.stamped_puts.load(Relaxed) => {
                LastPut::At(Ticks(self.counters.stamp.load(Relaxed)))
            }
            _ => LastPut::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::QueueId;

    #[test]
    fn when_the_last_put_was_is_known_of_puts_that_looked_at_the_clock() {
        let id = ProducerId { queue: QueueId::next(), number: 1 };
        let row = ProducerRow::new(Arc::new(ProducerEndpoint::new(id, "http".into(), false)));
        assert!(matches!(row.last_put(), LastPut::Never));
        row.count_put();
        assert!(matches!(row.last_put(), LastPut::Unknown));
        row.stamp_put(Ticks(7));
        assert_eq!(row.last_put().known(), Some(Ticks(7)));
        row.count_put();
        assert!(matches!(row.last_put(), LastPut::Unknown));
    }

    #[test]
    fn the_last_put_of_several_handles_is_the_latest_or_unknown() {
        let (early, late) = (LastPut::At(Ticks(1)), LastPut::At(Ticks(2)));
        for (one, other, both) in [
            (early, late, Some(Ticks(2))),
            (late, LastPut::Never, Some(Ticks(2))),
            (late, LastPut::Unknown, None),
            (LastPut::Never, LastPut::Unknown, None),
            (LastPut::Never, LastPut::Never, None),
        ] {
            assert_eq!(one.or_later(other).known(), both);
            assert_eq!(other.or_later(one).known(), both);
        }
        assert!(matches!(LastPut::Never.or_later(LastPut::Unknown), LastPut::Unknown));
    }
}
