//! Dead letters, and what is left after the end.

use std::ops::RangeInclusive;

use actix_iterable_queue::DeadLetter;
use actix_iterable_queue::error::TryGetError;

use super::model::{Letter, LetterNumber};
use super::operation::Any;
use super::world::World;

impl World {
    pub(super) fn open_letters(&mut self) -> Option<()> {
        let opened = self.queues.first()?.dead_letters();
        self.note(format!("dead_letters() -> {}", opened.is_ok()));
        self.same("C3: dead letters open at any time", &opened.is_ok(), &true);
        self.letters = Some(opened.ok()?);
        self.model.open_reader();
        Some(())
    }

    pub(super) fn drop_letters(&mut self) -> Option<()> {
        drop(self.letters.take()?);
        self.note("drop(dead letters)".to_owned());
        self.model.drop_reader();
        Some(())
    }

    pub(super) fn read_letter(&mut self) -> Option<()> {
        let read = self.letters.as_mut()?.try_get();
        let read = read.map(|letter| (*letter.item.job(), described(&letter)));
        self.note(format!("read a dead letter -> {read:?}"));
        let nothing = if self.model.ended.is_some() { TryGetError::Ended } else { TryGetError::Empty };
        let next = self.model.letters.reader.as_mut().and_then(|letters| letters.pop_front()).ok_or(nothing);
        self.same("D3: a dead letter", &read, &next.map(|letter| (letter.work, expected(&letter))));
        Some(())
    }

    pub(super) fn list_letters(&mut self) -> Option<()> {
        let listed = self.queues.first()?.blocking_list_dead_letters();
        let listed = listed.map(|letters| letters.iter().map(described).collect::<Vec<_>>());
        self.note(format!("list_dead_letters() -> {listed:?}"));
        self.same("D3: the kept letters", &listed, &Ok(self.model.letters.kept.iter().map(expected).collect()));
        Some(())
    }

    pub(super) fn retry_letters(&mut self, first: Any, more: Any) -> Option<()> {
        let numbers = range(first, more);
        let retried = self.queues.first()?.blocking_retry_dead_letters(numbers.clone());
        self.note(format!("retry_dead_letters({numbers:?}) -> {retried:?}"));
        let expected = self.model.retry_letters(&numbers);
        self.same("D3: retried letters", &retried, &expected);
        Some(())
    }

    pub(super) fn discard_letters(&mut self, first: Any, more: Any) -> Option<()> {
        let numbers = range(first, more);
        let discarded = self.queues.first()?.blocking_discard_dead_letters(numbers.clone());
        self.note(format!("discard_dead_letters({numbers:?}) -> {discarded:?}"));
        let expected = self.model.discard_letters(&numbers);
        self.same("D3: discarded letters", &discarded, &Ok(expected));
        Some(())
    }

    pub(super) fn take_left(&mut self) -> Option<()> {
        let left = self.queues.first()?.take_left();
        self.note("take_left()".to_owned());
        let expected = std::mem::take(&mut self.model.left);
        self.compare_left(left, &expected);
        Some(())
    }
}

/// Without the item, which lists do not have.
type Description = (LetterNumber, u32, String, String);

fn described<T>(letter: &DeadLetter<T>) -> Description {
    (letter.id, letter.attempts, letter.reason.clone(), letter.last_worker.clone())
}

fn expected(letter: &Letter) -> Description {
    (letter.number, letter.attempts, letter.reason.to_owned(), format!("consumer-{}", letter.holder))
}

fn range(first: Any, more: Any) -> RangeInclusive<LetterNumber> {
    u64::from(first)..=u64::from(first + more)
}
