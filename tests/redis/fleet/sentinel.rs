//! A master with replicas, and three sentinels who watch over them.

use harness::eventually;
use support::redis_server::Server;

/// What the sentinels call it.
pub const SERVICE: &str = "main";

#[derive(Debug)]
pub struct Watched {
    /// The first one began as the master.
    pub servers: Vec<Server>,
    pub sentinels: Vec<Server>,
}

impl Watched {
    /// With so many replicas, and these options of master and replicas.
    pub fn with(replicas: usize, options: &[&str]) -> Self {
        let master = Server::with(options);
        let replica_of = format!("--replicaof 127.0.0.1 {}", master.port());
        let mut servers: Vec<_> = (0..replicas).map(|_| Server::with(&[options, &[&replica_of]].concat())).collect();
        eventually("the master takes writes", || master.try_ask::<u64>("INCR mark").is_ok());
        servers.iter().for_each(|replica| replica.catch_up(&master));
        let sentinels: Vec<_> = (0..3).map(|_| Server::with(&["--sentinel"])).collect();
        for sentinel in &sentinels {
            let _: () = sentinel.ask(&format!("SENTINEL MONITOR {SERVICE} 127.0.0.1 {} 2", master.port()));
            for (setting, value) in [("down-after-milliseconds", 1000), ("failover-timeout", 5000)] {
                let _: () = sentinel.ask(&format!("SENTINEL SET {SERVICE} {setting} {value}"));
            }
        }
        servers.insert(0, master);
        let watched = Self { servers, sentinels };
        watched.await_all();
        watched
    }

    /// Waits until each sentinel knows the other two, and all replicas.
    fn await_all(&self) {
        let known = format!("slaves={},sentinels=3", self.servers.len() - 1);
        let knows_all = |sentinel: &Server| {
            let info: String = sentinel.ask("INFO sentinel");
            info.contains("status=ok") && info.contains(&known)
        };
        eventually("the sentinels know all", || self.sentinels.iter().all(knows_all));
    }

    /// An address with all sentinels.
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port())).collect();
        format!("redis+sentinel://{}/{SERVICE}", hosts.join(","))
    }

    /// Waits until all replicas have what the master has now.
    pub fn catch_up(&self) {
        self.servers[1..].iter().for_each(|replica| replica.catch_up(&self.servers[0]));
    }

    /// The number of the server that this sentinel takes for the master.
    pub fn master(&self, sentinel: usize) -> usize {
        let (_, port): (String, u16) =
            self.sentinels[sentinel].ask(&format!("SENTINEL GET-MASTER-ADDR-BY-NAME {SERVICE}"));
        self.servers.iter().position(|server| server.port() == port).expect("one of ours")
    }
}
