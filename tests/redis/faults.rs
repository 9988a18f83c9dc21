//! The faults that the tests of the feature `redis` make are what they claim to be, and their judge sees what is wrong.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::panic::catch_unwind;
use std::time::Duration;

use actix_iterable_queue::Drained;
use fleet::proxy::{Proxy, Way};
use fleet::report::Line::{self, Begun, Confirmed, Dead, Done};
use fleet::report::{Report, Verdict};
use redis::{Client, Commands, Connection, RedisResult};
use serde_json::{from_value, json};
use support::redis_server::Server;

fn connect(proxy: &Proxy) -> RedisResult<Connection> {
    let connection = Client::open(proxy.url())?.get_connection()?;
    connection.set_read_timeout(Some(Duration::from_secs(60)))?;
    Ok(connection)
}

#[test]
fn servers_have_nothing_in_common() {
    let (one, other) = (Server::start(), Server::start());
    assert_ne!(one.port(), other.port());
    let _: () = one.ask("SET key value");
    assert_eq!((one.ask::<i64>("DBSIZE"), other.ask::<i64>("DBSIZE")), (1, 0));
    assert_eq!(one.info("cmdstat_set"), 1);
    assert_eq!(one.info("cmdstat_get"), 0);
}

#[test]
fn a_killed_server_comes_back_with_what_its_options_promise() {
    for (options, kept) in [(&["--appendonly yes", "--appendfsync always"] as &[_], true), (&[], false)] {
        let mut server = Server::with(options);
        let (port, before) = (server.port(), server.info("process_id"));
        let _: () = server.ask("SET key value");
        server.kill9();
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
        server.restart();
        assert_eq!(server.port(), port);
        assert_ne!(server.info("process_id"), before);
        assert_eq!(server.ask::<bool>("EXISTS key"), kept);
    }
}

#[test]
fn a_frozen_server_answers_nobody_until_it_thaws() {
    let server = Server::start();
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    let mut answer = [0; 7];
    stream.write_all(b"PING\r\n").unwrap();
    stream.read_exact(&mut answer).unwrap();
    server.freeze();
    stream.write_all(b"PING\r\n").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(stream.read(&mut answer).is_err());
    server.thaw();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+PONG\r\n");
}

#[test]
fn a_replica_follows() {
    let primary = Server::start();
    let replica = Server::with(&[&format!("--replicaof 127.0.0.1 {}", primary.port())]);
    let _: () = primary.ask("SET key value");
    replica.catch_up(&primary);
    assert_eq!(replica.ask::<String>("GET key"), "value");
}

#[test]
fn the_proxy_passes_on_what_it_is_sent() {
    let server = Server::start();
    let proxy = Proxy::before(server.port());
    let mut connection = connect(&proxy).unwrap();
    let big = "x".repeat(1 << 20);
    let _: () = connection.set("big", &big).unwrap();
    assert!(connection.get::<_, String>("big").unwrap() == big);
    assert_eq!(proxy.tears(), 0);
}

#[test]
fn a_dropped_reply_is_one_of_something_done() {
    let server = Server::start();
    let proxy = Proxy::before(server.port());
    for n in 1..=20 {
        let mut connection = connect(&proxy).unwrap();
        proxy.tear(Way::Replies, 0);
        connection.incr::<_, _, i64>("done", 1).unwrap_err();
        assert_eq!(proxy.tears(), n);
        assert_eq!(server.ask::<usize>("GET done"), n);
        assert_eq!(connect(&proxy).unwrap().get::<_, usize>("done").unwrap(), n, "only one connection is cut");
    }
}

#[test]
fn a_torn_request_is_not_done_and_a_torn_reply_is() {
    let server = Server::start();
    let proxy = Proxy::before(server.port());
    for (way, done) in [(Way::Requests, 0), (Way::Replies, 1)] {
        let mut connection = connect(&proxy).unwrap();
        proxy.tear(way, 3); // of `*3\r\n$6…`, or of `:1\r\n`
        connection.incr::<_, _, i64>("done", 1).unwrap_err();
        assert_eq!(server.info("cmdstat_incrby"), done, "{way:?}");
    }
    assert_eq!(proxy.tears(), 2);
}

#[test]
fn the_proxy_cuts_refuses_and_switches() {
    let (one, other) = (Server::start(), Server::start());
    let proxy = Proxy::before(one.port());
    let mut connection = connect(&proxy).unwrap();
    let _: () = connection.set("which", "one").unwrap();
    proxy.cut();
    connection.get::<_, String>("which").unwrap_err();

    let mut connection = connect(&proxy).unwrap();
    proxy.refuse();
    connection.get::<_, String>("which").unwrap_err();
    assert!(connect(&proxy).is_err());
    assert_eq!(proxy.connections(), 0);
    proxy.accept();
    let mut connection = connect(&proxy).unwrap();
    assert_eq!(connection.get::<_, String>("which").unwrap(), "one");

    let _: () = other.ask("SET which other");
    proxy.switch(other.port());
    connection.get::<_, String>("which").unwrap_err();
    assert_eq!(connect(&proxy).unwrap().get::<_, String>("which").unwrap(), "other");
}

/// A process that told this; `suspect` if it was killed.
fn told(suspect: bool, lines: Vec<Line>) -> Report {
    Report { suspect, lines, ..Report::default() }
}

/// An end with these totals.
fn drained(accepted: u64, acked: u64, dead_lettered: u64, redelivered: u64) -> Line {
    let totals = json!({
        "accepted": accepted, "acked": acked, "taken": 0, "dead_lettered": dead_lettered, "discarded": 0,
        "redelivered": redelivered, "lost_producers": 0
    });
    let drained = json!({ "queue": 1, "name": "jobs", "outcome": "Complete", "totals": totals });
    Line::Drained(from_value::<Drained>(drained).unwrap())
}

#[test]
fn the_judge_finds_nothing_wrong_where_nothing_is() {
    let feeder = told(false, vec![Begun(0, 3), Confirmed(0, 3), drained(3, 2, 1, 0)]);
    let worker = told(false, vec![Done(1), Done(0), Dead(2), drained(3, 2, 1, 0)]);
    let verdict = Verdict::of(&[feeder, worker]);
    assert_eq!(verdict.assert_exact().acked, 2);
    assert_eq!(verdict.out, 3);
}

#[test]
fn the_judge_forgives_what_was_killed_in_the_middle() {
    let feeder = told(true, vec![Begun(0, 2), Confirmed(0, 2), Begun(2, 4)]);
    let killed = told(true, vec![Done(0)]);
    let worker = told(false, vec![Done(0), Done(1), Done(2), drained(3, 3, 0, 1)]);
    let verdict = Verdict::of(&[feeder, killed, worker]);
    verdict.assert_right();
    assert_eq!(verdict.twice, [0].into());
}

#[test]
fn the_judge_finds_what_is_wrong() {
    let feeder = || told(false, vec![Begun(0, 2), Confirmed(0, 2)]);
    let end = || drained(2, 2, 0, 0);
    for (wrong, lines) in [
        ("lost: {1}", vec![Done(0), end()]),
        ("from nowhere: {2}", vec![Done(0), Done(1), Done(2), end()]),
        ("twice without a reason: {1}", vec![Done(0), Done(1), Done(1), end()]),
        ("twice without a reason: {1}", vec![Done(0), Done(1), Dead(1), end()]),
        ("one end for all: []", vec![Done(0), Done(1)]),
        ("one end for all: [", vec![Done(0), Done(1), end(), drained(2, 1, 1, 0)]),
        ("accepted once each", vec![Done(0), Done(1), drained(3, 3, 0, 0)]),
        ("accepted: 2, acked: 1", vec![Done(0), Done(1), drained(2, 1, 0, 0)]),
    ] {
        let verdict = Verdict::of(&[feeder(), told(false, lines)]);
        let said = *catch_unwind(|| verdict.assert_right()).unwrap_err().downcast::<String>().unwrap();
        assert!(said.contains(wrong), "{said}, not {wrong}");
    }
}

#[test]
fn the_judge_wants_duplicates_to_be_counted() {
    let feeder = told(false, vec![Begun(0, 1), Confirmed(0, 1)]);
    let killed = told(true, vec![Done(0)]);
    let worker = told(false, vec![Done(0), drained(1, 1, 0, 0)]);
    let verdict = Verdict::of(&[feeder, killed, worker]);
    assert!(catch_unwind(|| verdict.assert_right()).is_err());
}
