//! Every script, against a Redis of its own.

mod clock;
mod deliveries;
mod endings;
mod hostile;
mod keys;
mod letters;
mod limits;
mod numbers;
mod processes;
mod puts;
mod random;
pub(crate) mod server;
mod suspects;

use std::time::Duration;

use super::scripts::Key;
use super::{
    Attached, ClaimReply, Entry, Failure, Joined, Op, PutReply, QueueClient, QueueReport, Registered, Rejoined,
    Renewed, Settings,
};
use super::{GREATEST_ID, LetterPlace, ListedLetter, Moved};
use super::{QueueEnd, SettleReply};
use server::TestServer;

/// Consumers were handed all that was claimed.
const HANDED: u64 = u64::MAX >> 11;

/// All is accepted up to this number, of a queue that is never full.
fn accepted(last: u64) -> PutReply {
    PutReply::Accepted { last, room: None }
}

/// An item that comes back as it was.
fn failed(id: u64, delay: Duration) -> Op {
    Op::Requeue(id, delay, Vec::new())
}

/// Long enough for no process to be lost by chance; `Server::silence` makes one look lost.
fn settings() -> Settings {
    Settings {
        capacity: None,
        max_attempts: 5,
        lease: Duration::from_secs(600),
        retention: Duration::from_secs(3_600),
        seal_when_unowned: false,
    }
}

impl TestServer {
    async fn join(&self, process: &str, settings: &Settings) -> QueueClient {
        match QueueClient::join(self.connect().await, "q", settings, process, &format!("name of {process}"), true).await
        {
            Ok(Joined::Ok(client)) => client,
            other => panic!("{process} did not join: {other:?}"),
        }
    }

    /// One process with one producer and one consumer.
    async fn alone(&self, settings: &Settings) -> QueueClient {
        self.alone_as("a", settings).await
    }

    async fn alone_as(&self, process: &str, settings: &Settings) -> QueueClient {
        let client = self.join(process, settings).await;
        client.endpoints(1, 1).await;
        client
    }

    /// The dead letters that nobody has read.
    async fn letters(&self) -> Vec<serde_json::Value> {
        let key = Key::LetterReady.of(&super::pointer("q"), "");
        let entries: Vec<Vec<u8>> = self.command(&["LRANGE", &key, "0", "-1"]).await;
        let letters = entries.into_iter().map(|entry| serde_json::from_slice(&Entry::parse(entry).payload));
        letters.collect::<Result<_, _>>().expect("JSON")
    }

    /// Their numbers.
    async fn letter_ids(&self) -> Vec<u64> {
        let key = Key::LetterReady.of(&super::pointer("q"), "");
        let entries: Vec<Vec<u8>> = self.command(&["LRANGE", &key, "0", "-1"]).await;
        entries.into_iter().map(|entry| Entry::parse(entry).time).collect()
    }

    /// Lets a process look as if it had been silent for longer than its lease.
    async fn silence(&self, client: &QueueClient) {
        let changed: u64 =
            self.command(&["ZADD", client.process.key(Key::Procs), "CH", "1", client.process_id()]).await;
        assert_eq!(changed, 1, "{client:?} is a process of the queue");
    }
}

/// Calls that are expected to be done.
impl QueueClient {
    async fn endpoints(&self, producers: usize, consumers: usize) {
        let registered = self.register(producers, consumers, true, &[]).await.expect("registered");
        assert_eq!(registered, Registered::Ok);
    }

    /// Puts items that are their own numbers.
    async fn put_numbers(&self, numbers: std::ops::RangeInclusive<u64>) {
        for first in numbers.clone().step_by(super::MAX_BATCH) {
            let last = numbers.end().min(&(first + super::MAX_BATCH as u64 - 1)).to_owned();
            let items: Vec<String> = (first..=last).map(|number| number.to_string()).collect();
            let put = self.put(first, &items).await.expect("put");
            assert!(matches!(put, PutReply::Accepted { last: up_to, .. } if up_to == last), "{put:?}");
        }
    }

    /// Claims up to `max`: delivery ids, attempts so far, and payloads.
    async fn take(&self, max: usize) -> Vec<(u64, u32, String)> {
        match self.claim(max, HANDED).await.expect("claimed") {
            ClaimReply::Items { first, entries } => (first..)
                .zip(entries)
                .map(|(id, entry)| (id, entry.attempts, String::from_utf8(entry.payload).expect("text")))
                .collect(),
            _ => Vec::new(),
        }
    }

    async fn done(&self, batch: u64, ops: &[Op]) -> u64 {
        match self.settle(batch, HANDED, ops, &[]).await.expect("settled") {
            SettleReply::Done { late } => late,
            SettleReply::Ended => panic!("ended before batch {batch}"),
        }
    }

    async fn ack_all(&self, batch: u64, items: &[(u64, u32, String)]) {
        let ops: Vec<Op> = items.iter().map(|(id, ..)| Op::Ack(*id)).collect();
        assert_eq!(self.done(batch, &ops).await, 0);
    }

    /// Retries or discards all letters with these numbers: how many.
    async fn move_all(&self, retry: bool, ids: std::ops::RangeInclusive<u64>) -> usize {
        let (mut moved, mut place) = (0, Some(LetterPlace::first(GREATEST_ID)));
        let ids = *ids.start()..=(*ids.end()).min(self.last_letter().await.expect("an answer"));
        while let Some(here) = place {
            match self.move_letters(retry, &ids, here).await.expect("moved") {
                Moved::Some { letters, next, .. } => {
                    moved += letters;
                    place = next;
                }
                Moved::Ended(end) => panic!("the queue has ended: {end:?}"),
            }
        }
        moved
    }

    /// All letters that nobody has, in the order in which they are found.
    async fn list_all(&self) -> Vec<ListedLetter> {
        let (mut listed, mut place) = (Vec::new(), Some(LetterPlace::first(GREATEST_ID)));
        while let Some(here) = place {
            let (page, next) = self.list_letters(here, usize::MAX, 9).await.expect("listed");
            assert!(page.len() <= 200);
            listed.extend(page);
            place = next;
        }
        listed
    }

    /// Renews until there is nothing to clear up: how many times.
    async fn clear_up(&self) -> usize {
        let mut calls = 1;
        while self.renew(HANDED).await.expect("renewed") == (Renewed::Ok { more: true }) {
            calls += 1;
        }
        calls
    }

    /// How the queue is, with nothing lost and nothing doubled.
    async fn checked(&self) -> QueueReport {
        let r = self.report().await.expect("a report");
        let waiting = r.ready + r.back + r.delayed;
        assert_eq!(r.accepted, r.acked + r.taken + r.dead + r.discarded + r.in_flight + waiting, "{r:?}");
        r
    }
}

fn payloads(items: &[(u64, u32, String)]) -> Vec<&str> {
    items.iter().map(|(_, _, payload)| payload.as_str()).collect()
}
