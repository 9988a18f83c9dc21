//! What the endpoints of this process and the driver hand to each other.

mod remote;

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::backoff::Backoff;
use crate::lock::lock;
use crate::queue::{Config, DeadLetter, IterableQueue, StoreReport};
use crate::redis::client::{Entry, Op};
use crate::redis::kept_letters::KeptLetters;
use crate::redis::local::deadlines::Deadlines;
use crate::redis::local::prefetch::Prefetch;
use crate::redis::local::put_window::PutWindow;
use crate::redis::local::settle_log::SettleLog;

/// The most puts that wait for their confirmation; fewer if the capacity is smaller.
const WINDOW: usize = 2048;

/// Opens the dead letters of a queue. It is no trait: that would be about dead letters of dead letters, and so on.
pub(crate) type OpenLetters<T> =
    Box<dyn Fn() -> IterableQueue<DeadLetter<T>> + Send + Sync + UnwindSafe + RefUnwindSafe>;

pub(crate) struct Link<T> {
    /// The queue's name for the log.
    label: String,
    window: usize,
    /// How long the longest item may be.
    largest: usize,
    max_attempts: u32,
    backoff: Option<Backoff>,
    has_deadline: bool,
    puts: Mutex<PutWindow<T>>,
    prefetch: Mutex<Prefetch>,
    leases: Mutex<HeldLeases>,
    pub(crate) report: Mutex<StoreReport>,
    /// How many reports there have been. Counted after the report is there.
    pub(crate) reports: AtomicU64,
    /// See `dead_letters.rs`; a queue of dead letters has none of its own.
    pub(crate) open_letters: OnceLock<OpenLetters<T>>,
    /// The letters that no reader has; a queue of dead letters has none.
    pub(crate) kept_letters: OnceLock<KeptLetters>,
    /// Writes down in a dead letter what its entry says of it; other items have no place for that.
    pub(crate) identify: OnceLock<fn(&mut T, u64)>,
    /// How often something was opened, closed, sealed or ended here, and how much of it Redis was told.
    changes: AtomicU64,
    told: AtomicU64,
    /// Nothing can be told any more.
    pub(crate) over: Arc<AtomicBool>,
    /// One for each loop of the driver: there is something to do.
    pub(crate) put: Notify,
    pub(crate) settled: Notify,
    pub(crate) wanted: Notify,
    pub(crate) fetched: Notify,
    pub(crate) changed: Notify,
}

/// Leases of this process, by number. A number is used once, so that what is said of a lease never hits another
/// one of the same item.
#[derive(Debug, Default)]
struct HeldLeases {
    /// The last that was delivered.
    last: u64,
    /// Those up to here are lost: other processes have the items.
    lost: u64,
    settle_log: SettleLog,
    /// How many were settled after they were lost.
    late: u64,
    /// How many of those that consumers were handed have ended.
    done: u64,
    deadlines: Option<Deadlines>,
}

impl<T> Link<T> {
    pub(crate) fn new(label: String, config: &Config<T>, largest: usize, deadline: Option<Duration>) -> Self {
        Self {
            label,
            window: config.capacity.unwrap_or(WINDOW).min(WINDOW),
            largest,
            max_attempts: config.max_attempts,
            backoff: config.redelivery_backoff,
            has_deadline: deadline.is_some(),
            puts: Mutex::new(PutWindow::new()),
            prefetch: Mutex::new(Prefetch::new(Instant::now())),
            leases: Mutex::new(HeldLeases { deadlines: deadline.map(Deadlines::new), ..HeldLeases::default() }),
            report: Mutex::default(),
            reports: AtomicU64::new(0),
            open_letters: OnceLock::new(),
            kept_letters: OnceLock::new(),
            identify: OnceLock::new(),
            changes: AtomicU64::new(0),
            told: AtomicU64::new(0),
            over: Arc::default(),
            put: Notify::new(),
            settled: Notify::new(),
            wanted: Notify::new(),
            fetched: Notify::new(),
            changed: Notify::new(),
        }
    }

    pub(crate) fn puts(&self) -> MutexGuard<'_, PutWindow<T>> {
        lock(&self.puts)
    }

    pub(crate) fn prefetch(&self) -> MutexGuard<'_, Prefetch> {
        lock(&self.prefetch)
    }

    /// The highest delivery id that a consumer here was handed. Higher ones were only fetched.
    pub(crate) fn handed(&self) -> u64 {
        self.prefetch().handed()
    }

    pub(crate) fn settle_log<R>(&self, change: impl FnOnce(&mut SettleLog) -> R) -> R {
        change(&mut lock(&self.leases).settle_log)
    }

    /// Returns how often something has changed here. What is read afterwards has these changes in it.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(SeqCst)
    }

    /// Notes how many of the changes Redis knows.
    pub(crate) fn tell_changes(&self, told: u64) {
        self.told.store(told, SeqCst);
    }

    /// The queue is left or gone: nothing can be told any more.
    pub(crate) fn end(&self) {
        self.over.store(true, SeqCst);
    }

    /// How many of those that consumers were handed have ended.
    pub(crate) fn done(&self) -> u64 {
        lock(&self.leases).done
    }

    /// How many settles came too late since the last question.
    pub(crate) fn take_late(&self) -> u64 {
        std::mem::take(&mut lock(&self.leases).late)
    }

    /// Hands items to the consumers, under the numbers from `first` on.
    pub(crate) fn deliver(&self, first: u64, entries: Vec<Entry>) {
        let now = Instant::now();
        let last = first + entries.len() as u64 - 1;
        lock(&self.leases).last = last;
        self.prefetch().fill(first, entries, now);
        self.fetched.notify_one();
    }

    /// Delivers those of the items that this process holds, as Redis says, whose delivery was never heard of.
    pub(crate) fn deliver_unheard(&self, mut held: Vec<(u64, Entry)>) -> usize {
        let last = lock(&self.leases).last;
        held.retain(|(lease, _)| *lease > last);
        let count = held.len();
        held.into_iter().for_each(|(lease, entry)| self.deliver(lease, vec![entry]));
        count
    }

    /// From now on a consumer has it.
    fn hand_out(&self, lease: u64) {
        let mut leases = lock(&self.leases);
        if lease > leases.lost {
            leases.deadlines.iter_mut().for_each(|deadlines| deadlines.begin(lease, Instant::now()));
        }
    }

    /// Gives up what has been here for too long. Returns when the next is due.
    pub(crate) fn give_up_overdue(&self) -> Option<Instant> {
        let mut leases = lock(&self.leases);
        let HeldLeases { deadlines, settle_log, .. } = &mut *leases;
        let deadlines = deadlines.as_mut()?;
        for ids in deadlines.take_due(Instant::now()) {
            settle_log.push(Op::Overdue(ids));
            self.settled.notify_one();
        }
        deadlines.next()
    }

    /// Gives back what nobody has been handed.
    pub(crate) fn undo(&self, items: impl IntoIterator<Item = (u64, Entry)>) {
        let mut leases = lock(&self.leases);
        // Those that were lost are with others already.
        let held = items.into_iter().map(|(lease, _)| lease).filter(|lease| *lease > leases.lost);
        let ops: Vec<_> = held.map(Op::Undo).collect();
        ops.into_iter().for_each(|op| leases.settle_log.push(op));
        drop(leases);
        self.settled.notify_one();
    }

    /// All leases are lost: the items are with others.
    pub(crate) fn lose_leases(&self) {
        let mut leases = lock(&self.leases);
        leases.lost = leases.last;
        leases.settle_log.forget();
        leases.deadlines.iter_mut().for_each(Deadlines::clear);
        drop(leases);
        self.prefetch().take_all();
    }

    /// What Redis believes to be held here goes back; its last settle was `last_batch`.
    pub(crate) fn start_over(&self, last_batch: u64, held: Vec<u64>) {
        if let Some(lease) = held.last() {
            let mut leases = lock(&self.leases);
            leases.last = leases.last.max(*lease);
        }
        self.lose_leases();
        self.settle_log(|log| {
            log.restart(last_batch);
            held.into_iter().for_each(|lease| log.push(Op::Undo(lease)));
        });
    }

    /// Reports the end of a lease, unless that is lost.
    fn tell(&self, lease: u64, op: impl FnOnce(u64) -> Op) {
        let mut leases = lock(&self.leases);
        leases.done += 1;
        leases.deadlines.iter_mut().for_each(|deadlines| deadlines.end(lease));
        if lease <= leases.lost {
            leases.late += 1;
            return;
        }
        leases.settle_log.push(op(lease));
        drop(leases);
        self.settled.notify_one();
    }
}

impl<T> fmt::Debug for Link<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("window", &self.window).finish_non_exhaustive()
    }
}
