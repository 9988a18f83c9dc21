//! A queue over Redis when its processes are killed, stopped, and replaced.

use std::time::Duration;
use std::{env, iter, thread};

use ::log::Level;
use actix_iterable_queue::error::Refusal;
use actix_iterable_queue::{Drained, Outcome};
use fastrand::Rng;
use fleet::process::Order::{Bury, Close, Consume, End, Feed, Leave, Produce, Seal};
use fleet::process::{Job, Role};
use fleet::proxy::{Proxy, Way};
use fleet::report::FENCED;
use fleet::{Fleet, Process, eventually};
use futures::executor::block_on;
use support::log;
use support::redis_server::Server;

const LEASE: Duration = Duration::from_secs(1);

fn role(server: &Server) -> Role {
    Role { lease: LEASE, ..Role::new(&server.url()) }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// It has begun with an item and is not done.
fn busy(process: &Process) -> bool {
    let report = process.report();
    report.handed().count() > report.done().count()
}

#[test]
fn without_a_fault_each_item_is_done_once() {
    let server = Server::start();
    let mut fleet = Fleet::new(Role { capacity: Some(100), ..role(&server) });
    fleet.join("feeder", &[Produce, Feed(0, 1000), Close]);
    fleet.join_as("another feeder", |role| role.batch = 1, &[Produce, Feed(1000, 1500), Close]);
    fleet.join("worker", &[Consume(2)]);
    fleet.join("both", &[Consume(1), Produce, Feed(2000, 2500), Close]);
    let totals = fleet.end().assert_exact();
    assert_eq!((totals.accepted, totals.acked, totals.lost_producers), (2000, 2000, 0));
}

#[test]
fn the_items_of_killed_workers_go_to_others() {
    let server = Server::start();
    let mut fleet = Fleet::new(Role { work: millis(2), ..role(&server) });
    fleet.join("feeder", &[Produce, Feed(0, 3000), Close]);
    let mut workers = ["worker 1", "worker 2"].map(|name| fleet.join(name, &[Consume(2)]));
    for round in 0..6 {
        let victim = &mut workers[round % 2];
        let so_far = fleet.done();
        eventually("it is in the middle of it", || fleet.done() > so_far + 200 && busy(&fleet[*victim]));
        fleet[*victim].kill9();
        *victim = fleet.join("another worker", &[Consume(2)]);
    }
    let totals = fleet.end().assert_right();
    assert_eq!((totals.accepted, totals.acked, totals.lost_producers), (3000, 3000, 0));
    assert!(totals.redelivered >= 6, "each of them had one: {totals:?}");
}

#[test]
fn killed_feeders_are_counted_and_the_others_put_on() {
    let server = Server::start();
    let mut fleet = Fleet::new(Role { capacity: Some(100), ..role(&server) });
    let [steady, ..] = [(0, 50), (1, 50), (2, 1)].map(|(index, batch)| {
        let first = index * 10_000;
        let orders = [Produce, Feed(first, first + if index == 0 { 1000 } else { 10_000 })];
        fleet.join_as(&format!("feeder {index}"), |role| role.batch = batch, &orders)
    });
    let worker = fleet.join("worker", &[Consume(2)]);
    for victim in [steady + 1, steady + 2] {
        eventually("it has put some", || fleet[victim].report().confirmed().count() > 300);
        fleet[victim].kill9();
    }
    fleet[steady].order(Close);
    let totals = fleet.end().assert_exact();
    assert_eq!(totals.lost_producers, 2);
    let confirmed = fleet.confirmed() as u64;
    assert!(totals.accepted >= confirmed, "{totals:?}");
    assert_eq!(fleet[worker].report().done().count() as u64, totals.acked);
}

#[test]
fn the_dead_let_a_queue_end() {
    let server = Server::start();
    let mut fleet = Fleet::new(role(&server));
    let feeder = fleet.join("feeder", &[Produce, Feed(0, 100)]);
    fleet[feeder].obeys();
    fleet.join("worker", &[Consume(1), End]);
    // Only its handle and its producer keep the queue from its end.
    fleet[feeder].kill9();
    let totals = fleet.ends().assert_exact();
    assert_eq!((totals.accepted, totals.lost_producers), (100, 1));
}

/// As a deploy does that stops the old processes before it starts the new ones, or a power cut.
#[test]
fn after_the_end_of_all_processes_others_put_on() {
    let server = Server::start();
    let mut fleet = Fleet::new(Role { seal_when_unowned: false, work: millis(2), ..role(&server) });
    for round in 0..4 {
        let feeder = fleet.join("feeder", &[Produce, Feed(round * 200, (round + 1) * 200)]);
        let worker = fleet.join("worker", &[Consume(2)]);
        fleet[feeder].obeys();
        let so_far = fleet.done();
        eventually("it is in the middle of it", || fleet.done() > so_far + 20);
        for process in [feeder, worker] {
            if round % 2 == 0 {
                fleet[process].order(Leave);
                fleet[process].ends();
            } else {
                fleet[process].kill9();
            }
        }
    }
    fleet.join("last feeder", &[Produce, Feed(800, 1000), Close, Seal]);
    fleet.join("last worker", &[Consume(2)]);
    let totals = fleet.end().assert_right();
    assert_eq!((totals.accepted, totals.lost_producers), (1000, 2));
}

#[test]
fn an_item_that_kills_its_workers_is_a_dead_letter_in_the_end() {
    let server = Server::start();
    let mut fleet = Fleet::new(Role { max_attempts: 2, ..role(&server) });
    fleet.join("reader", &[Produce, Bury, Feed(0, 1), Close]);
    for _ in 0..2 {
        let victim = fleet.join_as("victim", |role| role.work = LEASE * 1000, &[Consume(1)]);
        let known = || {
            let fields: Vec<String> = server.ask(&format!("HGETALL {}", fleet.key(&server, "proc")));
            fields.chunks(2).any(|field| field[0].ends_with(".handed") && field[1] != "0")
        };
        eventually("it has the item, and Redis has heard of it", || busy(&fleet[victim]) && known());
        fleet[victim].kill9();
    }
    let totals = fleet.end().assert_right();
    assert_eq!((totals.accepted, totals.dead_lettered, totals.redelivered), (1, 1, 1));
}

/// An item that aborts each process that is handed it, at once, becomes a dead letter; the items beside it do not.
#[test]
fn the_innocent_survive_beside_a_poisonous_item() {
    let server = Server::start();
    let mut fleet = Fleet::new(Role { max_attempts: 3, poison: Some(50), work: millis(2), ..role(&server) });
    fleet.join("feeder", &[Produce, Bury, Feed(0, 200), Close]);
    let mut workers = vec![fleet.join("worker", &[Consume(4)]), fleet.join("worker", &[Consume(4)])];
    let mut deaths = 0;
    eventually("all is done", || {
        for worker in &mut workers {
            if fleet[*worker].has_died() {
                deaths += 1;
                *worker = fleet.join("worker", &[Consume(4)]);
            }
        }
        fleet.meta(&server, "acked") + fleet.meta(&server, "dead") == 200
    });
    let totals = fleet.end().assert_right();
    assert_eq!((totals.accepted, totals.acked, totals.dead_lettered), (200, 199, 1));
    assert!((3..=4).contains(&deaths), "{deaths}: the first time, Redis may not have heard of it");
}

#[test]
fn a_worker_that_was_stopped_is_fenced_and_goes_on() {
    let server = Server::start();
    let mut fleet = Fleet::new(Role { work: millis(20), batch: 1, ..role(&server) });
    let feeder = fleet.join("feeder", &[Produce, Feed(0, 30)]);
    let stopped = fleet.join("stopped", &[Consume(2)]);
    eventually("it works", || fleet[stopped].report().done().count() > 5 && busy(&fleet[stopped]));
    fleet[stopped].freeze();
    let other = fleet.join("other", &[Consume(2)]);
    eventually("others do all of it", || fleet.verdict().out == 30);
    fleet[stopped].thaw();
    eventually("its late ends are told", || !busy(&fleet[stopped]));
    fleet[feeder].order(Feed(30, 100));
    eventually("it does new items", || fleet[stopped].report().done().any(|n| n >= 30));
    let verdict = fleet.end();
    let totals = verdict.assert_right();
    assert_eq!((totals.accepted, totals.acked), (100, 100), "late acks count for nothing");
    assert!(!verdict.twice.is_empty(), "what it had in hand was done by others, too");
    assert_eq!(fleet[stopped].report().said(FENCED), 1);
    assert_eq!(fleet[other].report().said(FENCED), 0);
}

#[test]
fn a_feeder_that_was_stopped_puts_each_item_once() {
    for batch in [1, 50] {
        let server = Server::start();
        let mut fleet = Fleet::new(Role { capacity: Some(100), work: millis(1), batch, ..role(&server) });
        let feeder = fleet.join("feeder", &[Produce, Feed(0, 1000)]);
        let worker = fleet.join("worker", &[Consume(1)]);
        eventually("it has put some", || fleet.confirmed() > 300);
        fleet[feeder].freeze();
        eventually("it is given up", || fleet.meta(&server, "lost_processes") == 1);
        fleet[feeder].thaw();
        eventually("it goes on", || fleet.confirmed() == 1000);
        let totals = fleet.end().assert_exact();
        assert_eq!((totals.accepted, totals.lost_producers), (1000, 1), "batches of {batch}");
        assert_eq!((fleet[feeder].report().said(FENCED), fleet[worker].report().said(FENCED)), (1, 0));
    }
}

/// The queue has not waited for it: it had to take it for dead.
#[test]
fn a_feeder_that_was_stopped_until_the_queue_ended_is_told() {
    let server = Server::start();
    let mut fleet = Fleet::new(Role { capacity: Some(100), work: millis(1), ..role(&server) });
    let feeder = fleet.join("feeder", &[Produce, Feed(0, 1_000_000)]);
    let worker = fleet.join("worker", &[Consume(1)]);
    eventually("it has put some", || fleet.confirmed() > 300);
    fleet[feeder].freeze();
    fleet[worker].order(End);
    fleet[worker].ends();
    fleet[feeder].thaw();
    eventually("its put fails", || fleet[feeder].report().refused().count() == 1);
    assert_eq!(fleet.end().assert_exact().lost_producers, 1);
}

/// The network cuts off one process alone, for so long that it is given up.
fn cut_off(fleet: &Fleet, server: &Server, proxy: &Proxy, times: u64) {
    proxy.cut_off(Way::Replies, 0);
    eventually("it is given up", || fleet.meta(server, "lost_processes") == times);
    proxy.accept();
}

/// What was put and not confirmed may be there or not: that is found out.
#[test]
fn a_feeder_that_was_cut_off_puts_each_item_once() {
    let server = Server::start();
    let proxy = Proxy::before(server.port());
    let mut fleet = Fleet::new(Role { batch: 1, ..role(&server) });
    let feeder = fleet.join_as("feeder", |role| role.url = proxy.url(), &[Produce]);
    fleet.join("worker", &[Consume(1)]);
    for round in 0..3 {
        fleet[feeder].order(Feed(round * 1000, (round + 1) * 1000));
        eventually("it puts", || fleet.confirmed() as u64 > round * 1000 + 100);
        cut_off(&fleet, &server, &proxy, round + 1);
        eventually("it goes on", || fleet.confirmed() as u64 == (round + 1) * 1000);
    }
    let totals = fleet.end().assert_exact();
    assert_eq!((totals.accepted, totals.lost_producers), (3000, 3));
}

#[test]
fn what_a_worker_did_that_was_cut_off_counts_for_nothing() {
    let server = Server::start();
    let proxy = Proxy::before(server.port());
    let mut fleet = Fleet::new(Role { work: millis(5), ..role(&server) });
    let worker = fleet.join_as("cut off", |role| role.url = proxy.url(), &[Consume(2)]);
    fleet.join("feeder", &[Produce, Feed(0, 500), Close]);
    eventually("it works", || fleet.done() > 100);
    cut_off(&fleet, &server, &proxy, 1);
    let so_far = fleet.done();
    eventually("it goes on", || fleet.done() > so_far + 10);
    fleet.join("other", &[Consume(2)]);
    let verdict = fleet.end();
    let totals = verdict.assert_right();
    assert_eq!((totals.accepted, totals.acked), (500, 500));
    assert!(!verdict.again.is_empty());
    assert_eq!(fleet[worker].report().said(FENCED), 1);
}

#[test]
fn nothing_is_put_through_a_lease_that_was_lost() {
    log::keep();
    let server = Server::start();
    let proxy = Proxy::before(server.port());
    let mut fleet = Fleet::new(Role { queue: "a-lost-lease".to_owned(), ..role(&server) });
    fleet.join("other", &[]);
    let queue = fleet.role(|role| role.url = proxy.url()).connect();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.blocking_put(Job { n: 1, ballast: String::new() }).unwrap();
    let lost = consumer.blocking_lease().unwrap();
    cut_off(&fleet, &server, &proxy, 1);
    let fenced = || log::said(Level::Error, "a-lost-lease").iter().any(|line| line.contains(FENCED));
    eventually("it is told", fenced);
    let child = lost.put_child(Job { n: 2, ballast: String::new() });
    let fenced = child.unwrap_err();
    assert_eq!((fenced.reason(), fenced.get_ref().n), (Refusal::Fenced, 2));
    let again = consumer.blocking_lease().unwrap();
    assert_eq!((again.n, again.attempt()), (1, 2));
    // It does not end the second one.
    lost.ack();
    again.requeue();
    let third = consumer.blocking_lease().unwrap();
    assert_eq!((third.n, third.attempt()), (1, 3));
    third.ack();
    let drained = queue.drained();
    drop((queue, producer));
    fleet.end();
    let Drained { outcome, totals, .. } = block_on(drained);
    assert_eq!((outcome, totals.accepted, totals.acked), (Outcome::Complete, 1, 1));
}

/// Twenty processes come and go. Who they are and what becomes of them is random, by a seed that is printed;
/// `FLEET_SEED` runs one again. After each step `fault` may do something about Redis.
fn come_and_go(server: &mut Server, url: &str, mut fault: impl FnMut(&mut Server, &mut Rng)) {
    let seed = env::var("FLEET_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("FLEET_SEED={seed}");
    let mut random = Rng::with_seed(seed);
    let mut fleet = Fleet::new(Role { url: url.to_owned(), capacity: Some(200), work: millis(1), ..role(server) });
    // The queue is not to end before all have come.
    fleet.join("anchor", &[Consume(1)]);
    let (mut present, mut frozen, mut fed) = (Vec::new(), None, 0);
    for number in 1..20 {
        let batch = [1, 7, 50][random.usize(..3)];
        let orders = match random.u64(..3) {
            0 => vec![Consume(1 + random.usize(..3))],
            kind => {
                let feed = Feed(fed, fed + 100 + random.u64(..400));
                fed += 1000;
                let consume = (kind == 1).then_some(Consume(1));
                iter::once(Produce).chain(consume).chain([feed, Close]).collect()
            }
        };
        present.push(fleet.join_as(&format!("process {number}"), |role| role.batch = batch, &orders));
        fault(server, &mut random);
        let so_far = fleet.done();
        eventually("all goes on", || fleet.done() > so_far || fleet.done() >= fleet.confirmed());
        if present.len() > 5 {
            if let Some(process) = frozen.take() {
                Process::thaw(&fleet[process]);
            }
            let leaver = present.swap_remove(random.usize(..6));
            match random.u64(..4) {
                0 => fleet[leaver].kill9(),
                1 => fleet[leaver].order(Leave),
                2 => fleet[leaver].order(End),
                _ => {
                    fleet[leaver].freeze();
                    frozen = Some(leaver);
                }
            }
        }
    }
    if let Some(process) = frozen {
        fleet[process].thaw();
    }
    let totals = fleet.end().assert_right();
    assert!(totals.accepted > 1000, "{totals:?}");
}

#[test]
fn twenty_processes_come_and_go() {
    let mut server = Server::start();
    let url = server.url();
    come_and_go(&mut server, &url, |_, _| ());
}

#[test]
fn twenty_processes_come_and_go_while_everything_fails() {
    let mut server = Server::with(&["--appendonly yes", "--appendfsync always"]);
    let proxy = Proxy::before(server.port());
    come_and_go(&mut server, &proxy.url(), |server, random| match random.u64(..8) {
        0 => proxy.tear(Way::Replies, random.usize(..1000)),
        1 => proxy.tear(Way::Requests, random.usize(..3000)),
        2 => proxy.cut(),
        3 => {
            proxy.refuse();
            thread::sleep(millis(random.u64(..1500))); // the time is the fault
            proxy.accept();
        }
        4 => {
            server.freeze();
            thread::sleep(millis(random.u64(..1500)));
            server.thaw();
        }
        5 => {
            server.kill9();
            server.restart();
        }
        6 => server.ask("SCRIPT FLUSH"),
        _ => drop(server.ask::<u64>("CLIENT KILL TYPE pubsub")),
    });
}
