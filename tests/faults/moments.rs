//! Panics elsewhere than at an item: when an actor is made, starts, stops, is told of the end, is dropped (A6, C5, D3).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use actix::prelude::*;
use actix_iterable_queue::prelude::*;
use support::actors::in_system;
use support::faults::{
    Bomb, Faulty, Moment, Plan, WAYS, Way, assert_all_ended, assert_each_once, fail, loaded, loaded_in_memory,
    read_all, work_off,
};

const ITEMS: u32 = 12;

/// The first life panics when `at` comes for the first time, or every time. At item 2 it stops, with that in hand.
fn panics_in(at: Moment, every_time: bool) -> Arc<Plan<u32>> {
    Plan::with(
        |actor, item, ctx| {
            if actor.life == 0 && *item == 2 {
                actor.keeps.push(item);
                ctx.stop();
            } else {
                actor.done(item);
            }
        },
        move |actor, moment| {
            if actor.life == 0 && moment == at && (every_time || actor.plan.count(at) == 1) {
                fail("a moment of the actor");
            }
            Running::Stop
        },
    )
}

#[test]
fn d3_a_panic_in_started_uses_up_no_attempt() {
    for way in WAYS {
        for max_in_flight in [1, 4] {
            in_system(move || async move {
                let (queue, mut dead) = loaded(support::backend::builder(), 0..ITEMS);
                let plan = panics_in(Moment::Started, true);
                let drained = work_off(way, &queue, &plan, max_in_flight).await;
                assert_all_ended(&drained);
                let first_attempts: Vec<_> = (0..ITEMS).map(|n| (n, 1)).collect();
                assert_eq!(plan.acked(), first_attempts, "{way:?}");
                assert!(read_all(&mut dead).is_empty());
                assert_eq!((plan.count(Moment::Made), plan.drained()), (2, vec![(0, Outcome::Complete)]), "{way:?}");
            });
        }
    }
}

/// Also where actix would call `stopping` once more while it unwinds; by itself an actor that panicked there, too,
/// would take the process with it, but a pool's does not.
#[test]
fn d3_a_panic_in_stopping_or_stopped_loses_nothing() {
    for way in WAYS {
        for at in [Moment::Stopping, Moment::Stopped, Moment::Dropped] {
            for max_in_flight in [1, 4] {
                in_system(move || async move {
                    let (queue, mut dead) = loaded_in_memory(support::backend::builder(), 0..ITEMS);
                    let plan = panics_in(at, way == Way::Pool);
                    let drained = work_off(way, &queue, &plan, max_in_flight).await;
                    assert_all_ended(&drained);
                    let expected: Vec<_> = (0..ITEMS).map(|n| (n, if n == 2 { 2 } else { 1 })).collect();
                    assert_eq!(plan.acked(), expected, "{way:?}, {at:?}");
                    assert!(read_all(&mut dead).is_empty());
                    let lives = (plan.count(Moment::Made), plan.drained());
                    assert_eq!(lives, (2, vec![(0, Outcome::Complete)]), "{way:?}, {at:?}");
                });
            }
        }
    }
}

#[test]
fn c5_a_panic_in_the_handler_of_drained_was_told_all_the_same() {
    for way in WAYS {
        in_system(move || async move {
            let (queue, _dead) = loaded(support::backend::builder(), 0..ITEMS);
            let plan = Plan::with(
                |actor, item, _| actor.done(item),
                |_, moment| match moment {
                    Moment::Drained => fail("the handler of Drained"),
                    _ => Running::Stop,
                },
            );
            let drained = work_off(way, &queue, &plan, 1).await;
            assert_all_ended(&drained);
            assert_each_once(0..ITEMS, [plan.acked_numbers()]);
            assert_eq!((plan.count(Moment::Made), plan.drained()), (1, vec![(0, Outcome::Complete)]), "{way:?}");
        });
    }
}

#[test]
fn a6_a_factory_that_panics_is_asked_again_and_all_places_are_told() {
    in_system(|| async {
        let (queue, mut dead) = loaded(support::backend::builder(), 0..100);
        // The first life of two places. The second one must not fail: it may begin after the end, and who
        // dies then is not replaced.
        let to_fail = [true, false, true].map(AtomicBool::new);
        let plan = Plan::with(
            |actor, item, _| actor.done(item),
            move |actor, moment| {
                if moment == Moment::Made && to_fail[actor.place].swap(false, SeqCst) {
                    fail("the factory");
                }
                Running::Stop
            },
        );
        let workers = Arc::clone(&plan);
        let pool = WorkerPool::builder(&queue).workers(3).start(move |place| Faulty::new(&workers, place)).unwrap();
        queue.seal();
        let report = pool.drained().await.unwrap();
        assert_all_ended(&report.drained);
        assert_eq!((report.totals.acked, report.totals.deaths, report.totals.failed), (100, 2, 0));
        assert_each_once(0..100, [plan.acked_numbers()]);
        assert!(read_all(&mut dead).is_empty());
        assert_eq!(plan.drained(), [0, 1, 2].map(|place| (place, Outcome::Complete)));
    });
}

/// An ack counts before the item is dropped.
#[test]
fn d3_an_item_whose_drop_panics_is_acked_and_its_worker_dies_of_it() {
    for way in WAYS {
        in_system(move || async move {
            let bombs = (0..ITEMS).map(|n| Bomb(n, Arc::new(AtomicBool::new(n == 5))));
            let (queue, mut dead) = loaded_in_memory(support::backend::builder(), bombs);
            let plan = Plan::new(|actor, item, _| actor.done(item));
            let drained = work_off(way, &queue, &plan, 1).await;
            assert_all_ended(&drained);
            assert_each_once(0..ITEMS, [plan.acked_numbers()]);
            // By push, the ack has sent the next item, which the mailbox gives back.
            let redelivered = u64::from(matches!(way, Way::Push));
            assert_eq!((drained.totals.acked, drained.totals.redelivered), (u64::from(ITEMS), redelivered), "{way:?}");
            assert!(read_all(&mut dead).is_empty());
            assert_eq!((plan.count(Moment::Made), plan.drained().len()), (2, 1), "{way:?}");
        });
    }
}
