//! A queue over Redis as it is operated: left alone for weeks, deployed anew, served by processes that do not live long.

use std::thread;
use std::time::Duration;

use actix_iterable_queue::Outcome;
use fleet::process::Order::{Close, Consume, End, Feed, Leave, Produce, Seal};
use fleet::process::Role;
use fleet::report::Line;
use fleet::{Fleet, eventually};
use support::redis_server::Server;

const LEASE: Duration = Duration::from_millis(600);
const FIVE_WEEKS: Duration = Duration::from_secs(5 * 7 * 24 * 60 * 60);

/// It stays open until somebody seals it.
fn open(server: &Server) -> Fleet {
    Fleet::new(Role { lease: LEASE, seal_when_unowned: false, ..Role::new(&server.url()) })
}

/// Some items wait, and one is with a worker that was killed.
#[test]
fn weeks_without_a_process_cost_nothing() {
    let mut server = Server::with(&["--appendonly yes", "--appendfsync always"]);
    let mut fleet = open(&server);
    let feeder = fleet.join("feeder", &[Produce, Feed(0, 1000)]);
    fleet[feeder].obeys();
    let victim = fleet.join_as("worker that is killed", |role| role.work = LEASE * 1000, &[Consume(1)]);
    eventually("it has an item", || fleet[victim].report().handed().count() == 1);
    fleet[victim].kill9();
    let worker = fleet.join_as("worker", |role| role.work = LEASE / 500, &[Consume(1)]);
    eventually("some are done", || fleet.done() > 20);
    for process in [worker, feeder] {
        fleet[process].order(Leave);
        fleet[process].ends();
    }

    server.kill9();
    server.let_pass(FIVE_WEEKS);
    server.restart();

    let late = fleet.join("worker that comes late", &[Consume(2)]);
    eventually("all are done", || fleet.done() == 1000);
    fleet[late].order(Seal);
    let totals = fleet.end().assert_right();
    assert_eq!((totals.accepted, totals.acked, totals.dead_lettered), (1000, 1000, 0));
    let killed = fleet[victim].report().handed().next().unwrap();
    let again = |line: &Line| matches!(line, Line::Handed(n, _) if *n == killed);
    assert!(fleet[late].report().lines.iter().any(again), "{killed} came back");
}

/// Nobody was there for a while, three times; and nothing of that is to be seen.
#[test]
fn deploys_that_stop_everything_first_cost_nothing() {
    let server = Server::start();
    let mut fleet = open(&server);
    for round in 0..3 {
        let feeder = fleet.join("feeder", &[Produce, Feed(round * 200, (round + 1) * 200)]);
        let workers = ["worker 1", "worker 2"]
            .map(|name| fleet.join_as(name, |role| role.work = Duration::from_millis(3), &[Consume(2)]));
        fleet[feeder].obeys();
        let so_far = fleet.done();
        eventually("they are in the middle of it", || fleet.done() > so_far + 20);
        for process in [workers[0], feeder, workers[1]] {
            fleet[process].order(Leave);
        }
        for process in [workers[0], feeder, workers[1]] {
            fleet[process].ends();
        }
        assert_eq!(fleet.meta(&server, "producers") + fleet.meta(&server, "openers"), 0, "nobody is there");
        assert_eq!(fleet.meta(&server, "sealed"), 0);
    }
    fleet.join("last feeder", &[Produce, Feed(600, 700), Close, Seal]);
    fleet.join("last worker", &[Consume(2)]);
    let totals = fleet.end().assert_exact();
    assert_eq!((totals.accepted, totals.acked, totals.lost_producers), (700, 700, 0));
}

/// As with jobs of a scheduler: each process is there for half a lease and leaves in order, and then nobody is for as long.
#[test]
fn what_a_killed_worker_held_comes_back_where_no_process_lives_for_a_lease() {
    let server = Server::start();
    let mut fleet = open(&server);
    let victim = fleet.join_as("victim", |role| role.work = LEASE * 1000, &[Produce, Feed(0, 1), Consume(1)]);
    eventually("it has the item", || fleet[victim].report().handed().count() == 1);
    fleet[victim].kill9();
    // Sixteen of them take sixteen leases.
    for _ in 0..16 {
        let process = fleet.join("one that lives briefly", &[Consume(1)]);
        thread::sleep(LEASE / 2);
        fleet[process].order(Leave);
        fleet[process].ends();
        if fleet.done() == 1 {
            break;
        }
        thread::sleep(LEASE / 2);
    }
    assert_eq!(fleet.done(), 1, "it came back to nobody");
    fleet.join("last", &[Seal, End]);
    let totals = fleet.ends().assert_right();
    assert_eq!((totals.accepted, totals.acked, totals.lost_producers), (1, 1, 1));
}

/// By hand, or because Redis may evict keys. What was in it is lost; but nobody takes that for the end of the work, and
/// nobody waits for ever.
#[test]
fn a_key_that_is_deleted_is_no_completion_and_keeps_nobody() {
    let server = Server::start();
    thread::scope(|scope| {
        for kind in ["", "meta", "ready", "procs", "proc", "inf"] {
            let server = &server;
            scope.spawn(move || in_the_middle_without(server, kind));
        }
    });
}

fn in_the_middle_without(server: &Server, kind: &str) {
    let queue = format!("jobs-without-{kind}");
    // One without its sums is not there any more: it waits for a time that must be given.
    let abort_if_gone_for = Some(LEASE);
    let role = Role { lease: LEASE, capacity: Some(500), queue, abort_if_gone_for, ..Role::new(&server.url()) };
    let mut fleet = Fleet::new(role);
    fleet.join_as("worker", |role| role.work = Duration::from_millis(2), &[Consume(2)]);
    fleet.join("feeder", &[Produce, Feed(0, 1000), Close]);
    eventually("they are in the middle of it", || fleet.done() > 50);
    let key = if kind.is_empty() { fleet.pointer() } else { fleet.key(server, kind) };
    assert_eq!(server.ask::<u64>(&format!("UNLINK {key}")), 1, "{key}");
    let verdict = fleet.end();
    let aborted = verdict.ends.iter().filter(|(outcome, _)| *outcome == Outcome::Aborted).count();
    assert!(aborted == verdict.ends.len() || aborted == 0 && verdict.lost.is_empty(), "{kind}: {verdict:?}");
}
