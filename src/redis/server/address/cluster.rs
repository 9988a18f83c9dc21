//! The master of the queue's slot, as the nodes of a cluster say.

use redis::{RedisError, Value};

use super::nodes::{Failures, Node, Nodes};
use super::{Address, no_route};

/// How often one node may send us on to the next: in a cluster that agrees with itself, once.
const FARTHEST: usize = 5;

pub(crate) struct Cluster {
    /// Those that were given, and those that were seen: so none of the former must live for ever.
    nodes: Nodes,
    given: Vec<Node>,
    /// A key in the queue's slot.
    pointer: String,
}

impl Cluster {
    pub(crate) fn new(given: Vec<Node>, pointer: String) -> Self {
        Self { nodes: Nodes::new(given.clone()), given, pointer }
    }

    /// Asks one node after another, until one leads to a node that has the slot and says so itself.
    ///
    /// A node that was cut off from the others may send us to one that died since.
    pub(crate) async fn node(&self, address: &Address) -> Result<Node, RedisError> {
        let mut failures = Failures::default();
        for node in self.nodes.all() {
            match self.follow(address, node.clone()).await {
                Ok(owner) => {
                    self.nodes.prefer(&owner);
                    return Ok(owner);
                }
                Err(error) => {
                    self.nodes.defer(&node);
                    failures.add(&node, &error);
                }
            }
        }
        Err(failures.into_error("no node of the cluster leads to the queue"))
    }

    async fn follow(&self, address: &Address, mut node: Node) -> Result<Node, RedisError> {
        for _ in 0..FARTHEST {
            let mut connection = address.connect(&node).await?;
            let error = match redis::cmd("GET").arg(&self.pointer).query_async::<Value>(&mut connection).await {
                Ok(_) => {
                    let slots = redis::cmd("CLUSTER").arg("SLOTS").query_async(&mut connection).await;
                    match slots {
                        Ok(slots) => self.nodes.learn(&nodes_in(slots, &node), &self.given),
                        Err(error) => log::debug!("{node} does not tell the cluster's nodes: {error}"),
                    }
                    return Ok(node);
                }
                Err(error) => error,
            };
            node = match error.redirect_node() {
                // An ASK is no way: not all of the keys are there. The slot is whole again when it has moved.
                Some((next, _)) if error.code() == Some("MOVED") => parse(next, &node).ok_or(error)?,
                _ => return Err(error),
            };
        }
        Err(no_route("it leads in circles, last to", node))
    }
}

#[cfg(test)]
impl Cluster {
    pub(crate) fn known(&self) -> String {
        self.nodes.to_string()
    }
}

/// Reads `HOST:PORT`; without a host, it is that of the node which said so.
fn parse(text: &str, said_by: &Node) -> Option<Node> {
    let (host, port) = text.rsplit_once(':')?;
    let host = if host.is_empty() { &said_by.host } else { host };
    Some(Node { host: host.to_owned(), port: port.parse().ok()? })
}

/// Returns all nodes of an answer to `CLUSTER SLOTS`: ranges, each with its master and its replicas.
fn nodes_in(slots: Vec<Vec<Value>>, said_by: &Node) -> Vec<Node> {
    let mut nodes = Vec::new();
    for value in slots.into_iter().flat_map(|range| range.into_iter().skip(2)) {
        let Ok(fields) = redis::from_redis_value::<Vec<Value>>(value) else { continue };
        let mut fields = fields.into_iter();
        let (Some(host), Some(port)) = (fields.next(), fields.next()) else { continue };
        let host = redis::from_redis_value::<Option<String>>(host).ok().flatten();
        // It does not know its own, or not its name.
        let host = host.filter(|host| !host.is_empty() && host != "?").unwrap_or_else(|| said_by.host.clone());
        let Ok(port) = redis::from_redis_value(port) else { continue };
        let node = Node { host, port };
        if !nodes.contains(&node) {
            nodes.push(node);
        }
    }
    nodes
}
