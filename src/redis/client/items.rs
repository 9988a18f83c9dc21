//! Calls that move items.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::queue_client::QueueClient;
use super::scripts::{Key, SCRIPTS};
use super::types::{ClaimReply, Entry, Failure, MAX_BATCH, Op, PutReply, SettleReply};
use super::wire::{self, Encoder, Fresh};
use crate::lock::lock;

/// The most bytes that a claim is to bring; one item, or some of its size, may go beyond.
const CLAIM_BYTES: usize = 1 << 20;

impl QueueClient {
    /// Puts items (JSON), at most [`MAX_BATCH`]. The first has the number `first`, counted from 1; what
    /// was accepted before is skipped.
    pub(crate) async fn put(&self, first: u64, payloads: &[impl AsRef<[u8]>]) -> Result<PutReply, Failure> {
        let head = wire::fresh(self.process.time());
        let mut reply = self
            .call_through(self.pair.bulk(), &SCRIPTS.put, |cmd| {
                cmd.arg(first);
                for payload in payloads {
                    cmd.arg(Fresh { head: &head, payload: payload.as_ref() });
                }
            })
            .await?;
        match reply.word() {
            "OK" => {
                let last = reply.next()?;
                Ok(PutReply::Accepted { last, room: u64::try_from(reply.next::<i64>()?).ok() })
            }
            "FULL" => Ok(PutReply::Full(reply.next()?)),
            "GAP" => Ok(PutReply::Gap),
            "CLOSED" => Ok(PutReply::Closed),
            "ENDED" => Ok(PutReply::Ended),
            _ => Err(reply.failure()),
        }
    }

    /// Claims up to `max` items, at most [`MAX_BATCH`]. `handed` is the last delivery that a consumer here was handed. After
    /// a lost answer, [`QueueClient::attach`] through a new connection and [`QueueClient::last_claim`] tell what came of it.
    pub(crate) async fn claim(&self, max: usize, handed: u64) -> Result<ClaimReply, Failure> {
        let max = max.clamp(1, MAX_BATCH);
        let next_id = &self.process.next_id;
        let first = next_id.fetch_add(max as u64, Ordering::Relaxed);
        *lock(&self.process.claimed) = first..first + max as u64;
        let mut reply = self
            .call_through(self.pair.bulk_answer(), &SCRIPTS.claim, |cmd| {
                cmd.arg(first).arg(max).arg(CLAIM_BYTES).arg(handed);
            })
            .await?;
        match reply.word() {
            "ITEMS" => {
                self.process.told_handed.fetch_max(handed, Ordering::Relaxed);
                let entries: Vec<Vec<u8>> = reply.next()?;
                // One claim is under way at a time, and it has used no more: so ids have no gaps.
                next_id.store(first + entries.len() as u64, Ordering::Relaxed);
                Ok(ClaimReply::Items { first, entries: entries.into_iter().map(Entry::parse).collect() })
            }
            "EMPTY" => {
                let next_due = u64::try_from(reply.next::<i64>()?).ok();
                next_id.store(first, Ordering::Relaxed);
                Ok(ClaimReply::Empty { next_due: next_due.map(Duration::from_millis) })
            }
            "ENDED" => Ok(ClaimReply::Ended),
            _ => Err(reply.failure()),
        }
    }

    /// What the last claim brought, if its answer was lost: of what this process holds, as Redis knows it.
    ///
    /// As a claim is bounded in bytes, so is this.
    pub(crate) async fn last_claim(&self) -> Result<Vec<(u64, Entry)>, Failure> {
        let ids = lock(&self.process.claimed).clone();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut cmd = redis::cmd("HMGET");
        cmd.arg(self.process.key(Key::Inf));
        ids.clone().for_each(|id| _ = cmd.arg(self.process.field(id)));
        let entries: Vec<Option<Vec<u8>>> = cmd.query_async(&mut self.pair.bulk_answer()).await?;
        Ok(ids.zip(entries).filter_map(|(id, entry)| Some((id, Entry::parse(entry?)))).collect())
    }

    /// The ids of all that this process holds, as Redis knows it, in their order.
    pub(crate) async fn in_flight(&self) -> Result<Vec<u64>, Failure> {
        let prefix = self.process.field("");
        let mut cmd = redis::cmd("HKEYS");
        cmd.arg(self.process.key(Key::Inf));
        let fields: Vec<String> = cmd.query_async(&mut self.pair.bulk_answer()).await?;
        let mut held: Vec<u64> = fields.iter().filter_map(|field| field.strip_prefix(&prefix)?.parse().ok()).collect();
        held.sort_unstable();
        Ok(held)
    }

    /// Settles deliveries and puts children, at most [`MAX_BATCH`] together. Batches are numbered from 1,
    /// and each is done once. `handed` is as in [`QueueClient::claim`]; `delays` are those before the redelivery after attempt 1,
    /// 2, …, for what is overdue; the last is that of all further ones.
    pub(crate) async fn settle(
        &self,
        batch: u64,
        handed: u64,
        ops: &[Op],
        delays: &[Duration],
    ) -> Result<SettleReply, Failure> {
        let to = Encoder { head: wire::fresh(self.process.time()), prefix: self.process.field("") };
        let mut reply = self
            .call_through(self.pair.bulk(), &SCRIPTS.settle, |cmd| to.encode(cmd, batch, handed, ops, delays))
            .await?;
        match reply.word() {
            "OK" => {
                self.process.told_handed.fetch_max(handed, Ordering::Relaxed);
                Ok(SettleReply::Done { late: reply.next()? })
            }
            "ENDED" => Ok(SettleReply::Ended),
            _ => Err(reply.failure()),
        }
    }
}
