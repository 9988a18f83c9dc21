//! Servers that know where the queue is, and who of them is asked first.

use std::fmt;
use std::sync::{Mutex, MutexGuard};

use redis::{ConnectionAddr, ConnectionInfo, RedisError};

use super::no_route;

/// A server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Node {
    pub(crate) fn of(info: &ConnectionInfo) -> Self {
        match info.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                Self { host: host.clone(), port: *port }
            }
            other => Self { host: other.to_string(), port: 0 },
        }
    }

    /// Returns how to connect to it, as to that server.
    pub(crate) fn like(&self, server: &ConnectionInfo) -> ConnectionInfo {
        let Self { host, port } = self.clone();
        server.clone().set_addr(match server.addr() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
            }
            _ => ConnectionAddr::Tcp(host, port),
        })
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Those that are asked, in this order, until one leads to the queue.
pub(crate) struct Nodes(Mutex<Vec<Node>>);

impl Nodes {
    pub(crate) fn new(order: Vec<Node>) -> Self {
        Self(Mutex::new(order))
    }

    fn order(&self) -> MutexGuard<'_, Vec<Node>> {
        crate::lock::lock(&self.0)
    }

    pub(crate) fn all(&self) -> Vec<Node> {
        self.order().clone()
    }

    /// This one leads to the queue: it is the first to be asked from now on.
    pub(crate) fn prefer(&self, node: &Node) {
        self.order().sort_by_key(|other| other != node); // stable
    }

    /// This one does not: it is the last to be asked, as it may take its time.
    pub(crate) fn defer(&self, node: &Node) {
        self.order().sort_by_key(|other| other == node);
    }

    /// These are known now, and no others but those that were given.
    pub(crate) fn learn(&self, known: &[Node], given: &[Node]) {
        let mut order = self.order();
        order.retain(|node| known.contains(node) || given.contains(node));
        for node in known {
            if !order.contains(node) {
                order.push(node.clone());
            }
        }
    }
}

#[cfg(test)]
impl fmt::Display for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.order().iter().map(Node::to_string).collect();
        f.write_str(&names.join(" "))
    }
}

/// Why nobody leads to the queue.
#[derive(Default)]
pub(crate) struct Failures(Vec<String>);

impl Failures {
    pub(crate) fn add(&mut self, node: &Node, error: &RedisError) {
        self.0.push(format!("{node}: {error}"));
    }

    pub(crate) fn into_error(self, what: &'static str) -> RedisError {
        no_route(what, self.0.join("; "))
    }
}
