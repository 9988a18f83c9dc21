//! Processes with two roles: workers that wait for work and for its end, and a feeder that begins it.

use std::sync::mpsc::channel;
use std::task::{Context, Poll, Waker};
use std::thread;

use ::log::Level;
use actix_iterable_queue::error::ConnectError;
use actix_iterable_queue::{IterableQueue, RedisBuilder};
use futures::FutureExt;
use harness::eventually;
use support::log::{keep, said};
use support::redis_server::Server;

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
    // Each look is a GET. The first one has its answer when there is a second.
    eventually("it has looked", || server.info("cmdstat_get") > 1);
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
    eventually("it has looked", || server.info("cmdstat_get") > 1);
    drop(wait);
    eventually("nobody looks any more", || {
        let before = server.info("connected_clients");
        before <= 1
    });
    let feeder = builder(&server, name).blocking_connect().unwrap();
    assert_eq!(feeder.snapshot().processes.len(), 0);
}

/// The two roles as the guide has them, word for word.
mod guide {
    use std::sync::{Mutex, OnceLock};
    use std::thread;

    use actix::prelude::*;
    use actix_iterable_queue::RedisBuilder;
    use actix_iterable_queue::prelude::*;
    use harness::eventually;
    use support::redis_server::Server;

    static ADDRESS: OnceLock<String> = OnceLock::new();
    static DONE: Mutex<Vec<String>> = Mutex::new(Vec::new());

    struct Worker;

    impl Actor for Worker {
        type Context = Context<Self>;
    }

    impl Handler<Item<String>> for Worker {
        type Result = ();

        fn handle(&mut self, job: Item<String>, _: &mut Self::Context) {
            DONE.lock().unwrap().push(job.to_uppercase());
            job.ack();
        }
    }

    impl Handler<Drained> for Worker {
        type Result = ();

        fn handle(&mut self, _: Drained, _: &mut Self::Context) {}
    }

    fn jobs() -> RedisBuilder<String> {
        IterableQueue::builder().name("jobs").capacity(100_000).redis(ADDRESS.get().unwrap())
    }

    async fn work() -> Result<(), Box<dyn std::error::Error>> {
        let queue = jobs().join().await?; // waits until another process has begun it
        let pool = WorkerPool::builder(&queue).workers(4).start(|_index| Worker)?;
        println!("{} done here", pool.drained().await?.totals.acked); // all work is done, in all processes
        Ok(())
    }

    async fn feed(more: Vec<String>, is_last: bool) -> Result<(), Box<dyn std::error::Error>> {
        let queue = jobs().connect().await?; // begins it, if no other process has
        queue.producer()?.put_all(more).await?;
        if is_last {
            queue.seal(); // no more will come; what other feeders are putting still counts
        }
        queue.flush().await; // Redis knows everything now, and this process may end
        Ok(())
    }

    #[test]
    fn both_roles_are_started_in_any_order_and_number_and_the_last_feeder_ends_it() {
        let file = include_str!("roles.rs").replace("\n    ", "\n");
        let text = include_str!("../../docs/guide/src/several-processes.md");
        let start = text.find("async fn work()").unwrap();
        let roles = text[start..].split("```").next().unwrap();
        assert!(file.contains(roles), "what the guide shows is not what is tested:\n{roles}");

        let server = Server::start();
        ADDRESS.get_or_init(|| server.url());
        let process = |role: fn() -> Result<(), Box<dyn std::error::Error>>| {
            thread::spawn(move || role().map_err(|error| error.to_string()))
        };
        let worker = || System::new().block_on(work());
        let feeder = || System::new().block_on(feed(vec!["one".into(), "two".into()], false));
        let all = [worker, feeder, worker, feeder, feeder, worker].map(process);
        eventually("the feeders have ended, and the workers have not", || {
            all.iter().map(|process| u32::from(process.is_finished())).sum::<u32>() == 3
                && DONE.lock().unwrap().len() == 6
        });
        eventually("all three work", || {
            let queue = System::new().block_on(jobs().inspect()).unwrap().unwrap();
            queue.processes.iter().filter(|process| process.consumers > 0).count() == 3
        });
        process(|| System::new().block_on(feed(vec!["three".into()], true))).join().unwrap().unwrap();
        all.into_iter().for_each(|process| process.join().unwrap().unwrap());
        let mut done = DONE.lock().unwrap().clone();
        done.sort_unstable();
        assert_eq!(done, ["ONE", "ONE", "ONE", "THREE", "TWO", "TWO", "TWO"]);
    }
}
