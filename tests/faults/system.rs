//! A system that stops while a pool works: the pool says so, and nothing of it lives on (A6, D3).

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use actix::prelude::*;
use actix_iterable_queue::IterableQueue;
use actix_iterable_queue::error::{PoolError, PoolFailure};
use actix_iterable_queue::prelude::*;
use futures::executor::block_on;
use support::actors::quiet;
use support::faults;
use support::faults::{
    Faulty, Moment, Plan, Threads, assert_all_ended, assert_conserved, assert_each_once, loaded, loaded_in_memory,
    work_off,
};
use support::within_watchdog;

const ITEMS: u32 = 40;

/// Runs a pool in a system of its own until it is stopped, and returns once `System::run` has.
fn in_stopped_system(queue: &IterableQueue<u32>, plan: &Arc<Plan<u32>>, max_in_flight: usize) -> WorkerPool<u32> {
    let (queue, plan) = (queue.clone(), Arc::clone(plan));
    let system = thread::spawn(move || {
        let system = System::new();
        let pool = system.block_on(async move {
            let pool = WorkerPool::builder(&queue).workers(4).max_in_flight(max_in_flight);
            pool.start(move |place| Faulty::new(&plan, place)).expect("the system runs")
        });
        system.run().expect("it ends in peace");
        pool
    });
    system.join().expect("it ends in peace")
}

/// Items in the futures of workers, and others in the middle of a handler that blocks its thread, which nobody can
/// interrupt: the pool waits for those.
#[test]
fn d3_a_system_that_stops_ends_the_pool_and_every_item_comes_back_or_is_done() {
    for max_in_flight in [1, 3] {
        within_watchdog(move || {
            let (queue, _dead) = loaded_in_memory(support::backend::builder(), 0..ITEMS);
            let threads = Threads::default();
            let (sign, seen) = (threads.clone(), queue.clone());
            let plan = Plan::new(move |actor: &mut Faulty<u32>, item: Item<u32>, _| {
                sign.enter();
                if actor.place == 0 && actor.plan.acked().is_empty() {
                    // In the middle of an item, until the system has long stopped.
                    System::current().stop();
                    while seen.snapshot().consumers.len() > 1 {
                        thread::yield_now();
                    }
                    return actor.done(item);
                }
                actor.keeps.push(item);
            });
            let pool = in_stopped_system(&queue, &plan, max_in_flight);
            assert_eq!(block_on(pool.drained()), Err(PoolFailure::Stopped));

            assert_eq!(threads.alive(), 0, "every arbiter is joined");
            assert_eq!(plan.count(Moment::Made), plan.count(Moment::Dropped));
            assert!(matches!(pool.resize(9), Err(PoolError::Ended)));
            let seen = queue.snapshot();
            assert_conserved(&seen);
            assert_eq!((seen.pools, seen.consumers.len(), seen.leased), (0, 0, 0));
            assert_eq!(seen.totals.acked as usize, plan.acked().len());
            assert!(plan.drained().is_empty());

            // Others do the rest.
            let rest = Plan::good();
            System::new().block_on(async {
                let drained = work_off(faults::Way::Pool, &queue, &rest, 1).await;
                assert_all_ended(&drained);
            });
            assert_each_once(0..ITEMS, [plan.acked_numbers(), rest.acked_numbers()]);
        });
    }
}

/// Nobody is left who could take what is left, so the queue ends.
#[test]
fn d7_a_sealed_queue_whose_pool_was_stopped_is_abandoned() {
    within_watchdog(|| {
        let (queue, _dead) = loaded_in_memory(support::backend::builder(), 0..ITEMS);
        let (end, sealing) = (queue.drained(), queue.clone());
        let plan = Plan::new(move |actor: &mut Faulty<u32>, item: Item<u32>, _| {
            match *item {
                0..9 => return actor.done(item),
                9 => {
                    sealing.seal();
                    System::current().stop();
                }
                _ => {}
            }
            actor.keeps.push(item);
        });
        let pool = in_stopped_system(&queue, &plan, 1);
        assert_eq!(block_on(pool.drained()), Err(PoolFailure::Stopped));
        let drained = block_on(end);
        assert_all_ended(&drained);
        assert_eq!((drained.outcome, drained.totals.acked), (Outcome::Abandoned, 9));
        assert_eq!(drained.totals.discarded, u64::from(ITEMS) - 9);
    });
}

/// `System::run` returns while another arbiter's actor is in the middle of an item; a pool is waited for.
#[test]
fn a6_drained_waits_for_a_handler_that_outlives_the_system() {
    within_watchdog(|| {
        let (queue, _dead) = loaded(support::backend::builder(), 0..1);
        let (go_on, wait) = channel::<()>();
        let wait = std::sync::Mutex::new(wait);
        let plan = Plan::new(move |actor: &mut Faulty<u32>, item: Item<u32>, _| {
            System::current().stop();
            let waited = wait.lock().expect("nobody panics").recv();
            waited.expect("the test says when");
            actor.done(item);
        });
        let pool = in_stopped_system(&queue, &plan, 1);
        // The system is gone, the handler is not.
        let mut ended = Box::pin(pool.drained());
        assert!(futures::FutureExt::now_or_never(&mut ended).is_none());
        assert!(plan.acked().is_empty());
        Sender::send(&go_on, ()).unwrap();
        assert_eq!(block_on(ended), Err(PoolFailure::Stopped));
        assert_eq!(plan.acked(), [(0, 1)]);
        assert_conserved(&queue.snapshot());
    });
}

/// A pool that is started when its system is about to stop ends with it, or is not started at all.
#[test]
fn a6_a_pool_of_a_system_that_is_stopping_does_not_outlive_it() {
    for settles in [false, true] {
        within_watchdog(move || {
            let (queue, _dead) = loaded_in_memory(support::backend::builder(), 0..ITEMS);
            let plan = Plan::new(|actor: &mut Faulty<u32>, item: Item<u32>, _| actor.keeps.push(item));
            let (workers, inner) = (Arc::clone(&plan), queue.clone());
            let system = System::new();
            let started = system.block_on(async move {
                System::current().stop();
                if settles {
                    quiet().await;
                }
                WorkerPool::builder(&inner).workers(2).start(move |place| Faulty::new(&workers, place))
            });
            system.run().unwrap();
            if let Ok(pool) = started {
                assert_eq!(block_on(pool.drained()), Err(PoolFailure::Stopped), "{settles}");
            }
            let seen = queue.snapshot();
            assert_conserved(&seen);
            assert_eq!((seen.pools, seen.leased, seen.buffered), (0, 0, ITEMS as usize));
            assert_eq!(plan.count(Moment::Made), plan.count(Moment::Dropped));
        });
    }
}
