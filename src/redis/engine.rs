//! One queue in Redis as one process sees it: a call for each script, and nothing that decides.
//!
//! Every call may be repeated as it was when its answer was lost, after [`Engine::attach`] where the
//! connection is a new one.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Script};

use super::scripts::SCRIPTS;

mod reply;
mod report;
#[cfg(test)]
mod tests;
mod types;
mod wire;

use reply::Reply;
pub(super) use report::{End, Report};
pub(super) use types::{
    Attached, Claim, Entry, Failure, Joined, Op, Put, Registered, Rejoined, Renewed, Settings, Settled,
};
use wire::{Fresh, encode, millis};

/// How much one call may carry: items of a put or a claim, operations of a settle, letters.
pub(super) const MAX_BATCH: usize = 1_000;

/// How many names of producers a process tells, for those who ask why the queue is not done.
const MAX_NAMES: usize = 20;

/// One queue in Redis as one process sees it: a call for each script.
#[derive(Clone)]
pub(super) struct Engine {
    connection: MultiplexedConnection,
    /// Its number. Calls that arrive through earlier connections do nothing.
    conn: u64,
    process: Arc<Process>,
}

/// This process in one generation of the queue.
struct Process {
    /// The key that says which generation is the current one.
    pointer: String,
    generation: String,
    /// Its key `meta`, by which scripts know the others.
    meta: String,
    id: String,
    name: String,
    settings: Vec<String>,
    /// The next delivery id. Ids are never used twice, nor after a claim whose answer was lost.
    next_id: AtomicU64,
    /// How many calls for letters were answered.
    letters: AtomicU64,
}

/// Returns the key that says which generation of a queue is the current one. All its other keys begin with it.
///
/// The number names the format of the keys: processes of releases whose formats differ must not meet.
pub(super) fn pointer(name: &str) -> String {
    format!("{{aiq2:{name}}}")
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("meta", &self.process.meta)
            .field("process", &self.process.id)
            .field("conn", &self.conn)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Joins the queue of that name; begins it if there is none, or if it has ended. `process_id` must
    /// be one that nobody has used.
    pub(super) async fn join(
        connection: MultiplexedConnection,
        name: &str,
        settings: &Settings,
        process_id: &str,
        process_name: &str,
    ) -> Result<Joined, Failure> {
        let settings = vec![
            settings.capacity.unwrap_or(0).to_string(),
            settings.max_attempts.to_string(),
            millis(settings.lease).to_string(),
            millis(settings.retention).to_string(),
            settings.deadline.map_or(0, |deadline| millis(deadline).max(1)).to_string(),
            u8::from(settings.seal_when_unowned).to_string(),
        ];
        let pointer = pointer(name);
        let mut process = Process {
            generation: String::new(),
            meta: String::new(),
            id: process_id.to_owned(),
            name: process_name.to_owned(),
            settings,
            next_id: AtomicU64::new(1),
            letters: AtomicU64::new(0),
            pointer,
        };
        let conn = 1;
        let mut reply = process.join(connection.clone(), conn).await?;
        match reply.word() {
            "OK" => {
                process.generation = reply.next()?;
                process.meta = format!("{}:{}:meta", process.pointer, process.generation);
                Ok(Joined::Ok(Self { connection, conn, process: Arc::new(process) }))
            }
            "MISMATCH" => Ok(Joined::Mismatch { field: reply.next()?, theirs: reply.next()?, ours: reply.next()? }),
            _ => Err(reply.failure()),
        }
    }

    /// A look from outside at the queue of that name, as it was last begun.
    pub(super) async fn look(mut connection: MultiplexedConnection, name: &str) -> Result<Option<Report>, Failure> {
        let pointer = pointer(name);
        let generation: Option<String> = redis::cmd("GET").arg(&pointer).query_async(&mut connection).await?;
        let Some(generation) = generation else { return Ok(None) };
        let mut cmd = evalsha(&SCRIPTS.report, &format!("{pointer}:{generation}:meta"));
        cmd.arg("").arg(0);
        let reply = run(connection, &SCRIPTS.report, &cmd).await?;
        match reply.word() {
            "OK" => Report::parse(reply).map(Some),
            "GONE" => Ok(None),
            _ => Err(reply.failure()),
        }
    }

    /// Joins the same queue anew under another id, after [`Failure::Fenced`]. All that this process held
    /// is void. It has one opener, and no endpoint. Never begins a queue: who waited for the end of
    /// this one must hear of it.
    pub(super) async fn rejoin(&mut self, process_id: &str) -> Result<Rejoined, Failure> {
        let old = &self.process;
        let process = Process {
            pointer: old.pointer.clone(),
            generation: old.generation.clone(),
            meta: old.meta.clone(),
            id: process_id.to_owned(),
            name: old.name.clone(),
            settings: old.settings.clone(),
            next_id: AtomicU64::new(old.next_id.load(Ordering::Relaxed)),
            letters: AtomicU64::new(0),
        };
        let reply = process.join(self.connection.clone(), self.conn).await?;
        match reply.word() {
            "OK" => {
                self.process = Arc::new(process);
                Ok(Rejoined::Ok)
            }
            "ENDED" => Ok(Rejoined::Ended),
            _ => Err(reply.failure()),
        }
    }

    /// All further calls go through this connection, the first of which must be [`Engine::attach`].
    pub(super) fn reconnected(&mut self, connection: MultiplexedConnection) {
        self.connection = connection;
        self.conn += 1;
    }

    /// The Pub/Sub channels with the messages for all (`end`, `state`), and for this process (`items`,
    /// `room`). They are hints.
    pub(super) fn channels(&self) -> [String; 2] {
        let prefix = self.process.key("");
        [format!("{prefix}all"), format!("{prefix}to:{}", self.process.id)]
    }

    /// The id under which Redis knows this process.
    pub(super) fn process_id(&self) -> &str {
        &self.process.id
    }

    /// To be called first after each further connection: calls through earlier ones do nothing from now
    /// on, so what this tells stays true.
    pub(super) async fn attach(&self) -> Result<Attached, Failure> {
        let mut reply = self.call(&SCRIPTS.attach, |_| {}).await?;
        match reply.word() {
            "OK" => Ok(Attached { last_put: reply.next()?, last_batch: reply.next()? }),
            _ => Err(reply.failure()),
        }
    }

    /// All that this process holds as Redis knows it, by delivery id.
    pub(super) async fn in_flight(&self) -> Result<Vec<(u64, Entry)>, Failure> {
        let key = self.process.key(&format!("inf:{}", self.process.id));
        let mut connection = self.connection.clone();
        let mut held = BTreeMap::new();
        let mut cursor = 0_u64;
        loop {
            let mut cmd = redis::cmd("HSCAN");
            cmd.arg(&key).arg(cursor).arg("COUNT").arg(MAX_BATCH);
            let (next, fields): (u64, Vec<(u64, Vec<u8>)>) = cmd.query_async(&mut connection).await?;
            for (id, entry) in fields {
                held.insert(id, Entry::parse(entry)?);
            }
            cursor = next;
            if cursor == 0 {
                return Ok(held.into_iter().collect());
            }
        }
    }

    /// The last item that was accepted from a process that is not one any more, as long as the retention.
    pub(super) async fn last_put_of(&self, process_id: &str) -> Result<Option<u64>, Failure> {
        let mut connection = self.connection.clone();
        Ok(redis::cmd("HGET").arg(self.process.key("was")).arg(process_id).query_async(&mut connection).await?)
    }

    /// Says how many endpoints this process has, whether it may open more, and some producers' names.
    pub(super) async fn register(
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

    /// Puts items (JSON), at most [`MAX_BATCH`]. The first has the number `first`, counted from 1; what
    /// was accepted before is skipped.
    pub(super) async fn put(&self, first: u64, payloads: &[impl AsRef<[u8]>]) -> Result<Put, Failure> {
        let mut reply = self
            .call(&SCRIPTS.put, |cmd| {
                cmd.arg(first);
                for payload in payloads {
                    cmd.arg(Fresh(payload.as_ref()));
                }
            })
            .await?;
        match reply.word() {
            "OK" => Ok(Put::Accepted(reply.next()?)),
            "FULL" => Ok(Put::Full(reply.next()?)),
            "GAP" => Ok(Put::Gap),
            "CLOSED" => Ok(Put::Closed),
            "ENDED" => Ok(Put::Ended),
            _ => Err(reply.failure()),
        }
    }

    /// Claims up to `max` items, at most [`MAX_BATCH`]. After a lost answer, [`Engine::attach`] through a
    /// new connection and [`Engine::in_flight`] tell what came of it.
    pub(super) async fn claim(&self, max: usize) -> Result<Claim, Failure> {
        let max = max.clamp(1, MAX_BATCH);
        let first = self.process.next_id.fetch_add(max as u64, Ordering::Relaxed);
        let mut reply = self
            .call(&SCRIPTS.claim, |cmd| {
                cmd.arg(first).arg(max);
            })
            .await?;
        match reply.word() {
            "ITEMS" => {
                let entries: Vec<Vec<u8>> = reply.next()?;
                Ok(Claim::Items { first, entries: entries.into_iter().map(Entry::parse).collect::<Result<_, _>>()? })
            }
            "EMPTY" => {
                let next_due = u64::try_from(reply.next::<i64>()?).ok();
                Ok(Claim::Empty { next_due: next_due.map(Duration::from_millis) })
            }
            "ENDED" => Ok(Claim::Ended),
            _ => Err(reply.failure()),
        }
    }

    /// Settles deliveries and puts children, at most [`MAX_BATCH`] together. Batches are numbered from 1,
    /// and each is done once.
    pub(super) async fn settle(&self, batch: u64, ops: &[Op]) -> Result<Settled, Failure> {
        let mut reply = self.call(&SCRIPTS.settle, |cmd| encode(cmd, batch, ops)).await?;
        match reply.word() {
            "OK" => Ok(Settled::Done { late: reply.next()? }),
            "ENDED" => Ok(Settled::Ended),
            _ => Err(reply.failure()),
        }
    }

    /// Seals the queue for all.
    pub(super) async fn seal(&self) -> Result<(), Failure> {
        self.call(&SCRIPTS.seal, |_| {}).await?.done()
    }

    /// Ends the queue for all.
    pub(super) async fn abort(&self) -> Result<(), Failure> {
        self.call(&SCRIPTS.abort, |_| {}).await?.done()
    }

    /// Says that this process lives, and clears up after others. `delays` are those before the redelivery
    /// after attempt 1, 2, …, for items whose deadline passed; the last is that of all further ones.
    pub(super) async fn renew(&self, delays: &[Duration]) -> Result<Renewed, Failure> {
        let mut reply = self
            .call(&SCRIPTS.renew, |cmd| {
                for delay in delays {
                    cmd.arg(millis(*delay));
                }
            })
            .await?;
        match reply.word() {
            "OK" => Ok(Renewed::Ok { more: reply.next::<u8>()? == 1 }),
            "ENDED" => Ok(Renewed::Ended),
            _ => Err(reply.failure()),
        }
    }

    /// Ceases to be one of the queue's processes; what it holds goes back uncounted. To be called until
    /// it says `false`: there is no more to do. Done again, it does nothing.
    pub(super) async fn leave(&self) -> Result<bool, Failure> {
        let reply = self.call(&SCRIPTS.leave, |_| {}).await?;
        match reply.word() {
            "MORE" => Ok(true),
            "OK" => Ok(false),
            _ => Err(reply.failure()),
        }
    }

    /// How the queue is.
    pub(super) async fn report(&self) -> Result<Report, Failure> {
        let reply = self.call(&SCRIPTS.report, |_| {}).await?;
        match reply.word() {
            "OK" => Report::parse(reply),
            _ => Err(reply.failure()),
        }
    }

    /// Takes up to `max` dead letters (JSON), at most [`MAX_BATCH`]. One call at a time: each confirms
    /// the one before.
    pub(super) async fn letters(&self, max: usize) -> Result<Vec<Vec<u8>>, Failure> {
        let number = self.process.letters.load(Ordering::Relaxed) + 1;
        let mut reply = self
            .call(&SCRIPTS.letters, |cmd| {
                cmd.arg(number).arg(max.clamp(1, MAX_BATCH));
            })
            .await?;
        if reply.word() != "OK" {
            return Err(reply.failure());
        }
        let letters = reply.next()?;
        self.process.letters.store(number, Ordering::Relaxed);
        Ok(letters)
    }

    async fn call(&self, script: &Script, args: impl FnOnce(&mut Cmd)) -> Result<Reply, Failure> {
        let mut cmd = evalsha(script, &self.process.meta);
        cmd.arg(&self.process.id).arg(self.conn);
        args(&mut cmd);
        run(self.connection.clone(), script, &cmd).await
    }
}

impl Process {
    async fn join(&self, connection: MultiplexedConnection, conn: u64) -> Result<Reply, Failure> {
        let mut cmd = evalsha(&SCRIPTS.join, &self.pointer);
        cmd.arg(&self.id).arg(conn).arg(&self.name).arg(&self.generation).arg(&self.settings);
        run(connection, &SCRIPTS.join, &cmd).await
    }

    fn key(&self, rest: &str) -> String {
        format!("{}:{}:{rest}", self.pointer, self.generation)
    }
}

fn evalsha(script: &Script, key: &str) -> Cmd {
    let mut cmd = redis::cmd("EVALSHA");
    cmd.arg(script.get_hash()).arg(1).arg(key);
    cmd
}

/// Redis forgets scripts when it restarts. A call of one that it does not know did nothing.
async fn run(mut connection: MultiplexedConnection, script: &Script, cmd: &Cmd) -> Result<Reply, Failure> {
    loop {
        match cmd.query_async(&mut connection).await {
            Ok(value) => return Reply::new(value),
            Err(error) if error.code() == Some("NOSCRIPT") => script.load_async(&mut connection).await?,
            Err(error) => return Err(error.into()),
        };
    }
}
