//! Why a queue is not drained, and how that and snapshots are printed.

use std::fmt;

use crate::one_line::OneLine;
use crate::queue::ids::label;
use crate::queue::report::snapshot::{ConsumerStatus, ProcessStatus, ProducerStatus, Snapshot, State};
use crate::queue::report::units::{Age, count};

/// One reason why a queue is not drained.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Blocker {
    /// Endpoints may still be opened.
    NotSealed,
    /// A producer may still put.
    ProducerOpen(ProducerStatus),
    /// The queue is sealed and its last consumer is gone: the buffered items will never be taken.
    Abandoned {
        /// How many items will be dropped.
        items: usize,
    },
    /// Items wait for a consumer.
    Buffered {
        /// How many.
        items: usize,
        /// Consumers that could take them.
        consumers: usize,
        /// How many more are paused.
        paused: usize,
        /// Pools that may open further ones.
        pools: usize,
    },
    /// Items were given back, and wait before they come back.
    Delayed {
        /// How many.
        items: usize,
    },
    /// A consumer holds items that it has not settled.
    Leased(ConsumerStatus),
    /// Another process may open endpoints, may put, or holds items that it has not settled.
    Process(ProcessStatus),
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSealed => {
                f.write_str("not sealed: call seal(), or in memory drop the queue's handles and actor addresses")
            }
            Self::Process(process) => write_process(f, process),
            Self::ProducerOpen(producer) => {
                write!(f, "producer {} is open, {}", OneLine(&producer.name), count(producer.puts, "put"))?;
                if producer.handles > 1 {
                    write!(f, " through {} handles", producer.handles)?;
                }
                match producer.last_put {
                    Some(age) => write!(f, ", last one {} ago", Age(age)),
                    None => Ok(()),
                }
            }
            Self::Abandoned { items } => {
                write!(
                    f,
                    "no consumer is left: {} will be dropped with the last producer, or the last handle of the queue",
                    count(*items as u64, "item")
                )
            }
            Self::Buffered { items, consumers: 0, paused: 0, pools } => {
                write!(f, "{} buffered and no consumer is open", count(*items as u64, "item"))?;
                if *pools > 0 { f.write_str(": the workers of the pool are about to be replaced") } else { Ok(()) }
            }
            Self::Buffered { items, consumers, paused, .. } => {
                write!(f, "{} buffered for {}", count(*items as u64, "item"), count(*consumers as u64, "consumer"))?;
                if *paused > 0 {
                    write!(f, ", and {paused} paused")?;
                }
                Ok(())
            }
            Self::Delayed { items } => {
                write!(f, "{} will come back after a delay", count(*items as u64, "item"))
            }
            Self::Leased(consumer) => {
                let stuck = if consumer.stuck { " is stuck and" } else { "" };
                let gone = if consumer.open { "" } else { " (closed)" };
                let (name, items) = (OneLine(&consumer.name), count(consumer.leased, "item"));
                write!(f, "consumer {name}{gone}{stuck} ")?;
                match (consumer.last_lease, consumer.leased) {
                    (Some(age), 1) => write!(f, "has held {items} for {}", Age(age)),
                    (Some(age), _) => write!(f, "has held {items}, the last one for {}", Age(age)),
                    (None, _) => write!(f, "holds {items}"),
                }
            }
        }
    }
}

fn write_process(f: &mut fmt::Formatter<'_>, process: &ProcessStatus) -> fmt::Result {
    write!(f, "process {}", OneLine(&process.name))?;
    let mut separator = " ";
    if process.can_open {
        write!(f, "{separator}has a handle of the queue")?;
        separator = ", ";
    }
    if process.producers > 0 {
        write!(
            f,
            "{separator}has {} open ({})",
            count(process.producers, "producer"),
            OneLine(process.producer_names.join(", "))
        )?;
        separator = ", ";
    }
    if process.leased > 0 {
        write!(f, "{separator}holds {}", count(process.leased, "item"))?;
    }
    write!(f, "; seen {} ago", Age(process.last_seen))
}

/// Every reason why a queue is not drained; empty if it has ended.
///
/// Prints as one line with `{}`. Dereferences to a slice of reasons; with the feature `serde` it serializes as a list.
///
/// # Examples
///
/// ```
/// use actix_iterable_queue::IterableQueue;
/// use actix_iterable_queue::report::Blocker;
///
/// let queue = IterableQueue::<u8>::unbounded();
/// let _producer = queue.producer_named("http")?;
/// queue.seal();
/// for blocker in &queue.snapshot().blockers() {
///     match blocker {
///         Blocker::ProducerOpen(producer) => println!("{} may still put", producer.name),
///         other => println!("{other}"),
///     }
/// }
/// # Ok::<(), actix_iterable_queue::error::OpenError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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

impl<'a> IntoIterator for &'a Blockers {
    type Item = &'a Blocker;
    type IntoIter = std::slice::Iter<'a, Blocker>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
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
    /// Returns why the queue is not drained, by name: what is holding it up.
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
    /// assert!(blockers.contains("consumer worker-2 has held 1 item for "));
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
        let open = self.consumers.iter().filter(|consumer| consumer.open);
        let (paused, consumers): (Vec<_>, Vec<_>) = open.partition(|consumer| consumer.paused);
        let elsewhere: u64 = self.processes.iter().map(|process| process.consumers).sum();
        let (paused, consumers, pools) = (paused.len(), consumers.len() + elsewhere as usize, self.pools);
        if !self.distributed && self.buffered > 0 && self.state != State::Open && consumers + paused + pools == 0 {
            blockers.push(Blocker::Abandoned { items: self.buffered });
        } else {
            let (items, delayed) = (self.buffered.saturating_sub(self.delayed), self.delayed);
            blockers.extend((items > 0).then_some(Blocker::Buffered { items, consumers, paused, pools }));
            blockers.extend((delayed > 0).then_some(Blocker::Delayed { items: delayed }));
        }
        blockers.extend(self.consumers.iter().filter(|consumer| consumer.leased > 0).cloned().map(Blocker::Leased));
        let blocking = self.processes.iter().cloned().filter_map(|mut process| {
            process.can_open &= self.state == State::Open;
            (process.can_open || process.producers > 0 || process.leased > 0).then_some(Blocker::Process(process))
        });
        blockers.extend(blocking);
        Blockers(blockers)
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}, {} buffered", label(self.name.as_deref(), self.queue), self.state, self.buffered)?;
        if let Some(capacity) = self.capacity {
            write!(f, " of {capacity}")?;
        }
        if self.delayed > 0 {
            write!(f, " ({} delayed)", self.delayed)?;
        }
        if let Some(oldest) = self.oldest {
            write!(f, " (the oldest put {} ago)", Age(oldest))?;
        }
        let t = &self.totals;
        write!(
            f,
            ", {} leased; {} accepted, {} acked, {} taken, {} dead-lettered, {} discarded, {} redelivered",
            self.leased, t.accepted, t.acked, t.taken, t.dead_lettered, t.discarded, t.redelivered
        )?;
        if t.retried > 0 {
            write!(f, ", {} retried", count(t.retried, "dead letter"))?;
        }
        if t.letters_dropped > 0 {
            write!(f, ", {} dropped", count(t.letters_dropped, "dead letter"))?;
        }
        for (waiting, operation) in [(self.waiting_puts, "put"), (self.waiting_gets, "get")] {
            if waiting > 0 {
                write!(f, ", {} waiting", count(waiting as u64, operation))?;
            }
        }
        for blocker in &self.blockers() {
            write!(f, "\n  waits: {blocker}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Blocker, ProcessStatus};

    #[test]
    fn names_of_other_processes_stay_on_their_line() {
        let process = ProcessStatus {
            name: "web\n  waits: nothing".to_owned(),
            can_open: false,
            producers: 2,
            producer_names: vec!["a\rb".to_owned(), "\u{202e}c".to_owned()],
            consumers: 0,
            leased: 1,
            last_seen: Duration::from_secs(2),
        };
        assert_eq!(
            Blocker::Process(process).to_string(),
            r"process web\n  waits: nothing has 2 producers open (a\rb, \u{202e}c), holds 1 item; seen 2 s ago"
        );
    }
}
