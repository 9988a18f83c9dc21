//! A queue in a cluster: found from any node, and followed wherever its slot goes.

#![allow(clippy::unwrap_used)] // in helpers too

#[path = "redis/mod.rs"]
mod fleet;

use std::time::Duration;

use actix_iterable_queue::IterableQueue;
use fleet::cluster::Cluster;
use fleet::process::Role;
use fleet::{Fleet, eventually};

/// Nothing is to expire: a machine that is busy must not look like one that is dead.
const LONG: Duration = Duration::from_secs(30);
const OLDER: &str = "older copy";
const LATE: &str = "settled too late";
const MOVED: &str = "the master is now";

/// Two feeders with so many items each, and two workers, who know one node that has not got the queue.
fn at_work(cluster: &Cluster, items: u64) -> Fleet {
    at_work_with(cluster, items, |_| {})
}

fn at_work_with(cluster: &Cluster, items: u64, differs: impl FnOnce(&mut Role)) -> Fleet {
    let seed = &cluster.nodes[cluster.other()];
    let url = format!("redis+cluster://127.0.0.1:{}/", seed.port());
    let mut role = Role { lease: LONG, ..Role::new(&url) };
    differs(&mut role);
    Fleet::at_work(role, items)
}

#[test]
fn a_queue_is_followed_to_another_master_and_back_while_the_node_that_was_given_is_dead() {
    let mut cluster = Cluster::start();
    let (first, second, given) = (cluster.owner(), 3, cluster.other());
    let plain = IterableQueue::<u64>::builder().name("jobs").redis(cluster.nodes[given].url());
    let error = plain.blocking_connect().unwrap_err().to_string();
    assert!(error.contains("redis+cluster://"), "{error}");
    let mut fleet = at_work(&cluster, 3000);
    assert_eq!(fleet.said(MOVED), 0, "it was found");

    let _: () = cluster.nodes[second].ask("CLUSTER FAILOVER");
    cluster.await_owner(second);
    eventually("each process says so", || fleet.said(MOVED) == 4);
    fleet.goes_on();

    cluster.await_replica(first);
    cluster.nodes[given].kill9();
    let _: () = cluster.nodes[first].ask("CLUSTER FAILOVER");
    cluster.await_owner(first);
    eventually("each process says so", || fleet.said(MOVED) == 8);
    let totals = fleet.end().assert_exact();
    assert_eq!((totals.accepted, totals.lost_producers), (6000, 0));
}

/// Redis confirms what the replica does not have yet. Nearly always it has all, as both are sent in one go; and where not,
/// those who were told otherwise notice.
#[test]
fn a_master_that_is_killed_is_replaced() {
    let mut cluster = Cluster::start();
    let mut fleet = at_work(&cluster, 2000);
    let first = cluster.owner();
    let replicated = fleet.all_confirmed();
    cluster.nodes[3].catch_up_to_bytes(&cluster.nodes[first]);
    cluster.nodes[first].kill9();
    cluster.await_owner(3);
    eventually("each process says so", || fleet.said(MOVED) == 4);
    let verdict = fleet.end();
    verdict.assert_exact_or_told(fleet.said(OLDER) + fleet.said(LATE) > 0, &replicated);
}

#[test]
fn a_slot_that_moves_under_load_is_followed() {
    let cluster = Cluster::start();
    let first = cluster.owner();
    // A settle that were done in part would put the child again.
    let mut fleet = at_work_with(&cluster, 1500, |role| role.child = 3000);
    let mut moves = 0;
    for (to, said) in [(cluster.other(), 4), (first, 8)] {
        cluster.move_slot(to, || {
            moves += 1;
            // The time in which clients meet keys that are not there any more.
            std::thread::sleep(Duration::from_millis(50));
        });
        eventually("each process says so", || fleet.said(MOVED) == said);
    }
    assert!(moves > 10, "its keys moved one by one: {moves}");
    let totals = fleet.end().assert_exact();
    assert_eq!((totals.accepted, totals.lost_producers), (6000, 0));
}
