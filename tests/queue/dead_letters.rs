//! Dead letters: what they tell, who reads them, and how their queue ends with the main one (D3).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use ::log::Level;
use actix::prelude::*;
use actix_iterable_queue::error::TryGetError;
use actix_iterable_queue::prelude::*;
use support::actors::in_system;
use support::backend::{self, Soon, soon};
use support::log;
use support::{assert_conserved, until, within_watchdog};

/// What was logged of the dead letters of a queue, other than for debugging.
fn complaints(queue: &str) -> Vec<String> {
    let said = [log::said(Level::Warn, queue), log::said(Level::Error, queue)].concat();
    said.into_iter().filter(|line| line.starts_with(queue) && line.contains("dead letter")).collect()
}

/// A queue with 0..n in it, and its one consumer.
fn filled(name: &str, max_attempts: u32, n: u32) -> Filled {
    fill(backend::named(name, support::backend::builder().max_attempts(max_attempts)), n)
}

fn filled_in_memory(name: &str, n: u32) -> Filled {
    fill(support::backend::builder().name(name).max_attempts(1).build().expect("valid"), n)
}

type Filled = (IterableQueue<u32>, Producer<u32>, Consumer<u32>);

fn fill(queue: IterableQueue<u32>, n: u32) -> Filled {
    log::keep();
    let (producer, consumer) = (queue.producer().expect("open"), queue.consumer_named("worker").expect("open"));
    (0..n).for_each(|n| producer.try_put(n).expect("room"));
    (queue, producer, consumer)
}

#[test]
fn d3_a_letter_tells_why_and_who_and_how_often() {
    let (queue, producer, mut consumer) = filled("tells", 2, 1);
    let mut letters = queue.dead_letters().unwrap();
    drop(consumer.soon_lease());
    consumer.soon_lease().reject("it is odd");
    let rejected = letters.soon_item();
    assert_eq!((rejected.item, rejected.attempts, rejected.reason.as_str()), (0, 2, "it is odd"));
    assert_eq!((rejected.last_worker.as_str(), &rejected.panic), ("worker", &None));
    assert_eq!(rejected.to_string(), "given up by worker at attempt 2: it is odd");

    // The one that held it last, and no other.
    producer.try_put(1).unwrap();
    consumer.soon_lease().requeue();
    let mut other = queue.consumer_named("another").unwrap();
    drop(other.soon_lease());
    let worn = letters.soon_item();
    assert_eq!((worn.item, worn.attempts, worn.panic), (1, 2, None));
    assert_eq!((worn.reason.as_str(), worn.last_worker.as_str()), ("attempts used up", "another"));
    soon(|| queue.snapshot().totals.dead_lettered, 2);
    assert_conserved(&queue);
}

struct Panics(Option<Consumer<u32>>);

impl Actor for Panics {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(consumer) = self.0.take() {
            ctx.consume(consumer);
        }
    }
}

impl Handler<Item<u32>> for Panics {
    type Result = ();

    fn handle(&mut self, item: Item<u32>, _: &mut Self::Context) {
        panic!("no luck with {}", *item);
    }
}

impl Handler<Drained> for Panics {
    type Result = ();

    fn handle(&mut self, _: Drained, _: &mut Self::Context) {}
}

#[test]
fn d3_what_a_panic_said_is_known_in_pools_only() {
    in_system(|| async {
        let (queue, producer, mut consumer) = filled("panics", 1, 3);
        let mut letters = queue.dead_letters().unwrap();
        // in a thread
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _item = consumer.soon_lease();
            panic!("on a thread");
        }));
        assert!(panicked.is_err());
        let letter = letters.get().await.unwrap();
        assert_eq!((letter.panic, letter.reason.as_str()), (None, "attempts used up"));
        // in an actor that pulls, and one that is served by address
        Panics(Some(consumer)).start();
        assert_eq!(letters.get().await.unwrap().panic, None);
        let actor = QueueActor::new(queue.clone()).start();
        actor.send(RegisterConsumer::new(Panics(None).start())).await.unwrap().unwrap();
        assert_eq!(letters.get().await.unwrap().panic, None);
        // in a pool
        let pool = WorkerPool::builder(&queue).workers(1).name("pooled").start(|_| Panics(None)).unwrap();
        producer.try_put(7).unwrap();
        let letter = letters.get().await.unwrap();
        assert_eq!(letter.panic.as_deref(), Some("no luck with 7"));
        assert_eq!(
            letter.to_string(),
            "given up by pooled-0 at attempt 1: attempts used up (it panicked: no luck with 7)"
        );
        drop((actor, producer, queue));
        pool.drained().await.unwrap();
        assert_eq!(letters.get().await, None);
    });
}

#[test]
fn d3_letters_are_read_while_the_work_goes_on_and_end_with_it() {
    within_watchdog(|| {
        let (queue, producer, mut consumer) = filled("reads", 5, 0);
        let mut letters = queue.dead_letters().unwrap();
        queue.seal();
        let reader = thread::spawn(move || {
            let first = letters.blocking_get();
            (first, letters.into_iter().map(|letter| letter.item).collect::<Vec<_>>())
        });
        producer.try_put(0).unwrap();
        consumer.soon_lease().reject("first");
        producer.try_put(1).unwrap();
        let worker = thread::spawn(move || {
            consumer
                .into_blocking_leases()
                .for_each(|item| if *item % 2 == 0 { item.ack() } else { item.reject("odd") });
        });
        (2..100).for_each(|n| producer.blocking_put(n).unwrap());
        drop(producer);
        let (first, others) = reader.join().unwrap();
        worker.join().unwrap();
        assert_eq!(first.unwrap().item, 0);
        assert!(others.into_iter().eq((1..100).step_by(2)));
        // It was not kept from its end by the reader.
        let totals = queue.blocking_drained().totals;
        assert_eq!((totals.dead_lettered, totals.acked, queue.state()), (51, 49, State::Drained));
    });
}

#[test]
fn c3_a_reader_does_not_keep_the_queue_unsealed_or_undrained() {
    let (queue, producer, consumer) = filled("kept", 5, 0);
    let mut letters = queue.dead_letters().unwrap();
    let mut drained = Box::pin(queue.drained());
    drop((queue, producer));
    backend::soon_ready(drained.as_mut());
    letters.soon_end();
    drop(consumer);
}

#[test]
fn d3_the_letters_are_a_queue_like_any_other() {
    let (queue, producer, mut consumer) = filled("like-any-other", 1, 6);
    let (mut letters, mut beside) = (queue.dead_letters().unwrap(), queue.dead_letters().unwrap());
    for n in 0..6 {
        consumer.soon_lease().reject(n.to_string());
    }
    // leases: what fails comes back, with its attempt counted
    let letter = letters.soon_lease();
    assert_eq!((letter.item, letter.attempt()), (0, 1));
    drop(letter);
    let letter = beside.soon_lease();
    assert_eq!((letter.item, letter.attempt()), (0, 2));
    letter.ack();
    // each letter goes to one reader; clones are readers, too
    assert_eq!((letters.soon_item().item, beside.soon_item().item), (1, 2));
    let mut cloned = letters.clone();
    drop((letters, beside));
    let rest = cloned.soon_items(3);
    assert_eq!(rest.iter().map(|letter| &letter.reason[..]).collect::<Vec<_>>(), ["3", "4", "5"]);
    // a letter in work when the queue ends can still be settled, and nobody ends before
    producer.try_put(6).unwrap();
    consumer.soon_lease().reject("last");
    let last = cloned.soon_lease();
    queue.seal();
    drop(producer);
    backend::drained(&queue);
    assert_eq!(cloned.try_get().unwrap_err(), TryGetError::Empty, "it may come back");
    last.requeue();
    assert_eq!(cloned.soon_item().item, 6);
    cloned.soon_end();
    assert_eq!(complaints("like-any-other"), [""; 0]);
}

#[test]
fn d8_after_an_abort_the_letters_end_once_they_are_read() {
    let (queue, _producer, mut consumer) = filled_in_memory("aborted-letters", 4);
    let mut letters = queue.dead_letters().unwrap();
    consumer.try_lease().unwrap().reject("before");
    let (late, dropped) = (consumer.try_lease().unwrap(), consumer.try_lease().unwrap());
    assert_eq!(queue.abort(), [3]);
    // A lease that is given up after the end has no letter: its item is left, as that of one that is not settled.
    late.reject("after");
    drop(dropped);
    assert_eq!(letters.try_get().unwrap().reason, "before");
    assert_eq!(letters.try_get().unwrap_err(), TryGetError::Ended);
    assert_eq!(queue.dead_letters().unwrap().into_iter().count(), 0);
    let totals = queue.snapshot().totals;
    assert_eq!((totals.dead_lettered, totals.discarded), (1, 3));
    assert_eq!(complaints("aborted-letters"), [""; 0]);
    assert_eq!(queue.take_left(), [1, 2]);
    assert_conserved(&queue);
}

#[test]
fn d3_every_letter_is_read_however_the_readers_come_and_go() {
    within_watchdog(|| {
        const ITEMS: u32 = 2000;
        let (queue, producer, consumer) = filled("many", 1, ITEMS);
        let reader = queue.dead_letters().unwrap();
        let workers: Vec<_> = (0..3)
            .map(|_| {
                let consumer = consumer.clone();
                thread::spawn(move || consumer.into_blocking_leases().for_each(drop))
            })
            .collect();
        drop(consumer);
        let brief = thread::spawn({
            let queue = queue.clone();
            move || {
                let mut read = Vec::new();
                // One that stays is open all the time; these come and go.
                while queue.state() < State::Drained {
                    let mut letters = queue.dead_letters().unwrap();
                    read.extend(letters.try_iter().take(5).map(|letter| letter.item));
                }
                read
            }
        });
        queue.seal();
        drop(producer);
        let mut read: Vec<u32> = reader.into_iter().map(|letter| letter.item).collect();
        read.extend(brief.join().unwrap());
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        read.sort_unstable();
        assert!(read.into_iter().eq(0..ITEMS));
        until(|| queue.state() == State::Drained);
        assert_eq!((queue.snapshot().totals.dead_lettered, complaints("many")), (u64::from(ITEMS), vec![]));
    });
}

#[test]
fn the_queues_of_readers_are_not_counted_among_those_of_users() {
    let (queue, ..) = filled_in_memory("counted-apart", 0);
    let reader = queue.dead_letters().unwrap();
    assert!(reader.queue_id().to_string().starts_with("letters-"), "{}", reader.queue_id());
    assert!(queue.id().to_string().starts_with("queue-"));
    queue.seal();
    drop(queue.abort());
    let last = queue.dead_letters().unwrap();
    assert!(last.queue_id().to_string().starts_with("letters-") && last.queue_id() != reader.queue_id());
}
