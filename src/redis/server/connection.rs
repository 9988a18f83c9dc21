//! Connections to Redis: a pair of them for all queues of one server, and how long a call may take.
//!
//! Large calls have a connection of their own, so that signs of life are not late behind them. Whether the server lives
//! is judged by the other one. If one of the two breaks, both are given up: `server/mod.rs` opens the next pair.
//!
//! Queues have different patience, as their leases differ. A small call that is late fails for its own queue; the
//! connections are given up once nothing came for as long as the most patient queue waits.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};
use std::{fmt, io};

use futures::FutureExt;
use futures::future::{Either, select};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Client, Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, Value};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::lock::lock;
use crate::one_line::OneLine;
use crate::redis::server::address::{Address, Node};

/// No queue waits longer for the answer to a small call.
pub(crate) const LONGEST_PATIENCE: Duration = Duration::from_secs(5);

/// The rate, in bytes a second, that every link is taken to reach. It is halved after each call that took too long.
const SLOWEST: f64 = 32.0 * 1024.0;

/// How often that is halved at most.
const MOST_DOUBT: u32 = 8;

/// The bytes that an answer with items may have.
const LARGE_ANSWER: usize = 1 << 20;

/// How often a large call took too long while the server lived; for all pairs of a server.
pub(crate) type Doubt = Arc<AtomicU32>;

/// Two connections to one server, as one of its queues uses them.
#[derive(Clone)]
pub(crate) struct QueueConnections {
    /// `None`: there are none yet.
    connections: Option<Arc<ConnectionPair>>,
    patience: Duration,
}

/// Two connections to one server.
pub(crate) struct ConnectionPair {
    address: Arc<Address>,
    /// Where they lead, if the address names several.
    node: Option<Node>,
    control: MultiplexedConnection,
    bulk: MultiplexedConnection,
    /// When the first small call was made that is late; `None` once one has been answered since.
    late_since: Mutex<Option<Instant>>,
    /// What is under way through `bulk`: a call has its turn after those.
    under_way: AtomicUsize,
    doubt: Doubt,
    /// Why they were given up.
    broken: OnceLock<RedisError>,
    breaks: Notify,
}

impl ConnectionPair {
    /// Opens both, as patiently as the most patient queue waits for them.
    pub(crate) async fn open(address: Arc<Address>, doubt: Doubt) -> Result<Self, RedisError> {
        let ((client, node), patience) = (address.client().await?, address.patience());
        let (control, bulk) = futures::try_join!(connect(&client, patience), connect(&client, patience))?;
        Ok(Self::new(address, node, [control, bulk], doubt))
    }

    /// Opens one, for small calls.
    pub(crate) async fn open_one(address: Arc<Address>) -> Result<Self, RedisError> {
        let (client, node) = address.client().await?;
        let control = connect(&client, address.patience()).await?;
        Ok(Self::new(address, node, [control.clone(), control], Doubt::default()))
    }

    fn new(
        address: Arc<Address>,
        node: Option<Node>,
        [control, bulk]: [MultiplexedConnection; 2],
        doubt: Doubt,
    ) -> Self {
        let (late_since, under_way, broken, breaks) = Default::default();
        Self { address, node, control, bulk, late_since, under_way, doubt, broken, breaks }
    }

    /// Returns them for a queue with this patience.
    pub(crate) fn with(self: &Arc<Self>, patience: Duration) -> QueueConnections {
        QueueConnections { connections: Some(Arc::clone(self)), patience }
    }

    /// Returns where they lead, if the address names several.
    pub(crate) fn node(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken.get().is_some()
    }

    /// From now on all calls fail with this, also those that are under way.
    pub(crate) fn give_up(&self, why: RedisError) {
        if self.broken.set(why).is_ok() {
            self.breaks.notify_waiters();
        }
    }

    /// Returns why they were given up, to calls that are not answered for that. It is no error of Redis: what became of
    /// those calls is not known.
    fn cut_off(&self) -> RedisError {
        let why = self.broken.get().map(words).unwrap_or_default();
        io::Error::new(io::ErrorKind::ConnectionAborted, why).into()
    }

    /// A small call that was made at this time is late for its queue.
    fn is_late(&self, made: Instant, patience: Duration) -> RedisError {
        let (since, longest) = (*lock(&self.late_since).get_or_insert(made), self.address.patience());
        if since.elapsed() < longest {
            return late(patience);
        }
        let error = late(longest);
        self.give_up(error.clone());
        error
    }

    /// Whether it tells of the connections, or that they do not lead to the master. All else is about one call, and other
    /// queues need not hear of it.
    fn are_broken_by(&self, error: &RedisError) -> bool {
        match error.code() {
            Some("READONLY" | "MASTERDOWN" | "LOADING" | "NOAUTH" | "WRONGPASS") => true,
            // Of one slot: queues that share a node may have others, which it serves.
            Some("MOVED" | "CLUSTERDOWN") => self.address.is_of_one_slot(),
            Some(_) => false,
            None => error.is_io_error() || error.is_unrecoverable_error() || error.kind() == ErrorKind::Parse,
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

impl QueueConnections {
    /// Returns none: a call through them fails.
    pub(crate) fn none(&self) -> Self {
        Self { connections: None, patience: self.patience }
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.connections.as_ref().is_none_or(|connections| connections.is_broken())
    }

    /// From now on all calls fail, those of other queues, too.
    pub(crate) fn give_up(&self, why: &'static str) {
        if let Some(connections) = &self.connections {
            connections.give_up(io::Error::other(why).into());
        }
    }

    /// For calls that are small both ways.
    pub(crate) fn control(&self) -> Connection {
        Connection { pair: self.clone(), role: Role::Control }
    }

    /// For calls that carry items to Redis.
    pub(crate) fn bulk(&self) -> Connection {
        Connection { pair: self.clone(), role: Role::Bulk { answer: 0 } }
    }

    /// For calls whose answer carries items.
    pub(crate) fn bulk_answer(&self) -> Connection {
        Connection { pair: self.clone(), role: Role::Bulk { answer: LARGE_ANSWER } }
    }
}

impl fmt::Debug for QueueConnections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let broken = self.connections.as_ref().map(|connections| connections.broken.get());
        f.debug_struct("QueueConnections").field("broken", &broken).finish_non_exhaustive()
    }
}

#[cfg(test)]
impl From<MultiplexedConnection> for QueueConnections {
    fn from(connection: MultiplexedConnection) -> Self {
        let patience = Duration::from_secs(60);
        let address = Address::check("redis://127.0.0.1/", Default::default(), "q", String::new(), patience);
        let (address, connections) = (Arc::new(address.expect("an address")), [connection.clone(), connection]);
        Arc::new(ConnectionPair::new(address, None, connections, Doubt::default())).with(patience)
    }
}

/// One of the two connections.
pub(crate) struct Connection {
    pair: QueueConnections,
    role: Role,
}

#[derive(Clone, Copy)]
enum Role {
    Control,
    Bulk { answer: usize },
}

impl Connection {
    async fn ask(&mut self, cmd: &Cmd) -> Result<Value, RedisError> {
        let Self { pair: QueueConnections { connections: Some(connections), patience }, role } = self else {
            return Err(io::Error::from(io::ErrorKind::NotConnected).into());
        };
        // Made before the look: what breaks after that is heard.
        let breaks = connections.breaks.notified();
        if connections.is_broken() {
            return Err(connections.cut_off());
        }
        let made = Instant::now();
        let (mut connection, mut patience, mut _under_way) = (connections.control.clone(), *patience, None);
        if let Role::Bulk { answer } = *role {
            let bytes: usize = answer + cmd.args_iter().map(|arg| length(&arg)).sum::<usize>();
            let ahead = connections.under_way.fetch_add(bytes, Relaxed);
            _under_way = Some(UnderWay { connections, bytes });
            let slowest = SLOWEST / f64::from(1 << connections.doubt.load(Relaxed).min(MOST_DOUBT));
            // Whether the server lives is judged by small calls.
            patience = connections.address.patience() + Duration::from_secs_f64((ahead + bytes) as f64 / slowest);
            connection = connections.bulk.clone();
        }
        let answer = {
            let call = std::pin::pin!(timeout(patience, connection.send_packed_command(cmd)));
            match select(call, std::pin::pin!(breaks)).await {
                Either::Left((answer, _)) => answer,
                Either::Right(_) => return Err(connections.cut_off()),
            }
        };
        let answer = match (answer, role) {
            (Ok(answer), way) => {
                if let Role::Control = way {
                    *lock(&connections.late_since) = None;
                }
                match answer {
                    // An error that Redis answers is a value, too.
                    Ok(Value::ServerError(error)) => Err(error.into()),
                    answer => answer,
                }
            }
            (Err(_), Role::Control) => return Err(connections.is_late(made, patience)),
            (Err(_), Role::Bulk { .. }) => {
                connections.doubt.fetch_add(1, Relaxed);
                Err(late(patience))
            }
        };
        if let Err(error) = &answer
            && connections.are_broken_by(error)
        {
            connections.give_up(error.clone());
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

/// Returns an error in its own words, in one line: people look for those of Redis.
pub(crate) fn words(error: &RedisError) -> String {
    match error.code() {
        Some(code) => OneLine(format!("{code} {}", error.detail().unwrap_or_default())).to_string(),
        None => OneLine(error).to_string(),
    }
}

struct UnderWay<'a> {
    connections: &'a ConnectionPair,
    bytes: usize,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.connections.under_way.fetch_sub(self.bytes, Relaxed);
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        self.ask(cmd).boxed()
    }

    fn req_packed_commands<'a>(&'a mut self, _: &'a Pipeline, _: usize, _: usize) -> RedisFuture<'a, Vec<Value>> {
        unreachable!("each call is a single command")
    }

    fn get_db(&self) -> i64 {
        self.pair.connections.as_ref().map_or(0, |connections| connections.control.get_db())
    }
}

/// Says in the log if Redis deletes keys when its memory is short. A user without the right to ask for that is told nothing.
pub(crate) async fn look_for_eviction(pair: &QueueConnections, label: &str) {
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
pub(crate) async fn largest_item(pair: &QueueConnections) -> usize {
    const DEFAULT: usize = 512 << 20;
    const AROUND: usize = 1024;
    const NAME: &str = "proto-max-bulk-len";
    let mut ask = redis::cmd("CONFIG");
    // A list in the second version of the protocol, a map in the third.
    let told = ask.arg("GET").arg(NAME).query_async::<HashMap<String, String>>(&mut pair.control()).await;
    let largest = told.ok().and_then(|told| told.get(NAME)?.parse().ok()).unwrap_or(DEFAULT);
    largest.saturating_sub(AROUND)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use redis::{RedisError, Value};

    use super::{QueueConnections, late};
    use crate::error::ConnectError;
    use crate::redis::client::tests::server::with_redis;

    /// What became of it is not known, unlike that of a call to which Redis answers with an error.
    #[test]
    fn a_call_that_another_one_cuts_off_has_no_answer_of_redis() {
        with_redis(async |server| {
            let pair = QueueConnections::from(server.connect().await);
            let call = || async {
                let mut line = pair.control();
                redis::cmd("BLPOP").arg("nothing").arg(0).query_async::<Value>(&mut line).await.unwrap_err()
            };
            let breaks = async {
                tokio::task::yield_now().await;
                let why = redis::make_extension_error("READONLY".to_owned(), Some("no master".to_owned()));
                pair.connections.as_ref().unwrap().give_up(why);
            };
            let (cut, ()) = futures::join!(call(), breaks);
            for error in [cut, call().await] {
                assert_eq!((error.code(), error.to_string().as_str()), (None, "READONLY no master"));
                assert!(error.is_io_error());
            }
        });
    }

    #[test]
    fn what_is_late_over_tls_is_no_matter_of_tls() {
        let error = |error: RedisError| ConnectError::Redis(error).over(true);
        assert!(matches!(error(late(Duration::from_secs(1))), ConnectError::Redis(_)));
    }
}
