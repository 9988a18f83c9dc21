//! A consumer that panics in the middle of its work, with others in hand (A6, C6, D3).

use std::future::pending;
use std::sync::Arc;

use actix::prelude::*;
use actix_iterable_queue::prelude::*;
use support::actors::in_system;
use support::faults::{
    Faulty, Moment, Plan, WAYS, Way, assert_all_ended, assert_each_once, fail, loaded, loaded_in_memory, read_all,
    work_off,
};

const ITEMS: u32 = 20;

/// Panics at item `k` as long as `fails` says so. The first `holds` items are in futures then, and never done there.
fn panics_at(k: u32, holds: u32, fails: fn(u32) -> bool) -> Arc<Plan<u32>> {
    Plan::new(move |actor: &mut Faulty<u32>, item: Item<u32>, ctx| {
        if *item == k && fails(item.attempt()) {
            fail("the handler");
        }
        if *item < holds && item.attempt() == 1 && actor.life == 0 {
            let held = async move {
                pending::<()>().await;
                drop(item);
            };
            ctx.spawn(held.into_actor(actor));
        } else {
            actor.done(item);
        }
    })
}

/// Everything that was in hand when the handler panicked comes back with its attempt counted, and nothing else does.
#[test]
fn d3_a_panic_returns_all_that_was_in_futures_and_everything_is_done_once() {
    for way in WAYS {
        for k in [0, 3, 7] {
            in_system(move || async move {
                let (queue, mut dead) = loaded(support::backend::builder(), 0..ITEMS);
                let plan = panics_at(k, k, |attempt| attempt == 1);
                // In flight: those before `k`, and `k`.
                let drained = work_off(way, &queue, &plan, k as usize + 1).await;

                assert_all_ended(&drained);
                let expected: Vec<_> = (0..ITEMS).map(|n| (n, if n <= k { 2 } else { 1 })).collect();
                assert_eq!(plan.acked(), expected, "{way:?}, {k}");
                assert_eq!(drained.totals.redelivered, u64::from(k) + 1, "{way:?}, {k}");
                assert_eq!(plan.drained(), [(0, Outcome::Complete)], "{way:?}, {k}");
                assert_eq!(plan.count(Moment::Made), 2, "{way:?}, {k}");
                assert!(read_all(&mut dead).is_empty());
            });
        }
    }
}

/// A poison item ends as a dead letter, which says in whose hands, and a pool's also what the panic said.
#[test]
fn d3_poison_becomes_a_dead_letter_and_the_rest_is_done_once() {
    for way in WAYS {
        for (k, max_in_flight) in [(0, 1), (10, 1), (3, 4), (ITEMS - 1, 1)] {
            in_system(move || async move {
                let (queue, mut dead) = loaded_in_memory(support::backend::builder().max_attempts(3), 0..ITEMS);
                let plan = panics_at(k, max_in_flight as u32 - 1, |_| true);
                let drained = work_off(way, &queue, &plan, max_in_flight).await;

                assert_all_ended(&drained);
                assert_eq!((drained.totals.acked, drained.totals.dead_lettered), (u64::from(ITEMS) - 1, 1));
                let letters = read_all(&mut dead);
                assert_eq!((letters[0].item, letters[0].attempts), (k, 3), "{way:?}");
                let said = (way == Way::Pool).then_some("on purpose: the handler");
                assert_eq!(letters[0].panic.as_deref(), said, "{way:?}");
                if way == Way::Pool {
                    assert_eq!(letters[0].last_worker, "worker-0");
                }
                assert_each_once(0..ITEMS, [plan.acked_numbers(), letters.iter().map(|letter| letter.item).collect()]);
                // With the last item went the last of those who worked by themselves: nobody was left to be told.
                let told = if way != Way::Pool && k == ITEMS - 1 { 0 } else { 1 };
                assert_eq!(plan.drained().len(), told, "{way:?}, {k}");
            });
        }
    }
}

/// Several workers, and every tenth item is poison for its first two holders.
#[test]
fn a6_the_rest_of_a_pool_never_notices_and_deaths_are_counted() {
    for max_in_flight in [1, 5] {
        in_system(move || async move {
            let (queue, mut dead) = loaded(support::backend::builder().max_attempts(1000), 0..200);
            let plan = Plan::new(|actor: &mut Faulty<u32>, item: Item<u32>, ctx| {
                if item.is_multiple_of(10) && item.attempt() <= 2 {
                    fail("the handler");
                }
                let plan = Arc::clone(&actor.plan);
                let later = async move {
                    tokio::task::yield_now().await;
                    plan.note(&item);
                    item.ack();
                };
                ctx.spawn(later.into_actor(actor));
            });
            let workers = Arc::clone(&plan);
            let pool = WorkerPool::builder(&queue).workers(4).max_in_flight(max_in_flight);
            let pool = pool.start(move |place| Faulty::new(&workers, place)).unwrap();
            queue.seal();
            let report = pool.drained().await.unwrap();

            assert_all_ended(&report.drained);
            assert_each_once(0..200, [plan.acked_numbers()]);
            assert!(read_all(&mut dead).is_empty());
            // A death takes at least its own item with it; neighbours in hand may use up an attempt, too.
            let deaths = report.totals.deaths;
            assert!((1..=40).contains(&deaths), "{deaths} deaths");
            assert_eq!(plan.count(Moment::Made) as u64, 4 + deaths);
            assert_eq!(report.totals.failed, report.drained.totals.redelivered);
            let told: Vec<_> = (0..4).map(|place| (place, Outcome::Complete)).collect();
            assert_eq!(plan.drained(), told);
        });
    }
}
