//! Pools that shrink, grow, pause and go on under load, with deaths in between (A6, C5, C6).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use actix::prelude::*;
use actix_iterable_queue::IterableQueue;
use actix_iterable_queue::error::PoolError;
use actix_iterable_queue::prelude::*;
use support::actors::{in_system, quiet, until};
use support::backend;
use support::faults::{Faulty, Moment, Plan, Threads, assert_all_ended, assert_each_once, fail, read_all};

/// Puts numbers until it is enough, and returns how many there were.
fn puts(producer: Producer<u32>, enough: Arc<AtomicBool>) -> thread::JoinHandle<u32> {
    thread::spawn(move || {
        let mut n = 0;
        while !enough.load(SeqCst) || n < 2000 {
            producer.blocking_put(n).expect("a pool is there");
            n += 1;
        }
        n
    })
}

/// Just these places are filled.
fn has_size(queue: &IterableQueue<u32>, size: usize) -> bool {
    let mut names: Vec<_> = queue.snapshot().consumers.into_iter().map(|seen| seen.name).collect();
    names.sort_unstable();
    let mut expected: Vec<_> = (0..size).map(|place| format!("worker-{place}")).collect();
    expected.sort_unstable();
    names == expected
}

#[test]
fn a6_shrunk_to_one_and_grown_to_64_under_load_every_item_is_done_once() {
    for dies in [false, true] {
        in_system(move || async move {
            let queue = backend::build(backend::builder().capacity(64).max_attempts(1000));
            let mut dead = queue.dead_letters().unwrap();
            let threads = Threads::default();
            let sign = threads.clone();
            let plan = Plan::new(move |actor: &mut Faulty<u32>, item: Item<u32>, ctx| {
                sign.enter();
                if dies && item.is_multiple_of(97) && item.attempt() == 1 {
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
            let pool = WorkerPool::builder(&queue).workers(4).max_in_flight(2);
            let pool = pool.start(move |place| Faulty::new(&workers, place)).unwrap();
            let enough = Arc::new(AtomicBool::new(false));
            let putting = puts(queue.producer().unwrap(), Arc::clone(&enough));
            queue.seal();
            for round in 0..4 {
                for size in [1, 64, 3] {
                    pool.resize(size).unwrap();
                    // Now and then those who are to leave are wanted again before they have left.
                    if round % 2 == 1 || size == 64 {
                        until(|| has_size(&queue, size)).await;
                    }
                }
            }
            enough.store(true, SeqCst);
            let items = putting.join().unwrap();
            let report = pool.drained().await.unwrap();
            assert_eq!(threads.alive(), 0, "every arbiter is joined");
            assert_all_ended(&report.drained);
            assert_each_once(0..items, [plan.acked_numbers()]);
            assert!(read_all(&mut dead).is_empty());
            let totals = report.totals;
            assert_eq!((totals.acked, totals.taken), (u64::from(items), 0));
            assert_eq!(totals.failed, report.drained.totals.redelivered);
            assert_eq!(totals.deaths > 0, dies);
            // Those that left are told nothing, those that stay are told once.
            assert_eq!(plan.drained(), [0, 1, 2].map(|place| (place, Outcome::Complete)));
            assert_eq!(plan.count(Moment::Made), plan.count(Moment::Dropped));
            assert!(matches!(pool.resize(5), Err(PoolError::Ended)));
        });
    }
}

#[test]
fn a6_paused_and_resumed_under_load_every_item_is_done_once() {
    in_system(|| async {
        let queue = backend::build(backend::builder().max_attempts(1000));
        let plan = Plan::new(|actor: &mut Faulty<u32>, item: Item<u32>, _| {
            if item.is_multiple_of(50) && item.attempt() == 1 {
                fail("the handler");
            }
            actor.done(item);
        });
        let workers = Arc::clone(&plan);
        let pool = WorkerPool::builder(&queue).workers(3).start(move |place| Faulty::new(&workers, place)).unwrap();
        let producer = queue.producer().unwrap();
        for round in 0..20_u32 {
            pool.pause();
            // Also those who come while it is paused, as replacements or because it grows, take nothing.
            let size = 1 + round as usize % 4;
            pool.resize(size).unwrap();
            until(|| {
                let seen = queue.snapshot();
                seen.leased == 0 && has_size(&queue, size) && seen.consumers.iter().all(|seen| seen.paused)
            })
            .await;
            let done = queue.snapshot().totals.acked;
            for n in 0..100 {
                producer.try_put(round * 100 + n).unwrap();
            }
            quiet().await;
            let seen = queue.snapshot();
            // A worker that was about to take as the pause came may have taken one.
            let workers = seen.consumers.iter().filter(|seen| seen.open).count() as u64;
            assert!(seen.totals.acked <= done + workers, "{} are done while it is paused", seen.totals.acked - done);
            pool.resume();
            if round % 2 == 0 {
                until(|| queue.snapshot().totals.acked > done).await;
            }
        }
        drop(producer);
        queue.seal();
        let report = pool.drained().await.unwrap();
        assert_all_ended(&report.drained);
        assert_each_once(0..2000, [plan.acked_numbers()]);
        assert_eq!((report.totals.acked, report.totals.deaths), (2000, 40));
        assert_eq!(report.totals.failed, 40);
    });
}

/// They take nothing more, but they hear of it.
#[test]
fn d8_a_paused_pool_hears_of_an_abort_and_ends() {
    in_system(|| async {
        let queue = backend::unbounded::<u32>();
        let plan = Plan::good();
        let workers = Arc::clone(&plan);
        let pool = WorkerPool::builder(&queue).workers(3).start(move |place| Faulty::new(&workers, place)).unwrap();
        pool.pause();
        until(|| queue.snapshot().consumers.iter().all(|seen| seen.paused)).await;
        let producer = queue.producer().unwrap();
        (0..10).for_each(|n| producer.try_put(n).unwrap());
        quiet().await;
        backend::assert_left(queue.abort(), Vec::from_iter(0..10));
        let report = pool.drained().await.unwrap();
        assert_all_ended(&report.drained);
        assert_eq!(plan.drained(), [0, 1, 2].map(|place| (place, Outcome::Aborted)));
    });
}
