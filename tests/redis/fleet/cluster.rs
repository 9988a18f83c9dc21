//! A cluster of one's own: three masters, and a replica of the one that has the queue `jobs`.

use harness::eventually;
use support::redis_server::{Server, free_port};

/// The key that says where the queue is.
const POINTER: &str = "{aiq3:jobs}";

#[derive(Debug)]
pub struct Cluster {
    /// The last one began as the replica.
    pub nodes: Vec<Server>,
}

impl Cluster {
    pub fn start() -> Self {
        let cluster = Self { nodes: (0..4).map(|_| node()).collect() };
        let masters = &cluster.nodes[..3];
        for (node, slots) in masters.iter().zip(["0 5460", "5461 10922", "10923 16383"]) {
            let _: () = node.ask(&format!("CLUSTER ADDSLOTSRANGE {slots}"));
        }
        for (node, epoch) in cluster.nodes.iter().zip(1..) {
            let _: () = node.ask(&format!("CLUSTER SET-CONFIG-EPOCH {epoch}"));
        }
        for node in &cluster.nodes[1..] {
            let _: () = cluster.nodes[0].ask(&format!("CLUSTER MEET 127.0.0.1 {} {}", node.port(), bus(node)));
        }
        eventually("the nodes are a cluster", || {
            let knows_all = |node: &Server| node.ask::<String>("CLUSTER INFO").contains("cluster_known_nodes:4");
            cluster.nodes.iter().all(knows_all) && masters.iter().all(serves)
        });
        let (owner, replica) = (cluster.owner(), 3);
        let _: () = cluster.nodes[replica].ask(&format!("CLUSTER REPLICATE {}", id(&cluster.nodes[owner])));
        cluster.await_replica(replica);
        cluster
    }

    /// Waits until that node is a replica, has the data, and all know of it.
    pub fn await_replica(&self, replica: usize) {
        let id = id(&self.nodes[replica]);
        eventually("the replica has the data", || {
            self.nodes[replica].ask::<String>("INFO replication").contains("master_link_status:up")
        });
        let is_replica = |node: &Server| {
            let nodes: String = node.ask("CLUSTER NODES");
            nodes.lines().any(|line| line.starts_with(&id) && line.contains("slave") && !line.contains("fail"))
        };
        eventually("all know of the replica", || self.alive().all(is_replica));
    }

    fn alive(&self) -> impl Iterator<Item = &Server> {
        self.nodes.iter().filter(|node| node.try_ask::<String>("PING").is_ok())
    }

    /// The number of the master that has the queue.
    #[track_caller]
    pub fn owner(&self) -> usize {
        let mut owner = None;
        eventually("a node has the queue", || {
            owner =
                self.nodes.iter().position(|node| node.try_ask::<Option<String>>(&format!("GET {POINTER}")).is_ok());
            owner.is_some()
        });
        owner.expect("waited for")
    }

    /// The number of a master that has not.
    pub fn other(&self) -> usize {
        (self.owner() + 1) % 3
    }

    /// Waits until every node but the dead ones sends clients to this one.
    #[track_caller]
    pub fn await_owner(&self, owner: usize) {
        let port = self.nodes[owner].port().to_string();
        let agrees = |node: &Server| match node.try_ask::<Option<String>>(&format!("GET {POINTER}")) {
            Ok(_) => node.port() == self.nodes[owner].port(),
            Err(error) => error.redirect_node().is_some_and(|(node, _)| node.ends_with(&port)),
        };
        eventually("the nodes agree on who has the queue", || self.alive().all(agrees));
    }

    /// Moves the queue's slot from its master to another one as `redis-cli --cluster reshard` does: one key after another,
    /// while clients go on. `between` is called before each key.
    pub fn move_slot(&self, to: usize, mut between: impl FnMut()) {
        let from = self.owner();
        let slot: u16 = self.nodes[from].ask(&format!("CLUSTER KEYSLOT {POINTER}"));
        let [source, target] = [from, to].map(|node| &self.nodes[node]);
        let _: () = target.ask(&format!("CLUSTER SETSLOT {slot} IMPORTING {}", id(source)));
        let _: () = source.ask(&format!("CLUSTER SETSLOT {slot} MIGRATING {}", id(target)));
        loop {
            between();
            let keys: Vec<String> = source.ask(&format!("CLUSTER GETKEYSINSLOT {slot} 100"));
            // The one that all calls look at is the last one.
            let Some(key) = keys.iter().min_by_key(|key| key.ends_with("meta")) else { break };
            let _: String = source.ask(&format!("MIGRATE 127.0.0.1 {} {key} 0 5000", target.port()));
        }
        for node in [target, source].into_iter().chain(self.nodes.iter().filter(|node| is_master(node))) {
            let _: () = node.ask(&format!("CLUSTER SETSLOT {slot} NODE {}", id(target)));
        }
    }
}

fn node() -> Server {
    Server::with(&[
        "--cluster-enabled yes",
        // By itself it is 10,000 above the other one, where the system takes ports for connections.
        &format!("--cluster-port {}", free_port()),
        "--cluster-node-timeout 1000",
        // The others go on when one of them is dead.
        "--cluster-require-full-coverage no",
        // A replica does not wait before it takes over from a master that was just started.
        "--cluster-replica-validity-factor 0",
        "--repl-diskless-sync-delay 0",
    ])
}

fn bus(node: &Server) -> String {
    let setting: Vec<String> = node.ask("CONFIG GET cluster-port");
    setting[1].clone()
}

fn id(node: &Server) -> String {
    node.ask("CLUSTER MYID")
}

fn serves(node: &Server) -> bool {
    node.ask::<String>("CLUSTER INFO").contains("cluster_state:ok")
}

fn is_master(node: &Server) -> bool {
    node.try_ask::<String>("INFO replication").is_ok_and(|info| info.contains("role:master"))
}
