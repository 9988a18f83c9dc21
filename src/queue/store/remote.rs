//! Items that are elsewhere: the interface that a driver implements.
//!
//! Endpoints, registry and lines of waiters are in this process as ever. Puts go into a *window* until the other side
//! has confirmed them, takes come from a *prefetch* that the driver fills, and what becomes of leases is reported. That
//! the queue is drained is decided there alone.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use crate::one_line::OneLine;
use crate::queue::lease::dead_letters::{DeadLetter, DeadLetterQueue};
use crate::queue::report::snapshot::{ProcessStatus, Totals};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

/// What an accepted put is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Receipt {
    Confirmed,
    /// The store has the item, and is to confirm it under this number.
    Unconfirmed(u64),
}

/// This process's end of a queue that is elsewhere. Every method may be called under the lock of the queue, but for
/// those that run foreign code: `encode`, `encode_again`, `encode_letter`, `try_take`, and `withdraw`, which may drop a waker.
pub(crate) trait Remote<T>: Send + Sync + UnwindSafe + RefUnwindSafe {
    /// The item as it travels, or why it cannot.
    fn encode(&self, item: &T) -> Result<Vec<u8>, Unsendable>;

    /// How many puts are not confirmed, and how many may be.
    fn window(&self) -> (usize, usize);

    /// Accepts a put, be there room or not.
    fn put(&self, item: T, encoded: Vec<u8>) -> u64;

    /// Whether a put is confirmed, or else its item; `None`: not yet, and `waker` will be woken. The waker that it
    /// replaces comes back.
    fn confirmed(&self, put: u64, waker: &mut Option<Waker>) -> Option<Result<(), T>>;

    /// Takes a put back if it has not been sent, or was refused.
    fn withdraw(&self, put: u64) -> Option<T>;

    /// Nobody will ask whether a put is confirmed. Its item comes back if it was refused.
    fn detach(&self, put: u64) -> Option<T>;

    /// Takes the next item of the prefetch.
    fn try_take(&self) -> Option<Delivery<T>>;

    /// Returns whether the prefetch has an item.
    fn has_fetched(&self) -> bool;

    /// Puts through a lease, unless that is lost.
    fn put_child(&self, lease: u64, encoded: Vec<u8>) -> Result<(), LeaseLost>;

    /// Reports what became of a lease.
    fn settle(&self, lease: u64, settled: Settled);

    /// The letter as it travels, for [`Settled::Dead`]; empty if it cannot be written.
    fn encode_letter(&self, letter: &DeadLetter<T>) -> Vec<u8>;

    /// The item as it travels, for [`Settled::Failed`]; empty if it cannot be written.
    fn encode_again(&self, item: &T) -> Vec<u8>;

    /// Something was opened, closed, sealed or ended here.
    fn changed(&self);

    /// Marks all that was said here until now.
    fn mark(&self) -> Mark;

    /// Whether all until this mark is known elsewhere, or can never be told. Those who wait for it are told of each step.
    fn is_known(&self, mark: Mark) -> bool;

    /// The other side will have none of the puts that are not confirmed: detached ones, and the wakers of those who
    /// are to come for theirs.
    fn refuse(&self) -> (Vec<T>, Vec<Waker>);

    /// What is known of the whole queue.
    fn report(&self) -> StoreReport;

    /// Opens the queue of the dead letters, which is elsewhere, too. Once its handle is sealed here, it ends when it has
    /// no more for this process.
    fn open_letters(&self) -> Arc<dyn DeadLetterQueue<T>>;
}

/// Why an item cannot travel.
#[derive(Debug)]
#[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "made by the backend"))]
pub(crate) enum Unsendable {
    NoJson(String),
    TooLarge { bytes: usize, most: usize },
}

impl fmt::Display for Unsendable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoJson(error) => OneLine(error).fmt(f),
            Self::TooLarge { bytes, most } => write!(f, "it is {bytes} bytes long, and Redis takes {most}"),
        }
    }
}

/// An item on its way from elsewhere to a consumer.
#[derive(Debug)]
pub(crate) struct Delivery<T> {
    pub(crate) item: T,
    pub(crate) lease: u64,
    /// How many attempts count against it so far.
    pub(crate) attempts: u32,
}

/// What became of a lease.
#[derive(Debug)]
#[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "read by the backend"))]
pub(crate) enum Settled {
    Acked,
    Taken,
    /// It failed, and comes back after this time, in this form.
    Failed(Duration, Vec<u8>),
    /// As if it had not been handed out.
    Undone,
    /// It is a dead letter, in this form.
    Dead(Vec<u8>),
}

/// This process was silent for too long: the item is with somebody else.
#[derive(Debug)]
pub(crate) struct LeaseLost;

/// How much was said here, of each kind.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "made and read by the backend"))]
pub(crate) struct Mark {
    pub(crate) puts: u64,
    /// What became of leases, and children.
    pub(crate) settles: u64,
    /// What was opened, closed, sealed or ended.
    pub(crate) changes: u64,
}

/// What is known of the items of the whole queue, maybe of a moment ago.
#[derive(Debug, Clone, Default)]
pub(crate) struct StoreReport {
    pub(crate) buffered: usize,
    pub(crate) delayed: usize,
    pub(crate) totals: Totals,
    /// How long ago the oldest item was put, of those that come next.
    pub(crate) oldest: Option<Duration>,
    /// The other processes.
    pub(crate) processes: Vec<ProcessStatus>,
}

/// A store whose items are elsewhere.
pub(crate) struct RemoteStore<T> {
    pub(crate) driver: Arc<dyn Remote<T>>,
    pub(crate) capacity: Option<usize>,
    /// Places that are promised to puts; changed with the queue's mutex held.
    permits: AtomicUsize,
    closed: AtomicBool,
}

impl<T> RemoteStore<T> {
    pub(crate) fn new(driver: Arc<dyn Remote<T>>, capacity: Option<usize>) -> Self {
        Self { driver, capacity, permits: AtomicUsize::new(0), closed: AtomicBool::new(false) }
    }

    #[cold]
    pub(crate) fn settle(&self, lease: u64, how: Settled) {
        self.driver.settle(lease, how);
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, SeqCst);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(SeqCst)
    }

    pub(crate) fn permits(&self) -> usize {
        self.permits.load(SeqCst)
    }

    pub(crate) fn add_permit(&self) {
        self.permits.fetch_add(1, SeqCst);
    }

    pub(crate) fn return_permit(&self) {
        self.permits.fetch_sub(1, SeqCst);
    }
}

impl<T> fmt::Debug for dyn Remote<T> + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remote")
    }
}
