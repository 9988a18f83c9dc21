//! What the queue says over Redis: a logger may look at the queue meanwhile, each line names it, and none shows items.
#![allow(clippy::unwrap_used, reason = "in helpers too")]

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use actix_iterable_queue::error::{PutError, Refusal};
use actix_iterable_queue::{IterableQueue, Payload, State};
use harness::eventually;
use log::{LevelFilter, Log, Metadata, Record};
use serde::{Deserialize, Serialize, Serializer};
use support::redis_server::Server;

type Look = Arc<dyn Fn(&str) + Send + Sync>;

/// Looks at all queues whenever something is said.
#[derive(Default)]
struct Curious {
    looks: Mutex<Vec<Look>>,
    said: Mutex<Vec<String>>,
}

static LOG: OnceLock<Curious> = OnceLock::new();

impl Log for Curious {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("actix_iterable_queue")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let text = record.args().to_string();
            let looks = self.looks.lock().expect("no panic while it is held").clone();
            looks.iter().for_each(|look| look(&text));
            self.said.lock().expect("no panic while it is held").push(text);
        }
    }

    fn flush(&self) {}
}

/// Of the queue of this name.
fn said(name: &str, what: &str) -> bool {
    let log = LOG.get_or_init(Curious::default).said.lock().expect("no panic while it is held");
    log.iter().any(|text| text.starts_with(&format!("{name} (")) && text.contains(what))
}

#[track_caller]
fn says(name: &str, what: &str) {
    eventually(&format!("{name} says: {what}"), || said(name, what));
}

fn connect<T: Payload>(server: &Server, name: &str) -> IterableQueue<T> {
    let log = LOG.get_or_init(Curious::default);
    let _ = log::set_logger(log); // by whichever test is first
    log::set_max_level(LevelFilter::Debug);
    let queue = IterableQueue::builder().name(name).max_attempts(2).redis(server.url());
    let queue = queue.lease(Duration::from_secs(3)).blocking_connect().expect("connected");
    let weak = queue.downgrade();
    look(move |_| assert_ne!(weak.snapshot().to_string(), ""));
    queue
}

fn look(look: impl Fn(&str) + Send + Sync + 'static) {
    let log = LOG.get_or_init(Curious::default);
    log.looks.lock().expect("no panic while it is held").push(Arc::new(look));
}

#[test]
fn a_refused_put_that_nobody_waits_for() {
    let (server, name) = (Server::start(), "refuses");
    let (queue, other) = (connect::<u32>(&server, name), connect::<u32>(&server, name));
    // It keeps the queue from ending.
    let known = other.producer().unwrap();
    known.blocking_put(0).unwrap();
    let meta = format!("{{aiq3:{name}}}:{}:meta", server.ask::<String>(&format!("GET {{aiq3:{name}}}")));
    let producer = loop {
        // Of which this process hears with the next report only, and of the refusal while Redis is not frozen.
        let _: u32 = server.ask(&format!("HSET {meta} sealed 1"));
        server.freeze();
        let opened = queue.producer();
        if let Ok(producer) = opened {
            break producer;
        }
        server.thaw();
        let _: u32 = server.ask(&format!("HSET {meta} sealed 0"));
        eventually("it may be opened", || queue.state() == State::Open);
    };
    producer.try_put(1).unwrap();
    server.thaw();
    says(name, "1 put accepted and then refused; dropped, as no caller waits for the answer");
}

/// Cannot be written once it is odd.
#[derive(Debug, PartialEq, Deserialize)]
struct Even(u32);

impl Serialize for Even {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(2) {
            serializer.serialize_newtype_struct("Even", &self.0)
        } else {
            Err(serde::ser::Error::custom("odd"))
        }
    }
}

#[test]
fn an_item_that_cannot_be_written() {
    let (server, name) = (Server::start(), "cannot write");
    let queue = connect::<Even>(&server, name);
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    assert_eq!(producer.blocking_put(Even(1)), Err(PutError::new(Even(1), Refusal::Unserializable)));
    says(name, "an item cannot be written as JSON: odd");
    producer.blocking_put(Even(2)).unwrap();
    for what in ["comes back as it was put: odd", "a dead letter's item cannot be written as it is now: odd"] {
        let mut item = consumer.blocking_lease().unwrap();
        item.0 = 3;
        item.requeue();
        says(name, what);
    }
}

#[test]
fn a_changed_item_that_was_sent_and_not_answered() {
    let (server, name) = (Server::start(), "large");
    let queue = connect::<String>(&server, name);
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let [other, mut item] = [(), ()].map(|()| {
        producer.blocking_put(String::new()).unwrap();
        consumer.blocking_lease().unwrap()
    });
    // A logger may even put, into this very queue.
    look(move |text| {
        if text.contains("could not be sent") {
            other.put_child(text.to_owned()).expect("it is leased");
        }
    });
    server.freeze();
    *item = "secret".repeat(1 << 18);
    item.requeue();
    says(name, "Redis does not answer");
    server.thaw();
    says(name, "Redis answers again");
    says(name, "an item of 1572866 bytes could not be sent as it is now");
    assert!(!said(name, "secret"));
}

#[test]
fn keys_that_are_gone() {
    let (server, name) = (Server::start(), "gone");
    let _queue = connect::<u32>(&server, name);
    let _: String = server.ask("FLUSHALL");
    says(name, "the queue is not in Redis at");
}

/// A key of a queue, in this generation.
fn key(server: &Server, name: &str, key: &str) -> String {
    let generation: String = server.ask(&format!("GET {{aiq3:{name}}}"));
    format!("{{aiq3:{name}}}:{generation}:{key}")
}

#[test]
fn queues_that_have_the_same_trouble_each_for_itself_say_so_each() {
    let (server, names) = (Server::start(), ["odd-1", "odd-2"]);
    let _queues = names.map(|name| connect::<u32>(&server, name));
    for name in names {
        let _: () = server.ask(&format!("SET {} odd", key(&server, name, "delayed")));
    }
    for name in names {
        says(name, "WRONGTYPE");
    }
    for name in names {
        let _: u32 = server.ask(&format!("DEL {}", key(&server, name, "delayed")));
        says(name, "waited for the queue");
        assert!(!said(name, "answers again"), "it has answered all the time");
    }
}

#[test]
fn a_queue_that_comes_back_disturbs_no_other_one() {
    let (server, name, other) = (Server::start(), "comes-back", "stays");
    let (_queue, stays) = (connect::<u32>(&server, name), connect::<u32>(&server, other));
    let meta = key(&server, name, "meta");
    let _: () = server.ask(&format!("RENAME {meta} aside"));
    says(name, "the queue is not in Redis at");
    let _: () = server.ask(&format!("RENAME aside {meta}"));
    says(name, "waited for the queue");
    stays.producer().unwrap().blocking_put(1).unwrap();
    for name in [name, other] {
        assert!(!said(name, "does not answer"));
    }
}

/// It is asked for again less and less often, and the log is told once.
#[test]
fn messages_that_redis_does_not_allow() {
    let (server, name) = (Server::start(), "deaf");
    let _: () = server.ask("ACL SETUSER default resetchannels");
    let queue = connect::<u32>(&server, name);
    let lines = || {
        let log = LOG.get_or_init(Curious::default).said.lock().expect("no panic while it is held");
        log.iter()
            .filter(|text| text.starts_with("deaf:") && text.contains("does not let"))
            .cloned()
            .collect::<Vec<_>>()
    };
    let refused = || {
        let info: String = server.ask("INFO errorstats");
        let count =
            info.split("errorstat_NOPERM:count=").nth(1).and_then(|rest| rest.split(['\r', '\n']).next()?.parse().ok());
        count.unwrap_or(0_u32)
    };
    eventually("it has asked again", || refused() > 1);
    assert!(matches!(&lines()[..], [line] if line.contains("NOPERM")), "{:?}", lines());
    let mut consumer = queue.consumer().unwrap();
    queue.producer().unwrap().blocking_put(1).unwrap();
    assert_eq!(consumer.blocking_get(), Some(1));
}
