//! The connections of a queue, and how a script is called.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use redis::Cmd;

use super::reply::ScriptReply;
use super::scripts::{FORMAT, Key, LETTERS, Script};
use super::types::Failure;
use crate::lock::lock;
use crate::redis::server::connection::{Connection, QueueConnections};

/// One queue in Redis as one process sees it: a call for each script.
#[derive(Clone)]
pub(crate) struct QueueClient {
    pub(super) pair: QueueConnections,
    /// Their number. Calls that arrive through earlier connections do nothing.
    pub(super) conn: u64,
    pub(super) process: Arc<Process>,
}

/// This process in one generation of the queue.
pub(super) struct Process {
    pub(super) name: Name,
    /// Which of the queues of that name: their number, or [`LETTERS`].
    pub(super) generation: String,
    /// By [`Key`].
    keys: Vec<String>,
    pub(super) id: String,
    pub(super) settings: Vec<String>,
    /// The next delivery id. Ids are never used twice, nor after a claim whose answer was lost.
    pub(super) next_id: AtomicU64,
    /// The last delivery that Redis knows a consumer was handed.
    pub(super) told_handed: AtomicU64,
    /// The ids of the last claim.
    pub(super) claimed: Mutex<Range<u64>>,
    /// The server's clock, as far as it is known here.
    clock: Mutex<(Instant, u64)>,
}

#[derive(Debug, Clone)]
pub(super) struct Name {
    /// The key that says which generation is the current one.
    pub(super) pointer: String,
    pub(super) process: String,
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
    pub(crate) fn is_of_letters(&self) -> bool {
        self.process.generation == LETTERS
    }

    /// All further calls go through these connections, the first of which must be [`QueueClient::attach`]. What was asked
    /// before counts as asked through earlier ones, also if these are the same: answers that nobody waited for may be
    /// to come, and large calls do not keep the order of small ones.
    pub(crate) fn reconnected(&mut self, pair: impl Into<QueueConnections>) {
        self.pair = pair.into();
        self.conn += 1;
    }

    /// The connections of now.
    pub(crate) fn pair(&self) -> QueueConnections {
        self.pair.clone()
    }

    /// The Pub/Sub channels with the messages for all (`end`, `state`), and for this process (`items`,
    /// `room`). They may be lost.
    pub(crate) fn channels(&self) -> [String; 2] {
        let Process { name, generation, id, .. } = &*self.process;
        let prefix = format!("{}:{generation}", name.pointer);
        [format!("{prefix}:all"), format!("{prefix}:to:{id}")]
    }

    /// The id under which Redis knows this process; empty if it has not joined.
    pub(crate) fn process_id(&self) -> &str {
        &self.process.id
    }

    /// Whether Redis knows that consumers were handed all up to this delivery.
    pub(crate) fn has_told(&self, handed: u64) -> bool {
        self.process.told_handed.load(Ordering::Relaxed) >= handed
    }

    pub(super) async fn call(&self, script: &Script, args: impl FnOnce(&mut Cmd)) -> Result<ScriptReply, Failure> {
        self.call_through(self.pair.control(), script, args).await
    }

    pub(super) async fn call_through(
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
    pub(super) fn new(name: Name, generation: &str, id: &str, settings: Vec<String>) -> Self {
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

    pub(super) fn key(&self, key: Key) -> &str {
        &self.keys[key as usize]
    }

    /// Of a delivery of this process, among what all hold.
    pub(super) fn field(&self, delivery: impl fmt::Display) -> String {
        format!("{}.{delivery}", self.id)
    }

    pub(super) fn set_clock(&self, server: u64) {
        *lock(&self.clock) = (Instant::now(), server);
    }

    /// The time of the server in ms: of a moment ago, when it was asked, and what passed since.
    pub(super) fn time(&self) -> u64 {
        let (asked, server) = *lock(&self.clock);
        server + asked.elapsed().as_millis() as u64
    }
}
