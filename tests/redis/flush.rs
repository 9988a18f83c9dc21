//! What a process has said is known to the others: when `flush` is done, and when the process has left.

use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use actix_iterable_queue::{IterableQueue, Outcome};
use futures::FutureExt;
use futures::executor::block_on;
use harness::eventually;
use support::redis_server::Server;

const LEASE: Duration = Duration::from_millis(600);

fn connect_for(server: &Server, lease: Duration) -> IterableQueue<u32> {
    let queue = IterableQueue::builder().name("q").redis(server.url());
    queue.lease(lease).blocking_connect().expect("connected")
}

fn connect(server: &Server) -> IterableQueue<u32> {
    connect_for(server, Duration::from_secs(60))
}

/// What Redis knows of the queue.
fn known(server: &Server, fields: &str) -> Vec<String> {
    let generation: String = server.ask("GET {aiq3:q}");
    server.ask(&format!("HMGET {{aiq3:q}}:{generation}:meta {fields}"))
}

#[test]
fn c3_a_seal_is_known_once_it_is_flushed() {
    let server = Server::start();
    let (queue, _another) = (connect(&server), connect(&server));
    let _producer = queue.producer().unwrap();
    queue.seal();
    block_on(queue.flush());
    assert_eq!(known(&server, "sealed"), ["1"]);
}

#[test]
fn d8_an_abort_is_known_once_it_is_flushed() {
    let server = Server::start();
    let (queue, another) = (connect(&server), connect(&server));
    drop(queue.abort());
    queue.blocking_flush();
    assert_eq!(known(&server, "ended"), ["aborted"]);
    assert_eq!(another.blocking_drained().outcome, Outcome::Aborted);
    // The other one can tell nothing any more.
    another.blocking_flush();
}

/// It may have been found lost a moment ago, and not know it yet.
#[test]
fn d8_an_abort_of_a_process_that_was_lost_is_known_once_it_is_flushed() {
    let server = Server::start();
    let (queue, another) = (connect(&server), connect(&server));
    block_on(queue.flush());
    let generation: String = server.ask("GET {aiq3:q}");
    let _: u64 = server.ask(&format!("DEL {{aiq3:q}}:{generation}:proc"));
    drop(queue.abort());
    queue.blocking_flush();
    assert_eq!(known(&server, "ended"), ["aborted"]);
    assert_eq!(another.blocking_drained().outcome, Outcome::Aborted);
}

#[test]
fn d4_puts_and_what_became_of_leases_are_known_once_they_are_flushed() {
    let server = Server::start();
    let queue = connect(&server);
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    for n in 0..100 {
        producer.try_put(n).unwrap();
    }
    block_on(queue.flush());
    assert_eq!(known(&server, "accepted producers consumers"), ["100", "1", "1"]);
    for n in 0..40 {
        let item = consumer.blocking_lease().unwrap();
        item.put_child(n).unwrap();
        match n % 4 {
            0 => drop(item.into_inner()),
            1 => item.reject("no"),
            _ => item.ack(),
        }
        block_on(queue.flush());
        let known: u32 = known(&server, "acked taken dead").iter().map(|count| count.parse::<u32>().unwrap()).sum();
        assert_eq!(known, n + 1);
    }
    drop((producer, consumer));
    block_on(queue.flush());
    assert_eq!(known(&server, "accepted acked taken dead producers consumers"), ["140", "20", "10", "10", "0", "0"]);
}

#[test]
fn a_flush_waits_for_redis_and_may_be_given_up() {
    let server = Server::start();
    let queue = connect(&server);
    let producer = queue.producer().unwrap();
    queue.blocking_flush();
    assert!(queue.blocking_flush_timeout(Duration::ZERO), "there is nothing new");
    server.freeze();
    producer.try_put(1).unwrap();
    drop(producer);
    assert!(!queue.blocking_flush_timeout(Duration::ZERO));
    assert!(!queue.blocking_flush_timeout(Duration::from_millis(20)));
    let mut flush = Box::pin(queue.flush());
    assert!(flush.as_mut().poll_unpin(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(flush);
    let flush = queue.flush();
    // What is said afterwards it does not wait for, nor for a handle of the queue.
    drop(queue);
    server.thaw();
    block_on(flush);
    assert_eq!(known(&server, "accepted producers"), ["1", "0"]);
}

#[test]
fn what_can_never_be_told_is_not_waited_for() {
    let server = Server::start();
    let queue = IterableQueue::builder().name("q").redis(server.url());
    let queue = queue.abort_if_gone_for(LEASE).blocking_connect().expect("connected");
    let producer = queue.producer().unwrap();
    let _: String = server.ask("FLUSHALL");
    producer.try_put(1).ok();
    queue.blocking_flush();
    assert_eq!(queue.blocking_drained().outcome, Outcome::Aborted);
}

/// Restarts with its data, and has the queue leave meanwhile in a way that is to be tested.
#[track_caller]
fn acks_count(lease: Duration, leave: impl FnOnce(IterableQueue<u32>)) {
    let mut server = Server::with(&["--appendonly yes", "--appendfsync always"]);
    let queue = connect_for(&server, lease);
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    block_on(producer.put_all(0..20)).unwrap();
    let items: Vec<_> = (0..20).map(|_| consumer.blocking_lease().unwrap()).collect();
    server.kill9();
    items.into_iter().for_each(|item| item.ack());
    drop((producer, consumer));
    leave(queue);
    server.restart();
    eventually("all is known", || known(&server, "acked openers") == ["20", "0"]);
    assert_eq!(known(&server, "redelivered"), ["0"]);
}

#[test]
fn d2_acks_during_an_outage_count_although_the_grace_is_over() {
    acks_count(Duration::from_secs(60), |queue| {
        let report = block_on(queue.shutdown(Duration::ZERO));
        assert_eq!(report.drained.outcome, Outcome::Left);
        // The process stays up.
        thread::spawn(move || queue.blocking_flush());
    });
}

#[test]
fn d2_acks_during_an_outage_of_more_than_a_lease_count_although_nobody_has_the_queue_any_more() {
    acks_count(LEASE, |queue| {
        drop(queue);
        thread::sleep(2 * LEASE);
    });
}
