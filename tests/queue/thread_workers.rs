//! Threads that work with a function: what it returns decides, a panic costs an attempt, and the end is as for pools.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use actix_iterable_queue::error::Death;
use actix_iterable_queue::prelude::*;
use actix_iterable_queue::{DeadLetter, IntoVerdict, WorkerThreads};
use actix_rt::System;
use futures::executor::block_on;
use log::Level;
use support::backend;
use support::log::{keep, said};
use support::{Task, assert_conserved, panic_of, until, within_watchdog};

/// A queue with 0..n in it, each with this number of attempts; and its dead letters.
pub(crate) fn filled(n: u32, max_attempts: u32) -> (IterableQueue<u32>, Consumer<DeadLetter<u32>>) {
    let queue = backend::build(IterableQueue::builder().max_attempts(max_attempts));
    let letters = queue.dead_letters().unwrap();
    queue.producer().unwrap().blocking_put_all(0..n).unwrap();
    (queue, letters)
}

pub(crate) fn sorted(letters: Consumer<DeadLetter<u32>>) -> Vec<DeadLetter<u32>> {
    let mut letters: Vec<_> = letters.into_iter().collect();
    letters.sort_by_key(|letter| letter.item);
    letters
}

/// A function that blocks until the sender is dropped, and how often it was called.
pub(crate) fn gate() -> (mpsc::Sender<()>, Arc<AtomicUsize>, impl Fn() + Send + Sync + 'static) {
    let (open, closed) = mpsc::channel();
    let (closed, calls) = (Mutex::new(closed), Arc::new(AtomicUsize::new(0)));
    let wait = {
        let calls = Arc::clone(&calls);
        move || {
            calls.fetch_add(1, SeqCst);
            let _ = closed.lock().unwrap().recv();
        }
    };
    (open, calls, wait)
}

/// For the items 0 to 9, whose second attempts all succeed but for one.
fn verdict(item: &Item<u32>) -> Result<Verdict, String> {
    const SOON: Duration = Duration::from_millis(2);
    match (**item, item.attempt()) {
        (1, _) => Ok(Verdict::Reject("not for us".to_owned())),
        (2, 1) => Ok(Verdict::Retry("once more".to_owned())),
        (3, 1) => Ok(Verdict::RetryAfter(SOON, "later".to_owned())),
        (4, 1) | (5, _) => Err(format!("error {}", **item)),
        _ => Ok(().into_verdict()),
    }
}

#[test]
fn a6_what_a_function_on_a_thread_returns_decides() {
    within_watchdog(|| {
        let (queue, letters) = filled(10, 2);
        let workers = queue.spawn_workers(3, verdict).unwrap();
        queue.seal();
        let report = workers.join();
        assert_eq!((report.drained.outcome, report.drained.totals.acked), (Outcome::Complete, 8));
        assert_eq!((report.totals.acked, report.totals.failed, report.totals.deaths), (8, 6, 0));
        let line = format!("{}; 3 workers: 8 acked, 0 taken, 6 given back or rejected", report.drained);
        assert_eq!(report.to_string(), line);
        assert!(report.workers.iter().map(|worker| &*worker.name).eq(["worker-0", "worker-1", "worker-2"]));
        assert_eq!(report.workers.iter().map(|worker| worker.totals.acked).sum::<u64>(), 8);
        let letters: Vec<_> = sorted(letters).into_iter().map(|l| (l.item, l.attempts, l.reason, l.error)).collect();
        let used_up = (5, 2, "attempts used up".to_owned(), Some("error 5".to_owned()));
        assert_eq!(letters, [(1, 1, "not for us".to_owned(), None), used_up]);
        assert_conserved(&queue);
    });
}

#[test]
fn a6_a_panic_on_a_thread_costs_its_item_an_attempt_and_the_thread_goes_on() {
    within_watchdog(|| {
        let (queue, letters) = filled(30, 2);
        let threads = Arc::new(Mutex::new(HashSet::new()));
        let workers = queue.spawn_workers(1, {
            let threads = Arc::clone(&threads);
            move |item: &Item<u32>| {
                threads.lock().unwrap().insert(thread::current().id());
                assert!(!item.is_multiple_of(10), "item {} is poison", **item);
            }
        });
        queue.seal();
        let report = workers.unwrap().join();
        assert_eq!((report.totals.acked, report.totals.failed, report.totals.deaths), (27, 6, 6));
        assert!(report.to_string().ends_with(": 27 acked, 0 taken, 6 given back or rejected, 6 deaths"), "{report}");
        assert!(matches!(&report.workers[0].last_death, Some(Death::Panicked(text)) if text.ends_with("is poison")));
        assert_eq!(threads.lock().unwrap().len(), 1);
        let letters = sorted(letters);
        assert!(letters.iter().map(|letter| letter.item).eq([0, 10, 20]));
        for letter in letters {
            assert_eq!((&*letter.last_worker, letter.error), ("worker-0", None));
            assert_eq!(letter.panic, Some(format!("item {} is poison", letter.item)));
        }
        assert_conserved(&queue);
    });
}

/// The text of an error and the drop of an item are the user's code, too.
#[test]
fn a6_what_panics_beside_a_function_does_not_end_its_thread() {
    struct Mute;
    impl std::fmt::Display for Mute {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("an error without a text")
        }
    }
    struct Loud(bool);
    impl Drop for Loud {
        fn drop(&mut self) {
            assert!(!self.0, "it is dropped");
        }
    }
    within_watchdog(|| {
        let (queue, letters) = filled(3, 1);
        let workers = queue.spawn_workers(1, |item: &Item<u32>| if **item == 1 { Err(Mute) } else { Ok(()) });
        queue.seal();
        assert_eq!(workers.unwrap().join().totals.acked, 2);
        assert_eq!(sorted(letters)[0].panic.as_deref(), Some("an error without a text"));

        let queue = IterableQueue::unbounded();
        queue.producer().unwrap().blocking_put_all([Loud(false), Loud(true), Loud(false)]).unwrap();
        let workers = queue.spawn_workers(1, |_: &Item<Loud>| ()).unwrap();
        queue.seal();
        let report = workers.join();
        assert_eq!((report.totals.acked, report.totals.deaths), (3, 1), "it was acked before");
    });
}

#[test]
fn a6_the_log_warns_of_panics_now_and_then_and_of_no_forgotten_ack() {
    within_watchdog(|| {
        keep();
        let queue = backend::named("panicky", IterableQueue::builder().max_attempts(1));
        let _letters = queue.dead_letters().unwrap();
        let workers = queue.spawn_workers(1, |n: &Item<u32>| assert!(**n > 99, "boom\nor not")).unwrap();
        queue.producer().unwrap().blocking_put_all(0..100).unwrap();
        queue.seal();
        assert_eq!(workers.join().totals.deaths, 100);
        let warnings = said(Level::Warn, "panicky");
        assert_eq!(warnings.len(), 7, "1, 2, 4, … 64: {warnings:?}");
        assert!(warnings[0].contains(r"worker-0 panicked: boom\nor not; ") && warnings[0].contains("1 panic so far"));
        assert!(warnings[6].contains("64 panics so far"));
    });
}

#[test]
fn c5_join_waits_for_the_last_work_and_the_function_is_dropped_by_then() {
    within_watchdog(|| {
        let (queue, _letters) = filled(20, 1);
        let next = backend::unbounded();
        let (done, results) = (Arc::new(AtomicUsize::new(0)), next.producer().unwrap());
        let workers = queue.spawn_workers(4, {
            let done = Arc::clone(&done);
            move |item: &Item<u32>| {
                results.blocking_put(**item).unwrap();
                thread::yield_now();
                done.fetch_add(1, SeqCst);
            }
        });
        let sums = next.spawn_workers(2, |_: &Item<u32>| ()).unwrap();
        queue.seal();
        next.seal();
        workers.unwrap().join();
        assert_eq!((done.load(SeqCst), Arc::strong_count(&done)), (20, 1));
        // The producer that the function held is closed, so the second queue ends after the first.
        assert_eq!(sums.join().drained.totals.acked, 20);
    });
}

/// Its drop is user code, which the caller of `spawn_workers` and of `join` does not hear from.
#[test]
fn c5_a_thread_drops_the_function_and_a_panic_of_its_drop_goes_nowhere() {
    struct Dropped(mpsc::Sender<Option<String>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.0.send(thread::current().name().map(str::to_owned));
            panic!("so does the drop of a function");
        }
    }
    within_watchdog(|| {
        let queue = backend::named("loud", IterableQueue::builder());
        queue.producer().unwrap().blocking_put_all(0..4).unwrap();
        let (tell, dropped_on) = mpsc::channel();
        let (function, eye) = (Dropped(tell), queue.downgrade());
        // The queue may end before `spawn_workers` returns.
        let workers = queue.spawn_workers(2, move |_: &Item<u32>| {
            let _ = &function;
            eye.upgrade().unwrap().seal();
        });
        let report = workers.unwrap().join();
        assert_eq!((report.totals.acked, report.totals.deaths), (4, 0));
        let names: Vec<_> = dropped_on.into_iter().map(Option::unwrap).collect();
        assert!(names.len() == 1 && names[0].contains(" of loud"), "{names:?}");
    });
}

/// The queue has ended, but a function has not: no wait is over.
#[test]
fn c5_after_an_abort_waits_go_on_until_the_last_function_is_done() {
    within_watchdog(|| {
        let (queue, _letters) = filled(1, 1);
        let (open, calls, wait) = gate();
        let workers = queue.spawn_workers(2, move |_: &Item<u32>| wait()).unwrap();
        until(|| calls.load(SeqCst) == 1);
        let (task, mut drained) = (Task::new(), Box::pin(workers.drained()));
        assert!(task.poll(drained.as_mut()).is_pending());
        assert!(queue.abort().is_empty());
        assert!(task.poll(drained.as_mut()).is_pending() && !workers.is_finished());
        assert_eq!(task.wakes(), 1);
        let joining = thread::spawn(|| workers.join());
        drop(open);
        until(|| task.wakes() == 2);
        let report = block_on(drained);
        assert_eq!((report.drained.outcome, report.totals.acked), (Outcome::Aborted, 1));
        assert_eq!(joining.join().unwrap(), report);
    });
}

#[test]
fn c5_a_handle_tells_what_the_workers_did_so_far() {
    within_watchdog(|| {
        let (queue, _letters) = filled(9, 1);
        let (open, _, wait) = gate();
        let workers = queue
            .spawn_workers(2, move |item: &Item<u32>| {
                if **item == 8 {
                    wait()
                }
            })
            .unwrap();
        queue.seal();
        until(|| workers.workers().iter().map(|worker| worker.totals.acked).sum::<u64>() == 8);
        assert!(!workers.is_finished());
        assert!(format!("{workers:?}").contains("threads: 2"));
        drop(open);
        until(|| workers.is_finished());
        assert_eq!(workers.workers(), workers.join().workers);
    });
}

/// It is neither a strong handle nor the owner of the threads.
#[test]
fn c3_a_dropped_handle_leaves_the_threads_at_work_and_the_queue_seals_itself() {
    within_watchdog(|| {
        let queue = IterableQueue::unbounded();
        let (eye, producer) = (queue.downgrade(), queue.producer().unwrap());
        let kept = queue.spawn_workers(1, |_: &Item<u32>| ()).unwrap();
        drop(queue.spawn_workers(1, |_: &Item<u32>| ()).unwrap());
        drop(queue);
        producer.blocking_put_all(0..50).unwrap();
        drop(producer);
        assert_eq!(eye.blocking_drained().totals.acked, 50);
        assert_eq!(kept.join().drained.outcome, Outcome::Complete);
    });
}

#[test]
fn c3_a_queue_that_is_sealed_or_has_ended_starts_no_threads() {
    within_watchdog(|| {
        let queue = backend::unbounded();
        let producer = queue.producer().unwrap();
        queue.seal();
        let start = || queue.spawn_workers(1, |_: &Item<u32>| ()).map(WorkerThreads::join);
        assert!(matches!(start(), Err(PoolError::Sealed)));
        drop(queue.abort());
        assert!(matches!(start(), Err(PoolError::Ended)));
        drop(producer);
    });
}

#[test]
fn a2_no_threads_is_a_mistake() {
    let queue = IterableQueue::unbounded();
    let without = panic_of(|| queue.spawn_workers(0, |_: &Item<u32>| ()));
    let with = panic_of(|| queue.spawn_workers_with(0, |_| (), |(), _: &Item<u32>| ()));
    for said in [without, with] {
        assert!(said.starts_with("IterableQueue::spawn_workers: 0 threads"), "{said}");
    }
    assert!(queue.snapshot().consumers.is_empty());
}

#[test]
fn d9_a_function_on_a_thread_puts_into_its_own_full_queue_through_its_lease() {
    within_watchdog(|| {
        let queue = backend::bounded(1);
        let workers = queue.spawn_workers(2, |depth: &Item<u32>| match **depth {
            3 => Ok(()),
            n => depth.put_children([n + 1, n + 1]).map(drop),
        });
        queue.producer().unwrap().blocking_put(0).unwrap();
        queue.seal();
        assert_eq!(workers.unwrap().join().totals.acked, 15);
    });
}

#[test]
fn d10_on_an_arbiter_threads_can_be_started_and_a_join_that_waits_panics() {
    within_watchdog(|| {
        System::new().block_on(async {
            let queue = backend::unbounded();
            let start = || queue.spawn_workers(2, |_: &Item<u32>| ()).unwrap();
            let (first, second) = (start(), start());
            let said = panic_of(|| first.join());
            assert!(said.contains("drained().await") && said.contains("arbiter"), "{said}");
            queue.producer().unwrap().put_all(0..10).await.unwrap();
            queue.seal();
            let report = second.drained().await;
            assert_eq!(report.drained.totals.acked, 10, "with those whose handle is gone");
            assert_eq!(second.join(), report, "it need not wait any more");
        });
    });
}

#[test]
fn d8_threads_finish_what_they_hold_when_the_grace_is_over() {
    within_watchdog(|| {
        let (queue, _letters) = filled(3, 1);
        let (open, calls, wait) = gate();
        let workers = queue.spawn_workers(1, move |_: &Item<u32>| wait()).unwrap();
        until(|| calls.load(SeqCst) == 1);
        let report = queue.blocking_shutdown(Duration::ZERO);
        assert_eq!((&*report.holders[0].name, report.holders[0].leased), ("worker-0", 1));
        drop(open);
        let outcome = if backend::is_redis() { Outcome::Left } else { Outcome::Aborted };
        let report = workers.join();
        assert_eq!((report.drained.outcome, report.totals.acked), (outcome, 1));
        // Over Redis this process has left, and is told nothing more.
        if !backend::is_redis() {
            assert_conserved(&queue);
        }
    });
}

#[test]
fn d8_threads_finish_what_was_accepted_within_the_grace() {
    within_watchdog(|| {
        let queue = IterableQueue::unbounded();
        let producer = queue.producer().unwrap();
        producer.blocking_put_all(0..3).unwrap();
        let (open, _, wait) = gate();
        let workers = queue.spawn_workers(2, move |_: &Item<u32>| wait()).unwrap();
        let shutdown = queue.shutdown(Duration::from_secs(3600));
        assert!(producer.try_put(3).is_err());
        drop(open);
        assert_eq!(block_on(shutdown).drained.outcome, Outcome::Complete);
        assert_eq!(workers.join().totals.acked, 3);
    });
}

#[test]
fn blockers_name_the_worker_whose_function_does_not_return() {
    within_watchdog(|| {
        let (queue, _letters) = filled(1, 1);
        let (open, calls, wait) = gate();
        let workers = queue.spawn_workers(1, move |_: &Item<u32>| wait()).unwrap();
        queue.seal();
        until(|| calls.load(SeqCst) == 1);
        let blockers = queue.snapshot().blockers().to_string();
        assert!(blockers.contains("consumer worker-0 has held 1 item"), "{blockers}");
        drop(open);
        workers.join();
    });
}

#[test]
fn threads_are_named_after_their_queue_and_worker() {
    within_watchdog(|| {
        for (name, prefix) in [(Some("jo\0bs"), r"jo\u{0}bs".to_owned()), (None, String::new())] {
            let builder = IterableQueue::builder();
            let queue = name.into_iter().fold(builder, |builder, name| builder.name(name)).build().unwrap();
            let prefix = if prefix.is_empty() { queue.id().to_string() } else { prefix };
            let names = Arc::new(Mutex::new(Vec::new()));
            let workers = queue.spawn_workers(1, {
                let names = Arc::clone(&names);
                move |_: &Item<u32>| names.lock().unwrap().extend(thread::current().name().map(str::to_owned))
            });
            queue.producer().unwrap().blocking_put(0).unwrap();
            queue.seal();
            workers.unwrap().join();
            assert_eq!(*names.lock().unwrap(), [format!("worker-0 of {prefix}")]);
        }
    });
}
