//! What the queues of one process share on their way to Redis: a thread, and connections.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "in helpers too")]

use std::fs;
use std::sync::Mutex;
use std::task::{Context, Waker};
use std::time::Duration;

use actix_iterable_queue::error::ConnectError;
use actix_iterable_queue::{IterableQueue, Outcome, RedisBuilder, State};
use fleet::eventually;
use fleet::proxy::{Proxy, Way};
use futures::FutureExt;
use futures::executor::block_on;
use log::{Log, Metadata, Record};
use support::redis_server::Server;

/// Nothing is to expire.
const LONG: Duration = Duration::from_secs(60);

fn builder(url: &str, name: &str) -> RedisBuilder<u32> {
    IterableQueue::builder().name(name).redis(url).lease(LONG)
}

/// The threads of this process that serve queues: these tests run one after another.
fn threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim() == "queue-redis").count()
}

/// Before the server goes: a process that cannot say that it leaves tries for a lease.
fn all_has_ended() {
    eventually("the thread has ended", || threads() == 0);
}

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

#[cfg(target_os = "linux")]
#[test]
fn all_queues_of_a_process_share_a_thread_and_three_connections() {
    let _alone = ONE_AT_A_TIME.lock();
    let server = Server::start();
    let proxy = Proxy::before(server.port());
    let queues: Vec<_> =
        (0..50).map(|number| builder(&proxy.url(), &format!("q{number}")).blocking_connect().unwrap()).collect();
    let consumers: Vec<_> = queues.iter().map(|queue| queue.consumer().unwrap()).collect();
    for (number, queue) in (0..).zip(&queues) {
        queue.producer().unwrap().blocking_put(number).unwrap();
        queue.seal();
    }
    assert_eq!((threads(), proxy.connections()), (1, 3));
    for (number, consumer) in (0..).zip(consumers) {
        assert_eq!(consumer.into_iter().collect::<Vec<_>>(), [number]);
    }
    let outcomes = queues.iter().map(|queue| block_on(queue.drained()).outcome);
    assert!(outcomes.into_iter().all(|outcome| outcome == Outcome::Complete));
    drop(queues);
    eventually("nothing is left", || (threads(), proxy.connections()) == (0, 0));
    // And again.
    let queue = builder(&proxy.url(), "again").blocking_connect().unwrap();
    queue.producer().unwrap().blocking_put(1).unwrap();
    assert_eq!(threads(), 1);
    drop(queue);
    all_has_ended();
}

#[test]
fn connections_that_are_given_up_are_kept_by_nobody() {
    let _alone = ONE_AT_A_TIME.lock();
    let server = Server::start();
    let proxy = Proxy::before(server.port());
    let queue = builder(&proxy.url(), "q").blocking_connect().unwrap();
    let producer = queue.producer().unwrap();
    producer.blocking_put(0).unwrap();
    for number in 1..4 {
        let before = proxy.numbers();
        // It refuses writes, and closes no connection.
        let _: () = server.ask("REPLICAOF 127.0.0.1 1");
        let _: () = server.ask("CONFIG SET replica-serve-stale-data yes");
        producer.try_put(number).unwrap();
        eventually("others are opened", || proxy.numbers().last() > before.last());
        let _: () = server.ask("REPLICAOF NO ONE");
        queue.blocking_flush();
        eventually("there are no more than before", || proxy.connections() == 3);
    }
    drop((queue, producer));
    all_has_ended();
}

/// It panics once, where it is told to.
struct Doomed(Mutex<Option<&'static str>>, Mutex<Vec<String>>);

static DOOMED: Doomed = Doomed(Mutex::new(None), Mutex::new(Vec::new()));

impl Doomed {
    fn install(&self) {
        let _ = log::set_logger(&DOOMED); // by whichever test is first
        log::set_max_level(log::LevelFilter::Warn);
    }
}

impl Log for Doomed {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let text = record.args().to_string();
        self.1.lock().unwrap().push(text.clone());
        let doom = self.0.lock().unwrap().take_if(|doom| text.contains(*doom));
        assert!(doom.is_none(), "a logger that panics");
    }

    fn flush(&self) {}
}

#[test]
fn a_panic_ends_the_queue_that_it_hits_and_no_other() {
    let _alone = ONE_AT_A_TIME.lock();
    DOOMED.install();
    let server = Server::start();
    let connect = |name| builder(&server.url(), name).blocking_connect().unwrap();
    let (doomed, other) = (connect("doomed"), connect("other"));
    let mut consumer = other.consumer().unwrap();
    *DOOMED.0.lock().unwrap() = Some("doomed");
    let generation: String = server.ask("GET {aiq3:doomed}");
    let _: u32 = server.ask(&format!("DEL {{aiq3:doomed}}:{generation}:meta"));
    assert_eq!(block_on(doomed.drained()).outcome, Outcome::Aborted);
    other.producer().unwrap().blocking_put(1).unwrap();
    assert_eq!(consumer.blocking_get(), Some(1));
    let later = connect("later");
    later.producer().unwrap().blocking_put(1).unwrap();
    drop((doomed, other, consumer, later));
    all_has_ended();
}

#[test]
fn a_panic_in_an_outage_does_not_hide_the_end_of_it() {
    let _alone = ONE_AT_A_TIME.lock();
    DOOMED.install();
    let server = Server::start();
    let proxy = Proxy::before(server.port());
    let queues = ["panics", "lives"].map(|name| builder(&proxy.url(), name).blocking_connect().unwrap());
    *DOOMED.0.lock().unwrap() = Some("does not answer");
    proxy.refuse();
    // Whichever of the two says it first.
    eventually("one has panicked", || queues.iter().any(|queue| queue.state() == State::Aborted));
    proxy.accept();
    let place = format!("127.0.0.1:{}", proxy.port());
    let over = |text: &String| text.contains(&place) && text.contains("answers again");
    eventually("it is over for the other one", || DOOMED.1.lock().unwrap().iter().any(over));
    drop(queues);
    all_has_ended();
}

/// Whoever has joined has left again, in good order: who is gone is remembered.
fn all_have_left(server: &Server, name: &str) -> u32 {
    let generation: String = server.ask(&format!("GET {{aiq3:{name}}}"));
    let key = |rest: &str| format!("{{aiq3:{name}}}:{generation}:{rest}");
    let left = |server: &Server| server.ask::<u32>(&format!("EXISTS {} {}", key("procs"), key("gone")));
    eventually("all have left", || left(server) == 0);
    assert_eq!(server.ask::<u32>(&format!("HGET {} lost_processes", key("meta"))), 0);
    server.ask(&format!("HLEN {}", key("was")))
}

#[test]
fn a_connect_that_fails_half_way_leaves_the_queue_again() {
    let _alone = ONE_AT_A_TIME.lock();
    let server = Server::start();
    let proxy = Proxy::before(server.port());
    // It keeps the queue.
    let anchor = builder(&server.url(), "q").blocking_connect().unwrap();
    let (mut connected, mut failed) = (0, 0);
    for bytes in (0..600).step_by(20) {
        // Whatever the byte belongs to.
        proxy.tear(Way::Replies, bytes);
        match builder(&proxy.url(), "q").blocking_connect() {
            Ok(queue) => {
                connected += 1;
                block_on(queue.shutdown(LONG));
            }
            Err(ConnectError::Redis(_)) => failed += 1,
            Err(error) => panic!("{error}"),
        }
        eventually("it has no connection any more", || proxy.connections() == 0);
    }
    block_on(anchor.shutdown(LONG));
    let joined = all_have_left(&server, "q") - 1;
    assert!(
        connected < joined && joined <= connected + failed,
        "{connected} connected, {failed} failed, {joined} joined"
    );
}

#[test]
fn a_connect_that_is_dropped_leaves_the_queue_again() {
    let _alone = ONE_AT_A_TIME.lock();
    let server = Server::start();
    let mut connect = Box::pin(builder(&server.url(), "q").connect());
    assert!(connect.poll_unpin(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(connect);
    // The queue is there before its first process is.
    eventually("it has joined and left", || {
        let generation: Option<String> = server.ask("GET {aiq3:q}");
        generation.is_some_and(|generation| server.ask::<u32>(&format!("HLEN {{aiq3:q}}:{generation}:was")) == 1)
    });
    assert_eq!(all_have_left(&server, "q"), 1);
}
