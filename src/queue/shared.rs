//! What all handles of a queue share: its store, its flags, and the state behind the mutex.

use std::fmt;
use std::sync::Arc;

use crossbeam_utils::CachePadded;

use super::flags::Flags;
use super::ids::QueueId;
use super::ids::label;
use super::lease::dead_letters::DeadLetterQueue;
use super::membership::lifecycle::Lifecycle;
use super::membership::lingering::Lingering;
use super::membership::registry::Registry;
use super::report::clock::Clock;
use super::report::snapshot::Totals;
use super::store::Store;
use super::store::delayed::Delayed;
use super::store::returned::Returned;
use super::waiting::lines::Lines;
use crate::backoff::Backoff;
use crate::lock::lock;
use crate::sync::atomic::AtomicBool;
use crate::sync::{Mutex, MutexGuard};

/// The queue behind its handles.
pub(crate) struct Shared<T> {
    pub(crate) id: QueueId,
    pub(crate) name: Option<Arc<str>>,
    pub(crate) max_attempts: u32,
    /// How long failed items wait before they come back, if they do.
    pub(crate) redelivery: Option<Redelivery<T>>,
    pub(crate) clock: Clock,
    pub(crate) store: Store<T>,
    pub(crate) flags: Flags,
    /// Whether an operation waits for an item, and for room. Written with the mutex held.
    pub(crate) getters_wait: CachePadded<AtomicBool>,
    pub(crate) putters_wait: CachePadded<AtomicBool>,
    control: Mutex<Control<T>>,
}

/// The state behind the mutex. No user code runs while it is locked.
pub(crate) struct Control<T> {
    pub(crate) life: Lifecycle,
    pub(crate) registry: Registry,
    pub(crate) lingering: Lingering,
    pub(crate) lines: Lines,
    pub(crate) returned: Returned<T>,
    pub(crate) delayed: Delayed<T>,
    /// Items that a shutdown left and no caller could be given, for its report.
    pub(crate) leftovers: Vec<T>,
    pub(crate) dead_letters: Option<Arc<dyn DeadLetterQueue<T>>>,
    pub(crate) counts: Counts,
}

/// What became of items that were neither acked nor taken.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) redelivered: u64,
    pub(crate) dead_lettered: u64,
    pub(crate) discarded: u64,
}

/// What a queue is built from.
pub(crate) struct Config<T> {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) capacity: Option<usize>,
    pub(crate) max_attempts: u32,
    pub(crate) redelivery: Option<Redelivery<T>>,
}

/// How failed items come back.
pub(crate) struct Redelivery<T> {
    pub(crate) backoff: Backoff,
    /// Starts a thread that calls [`Shared::release_due`] in time, as nothing under `queue` waits by itself.
    pub(crate) start_timer: fn(&Arc<Shared<T>>),
}

impl<T> Shared<T> {
    /// Creates the queue, with one handle.
    pub(crate) fn new(id: QueueId, config: Config<T>, store: Store<T>) -> Self {
        let Config { name, max_attempts, redelivery, .. } = config;
        Self {
            id,
            name,
            max_attempts,
            redelivery,
            clock: Clock::start(),
            store,
            flags: Flags::default(),
            getters_wait: CachePadded::default(),
            putters_wait: CachePadded::default(),
            control: Mutex::new(Control {
                life: Lifecycle::default(),
                registry: Registry::new(id),
                lingering: Lingering::default(),
                lines: Lines::default(),
                returned: Returned::new(),
                delayed: Delayed::new(),
                leftovers: Vec::new(),
                dead_letters: None,
                counts: Counts::default(),
            }),
        }
    }

    /// Locks the mutex of the control plane.
    pub(crate) fn control(&self) -> MutexGuard<'_, Control<T>> {
        lock(&self.control)
    }

    /// Returns the queue's name for the log.
    pub(crate) fn label(&self) -> String {
        label(self.name.as_deref(), self.id)
    }
}

impl<T> Control<T> {
    pub(crate) fn totals(&self) -> Totals {
        let sums = self.registry.sums();
        Totals {
            accepted: sums.accepted,
            acked: sums.acked,
            taken: sums.taken,
            dead_lettered: self.counts.dead_lettered,
            discarded: self.counts.discarded,
            redelivered: self.counts.redelivered,
            lost_producers: 0,
        }
    }

    /// Returns whether there is no consumer, and no pool that could open one.
    pub(crate) fn nobody_consumes(&self) -> bool {
        self.registry.no_consumer_open() && self.registry.pools == 0
    }
}

impl<T> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}
