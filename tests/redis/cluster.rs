//! A queue in a cluster: found from any node, and followed wherever its slot goes.

use std::thread;
use std::time::Duration;

use ::log::Level;
use actix_iterable_queue::IterableQueue;
use fleet::cluster::Cluster;
use fleet::process::Role;
use fleet::proxy::Proxy;
use fleet::{Fleet, eventually};
use support::log;

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
            thread::sleep(Duration::from_millis(50));
        });
        eventually("each process says so", || fleet.said(MOVED) == said);
    }
    assert!(moves > 10, "its keys moved one by one: {moves}");
    let totals = fleet.end().assert_exact();
    assert_eq!((totals.accepted, totals.lost_producers), (6000, 0));
}

/// What a node says of one slot tells nothing of the others.
#[test]
fn a_node_that_loses_one_queue_goes_on_serving_the_others() {
    log::keep();
    let cluster = Cluster::start();
    let (owner, other) = (cluster.owner(), cluster.other());
    let node = &cluster.nodes[owner];
    let proxy = Proxy::before(node.port());
    let has = |name: &String| node.try_ask::<Option<String>>(&format!("GET {{aiq3:{name}}}")).is_ok();
    let stays = (0..).map(|number| format!("stays-{number}")).find(has).unwrap();
    let connect = |name: &str| IterableQueue::builder().name(name).redis(proxy.url()).lease(LONG).blocking_connect();
    let [jobs, stays] = ["jobs", &stays].map(|name| connect(name).unwrap());
    let (producer, mut consumer) = (stays.producer().unwrap(), stays.consumer().unwrap());
    eventually("messages are listened to, too", || proxy.connections() == 3);
    let connections = proxy.numbers();

    cluster.move_slot(other, || {});
    let place = proxy.port().to_string();
    let moved = || log::said(Level::Warn, &place).into_iter().filter(|line| line.contains("MOVED")).collect::<Vec<_>>();
    eventually("it says why it waits", || !moved().is_empty());
    let waiting = thread::spawn({
        let producer = jobs.producer().unwrap();
        move || producer.blocking_put(7)
    });
    eventually("it has looked where the address leads now", || proxy.connections() == 4);
    for number in 0..100 {
        producer.blocking_put(number).unwrap();
        assert_eq!(consumer.blocking_get(), Some(number));
    }
    assert!(
        moved().iter().all(|line| line.starts_with("jobs (") && !line.contains("does not answer")),
        "{:?}",
        moved()
    );
    assert!(connections.is_subset(&proxy.numbers()), "the connections that both share are the same");

    cluster.move_slot(owner, || {});
    waiting.join().unwrap().unwrap();
    assert_eq!(jobs.consumer().unwrap().blocking_get(), Some(7));
    eventually("no other connection is left", || proxy.numbers() == connections);
}
