//! What all handles of a queue share: its store, its flags, and the state behind the mutex.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use crossbeam_utils::CachePadded;

use super::flags::Flags;
use super::ids::{ConsumerId, QueueId, label};
use super::lease::dead_letters::{DeadLetter, DeadLetterQueue, FailedAttempt};
use super::lease::kept_letters::KeptLetters;
use super::membership::lifecycle::Lifecycle;
use super::membership::lingering::Lingering;
use super::membership::registry::Registry;
use super::report::clock::Clock;
use super::report::snapshot::Totals;
use super::store::Store;
use super::store::alarm::Alarm;
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
    /// [`UNLIMITED_ATTEMPTS`] if there is no limit.
    pub(crate) max_attempts: u32,
    /// How long failed items wait before they come back, if they do.
    pub(crate) redelivery_backoff: Option<Backoff>,
    /// Writes an item as text, for its dead letter.
    pub(crate) describe: Option<fn(&T) -> String>,
    pub(crate) clock: Clock,
    /// Rings when delayed items are due.
    pub(crate) alarm: Arc<Alarm>,
    pub(crate) store: Store<T>,
    pub(crate) flags: Flags,
    /// Whether an operation waits for an item, and for room. Written with the mutex held.
    pub(crate) getters_wait: CachePadded<AtomicBool>,
    pub(crate) putters_wait: CachePadded<AtomicBool>,
    /// Tells the asker of an item that there will be no answer. Set before the first ask is put.
    pub(crate) tell_asker: OnceLock<TellAsker<T>>,
    control: Mutex<Control<T>>,
}

/// Tells the asker of an item that the item became a dead letter, which says why; `None` if the queue has ended. Returns
/// whether the asker was still waiting.
pub(crate) type TellAsker<T> = fn(&T, Option<DeadLetter<()>>) -> bool;

/// The state behind the mutex. No user code runs while it is locked.
pub(crate) struct Control<T> {
    pub(crate) life: Lifecycle,
    pub(crate) registry: Registry,
    pub(crate) lingering: Lingering,
    pub(crate) lines: Lines,
    pub(crate) returned: Returned<T>,
    pub(crate) delayed: Delayed<T>,
    /// Items that were left at the end or came back after it, and that no caller has been given yet. They are dropped with
    /// the last handle that could ask for them.
    pub(crate) leftovers: Vec<T>,
    /// What leased items failed of before, by consumer and lease. Most items have not failed, so leases have no place for it.
    pub(crate) histories: BTreeMap<(ConsumerId, u64), Vec<FailedAttempt>>,
    pub(crate) kept_letters: KeptLetters<T>,
    /// Where readers get dead letters from, once one was opened.
    pub(crate) letter_readers: Option<Arc<dyn DeadLetterQueue<T>>>,
    pub(crate) counts: Counts,
}

/// What became of items that were neither acked nor taken.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) redelivered: u64,
    pub(crate) dead_lettered: u64,
    pub(crate) discarded: u64,
    pub(crate) retried: u64,
    pub(crate) letters_dropped: u64,
    /// Dead letters that came while no reader was open, and of which no asker was told.
    pub(crate) unread: u64,
    /// Asks that consumers acked or took, and dropped without an answer.
    pub(crate) unanswered: u64,
}

/// What a queue is built from.
pub(crate) struct Config<T> {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) capacity: Option<usize>,
    pub(crate) max_attempts: u32,
    pub(crate) redelivery_backoff: Option<Backoff>,
    /// How many dead letters are kept while no reader is open.
    pub(crate) kept_letters: usize,
    pub(crate) describe: Option<fn(&T) -> String>,
}

/// The number of attempts that stands for no limit.
pub(crate) const UNLIMITED_ATTEMPTS: u32 = u32::MAX;

impl<T> Shared<T> {
    /// Creates the queue, with one handle.
    pub(crate) fn new(id: QueueId, config: Config<T>, store: Store<T>) -> Self {
        let Config { name, max_attempts, redelivery_backoff, kept_letters, describe, .. } = config;
        let clock = Clock::start();
        Self {
            id,
            name,
            max_attempts,
            redelivery_backoff,
            describe,
            clock,
            alarm: Arc::new(Alarm::new(clock)),
            store,
            flags: Flags::default(),
            getters_wait: CachePadded::default(),
            putters_wait: CachePadded::default(),
            tell_asker: OnceLock::new(),
            control: Mutex::new(Control {
                life: Lifecycle::default(),
                registry: Registry::new(id),
                lingering: Lingering::default(),
                lines: Lines::default(),
                returned: Returned::new(),
                delayed: Delayed::new(),
                leftovers: Vec::new(),
                histories: BTreeMap::new(),
                kept_letters: KeptLetters::new(kept_letters),
                letter_readers: None,
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
        let left_by_readers = self.letter_readers.as_ref().map_or(0, |readers| readers.dropped());
        Totals {
            accepted: sums.accepted + self.counts.retried,
            acked: sums.acked,
            taken: sums.taken,
            dead_lettered: self.counts.dead_lettered,
            discarded: self.counts.discarded,
            redelivered: self.counts.redelivered,
            retried: self.counts.retried,
            letters_dropped: self.counts.letters_dropped + left_by_readers,
            lost_producers: 0,
        }
    }

    /// Returns whether there is no consumer, and no pool that could open one.
    pub(crate) fn nobody_consumes(&self) -> bool {
        self.registry.no_consumer_open() && self.registry.pools == 0
    }

    /// Returns whether there is a handle that may ask for what is left after the end.
    pub(crate) fn may_take_left(&self) -> bool {
        self.registry.openers + self.registry.keepers > 0
    }

    /// Takes the leftovers if no handle is left that may ask for them. The caller drops them after unlocking.
    pub(crate) fn unclaimed(&mut self) -> Vec<T> {
        if self.may_take_left() { Vec::new() } else { std::mem::take(&mut self.leftovers) }
    }
}

impl<T> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}
