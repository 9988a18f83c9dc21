//! What becomes of dead letters in memory: a reader gets them, or they are kept; and kept ones go back into the queue. If the
//! store is remote, it keeps them, and is asked.
//!
//! # No letter is stranded
//!
//! A thread that has a letter looks for a reader, keeps the letter if there is none, and looks again ([`Shared::hand_over`]).
//! A reader is opened first, and gets what is kept afterwards. Both go through the queue's mutex between the two steps, so one
//! of them sees the other. What a reader leaves, who is gone, is kept again by the next call that looks at what is kept.
//!
//! # A retry and the end
//!
//! Both are decided with the mutex held. Before the end a retried item joins those that came back, so the double reading of
//! `ending.rs` finds the queue not empty. After it the retry is refused and the letter stays.

use std::sync::Arc;
use std::task::Waker;

use log::Level;

use super::Store;
use super::remote::{Answer, Remote};
use super::returned::ReturnedItem;
use crate::error::Refusal;
use crate::queue::effects::{drop_quietly, wake};
use crate::queue::flags::RETURNED;
use crate::queue::ids::ConsumerId;
use crate::queue::lease::dead_letters::{DeadLetter, DeadLetterQueue};
use crate::queue::lease::kept_letters::{Ids, KeptLetter};
use crate::queue::report::snapshot::Outcome;
use crate::queue::report::units::count;
use crate::queue::shared::{Control, Shared};
use crate::sync::MutexGuard;

impl<T> Control<T> {
    /// Keeps letters, and those that readers have left. Returns the items that make room.
    #[must_use]
    fn keep(&mut self, letters: impl IntoIterator<Item = KeptLetter<T>>) -> Vec<Box<T>> {
        let unread = self.letter_readers.as_ref().map(|readers| readers.take_unread());
        for letter in unread.into_iter().flatten().map(KeptLetter::new).chain(letters) {
            self.kept_letters.keep(letter);
        }
        let mut dropped = Vec::new();
        if self.registry.openers == 0 {
            // Nobody could ever ask for them.
            dropped.extend(self.kept_letters.take_all().map(|letter| letter.item));
        }
        self.kept_letters.push_out(&mut dropped);
        self.counts.letters_dropped += dropped.len() as u64;
        dropped
    }

    /// Drops the kept letters, as the last handle is gone that could ask for them. Returns their items.
    pub(crate) fn let_letters_go(&mut self) -> Vec<Box<T>> {
        self.keep([])
    }
}

impl<T> Shared<T> {
    /// Hands a letter to a reader, or keeps it.
    pub(super) fn bury(&self, consumer: ConsumerId, lease: u64, letter: &mut Option<DeadLetter<T>>) {
        let readers = {
            let mut control = self.control();
            if control.ended().is_some() {
                return self.bury_late(control, letter.take());
            }
            if let Some(letter) = letter {
                letter.id = control.kept_letters.next_id();
                letter.history = control.recall(consumer, lease, std::mem::take(&mut letter.history));
            }
            control.letter_readers.clone()
        };
        // First: a reader may keep the letter, or retry its item.
        let asker_knows = match (self.tell_asker.get(), &*letter) {
            (Some(tell_asker), Some(letter)) => tell_asker(&letter.item, Some(letter.without_item())),
            _ => false,
        };
        if let Some(readers) = readers {
            readers.put(letter);
        }
        {
            let mut control = self.control();
            // The end takes the readers away, also between the two looks: they would not see a letter that is kept.
            if control.ended().is_some() && letter.is_some() {
                return self.bury_late(control, letter.take());
            }
            control.counts.dead_lettered += 1;
        }
        if let Some(unread) = letter {
            let unknown = (!asker_knows).then(|| unread.to_string());
            self.keep_unread(letter.take().map(KeptLetter::new), unknown);
            self.hand_over();
        }
    }

    /// Leaves the item of a letter that came after the end, like all others that come back then.
    fn bury_late(&self, control: MutexGuard<'_, Control<T>>, letter: Option<DeadLetter<T>>) {
        let Some(letter) = letter else { return };
        let becomes = if control.may_take_left() { "take_left() returns it" } else { "it is dropped" };
        let (rest, item) = letter.with_item(());
        self.keep_late(control, item);
        log::warn!("{}: an item was given up after the end of the queue; {becomes}: {rest}", self.label());
    }

    /// Keeps a letter for which no reader is open. `unknown` is what it says, if nobody was told of it.
    fn keep_unread(&self, letter: Option<KeptLetter<T>>, unknown: Option<String>) {
        let (unread, kept, most, dropped, items) = {
            let mut control = self.control();
            control.counts.unread += u64::from(unknown.is_some());
            let kept = control.registry.openers > 0;
            let items = control.keep(letter);
            (control.counts.unread, kept, control.kept_letters.most(), control.counts.letters_dropped, items)
        };
        if let Some(line) = unknown
            && unread.is_power_of_two()
        {
            let (level, fate) = match (kept, most) {
                (true, 1..) => (
                    Level::Warn,
                    "is kept, as no reader is open (dead_letters() reads it, list_dead_letters() lists it)",
                ),
                (true, 0) => (
                    Level::Error,
                    "is dropped: no reader is open (call dead_letters() before the work begins, and keep the consumer)",
                ),
                (false, _) => (
                    Level::Error,
                    "is dropped: no reader is open, and no handle of the queue is left that could open one",
                ),
            };
            log::log!(
                level,
                "{}: a dead letter {fate}: {line}. (Number {unread} without a reader; logged for numbers 1, 2, 4, 8 and so on.)",
                self.label()
            );
        }
        self.drop_letters(items, dropped, kept && most > 0);
    }

    /// Drops the items of letters that made room. `all` counts those that were dropped so far.
    fn drop_letters(&self, items: Vec<Box<T>>, all: u64, log: bool) {
        let before = all - items.len() as u64;
        // Whether a power of two was passed.
        if log && before.leading_zeros() != all.leading_zeros() {
            log::error!(
                "{}: {} dropped unread so far, oldest first: no more are kept (see Builder::keep_dead_letters)",
                self.label(),
                count(all, "dead letter")
            );
        }
        items.into_iter().for_each(drop_quietly);
    }

    /// Keeps what readers have left.
    fn reclaim(&self) {
        let (items, all) = {
            let mut control = self.control();
            (control.keep([]), control.counts.letters_dropped)
        };
        self.drop_letters(items, all, true);
    }

    /// Gives a reader what is kept, if one was opened meanwhile.
    pub(crate) fn hand_over(&self) {
        loop {
            let (readers, letters) = {
                let mut control = self.control();
                let readers = match &control.letter_readers {
                    Some(readers) if !control.kept_letters.is_empty() && readers.is_read() => Arc::clone(readers),
                    _ => return,
                };
                (readers, control.kept_letters.take_all())
            };
            let left = letters.filter_map(|letter| {
                let mut letter = Some(letter.into_letter());
                readers.put(&mut letter);
                letter.map(KeptLetter::new)
            });
            // Those for which the reader was gone.
            let left: Vec<_> = left.collect();
            if left.is_empty() {
                return;
            }
            let (items, all) = {
                let mut control = self.control();
                (control.keep(left), control.counts.letters_dropped)
            };
            self.drop_letters(items, all, true);
        }
    }

    /// Takes the kept letters, for a reader.
    pub(crate) fn take_letters(&self) -> impl Iterator<Item = DeadLetter<T>> + use<T> {
        self.reclaim();
        self.control().kept_letters.take_all().map(KeptLetter::into_letter)
    }

    /// Returns where readers get letters from. The first call creates it with `open`, unless the store keeps the letters.
    pub(crate) fn letter_readers(
        &self,
        open: impl FnOnce() -> Arc<dyn DeadLetterQueue<T>>,
    ) -> Arc<dyn DeadLetterQueue<T>> {
        let existing = self.control().letter_readers.clone();
        if let Some(existing) = existing {
            return existing;
        }
        // Opening may start a thread, so it happens without the mutex.
        let opened = self.store.open_dead_letters().unwrap_or_else(open);
        let mut control = self.control();
        let existing = control.letter_readers.get_or_insert_with(|| Arc::clone(&opened));
        // One that was not needed is dropped after the mutex is released, as it was created before.
        Arc::clone(existing)
    }

    /// Takes the items that no consumer is open for. They were handed out, or never were.
    pub(crate) fn take_unread(&self) -> Vec<T> {
        let mut control = self.control();
        let Store::Plain(boxes) = &self.store else { return Vec::new() };
        if !control.registry.no_consumer_open() {
            return Vec::new();
        }
        let mut unread: Vec<T> = Vec::new();
        unread.extend(std::iter::from_fn(|| control.returned.pop()).map(|returned| *returned.item));
        self.flags.lower(RETURNED);
        unread.extend(std::iter::from_fn(|| {
            let mut item = None;
            boxes.pop(&mut item);
            item
        }));
        control.counts.discarded += unread.len() as u64;
        unread
    }

    /// Describes the kept letters, oldest first.
    pub(crate) fn list_letters(&self) -> Answer<Result<Vec<DeadLetter<()>>, Refusal>> {
        if let Some(driver) = self.driver() {
            return Answer::Asked(driver.list_letters());
        }
        self.reclaim();
        let list = self.control().kept_letters.list();
        Answer::Here(Ok(list.into_iter().map(Arc::unwrap_or_clone).collect()))
    }

    /// Drops kept letters. Returns how many.
    pub(crate) fn discard_letters(&self, ids: Ids) -> Answer<Result<usize, Refusal>> {
        if let Some(driver) = self.driver() {
            return Answer::Asked(driver.discard_letters(ids));
        }
        self.reclaim();
        let items: Vec<_> = self.control().kept_letters.take_items(ids).collect();
        let discarded = items.len();
        items.into_iter().for_each(drop_quietly);
        Answer::Here(Ok(discarded))
    }

    /// Puts the items of kept letters back into the queue. Returns how many.
    pub(crate) fn retry_letters(&self, ids: Ids) -> Answer<Result<usize, Refusal>> {
        let Some(driver) = self.driver() else { return Answer::Here(self.retry_letters_here(ids)) };
        let refused = may_retry(&self.control()).err();
        refused.map_or_else(|| Answer::Asked(driver.retry_letters(ids)), |reason| Answer::Here(Err(reason)))
    }

    fn retry_letters_here(&self, ids: Ids) -> Result<usize, Refusal> {
        self.reclaim();
        let mut wakers = Vec::new();
        let retried = {
            let mut control = self.control();
            may_retry(&control)?;
            let items = control.kept_letters.take_items(ids);
            items.map(|(id, item)| wakers.extend(self.retry_item(&mut control, id, item))).count()
        };
        wake(wakers);
        Ok(retried)
    }

    /// Puts the item of a letter back into the queue. What is refused stays in `letter`, and what a remote store has not
    /// answered.
    pub(crate) fn retry_letter(&self, letter: &mut Option<DeadLetter<T>>) -> Answer<Result<(), Refusal>> {
        let (Some(driver), Some(there)) = (self.driver(), &*letter) else {
            return Answer::Here(self.retry_letter_here(letter));
        };
        let refused = may_retry(&self.control());
        // Encoding is user code, so it runs without the mutex.
        match refused.and_then(|()| self.encode_item(driver, &there.item)) {
            Ok(encoded) => Answer::Asked(driver.retry_letter(encoded)),
            Err(reason) => Answer::Here(Err(reason)),
        }
    }

    fn retry_letter_here(&self, letter: &mut Option<DeadLetter<T>>) -> Result<(), Refusal> {
        let (waker, _rest) = {
            let mut control = self.control();
            may_retry(&control)?;
            let Some(letter) = letter.take() else { return Ok(()) };
            let (rest, item) = letter.with_item(());
            // It may be a letter of another queue.
            let id = control.kept_letters.next_id();
            (self.retry_item(&mut control, id, Box::new(item)), rest)
        };
        wake(waker);
        Ok(())
    }

    fn retry_item(&self, control: &mut Control<T>, id: u64, item: Box<T>) -> Option<Waker> {
        control.counts.retried += 1;
        // Consumers are counted from 1: no consumer gave it back.
        let nobody = ConsumerId { queue: self.id, number: 0 };
        self.put_back(control, ReturnedItem { item, attempts: 0, history: Vec::new(), consumer: nobody, sequence: id })
    }

    /// Returns the driver of a remote store.
    fn driver(&self) -> Option<&dyn Remote<T>> {
        match &self.store {
            Store::Plain(_) => None,
            Store::Remote(remote) => Some(&*remote.driver),
        }
    }
}

fn may_retry<T>(control: &Control<T>) -> Result<(), Refusal> {
    match control.ended().map(|drained| drained.outcome) {
        None if control.life.abandoned => Err(Refusal::Abandoned),
        None => Ok(()),
        Some(Outcome::Aborted) => Err(Refusal::Aborted),
        Some(Outcome::Abandoned) => Err(Refusal::Abandoned),
        Some(Outcome::Complete | Outcome::Left) => Err(Refusal::Ended),
    }
}
