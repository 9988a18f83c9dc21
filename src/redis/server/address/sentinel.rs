//! The master of a service, as its sentinels say.

use std::time::Duration;

use futures::StreamExt;
use redis::aio::PubSub;
use redis::{Client, ConnectionInfo, RedisError, Value};
use tokio::time::{sleep, timeout};

use super::nodes::{Failures, Node, Nodes};
use super::{Address, no_route};

/// Between two tries to listen.
const PAUSE: Duration = Duration::from_secs(1);

/// How long one is listened to in silence, before that begins anew.
const QUIET: Duration = Duration::from_secs(10);

pub(crate) struct Sentinels {
    sentinels: Nodes,
    /// How to connect to a sentinel.
    sentinel: ConnectionInfo,
    service: String,
}

impl Sentinels {
    pub(crate) fn new(sentinels: Vec<Node>, sentinel: ConnectionInfo, service: String) -> Self {
        Self { sentinels: Nodes::new(sentinels), sentinel, service }
    }

    /// Asks one sentinel after another, until one names a server that says itself that it is a master.
    ///
    /// A sentinel that was cut off from the others may name the old one, and right after a failover so do all.
    pub(crate) async fn master(&self, address: &Address) -> Result<Node, RedisError> {
        let mut failures = Failures::default();
        for node in self.sentinels.all() {
            match self.ask(address, &node).await {
                Ok(master) => {
                    self.sentinels.prefer(&node);
                    return Ok(master);
                }
                Err(error) => {
                    self.sentinels.defer(&node);
                    failures.add(&node, &error);
                }
            }
        }
        Err(failures.into_error("no sentinel leads to a master"))
    }

    async fn ask(&self, address: &Address, sentinel: &Node) -> Result<Node, RedisError> {
        let mut connection = address.open(sentinel.like(&self.sentinel)).await?;
        let mut question = redis::cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.service);
        let Some((host, port)) = question.query_async(&mut connection).await? else {
            return Err(no_route("it knows no service of this name", &self.service));
        };
        let master = Node { host, port };
        let said = |error| no_route("it names a master that does not serve", format!("{master}: {error}"));
        let mut connection = address.connect(&master).await.map_err(said)?;
        let role: Vec<Value> = redis::cmd("ROLE").query_async(&mut connection).await.map_err(said)?;
        match role.into_iter().next().map(redis::from_redis_value::<String>) {
            Some(Ok(role)) if role == "master" => Ok(master),
            _ => Err(no_route("it names a master that is none", &master)),
        }
    }
}

impl Sentinels {
    /// Waits until the master is another one than `here`, and returns that.
    ///
    /// A master that still lives when its sentinels choose another one hears of it some ten seconds later; what it confirms
    /// until then is lost.
    pub(crate) async fn moved(&self, address: &Address, here: &Node) -> Node {
        loop {
            for node in self.sentinels.all() {
                let Ok(Ok(messages)) = timeout(address.patience(), self.listen(&node)).await else { continue };
                match self.watch(address, &node, messages, here).await {
                    Some(master) => return master,
                    None => break,
                }
            }
            sleep(PAUSE).await;
        }
    }

    /// Returns another master than `here` once this sentinel names one. `None`: it knows none that serves, or has gone, or
    /// may have, as it was silent for long.
    async fn watch(&self, address: &Address, node: &Node, messages: PubSub, here: &Node) -> Option<Node> {
        let mut messages = messages.into_on_message();
        loop {
            // At first for what was said before. It is this one that is asked: others may hear of it later.
            match self.ask(address, node).await {
                Ok(master) if master != *here => return Some(master),
                Ok(_) => {}
                Err(_) => {
                    self.sentinels.defer(node);
                    return None;
                }
            }
            timeout(QUIET, messages.next()).await.ok()??;
        }
    }

    async fn listen(&self, sentinel: &Node) -> Result<PubSub, RedisError> {
        let mut messages = Client::open(sentinel.like(&self.sentinel))?.get_async_pubsub().await?;
        messages.subscribe("+switch-master").await?;
        Ok(messages)
    }
}

#[cfg(test)]
impl Sentinels {
    pub(crate) fn told(&self) -> String {
        format!("{} {}", self.sentinels, self.service)
    }

    pub(crate) fn login(&self) -> (Option<&str>, Option<&str>) {
        let login = self.sentinel.redis_settings();
        (login.username(), login.password())
    }
}
