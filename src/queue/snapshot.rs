//! What the queue tells about itself: its state, totals, endpoints, and why it is not done.

use std::fmt;
use std::time::Duration;

use super::ids::{ConsumerId, ProducerId, QueueId};
use super::shared::{Control, Shared};

/// How far a queue has come. It moves one way only: `Open`, `Sealed`, `Draining`, `Drained`, or to
/// `Aborted` from any but `Drained`. It may skip a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    /// Ended before that.
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
    /// Every item was settled.
    Complete,
    /// Somebody called `abort`, or a shutdown ran out of time.
    Aborted,
    /// Items were left, and no consumer to take them.
    Abandoned,
}

/// What became of the items so far.
///
/// With no call running, `accepted` = `acked` + `taken` + `dead_lettered` + `discarded` + buffered
/// + leased.
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
}

/// The end of a queue, as a consumer actor hears of it and `drained()` returns it.
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
    /// are exact. After an abort or a shutdown, calls that were still running may not be counted,
    /// and items that are still leased are missing from the sum.
    pub totals: Totals,
}

/// What is left of a queue that was shut down.
#[derive(Debug)]
#[non_exhaustive]
pub struct ShutdownReport<T> {
    /// How it ended: `Complete`, `Aborted` when the grace was over, `Abandoned` when no consumer was
    /// left before that.
    pub drained: Drained,
    /// The items that nobody had been handed when it ended, oldest first.
    pub left: Vec<T>,
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
    /// How long ago the last lease began, to some milliseconds; `None` if it holds nothing.
    pub last_lease: Option<Duration>,
}

/// A queue at one moment.
///
/// It prints as a short report with `{}`, [`blockers`](Snapshot::blockers) included.
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
    /// Items that wait for a consumer.
    pub buffered: usize,
    /// Items handed out and not settled.
    pub leased: u64,
    /// Puts and reservations that wait for room.
    pub waiting_puts: usize,
    /// Takes that wait for an item.
    pub waiting_gets: usize,
    /// What became of the items so far.
    pub totals: Totals,
    /// Producers that are open.
    pub producers: Vec<ProducerStatus>,
    /// Consumers that are open or hold items.
    pub consumers: Vec<ConsumerStatus>,
}

impl<T> Shared<T> {
    pub(crate) fn snapshot(&self) -> Snapshot {
        let now = self.clock.now();
        let control = self.control();
        let producers = control.registry.producers().into_iter().map(|open| ProducerStatus {
            id: open.endpoint.id,
            name: open.endpoint.name.to_string(),
            handles: open.handles,
            puts: open.puts,
            last_put: open.last_put.known().map(|stamp| now.since(stamp)),
        });
        let consumers = control.registry.consumers().map(|row| {
            let leased = row.in_flight();
            ConsumerStatus {
                id: row.id,
                name: row.name.to_string(),
                open: !row.is_closed(),
                taken: row.taken(),
                acked: row.acked(),
                leased,
                last_lease: (leased > 0).then(|| now.since(row.last_lease())),
            }
        });
        let (producers, consumers): (Vec<_>, Vec<_>) = (producers.collect(), consumers.collect());
        Snapshot {
            queue: self.id,
            name: self.name.as_deref().map(str::to_owned),
            state: control.state(),
            capacity: self.ring.capacity(),
            buffered: self.buffered(&control),
            leased: consumers.iter().map(|row| row.leased).sum(),
            waiting_puts: control.putters.len(),
            waiting_gets: control.getters.len(),
            totals: control.totals(),
            producers,
            consumers,
        }
    }

    pub(super) fn buffered(&self, control: &Control<T>) -> usize {
        self.ring.len() + control.side.len() + control.returned.len()
    }
}

/// One reason why a queue is not drained.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Blocker {
    /// Endpoints may still be opened.
    NotSealed,
    /// A producer may still put.
    ProducerOpen(ProducerStatus),
    /// Items wait for a consumer.
    Buffered {
        /// How many.
        items: usize,
        /// Consumers that could take them.
        consumers: usize,
    },
    /// A consumer has not settled what it was handed.
    Leased(ConsumerStatus),
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSealed => f.write_str("not sealed: call seal(), or drop the queue's handles and actor addresses"),
            Self::ProducerOpen(producer) => {
                write!(f, "producer {} is open, {}", producer.name, count(producer.puts, "put"))?;
                if producer.handles > 1 {
                    write!(f, " through {} handles", producer.handles)?;
                }
                match producer.last_put {
                    Some(age) => write!(f, ", last one {} ago", Age(age)),
                    None => Ok(()),
                }
            }
            Self::Buffered { items, consumers: 0 } => {
                write!(f, "{} buffered and no consumer is open", count(*items as u64, "item"))
            }
            Self::Buffered { items, consumers } => {
                write!(f, "{} buffered for {}", count(*items as u64, "item"), count(*consumers as u64, "consumer"))
            }
            Self::Leased(consumer) => {
                let gone = if consumer.open { "" } else { " (closed)" };
                write!(f, "consumer {}{gone} holds {}", consumer.name, count(consumer.leased, "item"))?;
                match (consumer.last_lease, consumer.leased) {
                    (Some(age), 1) => write!(f, " since {}", Age(age)),
                    (Some(age), _) => write!(f, ", the last one since {}", Age(age)),
                    (None, _) => Ok(()),
                }
            }
        }
    }
}

/// Why a queue is not drained: every reason, or none if it has ended.
///
/// Prints as one line with `{}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blockers(Vec<Blocker>);

impl std::ops::Deref for Blockers {
    type Target = [Blocker];

    fn deref(&self) -> &[Blocker] {
        &self.0
    }
}

impl IntoIterator for Blockers {
    type Item = Blocker;
    type IntoIter = std::vec::IntoIter<Blocker>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Blockers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, blocker) in self.0.iter().enumerate() {
            write!(f, "{}{blocker}", if index == 0 { "" } else { "; " })?;
        }
        if self.0.is_empty() { f.write_str("nothing") } else { Ok(()) }
    }
}

impl Snapshot {
    /// Why the queue is not drained, with the names of those who keep it from it.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_iterable_queue::IterableQueue;
    ///
    /// let queue = IterableQueue::unbounded();
    /// let producer = queue.producer_named("http")?;
    /// let mut worker = queue.consumer_named("worker-2")?;
    /// producer.try_put("job")?;
    /// let job = worker.try_lease()?;
    /// let blockers = queue.snapshot().blockers().to_string();
    /// assert!(blockers.contains("not sealed"));
    /// assert!(blockers.contains("producer http is open, 1 put"));
    /// assert!(blockers.contains("consumer worker-2 holds 1 item"));
    /// # job.ack();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn blockers(&self) -> Blockers {
        if matches!(self.state, State::Drained | State::Aborted) {
            return Blockers(Vec::new());
        }
        let mut blockers = Vec::new();
        if self.state == State::Open {
            blockers.push(Blocker::NotSealed);
        }
        blockers.extend(self.producers.iter().cloned().map(Blocker::ProducerOpen));
        if self.buffered > 0 {
            let consumers = self.consumers.iter().filter(|consumer| consumer.open).count();
            blockers.push(Blocker::Buffered { items: self.buffered, consumers });
        }
        blockers.extend(self.consumers.iter().filter(|consumer| consumer.leased > 0).cloned().map(Blocker::Leased));
        Blockers(blockers)
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} ({}): {}", self.queue, self.state)?,
            None => write!(f, "{}: {}", self.queue, self.state)?,
        }
        write!(f, ", {} buffered", self.buffered)?;
        if let Some(capacity) = self.capacity {
            write!(f, " of {capacity}")?;
        }
        let t = &self.totals;
        write!(
            f,
            ", {} leased; {} accepted, {} acked, {} taken, {} dead-lettered, {} discarded, {} redelivered",
            self.leased, t.accepted, t.acked, t.taken, t.dead_lettered, t.discarded, t.redelivered
        )?;
        for blocker in &*self.blockers() {
            write!(f, "\n  waits: {blocker}")?;
        }
        Ok(())
    }
}

fn count(n: u64, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// A duration as one reads it: `80 ms`, `5 s`, `3 min`, `2 h`.
struct Age(Duration);

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            0 => write!(f, "{} ms", self.0.as_millis()),
            secs @ 1..120 => write!(f, "{secs} s"),
            secs @ 120..7200 => write!(f, "{} min", secs / 60),
            secs => write!(f, "{} h", secs / 3600),
        }
    }
}
