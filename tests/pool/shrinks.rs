//! What a pool that shrinks leaves behind: those who stay work on (A6).

use std::sync::Mutex;
use std::sync::mpsc::channel;

use actix_iterable_queue::prelude::*;
use support::actors::{backlog, in_system, until};
use support::crew::{LATE, crew, here};
use tokio::task::spawn_blocking;

/// Its arbiter's thread ends after the task.
#[test]
fn a6_workers_are_replaced_while_one_that_left_has_a_blocking_task_behind_it() {
    in_system(|| async {
        let queue = backlog(0..0);
        let (release, gate) = channel::<()>();
        let gate = Mutex::new(Some(gate));
        let (factory, mut crew) = crew();
        let pool = WorkerPool::builder(&queue)
            .workers(2)
            .start(move |index| {
                if index == 1
                    && let Some(gate) = gate.lock().unwrap().take()
                {
                    spawn_blocking(move || gate.recv());
                }
                factory(index)
            })
            .unwrap();
        let mut first = crew.births(2).await.swap_remove(0);
        pool.resize(1).unwrap();
        until(|| queue.snapshot().consumers.len() == 1).await;
        for _ in 0..5 {
            first.panics();
            first = crew.birth().await;
            assert_eq!(first.index, 0);
        }
        // It may grow again, too: that place gets another arbiter.
        pool.resize(2).unwrap();
        let again = crew.birth().await;
        assert_eq!((again.index, again.thread == first.thread), (1, false));
        queue.seal();
        drop(release); // the pool's end waits for all of its threads
        assert_eq!(pool.drained().await.unwrap().totals.deaths, 5);
    });
}

/// Those who leave may be all that there are.
#[test]
fn a6_a_shrink_does_not_leave_the_work_to_one_that_waits_for_its_restart() {
    in_system(|| async {
        let queue = backlog(0..0);
        let (factory, mut crew) = crew();
        let pool = here(&queue).workers(3).restart_backoff(LATE).start(factory).unwrap();
        let births = crew.births(3).await;
        births[0].panics();
        births[2].panics();
        until(|| queue.snapshot().consumers.len() == 1).await;
        crew.no_birth().await;
        pool.resize(1).unwrap();
        assert_eq!(crew.birth().await.index, 0);
        until(|| !births[1].addr.connected()).await;
        queue.producer().unwrap().try_put(7).unwrap();
        let (worker, item) = crew.item().await;
        assert_eq!((worker, *item), (0, 7));
        item.ack();
        crew.no_birth().await; // the third one is not wanted any more
        queue.seal();
        assert_eq!(pool.drained().await.unwrap().totals.deaths, 2);
    });
}
