//! Asks: each asker is to hear its answer, or why there is none.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use actix_iterable_queue::prelude::*;
use futures::FutureExt;

/// What the queue holds. Most have no asker.
pub(crate) type Job = Ask<u64, u64>;

/// The answer to this key.
pub(crate) fn answer_to(key: u64) -> u64 {
    !key
}

/// Makes jobs that have no asker. Only a call that asks makes an [`Ask`], so it asks a queue of its own.
pub(crate) struct Mint {
    producer: Producer<Job>,
    consumer: Consumer<Job>,
}

impl Mint {
    pub(crate) fn new() -> Self {
        let (producer, consumer) = IterableQueue::unbounded().split().expect("it is new");
        Self { producer, consumer }
    }

    pub(crate) fn job(&mut self, key: u64) -> Job {
        loop {
            // The asker is gone at once. Now and then it yields before it puts.
            let _gone = self.producer.ask(key).now_or_never();
            if let Ok(job) = self.consumer.try_get() {
                return job;
            }
        }
    }
}

/// What the askers of a round have heard, and the evidence.
#[derive(Default)]
pub(crate) struct Asks(Mutex<Book>);

#[derive(Default)]
struct Book {
    heard: HashMap<u64, Result<u64, AskError<u64>>>,
    /// By consumers that need not answer.
    taken: HashSet<u64>,
    dead: HashSet<u64>,
    twice: u64,
}

impl Asks {
    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn heard(&self, key: u64, what: Result<u64, AskError<u64>>) {
        let mut book = self.book();
        book.twice += u64::from(book.heard.insert(key, what).is_some());
    }

    pub(crate) fn taken(&self, key: u64) {
        self.book().taken.insert(key);
    }

    pub(crate) fn dead(&self, key: u64) {
        self.book().dead.insert(key);
    }

    /// How many have heard, and how many of these something that is not so.
    pub(crate) fn judge(&self, outcome: Outcome) -> (u64, u64) {
        let book = self.book();
        let complete = outcome == Outcome::Complete;
        let is_right = |(key, heard): &(&u64, &Result<u64, AskError<u64>>)| match heard {
            Ok(answer) => *answer == answer_to(**key),
            Err(AskError::Refused(refused)) => refused.get_ref() == *key,
            // After an abort the last letters can miss their reader.
            Err(AskError::DeadLetter(_)) => book.dead.contains(*key) || !complete,
            Err(AskError::Unanswered) => book.taken.contains(*key),
            Err(AskError::Ended(_)) => !complete || book.taken.contains(*key),
            Err(_) => false,
        };
        let wrong = book.heard.iter().filter(|heard| !is_right(heard)).count() as u64;
        (book.heard.len() as u64, wrong + book.twice)
    }
}
