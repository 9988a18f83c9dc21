//! A pool that gives up: with an error that says why, and the items where they belong (A6, D7).

use std::time::Duration;

use actix_iterable_queue::error::{Death, PoolError, PoolFailure, PutError, Refusal};
use actix_iterable_queue::prelude::*;
use actix_iterable_queue::{State, WorkerPoolBuilder};
use futures::FutureExt;
use futures::future::{Either, select};
use support::actors::{backlog, backlog_in_memory, in_system, quiet, until};
use support::backend;
use support::crew;
use support::crew::{HOUR, LATE, SOON, crew, does, here};

fn gave_up(worker: &str, message: &str) -> PoolFailure {
    PoolFailure::GaveUp { worker: worker.to_owned(), death: Death::Panicked(message.to_owned()) }
}

#[test]
fn a6_past_the_limit_the_pool_gives_up_and_says_why() {
    in_system(|| async {
        let queue = backlog_in_memory(0..6);
        let producer = queue.producer().unwrap();
        let pool = here(&queue)
            .name("fetch")
            .workers(1)
            .restart_limit(2, HOUR)
            .restart_backoff(SOON)
            .start(does(|_, item| {
                if *item == 2 {
                    panic!("bad at attempt {}", item.attempt());
                }
                item.ack();
            }))
            .unwrap();
        let other = pool.clone();
        let failure = pool.drained().await.unwrap_err();
        assert_eq!(failure, gave_up("fetch-0", "bad at attempt 3"));
        let text = failure.to_string();
        assert!(text.contains("fetch-0") && text.contains("it panicked: bad at attempt 3"), "{text}");

        assert_eq!((queue.state(), queue.drained().await.outcome), (State::Aborted, Outcome::Aborted));
        assert_eq!(producer.put(7).await, Err(PutError::new(7, Refusal::Aborted)));
        let totals = queue.snapshot().totals;
        assert_eq!((totals.accepted, totals.acked, totals.discarded), (6, 2, 4));
        assert_eq!(other.take_left(), [2, 3, 4, 5]);
        assert_eq!(pool.take_left(), [0; 0]);
        // And again, as often as one likes.
        assert_eq!(pool.drained().await.unwrap_err(), failure);
        drop(pool);
        assert_eq!(other.drained().await.unwrap_err(), failure);
        assert!(matches!(other.resize(2), Err(PoolError::Ended)));
    });
}

#[test]
fn a6_the_limit_is_over_all_workers_together() {
    in_system(|| async {
        let queue = backlog(0..0);
        let (factory, mut crew) = crew();
        let builder = here(&queue).workers(3).restart_limit(2, HOUR).restart_backoff(LATE);
        let pool = builder.start(factory).unwrap();
        let births = crew.births(3).await;
        for (index, left) in [(1, 2), (0, 1)] {
            births[index].panics();
            until(|| queue.snapshot().consumers.len() == left).await;
        }
        quiet().await;
        assert!(pool.drained().now_or_never().is_none());
        births[2].panics();
        assert_eq!(pool.drained().await.unwrap_err(), gave_up("worker-2", "the test wants it to die"));
        crew.gone().await; // nor has anybody been told: all were dead
    });
}

#[test]
fn a6_a_limit_of_no_restarts_gives_up_with_the_first_death() {
    in_system(|| async {
        let queue = backlog_in_memory(0..1);
        let (factory, mut crew) = crew();
        let pool = here(&queue).workers(2).restart_limit(0, HOUR).start(factory).unwrap();
        let births = crew.births(2).await;
        let (holder, item) = crew.item().await;
        births[1 - holder].run(|worker, _| panic!("{} dies", worker.index));
        let (told, drained) = crew.told().await;
        assert_eq!((told, drained.outcome), (holder, Outcome::Aborted));
        let death = format!("{} dies", 1 - holder);
        assert_eq!(pool.drained().await.unwrap_err(), gave_up(&format!("worker-{}", 1 - holder), &death));
        item.ack(); // that counts, after the end, too
        assert_eq!((queue.snapshot().totals.acked, pool.take_left()), (1, vec![]));
        crew.gone().await;
    });
}

#[test]
fn a6_what_workers_held_when_the_pool_gave_up_is_left_too() {
    in_system(|| async {
        let queue = backlog_in_memory(0..2);
        let (factory, mut crew) = crew();
        let pool = here(&queue).workers(2).max_in_flight(1).restart_limit(0, HOUR).start(factory).unwrap();
        drop(queue); // the pool's handles are enough
        let births = crew.births(2).await;
        let (holder, held) = crew.item().await;
        let (_, other) = crew.item().await;
        births[1 - holder].panics();
        crew.told().await;
        let (mut expected, first) = (vec![*held, *other], *held);
        held.reject("after the end");
        drop(other);
        pool.drained().await.unwrap_err();
        let left = pool.take_left();
        expected.sort_unstable_by_key(|item| *item != first);
        assert_eq!((left, pool.take_left()), (expected, vec![]));
        crew.gone().await;
    });
}

#[test]
fn a6_deaths_that_are_long_past_do_not_count() {
    in_system(|| async {
        let queue = backend::build(backend::builder().max_attempts(1000));
        queue.producer().unwrap().try_put(0).unwrap();
        let builder = here(&queue).workers(1).restart_limit(1, Duration::ZERO).restart_backoff(SOON);
        let pool = builder.start(does(|_, item| {
            assert!(item.attempt() > 10, "not yet");
            item.ack();
        }));
        queue.seal();
        assert_eq!(pool.unwrap().drained().await.unwrap().totals.deaths, 10);
    });
}

#[test]
fn a6_a_worker_that_leaves_as_told_is_not_a_death() {
    in_system(|| async {
        let queue = backlog(0..0);
        let (factory, mut crew) = crew();
        let pool = here(&queue).workers(2).restart_limit(0, HOUR).start(factory).unwrap();
        crew.births(2).await;
        pool.resize(1).unwrap();
        until(|| queue.snapshot().consumers.len() == 1).await;
        queue.seal();
        assert_eq!(pool.drained().await.unwrap().totals.deaths, 0);
        assert_eq!(crew.told().await.0, 0);
        crew.gone().await;
    });
}

#[test]
fn a6_left_are_first_the_items_that_came_back() {
    in_system(|| async {
        let queue = backlog_in_memory(0..5);
        let (factory, mut crew) = crew();
        let pool = here(&queue).workers(2).restart_limit(0, HOUR).start(factory).unwrap();
        let births = crew.births(2).await;
        let ((first, one), (second, other)) = (crew.item().await, crew.item().await);
        births[second].run(move |_, _| panic!("with {}", *other));
        assert_eq!(pool.drained().await.unwrap_err(), gave_up(&format!("worker-{second}"), "with 1"));
        assert_eq!(pool.take_left(), [1, 2, 3, 4]);
        assert_eq!((*one, first), (0, 1 - second)); // the other one finishes what it has
        one.ack();
        assert_eq!(queue.snapshot().totals.acked, 1);
    });
}

#[test]
fn a6_told_to_keep_the_queue_it_leaves_it_to_others() {
    in_system(|| async {
        let queue = backlog_in_memory(0..5);
        let (factory, mut crew) = crew();
        let pool = here(&queue).workers(2).restart_limit(0, HOUR).keep_queue().start(factory).unwrap();
        let births = crew.births(2).await;
        let ((first, one), (second, other)) = (crew.item().await, crew.item().await);
        births[second].run(move |_, _| panic!("with {}", *other));
        until(|| queue.snapshot().consumers.len() == 1).await;
        quiet().await;
        assert!(pool.drained().now_or_never().is_none(), "not before the other one has settled what it has");
        one.ack();
        // There is always more to do, and yet the other one leaves.
        let producer = queue.producer().unwrap();
        let mut ended = pool.drained().boxed();
        let failure = loop {
            match select(ended, crew.item().boxed_local()).await {
                Either::Left((result, _)) => break result.unwrap_err(),
                Either::Right(((_, item), drained)) => {
                    producer.try_put(*item + 4).unwrap();
                    item.ack();
                    ended = drained;
                }
            }
        };
        assert_eq!(failure, gave_up(&format!("worker-{second}"), "with 1"));
        assert_eq!((first, births[first].addr.connected()), (1 - second, false));
        crew.gone().await; // nobody was told anything

        assert_eq!((queue.state(), pool.take_left()), (State::Open, vec![]));
        assert_eq!((queue.snapshot().pools, queue.snapshot().consumers.len()), (0, 0));
        assert!(matches!(pool.resize(2), Err(PoolError::Ended)));
        let mut consumer = queue.consumer().unwrap();
        drop((queue, producer));
        let mut rest = Vec::new();
        while let Some(item) = consumer.get().await {
            rest.push(item);
        }
        assert!(rest.len() == 4 && rest.is_sorted(), "{rest:?}");
    });
}

/// Its last worker is still at work.
#[test]
fn a6_a_pool_that_gave_up_is_not_resized_any_more() {
    in_system(|| async {
        let queue = backlog(0..1);
        let (factory, mut crew) = crew();
        let pool = here(&queue).workers(2).restart_limit(0, HOUR).keep_queue().start(factory).unwrap();
        let births = crew.births(2).await;
        let (holder, item) = crew.item().await;
        births[1 - holder].panics();
        until(|| queue.snapshot().pools == 0).await;
        assert!(matches!(pool.resize(4), Err(PoolError::Ended)));
        assert!(pool.drained().now_or_never().is_none());
        item.ack();
        assert!(matches!(pool.drained().await, Err(PoolFailure::GaveUp { .. })));
        assert_eq!(queue.state(), State::Open);
        crew.gone().await;
    });
}

#[test]
fn d7_a_pool_that_gave_up_counts_no_more() {
    for others in [false, true] {
        in_system(move || async move {
            let queue = backlog_in_memory(0..2);
            let consumer = others.then(|| queue.consumer().unwrap());
            let producer = queue.producer().unwrap();
            queue.seal();
            let sealed = WorkerPool::builder(&queue).workers(1).start(does(|_, item| item.ack()));
            assert!(matches!(sealed, Err(PoolError::Sealed)));
            drop(consumer);
            assert_eq!(producer.put(2).await, Err(PutError::new(2, Refusal::Abandoned)));
        });
        in_system(move || async move {
            let queue = backlog_in_memory(0..2);
            let consumer = others.then(|| queue.consumer().unwrap());
            let producer = queue.producer().unwrap();
            let builder = here(&queue).workers(1).restart_limit(0, HOUR).keep_queue();
            let pool = builder.start(does(|_, item| panic!("with {}", *item))).unwrap();
            queue.seal();
            producer.try_put(2).unwrap();
            assert_eq!(pool.drained().await.unwrap_err(), gave_up("worker-0", "with 0"));
            assert_eq!(queue.snapshot().pools, 0);
            if let Some(mut consumer) = consumer {
                producer.put(3).await.unwrap();
                assert_eq!([0; 4].map(|_| consumer.try_get().unwrap()), [0, 1, 2, 3]);
            } else {
                assert_eq!(producer.put(3).await, Err(PutError::new(3, Refusal::Abandoned)));
                drop(producer);
                assert_eq!(queue.drained().await.outcome, Outcome::Abandoned);
            }
        });
    }
}

/// Nobody else is there who could take what is left: it must not be dropped as abandoned.
async fn hands_all_of_it_out(start: impl FnOnce(WorkerPoolBuilder<u32>) -> WorkerPool<u32>) {
    let queue = backlog_in_memory(0..4);
    let pool = start(here(&queue).workers(1).restart_limit(0, HOUR));
    queue.seal();
    assert!(pool.drained().await.is_err());
    assert_eq!((queue.drained().await.outcome, pool.take_left()), (Outcome::Aborted, vec![0, 1, 2, 3]));
    assert_eq!(pool.workers()[0].totals.deaths, 1);
}

#[test]
fn d8_what_is_left_is_handed_out_though_the_only_worker_is_dead() {
    in_system(|| hands_all_of_it_out(|pool| pool.start(does(|_, item| panic!("with {}", *item))).unwrap()));
}

#[test]
fn d8_what_is_left_is_handed_out_though_no_worker_ever_lived() {
    in_system(|| hands_all_of_it_out(|pool| pool.start(|_| -> crew::Worker { panic!("no config") }).unwrap()));
}
