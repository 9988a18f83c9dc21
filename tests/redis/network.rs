//! A queue over Redis when the network fails.

use std::thread;
use std::time::Duration;

use ::log::Level;
use fastrand::Rng;
use fleet::process::Order::{Close, Consume, End, Feed, Produce};
use fleet::process::Role;
use fleet::proxy::{Proxy, Way};
use fleet::report::FENCED;
use fleet::{Fleet, eventually};
use support::log;
use support::redis_server::Server;

/// Nothing is to expire: a machine that is busy must not look like one that is dead.
const LONG: Duration = Duration::from_secs(30);
/// It is to expire, or nearly.
const SHORT: Duration = Duration::from_millis(1500);

/// Feeds in rounds, each with a fault in it. All goes on after each of them. Each item makes another one.
#[track_caller]
fn rounds(role: Role, rounds: u64, items: u64, mut fault: impl FnMut(u64)) {
    let mut fleet = Fleet::new(Role { lease: LONG, child: rounds * items, ..role });
    let feeder = fleet.join("feeder", &[Produce]);
    fleet.join("worker", &[Consume(2)]);
    for round in 0..rounds {
        fleet[feeder].order(Feed(round * items, (round + 1) * items));
        fault(round);
        eventually("the items of this round are done", || fleet.done() as u64 == 2 * (round + 1) * items);
    }
    let totals = fleet.end().assert_exact();
    assert_eq!((totals.accepted, totals.lost_producers), (2 * rounds * items, 0));
}

/// Connections are torn after so many bytes that way: anything may be hit.
fn torn(way: Way, bytes: usize) {
    let server = Server::start();
    let proxy = Proxy::before(server.port());
    let mut random = Rng::with_seed(6);
    rounds(Role { capacity: Some(60), ..Role::new(&proxy.url()) }, 40, 100, |round| {
        proxy.tear(way, random.usize(..bytes));
        eventually("a connection is torn", || proxy.tears() as u64 == round + 1);
    });
}

#[test]
fn what_was_done_and_not_answered_is_not_done_twice() {
    torn(Way::Replies, 300);
}

#[test]
fn what_was_asked_and_not_heard_is_asked_again() {
    torn(Way::Requests, 2000);
}

/// Without notifications everybody has to ask.
#[test]
fn notifications_that_are_lost_again_and_again_delay_nothing_for_good() {
    let server = Server::start();
    let mut killed = 0;
    let role = Role { capacity: Some(3), batch: 7, ..Role::new(&server.url()) };
    rounds(role, 50, 7, |_| killed += server.ask::<u64>("CLIENT KILL TYPE pubsub"));
    assert!(killed > 25, "{killed} connections");
}

#[test]
fn forgotten_scripts_are_loaded_again() {
    let server = Server::start();
    rounds(Role { capacity: Some(60), ..Role::new(&server.url()) }, 40, 100, |_| server.ask("SCRIPT FLUSH"));
    assert!(server.info("errorstat_NOSCRIPT") > 0, "scripts are called by their hash");
}

const AWAY: &str = "Redis does not answer";
const BACK: &str = "Redis answers again";

/// Longer than the lease. `begins` and `ends` it.
fn outage(url: &str, begins: impl FnOnce(), ends: impl FnOnce()) {
    let work = Duration::from_millis(1);
    let mut fleet = Fleet::new(Role { lease: SHORT, capacity: Some(300), work, ..Role::new(url) });
    let feeder = fleet.join("feeder", &[Produce, Feed(0, 2000), Close, End]);
    let workers = ["worker 1", "worker 2"].map(|name| fleet.join(name, &[Consume(1)]));
    let all = [feeder, workers[0], workers[1]];
    eventually("items are done", || fleet.done() > 200);
    begins();
    // The time is the fault.
    thread::sleep(SHORT);
    // Nobody is left who could open a producer.
    workers.iter().for_each(|worker| fleet[*worker].order(End));
    thread::sleep(SHORT);
    assert!(fleet.confirmed() < 2000, "the feeder waits");
    assert!(all.iter().all(|process| fleet[*process].report().drained().is_none()), "nobody takes it for the end");
    let told = |fleet: &Fleet, of: usize| {
        let report = fleet[of].report();
        (report.said(AWAY), report.said(BACK))
    };
    let once = |(away, back): (usize, usize)| away == back + 1;
    assert!(all.iter().all(|process| once(told(&fleet, *process))), "once for an outage");
    ends();
    let totals = fleet.ends().assert_exact();
    assert_eq!((totals.accepted, totals.lost_producers), (2000, 0), "nobody was given up");
    let over = |(away, back): (usize, usize)| away == back;
    assert!(all.iter().all(|process| over(told(&fleet, *process))), "and once for its end");
}

#[test]
fn nothing_ends_while_nobody_can_connect() {
    let server = Server::start();
    let proxy = Proxy::before(server.port());
    outage(&proxy.url(), || proxy.refuse(), || proxy.accept());
}

#[test]
fn nothing_ends_while_redis_answers_nobody() {
    let server = Server::start();
    outage(&server.url(), || server.freeze(), || server.thaw());
}

/// One call takes longer than the lease: what bounds it is how many bytes go before it. Signs of life do not wait for it.
#[test]
fn a_slow_link_is_not_taken_for_a_dead_one() {
    let server = Server::start();
    let proxy = Proxy::before(server.port());
    proxy.slow_down(500_000);
    let lease = Duration::from_millis(900);
    let mut fleet = Fleet::new(Role { lease, batch: 100, ballast: 20_000, ..Role::new(&proxy.url()) });
    fleet.join("feeder", &[Produce, Feed(0, 100), Close]);
    fleet.join("worker", &[Consume(2)]);
    let totals = fleet.end().assert_exact();
    assert_eq!((totals.accepted, totals.redelivered, totals.lost_producers), (100, 0, 0));
    assert_eq!((fleet.said(AWAY), fleet.said(FENCED)), (0, 0));
}

/// Each reason, once and in its words; and one end.
#[test]
fn the_log_says_why_redis_is_away_and_when_that_changes() {
    log::keep();
    let server = Server::start();
    let proxy = Proxy::before(server.port());
    let role = Role { queue: "reasons".to_owned(), lease: LONG, ..Role::new(&proxy.url()) };
    let (queue, other) = (role.connect(), Role { queue: "other".to_owned(), ..role.clone() }.connect());
    let producer = queue.producer().unwrap();
    let said = |what: &str| {
        let place = format!("127.0.0.1:{}", proxy.port());
        log::said(Level::Warn, &place).into_iter().filter(|line| line.contains(what)).count()
    };
    let _: () = server.ask("CONFIG SET requirepass secret");
    proxy.cut();
    eventually("it says that it may not", || said("NOAUTH") > 0);
    let _: () = redis::Client::open(format!("redis://:secret@127.0.0.1:{}/", server.port()))
        .and_then(|client| {
            redis::cmd("CONFIG").arg("SET").arg("requirepass").arg("").query(&mut client.get_connection()?)
        })
        .unwrap();
    // A replica takes no puts, and answers.
    let _: () = server.ask("REPLICAOF 127.0.0.1 1");
    let _: () = server.ask("CONFIG SET replica-serve-stale-data yes");
    eventually("it says that this is no master", || said("READONLY") > 0);
    assert_eq!(said(BACK), 0);
    let _: () = server.ask("REPLICAOF NO ONE");
    eventually("it is over", || said(BACK) == 1);
    producer.blocking_put(role.job(1)).unwrap();
    let lines = log::said(Level::Warn, &proxy.port().to_string());
    assert_eq!(said(AWAY), 1, "of both queues: {lines:#?}");
    assert!(lines.iter().any(|line| line.contains("of 2 queues")), "{lines:#?}");
    for line in &lines {
        assert_eq!(lines.iter().filter(|other| *other == line).count(), 1, "{line}");
    }
    drop(other);
}

/// It fails for itself alone.
#[test]
fn a_queue_with_a_short_lease_is_no_judge_of_the_connections_of_others() {
    log::keep();
    let server = Server::start();
    let proxy = Proxy::before(server.port());
    let role = |queue: &str, lease| Role { queue: queue.to_owned(), lease, ..Role::new(&proxy.url()) };
    let (long, short) = (role("long", LONG), role("short", Duration::from_millis(300)));
    // The short one comes first, and opens the connections.
    let queues = [&short, &long].map(|role| (role.connect(), role));
    eventually("messages are listened to, too", || proxy.connections() == 3);
    let connections = proxy.numbers();
    let said = |what: &str| {
        let place = format!("127.0.0.1:{}", proxy.port());
        let said = log::said(Level::Warn, &place);
        said.into_iter().filter(|line| line.contains(what)).collect::<Vec<_>>()
    };
    server.freeze();
    eventually("it has no answer", || !said("no answer for 0.2 s").is_empty());
    server.thaw();
    for (queue, role) in &queues {
        queue.producer().unwrap().blocking_put(role.job(1)).unwrap();
    }
    assert_eq!(proxy.numbers(), connections, "they are the same");
    assert_eq!(said(AWAY), [""; 0]);
}

/// While an address is moved, some connections may lead to the one server and some to the other: here, one of three.
#[track_caller]
fn misled(to: impl FnOnce(&Server) -> Server) {
    let server = Server::start();
    let proxy = Proxy::before(server.port());
    let role = Role { lease: LONG, ..Role::new(&proxy.url()) };
    let queue = role.connect();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.blocking_put(role.job(0)).unwrap();
    assert_eq!(consumer.blocking_get().unwrap().n, 0);
    let other = to(&server);
    for n in 1..=12 {
        proxy.mislead(n as usize % 3, other.port());
        proxy.cut();
        eventually("one is misled", || proxy.has_misled());
        producer.blocking_put(role.job(n)).unwrap();
        // Where an older copy was asked, what was settled after that comes again.
        loop {
            let item = consumer.blocking_lease().unwrap();
            let found = item.n == n;
            item.ack();
            if found {
                break;
            }
        }
    }
}

#[test]
fn a_connection_that_leads_to_an_empty_server_is_given_up() {
    misled(|_| Server::start());
}

#[test]
fn a_connection_that_leads_to_an_older_copy_is_given_up() {
    misled(|server| {
        let copy = Server::start();
        let _: () = copy.ask(&format!("REPLICAOF 127.0.0.1 {}", server.port()));
        copy.catch_up(server);
        let _: () = copy.ask("REPLICAOF NO ONE");
        copy
    });
}
