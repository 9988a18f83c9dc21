//! What the queue tells about itself: its state, totals, endpoints, and why it is not done.

use std::fmt;
use std::time::Duration;

use crate::queue::ids::{ConsumerId, ProducerId, QueueId};

/// How far a queue has come. It moves one way only: `Open`, `Sealed`, `Draining`, `Drained`, or to
/// `Aborted` from any but `Drained`. It may skip a step.
///
/// A later state is the greater one: `state >= State::Drained` says that the queue has ended.
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
    /// Ended before that; the [`Outcome`] tells whether by an abort or abandoned.
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
    /// Somebody called `abort`, or a shutdown ran out of time.
    Aborted,
    /// Items were left, and no consumer to take them.
    Abandoned,
    /// This process has left the queue, which goes on elsewhere.
    Left,
}

/// What became of the items so far.
///
/// With no call running, `accepted` = `acked` + `taken` + `dead_lettered` + `discarded` + buffered
/// + leased. Over Redis they are those of all processes, and so are the items that are buffered and leased in this sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Totals {
    /// Items that the queue took in, from producers and through leases.
    pub accepted: u64,
    /// Items whose lease ended with `ack`.
    pub acked: u64,
    /// Items taken for good: with `get`, an iterator, or `into_inner`.
    pub taken: u64,
    /// Items that used up their attempts or were rejected.
    pub dead_lettered: u64,
    /// Items handed to the caller of `abort`, left when the queue was abandoned, or unsettled
    /// after the end.
    pub discarded: u64,
    /// How many times an item came back to the buffer. Not part of the sum above.
    pub redelivered: u64,
    /// Producers that died with their process, which may have had more to put. 0 in memory: there, all die
    /// together.
    #[cfg_attr(feature = "serde", serde(default))]
    pub lost_producers: u64,
}

/// The end of a queue, however it came (look at `outcome`), as a consumer actor hears of it and
/// `drained()` returns it.
///
/// It names the queue but not its item type: an actor may consume from several queues.
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
    /// What became of the items. When all producers had closed and the outcome is `Complete`, they
    /// are exact. After an abort or a shutdown, calls that were still running may be missing, and items
    /// that are still leased are missing from the sum.
    pub totals: Totals,
}

/// What is left of a queue that was shut down.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport<T> {
    /// How it ended: `Complete`, `Aborted` when the grace was over, `Abandoned` when no consumer was
    /// left before that.
    pub drained: Drained,
    /// The items that nobody had been handed when it ended, oldest first.
    pub left: Vec<T>,
    /// The consumers that held items when the end of the grace aborted the queue. What they acked after
    /// that counts, what they did not is discarded.
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
    /// How long ago the last put was, to some milliseconds. `None` if there was none, or if it is
    /// not known: a put that found no consumer waiting takes no time to look at the clock.
    pub last_put: Option<Duration>,
}

/// A consumer that is open, or that has gone and left items unsettled, in a [`Snapshot`].
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
    /// The name it was given, or its host and number there.
    pub name: String,
    /// Whether it may open endpoints: it holds a handle of the queue.
    pub can_open: bool,
    /// How many producers it has open.
    pub producers: u64,
    /// Some of their names.
    pub producer_names: Vec<String>,
    /// How many consumers it has open, and pools.
    pub consumers: u64,
    /// Items that it has fetched and not settled.
    pub leased: u64,
    /// How long ago it last gave a sign of life.
    pub last_seen: Duration,
}

/// A queue at one moment.
///
/// It prints as a short report with `{}`, [`blockers`](Snapshot::blockers) included. Control characters in names are
/// printed as escapes (`\n`, `\u{1b}`), there and in the log; the fields have the names as they were given.
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
    /// Items that wait for a consumer, those that are delayed included.
    pub buffered: usize,
    /// Items that failed and wait for their [backoff](crate::Builder::redelivery_backoff) to be over.
    pub delayed: usize,
    /// Items handed out and not settled.
    pub leased: u64,
    /// Puts and reservations that wait for room.
    pub waiting_puts: usize,
    /// Takes that wait for an item.
    pub waiting_gets: usize,
    /// What became of the items so far.
    pub totals: Totals,
    /// Pools that run: each can open consumers at any time.
    pub pools: usize,
    /// Producers that are open.
    pub producers: Vec<ProducerStatus>,
    /// Consumers that are open or hold items.
    pub consumers: Vec<ConsumerStatus>,
    /// Whether several processes share it: then buffered, delayed, totals are those of all of them, of at most a
    /// second ago; the rest is of this one.
    #[cfg_attr(feature = "serde", serde(default))]
    pub distributed: bool,
    /// How long ago the oldest item was put, of those that come next. Known only of a queue that several processes
    /// share.
    #[cfg_attr(feature = "serde", serde(default))]
    pub oldest: Option<Duration>,
    /// The other processes.
    #[cfg_attr(feature = "serde", serde(default))]
    pub processes: Vec<ProcessStatus>,
}
