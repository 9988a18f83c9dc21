//! When a dead worker is replaced: at once, later, or when its queue has ended (A6, D7).

use std::time::Duration;

use actix_iterable_queue::prelude::*;
use actix_iterable_queue::{Backoff, State, WorkerPoolBuilder};
use support::actors::{backlog, backlog_in_memory, in_system, until};
use support::backend;
use support::crew::{Crew, LATE, SOON, Worker, crew, does, here};

#[test]
fn a6_a_worker_that_had_done_an_item_is_replaced_at_once() {
    let take = |item: Item<u32>| assert_eq!(item.into_inner(), 0);
    for settle in [Item::ack, take] {
        in_system(move || async move {
            let queue = backlog(0..2);
            let (factory, mut crew) = crew();
            let pool = here(&queue).workers(1).restart_backoff(LATE).start(factory).unwrap();
            let worker = crew.birth().await;
            settle(crew.item().await.1);
            worker.panics();
            assert_eq!(crew.birth().await.index, 0);
            crew.item().await.1.ack();
            queue.seal();
            assert_eq!(pool.drained().await.unwrap().totals.deaths, 1);
        });
    }
}

/// A pool of one worker on this thread, which has died and waits for longer than any test.
async fn waits_for_its_restart(builder: WorkerPoolBuilder<u32>, queue: &IterableQueue<u32>) -> (WorkerPool<u32>, Crew) {
    let (factory, mut crew) = crew();
    let pool = builder.workers(1).restart_backoff(LATE).start(factory).expect("nothing is against it");
    crew.birth().await.panics();
    until(|| queue.snapshot().consumers.is_empty()).await;
    (pool, crew)
}

#[test]
fn a6_a_worker_that_had_done_nothing_is_not_replaced_at_once() {
    in_system(|| async {
        let queue = backlog(0..0);
        let (pool, mut crew) = waits_for_its_restart(here(&queue), &queue).await;
        // The supervisor hears of this after the death. If it had filled that place at once, that
        // worker would have begun first.
        pool.resize(2).unwrap();
        assert_eq!(crew.birth().await.index, 1);
        crew.no_birth().await;
    });
}

#[test]
fn a6_a_backoff_that_never_ends_harms_nobody_else() {
    in_system(|| async {
        let queue = backlog(0..0);
        let never = Backoff::exponential(Duration::MAX, Duration::MAX);
        let (factory, mut crew) = crew();
        let pool = here(&queue).workers(2).restart_backoff(never).start(factory).unwrap();
        let births = crew.births(2).await;
        births[0].panics();
        until(|| queue.snapshot().consumers.len() == 1).await;
        pool.resize(3).unwrap();
        assert_eq!(crew.birth().await.index, 2);
        queue.producer().unwrap().try_put(1).unwrap();
        crew.item().await.1.ack();
    });
}

#[test]
fn d7_a_pool_whose_workers_are_all_dead_counts_as_long_as_it_will_replace_them() {
    in_system(|| async {
        let queue = backlog(0..0);
        let producer = queue.producer().unwrap();
        let (pool, mut crew) = waits_for_its_restart(here(&queue), &queue).await;
        queue.seal();
        producer.try_put(1).unwrap();
        assert_eq!((queue.state(), queue.snapshot().pools), (State::Sealed, 1));
        drop(producer);
        assert_eq!((queue.state(), queue.len()), (State::Draining, 1));
        pool.resize(2).unwrap();
        crew.item().await.1.ack();
        assert_eq!(queue.drained().await.outcome, Outcome::Complete);
    });
}

#[test]
fn a6_a_worker_that_waits_for_its_restart_does_not_keep_the_pool_from_ending() {
    in_system(|| async {
        let queue = backlog(0..0);
        let (pool, mut crew) = waits_for_its_restart(here(&queue), &queue).await;
        queue.seal();
        let report = pool.drained().await.unwrap();
        assert_eq!((report.drained.outcome, report.totals.deaths), (Outcome::Complete, 1));
        assert_eq!(crew.told().await, (0, report.drained)); // its replacement inherits its turn
    });
}

#[test]
fn a6_one_that_waits_for_its_restart_while_others_hear_of_the_end_does_not_either() {
    in_system(|| async {
        let queue = backlog(0..0);
        let (pool, mut crew) = waits_for_its_restart(here(&queue), &queue).await;
        pool.resize(2).unwrap();
        crew.birth().await;
        drop(queue.abort());
        assert_eq!(pool.drained().await.unwrap().drained.outcome, Outcome::Aborted);
    });
}

#[test]
fn a6_a_factory_that_always_panics_does_not_keep_the_pool_from_ending() {
    in_system(|| async {
        let queue = backlog(0..0);
        let factory = |_| -> Worker { panic!("never") };
        let pool = here(&queue).workers(2).restart_backoff(SOON).start(factory).unwrap();
        queue.seal();
        let report = pool.drained().await.unwrap();
        assert_eq!((report.drained.outcome, report.totals.acked), (Outcome::Complete, 0));
    });
}

/// Whoever ends the queue, and whether there was something left to do.
#[test]
fn a6_a_factory_that_always_panics_does_not_outlive_an_abort_or_a_shutdown() {
    for (shut_down, backoff) in [(false, SOON), (false, LATE), (true, SOON), (true, LATE)] {
        in_system(move || async move {
            let queue = backlog_in_memory(0..1);
            let (tell, mut told) = futures::channel::mpsc::unbounded();
            let factory = move |_| -> Worker {
                let _ = tell.unbounded_send(());
                panic!("the database is away")
            };
            let pool = here(&queue).workers(1).restart_backoff(backoff).start(factory).unwrap();
            futures::StreamExt::next(&mut told).await.unwrap();
            let left = if shut_down { queue.shutdown(Duration::ZERO).await.left } else { queue.abort() };
            assert_eq!(left, [0]);
            let report = pool.drained().await.unwrap();
            assert_eq!((report.drained.outcome, report.totals.acked), (Outcome::Aborted, 0));
        });
    }
}

/// Nobody needs its replacement any more.
#[test]
fn a6_a_worker_that_dies_of_the_last_item_does_not_keep_the_pool_from_ending() {
    in_system(|| async {
        let queue = backend::build(backend::builder().max_attempts(1));
        queue.producer().unwrap().try_put(1).unwrap();
        let poisoned = does(|_, item: Item<u32>| panic!("with {}", *item));
        let pool = here(&queue).workers(1).restart_backoff(LATE).start(poisoned).unwrap();
        queue.seal();
        let report = pool.drained().await.unwrap();
        assert_eq!((report.drained.outcome, report.totals.deaths), (Outcome::Complete, 1));
    });
}

/// It dies before it hears of the end.
#[test]
fn a6_a_worker_that_dies_after_the_end_is_replaced_at_once_to_hear_of_it() {
    in_system(|| async {
        let queue = backlog(0..0);
        let (factory, mut crew) = crew();
        let pool = here(&queue).workers(1).restart_backoff(LATE).start(factory).unwrap();
        let worker = crew.birth().await;
        until(|| queue.snapshot().waiting_gets == 1).await;
        worker.panics(); // in its mailbox, which comes before its work
        drop(queue.abort());
        let report = pool.drained().await.unwrap();
        assert_eq!((report.drained.outcome, report.totals.deaths), (Outcome::Aborted, 1));
        assert_eq!(crew.told().await, (0, report.drained));
        assert_eq!(crew.birth().await.index, 0);
        crew.gone().await;
    });
}
