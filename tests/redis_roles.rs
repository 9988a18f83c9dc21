//! Processes with two roles: workers that wait for work and for its end, and a feeder that begins it.

#![allow(clippy::unwrap_used)] // in helpers too

#[path = "common/log.rs"]
mod log;
#[path = "common/program.rs"]
mod program;
#[path = "redis/server.rs"]
mod server;

use std::sync::mpsc::channel;
use std::task::{Context, Poll, Waker};
use std::thread;

use ::log::Level;
use actix_iterable_queue::{ConnectError, IterableQueue, RedisBuilder};
use futures::FutureExt;
use log::{keep, said};
use program::eventually;
use server::Server;

fn builder(server: &Server, name: &str) -> RedisBuilder<u32> {
    IterableQueue::builder().name(name).redis(server.url())
}

/// All that this worker gets until the end.
fn work(queue: IterableQueue<u32>) -> Vec<u32> {
    let mut done = Vec::new();
    for item in queue.consumer().unwrap().into_blocking_leases() {
        done.push(*item);
        item.ack();
    }
    done
}

fn feed(queue: &IterableQueue<u32>, items: std::ops::Range<u32>) {
    let producer = queue.producer().unwrap();
    items.for_each(|item| producer.blocking_put(item).unwrap());
    queue.seal();
}

#[test]
fn workers_that_come_first_wait_for_the_work_and_for_its_end() {
    keep();
    let (server, name) = (Server::start(), "workers-first");
    let workers: Vec<_> = (0..3)
        .map(|_| {
            let builder = builder(&server, name);
            thread::spawn(move || work(builder.blocking_join().unwrap()))
        })
        .collect();
    eventually("all three wait, and say so", || said(Level::Info, name).len() == 3);
    assert!(said(Level::Info, name)[0].contains("no process has begun it"));
    assert_eq!(server.ask::<u32>("DBSIZE"), 0, "they have begun nothing");
    let feeder = builder(&server, name).blocking_connect().unwrap();
    feed(&feeder, 0..30);
    let mut done: Vec<u32> = workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect();
    done.sort_unstable();
    assert_eq!(done, (0..30).collect::<Vec<_>>());
}

/// One that comes after the end is for the next run: it neither ends at once nor begins a queue that nobody feeds.
#[test]
fn a_worker_that_comes_too_late_waits_for_the_next_queue() {
    let (server, name) = (Server::start(), "late");
    let first = builder(&server, name).blocking_connect().unwrap();
    feed(&first, 0..1);
    assert_eq!(work(builder(&server, name).blocking_join().unwrap()), [0]);
    first.blocking_drained();
    let (done, finished) = channel();
    let late = builder(&server, name);
    thread::spawn(move || done.send(work(late.blocking_join().unwrap())));
    let next = builder(&server, name).blocking_connect().unwrap();
    feed(&next, 7..9);
    assert_eq!(finished.recv().unwrap(), [7, 8]);
}

#[test]
fn who_waits_to_join_waits_through_an_outage_but_not_for_a_server_that_was_never_there() {
    let (mut server, name) = (Server::start(), "outage");
    let waiting = builder(&server, name);
    let worker = thread::spawn(move || work(waiting.blocking_join().unwrap()));
    eventually("it has looked", || server.info("total_commands_processed") > 20);
    server.kill9();
    let nobody = builder(&server, name).blocking_join();
    assert!(matches!(nobody, Err(ConnectError::Redis(_))), "{nobody:?}");
    server.restart();
    feed(&builder(&server, name).blocking_connect().unwrap(), 0..1);
    assert_eq!(worker.join().unwrap(), [0]);
}

#[test]
fn a_wait_that_is_given_up_joins_nothing() {
    let (server, name) = (Server::start(), "given-up");
    let mut wait = Box::pin(builder(&server, name).join());
    assert!(matches!(wait.as_mut().poll_unpin(&mut Context::from_waker(Waker::noop())), Poll::Pending));
    eventually("it has looked", || server.info("total_commands_processed") > 20);
    drop(wait);
    eventually("nobody looks any more", || {
        let before = server.info("connected_clients");
        before <= 1
    });
    let feeder = builder(&server, name).blocking_connect().unwrap();
    assert_eq!(feeder.snapshot().processes.len(), 0);
}
