//! A panic that the handler itself catches: its actor lives on, and the item that went with the panic comes back at
//! once (D3).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use actix::prelude::*;
use actix_iterable_queue::prelude::*;
use futures::FutureExt;
use support::actors::in_system;
use support::faults;
use support::faults::{Faulty, Moment, Plan, WAYS, assert_all_ended, fail, loaded, read_all, work_off};

const ITEMS: u32 = 10;

/// Every third item panics at its first attempt, and takes its lease with it.
fn must_fail(item: &Item<u32>) -> bool {
    item.is_multiple_of(3) && item.attempt() == 1
}

async fn everything_is_done(way: faults::Way, plan: Arc<Plan<u32>>, max_in_flight: usize) {
    let (queue, mut dead) = loaded(support::backend::builder(), 0..ITEMS);
    let drained = work_off(way, &queue, &plan, max_in_flight).await;
    assert_all_ended(&drained);
    let expected: Vec<_> = (0..ITEMS).map(|n| (n, if n % 3 == 0 { 2 } else { 1 })).collect();
    assert_eq!(plan.acked(), expected, "{way:?}, {max_in_flight}");
    assert!(read_all(&mut dead).is_empty());
    // It was never replaced.
    assert_eq!((plan.count(Moment::Made), plan.drained()), (1, vec![(0, Outcome::Complete)]), "{way:?}");
}

#[test]
fn d3_an_item_lost_in_a_panic_that_its_handler_caught_comes_back() {
    for way in WAYS {
        for max_in_flight in [1, 4] {
            in_system(move || async move {
                let plan = Plan::new(|actor: &mut Faulty<u32>, item: Item<u32>, _| {
                    if !must_fail(&item) {
                        return actor.done(item);
                    }
                    let caught = catch_unwind(AssertUnwindSafe(move || {
                        let _in_hand = item;
                        fail("the work")
                    }));
                    assert!(caught.is_err());
                });
                everything_is_done(way, plan, max_in_flight).await;
            });
        }
    }
}

#[test]
fn d3_an_item_lost_in_a_panic_that_its_future_caught_comes_back() {
    for way in WAYS {
        for max_in_flight in [1, 4] {
            in_system(move || async move {
                let plan = Plan::new(|actor: &mut Faulty<u32>, item: Item<u32>, ctx: &mut Context<Faulty<u32>>| {
                    let plan = Arc::clone(&actor.plan);
                    let work = async move {
                        tokio::task::yield_now().await;
                        if must_fail(&item) {
                            fail("the work");
                        }
                        plan.note(&item);
                        item.ack();
                    };
                    ctx.spawn(AssertUnwindSafe(work).catch_unwind().map(drop).into_actor(actor));
                });
                everything_is_done(way, plan, max_in_flight).await;
            });
        }
    }
}
