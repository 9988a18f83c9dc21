//! Pools that answer asks (D13). In memory only.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use actix_iterable_queue::prelude::*;
use support::actors::in_system;
use support::{assert_conserved, faults};

type Squares = Ask<u64, u64>;

#[test]
fn d13_each_of_10_000_asks_is_answered_or_told_why_not() {
    const ASKERS: u64 = 8;
    const ASKS: u64 = 10_000 / ASKERS;
    in_system(|| async {
        faults::silence();
        let queue = IterableQueue::<Squares>::builder().capacity(16).max_attempts(2).build().unwrap();
        let calls = Arc::new(AtomicU64::new(0));
        let pool = WorkerPool::builder(&queue).workers(3).run({
            let calls = Arc::clone(&calls);
            move |ask: &Item<Squares>| {
                calls.fetch_add(1, SeqCst);
                // Half of one percent panics once, and half of it each time.
                match (ask.job() % 200, ask.attempt()) {
                    (0, _) => faults::fail("poison"),
                    (1, 1) => faults::fail("bad luck"),
                    _ => ask.answer(ask.job() * ask.job()),
                }
            }
        });
        let pool = pool.unwrap();
        let askers: Vec<_> = (0..ASKERS)
            .map(|asker| {
                let producer = queue.producer().unwrap();
                thread::spawn(move || {
                    for n in asker * ASKS..(asker + 1) * ASKS {
                        match producer.blocking_ask(n) {
                            Ok(square) => assert!(square == n * n && n % 200 != 0),
                            Err(AskError::DeadLetter(letter)) => {
                                assert_eq!((letter.attempts, n % 200), (2, 0));
                                assert!(letter.panic.unwrap().contains("poison"));
                            }
                            Err(other) => panic!("{n}: {other:?}"),
                        }
                    }
                })
            })
            .collect();
        queue.seal();
        let drained = pool.drained().await.unwrap().drained;
        askers.into_iter().for_each(|asker| asker.join().unwrap());
        assert_eq!((drained.totals.acked, drained.totals.dead_lettered), (9_950, 50));
        assert_eq!(calls.load(SeqCst), 10_000 + 50 + 50);
        assert_conserved(&queue);
    });
}

#[test]
fn d13_a_function_that_waits_answers_and_one_that_takes_too_long_is_told() {
    in_system(|| async {
        let queue = IterableQueue::<Ask<bool, &str>>::builder().max_attempts(1).build().unwrap();
        let pool = WorkerPool::builder(&queue).workers(1).handler_timeout(Duration::from_millis(1));
        let pool = pool.run_async(async |ends: &Item<Ask<bool, &str>>| {
            if !*ends.job() {
                std::future::pending::<()>().await;
            }
            ends.answer("done");
        });
        let pool = pool.unwrap();
        let producer = queue.producer().unwrap();
        queue.seal();
        let Err(AskError::DeadLetter(letter)) = producer.ask(false).await else { panic!("it has no end") };
        assert!(letter.error.is_some_and(|error| error.contains("1 ms") || error.contains("1ms")));
        assert_eq!(producer.ask(true).await, Ok("done"));
        drop(producer);
        pool.drained().await.unwrap();
    });
}

#[test]
fn d13_a_function_that_forgets_to_answer_is_told() {
    in_system(|| async {
        let queue = IterableQueue::<Squares>::unbounded();
        let pool = WorkerPool::builder(&queue).workers(1).run(|_: &Item<Squares>| ()).unwrap();
        let producer = queue.producer().unwrap();
        queue.seal();
        assert_eq!(producer.ask(7).await, Err(AskError::Unanswered));
        drop(producer);
        pool.drained().await.unwrap();
    });
}

/// Past its restart limit the pool aborts the queue, and what waits there is told.
#[test]
fn d13_the_askers_of_a_pool_that_gives_up_are_told() {
    in_system(|| async {
        faults::silence();
        let queue = IterableQueue::<Squares>::builder().max_attempts(9).build().unwrap();
        let pool = WorkerPool::builder(&queue).workers(1).restart_limit(0, Duration::from_secs(3600));
        let pool = pool.run(|_: &Item<Squares>| -> () { faults::fail("always") }).unwrap();
        let producer = queue.producer().unwrap();
        let (first, second) = futures::join!(producer.ask(1), producer.ask(2));
        assert_eq!([&first, &second], [&Err(AskError::Ended(Outcome::Aborted)); 2]);
        assert!(pool.drained().await.is_err());
        assert!(!pool.take_left().is_empty());
    });
}
