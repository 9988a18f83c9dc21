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
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisError};
use tokio::time::sleep;

use super::tls::Certificates;
use crate::error::ConnectError;
use crate::one_line::OneLine;

mod cluster;
mod nodes;
mod sentinel;
#[cfg(test)]
mod tests;
mod url;

use cluster::Cluster;
use nodes::Node;
use sentinel::Sentinels;
use url::{Several, Url};

/// How to reach the Redis that has the queue now.
pub(super) struct Address {
    /// How to connect to a server, and to which one unless others know better.
    server: ConnectionInfo,
    way: Way,
    /// The queue, for the log.
    queue: String,
    /// No answer for so long is as good as none.
    patience: Duration,
    /// Where the queue was last.
    last: Mutex<Option<Node>>,
    key: Key,
}

/// What was given. Queues with the same share their connections.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    url: String,
    certificates: Certificates,
    /// Each queue of a cluster may be on another node.
    queue: Option<String>,
}

/// Who knows where it is.
enum Way {
    Fixed,
    Sentinels(Box<Sentinels>),
    Cluster(Cluster),
}

impl Address {
    /// Checks what was given. `pointer` is a key of the queue.
    pub(super) fn check(
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
        let (server, way) = match url {
            Url::One(url) => (info(url)?, Way::Fixed),
            Url::Sentinels(several, service) => {
                let sentinel = info(&several.servers[0])?;
                let sentinels = Sentinels::new(nodes(&several)?, sentinel, service.name);
                (info(&service.master)?, Way::Sentinels(Box::new(sentinels)))
            }
            Url::Cluster(several) => {
                (info(&several.servers[0])?, Way::Cluster(Cluster::new(nodes(&several)?, pointer.clone())))
            }
        };
        let of_queue = matches!(way, Way::Cluster(_)).then_some(pointer);
        let key = Key { url: given.to_owned(), certificates, queue: of_queue };
        Ok(Self { server, way, queue: OneLine(queue).to_string(), patience, last: Mutex::new(None), key })
    }

    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// Returns where the queue was last, without what is needed to connect.
    pub(super) fn place(&self) -> String {
        match &*self.last() {
            Some(node) => OneLine(node).to_string(),
            None => OneLine(self.server.addr()).to_string(),
        }
    }

    pub(super) fn is_tls(&self) -> bool {
        matches!(self.server.addr(), ConnectionAddr::TcpTls { .. })
    }

    /// Returns how to connect to the Redis that has the queue now: to be asked anew for each connection.
    pub(super) async fn client(&self) -> Result<Client, RedisError> {
        let node = match &self.way {
            Way::Fixed => return Client::open(self.server.clone()),
            Way::Sentinels(sentinels) => sentinels.master(self).await?,
            Way::Cluster(cluster) => cluster.node(self).await?,
        };
        let client = Client::open(node.like(&self.server));
        let before = self.last().replace(node.clone()).filter(|before| *before != node);
        if let Some(before) = before {
            log::warn!("{}: the master is now {}; it was {}", self.queue, OneLine(node), OneLine(before));
        }
        client
    }

    /// Waits until it is known that the queue is elsewhere than [`client`](Address::client) said last, although the Redis
    /// that had it may still answer.
    pub(super) async fn moved(&self) -> RedisError {
        let Way::Sentinels(sentinels) = &self.way else {
            // A node of a cluster says so itself.
            return pending().await;
        };
        let here = loop {
            let last = self.last().clone();
            match last {
                Some(here) => break here,
                None => sleep(SOON).await,
            }
        };
        no_way("the sentinels have chosen another master", sentinels.moved(self, &here).await)
    }

    fn last(&self) -> MutexGuard<'_, Option<Node>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self, node: &Node) -> Result<MultiplexedConnection, RedisError> {
        self.open(node.like(&self.server)).await
    }

    async fn open(&self, server: ConnectionInfo) -> Result<MultiplexedConnection, RedisError> {
        let patience = Some(self.patience);
        let config = AsyncConnectionConfig::new().set_connection_timeout(patience).set_response_timeout(patience);
        Client::open(server)?.get_multiplexed_async_connection_with_config(&config).await
    }
}

/// Until the first connection.
const SOON: Duration = Duration::from_secs(1);

/// Returns an error of our own.
fn no_way(what: &'static str, detail: impl ToString) -> RedisError {
    RedisError::from((ErrorKind::Client, what, detail.to_string()))
}
