//! Dead letters over Redis that no reader has: listed, retried and discarded, by any process (C6, D3, D10).

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::Poll;
use std::time::{Duration, SystemTime};
use std::{env, thread};

use actix_iterable_queue::error::{PutError, Refusal};
use actix_iterable_queue::report::Totals;
use actix_iterable_queue::{Builder, IterableQueue, Outcome, Snapshot, testing};
use fastrand::Rng;
use fleet::proxy::{Proxy, Way};
use futures::executor::block_on;
use harness::eventually;
use support::redis_server::Server;
use support::{Task, panic_of, settled, within_watchdog};

/// No process is to look lost.
const LEASE: Duration = Duration::from_secs(30);

fn connect(url: String, builder: Builder<u32>) -> IterableQueue<u32> {
    builder.redis(url).lease(LEASE).blocking_connect().expect("connected")
}

fn named(name: &str) -> Builder<u32> {
    IterableQueue::builder().name(name).max_attempts(1)
}

/// Puts these, and gives each up.
fn bury(queue: &IterableQueue<u32>, items: Range<u32>) {
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer_named("worker").unwrap());
    block_on(producer.put_all(items.clone())).unwrap();
    for _ in items {
        consumer.blocking_lease().unwrap().fail("no luck");
    }
    queue.blocking_flush();
}

fn ids(queue: &IterableQueue<u32>) -> Vec<u64> {
    queue.blocking_list_dead_letters().unwrap().iter().map(|letter| letter.id).collect()
}

/// Takes these, in any order, and nothing else.
fn take(queue: &IterableQueue<u32>, items: Range<u32>) {
    let mut consumer = queue.consumer().unwrap();
    let taken: Vec<u32> = items.clone().map(|_| consumer.blocking_get().unwrap()).collect();
    assert!(taken.iter().copied().collect::<BTreeSet<_>>().into_iter().eq(items), "{taken:?}");
    queue.blocking_flush();
}

/// C6, and these: once Redis has said so, as a snapshot may be a second old.
fn totals(queue: &IterableQueue<u32>, expected: impl Fn(&Totals) -> bool) {
    let mut snapshot = queue.snapshot();
    eventually("the totals are told", || {
        snapshot = queue.snapshot();
        let Snapshot { totals, buffered, leased, .. } = &snapshot;
        expected(totals) && totals.accepted == settled(totals) + *buffered as u64 + leased
    });
    testing::assert_conserved(&snapshot);
}

#[test]
fn d3_any_process_lists_retries_and_discards_the_letters_of_all() {
    within_watchdog(|| {
        let server = Server::start();
        let queue = connect(server.url(), named("all").describe_items());
        let other = connect(server.url(), named("all"));
        let before = SystemTime::now();
        bury(&queue, 0..3);
        bury(&other, 3..6);
        let list = queue.blocking_list_dead_letters().unwrap();
        let mut same = block_on(other.list_dead_letters()).unwrap();
        // It shows what others have described, and nothing else.
        for (n, letter) in same.iter_mut().enumerate() {
            assert_eq!(letter.text.is_some(), n < 3);
            letter.text = Some(n.to_string());
        }
        assert_eq!(same, list);
        for (n, letter) in list.iter().enumerate() {
            assert_eq!((letter.attempts, &*letter.reason, &*letter.last_worker), (1, "attempts used up", "worker"));
            assert_eq!((letter.error.as_deref(), letter.history.len()), (Some("no luck"), 1));
            assert!(letter.died_at >= before && letter.died_at <= SystemTime::now());
            assert_eq!(letter.text, Some(n.to_string()));
        }
        let ids: Vec<u64> = list.iter().map(|letter| letter.id).collect();
        assert!(ids.is_sorted_by(|one, next| one < next));
        // A reader's are its own until it gives them back, and keep their ids.
        let mut letters = other.dead_letters().unwrap();
        let first = letters.blocking_lease().unwrap();
        assert_eq!((first.id, first.item), (ids[0], 0));
        eventually("what else was fetched has gone back", || self::ids(&queue) == ids[1..]);
        assert_eq!(queue.blocking_retry_dead_letters(..=ids[0]), Ok(0));
        assert_eq!(other.blocking_retry_dead_letters(ids[2]..ids[4]), Ok(2));
        assert_eq!(queue.blocking_discard_dead_letters(ids[4]..=ids[4]), Ok(1));
        assert_eq!(queue.blocking_discard_dead_letters(ids[4]..=ids[4]), Ok(0));
        first.release();
        drop(letters);
        eventually("it has come back", || self::ids(&queue) == [ids[0], ids[1], ids[5]]);
        // Attempts begin anew, and a letter that comes then is another one.
        let mut consumer = other.consumer().unwrap();
        for item in [2, 3] {
            let again = consumer.blocking_lease().unwrap();
            assert_eq!((*again, again.attempt()), (item, 1));
            again.reject("still");
        }
        other.blocking_flush();
        assert!(self::ids(&queue)[3..].iter().all(|id| *id > ids[5]));
        other.producer().unwrap().blocking_put(9).unwrap();
        let last = consumer.blocking_lease().unwrap();
        queue.seal();
        assert_eq!(block_on(queue.retry_dead_letters(..)), Ok(5));
        last.ack();
        // Oldest first.
        assert!(consumer.into_iter().eq([0, 1, 5, 2, 3]));
        totals(&queue, |totals| totals.retried == 7 && totals.accepted == 14 && totals.dead_lettered == 8);
    });
}

/// Of many, the last ones; and an item is no text unless that was asked for.
#[test]
fn d3_a_list_is_bounded_and_shows_no_item() {
    within_watchdog(|| {
        let server = Server::start();
        let queue = connect(server.url(), named("many").keep_dead_letters(5));
        bury(&queue, 0..700);
        let last = queue.blocking_list_dead_letters().unwrap();
        assert!(last.iter().all(|letter| letter.text.is_none()) && last.len() == 5);
        let all = connect(server.url(), named("many").keep_dead_letters(usize::MAX).describe_items());
        let listed = all.blocking_list_dead_letters().unwrap();
        assert!(listed.iter().map(|letter| letter.text.clone().unwrap()).eq((0..700).map(|n| n.to_string())));
        assert!(listed[695..].iter().map(|letter| letter.id).eq(last.iter().map(|letter| letter.id)));
        let none = connect(server.url(), named("many").keep_dead_letters(0));
        assert!(none.blocking_list_dead_letters().unwrap().is_empty());
        // It bounds the list alone.
        assert_eq!(none.blocking_discard_dead_letters(..), Ok(700));
        assert!(ids(&all).is_empty());
    });
}

/// Each letter goes back once, or a reader has it.
#[test]
fn c6_processes_that_retry_and_read_at_once_share_the_letters() {
    within_watchdog(|| {
        const ITEMS: u32 = 3000;
        let server = Server::start();
        let queue = connect(server.url(), named("at-once"));
        bury(&queue, 0..ITEMS);
        let retries: Vec<_> = (0..3)
            .map(|_| {
                let queue = connect(server.url(), named("at-once"));
                thread::spawn(move || queue.blocking_retry_dead_letters(..).unwrap())
            })
            .collect();
        let (reader, stop) = (connect(server.url(), named("at-once")), Arc::new(AtomicBool::new(false)));
        let reads = thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                let mut letters = reader.dead_letters().unwrap();
                let mut read = Vec::new();
                while !stop.load(SeqCst) {
                    read.extend(letters.try_get().map(|letter| letter.item));
                }
                read
            }
        });
        let retried: usize = retries.into_iter().map(|retry| retry.join().unwrap()).sum();
        stop.store(true, SeqCst);
        let mut out = reads.join().unwrap();
        // What was in the reader's hand, or on its way there.
        let mut later = 0;
        eventually("no reader has any", || {
            later += queue.blocking_retry_dead_letters(..).unwrap();
            server.ask::<u32>("HLEN {aiq3:at-once}:dead:inf") == 0 && ids(&queue).is_empty()
        });
        println!("{retried} and {later} retried, {} read", out.len());
        let consumer = queue.consumer().unwrap();
        queue.seal();
        out.extend(consumer);
        out.sort_unstable();
        assert!(out.into_iter().eq(0..ITEMS));
        assert_eq!(queue.blocking_drained().totals.retried, (retried + later) as u64);
    });
}

/// Answers are lost, and calls are not heard, in the middle of it.
#[test]
fn c6_outages_lose_and_double_nothing_that_is_retried() {
    within_watchdog(|| {
        const ITEMS: u32 = 1000;
        let server = Server::start();
        let proxy = Proxy::before(server.port());
        let (queue, far) = (connect(server.url(), named("torn")), connect(proxy.url(), named("torn")));
        let mut random = Rng::with_seed(7);
        for round in 1..=6 {
            bury(&queue, 0..ITEMS);
            let way = if round % 2 == 0 { Way::Replies } else { Way::Requests };
            proxy.tear(way, random.usize(..300));
            let letters = queue.blocking_list_dead_letters().unwrap();
            let some = letters[random.usize(..letters.len())].id;
            assert!(far.blocking_retry_dead_letters(..some).unwrap() <= ITEMS as usize);
            assert!(far.blocking_retry_dead_letters(some..).unwrap() <= ITEMS as usize);
            eventually("it is torn", || proxy.tears() == round);
            take(&queue, 0..ITEMS);
            assert!(ids(&queue).is_empty());
        }
        totals(&queue, |totals| totals.retried == 6 * u64::from(ITEMS));

        for round in 1..=12 {
            bury(&queue, 0..1);
            let letter = queue.dead_letters().unwrap().blocking_get().unwrap();
            proxy.tear(if round % 2 == 0 { Way::Replies } else { Way::Requests }, random.usize(..40));
            assert_eq!(far.blocking_retry(letter), Ok(()));
            eventually("it is torn", || proxy.tears() == 6 + round);
            take(&queue, 0..1);
        }
        totals(&queue, |totals| totals.retried == 6 * u64::from(ITEMS) + 12);
        eventually("nothing is left", || queue.snapshot().buffered == 0);
    });
}

/// Named for a process of its own, which retries letters until it is killed.
const RETRIES: &str = "RETRIES_LETTERS_OF";

/// Does nothing, unless it is run as a process of its own.
#[test]
fn a_process_that_is_killed_while_it_retries() {
    let Ok(url) = env::var(RETRIES) else { return };
    let queue = connect(url, named("killed-retry"));
    println!("\nbegins");
    queue.blocking_retry_dead_letters(..).unwrap();
    println!("\ndone");
    thread::park();
}

#[test]
fn c6_a_process_that_is_killed_while_it_retries_loses_and_doubles_nothing() {
    within_watchdog(|| {
        const ITEMS: u32 = 20_000;
        let server = Server::start();
        let queue = connect(server.url(), named("killed-retry"));
        bury(&queue, 0..ITEMS);
        let mut process = Command::new(env::current_exe().unwrap());
        process.args(["kept_letters::a_process_that_is_killed_while_it_retries", "--exact", "--nocapture"]);
        let mut process = process.env(RETRIES, server.url()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line == "begins"), "it has died");
        let left = || server.ask::<u32>("LLEN {aiq3:killed-retry}:dead:ready");
        eventually("some are retried", || left() < ITEMS);
        process.kill().unwrap();
        process.wait().unwrap();
        assert!(left() > 0, "it was done before it was killed");
        // Who comes later does the rest.
        assert!(queue.blocking_retry_dead_letters(..).unwrap() > 0);
        take(&queue, 0..ITEMS);
        assert!(ids(&queue).is_empty());
        totals(&queue, |totals| totals.retried == u64::from(ITEMS));
    });
}

/// The calls wait, as puts do; the futures without the thread.
#[test]
fn d3_calls_on_letters_wait_until_redis_is_back() {
    within_watchdog(|| {
        let mut server = Server::with(&["--appendonly yes", "--appendfsync always"]);
        for (name, ends) in [("waits", false), ("waits-after-the-end", true)] {
            let queue = connect(server.url(), named(name));
            bury(&queue, 0..3);
            if ends {
                queue.seal();
                queue.blocking_drained();
            }
            let ids = ids(&queue);
            server.kill9();
            let task = Task::new();
            let mut list = Box::pin(queue.list_dead_letters());
            assert_eq!(task.poll(list.as_mut()), Poll::Pending);
            let mut discard = Box::pin(queue.discard_dead_letters(ids[0]..=ids[0]));
            assert_eq!(task.poll(discard.as_mut()), Poll::Pending);
            let retries = thread::spawn({
                let (queue, id) = (queue.clone(), ids[1]);
                move || queue.blocking_retry_dead_letters(id..=id)
            });
            // One that is not polled does nothing, and one that is dropped nothing more.
            drop(queue.discard_dead_letters(..));
            let mut dropped = Box::pin(queue.discard_dead_letters(..));
            assert_eq!(task.poll(dropped.as_mut()), Poll::Pending);
            drop(dropped);
            server.restart();
            assert!(!task.run(list).unwrap().is_empty());
            assert!(task.run(discard).unwrap() <= 1, "the answer may have been lost");
            let left = if ends {
                assert_eq!(retries.join().unwrap(), Err(Refusal::Ended));
                &ids[1..]
            } else {
                assert!(retries.join().unwrap().unwrap() <= 1);
                take(&queue, 1..2);
                &ids[2..]
            };
            assert_eq!(self::ids(&queue), left);
        }
    });
}

/// Also by a process that has not heard of it.
#[test]
fn d3_after_the_end_retries_are_refused_and_the_letters_stay() {
    within_watchdog(|| {
        let server = Server::start();
        for (name, aborted) in [("ended", false), ("aborted", true)] {
            let (queue, other) = (connect(server.url(), named(name)), connect(server.url(), named(name)));
            bury(&queue, 0..4);
            let letter = other.dead_letters().unwrap().blocking_get().unwrap();
            let reason = if aborted {
                drop(queue.abort());
                Refusal::Aborted
            } else {
                queue.seal();
                Refusal::Ended
            };
            queue.blocking_flush();
            assert_eq!(other.blocking_retry_dead_letters(..), Err(reason));
            let error: PutError<_> = other.blocking_retry(letter).unwrap_err();
            assert_eq!((error.reason(), error.into_inner().item), (reason, 0));
            eventually("no reader has them", || block_on(other.list_dead_letters()).unwrap().len() == 3);
            queue.blocking_drained();
            assert_eq!(queue.blocking_retry_dead_letters(..), Err(reason));
            let first = ids(&queue)[0];
            assert_eq!(queue.blocking_discard_dead_letters(first..=first), Ok(1));
            // The next queue of that name has them.
            other.blocking_drained();
            let next = connect(server.url(), named(name));
            assert_eq!(next.blocking_retry_dead_letters(..), Ok(2));
            take(&next, 2..4);
        }
        let queue = connect(server.url(), named("left"));
        let other = connect(server.url(), named("left"));
        bury(&queue, 0..1);
        assert_eq!(queue.blocking_shutdown(Duration::ZERO).drained.outcome, Outcome::Left);
        assert_eq!(queue.blocking_retry_dead_letters(..), Err(Refusal::Ended));
        assert_eq!(ids(&queue).len(), 1);
        assert_eq!(other.blocking_retry_dead_letters(..), Ok(1));
    });
}

#[test]
fn d3_a_letter_in_the_hand_of_a_reader_is_put_also_if_nobody_waits_for_that() {
    within_watchdog(|| {
        let mut server = Server::with(&["--appendonly yes", "--appendfsync always"]);
        let queue = connect(server.url(), named("in-hand"));
        bury(&queue, 0..3);
        let mut letters = queue.dead_letters().unwrap();
        // Leased, it comes back if its reader fails; so this is safe.
        let leased = letters.blocking_lease().unwrap();
        block_on(queue.retry(leased.clone())).unwrap();
        leased.ack();
        take(&queue, 0..1);
        let [one, unpolled] = [(); 2].map(|()| letters.blocking_get().unwrap());
        drop(letters);
        server.kill9();
        let task = Task::new();
        let mut retry = Box::pin(queue.retry(one));
        assert!(task.poll(retry.as_mut()).is_pending());
        drop(retry);
        drop(queue.retry(unpolled));
        server.restart();
        take(&queue, 1..2);
        totals(&queue, |totals| totals.retried == 2 && totals.accepted == 5);
    });
}

/// As `docs/guide/src/redis.md` has them.
#[test]
fn the_rights_that_the_guide_names_are_enough_and_without_one_of_them_it_is_said() {
    within_watchdog(|| {
        let server = Server::start();
        let page = include_str!("../../docs/guide/src/redis.md");
        let rights = &page[page.find("ACL SETUSER jobs").unwrap()..];
        let rights = rights[..rights.find("```").unwrap()].split_whitespace().collect::<Vec<_>>().join(" ");
        let () = server.ask(&rights);
        let url = format!("redis://jobs:PASSWORD@127.0.0.1:{}/", server.port());
        let queue = connect(url, named("rights"));
        bury(&queue, 0..9);
        let some = ids(&queue);
        assert_eq!(queue.blocking_retry_dead_letters(some[3]..=some[5]), Ok(3));
        assert_eq!(queue.blocking_discard_dead_letters(some[7]..=some[7]), Ok(1));
        assert_eq!(queue.blocking_retry_dead_letters(some[8]..), Ok(1));
        let letter = queue.dead_letters().unwrap().blocking_get().unwrap();
        assert_eq!(queue.blocking_retry(letter), Ok(()));
        eventually("the others have come back", || ids(&queue).len() == 3);
        let () = server.ask("ACL SETUSER jobs -lrange");
        assert_eq!(queue.blocking_list_dead_letters(), Err(Refusal::Redis));
        assert_eq!(queue.blocking_retry_dead_letters(..), Err(Refusal::Redis));
        let () = server.ask("ACL SETUSER jobs +lrange");
        assert_eq!(queue.blocking_retry_dead_letters(..), Ok(3));
    });
}

#[test]
fn d10_on_an_arbiter_blocking_calls_on_letters_panic_before_they_do_anything() {
    within_watchdog(|| {
        let server = Server::start();
        let queue = connect(server.url(), named("arbiter"));
        bury(&queue, 0..2);
        let letter = queue.dead_letters().unwrap().blocking_get().unwrap();
        actix::System::new().block_on(async {
            for (call, message) in [
                (panic_of(|| queue.blocking_list_dead_letters()), "use list_dead_letters().await"),
                (panic_of(|| queue.blocking_retry_dead_letters(..)), "use retry_dead_letters(…).await"),
                (panic_of(|| queue.blocking_discard_dead_letters(..)), "use discard_dead_letters(…).await"),
                (panic_of(|| drop(queue.blocking_retry(letter))), "use retry(letter).await"),
            ] {
                assert!(call.ends_with(message), "{call}");
            }
        });
        eventually("it has come back", || ids(&queue).len() == 1);
        totals(&queue, |totals| totals.retried == 0 && totals.accepted == 2);
    });
}
