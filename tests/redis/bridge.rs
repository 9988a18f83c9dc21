//! The way between this process and Redis, at its edges: ends, refusals, foreign code.

use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use actix_iterable_queue::error::{ConnectError, PutError, Refusal, TryPutError};
use actix_iterable_queue::{Backoff, IterableQueue, Outcome, Payload, RedisBuilder, State};
use futures::FutureExt;
use futures::executor::block_on;
use harness::signal;
use redis::FromRedisValue;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tempfile::TempDir;

/// Waits for something. The time is only for hangs: no verdict rests on it.
#[track_caller]
fn eventually(what: &str, mut reached: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !reached() {
        assert!(begin.elapsed() < Duration::from_secs(60), "waited 60 s until {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

struct Server {
    port: u16,
    process: Child,
    _folder: TempDir,
}

impl Server {
    fn start() -> Self {
        loop {
            let folder = tempfile::tempdir().expect("a folder");
            let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
            let (port_arg, dir) = (port.to_string(), folder.path().to_str().expect("a path in UTF-8"));
            let process =
                harness::redis_server(["--port", &port_arg, "--bind", "127.0.0.1", "--save", "", "--dir", dir]);
            let mut server = Self { port, process, _folder: folder };
            // Another process may take the port first: then it ends, and it is not this one that answers.
            eventually("Redis is up, or has no port", || server.is_up() || server.has_ended());
            if !server.has_ended() {
                return server;
            }
        }
    }

    fn is_up(&self) -> bool {
        let process = format!("process_id:{}", self.process.id());
        self.try_ask::<String>(&["INFO", "server"]).is_ok_and(|info| info.lines().any(|line| line == process))
    }

    fn has_ended(&mut self) -> bool {
        self.process.try_wait().expect("a child").is_some()
    }

    fn try_ask<V: FromRedisValue>(&self, words: &[&str]) -> redis::RedisResult<V> {
        let mut connection = redis::Client::open(self.url())?.get_connection()?;
        redis::cmd(words[0]).arg(&words[1..]).query(&mut connection)
    }

    fn ask<V: FromRedisValue>(&self, words: &[&str]) -> V {
        self.try_ask(words).expect("an answer")
    }

    /// A key of the queue `q`.
    fn key(&self, rest: &str) -> String {
        format!("{{aiq3:q}}:{}:{rest}", self.ask::<String>(&["GET", "{aiq3:q}"]))
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// To a queue that seals itself, as in memory.
    fn connect<T: Payload>(&self) -> IterableQueue<T> {
        self.builder().seal_when_unowned().blocking_connect().expect("connected")
    }

    fn builder<T: Payload>(&self) -> RedisBuilder<T> {
        let queue = IterableQueue::builder().name("q").capacity(10).max_attempts(3);
        queue.redis(self.url()).lease(Duration::from_secs(60))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// With nothing said of memory, of which its user could not ask.
#[test]
fn the_rights_that_the_documentation_names_are_enough() {
    let server = Server::start();
    let page = include_str!("../../docs/guide/src/redis.md");
    let (_, rights) = page.split_once("ACL SETUSER jobs").expect("the rights");
    let (rights, _) = rights.split_once("```").expect("their end");
    let user: Vec<&str> = rights.split_whitespace().map(|word| if word == ">PASSWORD" { ">p" } else { word }).collect();
    for rights in [vec![], vec!["-info"]] {
        let _: () = server.ask(&[&["ACL", "SETUSER", "jobs"], &user[..], &rights[..]].concat());
        let url = server.url().replace("redis://", "redis://jobs:p@");
        let soon = Duration::from_millis(1);
        let queue = IterableQueue::builder().name("q").capacity(3).max_attempts(3);
        let queue = queue.redelivery_backoff(Backoff::exponential(soon, soon)).redis(url);
        let queue = queue.item_deadline(Duration::from_secs(60)).blocking_connect().expect("connected");
        let mut letters = queue.dead_letters().unwrap();
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.blocking_put(1).unwrap();
        consumer.blocking_lease().unwrap().requeue();
        let item = consumer.blocking_lease().unwrap();
        item.put_child(2).unwrap();
        item.reject("no");
        assert_eq!((letters.blocking_get().unwrap().item, consumer.blocking_get()), (1, Some(2)));
        queue.seal();
        drop(producer);
        assert_eq!(consumer.blocking_get(), None);
        assert_eq!(block_on(queue.drained()).outcome, Outcome::Complete);
    }
}

#[test]
fn c3_a_seal_is_told_also_if_all_handles_are_dropped_at_once() {
    let server = Server::start();
    let (here, there) = (server.connect::<u32>(), server.connect::<u32>());
    here.seal();
    drop(here);
    eventually("the seal has come", || there.snapshot().state == State::Drained);
}

/// Everything was stopped in good order, and is started again.
#[test]
fn c3_a_queue_that_everybody_has_left_is_open_for_those_who_come() {
    let server = Server::start();
    for round in 0..2 {
        let [feeder, worker] = [(), ()].map(|()| server.builder::<u32>().blocking_connect().unwrap());
        let consumer = worker.consumer().unwrap();
        let producer = feeder.producer().unwrap();
        producer.blocking_put(round).unwrap();
        drop(producer);
        // By a shutdown, or by dropping all.
        if round == 0 {
            for queue in [feeder, worker] {
                assert_eq!(block_on(queue.shutdown(Duration::from_secs(60))).drained.outcome, Outcome::Left);
            }
        } else {
            drop((feeder, worker, consumer));
        }
        eventually("all have left", || server.ask::<u32>(&["EXISTS", &server.key("procs")]) == 0);
    }
    let queue = server.builder::<u32>().blocking_connect().unwrap();
    assert_eq!(queue.snapshot().state, State::Open);
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.blocking_put(2).unwrap();
    queue.seal();
    drop(producer);
    let mut items: Vec<_> = consumer.into_iter().collect();
    items.sort_unstable();
    assert_eq!(items, [0, 1, 2]);
    assert_eq!(block_on(queue.drained()).outcome, Outcome::Complete);
}

#[test]
fn c3_a_pair_that_was_split_ends_with_its_queue_where_that_seals_itself() {
    let server = Server::start();
    let (producer, consumer) = server.connect::<u32>().split().unwrap();
    producer.blocking_put(7).unwrap();
    drop(producer);
    assert_eq!(consumer.into_iter().collect::<Vec<_>>(), [7]);

    // Elsewhere somebody has to seal it.
    let (producer, mut consumer) = server.builder::<u32>().blocking_connect().unwrap().split().unwrap();
    producer.blocking_put(8).unwrap();
    drop(producer);
    assert_eq!(consumer.blocking_get(), Some(8));
    let opener = "the handle and the producer are told to be gone";
    eventually(opener, || server.ask::<(u32, u32)>(&["HMGET", &server.key("meta"), "openers", "producers"]) == (0, 0));
    assert_eq!(server.ask::<(u32, String)>(&["HMGET", &server.key("meta"), "sealed", "ended"]), (0, String::new()));
    server.builder::<u32>().blocking_connect().unwrap().seal();
    assert_eq!(consumer.blocking_get(), None);
}

#[test]
fn c3_all_agree_on_whether_a_queue_seals_itself_until_all_have_left_it_empty() {
    let server = Server::start();
    let queue = server.builder::<u32>().blocking_connect().unwrap();
    let other = || server.builder::<u32>().seal_when_unowned().blocking_connect();
    let refused = other().unwrap_err();
    assert!(matches!(&refused, ConnectError::Mismatch { setting, .. } if setting == "seal_when_unowned"), "{refused}");
    block_on(queue.shutdown(Duration::from_secs(60)));
    let other = other().unwrap();
    assert_eq!(other.snapshot().state, State::Open);
}

/// Redis takes the puts of a process of which it knew a producer before the seal.
#[test]
fn c3_a_producer_that_comes_too_late_costs_no_other_one_its_puts() {
    let server = Server::start();
    let queue = server.connect::<u32>();
    let first = queue.producer().unwrap();
    first.blocking_put(1).unwrap();
    let meta = server.key("meta");
    let second = loop {
        // Of which this process hears with the next report only.
        let _: u32 = server.ask(&["HSET", &meta, "sealed", "1"]);
        match queue.producer() {
            Ok(second) => break second,
            Err(_) => {
                let _: u32 = server.ask(&["HSET", &meta, "sealed", "0"]);
                eventually("it may be opened", || queue.snapshot().state == State::Open);
            }
        }
    };
    assert_eq!(second.blocking_put(2), Ok(()));
    assert_eq!(first.blocking_put(3), Ok(()));
    drop(first);
    assert_eq!(second.blocking_put(4), Ok(()), "it holds the place of the first one");
    let consumer = queue.consumer().unwrap();
    drop((second, queue));
    assert_eq!(consumer.into_iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[test]
fn d12_a_permit_of_a_refused_producer_hands_its_item_back() {
    let server = Server::start();
    let (queue, other) = (server.connect::<u32>(), server.connect::<u32>());
    // It keeps the queue from ending.
    let known = other.producer().unwrap();
    known.blocking_put(0).unwrap();
    let _: u32 = server.ask(&["HSET", &server.key("meta"), "sealed", "1"]);
    // While Redis sleeps, this process cannot hear of the refusal; of the seal it may just have heard.
    signal(server.process.id(), "STOP");
    let Ok(producer) = queue.producer() else { return };
    let permit = block_on(producer.reserve()).unwrap();
    signal(server.process.id(), "CONT");
    assert_eq!(producer.blocking_put(1), Err(PutError::new(1, Refusal::Sealed)));
    assert_eq!(permit.put(2), Err(PutError::new(2, Refusal::Sealed)));
    assert_eq!(producer.try_put(3), Err(TryPutError::Refused(PutError::new(3, Refusal::Sealed))));
    assert_eq!(block_on(producer.closed()), Refusal::Sealed);
}

#[test]
fn d8_abort_returns_what_put_all_had_on_the_way_and_put_all_the_last() {
    let server = Server::start();
    let queue = server.connect::<u32>();
    let producer = queue.producer().unwrap();
    producer.blocking_put(0).unwrap();
    signal(server.process.id(), "STOP");
    let mut all = Box::pin(producer.put_all(1..=3));
    assert!(all.as_mut().poll_unpin(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(queue.abort(), [1, 2]);
    assert_eq!(block_on(all), Err(PutError::new(3, Refusal::Aborted)));
    signal(server.process.id(), "CONT");
}

/// More than the window takes, so that it waits for room again and again with others on their way.
#[test]
fn d1_what_put_all_had_to_wait_for_arrives() {
    let server = Server::start();
    let queue = server.connect::<u32>();
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let putting = thread::spawn(move || [block_on(producer.put_all(0..100)), producer.blocking_put_all(100..200)]);
    drop(queue);
    assert_eq!(consumer.into_iter().collect::<Vec<_>>(), (0..200).collect::<Vec<_>>());
    assert_eq!(putting.join().unwrap(), [Ok(100), Ok(100)]);
}

#[test]
fn d4_put_all_is_done_on_a_thread_too_once_redis_has_all() {
    let server = Server::start();
    let queue = IterableQueue::builder().name("q").redis(server.url()).blocking_connect().expect("connected");
    let producer = queue.producer().unwrap();
    for more in 1..=20 {
        assert_eq!(producer.blocking_put_all(0..5), Ok(5));
        assert_eq!(server.ask::<u32>(&["LLEN", &server.key("ready")]), 5 * more);
    }
}

/// It knows less of this process than that was told.
#[test]
fn c5_an_older_copy_of_redis_ends_nothing() {
    let server = Server::start();
    let queue = server.connect::<u32>();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.blocking_put(1).unwrap();
    assert_eq!(consumer.blocking_get(), Some(1));
    eventually("all is told", || server.ask::<u32>(&["EXISTS", &server.key("inf")]) == 0);
    let processes: Vec<String> = server.ask(&["ZRANGE", &server.key("procs"), "0", "-1"]);
    let [seq, batch] = ["seq", "batch"].map(|field| format!("{}.{field}", processes[0]));
    let _: u32 = server.ask(&["HSET", &server.key("proc"), &seq, "0", &batch, "0"]);
    assert_eq!(producer.blocking_put(2), Ok(()));
    assert_eq!(consumer.blocking_get(), Some(2));
    let drained = queue.drained();
    drop((producer, queue));
    assert_eq!(consumer.blocking_get(), None);
    assert_eq!(block_on(drained).outcome, Outcome::Complete);
}

/// Looks at the queue when it is woken.
struct Curious {
    queue: IterableQueue<u32>,
    woken: AtomicBool,
}

impl Wake for Curious {
    fn wake(self: Arc<Self>) {
        let _ = self.queue.snapshot();
        self.woken.store(true, SeqCst);
    }
}

#[test]
fn whoever_is_told_that_the_keys_are_gone_may_look_at_the_queue() {
    let server = Server::start();
    let queue = server.builder::<u32>().abort_if_gone_for(Duration::ZERO).blocking_connect().unwrap();
    let curious = Arc::new(Curious { queue: queue.clone(), woken: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&curious));
    let mut drained = Box::pin(queue.drained());
    assert!(drained.as_mut().poll_unpin(&mut Context::from_waker(&waker)).is_pending());
    let _: String = server.ask(&["FLUSHALL"]);
    eventually("it was woken", || curious.woken.load(SeqCst));
    assert_eq!(block_on(drained).outcome, Outcome::Aborted);
}

/// Panics wherever it may.
#[derive(Debug, Serialize, Deserialize)]
struct Brittle(u32);

impl Drop for Brittle {
    fn drop(&mut self) {
        assert!(thread::current().name() != Some("queue-redis"), "dropped on the way to Redis");
    }
}

#[test]
fn drops_that_panic_do_not_stop_the_way_to_redis() {
    let server = Server::start();
    let queue = server.connect::<Brittle>();
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    assert_eq!(block_on(producer.put_all((1..=4).map(Brittle))).unwrap(), 4);
    drop((producer, queue));
    assert_eq!(consumer.into_iter().map(|item| item.0).sum::<u32>(), 10);
}

/// Cannot be written if it is odd, and panics if it is more than 100.
#[derive(Debug, PartialEq, Deserialize)]
struct Even(u32);

impl Serialize for Even {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(self.0 <= 100, "too much");
        if self.0.is_multiple_of(2) {
            serializer.serialize_newtype_struct("Even", &self.0)
        } else {
            Err(serde::ser::Error::custom("odd"))
        }
    }
}

#[test]
fn d3_a_dead_letter_that_cannot_be_written_has_the_item_as_it_was_put() {
    let server = Server::start();
    let queue = server.connect::<Even>();
    let mut letters = queue.dead_letters().unwrap();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    for changed in [3, 102] {
        producer.blocking_put(Even(2)).unwrap();
        let mut item = consumer.blocking_lease().unwrap();
        item.0 = changed;
        item.reject("changed");
        assert_eq!(letters.blocking_get().unwrap().item, Even(2));
    }
}

/// As in memory.
#[test]
fn d3_an_item_that_was_changed_comes_back_as_it_is_now() {
    let server = Server::start();
    let queue = server.connect::<Even>();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.blocking_put(Even(2)).unwrap();
    let mut item = consumer.blocking_lease().unwrap();
    item.0 = 4;
    item.requeue();
    let mut item = consumer.blocking_lease().unwrap();
    assert_eq!((item.0, item.attempt()), (4, 2));
    item.0 = 6;
    drop(item);
    let item = consumer.blocking_lease().unwrap();
    assert_eq!((item.0, item.attempt()), (6, 3));
    item.ack();
    // Where it cannot be written as it is now, as it was.
    for changed in [3, 102] {
        producer.blocking_put(Even(2)).unwrap();
        let mut item = consumer.blocking_lease().unwrap();
        item.0 = changed;
        item.requeue();
        let item = consumer.blocking_lease().unwrap();
        assert_eq!((item.0, item.attempt()), (2, 2));
        item.ack();
    }
}

#[test]
fn d3_an_item_that_was_changed_and_waits_for_its_backoff_comes_back_as_it_is_now() {
    let server = Server::start();
    let soon = Duration::from_millis(1);
    let queue = IterableQueue::builder().name("q").redelivery_backoff(Backoff::exponential(soon, soon));
    let queue = queue.redis(server.url()).blocking_connect().expect("connected");
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.blocking_put(Even(2)).unwrap();
    let mut item = consumer.blocking_lease().unwrap();
    item.0 = 4;
    item.requeue();
    let item = consumer.blocking_lease().unwrap();
    assert_eq!((item.0, item.attempt()), (4, 2));
    item.ack();
}

#[test]
fn d12_what_could_not_be_read_back_is_refused_and_all_else_is_as_it_was() {
    let server = Server::start();
    let queue = server.connect::<Option<f64>>();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let is_nan = |refused: &PutError<Option<f64>>| {
        refused.reason() == Refusal::Unserializable && refused.get_ref().is_some_and(f64::is_nan)
    };
    assert!(producer.blocking_put(Some(f64::NAN)).is_err_and(|refused| is_nan(&refused)));
    assert!(block_on(producer.reserve()).unwrap().put(Some(f64::NAN)).is_err_and(|refused| is_nan(&refused)));
    for put in [Some(0.1 + 0.2), None, Some(f64::from_bits(0x3fd5_5555_5555_5557))] {
        producer.blocking_put(put).unwrap();
        let item = consumer.blocking_lease().unwrap();
        assert!(item.put_child(Some(f64::INFINITY)).is_err());
        assert_eq!(*item, put);
        item.ack();
    }
    // A dead letter can be read, whatever became of its item.
    let mut letters = queue.dead_letters().unwrap();
    producer.blocking_put(Some(1.5)).unwrap();
    let mut item = consumer.blocking_lease().unwrap();
    *item = Some(f64::NAN);
    item.reject("changed");
    assert_eq!(letters.blocking_get().unwrap().item, Some(1.5));
}

#[test]
fn d5_a_permit_gives_its_room_back_if_writing_the_item_panics() {
    let server = Server::start();
    let queue = server.connect::<Even>();
    let producer = queue.producer().unwrap();
    for _ in 0..10 {
        let permit = block_on(producer.reserve()).unwrap();
        assert!(catch_unwind(AssertUnwindSafe(|| permit.put(Even(102)))).is_err());
    }
    assert!(producer.reserve().now_or_never().is_some_and(|permit| permit.is_ok()));
}

/// Reading it takes until somebody lets it go on.
#[derive(Debug, Serialize)]
struct Slow(u32);

type Gate = (mpsc::Sender<()>, mpsc::Receiver<()>);
static GATE: Mutex<Option<Gate>> = Mutex::new(None);

impl<'de> Deserialize<'de> for Slow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (begun, go_on) = GATE.lock().expect("no panic").take().expect("read once");
        begun.send(()).expect("the test goes on");
        go_on.recv().expect("the test goes on");
        u32::deserialize(deserializer).map(Self)
    }
}

#[test]
fn d2_a_shutdown_waits_for_what_is_just_being_taken() {
    let server = Server::start();
    let queue = server.connect::<Slow>();
    // Without it the last settle might end the queue before its process has left.
    let _another_process = server.connect::<Slow>();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.blocking_put(Slow(7)).unwrap();
    let ((begun, has_begun), (goes_on, go_on)) = (mpsc::channel(), mpsc::channel());
    *GATE.lock().unwrap() = Some((begun, go_on));
    let getter = thread::spawn(move || consumer.blocking_get().map(|item| item.0));
    has_begun.recv().unwrap();
    let shutdown = thread::spawn(move || block_on(queue.shutdown(Duration::from_secs(60))));
    eventually("the shutdown is known", || server.ask::<u32>(&["HGET", &server.key("meta"), "producers"]) == 0);
    assert_eq!(server.ask::<u32>(&["ZCARD", &server.key("procs")]), 2, "it holds an item");
    goes_on.send(()).unwrap();
    assert_eq!(getter.join().unwrap(), Some(7));
    assert_eq!(shutdown.join().unwrap().drained.outcome, Outcome::Left);
    assert_eq!(server.ask::<(u32, u32)>(&["HMGET", &server.key("meta"), "taken", "redelivered"]), (1, 0));
}

#[test]
fn c6_the_totals_of_one_that_leaves_are_exact() {
    let server = Server::start();
    for n in 1..=5 {
        let queue = server.builder::<u32>().blocking_connect().unwrap();
        let producer = queue.producer().unwrap();
        producer.blocking_put(n).unwrap();
        drop(producer);
        let report = block_on(queue.shutdown(Duration::from_secs(60)));
        assert_eq!((report.drained.outcome, report.drained.totals.accepted), (Outcome::Left, u64::from(n)));
    }
}

/// A consumer that frees one place at a time: each item is sent once or twice, and not with all that wait behind it.
#[test]
fn d5_no_more_is_sent_to_a_full_queue_than_it_has_room_for() {
    let server = Server::start();
    let queue = server.connect::<String>();
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let items = || (0..300).map(|_| "x".repeat(1_000));
    let feeder = thread::spawn(move || futures::executor::block_on(producer.put_all(items())));
    queue.seal();
    drop(queue);
    let mut done = 0;
    for item in consumer.into_blocking_leases() {
        item.ack();
        done += 1;
    }
    assert_eq!((feeder.join().unwrap().unwrap(), done), (300, 300));
    let stats: String = server.ask(&["INFO", "stats"]);
    let received: usize = stats
        .lines()
        .find_map(|line| line.trim().strip_prefix("total_net_input_bytes:"))
        .and_then(|bytes| bytes.parse().ok())
        .unwrap();
    // With the scripts and all that is asked beside the puts.
    assert!(received < 300 * (2 * 1_000 + 2_000) + 100_000, "{received} bytes for 300,000");
}

#[test]
fn c6_a_snapshot_tells_how_long_the_oldest_item_waits() {
    let server = Server::start();
    let queue = server.connect::<u32>();
    let producer = queue.producer().unwrap();
    producer.blocking_put(1).unwrap();
    eventually("it waits", || queue.snapshot().oldest.is_some());
    let first = queue.snapshot().oldest.unwrap();
    producer.blocking_put(2).unwrap();
    eventually("it waits longer", || queue.snapshot().oldest > Some(first));
    assert!(queue.snapshot().to_string().contains(" buffered of 10 (the oldest put "), "{queue:?}");
    assert_eq!(queue.consumer().unwrap().blocking_get(), Some(1));
    queue.consumer().unwrap().blocking_get();
    eventually("none waits", || queue.snapshot().oldest.is_none());
}
