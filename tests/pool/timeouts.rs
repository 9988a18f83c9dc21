//! `handler_timeout`: a handler's future that takes too long is dropped, and its item's attempt fails (A6, D3).
//!
//! No verdict depends on the clock: what is to time out never ends, and what is not to has an hour, or is ready.

use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Poll;
use std::time::Duration;

use ::log::Level;
use actix_iterable_queue::error::PoolError;
use actix_iterable_queue::prelude::*;
use actix_iterable_queue::report::PoolReport;
use actix_iterable_queue::{Builder, DeadLetter, WorkerPoolBuilder};
use futures::StreamExt;
use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use support::actors::{backlog, in_system, quiet, until};
use support::crew::{AtOnce, HOUR, InActorFuture, InFuture, InTurn, Work, acks, here, work};
use support::{assert_conserved, backend, log};
use tokio::sync::Semaphore;

const MOMENT: Duration = Duration::from_millis(2);

/// A queue with 0..n in it, and its dead letters.
async fn filled(n: u32, builder: Builder<u32>) -> (IterableQueue<u32>, Consumer<DeadLetter<u32>>) {
    let queue = backend::build(builder);
    let letters = queue.dead_letters().unwrap();
    queue.producer().unwrap().put_all(0..n).await.unwrap();
    (queue, letters)
}

fn attempts(n: u32) -> Builder<u32> {
    backend::builder().max_attempts(n)
}

/// A pool on the thread of the test whose handlers have a moment.
fn hasty(queue: &IterableQueue<u32>) -> WorkerPoolBuilder<u32> {
    here(queue).workers(1).handler_timeout(MOMENT)
}

/// Starts a pool whose workers do this: with handlers, or as a function.
type Start = fn(WorkerPoolBuilder<u32>, Work) -> Result<WorkerPool<u32>, PoolError>;

const ACTORS: [Start; 2] = [
    |builder, work| builder.start(move |_| InFuture(Arc::clone(&work))),
    |builder, work| builder.start(move |_| InActorFuture(Arc::clone(&work))),
];

/// The end of the queue, which has begun to wait for what the workers hold.
async fn end(queue: &IterableQueue<u32>, pool: &WorkerPool<u32>) -> PoolReport {
    queue.seal();
    let report = pool.drained().await.unwrap();
    assert_eq!((report.drained.outcome, report.totals.deaths), (Outcome::Complete, 0));
    assert_conserved(queue);
    report
}

async fn told(letters: Consumer<DeadLetter<u32>>) -> Vec<(u32, u32, Option<String>, Option<String>)> {
    letters.map(|letter| (letter.item, letter.attempts, letter.error, letter.panic)).collect().await
}

fn no_end() -> Option<String> {
    Some("no end after 2 ms".to_owned())
}

#[test]
fn a6_a_future_without_end_is_dropped_and_its_attempt_fails() {
    for start in ACTORS {
        in_system(move || async move {
            let (queue, letters) = filled(3, attempts(2)).await;
            let silent = work(|item: Item<u32>| async move {
                if *item == 1 {
                    pending::<()>().await;
                }
                item.ack();
            });
            let pool = start(hasty(&queue), silent).unwrap();
            let totals = end(&queue, &pool).await.totals;
            assert_eq!((totals.acked, totals.failed, totals.timed_out), (2, 2, 2));
            assert_eq!(told(letters).await, [(1, 2, no_end(), None)]);
        });
    }
}

#[test]
fn a6_an_async_function_without_end_is_dropped_and_its_attempt_fails() {
    in_system(|| async {
        let (queue, letters) = filled(3, attempts(2)).await;
        let pool = WorkerPool::builder(&queue).workers(2).max_in_flight(2).handler_timeout(MOMENT);
        let pool = pool.run_async_with(
            |index| index,
            async |_: &usize, item: &Item<u32>| match **item {
                1 => pending().await,
                _ => Verdict::Ack,
            },
        );
        let pool = pool.unwrap();
        let report = end(&queue, &pool).await;
        let totals = report.totals;
        assert_eq!((totals.acked, totals.failed, totals.timed_out), (2, 2, 2));
        let line = "; 2 workers: 2 acked, 0 taken, 2 given back or rejected, 2 handlers timed out";
        assert_eq!(report.to_string(), format!("{}{line}", report.drained));
        assert_eq!(told(letters).await, [(1, 2, no_end(), None)]);
    });
}

/// It is polled again only because its time is over.
#[test]
fn a6_a_future_that_is_ready_when_its_time_is_over_is_done() {
    for start in ACTORS {
        in_system(move || async move {
            let (queue, letters) = filled(1, attempts(1)).await;
            let late = work(|item: Item<u32>| {
                let (mut polls, mut item) = (0, Some(item));
                poll_fn(move |_| {
                    polls += 1;
                    if polls == 1 {
                        return Poll::Pending;
                    }
                    item.take().unwrap().ack();
                    Poll::Ready(())
                })
            });
            let pool = start(hasty(&queue), late).unwrap();
            let totals = end(&queue, &pool).await.totals;
            assert_eq!((totals.acked, totals.failed, totals.timed_out), (1, 0, 0));
            assert_eq!(told(letters).await, []);
        });
    }
}

/// Counts that it was dropped, and panics then if it is told to.
struct Guard {
    drops: Arc<AtomicUsize>,
    panics: bool,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.drops.fetch_add(1, SeqCst);
        assert!(!self.panics, "the drop of the future panics");
    }
}

#[test]
fn d3_a_timeout_fails_nothing_that_its_future_has_settled_or_moved_elsewhere() {
    for start in ACTORS {
        in_system(move || async move {
            let (queue, letters) = filled(2, attempts(1)).await;
            let (drops, (moved, mut elsewhere)) = (Arc::new(AtomicUsize::new(0)), unbounded());
            let guard = Arc::clone(&drops);
            let lasting = work(move |item: Item<u32>| {
                let guard = Guard { drops: Arc::clone(&guard), panics: false };
                match *item {
                    0 => item.ack(),
                    _ => moved.unbounded_send(item).unwrap(),
                }
                async move {
                    let _guard = guard;
                    pending().await
                }
            });
            let pool = start(hasty(&queue), lasting).unwrap();
            let item = elsewhere.next().await.unwrap();
            until(|| drops.load(SeqCst) == 2).await;
            quiet().await;
            backend::soon(|| queue.snapshot().leased, 1);
            item.ack();
            let totals = end(&queue, &pool).await.totals;
            assert_eq!((totals.acked, totals.failed, totals.timed_out), (2, 0, 2));
            assert_eq!(told(letters).await, []);
        });
    }
}

#[test]
fn a6_a_future_whose_drop_panics_fails_as_any_other_that_times_out() {
    for start in ACTORS {
        in_system(move || async move {
            let (queue, letters) = filled(2, attempts(1)).await;
            let drops = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&drops);
            let bad = work(move |item: Item<u32>| {
                let drops = Arc::clone(&counted);
                async move {
                    if *item == 0 {
                        let _guard = Guard { drops, panics: true }; // the panic drops the item
                        pending::<()>().await;
                    }
                    item.ack();
                }
            });
            let pool = start(hasty(&queue), bad).unwrap();
            let totals = end(&queue, &pool).await.totals;
            assert_eq!((totals.acked, totals.failed, totals.timed_out), (1, 1, 1));
            assert_eq!(told(letters).await, [(0, 1, no_end(), None)]);
            assert_eq!(drops.load(SeqCst), 1);
        });
    }
}

/// tokio's timers are pending in a task that has used up its budget.
#[test]
fn a6_a_future_that_is_never_idle_is_dropped_as_well() {
    for start in ACTORS {
        in_system(move || async move {
            let (queue, letters) = filled(1, attempts(1)).await;
            let busy = work(|item: Item<u32>| async move {
                let _item = item;
                loop {
                    tokio::task::coop::consume_budget().await;
                }
            });
            let pool = start(hasty(&queue), busy).unwrap();
            end(&queue, &pool).await;
            // It has not looked at its item, and still it had its attempt.
            assert_eq!(told(letters).await, [(0, 1, no_end(), None)]);
        });
    }
}

/// The clock of the test's thread, which is that of its workers, stands still but for `advance`.
#[test]
fn a6_of_sixteen_in_flight_one_times_out_and_the_others_notice_nothing() {
    for start in ACTORS {
        in_system(move || async move {
            tokio::time::pause();
            let (queue, mut letters) = filled(1, attempts(1)).await;
            let gate = Arc::new(Semaphore::new(0));
            let gated = work({
                let gate = Arc::clone(&gate);
                move |item: Item<u32>| {
                    let gate = Arc::clone(&gate);
                    async move {
                        gate.acquire().await.unwrap().forget();
                        item.ack();
                    }
                }
            });
            let builder = here(&queue).workers(1).max_in_flight(16).handler_timeout(HOUR);
            let pool = start(builder, gated).unwrap();
            // Waits that are polled again and again: a paused clock jumps ahead where all are idle.
            let leased = |n| until(holds(&queue, n));
            leased(1).await;
            tokio::time::advance(HOUR / 2).await;
            (1..16).for_each(|n| queue.producer().unwrap().try_put(n).unwrap());
            leased(16).await;
            tokio::time::advance(HOUR * 3 / 4).await;
            let mut letter = None;
            until(|| {
                letter = letter.take().or_else(|| letters.try_get().ok());
                letter.is_some()
            })
            .await;
            let letter = letter.unwrap();
            assert_eq!((letter.item, letter.error.as_deref()), (0, Some("no end after 60 min")));
            leased(15).await;
            gate.add_permits(15);
            let totals = end(&queue, &pool).await.totals;
            assert_eq!((totals.acked, totals.failed, totals.timed_out), (15, 1, 1));
        });
    }
}

/// Whether the workers hold this many.
fn holds(queue: &IterableQueue<u32>, n: u64) -> impl FnMut() -> bool {
    let queue = queue.clone();
    move || queue.snapshot().leased == n
}

#[test]
fn a6_an_item_whose_future_times_out_in_a_pause_waits_for_its_end() {
    for start in ACTORS {
        in_system(move || async move {
            tokio::time::pause();
            let (queue, letters) = filled(1, attempts(2)).await;
            let later = work(|item: Item<u32>| async move {
                if item.attempt() == 1 {
                    pending::<()>().await;
                }
                item.ack();
            });
            let pool = start(here(&queue).workers(1).handler_timeout(HOUR), later).unwrap();
            until(holds(&queue, 1)).await;
            pool.pause();
            tokio::time::advance(HOUR * 2).await;
            until(|| queue.len() == 1).await;
            quiet().await;
            assert_eq!((queue.len(), queue.snapshot().totals.acked), (1, 0));
            pool.resume();
            let totals = end(&queue, &pool).await.totals;
            assert_eq!((totals.acked, totals.failed, totals.timed_out), (1, 1, 1));
            assert_eq!(told(letters).await, []);
        });
    }
}

/// Work that never ends, and the test's end of a channel that tells when it begins.
fn silent() -> (Work, UnboundedReceiver<()>) {
    let (begun, begins) = unbounded();
    let silent = work(move |item: Item<u32>| {
        let _ = begun.unbounded_send(()); // the test may have heard enough
        async move {
            pending::<()>().await;
            item.ack();
        }
    });
    (silent, begins)
}

#[test]
fn a6_a_shutdown_waits_no_longer_for_a_future_than_its_time() {
    for start in ACTORS {
        in_system(move || async move {
            let (queue, _letters) = filled(1, attempts(1)).await;
            let (silent, mut begins) = silent();
            let pool = start(hasty(&queue), silent).unwrap();
            begins.next().await.unwrap();
            let report = queue.shutdown(HOUR).await;
            assert!(report.left.is_empty() && report.holders.is_empty(), "{report:?}");
            let totals = pool.drained().await.unwrap().totals;
            assert_eq!((totals.acked, totals.failed, totals.timed_out), (0, 1, 1));
        });
    }
}

/// After an abort the worker is told of the end once its futures are done.
#[test]
fn a6_after_an_abort_a_pool_ends_although_a_future_does_not() {
    for start in ACTORS {
        in_system(move || async move {
            let queue = backlog(0..1);
            let (silent, mut begins) = silent();
            let pool = start(hasty(&queue), silent).unwrap();
            begins.next().await.unwrap();
            drop(queue.abort());
            let totals = pool.drained().await.unwrap().totals;
            assert!(totals.timed_out > 0 && totals.acked == 0, "{totals:?}");
        });
    }
}

#[test]
fn a6_a_time_of_zero_is_enough_for_what_is_ready_and_the_longest_is_no_limit() {
    for start in ACTORS {
        in_system(move || async move {
            let (queue, letters) = filled(3, attempts(1)).await;
            let silent = work(|item: Item<u32>| async move {
                if *item == 1 {
                    pending::<()>().await;
                }
                item.ack();
            });
            let pool = start(here(&queue).workers(1).handler_timeout(Duration::ZERO), silent).unwrap();
            let totals = end(&queue, &pool).await.totals;
            assert_eq!((totals.acked, totals.timed_out), (2, 1));
            assert_eq!(told(letters).await, [(1, 1, Some("no end after 0 ms".to_owned()), None)]);
        });
        in_system(move || async move {
            let queue = backlog(0..20);
            let slow = work(|item: Item<u32>| async move {
                quiet().await;
                item.ack();
            });
            let pool = start(here(&queue).workers(1).max_in_flight(4).handler_timeout(Duration::MAX), slow).unwrap();
            let totals = end(&queue, &pool).await.totals;
            assert_eq!((totals.acked, totals.timed_out), (20, 0));
        });
    }
}

/// And nothing has been started: the queue is as it was.
#[test]
fn a6_a_pool_whose_handlers_cannot_be_interrupted_takes_no_time_limit() {
    in_system(|| async {
        let queue = backlog(0..3);
        let nothing = || work(|item: Item<u32>| async move { item.ack() });
        let limited = || here(&queue).workers(1).handler_timeout(HOUR);
        let (at_once, in_turn) = (nothing(), nothing());
        let started = [
            limited().start(move |_| AtOnce(Arc::clone(&at_once))),
            limited().start(move |_| InTurn(Arc::clone(&in_turn))),
            limited().run(|_| ()),
            limited().run_with(|_| (), |(), _| ()),
        ];
        for result in started {
            assert!(matches!(result, Err(PoolError::NotInterruptible)), "{result:?}");
        }
        let pool = here(&queue).workers(1).start(acks()).unwrap();
        assert_eq!(end(&queue, &pool).await.totals.acked, 3);
    });
}

#[test]
fn the_log_tells_of_timeouts_now_and_then_and_of_no_forgotten_ack() {
    log::keep();
    for (start, name) in ACTORS.into_iter().zip(["hushed", "mute"]) {
        in_system(move || async move {
            let (queue, letters) = filled(5, attempts(1)).await;
            let silent = work(|item: Item<u32>| async move {
                let _item = item;
                pending().await
            });
            let pool = start(hasty(&queue).name(name), silent).unwrap();
            assert_eq!(end(&queue, &pool).await.workers[0].totals.timed_out, 5);
            assert_eq!(told(letters).await.len(), 5);
            let said = log::said(Level::Warn, &format!("{name}-0 dropped"));
            assert_eq!(said.len(), 3, "{said:?}");
            for (text, number) in said.iter().zip([1, 2, 4]) {
                assert!(text.contains(&format!(
                    "had no end after 2 ms; what the future had not settled fails. (Number {number} "
                )));
            }
        });
    }
}
