//! Over Redis no process holds an item that another one could work on.
#![allow(clippy::unwrap_used, reason = "in helpers too")]

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use actix_iterable_queue::{Consumer, IterableQueue};
use support::redis_server::Server;

/// Longer than any way to Redis.
const SLOW: Duration = Duration::from_millis(200);

/// Each handle is a process to Redis: it has its own connection, and its own fetched items.
fn handles(server: &Server, count: usize) -> Vec<IterableQueue<Duration>> {
    let connect = |_| IterableQueue::builder().name("jobs").redis(server.url()).blocking_connect().expect("connected");
    (0..count).map(connect).collect()
}

/// Does all jobs with one worker for each handle, and returns how many slow ones each did.
fn work(queues: &[IterableQueue<Duration>], jobs: &[Duration]) -> Vec<usize> {
    let producer = queues[0].producer().expect("open");
    futures::executor::block_on(producer.put_all(jobs.iter().copied())).expect("room for all");
    let consumers: Vec<_> = queues.iter().map(|queue| queue.consumer().expect("open")).collect();
    queues[0].seal();
    drop(producer);
    let begin = Barrier::new(consumers.len());
    let work = |consumer: Consumer<Duration>| {
        begin.wait();
        let mut slow = 0;
        for job in consumer.into_blocking_leases() {
            thread::sleep(*job);
            slow += usize::from(*job == SLOW);
            job.ack();
        }
        slow
    };
    let work = &work;
    thread::scope(|scope| {
        let workers: Vec<_> = consumers.into_iter().map(|consumer| scope.spawn(move || work(consumer))).collect();
        workers.into_iter().map(|worker| worker.join().expect("no panic")).collect()
    })
}

/// One that fetched an item ahead of its job would do it while another one is idle.
#[test]
fn slow_jobs_are_spread_evenly() {
    let server = Server::start();
    let queues = handles(&server, 8);
    let done = work(&queues, &[SLOW; 40]);
    assert!(done.iter().all(|done| (4..=6).contains(done)), "{done:?}");
}

/// Each has fetched many, as it was quick; and what one fetched last may be all that there is.
#[test]
fn jobs_that_become_slow_are_spread_evenly() {
    let server = Server::start();
    let queues = handles(&server, 2);
    let jobs: Vec<_> = [Duration::ZERO].repeat(20_000).into_iter().chain([SLOW; 40]).collect();
    let done = work(&queues, &jobs);
    assert!(done.iter().all(|done| *done >= 15), "{done:?}");
}
