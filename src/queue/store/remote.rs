//! The store whose items are elsewhere, and the interface that its driver implements.
//!
//! Endpoints, registry and lines of waiters are in this process, as always. Puts go into a *window* until the remote store
//! has confirmed them, takes come from a *prefetch* that the driver fills, and the driver reports what becomes of leases.
//! The remote store alone decides that the queue is drained.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::error::Refusal;
use crate::one_line::OneLine;
use crate::queue::lease::dead_letters::{DeadLetter, DeadLetterQueue};
use crate::queue::lease::kept_letters::Ids;
use crate::queue::report::snapshot::{ProcessStatus, Totals};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

/// What an accepted put returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Receipt {
    Confirmed,
    /// The driver has the item, and will confirm it under this number.
    Unconfirmed(u64),
}

/// Interface for the remote driver.
///
/// Every method may be called with the queue's mutex held, except those that run user code: `encode`, `encode_again`,
/// `encode_letter`, `try_take`, and `withdraw`, which may drop a waker.
pub(crate) trait Remote<T>: Send + Sync + UnwindSafe + RefUnwindSafe {
    /// Encodes an item, to send it.
    fn encode(&self, item: &T) -> Result<Vec<u8>, Unsendable>;

    /// Returns how many puts are not confirmed, and how many may be.
    fn window(&self) -> (usize, usize);

    /// Accepts a put, also if there is no room. Returns its number.
    fn put(&self, item: T, encoded: Vec<u8>) -> u64;

    /// Returns whether a put is confirmed: `Err` has the item of a refused one. `None` if that is not known yet: then
    /// `waker` will be woken, and is replaced by the one registered before.
    fn confirmed(&self, put: u64, waker: &mut Option<Waker>) -> Option<Result<(), T>>;

    /// Takes a put back if it has not been sent, or was refused.
    fn withdraw(&self, put: u64) -> Option<T>;

    /// Notes that no caller will ask whether a put is confirmed. Returns its item if it was refused.
    fn detach(&self, put: u64) -> Option<T>;

    /// Takes the next item of the prefetch.
    fn try_take(&self) -> Option<Delivery<T>>;

    /// Returns whether the prefetch has an item.
    fn has_fetched(&self) -> bool;

    /// Puts an item through a lease, unless the lease is lost.
    fn put_child(&self, lease: u64, encoded: Vec<u8>) -> Result<(), LeaseLost>;

    /// Reports what became of a lease.
    fn settle(&self, lease: u64, settled: Settled);

    /// Encodes a letter, for [`Settled::Dead`]; empty if it cannot be written.
    fn encode_letter(&self, letter: &DeadLetter<T>) -> Vec<u8>;

    /// Encodes an item for [`Settled::Failed`] and [`Settled::Released`]; empty if it cannot be written.
    fn encode_again(&self, item: &T) -> Vec<u8>;

    /// Notes that something was opened, closed, sealed or ended in this process.
    fn changed(&self);

    /// Marks everything that this process has done until now.
    fn mark(&self) -> Mark;

    /// Returns whether everything up to this mark is known elsewhere, or can never be told. The driver wakes flushes at
    /// each step.
    fn is_known(&self, mark: Mark) -> bool;

    /// Refuses all puts that are not confirmed. Returns the items of detached ones, and the wakers of the others, whose
    /// callers will fetch theirs.
    fn refuse(&self) -> (Vec<T>, Vec<Waker>);

    /// Reports what is known of the whole queue.
    fn report(&self) -> StoreReport;

    /// Counts the items that a consumer of any process could take now, as far as that is known.
    fn ready(&self) -> Ready;

    /// Lists the last dead letters that no reader has, oldest first.
    fn list_letters(&self) -> BoxFuture<'static, Result<Vec<DeadLetter<()>>, Refusal>>;

    /// Puts the items of dead letters that no reader has back into the queue. Dropping the future stops it.
    fn retry_letters(&self, ids: Ids) -> BoxFuture<'static, Result<usize, Refusal>>;

    /// Drops dead letters that no reader has. Dropping the future stops it.
    fn discard_letters(&self, ids: Ids) -> BoxFuture<'static, Result<usize, Refusal>>;

    /// Puts the encoded item of a letter that a reader had in hand. It goes on without the future.
    fn retry_letter(&self, encoded: Vec<u8>) -> BoxFuture<'static, Result<(), Refusal>>;

    /// Opens the queue of the dead letters, which is elsewhere, too. Once it is sealed in this process, it ends here when
    /// there are no more letters for this process.
    fn open_letters(&self) -> Arc<dyn DeadLetterQueue<T>>;
}

/// What a call on dead letters returns.
pub(crate) enum Answer<R> {
    Here(R),
    /// The store elsewhere has been asked.
    Asked(BoxFuture<'static, R>),
}

impl<R> Answer<R> {
    pub(crate) async fn get(self) -> R {
        match self {
            Self::Here(answer) => answer,
            Self::Asked(answer) => answer.await,
        }
    }
}

/// Why an item cannot be sent.
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
    /// The same, and the attempt does not count.
    Released(Duration, Vec<u8>),
    /// As if it had not been handed out.
    Undone,
    /// It is a dead letter, in this form.
    Dead(Vec<u8>),
}

/// The lease was lost: this process was silent for too long, and the item went to another one.
#[derive(Debug)]
pub(crate) struct LeaseLost;

/// How much this process has done, of each kind.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "made and read by the backend"))]
pub(crate) struct Mark {
    pub(crate) puts: u64,
    /// What became of leases, and children.
    pub(crate) settles: u64,
    /// What was opened, closed, sealed or ended.
    pub(crate) changes: u64,
}

/// How many items consumers could take now; delayed ones are not among them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ready {
    pub(crate) items: usize,
    /// The number of the report that said so, if the items are elsewhere.
    pub(crate) report: Option<u64>,
}

/// What is known of the items of the whole queue. It may be a moment old.
#[derive(Debug, Clone, Default)]
pub(crate) struct StoreReport {
    pub(crate) buffered: usize,
    pub(crate) delayed: usize,
    pub(crate) totals: Totals,
    /// How long ago the oldest of the next items was put.
    pub(crate) oldest: Option<Duration>,
    /// The other processes.
    pub(crate) processes: Vec<ProcessStatus>,
}

/// The store whose items are elsewhere.
pub(crate) struct RemoteStore<T> {
    pub(crate) driver: Arc<dyn Remote<T>>,
    pub(crate) capacity: Option<usize>,
    /// Places that are reserved for puts; changed with the queue's mutex held.
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
