//! One queue in Redis as one process sees it: a call for each script, and nothing that decides.
//!
//! Every call may be repeated as it was when its answer was lost, after [`QueueClient::attach`] where the
//! connection is a new one.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use redis::Cmd;

use crate::lock::lock;
use crate::redis::client::scripts::{FORMAT, Key, LETTERS, SCRIPTS, Script};
use crate::redis::server::connection::{Connection, Pair};

pub(crate) mod process_id;
mod reply;
mod report;
mod scripts;
#[cfg(test)]
pub(crate) mod tests;
mod types;
mod wire;

use reply::ScriptReply;
pub(crate) use report::{QueueEnd, QueueReport};
pub(crate) use types::{
    Attached, ClaimReply, Entry, Failure, Joined, Op, PutReply, Registered, Rejoined, Renewed, Settings, SettleReply,
};
use wire::{Encoder, Fresh, foreign};

/// How much one call may carry: items of a put or a claim, operations of a settle.
pub(crate) const MAX_BATCH: usize = 1_000;

/// How many names of producers a process tells, for those who ask why the queue is not done.
const MAX_NAMES: usize = 20;

/// One queue in Redis as one process sees it: a call for each script.
#[derive(Clone)]
pub(crate) struct QueueClient {
    pair: Pair,
    /// Their number. Calls that arrive through earlier connections do nothing.
    conn: u64,
    process: Arc<Process>,
}

/// The most bytes that a claim is to bring; one item, or some of its size, may go beyond.
const CLAIM_BYTES: usize = 1 << 20;

/// This process in one generation of the queue.
struct Process {
    name: Name,
    /// Which of the queues of that name: their number, or [`LETTERS`].
    generation: String,
    /// By [`Key`].
    keys: Vec<String>,
    id: String,
    settings: Vec<String>,
    /// The next delivery id. Ids are never used twice, nor after a claim whose answer was lost.
    next_id: AtomicU64,
    /// The last delivery that Redis knows a consumer was handed.
    told_handed: AtomicU64,
    /// The ids of the last claim.
    claimed: Mutex<Range<u64>>,
    /// The server's clock, as far as it is known here.
    clock: Mutex<(Instant, u64)>,
}

#[derive(Debug, Clone)]
struct Name {
    /// The key that says which generation is the current one.
    pointer: String,
    process: String,
}

/// Returns the key that says which generation of a queue is the current one. All its other keys begin with it.
///
/// The number is that of the format: processes of releases whose formats differ must not meet.
pub(crate) fn pointer(name: &str) -> String {
    format!("{{aiq{FORMAT}:{name}}}")
}

impl fmt::Debug for QueueClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueClient")
            .field("meta", &self.process.key(Key::Meta))
            .field("process", &self.process.id)
            .field("conn", &self.conn)
            .finish_non_exhaustive()
    }
}

impl QueueClient {
    /// Joins the queue of that name. If there is none, or if it has ended, it is begun, or [`Joined::None`] if `begin` is
    /// false. `process_id` must be one that nobody has used.
    pub(crate) async fn join(
        pair: impl Into<Pair>,
        name: &str,
        settings: &Settings,
        process_id: &str,
        process_name: &str,
        begin: bool,
    ) -> Result<Joined, Failure> {
        let name = Name { pointer: pointer(name), process: process_name.to_owned() };
        let pair = pair.into();
        loop {
            let current: Option<String> = redis::cmd("GET").arg(&name.pointer).query_async(&mut pair.control()).await?;
            let current = current.unwrap_or_default();
            let process = Process::new(name.clone(), &current, process_id, settings.encode());
            let client = Self { pair: pair.clone(), conn: 1, process: Arc::new(process) };
            // With no pointer there is nothing to join.
            let joined = if current.is_empty() { Joined::None } else { client.try_join(&current).await? };
            match joined {
                Joined::None if begin => client.begin(&current).await?,
                // Another queue has begun meanwhile.
                Joined::Again => {}
                joined => return Ok(joined),
            }
        }
    }

    /// The queue of the dead letters of this one, to be joined with [`QueueClient::rejoin`]. It keeps no connection.
    pub(crate) fn letters(&self, settings: &Settings) -> Self {
        let process = Process::new(self.process.name.clone(), LETTERS, "", settings.encode());
        Self { pair: self.pair.none(), conn: self.conn, process: Arc::new(process) }
    }

    pub(crate) fn is_of_letters(&self) -> bool {
        self.process.generation == LETTERS
    }

    /// Begins a queue in the place of the current one.
    async fn begin(&self, current: &str) -> Result<(), Failure> {
        let (seconds, micros): (u64, u64) = redis::cmd("TIME").query_async(&mut self.pair.control()).await?;
        let mut number = seconds * 1_000_000 + micros;
        loop {
            let generation = number.to_string();
            let process = Process::new(self.process.name.clone(), &generation, &self.process.id, Vec::new());
            let begun = Self { process: Arc::new(process), ..self.clone() };
            let reply = begun.call(&SCRIPTS.begin, |cmd| _ = cmd.arg(current).arg(&generation)).await?;
            match reply.word() {
                "OK" | "AGAIN" => return Ok(()),
                "TAKEN" => number += 1,
                _ => return Err(reply.failure()),
            }
        }
    }

    async fn try_join(&self, current: &str) -> Result<Joined, Failure> {
        let process = &self.process;
        let mut reply = self
            .call(&SCRIPTS.join, |cmd| {
                cmd.arg(&process.name.process).arg(current).arg(&process.settings);
            })
            .await?;
        match reply.word() {
            "OK" => {
                process.set_clock(reply.next()?);
                Ok(Joined::Ok(self.clone()))
            }
            "MISMATCH" => Ok(Joined::Mismatch { field: reply.next()?, theirs: reply.next()?, ours: reply.next()? }),
            "NONE" => Ok(Joined::None),
            "AGAIN" => Ok(Joined::Again),
            "ENDED" => Ok(Joined::Ended),
            _ => Err(reply.failure()),
        }
    }

    /// A look from outside at the queue of that name, as it was last begun.
    pub(crate) async fn look(pair: &Pair, name: &str) -> Result<Option<QueueReport>, Failure> {
        let name = Name { pointer: pointer(name), process: String::new() };
        let generation: Option<String> = redis::cmd("GET").arg(&name.pointer).query_async(&mut pair.control()).await?;
        let Some(generation) = generation else { return Ok(None) };
        let process = Process::new(name, &generation, "", Vec::new());
        match (Self { pair: pair.clone(), conn: 0, process: Arc::new(process) }).report().await {
            Ok(report) => Ok(Some(report)),
            Err(Failure::Gone) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Joins the same queue anew under another id, after [`Failure::Fenced`]. All that this process held
    /// is void. It has one opener, and no endpoint. Never begins a queue: who waited for the end of
    /// this one must hear of it. But that of dead letters has no end, and begins with the first process that asks.
    pub(crate) async fn rejoin(&mut self, process_id: &str) -> Result<Rejoined, Failure> {
        let old = &self.process;
        let process = Process::new(old.name.clone(), &old.generation, process_id, old.settings.clone());
        process.next_id.store(old.next_id.load(Ordering::Relaxed), Ordering::Relaxed);
        let client = Self { process: Arc::new(process), ..self.clone() };
        let current = if self.is_of_letters() { LETTERS } else { "" };
        if self.is_of_letters() {
            client.call(&SCRIPTS.begin, |cmd| _ = cmd.arg("").arg("")).await?.done()?;
        }
        match client.try_join(current).await? {
            Joined::Ok(client) => {
                *self = client;
                Ok(Rejoined::Ok)
            }
            Joined::Ended => Ok(Rejoined::Ended),
            other => Err(foreign_join(&other)),
        }
    }

    /// All further calls go through these connections, the first of which must be [`QueueClient::attach`]. What was asked
    /// before counts as asked through earlier ones, also if these are the same: answers that nobody waited for may be
    /// to come, and large calls do not keep the order of small ones.
    pub(crate) fn reconnected(&mut self, pair: impl Into<Pair>) {
        self.pair = pair.into();
        self.conn += 1;
    }

    /// The connections of now.
    pub(crate) fn pair(&self) -> Pair {
        self.pair.clone()
    }

    /// Whether another generation of the queue is there in the place of this one.
    pub(crate) async fn is_superseded(&self) -> Result<bool, Failure> {
        let mut cmd = redis::cmd("GET");
        let now: Option<String> = cmd.arg(self.process.key(Key::Pointer)).query_async(&mut self.pair.control()).await?;
        Ok(now.is_some_and(|now| now != self.process.generation))
    }

    /// The Pub/Sub channels with the messages for all (`end`, `state`), and for this process (`items`,
    /// `room`). They are notifications.
    pub(crate) fn channels(&self) -> [String; 2] {
        let Process { name, generation, id, .. } = &*self.process;
        let prefix = format!("{}:{generation}", name.pointer);
        [format!("{prefix}:all"), format!("{prefix}:to:{id}")]
    }

    /// The id under which Redis knows this process; empty if it has not joined.
    pub(crate) fn process_id(&self) -> &str {
        &self.process.id
    }

    /// To be called first after each further connection: calls through earlier ones do nothing from now
    /// on, so what this tells stays true.
    pub(crate) async fn attach(&self) -> Result<Attached, Failure> {
        self.attach_through(self.pair.control()).await
    }

    /// Attaches through both connections: where the address has just led elsewhere, they may lead to two servers.
    pub(crate) async fn attach_both(&self) -> Result<Attached, Failure> {
        self.attach().await?;
        self.attach_through(self.pair.bulk()).await
    }

    async fn attach_through(&self, line: Connection) -> Result<Attached, Failure> {
        let mut reply = self.call_through(line, &SCRIPTS.attach, |_| {}).await?;
        match reply.word() {
            "OK" => Ok(Attached { last_put: reply.next()?, last_batch: reply.next()? }),
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

    /// The last item that was accepted from a process that is not one any more, as long as the retention.
    pub(crate) async fn last_put_of(&self, process_id: &str) -> Result<Option<u64>, Failure> {
        let mut connection = self.pair.control();
        Ok(redis::cmd("HGET").arg(self.process.key(Key::Was)).arg(process_id).query_async(&mut connection).await?)
    }

    /// Says how many endpoints this process has, whether it may open more, and some producers' names.
    pub(crate) async fn register(
        &self,
        producers: usize,
        consumers: usize,
        opener: bool,
        names: &[String],
    ) -> Result<Registered, Failure> {
        let names = &names[..names.len().min(MAX_NAMES)];
        let names = serde_json::to_string(names).expect("strings are JSON");
        let mut reply = self
            .call(&SCRIPTS.register, |cmd| {
                cmd.arg(producers).arg(consumers).arg(u8::from(opener)).arg(names);
            })
            .await?;
        match reply.word() {
            "OK" => Ok(Registered::Ok),
            "SEALED" => Ok(Registered::Sealed { producers: reply.next()? }),
            "ENDED" => Ok(Registered::Ended),
            _ => Err(reply.failure()),
        }
    }

    /// PutWindow items (JSON), at most [`MAX_BATCH`]. The first has the number `first`, counted from 1; what
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

    /// SettleLog deliveries and puts children, at most [`MAX_BATCH`] together. Batches are numbered from 1,
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

    /// Seals the queue for all.
    pub(crate) async fn seal(&self) -> Result<(), Failure> {
        self.call(&SCRIPTS.seal, |_| {}).await?.done()
    }

    /// Ends the queue for all.
    pub(crate) async fn abort(&self) -> Result<(), Failure> {
        self.call(&SCRIPTS.abort, |_| {}).await?.done()
    }

    /// Whether Redis knows that consumers were handed all up to this delivery.
    pub(crate) fn has_told(&self, handed: u64) -> bool {
        self.process.told_handed.load(Ordering::Relaxed) >= handed
    }

    /// Says that this process lives, and clears up after others. `handed` is as in [`QueueClient::claim`].
    pub(crate) async fn renew(&self, handed: u64) -> Result<Renewed, Failure> {
        let mut reply = self.call(&SCRIPTS.renew, |cmd| _ = cmd.arg(handed)).await?;
        match reply.word() {
            "OK" => {
                self.process.told_handed.fetch_max(handed, Ordering::Relaxed);
                let more = reply.next::<u8>()? == 1;
                self.process.set_clock(reply.next()?);
                Ok(Renewed::Ok { more })
            }
            "ENDED" => Ok(Renewed::Ended),
            _ => Err(reply.failure()),
        }
    }

    /// Ceases to be one of the queue's processes; what it holds goes back uncounted. To be called until
    /// it says `false`: there is no more to do. Done again, it does nothing.
    pub(crate) async fn leave(&self) -> Result<bool, Failure> {
        let reply = self.call(&SCRIPTS.leave, |_| {}).await?;
        match reply.word() {
            "MORE" => Ok(true),
            "OK" => Ok(false),
            _ => Err(reply.failure()),
        }
    }

    /// How the queue is.
    pub(crate) async fn report(&self) -> Result<QueueReport, Failure> {
        let reply = self.call(&SCRIPTS.report, |_| {}).await?;
        match reply.word() {
            "OK" => QueueReport::parse(reply),
            _ => Err(reply.failure()),
        }
    }

    async fn call(&self, script: &Script, args: impl FnOnce(&mut Cmd)) -> Result<ScriptReply, Failure> {
        self.call_through(self.pair.control(), script, args).await
    }

    async fn call_through(
        &self,
        mut line: Connection,
        script: &Script,
        args: impl FnOnce(&mut Cmd),
    ) -> Result<ScriptReply, Failure> {
        let mut cmd = redis::cmd("EVALSHA");
        cmd.arg(script.script.get_hash()).arg(script.keys.len());
        script.keys.iter().for_each(|key| _ = cmd.arg(self.process.key(*key)));
        cmd.arg(&self.process.id).arg(self.conn);
        args(&mut cmd);
        loop {
            match cmd.query_async(&mut line).await {
                Ok(value) => return ScriptReply::new(value),
                // Redis forgets scripts when it restarts. A call of one that it does not know did nothing.
                Err(error) if error.code() == Some("NOSCRIPT") => script.script.load_async(&mut line).await?,
                Err(error) => return Err(error.into()),
            };
        }
    }
}

impl Process {
    fn new(name: Name, generation: &str, id: &str, settings: Vec<String>) -> Self {
        Self {
            keys: Key::ALL.iter().map(|key| key.of(&name.pointer, generation)).collect(),
            name,
            generation: generation.to_owned(),
            id: id.to_owned(),
            settings,
            next_id: AtomicU64::new(1),
            told_handed: AtomicU64::new(0),
            claimed: Mutex::new(0..0),
            clock: Mutex::new((Instant::now(), 0)),
        }
    }

    fn key(&self, key: Key) -> &str {
        &self.keys[key as usize]
    }

    /// Of a delivery of this process, among what all hold.
    fn field(&self, delivery: impl fmt::Display) -> String {
        format!("{}.{delivery}", self.id)
    }

    fn set_clock(&self, server: u64) {
        *lock(&self.clock) = (Instant::now(), server);
    }

    /// The time of the server in ms: of a moment ago, when it was asked, and what passed since.
    fn time(&self) -> u64 {
        let (asked, server) = *lock(&self.clock);
        server + asked.elapsed().as_millis() as u64
    }
}

/// Only a queue that is not what its keys say can answer this.
fn foreign_join(joined: &Joined) -> Failure {
    match joined {
        Joined::Mismatch { .. } => foreign("a queue with other settings"),
        _ => foreign("no queue"),
    }
}
