//! The end of a pool: who is told, what is reported, and who may wait for it (C5).

use std::thread;
use std::time::Duration;

use actix::prelude::*;
use actix_iterable_queue::State;
use actix_iterable_queue::error::PoolFailure;
use actix_iterable_queue::prelude::*;
use futures::FutureExt;
use support::actors::{backlog, in_system, quiet, until};
use support::backend;
use support::crew::{SOON, acks, crew, here};
use support::within_watchdog;

#[test]
fn c5_each_worker_is_told_once_after_its_last_item() {
    in_system(|| async {
        let queue = backlog(0..3);
        let (factory, mut crew) = crew();
        let pool = WorkerPool::builder(&queue).workers(3).start(factory).unwrap();
        let items = [crew.item().await, crew.item().await, crew.item().await];
        queue.seal();
        quiet().await;
        assert!(pool.drained().now_or_never().is_none());
        items.into_iter().for_each(|(_, item)| item.ack());
        let report = pool.drained().await.unwrap();
        let mut told = [crew.told().await, crew.told().await, crew.told().await];
        told.sort_by_key(|(index, _)| *index);
        assert_eq!(told.each_ref().map(|(index, _)| *index), [0, 1, 2]);
        assert!(told.iter().all(|(_, drained)| *drained == report.drained));
        crew.births(3).await;
        crew.gone().await;
    });
}

#[test]
fn c6_the_report_is_exact_for_each_worker_and_for_all() {
    in_system(|| async {
        let queue = backlog(0..0);
        let producer = queue.producer().unwrap();
        let letters = queue.dead_letters().unwrap();
        let (factory, mut crew) = crew();
        let pool = here(&queue).workers(2).restart_backoff(SOON).start(factory).unwrap();
        let births = crew.births(2).await;
        let mut expected = [[0; 4]; 2]; // acked, taken, failed, deaths
        let settle: [fn(Item<u32>); 5] =
            [Item::ack, |item| assert!(item.into_inner() < 30), Item::requeue, |item| item.reject("no good"), drop];
        for n in 0..30 {
            producer.try_put(n).unwrap();
            let (worker, item) = crew.item().await;
            let how = (n as usize / 2) % settle.len();
            settle[how](item);
            expected[worker][how.min(2)] += 1;
            if [2, 4].contains(&how) {
                let (worker, item) = crew.item().await;
                item.ack();
                expected[worker][0] += 1;
            }
        }
        // One dies with an item in hand.
        producer.try_put(30).unwrap();
        let (worker, item) = crew.item().await;
        births[worker].run(move |_, _| panic!("with {}", *item));
        expected[worker][2] += 1;
        expected[worker][3] += 1;
        let (worker, item) = crew.item().await;
        item.ack();
        expected[worker][0] += 1;

        drop(producer);
        queue.seal();
        let report = pool.drained().await.unwrap();
        let counts = |totals: &actix_iterable_queue::report::WorkerTotals| {
            [totals.acked, totals.taken, totals.failed, totals.deaths]
        };
        assert_eq!(report.workers.iter().map(|worker| counts(&worker.totals)).collect::<Vec<_>>(), expected);
        let sums = [0, 1, 2, 3].map(|column| expected.iter().map(|row| row[column]).sum::<u64>());
        assert_eq!(counts(&report.totals), sums);
        let drained = &report.drained;
        assert_eq!(
            (drained.outcome, drained.totals.acked, drained.totals.taken),
            (Outcome::Complete, sums[0], sums[1])
        );
        assert_eq!(drained.totals.dead_lettered + drained.totals.redelivered, sums[2]);
        drop(letters);
    });
}

#[test]
fn handles_do_not_matter_to_the_work() {
    in_system(|| async {
        let queue = backlog(0..50);
        let end = queue.drained();
        let (factory, mut crew) = crew();
        let pool = WorkerPool::builder(&queue).workers(2).start(factory).unwrap();
        let future = pool.drained();
        drop(pool.clone());
        drop(pool.drained());
        drop((pool, queue)); // which seals the queue
        for _ in 0..50 {
            crew.item().await.1.ack();
        }
        assert_eq!(end.await.totals.acked, 50);
        assert_eq!(future.await.unwrap().totals.acked, 50);
        let told = [crew.told().await.0, crew.told().await.0];
        assert_ne!(told[0], told[1]);
        crew.births(2).await;
        crew.gone().await; // without handles the pool ends as well
    });
}

#[test]
fn c3_a_pool_and_those_who_await_it_do_not_keep_the_queue_unsealed() {
    fn is_static(future: impl Future + Send + 'static) -> impl Future + Send {
        future
    }
    in_system(|| async {
        let queue = backlog(0..0);
        let producer = queue.producer().unwrap();
        let pool = WorkerPool::builder(&queue).workers(1).start(acks()).unwrap();
        let _future = is_static(pool.drained());
        drop(queue);
        producer.try_put(1).unwrap();
        drop(producer);
        assert_eq!(pool.drained().await.unwrap().drained.outcome, Outcome::Complete);
    });
}

#[test]
fn any_number_may_wait_on_any_thread() {
    in_system(|| async {
        let queue = backlog(0..10);
        let (factory, mut crew) = crew();
        let pool = WorkerPool::builder(&queue).workers(1).start(factory).unwrap();
        let handle = pool.clone();
        let thread = thread::spawn(move || futures::executor::block_on(handle.drained()));
        let early = tokio::task::spawn_local(pool.drained());
        for _ in 0..10 {
            crew.item().await.1.ack();
        }
        queue.seal();
        let report = pool.drained().await.unwrap();
        assert_eq!(report.totals.acked, 10);
        assert_eq!(early.await.unwrap().unwrap(), report);
        assert_eq!(thread.join().unwrap().unwrap(), report);
        assert_eq!(futures::executor::block_on(pool.drained()).unwrap(), report); // and afterwards
    });
}

#[test]
fn a_system_that_stops_before_the_queue_is_done_ends_the_pool_with_an_error() {
    within_watchdog(|| {
        let queue = backlog(0..2);
        let (factory, mut crew) = crew();
        let system = System::new();
        let pool = system.block_on(async {
            let pool = WorkerPool::builder(&queue).workers(1).start(factory).unwrap();
            crew.births(1).await;
            System::current().stop();
            pool
        });
        system.run().unwrap();
        let failure = futures::executor::block_on(pool.drained()).unwrap_err();
        assert_eq!(failure, PoolFailure::Stopped);
        assert!(failure.to_string().contains("stopped"), "{failure}");
        // Nobody takes items any more, and the pool counts no more.
        let snapshot = queue.snapshot();
        assert_eq!(
            (queue.state(), snapshot.pools, snapshot.consumers.iter().filter(|c| c.open).count()),
            (State::Open, 0, 0)
        );
        drop(crew); // and with it the first item, if it was handed out
        backend::assert_left(queue.abort(), [0, 1]);
    });
}

#[test]
fn nothing_but_the_end_of_all_workers_ends_the_pool() {
    in_system(|| async {
        let queue = backlog(0..0);
        let (factory, mut crew) = crew();
        let pool = here(&queue).workers(1).start(factory).unwrap();
        crew.birth().await;
        until(|| queue.snapshot().waiting_gets == 1).await;
        assert!(pool.drained().now_or_never().is_none());
        let mut late = Box::pin(pool.drained());
        assert!(tokio::time::timeout(Duration::from_millis(1), &mut late).await.is_err()); // dropped on the way
        drop(late);
        drop(queue.abort());
        assert_eq!(pool.drained().await.unwrap().drained.outcome, Outcome::Aborted);
    });
}
