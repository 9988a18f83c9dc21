//! Consumers that stop, or whose arbiter stops, in the middle of their work (D3, D11, A6).

use std::sync::Arc;

use actix::prelude::*;
use actix_iterable_queue::error::{Death, PoolError};
use actix_iterable_queue::prelude::*;
use support::actors::{in_system, until};
use support::faults::{
    Faulty, Moment, Plan, Threads, WAYS, Way, assert_all_ended, assert_conserved, assert_each_once, loaded,
    loaded_in_memory, read_all, work_off,
};

const ITEMS: u32 = 20;

/// Keeps its items, and stops at `k`: what comes after that would be kept, and counted, too.
fn stops_at(k: u32, how: impl Fn(&mut Context<Faulty<u32>>) + Send + Sync + 'static) -> Arc<Plan<u32>> {
    Plan::new(move |actor: &mut Faulty<u32>, item: Item<u32>, ctx| {
        let value = *item;
        if actor.life > 0 {
            return actor.done(item);
        }
        actor.keeps.push(item);
        if value == k {
            how(ctx);
        }
    })
}

/// With twice as many in flight as it keeps: the others come back from its mailbox, if it has one.
#[test]
fn d3_a_stop_in_the_middle_returns_what_was_in_hand_counted_and_the_rest_uncounted() {
    for way in WAYS {
        for k in [0, 4] {
            in_system(move || async move {
                let (queue, mut dead) = loaded(support::backend::builder(), 0..ITEMS);
                let plan = stops_at(k, |ctx| ctx.stop());
                let drained = work_off(way, &queue, &plan, 2 * (k as usize + 1)).await;
                assert_all_ended(&drained);
                let expected: Vec<_> = (0..ITEMS).map(|n| (n, if n <= k { 2 } else { 1 })).collect();
                assert_eq!(plan.acked(), expected, "{way:?}, {k}");
                assert!(read_all(&mut dead).is_empty());
                assert_eq!((plan.count(Moment::Made), plan.drained()), (2, vec![(0, Outcome::Complete)]), "{way:?}");
            });
        }
    }
}

/// An actor may say that it goes on after all.
#[test]
fn d11_an_actor_that_refuses_to_stop_gets_its_items_again() {
    for way in WAYS {
        in_system(move || async move {
            let (queue, _dead) = loaded(support::backend::builder(), 0..ITEMS);
            let plan = Plan::with(
                |actor: &mut Faulty<u32>, item: Item<u32>, ctx: &mut Context<Faulty<u32>>| {
                    actor.done(item);
                    ctx.stop();
                },
                |actor, moment| match moment {
                    Moment::Stopping if actor.plan.drained().is_empty() => Running::Continue,
                    _ => Running::Stop,
                },
            );
            let drained = work_off(way, &queue, &plan, 1).await;
            assert_all_ended(&drained);
            assert_eq!(plan.acked(), (0..ITEMS).map(|n| (n, 1)).collect::<Vec<_>>(), "{way:?}");
            assert_eq!((plan.count(Moment::Made), plan.drained().len()), (1, 1), "{way:?}");
        });
    }
}

/// Each worker stops the arbiter that the pool has made for it, again and again.
#[test]
fn a6_workers_whose_arbiters_stop_are_replaced_in_new_ones_and_all_are_joined() {
    in_system(|| async {
        let (queue, mut dead) = loaded(support::backend::builder().max_attempts(1000), 0..60);
        let threads = Threads::default();
        let sign = threads.clone();
        let plan = Plan::new(move |actor: &mut Faulty<u32>, item: Item<u32>, _| {
            sign.enter();
            if item.is_multiple_of(10) && item.attempt() == 1 {
                actor.keeps.push(item);
                Arbiter::current().stop();
            } else {
                actor.done(item);
            }
        });
        let workers = Arc::clone(&plan);
        let pool = WorkerPool::builder(&queue).workers(2).start(move |place| Faulty::new(&workers, place)).unwrap();
        queue.seal();
        let report = pool.drained().await.unwrap();
        assert_eq!(threads.alive(), 0, "every arbiter is joined");
        assert_all_ended(&report.drained);
        assert_each_once(0..60, [plan.acked_numbers()]);
        assert!(read_all(&mut dead).is_empty());
        assert_eq!((report.totals.acked, report.totals.deaths, report.totals.failed), (60, 6, 6));
        let stopped = report.workers.iter().filter_map(|worker| worker.last_death.as_ref());
        assert!(stopped.into_iter().all(|death| *death == Death::ArbiterStopped));
        assert_eq!(plan.drained(), [0, 1].map(|place| (place, Outcome::Complete)));
    });
}

/// One arbiter for all of them, which somebody else stops.
#[test]
fn a6_workers_of_a_given_arbiter_that_stops_get_their_own() {
    in_system(|| async {
        let (queue, _dead) = loaded(support::backend::builder(), 0..ITEMS);
        let arbiter = Arbiter::new();
        let plan = Plan::new(
            |actor: &mut Faulty<u32>, item: Item<u32>, _| {
                if actor.life < 3 { actor.keeps.push(item) } else { actor.done(item) }
            },
        );
        let workers = Arc::clone(&plan);
        let pool = WorkerPool::builder(&queue).workers(3).max_in_flight(2).arbiters([arbiter.handle()]);
        let pool = pool.start(move |place| Faulty::new(&workers, place)).unwrap();
        until(|| queue.snapshot().leased == 6).await;
        arbiter.stop();
        arbiter.join().unwrap();
        queue.seal();
        let report = pool.drained().await.unwrap();
        assert_all_ended(&report.drained);
        assert_eq!((report.totals.acked, report.totals.deaths, report.totals.failed), (u64::from(ITEMS), 3, 6));
        let expected: Vec<_> = (0..ITEMS).map(|n| (n, if n < 6 { 2 } else { 1 })).collect();
        assert_eq!(plan.acked(), expected);
        assert_eq!(plan.drained(), [0, 1, 2].map(|place| (place, Outcome::Complete)));
    });
}

/// actix itself would hand out an address that is closed already.
#[test]
fn a6_a_dead_arbiter_is_an_error_and_leaves_nothing_behind() {
    in_system(|| async {
        let (queue, _dead) = loaded_in_memory(support::backend::builder(), 0..ITEMS);
        let arbiter = Arbiter::new();
        let handle = arbiter.handle();
        arbiter.stop();
        arbiter.join().unwrap();
        let plan = Plan::good();
        let workers = Arc::clone(&plan);
        let started = WorkerPool::builder(&queue).arbiters([handle]).start(move |place| Faulty::new(&workers, place));
        assert!(matches!(started, Err(PoolError::ArbiterStopped)), "{started:?}");
        let seen = queue.snapshot();
        assert_conserved(&seen);
        assert_eq!((seen.pools, seen.consumers.len(), seen.buffered), (0, 0, ITEMS as usize));
        assert_eq!(plan.count(Moment::Made), 0);
        // Others go on with it.
        work_off(Way::Pool, &queue, &plan, 1).await;
        assert_each_once(0..ITEMS, [plan.acked_numbers()]);
    });
}
