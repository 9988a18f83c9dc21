//! Items that kill whoever takes them: they stall no pool, and what they take along is told from them (A6, D3).

use std::sync::Arc;

use actix_iterable_queue::prelude::*;
use actix_iterable_queue::{DeadLetter, IterableQueue, WorkerPoolBuilder};
use futures::StreamExt;
use support::actors::in_system;
use support::backend;
use support::crew::{InFuture, LATE, crew, does, here, work};

/// A queue full of items with so many attempts, that will be sealed; and its dead letters.
async fn full(items: u32, max_attempts: u32) -> (IterableQueue<u32>, impl Future<Output = Vec<DeadLetter<u32>>>) {
    let queue = backend::build(backend::builder().max_attempts(max_attempts));
    let letters = queue.dead_letters().expect("it is open");
    queue.producer().expect("it is open").put_all(0..items).await.expect("it has no bound");
    let sorted = async move {
        let mut letters: Vec<_> = letters.collect().await;
        letters.sort_by_key(|letter| letter.item);
        letters
    };
    (queue, sorted)
}

/// With each of so many deaths the backoff would double.
fn nobody_waits(backoff: fn(WorkerPoolBuilder<u32>) -> WorkerPoolBuilder<u32>) {
    in_system(move || async move {
        let (queue, letters) = full(60, 2).await;
        let pool = backoff(WorkerPool::builder(&queue).workers(2));
        let pool = pool.start(does(|_, item| panic!("bad item {}", *item))).expect("nothing is against it");
        queue.seal();
        let report = pool.drained().await.expect("it has no limit");
        assert_eq!((report.drained.outcome, report.totals.failed), (Outcome::Complete, 120));
        assert_eq!(report.totals.deaths, 120);
        let letters = letters.await;
        assert!(letters.iter().map(|letter| letter.item).eq(0..60));
        for letter in letters {
            assert_eq!((letter.attempts, letter.panic), (2, Some(format!("bad item {}", letter.item))));
        }
    });
}

#[test]
fn a6_a_pool_goes_on_at_once_however_many_items_kill_its_workers() {
    nobody_waits(|builder| builder);
    nobody_waits(|builder| builder.restart_backoff(LATE));
}

/// It has acked nothing, and yet it had something to die of.
#[test]
fn a6_a_worker_that_gave_all_its_items_up_is_replaced_at_once() {
    in_system(|| async {
        let (queue, letters) = full(40, 2).await;
        let pool = here(&queue).workers(1).restart_backoff(LATE);
        let pool = pool
            .start(does(|_, item| {
                assert!(*item % 10 != 9 || item.attempt() > 1, "now and then");
                item.reject("not for us");
            }))
            .unwrap();
        queue.seal();
        let report = pool.drained().await.unwrap();
        assert_eq!((report.totals.deaths, report.totals.failed), (4, 44));
        assert!(letters.await.iter().all(|letter| letter.panic.is_none()));
    });
}

/// They were in the actor, and had no part in it.
#[test]
fn d3_items_that_die_with_a_worker_that_another_one_killed_know_of_no_panic() {
    in_system(|| async {
        let (queue, letters) = full(4, 1).await;
        let (factory, mut crew) = crew();
        let pool = here(&queue).workers(1).max_in_flight(4).start(factory).unwrap();
        let worker = crew.birth().await;
        let mut items = Vec::new();
        for _ in 0..4 {
            items.push(crew.item().await.1);
        }
        worker.run(move |worker, _| {
            let poison = items.remove(1);
            worker.held = items;
            panic!("with {}", *poison);
        });
        queue.seal();
        let told: Vec<_> = letters.await.into_iter().map(|letter| (letter.item, letter.panic)).collect();
        assert_eq!(told, [(0, None), (1, Some("with 1".to_owned())), (2, None), (3, None)]);
        assert_eq!(pool.drained().await.unwrap().totals.deaths, 1);
    });
}

/// With a response future of its own it takes nobody along.
#[test]
fn d3_an_item_that_kills_a_response_future_costs_the_others_nothing() {
    in_system(|| async {
        let (queue, letters) = full(4, 3).await;
        let poisoned = work(|item: Item<u32>| async move {
            assert_ne!(*item, 0, "poison");
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            assert_eq!(item.attempt(), 1);
            item.ack();
        });
        let builder = here(&queue).workers(1).max_in_flight(4);
        let pool = builder.start(move |_| InFuture(Arc::clone(&poisoned))).unwrap();
        queue.seal();
        let letters = letters.await;
        assert_eq!(letters.iter().map(|letter| (letter.item, letter.attempts)).collect::<Vec<_>>(), [(0, 3)]);
        assert!(letters[0].panic.as_deref().is_some_and(|panic| panic.contains("poison")));
        let report = pool.drained().await.unwrap();
        assert_eq!((report.totals.acked, report.totals.failed, report.totals.deaths), (3, 3, 0));
    });
}
