//! The window: puts on their way to Redis.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::sync::Arc;
use std::task::Waker;

/// Items that this process has put and Redis has not confirmed.
///
/// Each put has a number in this process. What is sent has a sequence besides, without gaps, by which Redis
/// drops what it has accepted already: puts that were withdrawn have none.
#[derive(Debug)]
pub(crate) struct PutWindow<T> {
    last: u64,
    /// By number, all that is not confirmed.
    items: BTreeMap<u64, Unconfirmed<T>>,
    unsent: VecDeque<UnsentPut>,
    sending: Option<Arc<PutBatch>>,
    /// The sequence of the next entry that is sent.
    next: u64,
    /// The last sequence that was ever sent.
    sent: u64,
    /// What Redis will not have, for those who wait for its confirmation.
    refused: BTreeMap<u64, T>,
    waiting: BTreeMap<u64, Waker>,
}

#[derive(Debug)]
pub(crate) struct Unconfirmed<T> {
    item: T,
    /// Whether anybody will ask what became of it.
    awaited: bool,
}

#[derive(Debug)]
struct UnsentPut {
    number: u64,
    payload: Vec<u8>,
}

/// What is sent in one call, again and again until there is an answer.
#[derive(Debug)]
pub(crate) struct PutBatch {
    pub(crate) first: u64,
    numbers: Vec<u64>,
    pub(crate) payloads: Vec<Vec<u8>>,
}

/// What a change leaves to be done without the lock: both run foreign code when they are dropped or woken.
#[must_use]
#[derive(Debug)]
pub(crate) struct Confirmed<T> {
    pub(crate) items: BTreeMap<u64, Unconfirmed<T>>,
    pub(crate) wakers: BTreeMap<u64, Waker>,
}

/// The most that one call sends, in entries and in bytes.
pub(crate) const MOST_ENTRIES: usize = 512;
const MOST_BYTES: usize = 1 << 20;

impl<T> PutWindow<T> {
    pub(crate) fn new() -> Self {
        Self {
            last: 0,
            items: BTreeMap::new(),
            unsent: VecDeque::new(),
            sending: None,
            next: 1,
            sent: 0,
            refused: BTreeMap::new(),
            waiting: BTreeMap::new(),
        }
    }

    /// How many are not confirmed.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// The number of the last put.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Whether one up to this number is not confirmed, nor refused or withdrawn.
    pub(crate) fn has_up_to(&self, number: u64) -> bool {
        self.items.first_key_value().is_some_and(|(first, _)| *first <= number)
    }

    pub(crate) fn push(&mut self, item: T, payload: Vec<u8>) -> u64 {
        self.last += 1;
        self.items.insert(self.last, Unconfirmed { item, awaited: true });
        self.unsent.push_back(UnsentPut { number: self.last, payload });
        self.last
    }

    /// Whether a put is confirmed, or else its item. `None`: not yet, and `waker` is kept, in exchange for the one
    /// that was.
    pub(crate) fn confirmed(&mut self, number: u64, waker: &mut Option<Waker>) -> Option<Result<(), T>> {
        if self.items.contains_key(&number) {
            if let Some(new) = waker.take() {
                *waker = self.waiting.insert(number, new);
            }
            return None;
        }
        Some(self.refused.remove(&number).map_or(Ok(()), Err))
    }

    /// Takes a put back that was not sent, or was refused. Its waker comes along.
    pub(crate) fn withdraw(&mut self, number: u64) -> (Option<T>, Option<Waker>) {
        let waker = self.waiting.remove(&number);
        let place = self.unsent.binary_search_by_key(&number, |entry| entry.number);
        let item = place.ok().and_then(|place| {
            self.unsent.remove(place);
            self.items.remove(&number)
        });
        let item = item.map(|unconfirmed| unconfirmed.item).or_else(|| self.refused.remove(&number));
        (item, waker)
    }

    /// Nobody will ask what became of it. Its item comes back if it was refused.
    pub(crate) fn detach(&mut self, number: u64) -> Option<T> {
        if let Some(unconfirmed) = self.items.get_mut(&number) {
            unconfirmed.awaited = false;
        }
        self.refused.remove(&number)
    }

    /// What is to be sent next, at most so many; the same as before until it is answered.
    pub(crate) fn next_batch(&mut self, most: usize) -> Option<Arc<PutBatch>> {
        if self.sending.is_none() {
            let mut batch = PutBatch { first: self.next, numbers: Vec::new(), payloads: Vec::new() };
            let mut bytes = 0;
            while batch.numbers.len() < most.min(MOST_ENTRIES)
                && bytes < MOST_BYTES
                && let Some(UnsentPut { number, payload }) = self.unsent.pop_front()
            {
                bytes += payload.len();
                batch.numbers.push(number);
                batch.payloads.push(payload);
            }
            self.sent = self.sent.max(self.next - 1 + batch.numbers.len() as u64);
            self.sending = (!batch.numbers.is_empty()).then(|| Arc::new(batch));
        }
        self.sending.clone()
    }

    /// Redis has accepted all up to this sequence. The rest of what was sent is to be sent again.
    pub(crate) fn accepted(&mut self, last: u64) -> Confirmed<T> {
        let Some(batch) = self.sending.take() else { return Confirmed::nothing() };
        let accepted = ((last + 1).saturating_sub(batch.first) as usize).min(batch.numbers.len());
        self.next = batch.first + accepted as u64;
        let batch = Arc::try_unwrap(batch).unwrap_or_else(|shared| PutBatch {
            first: shared.first,
            numbers: shared.numbers.clone(),
            payloads: shared.payloads.clone(),
        });
        let confirmed = accepted.checked_sub(1).and_then(|last| batch.numbers.get(last).copied());
        let rest = batch.numbers.into_iter().zip(batch.payloads).skip(accepted);
        for (number, payload) in rest.rev() {
            self.unsent.push_front(UnsentPut { number, payload });
        }
        match confirmed {
            // No number up to this one is waiting to be sent: they are sent in their order.
            Some(number) => {
                Confirmed { items: take_up_to(&mut self.items, number), wakers: take_up_to(&mut self.waiting, number) }
            }
            None => Confirmed::nothing(),
        }
    }

    /// From now on Redis counts from `last`. Nothing is being sent.
    pub(crate) fn restart(&mut self, last: u64) {
        (self.next, self.sent) = (last + 1, last);
    }

    /// Whether this can be the last sequence that Redis has accepted: the last one that was confirmed, or one that was sent
    /// after that. If not, it is another copy of itself.
    pub(crate) fn may_be_accepted(&self, last: u64) -> bool {
        (self.next - 1..=self.sent).contains(&last)
    }

    /// Redis will have none of them. Those who wait are to be woken, and come for theirs; the others' items
    /// come back.
    pub(crate) fn refuse(&mut self) -> (Vec<T>, Vec<Waker>) {
        self.unsent.clear();
        self.sending = None;
        let mut left = Vec::new();
        for (number, Unconfirmed { item, awaited }) in mem::take(&mut self.items) {
            if awaited {
                self.refused.insert(number, item);
            } else {
                left.push(item);
            }
        }
        (left, mem::take(&mut self.waiting).into_values().collect())
    }
}

impl<T> Confirmed<T> {
    fn nothing() -> Self {
        Self { items: BTreeMap::new(), wakers: BTreeMap::new() }
    }
}

fn take_up_to<V>(map: &mut BTreeMap<u64, V>, number: u64) -> BTreeMap<u64, V> {
    let rest = map.split_off(&(number + 1));
    mem::replace(map, rest)
}

#[cfg(test)]
mod tests {
    use super::{MOST_ENTRIES, PutWindow};

    fn puts(items: std::ops::RangeInclusive<u64>) -> PutWindow<u64> {
        let mut puts = PutWindow::new();
        for item in items {
            assert_eq!(puts.push(item, item.to_string().into_bytes()), item);
        }
        puts
    }

    fn sent(puts: &mut PutWindow<u64>) -> (u64, Vec<String>) {
        let batch = puts.next_batch(MOST_ENTRIES).unwrap();
        (batch.first, batch.payloads.iter().map(|payload| String::from_utf8_lossy(payload).into_owned()).collect())
    }

    fn accepted(puts: &mut PutWindow<u64>, last: u64) -> Vec<u64> {
        puts.accepted(last).items.into_keys().collect()
    }

    #[test]
    fn d4_a_put_is_confirmed_once_redis_has_it() {
        let mut puts = puts(1..=3);
        assert_eq!(sent(&mut puts), (1, vec!["1".into(), "2".into(), "3".into()]));
        assert_eq!(accepted(&mut puts, 2), [1, 2]);
        assert_eq!((puts.confirmed(2, &mut None), puts.confirmed(3, &mut None)), (Some(Ok(())), None));
        assert_eq!(sent(&mut puts), (3, vec!["3".into()]), "the rest goes again, under the same number");
    }

    #[test]
    fn no_more_is_sent_than_there_is_room_for() {
        let mut puts = puts(1..=5);
        let batch = puts.next_batch(2).unwrap();
        assert_eq!(batch.payloads.len(), 2);
        assert_eq!(accepted(&mut puts, 2), [1, 2]);
        assert_eq!(puts.next_batch(1).unwrap().payloads, [b"3"]);
        assert_eq!(puts.next_batch(9).unwrap().payloads, [b"3"], "the same until there is an answer");
    }

    #[test]
    fn what_has_no_answer_is_sent_again_as_it_was() {
        let mut puts = puts(1..=1);
        let first = sent(&mut puts);
        puts.push(2, b"2".to_vec());
        assert_eq!(sent(&mut puts), first);
        assert_eq!(accepted(&mut puts, 1), [1]);
        assert_eq!(sent(&mut puts), (2, vec!["2".into()]));
    }

    #[test]
    fn d6_a_put_that_was_not_sent_can_be_withdrawn() {
        let mut puts = puts(1..=3);
        assert_eq!(puts.withdraw(2).0, Some(2));
        assert_eq!(sent(&mut puts), (1, vec!["1".into(), "3".into()]));
        assert_eq!(puts.withdraw(3).0, None, "it is on its way");
        assert_eq!(puts.confirmed(3, &mut None), None, "whoever could not withdraw it may ask");
        assert_eq!(accepted(&mut puts, 2), [1, 3]);
        assert_eq!(puts.len(), 0);
    }

    #[test]
    fn d12_a_refusal_hands_the_items_back() {
        let mut puts = puts(1..=3);
        assert_eq!(puts.detach(2), None);
        sent(&mut puts);
        assert_eq!(puts.withdraw(3).0, None, "it is on its way");
        assert_eq!(puts.refuse().0, [2], "those that nobody waits for");
        assert_eq!((puts.confirmed(1, &mut None), puts.confirmed(3, &mut None)), (Some(Err(1)), Some(Err(3))));
        assert!(puts.next_batch(MOST_ENTRIES).is_none());
    }

    #[test]
    fn what_was_refused_is_kept_for_nobody() {
        let mut puts = puts(1..=3);
        sent(&mut puts);
        assert!(puts.refuse().0.is_empty());
        assert_eq!((puts.detach(1), puts.withdraw(2).0), (Some(1), Some(2)));
        assert_eq!(puts.refused.into_values().collect::<Vec<_>>(), [3]);
    }

    /// After a fence Redis tells what it had accepted; the rest is sent under the new id, from 1 on.
    #[test]
    fn a_new_id_counts_from_the_beginning() {
        let mut puts = puts(1..=3);
        sent(&mut puts);
        assert_eq!(accepted(&mut puts, 1), [1]);
        puts.restart(0);
        assert_eq!([0, 1].map(|last| puts.may_be_accepted(last)), [true, false]);
        assert_eq!(sent(&mut puts), (1, vec!["2".into(), "3".into()]));
        assert_eq!([0, 1, 2, 3].map(|last| puts.may_be_accepted(last)), [true, true, true, false]);
    }
}
