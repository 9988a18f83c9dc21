//! Arbiters and systems that stop under a pool: nobody's fault, and nobody works on (A6).

use actix::prelude::*;
use actix_iterable_queue::State;
use actix_iterable_queue::error::{Death, PoolFailure};
use actix_iterable_queue::prelude::*;
use futures::executor::block_on;
use support::actors::{backlog, in_system};
use support::crew::{HOUR, acks, crew};
use support::{until, within_watchdog};

#[test]
fn a6_the_end_of_an_arbiter_does_not_count_under_the_restart_limit() {
    in_system(|| async {
        let queue = backlog(0..0);
        let (factory, mut crew) = crew();
        let builder = WorkerPool::builder(&queue).workers(1).restart_limit(0, HOUR);
        let pool = builder.start(factory).unwrap();
        for _ in 0..3 {
            crew.birth().await.run(|_, _| {
                Arbiter::current().stop();
            });
        }
        crew.birth().await;
        queue.seal();
        let report = pool.drained().await.unwrap();
        assert_eq!(report.totals.deaths, 3);
        assert_eq!(report.workers[0].last_death, Some(Death::ArbiterStopped));
    });
}

/// It stops the arbiters of the workers one by one, and the pool's own among them.
#[test]
fn a6_a_system_that_stops_does_not_have_the_pool_give_up() {
    within_watchdog(|| {
        for _ in 0..50 {
            let queue = backlog(0..1);
            let system = System::new();
            let pool = system.block_on(async {
                let pool = WorkerPool::builder(&queue).workers(8).restart_limit(0, HOUR).start(acks()).unwrap();
                pool.pause();
                System::current().stop();
                pool
            });
            system.run().unwrap();
            assert_eq!(block_on(pool.drained()), Err(PoolFailure::Stopped));
            assert_eq!((queue.state(), queue.snapshot().pools), (State::Open, 0));
        }
    });
}

/// Their arbiter goes on, in a system that knows nothing of it.
#[test]
fn a6_workers_in_another_system_leave_when_that_of_their_pool_stops() {
    within_watchdog(|| {
        let other = System::new();
        let given = other.block_on(async { Arbiter::new() });
        let queue = backlog(0..0);
        let producer = queue.producer().unwrap();
        let (factory, mut crew) = crew();
        let system = System::new();
        let pool = system.block_on(async {
            let pool = WorkerPool::builder(&queue).workers(2).arbiters([given.handle()]).start(factory).unwrap();
            drop(crew.births(2).await);
            System::current().stop();
            pool
        });
        system.run().unwrap();
        assert_eq!(block_on(pool.drained()), Err(PoolFailure::Stopped));
        producer.try_put(1).unwrap();
        block_on(crew.gone()); // and none has been handed anything
        // Over Redis a report may count it before its put is confirmed.
        until(|| queue.snapshot().buffered == 1);
        assert_eq!(queue.snapshot().consumers.len(), 0);
        given.stop();
        given.join().unwrap();
    });
}
