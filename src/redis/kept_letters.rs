//! What is done with dead letters that no reader has: they are listed, retried and discarded.
//!
//! Each call is a job of its own on the thread of all queues, and goes through outages by itself. It asks for no membership in the
//! queue, so it works also after the end, when no driver is left. The driver of the queue knows nothing of it.

use std::ops::{Bound, RangeInclusive};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, SystemTime};

use futures::FutureExt;
use futures::channel::oneshot::{self, Sender};
use futures::future::{BoxFuture, Either, ready, select};
use redis::{ErrorKind, RedisError};
use tokio::time::sleep;

use crate::config::{MAX_TEXT, cut_off};
use crate::error::Refusal;
use crate::one_line::OneLine;
use crate::queue::{DeadLetter, Ids, count};
use crate::redis::client::process_id::process_id;
use crate::redis::client::{Failure, GREATEST_ID, LetterPlace, ListedLetter, Moved, QueueClient, QueueEnd};
use crate::redis::driver::thread;
use crate::redis::local::unreadable;
use crate::redis::server::address::Address;
use crate::redis::server::connection::words;
use crate::redis::server::{FIRST_PAUSE, LONGEST_PAUSE, Server};

/// The dead letters of a queue.
pub(crate) struct KeptLetters(AssertUnwindSafe<Arc<Letters>>);

/// Where they are, and how they are shown.
struct Letters {
    /// The queue's name for the log.
    label: String,
    /// It has no connections.
    client: QueueClient,
    address: Arc<Address>,
    patience: Duration,
    /// How many are listed at most.
    most: usize,
    /// The list may contain what the items are.
    described: bool,
    /// This process has left the queue, or given it up.
    over: Arc<AtomicBool>,
}

type Asked<R> = BoxFuture<'static, Result<R, Refusal>>;

impl KeptLetters {
    pub(crate) fn new(
        label: String,
        client: &QueueClient,
        address: &Arc<Address>,
        patience: Duration,
        most: usize,
        described: bool,
        over: &Arc<AtomicBool>,
    ) -> Self {
        let (client, address, over) = (client.unconnected(), Arc::clone(address), Arc::clone(over));
        Self(AssertUnwindSafe(Arc::new(Letters { label, client, address, patience, most, described, over })))
    }

    /// Lists the last ones, oldest first.
    pub(crate) fn list(&self) -> Asked<Vec<DeadLetter<()>>> {
        self.ask(async |job, done| answer_unless_dropped(job.list(), done).await)
    }

    /// Puts the items of letters back into the queue.
    pub(crate) fn retry(&self, ids: Ids) -> Asked<usize> {
        self.ask(async move |job, done| answer_unless_dropped(job.move_all(true, ids), done).await)
    }

    /// Drops letters.
    pub(crate) fn discard(&self, ids: Ids) -> Asked<usize> {
        self.ask(async move |job, done| answer_unless_dropped(job.move_all(false, ids), done).await)
    }

    /// Puts the item of a letter that a reader had in hand, also if nobody waits for that any more.
    pub(crate) fn retry_one(&self, item: Vec<u8>) -> Asked<()> {
        self.ask(async move |job, done| {
            if let Err(Err(reason)) = done.send(job.retry_one(&item).await) {
                let label = &job.letters.label;
                log::error!(
                    "{label}: the item of a dead letter that was being retried is dropped, as no caller waits: {reason}"
                );
            }
        })
    }

    /// Runs a job on the thread of all queues.
    fn ask<R: Send + 'static>(
        &self,
        work: impl AsyncFnOnce(&Job, Sender<Result<R, Refusal>>) + Send + 'static,
    ) -> Asked<R> {
        let (done, answer) = oneshot::channel();
        let letters = Arc::clone(&self.0);
        let serve = move || async move {
            let job = Job { server: Server::of(&letters.address), letters };
            work(&job, done).await;
        };
        if let Err(error) = thread::spawn(serve) {
            log::error!("{}: its dead letters cannot be asked for: {error}", self.0.label);
            return ready(Err(Refusal::Redis)).boxed();
        }
        // It panicked, which was logged.
        async { answer.await.unwrap_or(Err(Refusal::Redis)) }.boxed()
    }
}

/// Does the work for as long as its answer is waited for.
async fn answer_unless_dropped<R>(
    work: impl Future<Output = Result<R, Refusal>>,
    mut done: Sender<Result<R, Refusal>>,
) {
    let Either::Left((answer, _)) = select(pin!(work), done.cancellation()).await else { return };
    drop(done.send(answer));
}

/// A call, on the thread of all queues.
struct Job {
    server: Rc<Server>,
    letters: Arc<Letters>,
}

impl Job {
    async fn list(&self) -> Result<Vec<DeadLetter<()>>, Refusal> {
        let Letters { most, described, .. } = *self.letters;
        // With some more, as it is cut off between two characters.
        let text = if described { MAX_TEXT + 4 } else { 0 };
        let (mut listed, mut of_this_list) = (Vec::new(), 0);
        let mut place = Some(LetterPlace::first(GREATEST_ID)).filter(|_| most > 0);
        while let Some(here) = place {
            let max = most - of_this_list;
            let (page, next) = self.repeat(async |client| client.list_letters(here, max, text).await).await?;
            of_this_list += page.len();
            listed.extend(page.into_iter().map(|letter| described_letter(letter, described)));
            place = if of_this_list < most { next } else { here.next_list() };
            if place.is_some_and(|place| !place.is_in_list_of(here)) {
                of_this_list = 0;
            }
        }
        listed.sort_by_key(|letter| letter.id);
        // One that came back meanwhile was seen twice. What has no number may be anything.
        listed.dedup_by(|later, letter| later.id == letter.id && letter.id > 0);
        Ok(listed.split_off(listed.len().saturating_sub(most)))
    }

    async fn move_all(&self, retry: bool, ids: Ids) -> Result<usize, Refusal> {
        let label = &self.letters.label;
        // No letter that comes later: so there is an end, and a call that arrives late does nothing that was not asked for.
        let last = self.repeat(async |client| client.last_letter().await).await?;
        let ids = range(ids, last);
        let (mut moved, mut without_item) = (0, 0);
        let mut place = Some(LetterPlace::first(*ids.end())).filter(|_| !ids.is_empty());
        while let Some(here) = place {
            match self.repeat(async |client| client.move_letters(retry, &ids, here).await).await? {
                Moved::Some { letters, unfit, next } => {
                    moved += letters;
                    without_item += unfit;
                    place = next;
                }
                // It may have ended with the last of those.
                Moved::Ended(_) if moved > 0 => break,
                Moved::Ended(end) => return Err(refusal(end)),
            }
        }
        if without_item > 0 {
            let letters = count(without_item as u64, "dead letter");
            log::error!("{label}: {letters} not retried, as no script of this queue has written what is there");
        }
        Ok(moved)
    }

    async fn retry_one(&self, item: &[u8]) -> Result<(), Refusal> {
        let call = process_id().map_err(|error| {
            log::error!("{}: a dead letter cannot be retried: {error}", self.letters.label);
            Refusal::Redis
        })?;
        match self.repeat(async |client| client.retry_letter(&call, item).await).await? {
            None => Ok(()),
            Some(end) => Err(refusal(end)),
        }
    }

    /// Makes a call until there is an answer.
    async fn repeat<R>(&self, call: impl AsyncFn(&QueueClient) -> Result<R, Failure>) -> Result<R, Refusal> {
        let Letters { label, client, patience, over, .. } = &*self.letters;
        let (mut pause, mut elsewhere, mut said) = (FIRST_PAUSE, false, false);
        loop {
            // What the connections of all lead to may not be where the queue is.
            let connected = match elsewhere {
                true => self.server.probe(*patience).await,
                false => self.server.pair(*patience).await,
            };
            let answer = match connected {
                Ok(pair) => {
                    let mut client = client.clone();
                    client.reconnected(pair);
                    call(&client).await
                }
                Err(error) => Err(Failure::Away(error)),
            };
            let failure = match answer {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let over = over.load(SeqCst);
            match &failure {
                Failure::Away(error) if is_refused(error) => {
                    let (place, error) = (self.server.place(), words(error));
                    log::error!("{label} at {place}: Redis refuses a call on dead letters: {error}");
                    return Err(Refusal::Redis);
                }
                Failure::Gone if over => return Err(Refusal::Ended),
                // Otherwise the driver says what is wrong.
                failure if over && !said => {
                    let place = self.server.place();
                    log::warn!("{label} at {place}: a call on dead letters waits: {}", OneLine(failure));
                    said = true;
                }
                _ => {}
            }
            elsewhere = failure.is_elsewhere();
            sleep(pause).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }
}

/// Whether the call will have the same answer until a person changes something.
fn is_refused(error: &RedisError) -> bool {
    matches!(error.code(), Some("NOPERM" | "WRONGTYPE" | "ERR")) || error.kind() == ErrorKind::UnexpectedReturnType
}

fn refusal(end: QueueEnd) -> Refusal {
    match end {
        QueueEnd::Complete => Refusal::Ended,
        QueueEnd::Aborted => Refusal::Aborted,
    }
}

fn range((start, end): Ids, last: u64) -> RangeInclusive<u64> {
    let start = match start {
        Bound::Included(first) => first,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match end {
        Bound::Included(end) => Some(end),
        Bound::Excluded(after) => after.checked_sub(1),
        Bound::Unbounded => Some(last),
    };
    match end {
        Some(end) => start..=end.min(last),
        None => RangeInclusive::new(1, 0),
    }
}

fn described_letter(letter: ListedLetter, described: bool) -> DeadLetter<()> {
    let ListedLetter { id, about, text } = letter;
    let mut letter = unreadable::decode(&about).unwrap_or_else(|_| DeadLetter {
        id,
        attempts: 0,
        reason: "it is no dead letter that a process of this queue has written".to_owned(),
        last_worker: String::new(),
        error: None,
        panic: None,
        history: Vec::new(),
        died_at: SystemTime::UNIX_EPOCH,
        text: None,
        item: (),
    });
    identify(&mut letter, id);
    if described && letter.text.is_none() {
        letter.text = Some(cut_off(&String::from_utf8_lossy(&text)));
    }
    letter
}

/// Writes down what Redis alone knows of a letter: its number, which is also the time at which it came there.
pub(crate) fn identify<T>(letter: &mut DeadLetter<T>, id: u64) {
    letter.id = id;
    if letter.died_at == SystemTime::UNIX_EPOCH {
        letter.died_at += Duration::from_millis(id.min(GREATEST_ID));
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Bound::{Excluded, Included, Unbounded};

    use super::range;

    #[test]
    fn d3_a_range_ends_with_the_last_letter_that_was_there() {
        assert_eq!(range((Unbounded, Unbounded), 7), 0..=7);
        assert_eq!(range((Included(3), Included(9)), 7), 3..=7);
        assert_eq!(range((Excluded(3), Excluded(6)), 7), 4..=5);
        for none in [(Unbounded, Excluded(0)), (Included(8), Unbounded), (Excluded(u64::MAX), Unbounded)] {
            assert!(range(none, 7).is_empty());
        }
    }
}
