//! Dead letters: a reader gets them, or they are kept, listed, retried and discarded.

use std::collections::VecDeque;
use std::ops::RangeBounds;

use actix_iterable_queue::Outcome;
use actix_iterable_queue::error::Refusal;

use super::{ConsumerNumber, Model, Returned, Told, Work};

pub(crate) type LetterNumber = u64;

/// The consumer that "gave back" what was retried. Others are counted from 1.
const NO_CONSUMER: ConsumerNumber = 0;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) number: LetterNumber,
    pub(crate) work: Work,
    pub(crate) attempts: u32,
    pub(crate) reason: &'static str,
    /// Who held it last.
    pub(crate) holder: ConsumerNumber,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Letters {
    last: LetterNumber,
    /// Those that no reader has asked for, oldest first.
    pub(crate) kept: VecDeque<Letter>,
    /// Those that wait for the reader that is open.
    pub(crate) reader: Option<VecDeque<Letter>>,
}

impl Model {
    /// Only before the end: after it, what is rejected is left over.
    pub(super) fn bury(&mut self, work: Work, attempts: u32, reason: &'static str, holder: ConsumerNumber) {
        self.totals.dead_lettered += 1;
        self.letters.last += 1;
        let letter = Letter { number: self.letters.last, work, attempts, reason, holder };
        self.tell(work, Told::DeadLetter(letter.clone()));
        match &mut self.letters.reader {
            Some(letters) => letters.push_back(letter),
            None => {
                self.letters.kept.push_back(letter);
                self.let_letters_go();
            }
        }
    }

    /// Without a handle no call can ask for the letters that are kept, or that a reader leaves.
    pub(crate) fn let_letters_go(&mut self) {
        if self.no_handle {
            self.totals.letters_dropped += self.letters.kept.len() as u64;
            self.letters.kept.clear();
        }
    }

    pub(crate) fn open_reader(&mut self) {
        self.letters.reader = Some(std::mem::take(&mut self.letters.kept));
    }

    /// What it has not read is kept again.
    pub(crate) fn drop_reader(&mut self) {
        let mut unread = self.letters.reader.take().unwrap_or_default();
        unread.append(&mut self.letters.kept);
        self.letters.kept = unread;
        self.let_letters_go();
    }

    pub(crate) fn discard_letters(&mut self, numbers: &impl RangeBounds<LetterNumber>) -> usize {
        self.take_letters(numbers).len()
    }

    /// They come back before what is new, with no attempt.
    pub(crate) fn retry_letters(&mut self, numbers: &impl RangeBounds<LetterNumber>) -> Result<usize, Refusal> {
        match self.ended {
            Some((Outcome::Aborted, _)) => return Err(Refusal::Aborted),
            Some((Outcome::Complete, _)) => return Err(Refusal::Ended),
            _ if self.abandoned => return Err(Refusal::Abandoned),
            _ => {}
        }
        let retried = self.take_letters(numbers);
        self.totals.retried += retried.len() as u64;
        self.totals.accepted += retried.len() as u64;
        let count = retried.len();
        for Letter { number, work, .. } in retried {
            self.back.insert((NO_CONSUMER, number), Returned { work, attempts: 0, delayed: false });
        }
        Ok(count)
    }

    fn take_letters(&mut self, numbers: &impl RangeBounds<LetterNumber>) -> VecDeque<Letter> {
        let (taken, left) =
            std::mem::take(&mut self.letters.kept).into_iter().partition(|letter| numbers.contains(&letter.number));
        self.letters.kept = left;
        taken
    }
}
