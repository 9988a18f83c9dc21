//! Over Redis, a process may find items of a type that it does not know: those of a later release.

use std::time::Duration;

use ::log::Level;
use actix_iterable_queue::error::TryGetError;
use actix_iterable_queue::{Backoff, Builder, IterableQueue, Payload};
use harness::eventually;
use serde::{Deserialize, Serialize};
use support::log::{keep, said};
use support::redis_server::Server;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Old {
    name: u32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct New {
    name: String,
}

impl New {
    fn secret() -> Self {
        Self { name: "secret".to_owned() }
    }
}

fn connect<T: Payload>(server: &Server, builder: Builder<T>) -> IterableQueue<T> {
    builder.redis(server.url()).blocking_connect().expect("connected")
}

fn named<T>(name: &str) -> Builder<T> {
    IterableQueue::builder().name(name).max_attempts(3)
}

fn key(server: &Server, name: &str, rest: &str) -> String {
    format!("{{aiq3:{name}}}:{}:{rest}", server.ask::<String>(&format!("GET {{aiq3:{name}}}")))
}

/// In milliseconds.
fn now(server: &Server) -> f64 {
    let (seconds, micros) = server.ask::<(f64, f64)>("TIME");
    seconds * 1e3 + micros / 1e3
}

/// Has a process of the old release look until it has given back what it cannot read; returns how long that waits.
fn give_back(server: &Server, name: &str, old: &IterableQueue<Old>) -> Duration {
    let mut consumer = old.consumer().unwrap();
    let (delayed, begin) = (key(server, name, "delayed"), now(server));
    let mut waiting = Vec::new();
    eventually("it has given back what it cannot read", || {
        assert_eq!(consumer.try_get(), Err(TryGetError::Empty));
        waiting = server.ask::<Vec<(String, f64)>>(&format!("ZRANGE {delayed} 0 -1 WITHSCORES"));
        !waiting.is_empty()
    });
    Duration::from_secs_f64((waiting[0].1 - begin) / 1e3)
}

#[test]
fn d3_what_one_process_cannot_read_goes_to_others_with_an_attempt_counted() {
    keep();
    let (server, name) = (Server::start(), "two-releases");
    let (old, new) = (connect::<Old>(&server, named(name)), connect::<New>(&server, named(name)));
    new.producer().unwrap().blocking_put(New::secret()).unwrap();
    // At once it would come here again, and again.
    assert!(give_back(&server, name, &old) >= Duration::from_secs(1));
    let item = new.consumer().unwrap().blocking_lease().unwrap();
    assert_eq!((&*item, item.attempt()), (&New::secret(), 2));
    item.ack();
    let errors = said(Level::Error, name);
    let text = "an item of 17 bytes cannot be read here, and goes back: invalid type: string, expected u32 at line 1";
    assert!(matches!(&errors[..], [error] if error.contains(text)), "{errors:?}");
}

#[test]
fn d3_what_cannot_be_read_waits_for_its_backoff() {
    let (server, name) = (Server::start(), "backoff");
    let hour = Duration::from_secs(3_600);
    let old = connect::<Old>(&server, named(name).redelivery_backoff(Backoff::exponential(hour, hour)));
    let new = connect::<New>(&server, named(name));
    new.producer().unwrap().blocking_put(New::secret()).unwrap();
    assert!(give_back(&server, name, &old) >= hour / 2);
}

#[test]
fn d3_what_nobody_could_read_is_a_dead_letter_that_a_later_release_reads() {
    keep();
    let (server, name) = (Server::start(), "one-release");
    let (old, new) = (connect::<Old>(&server, named(name)), connect::<New>(&server, named(name)));
    new.producer().unwrap().blocking_put(New::secret()).unwrap();
    let consumer = old.consumer().unwrap();
    let taking = std::thread::spawn(move || consumer.into_iter().count());
    let dead = format!("{{aiq3:{name}}}:dead:ready");
    eventually("its attempts are used up", || server.ask::<u32>(&format!("LLEN {dead}")) == 1);
    let letter = new.dead_letters().unwrap().blocking_get().unwrap();
    assert_eq!((letter.item, letter.attempts), (New::secret(), 3));
    assert_eq!(letter.reason, "cannot be read: invalid type: string, expected u32 at line 1 column 16");
    new.seal();
    assert_eq!(taking.join().unwrap(), 0);
    let errors = said(Level::Error, name);
    assert!(errors.len() == 3 && errors[2].contains("an item of 17 bytes cannot be read, and is a dead letter"));
    assert!(errors.iter().all(|error| !error.contains("secret")), "{errors:?}");
}
