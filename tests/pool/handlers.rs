//! Workers whose handlers return futures: the limit (A2), and what their panics said.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use actix::prelude::*;
use actix_iterable_queue::error::Death;
use actix_iterable_queue::prelude::*;
use futures::{FutureExt, StreamExt};
use support::actors::{backlog, in_system};
use support::backend::{self, Soon};
use support::crew::{AtOnce, InActorFuture, InFuture, InTurn, SOON, Work, does, here, work};

/// One worker works through 20 items; `expected` is the most it works on at once.
fn most_at_once<A>(make: fn(Work) -> A, limit: usize, expected: usize)
where
    A: Actor<Context = Context<A>> + Handler<Item<u32>> + Handler<Drained>,
{
    in_system(move || async move {
        let queue = backlog(0..20);
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (at_most, handle) = (Arc::clone(&most), queue.clone());
        let slow = work(move |item| {
            let (now, most, queue) = (Arc::clone(&now), Arc::clone(&most), handle.clone());
            async move {
                most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                assert!(queue.snapshot().leased <= limit as u64);
                for _ in 0..5 {
                    tokio::task::yield_now().await;
                }
                now.fetch_sub(1, SeqCst);
                item.ack();
            }
        });
        let builder = WorkerPool::builder(&queue).workers(1).max_in_flight(limit);
        let pool = builder.start(move |_| make(Arc::clone(&slow))).expect("nothing is against it");
        queue.seal();
        let report = pool.drained().await.expect("it does not give up");
        assert_eq!((report.totals.acked, report.totals.failed, report.totals.deaths), (20, 0, 0));
        assert_eq!(at_most.load(SeqCst), expected);
    });
}

#[test]
fn a2_a_plain_handler_works_on_one_item_at_a_time() {
    most_at_once(AtOnce, 4, 1);
}

#[test]
fn a2_the_limit_holds_for_response_futures() {
    most_at_once(InFuture, 4, 4);
    most_at_once(InFuture, 1, 1);
}

#[test]
fn a2_the_limit_holds_for_actor_futures() {
    most_at_once(InActorFuture, 4, 4);
    most_at_once(InActorFuture, 1, 1);
}

#[test]
fn a2_an_atomic_response_works_on_one_at_a_time() {
    most_at_once(InTurn, 4, 1);
}

/// Panics with each item, at each of two attempts.
fn panics_to_the_end<A>(make: fn(Work) -> A, deaths: u64)
where
    A: Actor<Context = Context<A>> + Handler<Item<u32>> + Handler<Drained>,
{
    in_system(move || async move {
        let queue = backend::build(support::backend::builder().max_attempts(2));
        let letters = queue.dead_letters().expect("it is open");
        let producer = queue.producer().expect("it is open");
        producer.try_put(7).expect("it has no bound");
        drop(producer);
        let bad = work(|item: Item<u32>| async move {
            tokio::task::yield_now().await;
            panic!("bad item {}, attempt {}", *item, item.attempt());
        });
        let builder = WorkerPool::builder(&queue).workers(1).restart_backoff(SOON);
        let pool = builder.start(move |_| make(Arc::clone(&bad))).expect("nothing is against it");
        queue.seal();

        let letters: Vec<_> = letters.collect().await;
        assert_eq!(letters.len(), 1);
        let (letter, said) = (&letters[0], "bad item 7, attempt 2");
        assert_eq!((letter.item, letter.attempts, &*letter.last_worker), (7, 2, "worker-0"));
        assert_eq!(letter.panic.as_deref(), Some(said));
        assert!(letter.to_string().ends_with("(it panicked: bad item 7, attempt 2)"), "{letter}");

        let report = pool.drained().await.expect("it does not give up");
        assert_eq!((report.totals.acked, report.totals.failed, report.totals.deaths), (0, 2, deaths));
        let death = (deaths > 0).then(|| Death::Panicked(said.to_owned()));
        assert_eq!(report.workers[0].last_death, death);
    });
}

#[test]
fn d3_a_dead_letter_tells_what_the_panic_of_a_plain_handler_said() {
    panics_to_the_end(AtOnce, 2);
}

#[test]
fn d3_a_dead_letter_tells_what_the_panic_of_a_response_future_said() {
    panics_to_the_end(InFuture, 0); // it is no part of the actor: the worker lives on
}

#[test]
fn d3_a_dead_letter_tells_what_the_panic_of_an_actor_future_said() {
    panics_to_the_end(InActorFuture, 2);
}

#[test]
fn d3_a_dead_letter_tells_what_the_panic_of_an_atomic_response_said() {
    panics_to_the_end(InTurn, 2);
}

/// All of them lose the attempt, but only one knows of the panic.
#[test]
fn d3_all_items_in_hand_die_with_the_worker_and_one_of_its_panic() {
    in_system(|| async {
        let queue = backend::build(support::backend::builder().max_attempts(1));
        let letters = queue.dead_letters().unwrap();
        queue.producer().unwrap().put_all(0..3).await.unwrap();
        let last_kills = work(|item: Item<u32>| async move {
            assert_ne!(*item, 2, "the last one");
            futures::future::pending::<()>().await;
            item.ack();
        });
        let builder = here(&queue).workers(1).max_in_flight(3).restart_backoff(SOON);
        let pool = builder.start(move |_| InActorFuture(Arc::clone(&last_kills))).unwrap();
        queue.seal();
        let mut letters: Vec<_> = letters.collect().await;
        letters.sort_by_key(|letter| letter.item);
        assert_eq!(letters.iter().map(|letter| letter.item).collect::<Vec<_>>(), [0, 1, 2]);
        for letter in letters {
            let said = letter.panic.as_deref().is_some_and(|panic| panic.contains("the last one"));
            assert_eq!((said, letter.panic.is_some()), (letter.item == 2, letter.item == 2), "{letter}");
        }
        let report = pool.drained().await.unwrap();
        assert_eq!((report.totals.failed, report.totals.deaths), (3, 1));
    });
}

#[test]
fn d3_a_panic_without_a_text_kills_as_well() {
    in_system(|| async {
        let queue = backlog(0..1);
        let pool = here(&queue)
            .workers(1)
            .restart_backoff(SOON)
            .start(does(|_, item| {
                if item.attempt() == 1 {
                    std::panic::panic_any(42_u64);
                }
                item.ack();
            }))
            .unwrap();
        queue.seal();
        let report = pool.drained().await.unwrap();
        assert_eq!((report.totals.acked, report.totals.failed, report.totals.deaths), (1, 1, 1));
        assert!(matches!(report.workers[0].last_death, Some(Death::Panicked(_))));
    });
}

#[test]
fn d3_without_a_panic_a_dead_letter_tells_of_none() {
    in_system(|| async {
        let queue = backend::build(support::backend::builder().max_attempts(1));
        let letters = queue.dead_letters().unwrap();
        queue.producer().unwrap().put_all(0..4).await.unwrap();
        // Outside of pools nobody knows.
        let mut consumer = queue.consumer().unwrap();
        let item = consumer.soon_lease();
        catch_unwind(AssertUnwindSafe(move || panic!("item {}", *item))).unwrap_err();
        drop(consumer);
        let pool = here(&queue)
            .workers(1)
            .start(does(|_, item| match *item {
                1 => item.reject("no good"),
                2 => item.requeue(),
                _ => drop(item),
            }))
            .unwrap();
        queue.seal();
        let letters: Vec<_> = letters.collect().await;
        let told: Vec<_> = letters.into_iter().map(|letter| (letter.item, letter.panic)).collect();
        assert_eq!(told, [0, 1, 2, 3].map(|item| (item, None)));
        assert_eq!(pool.drained().await.unwrap().totals.deaths, 0);
    });
}

/// The handler has caught the panic; the worker lives on.
#[test]
fn d3_an_item_of_a_panic_that_the_handler_catches_comes_back() {
    in_system(|| async {
        let queue = backlog(0..2);
        let pool = here(&queue)
            .workers(1)
            .start(does(|_, item| {
                let careful = AssertUnwindSafe(move || {
                    assert!(*item != 0 || item.attempt() > 1, "at the first attempt");
                    item.ack();
                });
                let _ = catch_unwind(careful);
            }))
            .unwrap();
        queue.seal();
        let report = pool.drained().await.unwrap();
        assert_eq!((report.totals.acked, report.totals.failed, report.totals.deaths), (2, 1, 0));
    });
}

#[test]
fn d3_an_item_of_a_panic_that_a_future_catches_comes_back() {
    in_system(|| async {
        let queue = backlog(0..2);
        let careful = work(|item: Item<u32>| {
            let risky = async move {
                assert!(*item != 0 || item.attempt() > 1, "at the first attempt");
                item.ack();
            };
            AssertUnwindSafe(risky).catch_unwind().map(|_| ())
        });
        let pool = here(&queue).workers(1).start(move |_| InActorFuture(Arc::clone(&careful))).unwrap();
        queue.seal();
        let report = pool.drained().await.unwrap();
        assert_eq!((report.totals.acked, report.totals.failed, report.totals.deaths), (2, 1, 0));
    });
}
