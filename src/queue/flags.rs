//! One word that every put and take reads: what keeps them from the fast path.

use crossbeam_utils::CachePadded;

use crate::sync::atomic::{AtomicU8, Ordering::SeqCst};

/// Something was returned: takes look there first.
pub(crate) const RETURNED: u8 = 1;
/// The overflow holds items: puts and takes go by the mutex, to keep their order.
pub(crate) const OVERFLOW: u8 = 2;
/// Permits are out: puts leave room for them.
pub(crate) const PERMITS: u8 = 4;
/// Sealed and no producer open: settles and takes look whether they were the last.
pub(crate) const DRAINING: u8 = 8;
/// Drained or aborted.
pub(crate) const ENDED: u8 = 16;

/// Read on every put and take, written seldom and only with the queue's mutex held.
#[derive(Debug, Default)]
pub(crate) struct Flags(CachePadded<AtomicU8>);

impl Flags {
    #[inline]
    pub(crate) fn load(&self) -> u8 {
        self.0.load(SeqCst)
    }

    /// Returns whether any of these is up.
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
