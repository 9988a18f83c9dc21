//! The workers of a pool: who they are, where they live, and that they do all the work.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;

use actix::prelude::*;
use actix_iterable_queue::prelude::*;
use futures::StreamExt;
use futures::channel::oneshot;
use support::actors::{backlog, in_system};
use support::crew::{acks, crew, does, here};

#[test]
fn d2_every_item_is_done_once_by_workers_on_threads_of_their_own() {
    in_system(|| async {
        let queue = backlog(0..100);
        let (meeting, seen) = (Arc::new(Barrier::new(3)), Arc::new(Mutex::new(Vec::new())));
        let log = Arc::clone(&seen);
        let pool = WorkerPool::builder(&queue)
            .workers(3)
            .start(does(move |index, item| {
                if *item < 3 {
                    meeting.wait(); // all three are in their handlers at once
                }
                log.lock().unwrap().push((index, thread::current().id(), *item));
                item.ack();
            }))
            .unwrap();
        queue.seal();
        let report = pool.drained().await.unwrap();
        assert_eq!(
            (report.totals.acked, report.drained.totals.acked, report.drained.totals.redelivered),
            (100, 100, 0)
        );

        let seen = seen.lock().unwrap();
        let mut items: Vec<_> = seen.iter().map(|(.., item)| *item).collect();
        items.sort_unstable();
        assert!(items.into_iter().eq(0..100));
        let workers: HashSet<_> = seen.iter().map(|(index, thread, _)| (*index, *thread)).collect();
        let threads: HashSet<_> = workers.iter().map(|(_, thread)| *thread).collect();
        assert_eq!((workers.len(), threads.len()), (3, 3));
        assert!(!threads.contains(&thread::current().id()));
    });
}

#[test]
fn a_handler_that_blocks_its_thread_harms_only_its_own_worker() {
    in_system(|| async {
        let queue = backlog(0..50);
        let (others_are_done, wait) = mpsc::channel();
        let wait = Arc::new(Mutex::new(wait));
        let pool = WorkerPool::builder(&queue)
            .workers(2)
            .start(does(move |_, item| {
                if *item == 0 {
                    wait.lock().unwrap().recv().unwrap();
                } else if *item == 49 {
                    others_are_done.send(()).unwrap();
                }
                item.ack();
            }))
            .unwrap();
        queue.seal();
        assert_eq!(pool.drained().await.unwrap().totals.acked, 50);
    });
}

#[test]
fn workers_live_in_given_arbiters_in_turn_and_these_outlive_the_pool() {
    in_system(|| async {
        let queue = backlog(0..0);
        let given = [Arbiter::new(), Arbiter::new()];
        let (factory, mut crew) = crew();
        let builder = WorkerPool::builder(&queue).workers(3).arbiters(given.iter().map(Arbiter::handle));
        let pool = builder.start(factory).unwrap();
        let births = crew.births(3).await;
        let mut threads = Vec::new();
        for arbiter in &given {
            let (tell, thread) = oneshot::channel();
            arbiter.spawn_fn(|| tell.send(thread::current().id()).unwrap());
            threads.push(thread.await.unwrap());
        }
        let lives: Vec<_> = births.iter().map(|birth| (birth.index, birth.thread)).collect();
        assert_eq!(lives, [(0, threads[0]), (1, threads[1]), (2, threads[0])]);

        queue.seal();
        pool.drained().await.unwrap();
        crew.births(0).await;
        for arbiter in given {
            let (tell, lives) = oneshot::channel();
            assert!(arbiter.spawn_fn(|| tell.send(()).unwrap()));
            lives.await.unwrap();
            arbiter.stop();
            arbiter.join().unwrap();
        }
    });
}

#[test]
fn the_factory_is_called_with_the_index_in_the_workers_arbiter_and_for_each_replacement() {
    in_system(|| async {
        let queue = backlog(0..0);
        let (factory, mut crew) = crew();
        let (call, calls) = futures::channel::mpsc::unbounded();
        let pool = WorkerPool::builder(&queue)
            .workers(2)
            .start(move |index| {
                call.unbounded_send((index, thread::current().id())).unwrap();
                factory(index)
            })
            .unwrap();
        let mut expected: Vec<_> = crew.births(2).await.iter().map(|birth| (birth.index, birth.thread)).collect();
        assert_eq!(expected.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 1]);
        pool.resize(3).unwrap();
        let third = crew.birth().await;
        third.panics();
        let replaced = crew.birth().await;
        assert_eq!((replaced.index, replaced.thread), (2, third.thread)); // its arbiter goes on
        expected.extend([third, replaced].map(|birth| (birth.index, birth.thread)));

        queue.seal();
        pool.drained().await.unwrap();
        let mut calls: Vec<_> = calls.collect().await; // it ends: the factory is gone
        calls[..2].sort_by_key(|(index, _)| *index);
        assert_eq!(calls, expected);
    });
}

#[test]
fn workers_have_names_in_snapshots_and_dead_letters() {
    for (given, expected) in [(None, ["worker-0", "worker-1"]), (Some("fetch"), ["fetch-0", "fetch-1"])] {
        in_system(move || async move {
            let queue = backlog(0..2);
            let letters = queue.dead_letters().unwrap();
            let (factory, mut crew) = crew();
            let mut builder = here(&queue).workers(2);
            if let Some(name) = given {
                builder = builder.name(name);
            }
            let pool = builder.start(factory).unwrap();
            let ((first, one), (_, other)) = (crew.item().await, crew.item().await);
            let names: Vec<_> = queue.snapshot().consumers.into_iter().map(|consumer| consumer.name).collect();
            assert_eq!(names, expected);
            let blockers = queue.snapshot().blockers().to_string();
            assert!(blockers.contains(&format!("consumer {} has held 1 item", expected[0])), "{blockers}");

            one.reject("no good");
            other.ack();
            queue.seal();
            let report = pool.drained().await.unwrap();
            assert_eq!(report.workers.iter().map(|worker| &*worker.name).collect::<Vec<_>>(), expected);
            let letters: Vec<_> = letters.collect().await;
            assert_eq!((letters.len(), &*letters[0].last_worker, &*letters[0].reason), (1, expected[first], "no good"));
        });
    }
}

#[test]
fn there_is_a_worker_for_each_processor_unless_told_otherwise() {
    in_system(|| async {
        let queue = backlog(0..0);
        let pool = WorkerPool::builder(&queue).start(acks()).unwrap();
        queue.seal();
        let workers = pool.drained().await.unwrap().workers.len();
        assert_eq!(workers, thread::available_parallelism().unwrap().get());
    });
}

#[test]
fn d2_two_pools_share_a_queue_and_each_accounts_for_its_own() {
    in_system(|| async {
        let queue = backlog(0..100);
        let counts = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
        let pools = counts.each_ref().map(|count| {
            let count = Arc::clone(count);
            let count_and_ack = does(move |_, item| {
                count.fetch_add(1, SeqCst);
                item.ack();
            });
            WorkerPool::builder(&queue).workers(2).start(count_and_ack).unwrap()
        });
        assert_eq!(queue.snapshot().pools, 2);
        queue.seal();
        for (pool, count) in pools.iter().zip(&counts) {
            let report = pool.drained().await.unwrap();
            assert_eq!(report.totals.acked, count.load(SeqCst) as u64);
            assert_eq!(report.drained.totals.acked, 100);
        }
        assert_eq!(counts.iter().map(|count| count.load(SeqCst)).sum::<usize>(), 100);
        assert_eq!(queue.snapshot().pools, 0);
    });
}

#[test]
fn a_pool_prints_its_queue_and_its_settings() {
    in_system(|| async {
        let queue = backlog(0..0);
        let builder = WorkerPool::builder(&queue).workers(7).name("fetch");
        let printed = format!("{builder:?}");
        assert!(printed.contains("fetch") && printed.contains('7'), "{printed}");
        let pool = builder.workers(1).start(acks()).unwrap();
        assert!(format!("{pool:?}").contains("WorkerPool"));
        queue.seal();
        pool.drained().await.unwrap();
    });
}
