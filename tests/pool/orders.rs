//! Pools that grow and shrink at work.

use actix_iterable_queue::prelude::*;
use support::actors::{backlog, in_system, quiet, until};
use support::backend;
use support::crew::{Crew, LATE, crew, does, here};

/// Waits until so many workers are there.
async fn are_there(queue: &IterableQueue<u32>, workers: usize) {
    until(|| queue.snapshot().consumers.len() == workers).await;
}

fn names(queue: &IterableQueue<u32>) -> Vec<String> {
    queue.snapshot().consumers.into_iter().map(|consumer| consumer.name).collect()
}

#[test]
fn workers_join_while_others_are_busy() {
    in_system(|| async {
        let queue = backlog(0..3);
        let (factory, mut crew) = crew();
        let pool = WorkerPool::builder(&queue).workers(1).start(factory).unwrap();
        let (who, first) = crew.item().await;
        pool.resize(3).unwrap();
        let births = crew.births(3).await;
        assert_eq!(births.iter().map(|birth| birth.index).collect::<Vec<_>>(), [0, 1, 2]);
        let mut items = [(who, first), crew.item().await, crew.item().await];
        items.sort_by_key(|(worker, _)| *worker);
        assert_eq!(items.each_ref().map(|(worker, _)| *worker), [0, 1, 2]);
        assert_eq!(names(&queue), ["worker-0", "worker-1", "worker-2"]);
        items.into_iter().for_each(|(_, item)| item.ack());
        queue.seal();
        let report = pool.drained().await.unwrap();
        assert_eq!(report.workers.iter().map(|worker| worker.totals.acked).collect::<Vec<_>>(), [1, 1, 1]);
    });
}

#[test]
fn workers_that_leave_settle_what_they_hold_and_are_told_nothing() {
    in_system(|| async {
        let queue = backlog(0..6);
        let (factory, mut crew) = crew();
        let pool = here(&queue).workers(3).max_in_flight(2).start(factory).unwrap();
        let mut hands: [Vec<Item<u32>>; 3] = Default::default();
        for _ in 0..6 {
            let (worker, item) = crew.item().await;
            hands[worker].push(item);
        }
        assert_eq!(hands.each_ref().map(Vec::len), [2, 2, 2]);
        pool.resize(1).unwrap();
        pool.resize(2).unwrap(); // the next worker that begins shows that both have been heard of
        pool.resize(1).unwrap();
        pool.resize(4).unwrap();
        pool.resize(1).unwrap();
        let births = crew.births(4).await.split_off(1);
        are_there(&queue, 3).await; // the fourth has left: there was nothing that it could take
        let producer = queue.producer().unwrap();
        (6..10).try_for_each(|n| producer.try_put(n)).unwrap();
        drop(producer);

        let [first, others @ ..] = hands;
        for (birth, mut hand) in births.iter().zip(others) {
            // Settling one does not bring it another one.
            hand.pop().unwrap().ack();
            crew.no_item().await;
            assert!(birth.addr.connected(), "it has not left before it has settled both");
            hand.pop().unwrap().ack();
            until(|| !birth.addr.connected()).await;
        }
        are_there(&queue, 1).await;
        assert_eq!(names(&queue), ["worker-0"]);
        first.into_iter().for_each(Item::ack);
        queue.seal();
        for _ in 6..10 {
            let (worker, item) = crew.item().await;
            assert_eq!(worker, 0);
            item.ack();
        }
        let report = pool.drained().await.unwrap();
        assert_eq!(report.workers.iter().map(|worker| worker.totals.acked).collect::<Vec<_>>(), [6, 2, 2, 0]);
        assert_eq!((report.totals.failed, report.totals.deaths), (0, 0));
        assert_eq!(crew.told().await.0, 0);
        crew.gone().await;
    });
}

/// Two workers wait in line, and the second is told to leave.
async fn one_of_two_leaves(queue: &IterableQueue<u32>) -> (WorkerPool<u32>, Crew) {
    let (factory, mut crew) = crew();
    let pool = here(queue).workers(2).start(factory).expect("nothing is against it");
    crew.births(2).await;
    until(|| queue.snapshot().waiting_gets == 2).await;
    pool.resize(1).expect("it runs");
    are_there(queue, 1).await;
    (pool, crew)
}

#[test]
fn d11_a_worker_that_leaves_the_line_takes_nothing_with_it() {
    in_system(|| async {
        let queue = backlog(0..0);
        let producer = queue.producer().unwrap();
        let (pool, mut crew) = one_of_two_leaves(&queue).await;
        for n in 0..4 {
            producer.try_put(n).unwrap();
            let (worker, item) = crew.item().await;
            assert_eq!((worker, *item), (0, n));
            item.ack();
            quiet().await;
        }
        drop(producer);
        queue.seal();
        assert_eq!(pool.drained().await.unwrap().totals.acked, 4);
        assert_eq!(crew.told().await.0, 0);
        crew.gone().await;
    });
}

#[test]
fn a_worker_that_has_left_and_is_wanted_again_returns() {
    in_system(|| async {
        let queue = backlog(0..0);
        let (pool, mut crew) = one_of_two_leaves(&queue).await;
        crew.no_birth().await;
        pool.resize(2).unwrap();
        assert_eq!(crew.birth().await.index, 1);
        assert_eq!(names(&queue), ["worker-0", "worker-1"]);
        queue.producer().unwrap().put_all(0..2).await.unwrap();
        let [one, other] = [crew.item().await, crew.item().await];
        assert_ne!(one.0, other.0);
        one.1.ack();
        other.1.ack();
        queue.seal();
        let report = pool.drained().await.unwrap();
        assert_eq!((report.workers.len(), report.totals.acked, report.totals.deaths), (2, 2, 0));
        let mut told = [crew.told().await.0, crew.told().await.0];
        told.sort_unstable();
        assert_eq!(told, [0, 1]);
        crew.gone().await;
    });
}

#[test]
fn a_worker_told_to_leave_that_is_wanted_again_stays() {
    in_system(|| async {
        let queue = backlog(0..2);
        let (factory, mut crew) = crew();
        let pool = here(&queue).workers(2).start(factory).unwrap();
        crew.births(2).await;
        let [one, other] = [crew.item().await, crew.item().await];
        pool.resize(1).unwrap();
        pool.resize(3).unwrap();
        assert_eq!(crew.birth().await.index, 2); // both orders are through
        one.1.ack();
        other.1.ack();
        queue.producer().unwrap().put_all(2..5).await.unwrap();
        let mut items = [crew.item().await, crew.item().await, crew.item().await];
        items.sort_by_key(|(worker, _)| *worker);
        assert_eq!(items.each_ref().map(|(worker, _)| *worker), [0, 1, 2]);
        items.into_iter().for_each(|(_, item)| item.ack());
        crew.no_birth().await;
        queue.seal();
        assert_eq!(pool.drained().await.unwrap().workers.len(), 3);
    });
}

/// It goes to and fro while there is work, in whatever order that is heard of.
#[test]
fn d2_nothing_is_lost_while_the_pool_grows_and_shrinks() {
    in_system(|| async {
        let queue = backend::bounded(8);
        let pool = WorkerPool::builder(&queue).workers(2).start(does(|_, item| item.ack())).unwrap();
        let producer = queue.producer().unwrap();
        queue.seal();
        for n in 0..500 {
            producer.put(n).await.unwrap();
            if n % 10 == 0 {
                pool.resize(1 + (n as usize / 10) % 5).unwrap();
            }
        }
        drop(producer);
        let report = pool.drained().await.unwrap();
        assert_eq!((report.drained.outcome, report.drained.totals.acked), (Outcome::Complete, 500));
        assert_eq!((report.workers.len(), report.totals.acked), (5, 500));
        assert_eq!((report.totals.failed, report.totals.deaths), (0, 0));
    });
}

#[test]
fn a6_a_worker_that_dies_while_it_leaves_is_not_replaced_and_its_item_comes_back() {
    in_system(|| async {
        let queue = backlog(0..2);
        let (factory, mut crew) = crew();
        let pool = here(&queue).workers(2).start(factory).unwrap();
        let births = crew.births(2).await;
        let mut items = [crew.item().await, crew.item().await];
        items.sort_by_key(|(worker, _)| *worker);
        let [(_, stays), (_, leaves)] = items;
        let n = *leaves;
        pool.resize(1).unwrap();
        births[1].run(move |_, _| panic!("with {}", *leaves));
        are_there(&queue, 1).await;
        stays.ack();
        let (worker, again) = crew.item().await;
        assert_eq!((worker, *again, again.attempt()), (0, n, 2));
        again.ack();
        queue.seal();
        let report = pool.drained().await.unwrap();
        assert_eq!(report.workers.iter().map(|worker| worker.totals.deaths).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(crew.told().await.0, 0);
        crew.gone().await;
    });
}

#[test]
fn a6_a_dead_worker_that_was_not_wanted_for_a_while_joins_at_once_when_it_is() {
    in_system(|| async {
        let queue = backlog(0..0);
        let (factory, mut crew) = crew();
        let pool = here(&queue).workers(2).restart_backoff(LATE).start(factory).unwrap();
        crew.births(2).await[1].panics();
        are_there(&queue, 1).await;
        pool.resize(1).unwrap();
        pool.resize(3).unwrap();
        assert_eq!(crew.births(2).await.iter().map(|birth| birth.index).collect::<Vec<_>>(), [1, 2]);
        queue.seal();
        let report = pool.drained().await.unwrap();
        assert_eq!(report.workers.iter().map(|worker| worker.totals.deaths).collect::<Vec<_>>(), [0, 1, 0]);
    });
}

/// What it holds is discarded with the rest: it need not wait for that.
#[test]
fn d8_an_abort_does_not_wait_for_workers_that_leave() {
    in_system(|| async {
        let queue = backlog(0..2);
        let (factory, mut crew) = crew();
        let pool = here(&queue).workers(2).start(factory).unwrap();
        crew.births(2).await;
        let items = [crew.item().await, crew.item().await];
        pool.resize(1).unwrap();
        pool.resize(3).unwrap();
        pool.resize(1).unwrap();
        assert_eq!(crew.birth().await.index, 2);
        are_there(&queue, 2).await; // so the last order is through
        drop(queue.abort());
        let mut told = [crew.told().await.0, crew.told().await.0];
        told.sort_unstable();
        assert_eq!(told, [0, 1]);
        assert_eq!(pool.drained().await.unwrap().drained.outcome, Outcome::Aborted);
        drop(items);
        crew.gone().await;
    });
}

/// Orders overtake those who act on them.
#[test]
fn a_pool_told_this_and_that_is_as_large_as_it_was_told_last() {
    in_system(|| async {
        let queue = backlog(0..0);
        let (factory, mut crew) = crew();
        let pool = WorkerPool::builder(&queue).workers(3).start(factory).unwrap();
        let producer = queue.producer().unwrap();
        for n in 0..100 {
            pool.resize(1).unwrap();
            for _ in 0..n {
                std::thread::yield_now();
            }
            pool.resize(3).unwrap();
            // Each holds one, so there must be three.
            producer.put_all(0..3).await.unwrap();
            let mut items = [crew.item().await, crew.item().await, crew.item().await];
            items.sort_by_key(|(worker, _)| *worker);
            assert_eq!(items.each_ref().map(|(worker, _)| *worker), [0, 1, 2]);
            items.into_iter().for_each(|(_, item)| item.ack());
        }
        drop(producer);
        queue.seal();
        let report = pool.drained().await.unwrap();
        assert_eq!((report.workers.len(), report.totals.acked, report.totals.deaths), (3, 300, 0));
    });
}
