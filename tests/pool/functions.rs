//! Pools of functions: what they return decides, and all else is as for workers that are actors (A6, D3).

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use actix_iterable_queue::prelude::*;
use actix_iterable_queue::{DeadLetter, IntoVerdict};
use futures::StreamExt;
use support::actors::{in_system, until};
use support::assert_conserved;
use support::backend;
use tokio::sync::Semaphore;

/// A sealed queue with 0..n in it, each with this number of attempts; and its dead letters.
async fn filled(n: u32, max_attempts: u32) -> (IterableQueue<u32>, impl Future<Output = Vec<DeadLetter<u32>>>) {
    let queue = backend::build(backend::builder().max_attempts(max_attempts));
    let letters = queue.dead_letters().unwrap();
    queue.producer().unwrap().put_all(0..n).await.unwrap();
    let sorted = async {
        let mut letters: Vec<_> = letters.collect().await;
        letters.sort_by_key(|letter| letter.item);
        letters
    };
    (queue, sorted)
}

const SOON: Duration = Duration::from_millis(2);

/// For the items 0 to 9, whose second attempts all succeed.
fn verdict(item: &Item<u32>) -> Result<Verdict, String> {
    match (**item, item.attempt()) {
        (0, _) => Ok(Verdict::Ack),
        (1, _) => Ok(Verdict::Reject("not for us".to_owned())),
        (2, 1) => Ok(Verdict::Retry("once more".to_owned())),
        (3, 1) => Ok(Verdict::RetryAfter(SOON, "later".to_owned())),
        (4, 1) | (5, _) => Err(format!("error {}", **item)),
        _ => Ok(().into_verdict()),
    }
}

/// By number: how often it was handed out is 2 for 2 to 5, else 1.
async fn assert_verdicts(
    queue: IterableQueue<u32>,
    pool: WorkerPool<u32>,
    letters: impl Future<Output = Vec<DeadLetter<u32>>>,
) {
    queue.seal();
    let report = pool.drained().await.unwrap();
    assert_eq!(report.drained.outcome, Outcome::Complete);
    assert_eq!((report.totals.acked, report.totals.failed, report.totals.deaths), (8, 6, 0));
    let letters: Vec<_> = letters.await.into_iter().map(|l| (l.item, l.attempts, l.reason, l.error)).collect();
    let used_up = (5, 2, "attempts used up".to_owned(), Some("error 5".to_owned()));
    assert_eq!(letters, [(1, 1, "not for us".to_owned(), None), used_up]);
    assert_conserved(&queue);
}

#[test]
fn a6_what_a_function_returns_decides() {
    in_system(|| async {
        let (queue, letters) = filled(10, 2).await;
        let pool = WorkerPool::builder(&queue).workers(2).run(verdict).unwrap();
        assert_verdicts(queue, pool, letters).await;
    });
}

#[test]
fn a6_what_an_async_function_returns_decides() {
    in_system(|| async {
        let (queue, letters) = filled(10, 2).await;
        let pool = WorkerPool::builder(&queue).workers(2).max_in_flight(4);
        let pool = pool.run_async(async |item| {
            tokio::task::yield_now().await;
            verdict(item)
        });
        assert_verdicts(queue, pool.unwrap(), letters).await;
    });
}

#[test]
fn a6_an_item_that_is_released_is_done_by_and_by() {
    in_system(|| async {
        let (queue, letters) = filled(20, 1).await;
        let looks = Arc::new(AtomicUsize::new(0));
        let pool = WorkerPool::builder(&queue).workers(2).run({
            let looks = Arc::clone(&looks);
            move |_| match looks.fetch_add(1, SeqCst) % 3 {
                0 => Verdict::Release,
                1 => Verdict::ReleaseAfter(SOON),
                _ => Verdict::Ack,
            }
        });
        queue.seal();
        assert_eq!(pool.unwrap().drained().await.unwrap().totals.acked, 20);
        assert!(letters.await.is_empty(), "no attempt was counted");
    });
}

/// As with actors: the worker dies, what it made for itself is made anew, and the item has lost an attempt.
#[test]
fn a6_a_panic_in_a_function_is_the_death_of_its_worker() {
    in_system(|| async {
        let (queue, letters) = filled(30, 2).await;
        let made = Arc::new(AtomicUsize::new(0));
        let pool = WorkerPool::builder(&queue).workers(2).run_with(
            {
                let made = Arc::clone(&made);
                move |index| (index, made.fetch_add(1, SeqCst))
            },
            |(index, _), item: &Item<u32>| {
                assert!(*index < 2);
                assert!(!item.is_multiple_of(10), "item {} is poison", **item);
            },
        );
        queue.seal();
        let report = pool.unwrap().drained().await.unwrap();
        assert_eq!((report.totals.acked, report.totals.deaths, made.load(SeqCst)), (27, 6, 8));
        let letters = letters.await;
        assert!(letters.iter().map(|letter| letter.item).eq([0, 10, 20]));
        for letter in letters {
            assert_eq!((letter.error, letter.panic), (None, Some(format!("item {} is poison", letter.item))));
        }
    });
}

#[test]
fn a6_a_panic_in_the_future_of_a_function_costs_its_item_an_attempt_and_no_worker() {
    in_system(|| async {
        let (queue, letters) = filled(10, 2).await;
        let pool = WorkerPool::builder(&queue).workers(1).max_in_flight(3).run_async(async |item: &Item<u32>| {
            tokio::task::yield_now().await;
            assert!(**item != 4, "it is poison");
        });
        queue.seal();
        let report = pool.unwrap().drained().await.unwrap();
        assert_eq!((report.totals.acked, report.totals.failed, report.totals.deaths), (9, 2, 0));
        assert_eq!(letters.await[0].panic.as_deref(), Some("it is poison"));
    });
}

/// A2, and what a worker's futures share need not be `Send`.
#[test]
fn a2_the_futures_of_a_worker_share_what_it_made_and_are_no_more_than_its_limit() {
    in_system(|| async {
        let (queue, _) = filled(40, 1).await;
        let gate = Arc::new(Semaphore::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let pool =
            WorkerPool::builder(&queue).workers(2).max_in_flight(3).run_async_with(|_| Rc::new(Cell::new(0_usize)), {
                let (gate, most) = (Arc::clone(&gate), Arc::clone(&most));
                async move |open: &Rc<Cell<usize>>, _: &Item<u32>| {
                    open.set(open.get() + 1);
                    most.fetch_max(open.get(), SeqCst);
                    gate.acquire().await.unwrap().forget();
                    open.set(open.get() - 1);
                }
            });
        until(|| queue.snapshot().leased == 6 && most.load(SeqCst) >= 3).await;
        gate.add_permits(40);
        queue.seal();
        assert_eq!(pool.unwrap().drained().await.unwrap().totals.acked, 40);
        assert_eq!(most.load(SeqCst), 3);
    });
}

/// Work that makes work goes through the lease that the function was lent.
#[test]
fn d9_a_function_puts_through_the_lease_it_was_lent() {
    in_system(|| async {
        let (queue, _) = filled(1, 1).await;
        let pool = WorkerPool::builder(&queue).workers(2).run(|depth: &Item<u32>| match **depth {
            3 => Ok(()),
            n => depth.put_children([n + 1, n + 1]).map(drop),
        });
        queue.seal();
        assert_eq!(pool.unwrap().drained().await.unwrap().totals.acked, 15);
    });
}

#[test]
fn a6_a_pool_whose_init_always_panics_gives_up_at_its_limit_and_loses_nothing() {
    in_system(|| async {
        let queue = IterableQueue::unbounded();
        queue.producer().unwrap().put_all(0..3).await.unwrap();
        let pool = support::crew::here(&queue).workers(1).restart_limit(2, support::crew::HOUR);
        let pool = pool.restart_backoff(support::crew::SOON);
        let pool = pool.run_with(|_| -> u8 { panic!("no config") }, |_, _| ()).unwrap();
        assert!(pool.drained().await.is_err());
        assert_eq!(pool.take_left(), [0, 1, 2]);
    });
}

async fn post(mail: &Item<String>) -> Result<(), std::fmt::Error> {
    tokio::task::yield_now().await;
    if mail.is_empty() { Err(std::fmt::Error) } else { Ok(()) }
}

struct Mailer;

impl Mailer {
    fn send(&mut self, mail: &Item<String>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        if mail.is_empty() { Err("nothing in it".into()) } else { Ok(()) }
    }
}

/// They need no closure around them, and closures no types.
#[test]
fn a6_functions_and_methods_are_workers_as_they_are() {
    in_system(|| async {
        let queue = IterableQueue::unbounded();
        queue.producer().unwrap().put_all(["a", "b"].map(String::from)).await.unwrap();
        let pools = [
            WorkerPool::builder(&queue).workers(1).run_async(post),
            WorkerPool::builder(&queue).workers(1).run_with(|_| Mailer, Mailer::send),
            WorkerPool::builder(&queue).workers(1).run_with(|_| Mailer, |mailer, mail| mailer.send(mail)),
            WorkerPool::builder(&queue).workers(1).run(|mail| assert!(mail.len() == 1)),
        ];
        queue.seal();
        let mut acked = 0;
        for pool in pools {
            acked += pool.unwrap().drained().await.unwrap().totals.acked;
        }
        assert_eq!(acked, 2);
    });
}

/// D11: a worker that only gives back lets the others of its thread go on.
#[test]
fn d11_releasing_in_a_circle_leaves_time_to_others() {
    in_system(|| async {
        let (queue, _letters) = filled(3, 1).await;
        let open = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let work = |open: &Arc<std::sync::atomic::AtomicBool>| {
            let open = Arc::clone(open);
            move |_: &Item<u32>| if open.load(SeqCst) { Verdict::Ack } else { Verdict::Release }
        };
        let now = support::crew::here(&queue).workers(1).run(work(&open)).unwrap();
        let later = support::crew::here(&queue).workers(1).max_in_flight(2).run_async({
            let work = work(&open);
            async move |item| work(item)
        });
        tokio::time::sleep(SOON).await;
        open.store(true, SeqCst);
        queue.seal();
        let acked = now.drained().await.unwrap().totals.acked + later.unwrap().drained().await.unwrap().totals.acked;
        assert_eq!(acked, 3);
    });
}

struct PoisonError;

impl std::fmt::Display for PoisonError {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("no text")
    }
}

/// A panic in the text of an error is one of the function.
#[test]
fn a6_an_error_whose_text_panics_costs_its_item_an_attempt() {
    in_system(|| async {
        let (queue, letters) = filled(2, 2).await;
        let pool = WorkerPool::builder(&queue).workers(1).run(|_| Err::<(), _>(PoisonError)).unwrap();
        queue.seal();
        assert_eq!(pool.drained().await.unwrap().totals.deaths, 4);
        for letter in letters.await {
            assert_eq!((letter.attempts, letter.panic.as_deref()), (2, Some("no text")));
        }
        let (queue, letters) = filled(2, 2).await;
        let pool = WorkerPool::builder(&queue).workers(1).run_async(async |_| Err::<(), _>(PoisonError)).unwrap();
        queue.seal();
        assert_eq!(pool.drained().await.unwrap().totals.deaths, 0);
        for letter in letters.await {
            assert_eq!((letter.attempts, letter.panic.as_deref()), (2, Some("no text")));
        }
    });
}

/// An item of a function that aborts the queue, whatever it then says.
#[test]
fn d8_a_function_may_abort_its_queue() {
    in_system(|| async {
        for (verdict, acked, discarded) in
            [(Verdict::Ack, 1, 2), (Verdict::Release, 0, 3), (Verdict::ReleaseAfter(SOON), 0, 3)]
        {
            let (queue, _letters) = filled(3, 1).await;
            let pool = support::crew::here(&queue).workers(1).run({
                let queue = queue.clone();
                move |_: &Item<u32>| {
                    let _ = queue.abort();
                    verdict.clone()
                }
            });
            let report = pool.unwrap().drained().await.unwrap();
            assert_eq!(report.drained.outcome, Outcome::Aborted);
            if !backend::is_redis() {
                let totals = queue.snapshot().totals;
                assert_eq!((totals.acked, totals.discarded), (acked, discarded));
                assert_conserved(&queue);
            }
        }
    });
}

/// The message of an error says all that the error knows, with its causes if its alternate form has them, as that of
/// `anyhow` does.
#[test]
fn d3_the_error_of_a_letter_has_the_causes() {
    struct Chained;
    impl std::fmt::Display for Chained {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(if f.alternate() { "sending mail: no route to host" } else { "sending mail" })
        }
    }
    in_system(|| async {
        let (queue, letters) = filled(1, 1).await;
        let pool = WorkerPool::builder(&queue).workers(1).run(|_| Err::<(), _>(Chained)).unwrap();
        queue.seal();
        pool.drained().await.unwrap();
        assert_eq!(letters.await[0].error.as_deref(), Some("sending mail: no route to host"));
    });
}
