//! Connections to Redis: a pair of them for all queues of one server, and how long a call may take.
//!
//! Large calls have a connection of their own, so that signs of life are not late behind them. Whether the server lives
//! is judged by the other one. If one of the two breaks, both are given up: `server.rs` opens the next pair.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use std::{fmt, io};

use futures::FutureExt;
use futures::future::{Either, select};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Client, Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, Value};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::one_line::OneLine;

/// No queue waits longer for the answer to a small call.
pub(super) const LONGEST_PATIENCE: Duration = Duration::from_secs(5);

/// The rate, in bytes a second, that every link is taken to reach. It is halved after each call that took too long.
const SLOWEST: f64 = 32.0 * 1024.0;

/// How often that is halved at most.
const MOST_DOUBT: u32 = 8;

/// The bytes that an answer with items may have.
const LARGE_ANSWER: usize = 1 << 20;

/// How often a large call took too long while the server lived; for all pairs of a server.
pub(super) type Doubt = Arc<AtomicU32>;

/// Two connections to one server, as one of its queues uses them.
#[derive(Clone)]
pub(super) struct Pair {
    lines: Arc<Lines>,
    patience: Duration,
}

/// Two connections to one server.
pub(super) struct Lines {
    control: MultiplexedConnection,
    bulk: MultiplexedConnection,
    /// What is under way through `bulk`: a call has its turn after those.
    under_way: AtomicUsize,
    doubt: Doubt,
    /// Why they were given up.
    broken: OnceLock<RedisError>,
    breaks: Notify,
}

impl Lines {
    /// Opens both.
    pub(super) async fn open(client: &Client, patience: Duration, doubt: Doubt) -> Result<Self, RedisError> {
        let (control, bulk) = futures::try_join!(connect(client, patience), connect(client, patience))?;
        Ok(Self::new(control, bulk, doubt))
    }

    /// Opens one, for small calls.
    pub(super) async fn open_one(client: &Client, patience: Duration) -> Result<Self, RedisError> {
        let control = connect(client, patience).await?;
        Ok(Self::new(control.clone(), control, Doubt::default()))
    }

    fn new(control: MultiplexedConnection, bulk: MultiplexedConnection, doubt: Doubt) -> Self {
        let (broken, breaks) = Default::default();
        Self { control, bulk, under_way: AtomicUsize::new(0), doubt, broken, breaks }
    }

    /// Returns them for a queue with this patience.
    pub(super) fn with(self: &Arc<Self>, patience: Duration) -> Pair {
        Pair { lines: Arc::clone(self), patience }
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.get().is_some()
    }

    /// From now on all calls fail with this, also those that are under way.
    pub(super) fn give_up(&self, why: RedisError) {
        if self.broken.set(why).is_ok() {
            self.breaks.notify_waiters();
        }
    }
}

async fn connect(client: &Client, patience: Duration) -> Result<MultiplexedConnection, RedisError> {
    // Each call has a time of its own.
    let config = AsyncConnectionConfig::new().set_connection_timeout(Some(patience)).set_response_timeout(None);
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    // A server that asks for a password says so of a small call; a large one it takes for an attack.
    let pong = timeout(patience, redis::cmd("PING").query_async::<Value>(&mut connection)).await;
    match pong.unwrap_or_else(|_| Err(late(patience))) {
        Err(error) if error.code() != Some("NOPERM") => Err(error),
        _ => Ok(connection),
    }
}

impl Pair {
    pub(super) fn is_broken(&self) -> bool {
        self.lines.is_broken()
    }

    /// From now on all calls fail with this, those of other queues, too.
    pub(super) fn give_up(&self, why: RedisError) {
        self.lines.give_up(why);
    }

    /// For calls that are small both ways.
    pub(super) fn control(&self) -> Line {
        Line { pair: self.clone(), way: Way::Control }
    }

    /// For calls that carry items to Redis.
    pub(super) fn bulk(&self) -> Line {
        Line { pair: self.clone(), way: Way::Bulk { answer: 0 } }
    }

    /// For calls whose answer carries items.
    pub(super) fn bulk_answer(&self) -> Line {
        Line { pair: self.clone(), way: Way::Bulk { answer: LARGE_ANSWER } }
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").field("broken", &self.lines.broken.get()).finish_non_exhaustive()
    }
}

#[cfg(test)]
impl From<MultiplexedConnection> for Pair {
    fn from(connection: MultiplexedConnection) -> Self {
        Arc::new(Lines::new(connection.clone(), connection, Doubt::default())).with(Duration::from_secs(60))
    }
}

/// One of the two connections.
pub(super) struct Line {
    pair: Pair,
    way: Way,
}

#[derive(Clone, Copy)]
enum Way {
    Control,
    Bulk { answer: usize },
}

impl Line {
    async fn ask(&mut self, cmd: &Cmd) -> Result<Value, RedisError> {
        let Self { pair: Pair { lines, patience }, way } = self;
        // Made before the look: what breaks after that is heard.
        let breaks = lines.breaks.notified();
        if let Some(why) = lines.broken.get() {
            return Err(why.clone());
        }
        let (mut connection, mut patience, mut _under_way) = (lines.control.clone(), *patience, None);
        if let Way::Bulk { answer } = *way {
            let bytes: usize = answer + cmd.args_iter().map(|arg| length(&arg)).sum::<usize>();
            let ahead = lines.under_way.fetch_add(bytes, Relaxed);
            _under_way = Some(UnderWay { lines, bytes });
            let slowest = SLOWEST / f64::from(1 << lines.doubt.load(Relaxed).min(MOST_DOUBT));
            patience += Duration::from_secs_f64((ahead + bytes) as f64 / slowest);
            connection = lines.bulk.clone();
        }
        let answer = {
            let call = std::pin::pin!(timeout(patience, connection.send_packed_command(cmd)));
            match select(call, std::pin::pin!(breaks)).await {
                Either::Left((answer, _)) => answer,
                Either::Right(_) => return Err(lines.broken.get().cloned().unwrap_or_else(|| late(patience))),
            }
        };
        let answer = match answer {
            // An error that Redis answers is a value, too.
            Ok(Ok(Value::ServerError(error))) => Err(error.into()),
            Ok(answer) => answer,
            Err(_) => {
                if let Way::Bulk { .. } = way {
                    lines.doubt.fetch_add(1, Relaxed);
                }
                Err(late(patience))
            }
        };
        if let Err(error) = &answer
            && breaks_connections(error)
        {
            lines.give_up(error.clone());
        }
        answer
    }
}

fn length(arg: &redis::Arg<&[u8]>) -> usize {
    match arg {
        redis::Arg::Simple(bytes) => bytes.len(),
        _ => 0,
    }
}

fn late(patience: Duration) -> RedisError {
    io::Error::new(io::ErrorKind::TimedOut, format!("no answer for {:.1} s", patience.as_secs_f32())).into()
}

/// Whether it tells of the connection, or that it does not lead to the master. All else is about one call, and other
/// queues need not hear of it.
fn breaks_connections(error: &RedisError) -> bool {
    match error.code() {
        Some(code) => {
            matches!(code, "READONLY" | "MOVED" | "MASTERDOWN" | "CLUSTERDOWN" | "LOADING" | "NOAUTH" | "WRONGPASS")
        }
        None => error.is_io_error() || error.is_unrecoverable_error() || error.kind() == ErrorKind::Parse,
    }
}

struct UnderWay<'a> {
    lines: &'a Lines,
    bytes: usize,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.lines.under_way.fetch_sub(self.bytes, Relaxed);
    }
}

impl ConnectionLike for Line {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        self.ask(cmd).boxed()
    }

    fn req_packed_commands<'a>(&'a mut self, _: &'a Pipeline, _: usize, _: usize) -> RedisFuture<'a, Vec<Value>> {
        unreachable!("each call is a single command")
    }

    fn get_db(&self) -> i64 {
        self.pair.lines.control.get_db()
    }
}

/// Says in the log if Redis deletes keys when its memory is short. Whoever may not ask for that is told nothing.
pub(super) async fn look_for_eviction(pair: &Pair, label: &str) {
    let info = match redis::cmd("INFO").arg("memory").query_async::<String>(&mut pair.control()).await {
        Ok(info) => info,
        Err(error) => return log::debug!("{label}: Redis does not tell its maxmemory-policy: {}", OneLine(error)),
    };
    let figure = |name| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    if let (Some(limit), Some(policy)) = (figure("maxmemory"), figure("maxmemory_policy"))
        && limit != "0"
        && policy != "noeviction"
    {
        log::error!(
            "{label}: Redis deletes keys when its memory is short, and with them items may be lost: its maxmemory-policy \
             is {}; set it to noeviction",
            OneLine(policy)
        );
    }
}

/// Returns how long an item may be: as much as Redis takes in one piece, or would unless it was told otherwise, less what
/// is written around an item.
pub(super) async fn largest_item(pair: &Pair) -> usize {
    const DEFAULT: usize = 512 << 20;
    const AROUND: usize = 1024;
    const NAME: &str = "proto-max-bulk-len";
    let mut ask = redis::cmd("CONFIG");
    // A list in the second version of the protocol, a map in the third.
    let told = ask.arg("GET").arg(NAME).query_async::<HashMap<String, String>>(&mut pair.control()).await;
    let largest = told.ok().and_then(|told| told.get(NAME)?.parse().ok()).unwrap_or(DEFAULT);
    largest.saturating_sub(AROUND)
}
