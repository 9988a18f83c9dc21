//! The result of a ledger's audit.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::hash::Hash;

use super::notes::{Event, NotedEnd, NotedPut};
use crate::one_line::OneLine;

/// What became of every item. Returned by [`Ledger::audit`](super::Ledger::audit).
///
/// [`is_clean`](Audit::is_clean) says whether all is well, and `{}` prints what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Audit<K> {
    /// How many items were accepted. Unsure ones count if they turned up.
    pub accepted: u64,
    /// How many ends were noted by consumers, with `finished` or `taken`.
    pub finished: u64,
    /// How many were noted as dead letters, also if they were retried later.
    pub dead_lettered: u64,
    /// How many were noted as left over.
    pub left_over: u64,
    /// Items that were accepted, but never handed out and came to no end.
    ///
    /// Not even an abort may lose an item, as it returns those that were never handed out. But items that died in the
    /// mailbox of an actor that is served by address, before its handler has looked at them, are also here.
    pub lost: Vec<K>,
    /// Items that were handed out and came to no end.
    ///
    /// After an abort these are the items that consumers held and did not ack, which were discarded.
    pub unfinished: Vec<K>,
    /// Items that came to more than one end, were handed out twice with the same attempt, were handed out after their end,
    /// or were finished by a consumer that was not the last to be handed them.
    ///
    /// The notes of different writers have no order among each other. So a hand-out after the end is found if its attempt
    /// is higher than the one that `finished` the item, or if the consumer that noted the end, with `finished` or `taken`,
    /// also notes the hand-out. If another consumer was handed an item after it was taken without a lease, dead-lettered
    /// or left over, that cannot be told from a hand-out before: such an item is here only if it comes to an end again.
    pub twice: Vec<K>,
    /// Items that were handed out or came to an end, although no producer has put them.
    pub from_nowhere: Vec<K>,
    /// Pairs of items of one producer that a consumer was handed, for the first time, in this order, although they were put
    /// the other way round.
    ///
    /// Items that died in the mailbox of an actor that is served by address are handed out as if for the first time once
    /// more, so they may be here although nothing is wrong.
    pub out_of_order: Vec<(K, K)>,
    /// How often consumers of each name were told of the end. More than once is never right. 0 is right for an actor that
    /// died before the end.
    pub told: BTreeMap<String, u64>,
}

/// What is known of one item.
struct Fate {
    producer: usize,
    /// Its position among the puts of its producer.
    position: usize,
    certain: bool,
    /// Noted as handed out or ended.
    seen: bool,
    ends: u32,
    /// How often it was a dead letter that was retried.
    retries: u32,
    twice: bool,
    /// The attempts at which it was handed out.
    attempts: BTreeSet<u32>,
    /// The consumer that was handed it last, in the order in which the lists are read, and at which attempt.
    holder: Option<(usize, u32)>,
    /// The consumer that noted an end of it last, in that order.
    ended_by: Option<usize>,
    /// The attempt that finished it, if that is known.
    finished_at: Option<u32>,
    /// Finished by a consumer that has noted no hand-out of it.
    not_held: bool,
}

impl Fate {
    fn end(&mut self, consumer: usize) {
        self.ends += 1;
        self.ended_by = Some(consumer);
    }

    fn is_twice(&self) -> bool {
        let last = self.attempts.last();
        let handed_later = self.finished_at.is_some_and(|attempt| last.is_some_and(|last| *last > attempt));
        let anothers = self.not_held && last.is_some();
        if self.retries > 0 {
            // Attempts began anew, so they tell nothing.
            return self.ends > self.retries + 1;
        }
        self.twice || self.ends > 1 || handed_later || anothers
    }
}

impl<K: Clone + Eq + Hash + fmt::Debug> Audit<K> {
    #[track_caller]
    pub(super) fn of(
        producers: &[Vec<NotedPut<K>>],
        consumers: &[(String, Vec<Event<K>>)],
        ends: &[(K, NotedEnd)],
    ) -> Self {
        let mut audit = Self {
            accepted: 0,
            finished: 0,
            dead_lettered: 0,
            left_over: 0,
            lost: Vec::new(),
            unfinished: Vec::new(),
            twice: Vec::new(),
            from_nowhere: Vec::new(),
            out_of_order: Vec::new(),
            told: BTreeMap::new(),
        };
        let mut fates = fates(producers);
        for (name, list) in consumers {
            let told = list.iter().filter(|event| matches!(event, Event::Told)).count();
            *audit.told.entry(name.clone()).or_default() += told as u64;
        }
        for (consumer, (_, list)) in consumers.iter().enumerate() {
            for event in list {
                audit.follow(&mut fates, consumer, event);
            }
        }
        for (key, end) in ends {
            match end {
                NotedEnd::DeadLettered => audit.dead_lettered += 1,
                NotedEnd::LeftOver => audit.left_over += 1,
                NotedEnd::Retried => {}
            }
            audit.note(&mut fates, key, |fate| match end {
                NotedEnd::Retried => fate.retries += 1,
                NotedEnd::DeadLettered | NotedEnd::LeftOver => fate.ends += 1,
            });
        }
        for (_, list) in consumers {
            audit.look_for_disorder(&fates, list);
        }
        for put in producers.iter().flatten() {
            let fate = &fates[&put.key];
            if fate.certain || fate.seen {
                audit.accepted += 1;
            }
            if fate.is_twice() {
                audit.twice.push(put.key.clone());
            }
            match (fate.ends.saturating_sub(fate.retries), fate.seen) {
                (0, true) => audit.unfinished.push(put.key.clone()),
                (0, false) if fate.certain => audit.lost.push(put.key.clone()),
                _ => {}
            }
        }
        audit
    }

    fn follow(&mut self, fates: &mut HashMap<&K, Fate>, consumer: usize, event: &Event<K>) {
        match event {
            Event::Handed(key, attempt) => self.note(fates, key, |fate| {
                let again = !fate.attempts.insert(*attempt);
                fate.twice |= again || fate.ended_by == Some(consumer);
                fate.holder = Some((consumer, *attempt));
            }),
            Event::Finished(key) => {
                self.finished += 1;
                self.note(fates, key, |fate| {
                    fate.end(consumer);
                    match fate.holder {
                        Some((holder, attempt)) if holder == consumer => fate.finished_at = Some(attempt),
                        _ => fate.not_held = true,
                    }
                });
            }
            Event::Taken(key) => {
                self.finished += 1;
                self.note(fates, key, |fate| fate.end(consumer));
            }
            Event::Told => {}
        }
    }

    fn note(&mut self, fates: &mut HashMap<&K, Fate>, key: &K, note: impl FnOnce(&mut Fate)) {
        match fates.get_mut(key) {
            Some(fate) => {
                fate.seen = true;
                note(fate);
            }
            None => self.from_nowhere.push(key.clone()),
        }
    }

    /// Checks that a consumer was handed the items of each producer, for the first time, in the order of their puts.
    fn look_for_disorder(&mut self, fates: &HashMap<&K, Fate>, list: &[Event<K>]) {
        let mut latest: HashMap<usize, (usize, &K)> = HashMap::new();
        for event in list {
            let (key, fate) = match event {
                Event::Handed(key, 1) => (key, fates.get(key)),
                Event::Taken(key) => (key, fates.get(key).filter(|fate| fate.attempts.is_empty())),
                _ => continue,
            };
            let Some(fate) = fate else { continue };
            match latest.get(&fate.producer) {
                Some((position, before)) if *position > fate.position => {
                    self.out_of_order.push(((*before).clone(), key.clone()));
                }
                _ => {
                    latest.insert(fate.producer, (fate.position, key));
                }
            }
        }
    }
}

#[track_caller]
fn fates<K: Eq + Hash + fmt::Debug>(producers: &[Vec<NotedPut<K>>]) -> HashMap<&K, Fate> {
    let mut fates = HashMap::with_capacity(producers.iter().map(Vec::len).sum());
    for (producer, list) in producers.iter().enumerate() {
        for (position, NotedPut { key, certain }) in list.iter().enumerate() {
            let fate = Fate {
                producer,
                position,
                certain: *certain,
                seen: false,
                ends: 0,
                retries: 0,
                twice: false,
                attempts: BTreeSet::new(),
                holder: None,
                ended_by: None,
                finished_at: None,
                not_held: false,
            };
            if fates.insert(key, fate).is_some() {
                panic!("two items with the key {key:?} were put: the ledger cannot tell them apart");
            }
        }
    }
    fates
}

impl<K> Audit<K> {
    /// Returns whether nothing was lost, unfinished, done twice, from nowhere or out of order, and no consumer was told of
    /// the end twice.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::testing::Ledger;
    /// let ledger = Ledger::new();
    /// ledger.producer().accepted(7);
    /// assert!(!ledger.audit().is_clean());
    /// ledger.consumer("worker").taken(7);
    /// assert!(ledger.audit().is_clean());
    /// ```
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.lost.is_empty()
            && self.unfinished.is_empty()
            && self.twice.is_empty()
            && self.from_nowhere.is_empty()
            && self.out_of_order.is_empty()
            && self.told.values().all(|times| *times <= 1)
    }

    /// Panics with what is wrong, if anything is.
    ///
    /// # Panics
    ///
    /// If it is not [clean](Audit::is_clean).
    ///
    /// # Examples
    ///
    /// ```should_panic
    /// # use actix_iterable_queue::testing::Ledger;
    /// let ledger = Ledger::new();
    /// ledger.producer().accepted(7);
    /// ledger.audit().assert_clean(); // it is lost
    /// ```
    #[track_caller]
    pub fn assert_clean(&self)
    where
        K: fmt::Debug,
    {
        assert!(self.is_clean(), "{self}");
    }
}

/// Prints this many items of each kind, and counts the others.
const SHOWN: usize = 5;

impl<K: fmt::Debug> fmt::Display for Audit<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} accepted, {} finished, {} dead-lettered, {} left over",
            self.accepted, self.finished, self.dead_lettered, self.left_over
        )?;
        show(f, "lost", &self.lost)?;
        show(f, "unfinished", &self.unfinished)?;
        show(f, "twice", &self.twice)?;
        show(f, "from nowhere", &self.from_nowhere)?;
        show(f, "out of order", &self.out_of_order)?;
        for (name, times) in self.told.iter().filter(|(_, times)| **times > 1) {
            write!(f, "; {} was told of the end {times} times", OneLine(name))?;
        }
        Ok(())
    }
}

fn show<V: fmt::Debug>(f: &mut fmt::Formatter<'_>, what: &str, found: &[V]) -> fmt::Result {
    if found.is_empty() {
        return Ok(());
    }
    write!(f, "; {} {what}: {:?}", found.len(), &found[..found.len().min(SHOWN)])?;
    if found.len() > SHOWN { f.write_str(" …") } else { Ok(()) }
}
