//! Pools that are paused, and go on.

use actix_iterable_queue::prelude::*;
use futures::FutureExt;
use support::actors::{backlog, in_system, quiet, until};
use support::backend;
use support::crew;
use support::crew::{Crew, SOON, crew, here};

/// Two workers on this thread that wait in line.
async fn idle(queue: &IterableQueue<u32>) -> (WorkerPool<u32>, Crew) {
    let (factory, mut crew) = crew();
    let pool = here(queue).workers(2).start(factory).expect("nothing is against it");
    crew.births(2).await;
    until(|| queue.snapshot().waiting_gets == 2).await;
    (pool, crew)
}

#[test]
fn a_paused_pool_takes_nothing_until_it_goes_on() {
    in_system(|| async {
        let queue = backlog(0..0);
        let producer = queue.producer().unwrap();
        let (pool, mut crew) = idle(&queue).await;
        pool.pause();
        for n in 0..3 {
            producer.try_put(n).unwrap();
            crew.no_item().await;
        }
        assert_eq!((queue.len(), queue.snapshot().leased), (3, 0));
        pool.pause(); // once more changes nothing
        crew.no_item().await;
        pool.resume();
        let [one, other] = [crew.item().await, crew.item().await];
        assert_eq!((*one.1, *other.1), (0, 1));
        assert_ne!(one.0, other.0);
        one.1.ack();
        other.1.ack();
        crew.item().await.1.ack();
        crew.no_birth().await; // they are the same as before
        drop(producer);
        queue.seal();
        assert_eq!(pool.drained().await.unwrap().totals.acked, 3);
    });
}

#[test]
fn d11_paused_workers_leave_their_place_in_line_to_others() {
    in_system(|| async {
        let queue = backlog(0..0);
        let producer = queue.producer().unwrap();
        let (pool, mut crew) = idle(&queue).await;
        let mut other = queue.consumer().unwrap();
        let get = tokio::task::spawn_local(async move { other.get().await });
        until(|| queue.snapshot().waiting_gets == 3).await; // behind both of them, and asleep
        pool.pause();
        quiet().await;
        producer.try_put(1).unwrap();
        assert_eq!(get.await.unwrap(), Some(1));
        crew.no_item().await;
    });
}

/// The item was for one of the workers, who has not looked yet.
#[test]
fn d11_a_worker_paused_after_it_was_woken_passes_that_on() {
    in_system(|| async {
        let queue = backlog(0..0);
        let producer = queue.producer().unwrap();
        let (pool, mut crew) = idle(&queue).await;
        let mut other = queue.consumer().unwrap();
        let get = tokio::task::spawn_local(async move { other.get().await });
        until(|| queue.snapshot().waiting_gets == 3).await;
        producer.try_put(1).unwrap();
        pool.pause();
        assert_eq!(get.await.unwrap(), Some(1));
        crew.no_item().await;
    });
}

#[test]
fn a_pool_that_is_paused_at_once_takes_nothing() {
    in_system(|| async {
        let queue = backlog(0..2);
        let (factory, mut crew) = crew();
        let pool = here(&queue).workers(2).start(factory).unwrap();
        pool.pause(); // they have no turn before this
        crew.births(2).await;
        crew.no_item().await;
        pool.resume();
        crew.item().await.1.ack();
        crew.item().await.1.ack();
    });
}

#[test]
fn paused_workers_finish_what_they_hold() {
    in_system(|| async {
        let queue = backlog(0..4);
        let (factory, mut crew) = crew();
        let pool = here(&queue).workers(1).max_in_flight(2).start(factory).unwrap();
        let [one, other] = [crew.item().await.1, crew.item().await.1];
        pool.pause();
        one.ack();
        crew.no_item().await;
        other.ack();
        crew.no_item().await;
        backend::soon(|| (queue.snapshot().totals.acked, queue.len()), (2, 2));
        pool.resume();
        assert_eq!((*crew.item().await.1, *crew.item().await.1), (2, 3));
    });
}

/// It goes to and fro while its workers look or do not look.
#[test]
fn a_pool_that_goes_on_misses_nothing() {
    in_system(|| async {
        let queue = backend::bounded(4);
        let pool = WorkerPool::builder(&queue).workers(3).start(crew::acks()).unwrap();
        let producer = queue.producer().unwrap();
        let handle = pool.clone();
        let pauses = std::thread::spawn(move || {
            for _ in 0..500 {
                handle.pause();
                std::thread::yield_now();
                handle.resume();
            }
        });
        producer.put_all(0..2000).await.unwrap();
        drop(producer);
        queue.seal();
        assert_eq!(pool.drained().await.unwrap().totals.acked, 2000);
        pauses.join().unwrap();
    });
}

#[test]
fn paused_workers_hear_of_the_end() {
    in_system(|| async {
        let queue = backlog(0..0);
        let producer = queue.producer().unwrap();
        let (pool, mut crew) = idle(&queue).await;
        let mut other = queue.consumer().unwrap();
        pool.pause();
        producer.try_put(1).unwrap();
        drop(producer);
        queue.seal();
        quiet().await;
        assert!(pool.drained().now_or_never().is_none());
        assert_eq!(other.get().await, Some(1));
        let mut told = [crew.told().await, crew.told().await];
        told.sort_by_key(|(index, _)| *index);
        assert_eq!(told.map(|(index, drained)| (index, drained.outcome)), [0, 1].map(|n| (n, Outcome::Complete)));
        assert_eq!(pool.drained().await.unwrap().totals.acked, 0);
        crew.gone().await;
    });
}

#[test]
fn d8_paused_workers_hear_of_an_abort_with_items_in_hand_or_without() {
    in_system(|| async {
        let queue = backlog(0..1);
        let (pool, mut crew) = {
            let (factory, crew) = crew();
            (here(&queue).workers(2).start(factory).unwrap(), crew)
        };
        let (_, in_hand) = crew.item().await;
        quiet().await;
        pool.pause();
        quiet().await;
        drop(queue.abort());
        for _ in 0..2 {
            assert_eq!(crew.told().await.1.outcome, Outcome::Aborted);
        }
        assert_eq!(pool.drained().await.unwrap().drained.outcome, Outcome::Aborted);
        in_hand.ack();
        crew.births(2).await;
        crew.gone().await;
    });
}

#[test]
fn blockers_and_snapshots_say_that_workers_are_paused() {
    in_system(|| async {
        let queue = backlog(0..0);
        let (pool, mut crew) = idle(&queue).await;
        let paused = || queue.snapshot().consumers.iter().map(|consumer| consumer.paused).collect::<Vec<_>>();
        assert_eq!(paused(), [false, false]);
        pool.pause();
        assert_eq!(paused(), [true, true]);
        queue.producer().unwrap().try_put(1).unwrap();
        let blockers = || queue.snapshot().blockers().to_string();
        assert!(blockers().contains("1 item buffered for 0 consumers, and 2 paused"), "{}", blockers());
        let consumer = queue.consumer().unwrap();
        assert!(blockers().contains("1 item buffered for 1 consumer, and 2 paused"), "{}", blockers());
        drop(consumer);
        pool.resume();
        crew.item().await.1.ack();
        assert_eq!(paused(), [false, false]);
        assert!(!blockers().contains("paused"), "{}", blockers());
    });
}

#[test]
fn a6_replacements_and_workers_that_join_begin_paused() {
    in_system(|| async {
        let queue = backlog(0..0);
        let (factory, mut crew) = crew();
        let pool = here(&queue).workers(1).restart_backoff(SOON).start(factory).unwrap();
        let first = crew.birth().await;
        pool.pause();
        queue.producer().unwrap().put_all(0..2).await.unwrap();
        first.panics();
        assert_eq!(crew.birth().await.index, 0);
        pool.resize(2).unwrap();
        assert_eq!(crew.birth().await.index, 1);
        crew.no_item().await;
        assert!(queue.snapshot().consumers.iter().all(|consumer| consumer.paused));
        pool.resume();
        let [one, other] = [crew.item().await, crew.item().await];
        assert_ne!(one.0, other.0);
    });
}

#[test]
fn d7_a_paused_pool_counts_and_its_queue_is_not_abandoned() {
    in_system(|| async {
        let queue = backlog(0..0);
        let producer = queue.producer().unwrap();
        let (pool, mut crew) = idle(&queue).await;
        pool.pause();
        queue.seal();
        producer.try_put(1).unwrap();
        drop(producer);
        crew.no_item().await;
        pool.resize(1).unwrap(); // they may leave while they are paused
        until(|| queue.snapshot().consumers.len() == 1).await;
        pool.resume();
        crew.item().await.1.ack();
        assert_eq!(pool.drained().await.unwrap().drained.outcome, Outcome::Complete);
    });
}
