//! How to reach the Redis that has the queue now.
//!
//! ```text
//!  redis://HOST                     one server: that one
//!  redis+sentinel://H1,H2/SERVICE   sentinel.rs: the master of now, as the sentinels say
//!  redis+cluster://H1,H2            cluster.rs: the master of the queue's slot, as the nodes say
//! ```
//!
//! A connection to a Redis that has lost the queue fails (it is dead, `READONLY`, `MOVED`, …), and each connection that
//! follows begins with [`Address::client`].

use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisError};

use crate::error::ConnectError;
use crate::one_line::OneLine;
use crate::redis::server::tls::Certificates;

mod cluster;
mod nodes;
mod sentinel;
#[cfg(test)]
mod tests;
mod url;

use cluster::Cluster;
pub(crate) use nodes::Node;
use sentinel::Sentinels;
use url::{Several, Url};

/// How to reach the Redis that has the queue now.
pub(crate) struct Address {
    /// How to connect to a server, and to which one unless others know better.
    server: ConnectionInfo,
    route: Route,
    /// The queue, for the log.
    queue: String,
    /// No answer for so long (in ms) is as good as none: the longest patience of the queues that share it.
    patience: AtomicU64,
    key: ServerKey,
}

/// What was given. Queues with the same share their connections.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct ServerKey {
    url: String,
    certificates: Certificates,
    /// Each queue of a cluster may be on another node.
    queue: Option<String>,
}

/// Who knows where it is.
enum Route {
    Fixed,
    Sentinels(Box<Sentinels>),
    Cluster(Cluster),
}

impl Address {
    /// Checks what was given. `pointer` is a key of the queue.
    pub(crate) fn check(
        url: &str,
        certificates: Certificates,
        queue: &str,
        pointer: String,
        patience: Duration,
    ) -> Result<Self, ConnectError> {
        let given = url;
        let url = Url::parse(url).map_err(ConnectError::Url)?;
        if url.is_tls() && cfg!(not(any(feature = "redis-rustls", feature = "redis-native-tls"))) {
            return Err(ConnectError::NoTls);
        }
        let info = |url: &str| {
            let server = certificates.add_to(url.into_connection_info().map_err(ConnectError::Url)?)?;
            // A small call is not to wait until the one before it has arrived.
            Ok::<_, ConnectError>(server.set_tcp_settings(TcpSettings::default().set_nodelay(true)))
        };
        let node = |url: &String| Ok(Node::of(&url.as_str().into_connection_info().map_err(ConnectError::Url)?));
        let nodes = |several: &Several| several.servers.iter().map(node).collect::<Result<Vec<_>, ConnectError>>();
        let (server, route) = match url {
            Url::One(url) => (info(url)?, Route::Fixed),
            Url::Sentinels(several, service) => {
                let sentinel = info(&several.servers[0])?;
                let sentinels = Sentinels::new(nodes(&several)?, sentinel, service.name);
                (info(&service.master)?, Route::Sentinels(Box::new(sentinels)))
            }
            Url::Cluster(several) => {
                (info(&several.servers[0])?, Route::Cluster(Cluster::new(nodes(&several)?, pointer.clone())))
            }
        };
        let of_queue = matches!(route, Route::Cluster(_)).then_some(pointer);
        let key = ServerKey { url: given.to_owned(), certificates, queue: of_queue };
        let patience = AtomicU64::new(patience.as_millis() as u64);
        Ok(Self { server, route, queue: OneLine(queue).to_string(), patience, key })
    }

    pub(crate) fn key(&self) -> &ServerKey {
        &self.key
    }

    /// Returns the queue that it was given for, for the log.
    pub(crate) fn queue(&self) -> &str {
        &self.queue
    }

    /// Returns how long to wait for an answer before the connection counts as dead.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_millis(self.patience.load(Relaxed))
    }

    /// Has this one serve the queue of the other one, too, which has the same key.
    pub(crate) fn share_with(&self, other: &Self) {
        self.patience.fetch_max(other.patience.load(Relaxed), Relaxed);
    }

    /// Whether what a Redis says of one slot holds for all queues that share its connections: each has its own.
    pub(crate) fn is_of_one_slot(&self) -> bool {
        self.key.queue.is_some()
    }

    /// Returns where this node is, or the server that was given, without what is needed to connect.
    pub(crate) fn place(&self, node: Option<&Node>) -> String {
        match node {
            Some(node) => OneLine(node).to_string(),
            None => OneLine(self.server.addr()).to_string(),
        }
    }

    pub(crate) fn is_tls(&self) -> bool {
        matches!(self.server.addr(), ConnectionAddr::TcpTls { .. })
    }

    /// Returns how to connect to the Redis that has the queue now, and which node that is, where there are several: to be
    /// asked anew for each connection.
    pub(crate) async fn client(&self) -> Result<(Client, Option<Node>), RedisError> {
        let node = match &self.route {
            Route::Fixed => return Ok((Client::open(self.server.clone())?, None)),
            Route::Sentinels(sentinels) => sentinels.master(self).await?,
            Route::Cluster(cluster) => cluster.node(self).await?,
        };
        Ok((Client::open(node.like(&self.server))?, Some(node)))
    }

    /// Waits until it is known that the queue is not on this node any more, although that may still answer.
    pub(crate) async fn moved(&self, here: &Node) -> RedisError {
        let Route::Sentinels(sentinels) = &self.route else {
            // A node of a cluster says so itself.
            return pending().await;
        };
        no_route("the sentinels have chosen another master", sentinels.moved(self, here).await)
    }

    async fn connect(&self, node: &Node) -> Result<MultiplexedConnection, RedisError> {
        self.open(node.like(&self.server)).await
    }

    async fn open(&self, server: ConnectionInfo) -> Result<MultiplexedConnection, RedisError> {
        let patience = Some(self.patience());
        let config = AsyncConnectionConfig::new().set_connection_timeout(patience).set_response_timeout(patience);
        Client::open(server)?.get_multiplexed_async_connection_with_config(&config).await
    }
}

/// Returns an error of our own.
fn no_route(what: &'static str, detail: impl ToString) -> RedisError {
    RedisError::from((ErrorKind::Client, what, detail.to_string()))
}
