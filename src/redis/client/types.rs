//! What calls take and answer.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use redis::RedisError;

use crate::redis::server::connection::LONGEST_PATIENCE;

/// How much one call may carry: items of a put or a claim, operations of a settle.
pub(crate) const MAX_BATCH: usize = 1_000;

/// What all processes of a queue must agree on.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) capacity: Option<usize>,
    pub(crate) max_attempts: u32,
    pub(crate) lease: Duration,
    pub(crate) retention: Duration,
    pub(crate) seal_when_unowned: bool,
}

impl Settings {
    /// Returns how long to wait for the answer to a small call: there must be time for another try within the lease.
    pub(crate) fn patience(&self) -> Duration {
        (self.lease / 3).clamp(Duration::from_millis(200), LONGEST_PATIENCE)
    }

    pub(crate) fn encode(&self) -> Vec<String> {
        vec![
            self.capacity.unwrap_or(0).to_string(),
            self.max_attempts.to_string(),
            millis(self.lease).to_string(),
            millis(self.retention).to_string(),
            u8::from(self.seal_when_unowned).to_string(),
        ]
    }
}

/// Why a call did nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No answer, or one that tells of Redis rather than of the queue: whether it was done is not
    /// known. To be repeated later.
    Away(RedisError),
    /// Redis has no memory left for it.
    NoMemory,
    /// The queue's keys are not there any more.
    Gone,
    /// This process was found silent for longer than its lease, or has left.
    Fenced,
    /// It came through a connection that is not the one of the last [`attach`](super::QueueClient::attach).
    Stale,
}

impl Failure {
    /// Redis answers, and the queue is not there: it may be where the address leads by now.
    pub(crate) fn is_elsewhere(&self) -> bool {
        match self {
            Self::Gone => true,
            Self::Away(error) => matches!(error.code(), Some("MOVED" | "CLUSTERDOWN")),
            _ => false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(error) => error.fmt(f),
            Self::NoMemory => f.write_str("Redis has no memory left"),
            Self::Gone => f.write_str("the queue's keys are gone"),
            Self::Fenced => f.write_str("this process was silent for longer than its lease"),
            Self::Stale => f.write_str("the connection has a successor"),
        }
    }
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        if error.code() == Some("OOM") { Self::NoMemory } else { Self::Away(error) }
    }
}

/// What came of registering endpoints.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Registered {
    Ok,
    /// The queue is sealed: it has as many producers of this process as before. All else is registered.
    Sealed {
        producers: u64,
    },
    Ended,
}

/// What came of a put. The number is that of the last item that was accepted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PutReply {
    Accepted {
        last: u64,
        /// How much is left; `None` if there is no end of it.
        room: Option<u64>,
    },
    /// No room for the rest; a message says when there is some.
    Full(u64),
    /// Redis has forgotten items after this one, which it had accepted: it is an older copy.
    Gap,
    /// This process has registered no producer.
    Closed,
    Ended,
}

/// What came of a claim.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ClaimReply {
    /// Deliveries `first`, `first` + 1, ….
    Items {
        first: u64,
        entries: Vec<Entry>,
    },
    /// A message says when there is something; what is delayed is to be claimed when it is due.
    Empty {
        next_due: Option<Duration>,
    },
    Ended,
}

/// An item as Redis has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// How many attempts count against it so far.
    pub(crate) attempts: u32,
    /// When it was put, on the server's clock in ms. Of a dead letter, its number.
    pub(crate) time: u64,
    /// JSON.
    pub(crate) payload: Vec<u8>,
}

/// How a delivery ends, by its id; or a child that is put.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    /// A new item (JSON). In a batch, children are there before anything is settled.
    Child(Vec<u8>),
    Ack(u64),
    Taken(u64),
    /// Failed: comes back after a delay, as this (JSON). If that is empty, as it was.
    Requeue(u64, Duration, Vec<u8>),
    /// The same without an attempt that counts.
    Release(u64, Duration, Vec<u8>),
    /// Nobody has looked at it: the first to be claimed again. Those of a batch keep their order, and
    /// come before those of earlier batches.
    Undo(u64),
    /// Given up, with its letter (JSON).
    Dead(u64, Vec<u8>),
    /// Those of these that are still held have been for too long: each counts an attempt.
    Overdue(RangeInclusive<u64>),
}

impl Op {
    /// How much of an item goes along.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Child(payload) | Self::Requeue(.., payload) | Self::Release(.., payload) | Self::Dead(_, payload) => {
                payload.len()
            }
            Self::Ack(_) | Self::Taken(_) | Self::Undo(_) | Self::Overdue(_) => 0,
        }
    }

    /// How many deliveries it is about.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Overdue(ids) => (ids.end() - ids.start() + 1) as usize,
            _ => 1,
        }
    }

    /// Leaves an item of more than `most` bytes as Redis has it. Returns whether it was one.
    pub(crate) fn leave_as_put(&mut self, most: usize) -> bool {
        match self {
            Self::Requeue(.., payload) | Self::Release(.., payload) | Self::Dead(_, payload)
                if payload.len() > most =>
            {
                payload.clear();
                true
            }
            _ => false,
        }
    }
}

/// What came of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SettleReply {
    /// Done; `late` of its deliveries were not this process's any more.
    Done { late: u64 },
    /// The queue had ended: nothing was done.
    Ended,
}

/// What came of a renewal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Renewed {
    /// `more`: there is more to clear up after others than one call may do, so renew again soon.
    Ok {
        more: bool,
    },
    Ended,
}

/// Rounded up: nothing comes before its time, and a short delay is not none. Bounded, as Lua's numbers
/// are exact up to 2^53: a hundred years.
pub(crate) fn millis(duration: Duration) -> u64 {
    const CENTURY: u128 = 100 * 366 * 24 * 3_600 * 1_000;
    duration.as_nanos().div_ceil(1_000_000).min(CENTURY) as u64
}
