//! What each thread makes for itself: whose it is, when it is made again, and what an end has to do with that.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use actix_iterable_queue::error::Death;
use actix_iterable_queue::prelude::*;
use actix_rt::System;
use support::backend;
use support::{assert_conserved, until, within_watchdog};

use crate::thread_workers::{filled, gate, sorted};

/// What `init` makes belongs to one thread, and a panic of the function costs it, too.
#[test]
fn a6_each_thread_makes_a_state_and_makes_it_again_after_a_panic() {
    struct State(usize, thread::ThreadId, u32, Arc<Mutex<Vec<(usize, u32)>>>);
    impl Drop for State {
        fn drop(&mut self) {
            assert_eq!(self.1, thread::current().id());
            self.3.lock().unwrap().push((self.0, self.2));
            panic!("so does the drop of a state");
        }
    }
    within_watchdog(|| {
        let (queue, letters) = filled(10, 1);
        let dropped = Arc::new(Mutex::new(Vec::new()));
        let states = Arc::clone(&dropped);
        let workers = queue.spawn_workers_with(
            1,
            move |index| State(index, thread::current().id(), 0, Arc::clone(&states)),
            |state, item: &Item<u32>| {
                state.2 += 1;
                assert_ne!(**item, 3, "the function panics");
            },
        );
        queue.seal();
        let report = workers.unwrap().join();
        assert_eq!((report.totals.acked, report.totals.failed, report.totals.deaths), (9, 1, 1));
        assert_eq!(sorted(letters)[0].panic.as_deref().map(|text| text.contains("the function panics")), Some(true));
        assert_eq!(*dropped.lock().unwrap(), [(0, 4), (0, 6)]);
        assert_conserved(&queue);
    });
}

#[test]
fn a6_where_a_state_cannot_be_made_no_item_fails_and_it_is_tried_again() {
    within_watchdog(|| {
        let (queue, _letters) = filled(5, 1);
        let calls = AtomicUsize::new(0);
        let init = move |_| assert!(calls.fetch_add(1, SeqCst) >= 3, "no database");
        let workers = queue.spawn_workers_with(1, init, |(), _: &Item<u32>| ()).unwrap();
        queue.seal();
        let report = workers.join();
        assert_eq!((report.totals.acked, report.totals.failed, report.totals.deaths), (5, 0, 3));
        assert_eq!(report.workers[0].last_death, Some(Death::Panicked("no database".to_owned())));
    });
}

/// It waits for its next try, which an end makes needless.
#[test]
fn d8_an_end_does_not_wait_for_a_state_that_cannot_be_made() {
    within_watchdog(|| {
        let (queue, _letters) = filled(5, 1);
        let init = |_| -> () { panic!("no database") };
        let workers = queue.spawn_workers_with(2, init, |(), _: &Item<u32>| ()).unwrap();
        until(|| workers.workers().iter().all(|worker| worker.totals.deaths > 0));
        assert_eq!(queue.abort().len(), if backend::is_redis() { 0 } else { 5 });
        let report = workers.join();
        assert_eq!((report.drained.outcome, report.totals.acked), (Outcome::Aborted, 0));
    });
}

/// It would be for nothing, and it may take as long as a connection that nobody accepts.
#[test]
fn d8_after_the_end_no_state_is_made_again() {
    within_watchdog(|| {
        let (queue, _letters) = filled(1, 1);
        let (made, (open, calls, wait)) = (Arc::new(AtomicUsize::new(0)), gate());
        let init = {
            let made = Arc::clone(&made);
            move |_| made.fetch_add(1, SeqCst)
        };
        let work = move |_: &mut usize, _: &Item<u32>| {
            wait();
            panic!("after the end");
        };
        let workers = queue.spawn_workers_with::<_, (), _, _>(1, init, work).unwrap();
        until(|| calls.load(SeqCst) == 1);
        assert!(queue.abort().is_empty());
        drop(open);
        assert_eq!(workers.join().totals.deaths, 1);
        assert_eq!(made.load(SeqCst), 1);
    });
}

/// The queue ends while a thread is in `init`, and the wait lasts until that returns.
#[test]
fn c5_a_thread_that_makes_its_state_at_the_end_drops_it_before_join_returns() {
    struct Made(Arc<AtomicUsize>);
    impl Drop for Made {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    within_watchdog(|| {
        let queue = IterableQueue::unbounded();
        let (dropped, (open, calls, wait)) = (Arc::new(AtomicUsize::new(0)), gate());
        let init = {
            let dropped = Arc::clone(&dropped);
            move |_| {
                wait();
                Made(Arc::clone(&dropped))
            }
        };
        let workers = queue.spawn_workers_with(1, init, |_, _: &Item<u32>| ()).unwrap();
        until(|| calls.load(SeqCst) == 1);
        queue.seal();
        assert_eq!(queue.blocking_drained().outcome, Outcome::Complete);
        assert!(!workers.is_finished());
        drop(open);
        assert_eq!(workers.join().totals.deaths, 0);
        assert_eq!(dropped.load(SeqCst), 1);
    });
}

/// A queue that is drained, and one whose grace ends, as one that is aborted.
#[test]
fn c5_a_thread_in_its_pause_hears_of_every_end() {
    within_watchdog(|| {
        let start = |n| {
            let (queue, _letters) = filled(n, 1);
            let workers = queue.spawn_workers_with(2, |_| panic!("no database"), |(), _: &Item<u32>| ()).unwrap();
            until(|| workers.workers().iter().all(|worker| worker.totals.deaths > 0));
            (queue, workers)
        };
        let (queue, workers) = start(0);
        queue.seal();
        assert_eq!(workers.join().drained.outcome, Outcome::Complete);
        let (queue, workers) = start(3);
        let outcome = queue.blocking_shutdown(Duration::ZERO).drained.outcome;
        let report = workers.join();
        assert_eq!((report.drained.outcome, report.totals.failed), (outcome, 0));
        // Nobody waits for these.
        let (queue, workers) = start(3);
        let eye = queue.downgrade();
        drop(workers);
        drop((queue.abort(), queue));
        assert_ne!(eye.blocking_drained().outcome, Outcome::Complete);
    });
}

/// Neither leaves its thread, so neither need be `Sync`, and a state not even `Send`.
#[test]
fn d2_items_that_are_not_sync_and_states_that_are_not_send() {
    within_watchdog(|| {
        let queue = IterableQueue::unbounded();
        queue.producer().unwrap().blocking_put_all((0..10).map(Cell::new)).unwrap();
        let init = |_| Rc::new(Cell::new(0));
        let workers = queue.spawn_workers_with(2, init, |sum, item| sum.set(sum.get() + item.replace(0))).unwrap();
        queue.seal();
        assert_eq!(workers.join().totals.acked, 10);
    });
}

/// A thread that has a runtime may wait as long as it is not in it.
#[test]
fn d10_a_thread_may_have_an_actix_system_as_its_state() {
    within_watchdog(|| {
        let (queue, _letters) = filled(3, 1);
        let producer = queue.producer().unwrap();
        let workers = queue.spawn_workers_with(
            1,
            |_| System::new(),
            |system, item: &Item<u32>| {
                system.block_on(async {
                    actix_rt::task::yield_now().await;
                    assert_ne!(**item, 1, "a panic in the runtime");
                })
            },
        );
        let workers = workers.unwrap();
        // It waits for the next item.
        until(|| queue.snapshot().waiting_gets == 1);
        producer.blocking_put(3).unwrap();
        drop(producer);
        queue.seal();
        let report = workers.join();
        assert_eq!((report.totals.acked, report.totals.deaths), (3, 1));
    });
}
