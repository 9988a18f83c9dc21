//! A queue over Redis when Redis itself fails: killed, emptied, full, replaced by an older copy.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use actix_iterable_queue::{IterableQueue, Outcome};
use fleet::process::Order::{self, Close, Consume, Feed, Produce, Seal};
use fleet::process::Role;
use fleet::proxy::Proxy;
use fleet::report::Verdict;
use fleet::{Fleet, eventually};
use futures::executor::block_on;
use support::redis_server::Server;

/// Nothing is to expire: a machine that is busy must not look like one that is dead.
const LONG: Duration = Duration::from_secs(30);

/// What became of the items, and whether anybody noticed that Redis has forgotten something.
fn killed_and_restarted(fsync: &str) -> (Verdict, bool) {
    let mut server = Server::with(&["--appendonly yes", &format!("--appendfsync {fsync}")]);
    let work = Duration::from_millis(1);
    let mut fleet = Fleet::new(Role { lease: LONG, capacity: Some(300), work, ..Role::new(&server.url()) });
    fleet.join("feeder 1", &[Produce, Feed(0, 2000), Close]);
    fleet.join_as("feeder 2", |role| role.batch = 1, &[Produce, Feed(2000, 4000), Close]);
    fleet.join("worker 1", &[Consume(2)]);
    fleet.join("worker 2", &[Consume(2)]);
    for _ in 0..4 {
        let so_far = fleet.done();
        eventually("items are done", || fleet.done() > so_far + 500);
        server.kill9();
        server.restart();
    }
    (fleet.end(), fleet.said(OLDER) > 0)
}

#[test]
fn nothing_is_lost_when_redis_is_killed_that_writes_always() {
    let totals = killed_and_restarted("always").0.assert_exact();
    assert_eq!((totals.accepted, totals.lost_producers), (4000, 0));
}

/// Redis confirms what it has not written while the disk is busy with what was before. Nearly always nothing is lost
/// by that; and where it is, those who were told otherwise notice.
#[test]
fn what_is_lost_is_told_when_redis_is_killed_that_writes_every_second() {
    let (verdict, told) = killed_and_restarted("everysec");
    if !told {
        verdict.assert_exact();
    }
    assert!(verdict.from_nowhere.is_empty(), "{:?}", verdict.from_nowhere);
    let [(outcome, totals)] = verdict.ends[..] else { panic!("one end for all: {:?}", verdict.ends) };
    assert_eq!((outcome, totals.accepted, totals.lost_producers), (Outcome::Complete, totals.acked, 0));
}

#[test]
fn a_queue_that_was_deleted_is_aborted_where_that_was_asked_for() {
    let server = Server::start();
    let abort_if_gone_for = Some(Duration::ZERO);
    let mut fleet =
        Fleet::new(Role { lease: LONG, capacity: Some(300), abort_if_gone_for, ..Role::new(&server.url()) });
    let feeders = [1, 50].map(|batch| {
        fleet.join_as(&format!("feeder {batch}"), |role| role.batch = batch, &[Produce, Feed(0, 10_000_000)])
    });
    fleet.join("worker 1", &[Consume(2)]);
    fleet.join("worker 2", &[Consume(2)]);
    fleet.join("idle", &[]);
    eventually("items are done", || fleet.done() > 1000);
    let _: () = server.ask("FLUSHALL");
    for feeder in feeders {
        eventually("its put fails", || fleet[feeder].report().refused().count() == 1);
        let report = fleet[feeder].report();
        let (item, why) = report.refused().next().unwrap();
        assert!(report.begun().any(|n| n == item) && !report.confirmed().any(|n| n == item), "{item}");
        assert!(why.contains("abort"), "{why}");
    }
    let verdict = fleet.end();
    assert!(verdict.from_nowhere.is_empty() && !verdict.ends.is_empty());
    assert!(verdict.ends.iter().all(|(outcome, _)| *outcome == Outcome::Aborted), "{:?}", verdict.ends);
    assert_eq!(server.ask::<u64>("DBSIZE"), 0, "nobody begins it anew");
}

#[test]
fn a_shutdown_does_not_wait_for_memory() {
    let server = Server::start();
    let builder = IterableQueue::<u64>::builder().name("full").redis(server.url()).lease(LONG);
    let queue = builder.blocking_connect().unwrap();
    let producer = queue.producer().unwrap();
    let _: () = server.ask("CONFIG SET maxmemory 1");
    producer.try_put(7).unwrap();
    eventually("Redis refuses to take it", || server.info("errorstat_OOM") > 0);
    let left = thread::spawn(move || block_on(queue.shutdown(Duration::from_secs(3600))).left);
    eventually("it ends long before its grace does", || left.is_finished());
    assert_eq!(left.join().unwrap(), [7]);
    drop(producer);
}

#[test]
fn puts_wait_while_the_memory_is_full() {
    let server = Server::with(&["--maxmemory 8mb", "--maxmemory-policy noeviction"]);
    let mut fleet = Fleet::new(Role { lease: LONG, ballast: 2000, ..Role::new(&server.url()) });
    let feeder = fleet.join("feeder", &[Produce, Feed(0, 8000), Close]);
    eventually("Redis refuses to take more", || server.info("errorstat_OOM") > 2);
    assert!(fleet.confirmed() < 8000);
    // Who makes room need not have been there before.
    fleet.join("worker", &[Consume(2)]);
    fleet[feeder].obeys();
    let totals = fleet.end().assert_exact();
    assert_eq!((totals.accepted, totals.lost_producers), (8000, 0));
}

#[test]
fn whoever_joins_is_told_of_a_redis_that_deletes_keys() {
    let server = Server::start();
    let mut fleet = Fleet::new(Role::new(&server.url()));
    let mut expected = 0;
    for (limit, policy, told) in [
        ("100mb", "allkeys-lru", true),
        ("100mb", "noeviction", false),
        ("0", "allkeys-lru", false),
        ("100mb", "volatile-ttl", true),
    ] {
        let _: () = server.ask(&format!("CONFIG SET maxmemory {limit} maxmemory-policy {policy}"));
        let process = fleet.join("process", &[]);
        fleet[process].order(Order::Leave);
        fleet[process].ends();
        expected += usize::from(told);
        assert_eq!(fleet.said("set it to noeviction"), expected, "{limit} {policy}");
    }
}

/// A Redis and its replica, of which the second takes over.
struct Pair {
    primary: Server,
    link: Proxy,
    replica: Server,
    /// To the one that is in charge.
    proxy: Proxy,
}

impl Pair {
    fn start() -> Self {
        let primary = Server::start();
        let link = Proxy::before(primary.port());
        let replica = Server::with(&[&format!("--replicaof 127.0.0.1 {}", link.port())]);
        replica.catch_up(&primary);
        let proxy = Proxy::before(primary.port());
        Self { primary, link, replica, proxy }
    }

    /// From now on the replica knows nothing.
    fn part(&self) {
        self.replica.catch_up(&self.primary);
        self.replica.freeze();
        self.link.refuse();
    }

    fn take_over(&mut self) {
        self.primary.kill9();
        self.replica.thaw();
        let _: () = self.replica.ask("REPLICAOF NO ONE");
        self.proxy.switch(self.replica.port());
    }
}

#[test]
fn an_older_copy_of_redis_takes_over() {
    let mut pair = Pair::start();
    let (lease, work) = (Duration::from_secs(2), Duration::from_millis(2));
    let mut fleet = Fleet::new(Role { lease, work, ..Role::new(&pair.proxy.url()) });
    let feeder = fleet.join("feeder", &[Produce, Feed(0, 200)]);
    fleet.join("worker 1", &[Consume(1)]);
    fleet.join("worker 2", &[Consume(1)]);
    eventually("the first are settled", || fleet.meta(&pair.primary, "acked") == 200);
    fleet[feeder].order(Feed(200, 500));
    fleet[feeder].obeys();
    eventually("some of the next are done", || fleet.done() > 220);
    pair.part();
    let so_far = fleet.done();
    fleet[feeder].order(Feed(500, 1000));
    fleet[feeder].obeys();
    eventually("more are done", || fleet.done() > so_far + 50);
    pair.take_over();
    assert!(
        pair.replica.ask::<u64>(&format!("HLEN {}", fleet.key(&pair.replica, "inf"))) > 0,
        "it was copied in the middle of work"
    );
    fleet[feeder].order(Feed(1000, 1500));
    fleet[feeder].order(Close);

    let verdict = fleet.end();
    assert!(verdict.from_nowhere.is_empty(), "{:?}", verdict.from_nowhere);
    assert!(!verdict.lost.is_empty() && verdict.lost.is_subset(&(500..1000).collect()), "lost: {:?}", verdict.lost);
    let settled_before: BTreeSet<u64> = (0..200).collect();
    assert!(verdict.twice.is_disjoint(&settled_before), "twice: {:?}", verdict.twice);
    let [(outcome, totals)] = verdict.ends[..] else { panic!("one end for all: {:?}", verdict.ends) };
    assert_eq!((outcome, totals.accepted), (Outcome::Complete, totals.acked), "{totals:?}");
    assert_eq!(fleet.said(OLDER), 3, "each process is told");
}

/// Nobody else keeps the queue open while it finds its place again.
#[test]
fn an_older_copy_is_not_the_end_for_a_process_alone() {
    for further in [&[] as &[_], &[Seal]] {
        one_alone(further);
    }
}

fn one_alone(further: &[Order]) {
    let mut pair = Pair::start();
    let mut fleet = Fleet::new(Role::new(&pair.proxy.url()));
    let orders = [&[Produce, Consume(1)], further, &[Feed(0, 100)]].concat();
    let alone = fleet.join("alone", &orders);
    eventually("the first are settled", || fleet.meta(&pair.primary, "acked") == 100);
    pair.part();
    fleet[alone].order(Feed(100, 200));
    eventually("more are done", || fleet.done() == 200);
    pair.take_over();
    fleet[alone].order(Feed(200, 300));
    fleet[alone].order(Close);
    let verdict = fleet.end();
    assert!(verdict.lost.is_empty() && verdict.from_nowhere.is_empty());
    let refused: Vec<_> = fleet[alone].report().refused().map(|(n, why)| (n, why.to_owned())).collect();
    assert_eq!(refused, []);
    assert_eq!((verdict.out, fleet.said(OLDER)), (300, 1));
}

const OLDER: &str = "Redis has gone back to an older copy";

/// The old master comes back without its data, behind the address that all have, and then the right one takes over.
/// Where `cut`, connections to the old one break then; otherwise they stay as they are.
fn gone_and_back(cut: bool) {
    let mut pair = Pair::start();
    let mut fleet = Fleet::new(Role { lease: LONG, work: Duration::from_millis(1), ..Role::new(&pair.proxy.url()) });
    let feeder = fleet.join("feeder", &[Produce, Feed(0, 200)]);
    let worker = fleet.join("worker", &[Consume(2)]);
    fleet[feeder].obeys();
    eventually("all is settled", || fleet.meta(&pair.primary, "acked") == 200);
    pair.replica.catch_up(&pair.primary);
    let _: () = pair.replica.ask("REPLICAOF NO ONE");
    pair.primary.kill9();
    pair.primary.restart();
    pair.proxy.cut();
    fleet[feeder].order(Feed(200, 400));
    let told = |fleet: &Fleet| [feeder, worker].map(|process| fleet[process].report().said(GONE));
    eventually("both say what they wait for", || told(&fleet) == [1, 1]);
    // One that comes meanwhile knows nothing of that queue.
    let late = fleet.join("late", &[Produce, Feed(1000, 1100)]);
    fleet[late].obeys();
    eventually("both say what has happened", || fleet.said("begun a new queue") == 2);
    assert_eq!(fleet.confirmed(), 300, "puts wait");
    if cut {
        pair.proxy.switch(pair.replica.port());
    } else {
        pair.proxy.lead_to(pair.replica.port());
    }
    fleet[feeder].obeys();
    eventually("they go on", || fleet.confirmed() == 500 && fleet[worker].report().done().count() == 400);
    // Now it is its queue that is not there.
    eventually("the late one waits", || !cut || fleet[late].report().said(GONE) == 1);
    fleet[late].kill9();
    fleet[feeder].order(Close);
    let verdict = fleet.end();
    assert_eq!(verdict.lost, (1000..1100).collect());
    assert!(verdict.twice.is_empty() && verdict.from_nowhere.is_empty());
    let [(outcome, totals)] = verdict.ends[..] else { panic!("one end for all: {:?}", verdict.ends) };
    assert_eq!((outcome, totals.accepted, totals.acked), (Outcome::Complete, 400, 400));
}

#[test]
fn an_emptied_redis_is_waited_out_until_the_right_one_takes_over() {
    gone_and_back(true);
}

#[test]
fn an_emptied_redis_is_waited_out_also_by_those_who_stay_connected_to_it() {
    gone_and_back(false);
}

const GONE: &str = "the queue is not in Redis";

/// The other reports of its process are heard all the same.
#[test]
fn d3_a_changed_item_that_redis_does_not_take_comes_back_as_it_was_put() {
    let server = Server::with(&["--proto-max-bulk-len 2mb"]);
    let queue = IterableQueue::<String>::builder().name("large").redis(server.url()).blocking_connect().unwrap();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    for item in ["grows", "is acked"] {
        producer.blocking_put(item.to_owned()).unwrap();
    }
    // The timeouts are watchdogs.
    let mut lease = || consumer.blocking_lease_timeout(2 * LONG).expect("an item");
    let (mut grows, acked) = (lease(), lease());
    *grows = "x".repeat(3 << 20);
    grows.requeue();
    acked.ack();
    let back = lease();
    assert_eq!((back.as_str(), back.attempt()), ("grows", 2));
    back.ack();
    drop((producer, consumer));
    queue.seal();
    assert_eq!(queue.blocking_drained_timeout(2 * LONG).expect("it ends").totals.acked, 2);
}
