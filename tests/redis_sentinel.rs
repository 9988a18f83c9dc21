//! A queue behind sentinels: found by asking them, and followed to the next master.

#![allow(clippy::unwrap_used)] // in helpers too

#[path = "redis/mod.rs"]
mod fleet;

use std::time::Duration;

use actix_iterable_queue::IterableQueue;
use fleet::process::Role;
use fleet::sentinel::{SERVICE, Watched};
use fleet::server::{Server, free_port};
use fleet::{Fleet, eventually};

/// Nothing is to expire: a machine that is busy must not look like one that is dead.
const LONG: Duration = Duration::from_secs(30);
/// A master without replicas takes no puts: what it confirmed would be lost when it comes back as a replica.
const SAFE: &[&str] = &["--min-replicas-to-write 1", "--min-replicas-max-lag 1"];
const OLDER: &str = "older copy";
const LATE: &str = "settled too late";
const CHOSEN: &str = "the sentinels have chosen another master";
const MOVED: &str = "the master is now";

/// Two feeders with so many items each, and two workers.
fn at_work(url: &str, items: u64) -> Fleet {
    Fleet::at_work(Role { lease: LONG, ..Role::new(url) }, items)
}

#[test]
fn a_master_that_is_killed_is_replaced() {
    let mut watched = Watched::with(2, SAFE);
    // They are asked in turn.
    watched.sentinels[0].kill9();
    let mut fleet = at_work(&watched.url(), 2000);
    assert_eq!(fleet.said(MOVED), 0, "it was found");
    let replicated = fleet.all_confirmed();
    watched.catch_up();
    watched.servers[0].kill9();
    eventually("each process says so", || fleet.said(MOVED) == 4);
    let verdict = fleet.end();
    verdict.assert_exact_or_told(fleet.said(OLDER) + fleet.said(LATE) > 0, &replicated);
}

/// It would go on to confirm what is lost.
#[test]
fn a_master_that_lives_on_is_left_when_the_sentinels_say_so() {
    let watched = Watched::with(1, &[]);
    let mut fleet = at_work(&watched.url(), 3000);
    fleet.join("idle", &[]);
    let replicated = fleet.all_confirmed();
    watched.catch_up();
    // It does not hear that it is none any more.
    let _: () = watched.servers[0].ask("ACL SETUSER default -slaveof -replicaof");
    let _: () = watched.sentinels[0].ask(&format!("SENTINEL FAILOVER {SERVICE}"));
    eventually("each process says so", || fleet.said(MOVED) == 5);
    let verdict = fleet.end();
    verdict.assert_exact_or_told(fleet.said(OLDER) + fleet.said(LATE) > 0, &replicated);
    assert_eq!((fleet.said(MOVED), fleet.said(CHOSEN)), (5, 5), "once each");
}

/// With no more rights than `docs/guide/src/redis.md` says.
#[test]
fn masters_and_sentinels_may_have_passwords() {
    let watched = Watched::with(1, &[]);
    let rights = include_str!("../docs/guide/src/redis.md")
        .split_once("ACL SETUSER jobs on")
        .unwrap()
        .1
        .split_once("```")
        .unwrap()
        .0;
    let rights: Vec<_> = rights.split_whitespace().collect();
    let rights = rights.join(" ").replace("PASSWORD", "p@ss");
    let _: () = watched.servers[0].ask(&format!("ACL SETUSER jobs on {rights} +role"));
    for sentinel in &watched.sentinels {
        let _: () = sentinel
            .ask("ACL SETUSER asks on >s&cret &+switch-master nocommands +subscribe +sentinel|get-master-addr-by-name");
    }
    let url = watched.url().replace("://", "://jobs:p%40ss@");
    let connect = |url: &str| IterableQueue::<u64>::builder().name("jobs").redis(url).blocking_connect();
    let queue = connect(&format!("{url}?sentinel_username=asks&sentinel_password=s%26cret")).unwrap();
    queue.producer().unwrap().blocking_put(7).unwrap();
    let is_subscribed = |client: &str| client.contains("user=asks") && client.contains("sub=1");
    let listens = |sentinel: &Server| sentinel.ask::<String>("CLIENT LIST").lines().any(is_subscribed);
    eventually("it listens to a sentinel", || watched.sentinels.iter().any(listens));

    let refused = |url: &str| connect(url).unwrap_err().to_string();
    let wrong = refused(&format!("{url}?sentinel_username=asks&sentinel_password=wrong"));
    assert_eq!(wrong.matches("authentication failed").count(), 3, "{wrong}");
    assert!(!wrong.contains("p@ss"), "{wrong}");
    watched.sentinels.iter().for_each(|sentinel| sentinel.ask("ACL SETUSER default -sentinel"));
    let none = refused(&url);
    assert_eq!(none.matches("NoPerm").count(), 3, "each sentinel is asked, and says why it does not answer: {none}");
}

#[test]
fn who_is_not_there_is_named() {
    let watched = Watched::with(0, &[]);
    let connect = |url: &str| IterableQueue::<u64>::builder().name("jobs").redis(url).blocking_connect();
    let refused = |url: &str| connect(url).unwrap_err().to_string();
    let other = refused(&watched.url().replace(SERVICE, "other"));
    assert_eq!(other.matches("it knows no service of this name").count(), 3, "{other}");
    let dead = format!("127.0.0.1:{}", free_port());
    let nobody = refused(&format!("redis+sentinel://{dead}/{SERVICE}"));
    assert!(nobody.contains(&dead) && nobody.contains("refused"), "{nobody}");
    let no_sentinel = refused(&format!("redis+sentinel://127.0.0.1:{}/{SERVICE}", watched.servers[0].port()));
    assert!(no_sentinel.contains("unknown command"), "{no_sentinel}");
    // The first who leads to the master is enough.
    connect(&watched.url().replace("://", &format!("://{dead},"))).unwrap();
    // They do not know yet.
    let _: () = watched.servers[0].ask("REPLICAOF 127.0.0.1 1");
    let replica = refused(&watched.url());
    assert_eq!(replica.matches("it names a master that is none").count(), 3, "{replica}");
}
