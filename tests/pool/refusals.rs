//! Pools that cannot be started or resized: the right error, nothing runs, the queue is as before.

use std::thread;

use actix::prelude::*;
use actix_iterable_queue::error::PoolError;
use actix_iterable_queue::prelude::*;
use actix_iterable_queue::{State, WorkerPoolBuilder};
use futures::FutureExt;
use support::actors::{backlog, backlog_in_memory, in_system};
use support::crew::{crew, here};
use support::within_watchdog;
use support::{backend, panic_of};

/// Tries to start it, and looks that nothing has come of it.
fn refused(queue: &IterableQueue<u32>, builder: WorkerPoolBuilder<u32>) -> PoolError {
    let (factory, mut crew) = crew();
    let before = queue.snapshot();
    let error = builder.start(factory).expect_err("it is to be refused");
    // The factory is gone already, and so is whoever could call it.
    crew.gone().now_or_never().expect("nothing of it is left");
    assert_eq!(queue.snapshot(), before);
    assert_eq!((before.pools, before.buffered), (0, 3));
    error
}

#[test]
fn a_pool_without_workers_panics_where_it_is_described() {
    let queue = backlog_in_memory(0..3);
    let panic = panic_of(|| WorkerPool::builder(&queue).workers(0));
    assert_eq!(panic, "WorkerPoolBuilder::workers: 0 workers: give at least 1, or pause the pool");
    assert_eq!(queue.snapshot().pools, 0);
}

#[test]
fn a2_a_limit_of_0_panics_where_the_pool_is_described() {
    let queue = backlog_in_memory(0..3);
    let panic = panic_of(|| WorkerPool::builder(&queue).max_in_flight(0));
    assert_eq!(panic, "WorkerPoolBuilder::max_in_flight: max_in_flight is 0: give at least 1");
}

#[test]
fn without_a_system_a_pool_is_refused() {
    within_watchdog(|| {
        let queue = backlog_in_memory(0..3);
        let error = refused(&queue, WorkerPool::builder(&queue));
        assert!(matches!(error, PoolError::NoSystem), "{error}");
    });
}

#[test]
fn after_its_system_a_pool_is_refused() {
    within_watchdog(|| {
        let queue = backlog_in_memory(0..3);
        System::new().block_on(async {}); // which is gone then
        let error = refused(&queue, WorkerPool::builder(&queue));
        assert!(matches!(error, PoolError::NoSystem), "{error}");

        let system = System::new();
        system.block_on(async { System::current().stop() });
        system.run().unwrap();
        let error = refused(&queue, WorkerPool::builder(&queue));
        assert!(matches!(error, PoolError::NoSystem), "{error}");
    });
}

#[test]
fn c3_a_pool_for_a_sealed_queue_is_refused() {
    in_system(|| async {
        let queue = backlog_in_memory(0..3);
        let _keeps_it_alive = queue.consumer().unwrap();
        queue.seal();
        let error = refused(&queue, WorkerPool::builder(&queue));
        assert!(matches!(error, PoolError::Sealed), "{error}");
        backend::soon(|| queue.state(), State::Draining);
    });
}

#[test]
fn c3_a_pool_for_a_queue_that_has_ended_is_refused() {
    in_system(|| async {
        let queue = backlog_in_memory(0..3);
        assert_eq!(queue.abort().len(), 3);
        let (factory, mut crew) = crew();
        let error = WorkerPool::builder(&queue).start(factory).expect_err("it is to be refused");
        assert!(matches!(error, PoolError::Ended), "{error}");
        crew.gone().now_or_never().expect("nothing of it is left");
    });
}

#[test]
fn a_given_arbiter_that_has_stopped_is_refused() {
    in_system(|| async {
        let queue = backlog_in_memory(0..3);
        let (alive, dead) = (Arbiter::new(), Arbiter::new());
        let handles = [alive.handle(), dead.handle()];
        dead.stop();
        dead.join().unwrap();
        // Also if it were not needed.
        let error = refused(&queue, WorkerPool::builder(&queue).workers(1).arbiters(handles));
        assert!(matches!(error, PoolError::ArbiterStopped), "{error}");
        assert!(alive.handle().alive());
        alive.stop();
        alive.join().unwrap();
    });
}

#[test]
fn the_refused_queue_is_as_good_as_before() {
    in_system(|| async {
        let queue = backlog_in_memory(0..3);
        let stopped = Arbiter::new();
        let handle = stopped.handle();
        stopped.stop();
        stopped.join().unwrap();
        refused(&queue, WorkerPool::builder(&queue).arbiters([handle]));
        let (factory, mut crew) = crew();
        let pool = here(&queue).workers(1).start(factory).unwrap();
        queue.seal();
        for n in 0..3 {
            let (_, item) = crew.item().await;
            assert_eq!((*item, item.attempt()), (n, 1));
            item.ack();
        }
        assert_eq!(pool.drained().await.unwrap().totals.acked, 3);
    });
}

#[test]
fn a_resize_to_0_panics_and_changes_nothing() {
    in_system(|| async {
        let queue = backlog(0..1);
        let (factory, mut crew) = crew();
        let pool = here(&queue).workers(1).start(factory).unwrap();
        assert!(panic_of(|| pool.resize(0)).starts_with("WorkerPool::resize: 0 workers"));
        pool.resize(2).unwrap(); // heard of after anything before it
        crew.births(2).await;
        crew.item().await.1.ack();
        assert_eq!(queue.snapshot().consumers.len(), 2);
        queue.seal();
        pool.drained().await.unwrap();
    });
}

#[test]
fn a_resize_after_the_end_is_refused() {
    in_system(|| async {
        let queue = backlog(0..0);
        let (factory, mut crew) = crew();
        let pool = here(&queue).workers(1).start(factory).unwrap();
        crew.birth().await;
        queue.seal();
        backend::drained(&queue);
        assert!(matches!(pool.resize(2), Err(PoolError::Ended))); // the pool may still be at work
        assert_eq!(pool.drained().await.unwrap().workers.len(), 1);
        assert!(matches!(pool.resize(2), Err(PoolError::Ended)));
        pool.pause(); // to no effect
        pool.resume();
        crew.told().await;
        crew.gone().await;
    });
}

#[test]
fn a_pool_may_be_told_anything_on_any_thread() {
    in_system(|| async {
        let queue = backlog(0..1);
        let (factory, mut crew) = crew();
        let pool = here(&queue).workers(1).start(factory).unwrap();
        let handle = pool.clone();
        thread::spawn(move || {
            handle.pause();
            handle.resize(2).unwrap();
            handle.resume();
        })
        .join()
        .unwrap();
        crew.births(2).await;
        crew.item().await.1.ack();
        queue.seal();
        pool.drained().await.unwrap();
    });
}
