//! Items that kill whoever takes them: they stall no pool, and what they take along is told from them (A6, D3).

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use actix_iterable_queue::prelude::*;
use actix_iterable_queue::{DeadLetter, IterableQueue, WorkerPoolBuilder};
use futures::StreamExt;
use support::actors::in_system;
use support::actors::until;
use support::backend;
use support::crew::{InFuture, LATE, Worker, crew, does, here, work};

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

const LONG: Backoff = Backoff::exponential(Duration::from_secs(7200), Duration::from_secs(7200));

/// A queue of two items, and workers of which the first holds both, and dies as `die` says. Returns what is delayed then, and
/// what comes to the other worker at once.
async fn a_death(die: fn(&mut Worker, Item<u32>, &mut Context<Worker>)) -> (usize, Vec<(u32, u32)>) {
    let queue = backend::build(IterableQueue::builder().redelivery_backoff(LONG));
    let (factory, mut crew) = crew();
    let own_arbiters = WorkerPool::builder(&queue).workers(1).max_in_flight(2);
    let pool = own_arbiters.start(factory).unwrap();
    let birth = crew.birth().await;
    queue.producer().unwrap().put_all(0..2).await.unwrap();
    let ((_, held), (_, in_hand)) = (crew.item().await, crew.item().await);
    birth.run(move |worker, ctx| {
        worker.held.push(held);
        die(worker, in_hand, ctx);
    });
    crew.birth().await;
    until(|| queue.snapshot().leased + queue.snapshot().delayed as u64 == 2).await;
    let delayed = queue.snapshot().delayed;
    let mut came = Vec::new();
    for _ in delayed..2 {
        let (_, item) = crew.item().await;
        came.push((*item, item.attempt()));
        item.ack();
    }
    drop((queue.abort(), pool));
    (delayed, came)
}

/// What the worker failed of waits for its backoff. What it only held goes to others at once, with the attempt counted.
#[test]
fn a6_what_a_dead_worker_only_held_does_not_wait() {
    in_system(|| async {
        let panics = a_death(|_, in_hand, _| panic!("boom with {}", *in_hand)).await;
        assert_eq!(panics, (1, vec![(0, 2)]));
        let stops = a_death(|worker, in_hand, ctx| {
            worker.held.push(in_hand);
            ctx.stop();
        });
        assert_eq!(stops.await, (0, vec![(0, 2), (1, 2)]));
        let its_arbiter_stops = a_death(|worker, in_hand, _| {
            worker.held.push(in_hand);
            Arbiter::current().stop();
        });
        assert_eq!(its_arbiter_stops.await, (0, vec![(0, 2), (1, 2)]));
        let forgets = a_death(|_, in_hand, ctx| {
            drop(in_hand);
            ctx.stop();
        });
        assert_eq!(forgets.await, (1, vec![(0, 2)]));
    });
}
