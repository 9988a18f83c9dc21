//! Calls on dead letters that no reader has. They ask for no membership, and work also after the end of the queue.
//!
//! There may be a million of them, so a call looks at some and says where to go on. One that is made again, as its answer was
//! lost, finds what the first has left.

use std::ops::RangeInclusive;

use super::queue_client::QueueClient;
use super::reply::ScriptReply;
use super::report::QueueEnd;
use super::scripts::{Key, SCRIPTS};
use super::types::Failure;

/// How many letters one call looks at.
const MAX_LETTERS: usize = 200;

/// In how many bytes; one letter, or some of its size, may go beyond.
const MAX_BYTES: usize = 1 << 20;

/// The greatest number of a letter. Up to here, Lua's are exact.
pub(crate) const GREATEST_ID: u64 = 1 << 53;

/// Where to go on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LetterPlace {
    /// Which list, as `letters.lua` counts them from 1.
    list: u8,
    at: u64,
}

/// How many lists there are: letters that no reader has had yet are in the first, those that came back in the others.
const LISTS: u8 = 4;

impl LetterPlace {
    /// Returns the beginning, of letters up to the number `last`.
    pub(crate) fn first(last: u64) -> Self {
        Self { list: 1, at: last }
    }

    pub(crate) fn is_in_list_of(self, other: Self) -> bool {
        self.list == other.list
    }

    /// Returns the beginning of the next list.
    pub(crate) fn next_list(self) -> Option<Self> {
        (self.list < LISTS).then_some(Self { list: self.list + 1, at: 0 })
    }

    /// Reads where this list goes on, or returns where the next one begins.
    fn next(self, reply: &mut ScriptReply) -> Result<Option<Self>, Failure> {
        let on: String = reply.next()?;
        Ok(on.parse().map_or_else(|_| self.next_list(), |at| Some(Self { at, ..self })))
    }
}

/// A letter without its item.
#[derive(Debug)]
pub(crate) struct ListedLetter {
    /// 0 if no script has written it.
    pub(crate) id: u64,
    /// The JSON of a letter whose item is `null`; empty if it is none.
    pub(crate) about: Vec<u8>,
    /// The beginning of the item's JSON.
    pub(crate) text: Vec<u8>,
}

/// What came of moving some letters.
#[derive(Debug)]
pub(crate) enum Moved {
    Some {
        letters: usize,
        /// How many cannot be retried, as they have no item.
        unfit: usize,
        next: Option<LetterPlace>,
    },
    Ended(QueueEnd),
}

impl QueueClient {
    /// The number of the newest letter; the greatest possible one if that is not known.
    pub(crate) async fn last_letter(&self) -> Result<u64, Failure> {
        let mut cmd = redis::cmd("HGET");
        cmd.arg(self.process.key(Key::LetterMeta)).arg("last");
        let last: Option<String> = cmd.query_async(&mut self.pair.control()).await?;
        Ok(last.and_then(|last| last.parse().ok()).unwrap_or(GREATEST_ID))
    }

    /// Lists up to `max` letters, the newest first, each with so much of its item's JSON.
    pub(crate) async fn list_letters(
        &self,
        place: LetterPlace,
        max: usize,
        text: usize,
    ) -> Result<(Vec<ListedLetter>, Option<LetterPlace>), Failure> {
        let max = max.min(MAX_LETTERS);
        let mut reply = self
            .call_through(self.pair.bulk_answer(), &SCRIPTS.list_letters, |cmd| {
                cmd.arg(place.list).arg(place.at).arg(max).arg(MAX_BYTES).arg(text);
            })
            .await?;
        if reply.word() != "OK" {
            return Err(reply.failure());
        }
        let letters: Vec<(u64, Vec<u8>, Vec<u8>)> = reply.next()?;
        let letters = letters.into_iter().map(|(id, about, text)| ListedLetter { id, about, text });
        Ok((letters.collect(), place.next(&mut reply)?))
    }

    /// Puts the items of some letters back into the queue, or, if `retry` is false, deletes the letters.
    pub(crate) async fn move_letters(
        &self,
        retry: bool,
        ids: &RangeInclusive<u64>,
        place: LetterPlace,
    ) -> Result<Moved, Failure> {
        let mut reply = self
            .call_through(self.pair.bulk(), &SCRIPTS.move_letters, |cmd| {
                cmd.arg(u8::from(retry)).arg(ids.start()).arg(ids.end());
                cmd.arg(place.list).arg(place.at).arg(MAX_LETTERS).arg(MAX_BYTES);
            })
            .await?;
        match reply.word() {
            "OK" => {
                let (letters, unfit) = (reply.next()?, reply.next()?);
                Ok(Moved::Some { letters, unfit, next: place.next(&mut reply)? })
            }
            "ENDED" => Ok(Moved::Ended(QueueEnd::told(&mut reply)?)),
            _ => Err(reply.failure()),
        }
    }

    /// Puts the item (JSON) of a letter that a reader had in hand. It is put once, however often this call is made, if that
    /// is within ten leases; `call` must be one that nobody has used. Returns how the queue has ended, if it has.
    pub(crate) async fn retry_letter(&self, call: &str, item: &[u8]) -> Result<Option<QueueEnd>, Failure> {
        let mut reply =
            self.call_through(self.pair.bulk(), &SCRIPTS.retry_letter, |cmd| _ = cmd.arg(call).arg(item)).await?;
        match reply.word() {
            "OK" => Ok(None),
            "ENDED" => Ok(Some(QueueEnd::told(&mut reply)?)),
            _ => Err(reply.failure()),
        }
    }
}
