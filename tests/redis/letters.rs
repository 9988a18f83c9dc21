//! Dead letters over Redis: a queue of their own, that outlives the queue they are of.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, thread};

use actix_iterable_queue::error::TryGetError;
use actix_iterable_queue::{Builder, Consumer, DeadLetter, IterableQueue, Payload};
use harness::eventually;
use support::redis_server::Server;
use support::within_watchdog;

const LEASE: Duration = Duration::from_millis(600);

fn connect<T: Payload>(server: &Server, builder: Builder<T>) -> IterableQueue<T> {
    let builder = builder.redis(server.url()).lease(LEASE);
    builder.blocking_connect().expect("connected")
}

fn named<T>(name: &str) -> Builder<T> {
    IterableQueue::builder().name(name).max_attempts(1)
}

/// A key of the dead letters.
fn key(name: &str, rest: &str) -> String {
    format!("{{aiq3:{name}}}:dead:{rest}")
}

/// Puts these, and rejects each.
fn reject(queue: &IterableQueue<u32>, items: std::ops::Range<u32>) {
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    for item in items {
        producer.blocking_put(item).unwrap();
        consumer.blocking_lease().unwrap().reject("bad");
    }
    futures::executor::block_on(queue.flush());
}

fn unread(server: &Server, name: &str) -> usize {
    server.ask(&format!("LLEN {}", key(name, "ready")))
}

fn items(letters: Consumer<DeadLetter<u32>>) -> Vec<u32> {
    letters.into_iter().map(|letter| letter.item).collect()
}

/// What one queue leaves unread, a reader of the next one gets; and one of the next but one what comes then.
#[test]
fn d3_letters_outlive_their_queue_and_its_readers() {
    within_watchdog(|| {
        let server = Server::start();
        for seals_itself in [false, true] {
            let name = if seals_itself { "outlive-unowned" } else { "outlive" };
            for round in 0..3 {
                let builder = named(name).redis(server.url()).lease(LEASE);
                let builder = if seals_itself { builder.seal_when_unowned() } else { builder };
                let queue = builder.blocking_connect().unwrap();
                reject(&queue, round * 10..(round + 1) * 10);
                let letters = (round > 0).then(|| queue.dead_letters().unwrap());
                queue.seal();
                if let Some(letters) = letters {
                    assert_eq!(
                        items(letters),
                        if round == 1 { (0..20).collect::<Vec<_>>() } else { (20..30).collect() }
                    );
                }
                queue.blocking_drained();
            }
            eventually("they have left", || server.ask::<u32>(&format!("EXISTS {}", key(name, "procs"))) == 0);
            assert_eq!(unread(&server, name), 0);
        }
    });
}

/// Its reader ends with it. Those of others go on.
#[test]
fn d3_a_process_that_leaves_ends_no_letters_of_others() {
    within_watchdog(|| {
        let (server, name) = (Server::start(), "leaves");
        let (stays, leaves) = (connect(&server, named(name)), connect::<u32>(&server, named(name)));
        let (mut letters, brief) = (stays.dead_letters().unwrap(), leaves.dead_letters().unwrap());
        reject(&stays, 0..1);
        let held = letters.blocking_lease().unwrap();
        futures::executor::block_on(leaves.shutdown(Duration::ZERO));
        assert_eq!(items(brief), [0; 0]);
        reject(&stays, 1..2);
        assert_eq!(letters.blocking_get().unwrap().item, 1);
        held.requeue();
        assert_eq!(letters.blocking_get().unwrap().item, 0);
    });
}

/// A reader that is lost has failed, as others have. But there are no dead letters of dead letters.
#[test]
fn d3_a_letter_is_never_given_up_however_many_readers_are_lost() {
    within_watchdog(|| {
        let (server, name) = (Server::start(), "lost-readers");
        let processes = || server.ask::<BTreeSet<String>>(&format!("ZRANGE {} 0 -1", key(name, "procs")));
        let (queue, other) = (connect(&server, named(name)), connect::<u32>(&server, named(name)));
        reject(&queue, 7..8);
        drop(other.dead_letters().unwrap());
        eventually("the other has joined", || processes().len() == 1);
        let (others, mut letters) = (processes(), queue.dead_letters().unwrap());
        for attempt in 1..=3 {
            let letter = letters.blocking_lease().unwrap();
            assert_eq!((letter.item, letter.attempts), (7, 1));
            // The first time, Redis may not have heard that it was handed out.
            assert!(letter.attempt() == attempt || letter.attempt() == attempt - 1);
            let reader = processes().difference(&others).next().unwrap().clone();
            eventually("it was found lost, and has come back", || {
                // Again, as it may have renewed before the other one looked.
                let _: u32 = server.ask(&format!("ZADD {} XX 1 {reader}", key(name, "procs")));
                processes().len() == 2 && !processes().contains(&reader)
            });
            drop(letter);
        }
        assert_eq!(letters.blocking_get().unwrap().item, 7);
    });
}

/// Named for a process of its own, which holds some letters until it is killed.
const READER: &str = "READER_OF";

/// Does nothing, unless it is run as a process of its own.
#[test]
fn a_reader_that_is_killed() {
    let Ok(url) = env::var(READER) else { return };
    let queue = named::<u32>("killed").redis(url).lease(LEASE).blocking_connect().unwrap();
    let mut letters = queue.dead_letters().unwrap();
    let held: Vec<_> = (0..20).map(|_| letters.blocking_lease().unwrap()).collect();
    letters.blocking_get().unwrap();
    println!("\nholds {}", held.len());
    thread::park();
}

#[test]
fn d3_letters_of_a_reader_that_is_killed_come_back() {
    within_watchdog(|| {
        let (server, name) = (Server::start(), "killed");
        let queue = connect(&server, named(name));
        reject(&queue, 0..50);
        let mut reader = Command::new(env::current_exe().unwrap());
        reader.args(["letters::a_reader_that_is_killed", "--exact", "--nocapture"]).env(READER, server.url());
        let mut reader = reader.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(reader.stdout.take().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line == "holds 20"), "it has died");
        reader.kill().unwrap();
        reader.wait().unwrap();
        let mut letters = queue.dead_letters().unwrap();
        let mut read = BTreeSet::new();
        // The one that it had taken may not be known.
        while (0..20).chain(21..50).any(|item| !read.contains(&item)) {
            assert!(read.insert(letters.blocking_get().unwrap().item), "twice");
        }
        queue.seal();
        let rest = items(letters);
        assert!(rest.is_empty() || rest == [20], "{rest:?}");
    });
}

/// They stay where they are, for those who can.
#[test]
fn d3_letters_that_one_reader_cannot_read_are_for_another() {
    within_watchdog(|| {
        let (server, name) = (Server::start(), "of-another-type");
        let queue = connect(&server, named(name));
        reject(&queue, 0..3);
        let other = connect::<String>(&server, named(name));
        let mut letters = other.dead_letters().unwrap();
        eventually("it has given them back", || {
            assert_eq!(letters.try_get().unwrap_err(), TryGetError::Empty);
            server.ask::<u32>(&format!("ZCARD {}", key(name, "delayed"))) == 3
        });
        let mut letters = queue.dead_letters().unwrap();
        let read: BTreeSet<_> = (0..3).map(|_| letters.blocking_get().unwrap().item).collect();
        assert_eq!(read, (0..3).collect());
    });
}

#[test]
fn d3_a_reader_has_a_bounded_number_of_letters_and_the_rest_waits() {
    within_watchdog(|| {
        let (server, name, letters) = (Server::start(), "many", 5_000);
        let queue = connect(&server, named(name));
        let producer = queue.producer().unwrap();
        futures::executor::block_on(producer.put_all(0..letters)).unwrap();
        let mut bad = queue.consumer().unwrap().into_blocking_leases();
        (0..letters).for_each(|_| bad.next().unwrap().reject("bad"));
        futures::executor::block_on(queue.flush());
        let mut reader = queue.dead_letters().unwrap();
        let mut most = 0;
        for item in 0..letters {
            let letter = reader.blocking_lease().unwrap();
            assert_eq!(letter.item, item);
            letter.ack();
            if item % 100 == 0 {
                most = most.max(server.ask(&format!("HLEN {}", key(name, "inf"))));
            }
        }
        assert!(most < 3_000, "{most}");
    });
}

/// It begins anew with those that come.
#[test]
fn d3_a_reader_outlasts_an_emptied_redis() {
    within_watchdog(|| {
        let (server, name) = (Server::start(), "emptied");
        let queue = connect(&server, named(name));
        let mut letters = queue.dead_letters().unwrap();
        reject(&queue, 0..2);
        let held = letters.blocking_lease().unwrap();
        let () = server.ask("FLUSHALL");
        reject(&connect(&server, named(name)), 2..4);
        assert_eq!(letters.blocking_get().unwrap().item, 2);
        drop(held);
        assert_eq!(letters.blocking_get().unwrap().item, 3);
    });
}

/// Nobody is left here who knows the queue, and nobody hears that this process leaves it.
#[test]
fn d3_letters_end_also_if_their_queue_was_left_in_an_outage() {
    within_watchdog(|| {
        let mut server = Server::with(&["--appendonly yes"]);
        let queue = connect(&server, named("outage"));
        reject(&queue, 0..2);
        let mut letters = queue.dead_letters().unwrap();
        assert_eq!(letters.blocking_get().unwrap().item, 0);
        server.kill9();
        drop(queue);
        // It waits for as long as that.
        thread::sleep(3 * LEASE);
        server.restart();
        let rest = items(letters);
        assert!(rest == [1] || rest == [0, 1], "{rest:?}");
    });
}

/// A reader that is opened after the end gets what is there, and ends.
#[test]
fn c3_letters_can_be_read_after_the_end() {
    within_watchdog(|| {
        let server = Server::start();
        let queue = connect(&server, named("after-the-end"));
        reject(&queue, 0..3);
        queue.seal();
        queue.blocking_drained();
        assert_eq!(items(queue.dead_letters().unwrap()), [0, 1, 2]);
        assert_eq!(items(queue.dead_letters().unwrap()), [0; 0]);
    });
}
