//! What the leases of a consumer share with it.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, OnceLock};
use std::task::Poll;

use crate::queue::lease::item::Item;
use crate::queue::lease::panic_capture::PanicCapture;
use crate::queue::membership::consumer_row::ConsumerRow;
use crate::queue::shared::Shared;

/// What the leases of a consumer share with it.
pub(crate) struct Slot<T> {
    pub(crate) shared: Arc<Shared<T>>,
    pub(crate) row: Arc<ConsumerRow>,
    /// Whether the mailbox that leases travel through is alive, for consumers that are served by address.
    pub(crate) mailbox: OnceLock<MailboxProbe>,
    pub(super) panics: PanicCapture<Item<T>>,
}

pub(crate) type MailboxProbe = Box<dyn Fn() -> bool + Send + Sync>;

impl<T> Slot<T> {
    pub(crate) fn new(shared: Arc<Shared<T>>, row: Arc<ConsumerRow>) -> Self {
        Self { shared, row, mailbox: OnceLock::new(), panics: PanicCapture::new() }
    }

    /// Polls a worker that holds leases of this consumer, and drops it when it is done. `Err` has the message of its
    /// panic, which the leases that the panic dropped are given, too.
    pub(crate) fn poll_caught<W>(
        &self,
        worker: &mut Option<W>,
        poll: impl FnOnce(&mut W) -> Poll<()>,
    ) -> Poll<Result<(), String>> {
        self.panics.poll_caught(worker, poll, |lease, panic| lease.fail(panic))
    }
}

impl<T> fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("row", &self.row).finish_non_exhaustive()
    }
}

// A panic leaves nothing half changed: what changes is a counter, a flag, or behind a lock under which no user code runs,
// and the probe only asks whether an address is alive. So a consumer is unwind safe, and a lease if its item is.
impl<T> UnwindSafe for Slot<T> {}
impl<T> RefUnwindSafe for Slot<T> {}
