//! What snapshots and reports contain: the state, totals and endpoints of a queue.

use std::fmt;
use std::time::Duration;

use crate::queue::ids::{ConsumerId, ProducerId, QueueId};

/// How far a queue has come.
///
/// The state moves one way: `Open`, `Sealed`, `Draining`, `Drained`, or to `Aborted` from any but `Drained`. It may skip
/// steps. Later states are greater: `state >= State::Drained` means that the queue has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum State {
    /// Endpoints may be opened.
    Open,
    /// No new endpoints; producers are open.
    Sealed,
    /// No producer may put any more; items are buffered or leased.
    Draining,
    /// Everything that was put is settled.
    Drained,
    /// The queue ended before that; the [`Outcome`] tells whether it was aborted or abandoned.
    Aborted,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Sealed => "sealed",
            Self::Draining => "draining",
            Self::Drained => "drained",
            Self::Aborted => "aborted",
        })
    }
}

/// How a queue ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Outcome {
    /// Every item was settled: acked, taken, or given up as a dead letter.
    Complete,
    /// `abort` was called, or a shutdown ran out of time.
    Aborted,
    /// Items were left, and no consumer could take them.
    Abandoned,
    /// This process has left the queue, which goes on elsewhere.
    Left,
}

/// What became of the items so far.
///
/// An item that came out of a dead letter again counts as accepted once more. So while no call runs, `accepted` = `acked` + `taken` + `dead_lettered` + `discarded` + buffered + leased. Over Redis all
/// of these count the items of all processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Totals {
    /// Items that the queue accepted: from producers, through leases, and retried ones.
    pub accepted: u64,
    /// Items whose lease ended with `ack`.
    pub acked: u64,
    /// Items taken for good: with `get`, an iterator, or `into_inner`.
    pub taken: u64,
    /// Items that used up their attempts or were rejected. It never goes down: it counts letters that were read, retried or
    /// [discarded](crate::IterableQueue::discard_dead_letters), too.
    pub dead_lettered: u64,
    /// Items handed to the caller of `abort`, left when the queue was abandoned, or given back or rejected after the end,
    /// whether [`take_left`](crate::IterableQueue::take_left) returned them or not. Not dead letters that
    /// [`discard_dead_letters`](crate::IterableQueue::discard_dead_letters) has dropped.
    pub discarded: u64,
    /// How many times an item came back to the buffer. Not part of the sum above.
    pub redelivered: u64,
    /// How many dead letters were retried. These are part of `accepted`.
    #[cfg_attr(feature = "serde", serde(default))]
    pub retried: u64,
    /// Dead letters that were dropped unread: more came than are kept, or no handle of the queue was left. Part of
    /// `dead_lettered`. Always 0 over Redis.
    #[cfg_attr(feature = "serde", serde(default))]
    pub letters_dropped: u64,
    /// Producers that were lost with their process, and may have had more to put. Always 0 in memory.
    #[cfg_attr(feature = "serde", serde(default))]
    pub lost_producers: u64,
}

/// Tells that a queue has ended, and how. Consumer actors get it as a message, and `drained()` returns it.
///
/// The queue need not be drained: look at `outcome`. The type does not depend on the items, as an actor may consume from
/// several queues.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Drained {
    /// Which queue.
    pub queue: QueueId,
    /// Its name, if it was given one.
    pub name: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// What became of the items. The totals are exact if all producers had closed and the outcome is `Complete`. After an
    /// abort or a shutdown they may miss calls that were still running, and items that are still leased are in none of them:
    /// what consumers ack later is in those of [`snapshot`](crate::IterableQueue::snapshot).
    pub totals: Totals,
}

/// How a shutdown ended, and what it left.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport<T> {
    /// How the queue ended: `Complete`, `Aborted` if the grace was over, `Abandoned` if no consumer was left before that.
    pub drained: Drained,
    /// The items that no consumer had been handed when the queue ended, oldest first, and those that came back between the
    /// end and the report.
    pub left: Vec<T>,
    /// The consumers that held items when the end of the grace aborted the queue. Items that they acked later count as
    /// acked; [`take_left`](crate::IterableQueue::take_left) returns the others.
    pub holders: Vec<ConsumerStatus>,
}

/// An open producer, in a [`Snapshot`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct ProducerStatus {
    /// The endpoint.
    pub id: ProducerId,
    /// The name it was given, or its id.
    pub name: String,
    /// How many handles (clones) are open.
    pub handles: usize,
    /// Puts through all of its handles.
    pub puts: u64,
    /// How long ago the last put was, to some milliseconds. `None` if there was none, or if it is not known: a put that
    /// finds no consumer waiting does not read the clock.
    pub last_put: Option<Duration>,
}

/// A consumer that is open, or was dropped and has unsettled items, in a [`Snapshot`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct ConsumerStatus {
    /// The endpoint.
    pub id: ConsumerId,
    /// The name it was given, or its id.
    pub name: String,
    /// Whether it is still open.
    pub open: bool,
    /// Items taken for good.
    pub taken: u64,
    /// Items acked.
    pub acked: u64,
    /// Items leased and not settled.
    pub leased: u64,
    /// Whether its pool is paused.
    pub paused: bool,
    /// Whether its pool found it stuck: it has held the same items for longer than
    /// [`stuck_after`](crate::WorkerPoolBuilder::stuck_after).
    pub stuck: bool,
    /// How long ago the last lease began, to some milliseconds; `None` if it holds nothing.
    pub last_lease: Option<Duration>,
}

/// Another process that shares the queue, in a [`Snapshot`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct ProcessStatus {
    /// The name it was given, or its host and process id.
    pub name: String,
    /// Whether it may open endpoints, as it has a handle of the queue.
    pub can_open: bool,
    /// How many producers it has open.
    pub producers: u64,
    /// The names of some of them.
    pub producer_names: Vec<String>,
    /// How many consumers and pools it has open.
    pub consumers: u64,
    /// Items that it has fetched and not settled.
    pub leased: u64,
    /// How long ago Redis last heard of it.
    pub last_seen: Duration,
}

/// A queue at one moment.
///
/// Prints with `{}` as a short report that includes the [`blockers`](Snapshot::blockers). Control characters in names are
/// escaped (`\n`, `\u{1b}`), there and in the log; the fields have the names as they were given.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Snapshot {
    /// Which queue.
    pub queue: QueueId,
    /// Its name, if it was given one.
    pub name: Option<String>,
    /// How far it has come.
    pub state: State,
    /// Its bound, in items.
    pub capacity: Option<usize>,
    /// Items that wait for a consumer, including delayed ones.
    pub buffered: usize,
    /// Items that were given back and wait: for their [backoff](crate::Builder::redelivery_backoff), or as long as
    /// [`retry_after`](crate::Item::retry_after) or [`release_after`](crate::Item::release_after) said.
    pub delayed: usize,
    /// Items handed out and not settled.
    pub leased: u64,
    /// Puts and reservations that wait for room.
    pub waiting_puts: usize,
    /// Takes that wait for an item.
    pub waiting_gets: usize,
    /// What became of the items so far.
    pub totals: Totals,
    /// Running pools: each can open consumers at any time.
    pub pools: usize,
    /// Producers that are open.
    pub producers: Vec<ProducerStatus>,
    /// Consumers that are open or hold items.
    pub consumers: Vec<ConsumerStatus>,
    /// Whether several processes share the queue. Then `buffered`, `delayed` and `totals` count the items of all of them, as
    /// of at most a second ago, and the rest describes this process.
    #[cfg_attr(feature = "serde", serde(default))]
    pub distributed: bool,
    /// How long ago the oldest of the next items was put. Known only if several processes share the queue.
    #[cfg_attr(feature = "serde", serde(default))]
    pub oldest: Option<Duration>,
    /// The other processes.
    #[cfg_attr(feature = "serde", serde(default))]
    pub processes: Vec<ProcessStatus>,
}
