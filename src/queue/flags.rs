//! The word that every take and settle reads: what sends them to the slow path.

use crossbeam_utils::CachePadded;

use crate::sync::atomic::{AtomicU8, Ordering::SeqCst};

/// An item came back: takes look there first.
pub(crate) const RETURNED: u8 = 1;
/// The queue is sealed and no producer is open: settles and takes check whether they were the last.
pub(crate) const DRAINING: u8 = 2;
/// The queue is drained or aborted.
pub(crate) const ENDED: u8 = 4;
/// Items are delayed: takes ask the alarm whether some are due.
pub(crate) const DELAYED: u8 = 8;

/// Read by every take and settle, written seldom and only with the queue's mutex held.
#[derive(Debug, Default)]
pub(crate) struct Flags(CachePadded<AtomicU8>);

impl Flags {
    #[inline]
    pub(crate) fn load(&self) -> u8 {
        self.0.load(SeqCst)
    }

    /// Returns whether any of these is raised.
    #[inline]
    pub(crate) fn any(&self, flags: u8) -> bool {
        self.load() & flags != 0
    }

    pub(crate) fn raise(&self, flags: u8) {
        self.0.fetch_or(flags, SeqCst);
    }

    pub(crate) fn lower(&self, flags: u8) {
        self.0.fetch_and(!flags, SeqCst);
    }
}
