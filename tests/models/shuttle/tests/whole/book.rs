//! Who was handed what: the oracle of all models.
//!
//! The book is no part of what is checked, so its lock is std's: to shuttle it is not there.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard};

use model::{DeadLetter, Drained, Outcome, Snapshot};

/// An item: who made it, and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Job {
    source: usize,
    number: u32,
}

/// Where a job is, as those know who had it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// On its way into the queue, or in there.
    Put,
    Held,
    /// Given back, and so in the queue, or a dead letter, or discarded after the end.
    Back,
    Acked,
    Taken,
    Rejected,
    /// A letter that was read.
    Letter,
    /// Handed to whoever ended the queue.
    Left,
    Refused,
}

#[derive(Debug)]
struct Life {
    at: At,
    accepted: bool,
    attempts: u32,
    /// Rejected, or used up.
    letter: bool,
}

#[derive(Default)]
pub struct Book {
    max_attempts: u32,
    pages: Mutex<Pages>,
}

#[derive(Default)]
struct Pages {
    sources: Vec<u32>,
    jobs: HashMap<Job, Life>,
    /// By consumer and source: the last job that was handed out for the first time.
    last: BTreeMap<(usize, usize), Job>,
    consumers: usize,
    ends: Vec<Drained>,
}

impl Book {
    pub fn new(max_attempts: u32) -> Self {
        Self { max_attempts, pages: Mutex::default() }
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().expect("shuttle ends a model with the first panic")
    }

    fn look<R>(&self, job: Job, look: impl FnOnce(&mut Life) -> R) -> R {
        look(self.pages().jobs.get_mut(&job).expect("a job that somebody made"))
    }

    /// A producer handle, or a consumer's leases.
    pub fn source(&self) -> usize {
        let mut pages = self.pages();
        pages.sources.push(0);
        pages.sources.len() - 1
    }

    pub fn consumer(&self) -> usize {
        let mut pages = self.pages();
        pages.consumers += 1;
        pages.consumers
    }

    /// Makes a job.
    pub fn job(&self, source: usize) -> Job {
        let mut pages = self.pages();
        pages.sources[source] += 1;
        let job = Job { source, number: pages.sources[source] };
        pages.jobs.insert(job, Life { at: At::Put, accepted: false, attempts: 0, letter: false });
        job
    }

    pub fn accepted(&self, job: Job) {
        self.look(job, |life| life.accepted = true);
    }

    /// Not accepted, so nobody may ever see it.
    pub fn refused(&self, job: Job) {
        self.look(job, |life| {
            assert_eq!((life.at, life.attempts), (At::Put, 0), "{job:?} was refused, and is in there");
            life.at = At::Refused;
        });
    }

    /// `attempt` is not known of an item that was taken.
    pub fn handed(&self, consumer: usize, job: Job, attempt: Option<u32>) {
        let first = self.look(job, |life| {
            assert!(matches!(life.at, At::Put | At::Back), "{job:?} is handed out, and is {life:?}");
            life.attempts += 1;
            assert!(life.attempts <= self.max_attempts, "{job:?}: {life:?}");
            assert_eq!(life.attempts, attempt.unwrap_or(life.attempts), "the attempt of {job:?}");
            life.at = At::Held;
            life.attempts == 1
        });
        if first && let Some(before) = self.pages().last.insert((consumer, job.source), job) {
            assert!(before < job, "consumer {consumer} is handed {job:?} after {before:?}");
        }
    }

    /// What is about to become of a job that somebody holds.
    pub fn settling(&self, job: Job, to: At) {
        self.look(job, |life| {
            assert_eq!(life.at, At::Held, "{job:?}");
            life.at = to;
            life.letter = to == At::Rejected || to == At::Back && life.attempts == self.max_attempts;
        });
    }

    pub fn read(&self, letter: &DeadLetter<Job>) {
        self.look(letter.item, |life| {
            assert!(life.letter && matches!(life.at, At::Back | At::Rejected), "{letter} is {life:?}");
            assert_eq!(life.attempts, letter.attempts, "{letter}");
            life.at = At::Letter;
        });
    }

    /// Handed to whoever ended the queue, oldest first.
    pub fn left(&self, jobs: Vec<Job>) {
        let mut last = BTreeMap::new();
        for job in jobs {
            let first = self.look(job, |life| {
                // One that was rejected after the end is left over, too.
                assert!(matches!(life.at, At::Put | At::Back | At::Rejected), "{job:?} is left over, and is {life:?}");
                life.at = At::Left;
                life.attempts == 0
            });
            if first && let Some(before) = last.insert(job.source, job) {
                assert!(before < job, "{job:?} is left over after {before:?}");
            }
        }
    }

    pub fn heard(&self, drained: Drained) {
        self.pages().ends.push(drained);
    }

    /// Judges an end, once all calls have returned; `watchers` were to hear of it.
    pub fn judge(&self, seen: &Snapshot, end: &Drained, watchers: usize) {
        let pages = self.pages();
        assert_eq!(pages.ends.len(), watchers);
        assert!(pages.ends.iter().all(|heard| heard == end), "{:?}", pages.ends);
        let count = |which: &dyn Fn(&Life) -> bool| pages.jobs.values().filter(|life| which(life)).count() as u64;
        let at = |at| count(&|life| life.at == at);
        let totals = &seen.totals;
        for (job, life) in &pages.jobs {
            assert_eq!(life.accepted, life.at != At::Refused, "{job:?}: {life:?}");
            assert_ne!(life.at, At::Held, "{job:?}");
        }
        let accepted = count(&|life| life.accepted);
        assert_eq!((seen.buffered, seen.delayed, seen.leased), (0, 0, 0), "{seen}");
        assert_eq!((totals.accepted, totals.acked, totals.taken), (accepted, at(At::Acked), at(At::Taken)), "{seen}");
        assert_eq!(totals.accepted, totals.acked + totals.taken + totals.dead_lettered + totals.discarded, "{seen}");
        let letters = count(&|life| life.letter);
        if end.outcome == Outcome::Complete {
            let lost = count(&|life| matches!(life.at, At::Put | At::Back) && !life.letter);
            assert_eq!((lost, totals.discarded, totals.dead_lettered), (0, 0, letters), "{seen}");
            let again: u64 = pages.jobs.values().map(|life| u64::from(life.attempts.saturating_sub(1))).sum();
            assert_eq!(totals.redelivered, again, "{seen}");
        } else {
            // What was rejected, or given back for the last time, may have come after the end, and so be discarded.
            assert!((at(At::Letter)..=letters).contains(&totals.dead_lettered), "{letters} letters; {seen}");
            assert!(at(At::Left) <= totals.discarded, "{seen}");
        }
        if end.outcome == Outcome::Abandoned {
            assert_ne!(totals.discarded, 0, "nothing was left: {seen}");
        }
        drop(pages);
        if end.outcome == Outcome::Aborted {
            self.judge_left();
        }
    }

    /// Somebody was given all that was left in the queue.
    pub fn judge_left(&self) {
        let pages = self.pages();
        assert!(pages.jobs.values().all(|life| life.at != At::Put), "items were left to nobody");
    }

    /// The letters that somebody was to read, and those who read them to their end have.
    pub fn judge_letters(&self, seen: &Snapshot) {
        let read = self.pages().jobs.values().filter(|life| life.at == At::Letter).count() as u64;
        assert_eq!(read, seen.totals.dead_lettered, "letters were lost; {seen}");
    }
}
