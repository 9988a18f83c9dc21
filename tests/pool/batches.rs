//! Workers that are handed batches, as actors and as functions. Batches that wait for more have an hour.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use actix::prelude::*;
use actix_iterable_queue::error::PoolError;
use actix_iterable_queue::prelude::*;
use actix_iterable_queue::report::PoolReport;
use actix_iterable_queue::{Ask, Batch, DeadLetter, Verdict, WorkerPoolBuilder};
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::future::join_all;
use futures::{FutureExt, StreamExt};
use support::actors::{backlog_in_memory, in_system, quiet, until};
use support::crew::{HOUR, here};
use support::{Lcg, assert_conserved, backend, faults, panic_of};

/// Over Redis the tail of a queue waits its time out.
fn linger() -> Duration {
    if backend::is_redis() { Duration::from_millis(2) } else { HOUR }
}

/// A queue with 0..n in it, and its dead letters by item: attempts, error, panic.
async fn filled(n: u32, max_attempts: u32) -> (IterableQueue<u32>, impl Future<Output = Letters>) {
    let queue = backend::build(backend::builder().max_attempts(max_attempts));
    let letters = queue.dead_letters().unwrap();
    queue.producer().unwrap().put_all(0..n).await.unwrap();
    let say =
        |DeadLetter { item, attempts, reason, error, panic, .. }| (item, (attempts, error.or(panic).unwrap_or(reason)));
    (queue, async move { letters.map(say).collect().await })
}

type Letters = BTreeMap<u32, (u32, String)>;

/// The end of the queue, which has begun to wait for what the workers hold.
async fn end(queue: &IterableQueue<u32>, pool: &WorkerPool<u32>) -> PoolReport {
    queue.seal();
    let report = pool.drained().await.unwrap();
    assert_eq!(report.drained.outcome, Outcome::Complete);
    assert_conserved(queue);
    report
}

#[test]
fn a6_a_function_works_on_batches_up_to_the_tail() {
    in_system(|| async {
        let (queue, letters) = filled(250, 1).await;
        let most = Arc::new(AtomicUsize::new(0));
        let pool = WorkerPool::builder(&queue).workers(2).batch(100, linger()).run({
            let most = Arc::clone(&most);
            move |batch: &[Item<u32>]| {
                most.fetch_max(batch.len(), SeqCst);
                assert!((1..=100).contains(&batch.len()));
                assert!(batch.is_sorted_by_key(|item| **item));
            }
        });
        let totals = end(&queue, &pool.unwrap()).await.totals;
        assert_eq!((totals.acked, totals.deaths), (250, 0));
        assert!(backend::is_redis() || most.load(SeqCst) == 100, "{most:?}");
        assert!(letters.await.is_empty());
    });
}

#[test]
fn a6_one_verdict_is_for_all_members() {
    in_system(|| async {
        let (queue, letters) = filled(6, 2).await;
        let pool = WorkerPool::builder(&queue).workers(1).batch(2, linger());
        // One at a time comes back, with another or without.
        let pool = pool.run(|batch: &[Item<u32>]| match **batch.iter().min_by_key(|item| ***item).unwrap() {
            0 | 1 => Err("busy"),
            2 | 3 => Ok(Verdict::Reject("not for us".to_owned())),
            _ => Ok(Verdict::Ack),
        });
        let totals = end(&queue, &pool.unwrap()).await.totals;
        let letters = letters.await;
        assert_eq!(totals.acked, 6 - letters.len() as u64);
        assert_eq!(letters[&0], (2, "busy".to_owned()));
        if !backend::is_redis() {
            let expected = [(0, (2, "busy")), (1, (2, "busy")), (2, (1, "not for us")), (3, (1, "not for us"))];
            assert!(letters.into_iter().eq(expected.map(|(n, (attempt, text))| (n, (attempt, text.to_owned())))));
        }
    });
}

fn verdict(item: &Item<u32>) -> Result<Verdict, String> {
    match (**item % 5, item.attempt()) {
        (1, _) => Ok(Verdict::Reject("not for us".to_owned())),
        (2, 1) => Ok(Verdict::Retry("once more".to_owned())),
        (3, 1) => Ok(Verdict::RetryAfter(Duration::from_millis(2), "later".to_owned())),
        (4, _) => Err(format!("error {}", **item)),
        _ => Ok(Verdict::Ack),
    }
}

async fn assert_one_verdict_for_each(
    queue: IterableQueue<u32>,
    pool: Result<WorkerPool<u32>, PoolError>,
    letters: impl Future<Output = Letters>,
) {
    let totals = end(&queue, &pool.unwrap()).await.totals;
    assert_eq!((totals.acked, totals.deaths), (30, 0));
    let letters = letters.await;
    assert_eq!(letters.len(), 20);
    for (item, letter) in letters {
        match item % 5 {
            1 => assert_eq!(letter, (1, "not for us".to_owned())),
            _ => assert_eq!(letter, (2, format!("error {item}"))),
        }
    }
}

#[test]
fn a6_a_vector_has_a_verdict_for_each_member_in_order() {
    in_system(|| async {
        let (queue, letters) = filled(50, 2).await;
        let pool = WorkerPool::builder(&queue).workers(2).batch(7, linger());
        let pool = pool.run(|batch: &[Item<u32>]| batch.iter().map(verdict).collect::<Vec<_>>());
        assert_one_verdict_for_each(queue, pool, letters).await;
    });
}

#[test]
fn a6_an_async_function_gives_a_verdict_for_each_member_too() {
    in_system(|| async {
        let (queue, letters) = filled(50, 2).await;
        let pool = WorkerPool::builder(&queue).workers(2).max_in_flight(20).batch(7, linger());
        let pool = pool.run_async(async |batch: &[Item<u32>]| {
            tokio::task::yield_now().await;
            Ok::<Vec<_>, String>(batch.iter().map(verdict).collect())
        });
        assert_one_verdict_for_each(queue, pool, letters).await;
    });
}

#[test]
fn a6_with_a_vector_of_the_wrong_length_all_members_fail_and_none_is_acked() {
    for (wrong, says) in [(2_usize, "2"), (4, "4"), (0, "0")] {
        in_system(move || async move {
            let (queue, letters) = filled(3, 1).await;
            let pool =
                WorkerPool::builder(&queue).workers(1).batch(3, HOUR).run(move |_: &[Item<u32>]| vec![(); wrong]);
            let totals = end(&queue, &pool.unwrap()).await.totals;
            assert_eq!((totals.acked, totals.failed, totals.deaths), (0, 3, 0));
            let text = format!("the number of verdicts is {says}, that of members is 3");
            assert!(letters.await.into_values().eq([(); 3].map(|()| (1, text.clone()))));
        });
    }
}

#[test]
fn a6_a_panic_costs_each_member_an_attempt_and_the_worker_is_replaced() {
    in_system(|| async {
        let (queue, letters) = filled(3, 2).await;
        let made = Arc::new(AtomicUsize::new(0));
        let pool = WorkerPool::builder(&queue).workers(1).batch(3, linger()).run_with(
            {
                let made = Arc::clone(&made);
                move |index| (index, made.fetch_add(1, SeqCst))
            },
            |(index, _), batch: &[Item<u32>]| {
                assert!(*index == 0 && batch.iter().all(|item| **item > 2), "a batch is poison");
            },
        );
        let totals = end(&queue, &pool.unwrap()).await.totals;
        assert_eq!(totals.acked, 0);
        assert!(backend::is_redis() || (totals.deaths, made.load(SeqCst)) == (2, 3));
        assert!(letters.await.into_values().eq([(); 3].map(|()| (2, "a batch is poison".to_owned()))));
    });
}

#[test]
fn a6_a_panic_in_a_future_costs_each_member_an_attempt_and_the_worker_lives() {
    in_system(|| async {
        let (queue, letters) = filled(3, 2).await;
        let pool = WorkerPool::builder(&queue).workers(1).batch(3, linger()).run_async_with(
            |index| index,
            async |index: &usize, _: &[Item<u32>]| {
                tokio::task::yield_now().await;
                assert!(*index > 0, "a batch is poison");
            },
        );
        let totals = end(&queue, &pool.unwrap()).await.totals;
        assert_eq!((totals.acked, totals.failed, totals.deaths), (0, 6, 0));
        assert!(letters.await.into_values().eq([(); 3].map(|()| (2, "a batch is poison".to_owned()))));
    });
}

#[test]
fn a6_a_batch_in_a_future_without_end_fails_as_a_whole() {
    in_system(|| async {
        let (queue, letters) = filled(3, 1).await;
        let pool = WorkerPool::builder(&queue).workers(1).handler_timeout(Duration::from_millis(2)).batch(3, linger());
        let pool = pool.run_async(async |_: &[Item<u32>]| pending::<()>().await);
        let totals = end(&queue, &pool.unwrap()).await.totals;
        assert_eq!((totals.acked, totals.failed, totals.deaths), (0, 3, 0));
        assert!(letters.await.into_values().eq([(); 3].map(|()| (1, "no end after 2 ms".to_owned()))));
        assert!(totals.timed_out == 1 || backend::is_redis());
    });
}

#[test]
fn a_function_that_cannot_be_interrupted_has_no_timeout_with_batches_either() {
    in_system(|| async {
        let queue = backlog_in_memory(0..0);
        let pool = WorkerPool::builder(&queue).handler_timeout(HOUR).batch(3, HOUR).run(|_: &[Item<u32>]| ());
        assert!(matches!(pool, Err(PoolError::NotInterruptible)));
    });
}

/// Hands its batches on to the test, which settles them or not.
struct Hand {
    batches: UnboundedSender<Batch<u32>>,
    /// To consume from without a pool, in batches of three.
    consumer: Option<Consumer<u32>>,
    births: Option<UnboundedSender<Addr<Self>>>,
}

impl Hand {
    fn new(batches: &UnboundedSender<Batch<u32>>) -> Self {
        Self { batches: batches.clone(), consumer: None, births: None }
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Die;

impl Handler<Die> for Hand {
    type Result = ();

    fn handle(&mut self, _: Die, _: &mut Self::Context) {
        panic!("the test wants it to die");
    }
}

impl Actor for Hand {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(births) = &self.births {
            births.unbounded_send(ctx.address()).unwrap();
        }
        if let Some(consumer) = self.consumer.take() {
            ctx.consume_batches(3, HOUR, consumer);
        }
    }
}

impl Handler<Batch<u32>> for Hand {
    type Result = ();

    fn handle(&mut self, batch: Batch<u32>, _: &mut Self::Context) {
        self.batches.unbounded_send(batch).unwrap();
    }
}

impl Handler<Drained> for Hand {
    type Result = ();

    fn handle(&mut self, _: Drained, _: &mut Self::Context) {
        self.batches.close_channel();
    }
}

/// One worker on this thread, with batches of up to three.
fn hand(builder: WorkerPoolBuilder<u32>) -> (WorkerPool<u32>, UnboundedReceiver<Batch<u32>>) {
    let (batches, received) = unbounded();
    let pool = builder.workers(1).batch(3, HOUR);
    (pool.start(move |_| Hand::new(&batches)).unwrap(), received)
}

fn items(batch: &Batch<u32>) -> Vec<(u32, u32)> {
    batch.iter().map(|item| (**item, item.attempt())).collect()
}

#[test]
fn a2_a_worker_has_one_batch_at_a_time() {
    in_system(|| async {
        let queue = backlog_in_memory(0..8);
        let (pool, mut batches) = hand(here(&queue));
        let first = batches.next().await.unwrap();
        assert_eq!(items(&first), [(0, 1), (1, 1), (2, 1)]);
        quiet().await;
        assert_eq!(queue.snapshot().leased, 3);
        let mut members = first.into_iter();
        members.by_ref().take(2).for_each(Item::ack);
        quiet().await;
        assert_eq!(queue.snapshot().leased, 1, "one is not settled yet");
        members.for_each(|item| item.fail("busy"));
        let second = batches.next().await.unwrap();
        assert_eq!(items(&second), [(2, 2), (3, 1), (4, 1)]);
        second.ack();
        batches.next().await.unwrap().ack();
        queue.seal();
        assert_eq!(pool.drained().await.unwrap().totals.acked, 8);
        assert!(batches.next().await.is_none());
    });
}

/// Room for two batches, and for a part of a third, which does not begin.
#[test]
fn a2_a_worker_has_as_many_batches_as_it_may_hold_items() {
    in_system(|| async {
        let queue = backlog_in_memory(0..20);
        let (pool, mut batches) = hand(here(&queue).max_in_flight(8));
        let (first, second) = (batches.next().await.unwrap(), batches.next().await.unwrap());
        quiet().await;
        assert_eq!(queue.snapshot().leased, 6);
        let mut members = first.into_iter();
        members.next().unwrap().ack();
        let third = batches.next().await.unwrap();
        assert_eq!((third.len(), queue.snapshot().leased), (3, 8));
        members.for_each(Item::ack);
        second.ack();
        third.ack();
        queue.seal();
        while let Some(batch) = batches.next().await {
            assert!(queue.snapshot().leased <= 8);
            batch.ack();
        }
        assert_eq!(pool.drained().await.unwrap().totals.acked, 20);
    });
}

#[test]
fn a2_a_batch_that_exceeds_the_limit_panics_where_it_is_asked_for() {
    let queue = IterableQueue::<u32>::unbounded();
    let builder = || WorkerPool::builder(&queue).max_in_flight(8);
    assert_eq!(
        panic_of(|| builder().batch(9, HOUR)),
        "WorkerPoolBuilder::batch: a batch of 9 items exceeds max_in_flight, which is 8: raise that, or do not set it"
    );
    let _ = builder().batch(8, HOUR);
    assert_eq!(
        panic_of(|| WorkerPool::builder(&queue).batch(0, HOUR)),
        "WorkerPoolBuilder::batch: max is 0: give at least 1"
    );
}

#[test]
fn a_worker_that_is_paused_gives_back_what_it_has_gathered() {
    in_system(|| async {
        let queue = backlog_in_memory(0..2);
        let producer = queue.producer().unwrap();
        let (pool, mut batches) = hand(here(&queue));
        until(|| queue.snapshot().leased == 2).await;
        pool.pause();
        quiet().await;
        assert_eq!((queue.len(), queue.snapshot().leased), (2, 0));
        assert!(batches.next().now_or_never().is_none());
        producer.try_put(2).unwrap();
        pool.resume();
        let batch = batches.next().await.unwrap();
        assert_eq!(items(&batch), [(0, 1), (1, 1), (2, 1)]);
        batch.ack();
        drop(producer);
        queue.seal();
        assert_eq!(pool.drained().await.unwrap().totals.acked, 3);
    });
}

#[test]
fn a_worker_that_leaves_gives_back_what_it_has_gathered() {
    in_system(|| async {
        let queue = backlog_in_memory(0..0);
        let producer = queue.producer().unwrap();
        let (batches, mut received) = unbounded();
        let pool = here(&queue).workers(2).batch(3, HOUR);
        let pool = pool.start(move |_| Hand::new(&batches)).unwrap();
        until(|| queue.snapshot().waiting_gets == 2).await;
        for n in 0..2 {
            producer.try_put(n).unwrap();
            quiet().await; // the first in line takes it, and goes to the end of the line
        }
        let leased =
            |queue: &IterableQueue<u32>| queue.snapshot().consumers.iter().map(|c| c.leased).collect::<Vec<_>>();
        assert_eq!(leased(&queue), [1, 1]);
        pool.resize(1).unwrap();
        until(|| leased(&queue) == [2]).await;
        producer.try_put(2).unwrap();
        let batch = received.next().await.unwrap();
        let mut all = items(&batch);
        all.sort();
        assert_eq!(all, [(0, 1), (1, 1), (2, 1)]);
        batch.ack();
        drop(producer);
        queue.seal();
        assert_eq!(pool.drained().await.unwrap().totals.acked, 3);
    });
}

#[test]
fn a6_the_death_of_a_worker_costs_what_it_has_only_gathered_no_attempt() {
    in_system(|| async {
        let queue = backlog_in_memory(0..2);
        let producer = queue.producer().unwrap();
        let (births, mut born) = unbounded();
        let (batches, mut received) = unbounded();
        let pool = here(&queue).workers(1).batch(3, HOUR);
        let pool = pool.start(move |_| Hand { births: Some(births.clone()), ..Hand::new(&batches) }).unwrap();
        let first = born.next().await.unwrap();
        until(|| queue.snapshot().leased == 2).await;
        first.do_send(Die);
        born.next().await.unwrap();
        until(|| queue.snapshot().leased == 2).await;
        producer.try_put(2).unwrap();
        let batch = received.next().await.unwrap();
        assert_eq!(items(&batch), [(0, 1), (1, 1), (2, 1)]);
        batch.ack();
        drop(producer);
        queue.seal();
        assert_eq!(pool.drained().await.unwrap().totals.deaths, 1);
    });
}

#[test]
fn a6_an_actor_consumes_batches_in_its_own_context() {
    in_system(|| async {
        let queue = backlog_in_memory(0..8);
        let (batches, mut received) = unbounded();
        let consumer = Some(queue.consumer().unwrap());
        Hand { consumer, ..Hand::new(&batches) }.start();
        queue.seal();
        let mut all = Vec::new();
        while let Some(batch) = received.next().await {
            all.extend(items(&batch));
            batch.ack();
        }
        assert!(all.into_iter().eq((0..8).map(|n| (n, 1))));
        assert_eq!(queue.drained().await.totals.acked, 8);
    });
}

#[test]
fn d13_a_batch_of_asks_is_answered() {
    in_system(|| async {
        let queue = IterableQueue::<Ask<u32, u32>>::bounded(8);
        let producer = queue.producer().unwrap();
        let pool = WorkerPool::builder(&queue).workers(2).batch(3, Duration::from_millis(1));
        let pool = pool.run(|asks: &[Item<Ask<u32, u32>>]| asks.iter().for_each(|ask| ask.answer(ask.job() + 1)));
        let pool = pool.unwrap();
        let answers = join_all((0..10).map(|n| producer.ask(n))).await;
        assert!(answers.into_iter().map(Result::unwrap).eq(1..11));
        drop(producer);
        queue.seal();
        assert_eq!(pool.drained().await.unwrap().totals.acked, 10);
    });
}

/// Workers that wait for more are paused, leave, fail, and die, while items are delayed.
#[test]
fn c6_every_item_is_accounted_for_whatever_a_pool_is_ordered() {
    const ITEMS: u32 = 400;
    in_system(|| async {
        faults::silence();
        for round in 0..backend::rounds(10) as u64 {
            let backoff = Backoff::exponential(Duration::from_micros(50), Duration::from_millis(2));
            let builder = IterableQueue::builder().capacity(16).unlimited_attempts().redelivery_backoff(backoff);
            let queue = backend::build(builder);
            let acked = Arc::new(AtomicUsize::new(0));
            let pool = WorkerPool::builder(&queue).workers(3);
            let pool = pool.restart_limit(usize::MAX, HOUR).batch(5, linger()).run_with(
                move |index| Lcg::new(10 * round + index as u64),
                {
                    let acked = Arc::clone(&acked);
                    move |random: &mut Lcg, batch: &[Item<u32>]| match random.below(40) {
                        0 => faults::fail("bad luck"),
                        1..5 => Err("busy"),
                        5..8 => Ok(vec![Verdict::Release; batch.len()]),
                        _ => {
                            let verdicts = batch.iter().map(|_| match random.below(9) {
                                0 => Verdict::ReleaseAfter(Duration::from_micros(random.below(900))),
                                1 => Verdict::Retry("once more".to_owned()),
                                _ => Verdict::Ack,
                            });
                            let verdicts: Vec<_> = verdicts.collect();
                            acked.fetch_add(verdicts.iter().filter(|v| **v == Verdict::Ack).count(), SeqCst);
                            Ok(verdicts)
                        }
                    }
                },
            );
            let (pool, producer) = (pool.unwrap(), queue.producer().unwrap());
            let feeder = std::thread::spawn(move || producer.blocking_put_all(0..ITEMS).unwrap());
            queue.seal();
            let mut random = Lcg::new(round);
            while queue.state() < State::Drained {
                match random.below(8) {
                    0 => pool.pause(),
                    1..4 => pool.resume(),
                    n => drop(pool.resize(n as usize - 3)),
                }
                for _ in 0..random.below(50) {
                    tokio::task::yield_now().await;
                }
                if feeder.is_finished() && random.below(4) == 0 {
                    break; // the tail
                }
            }
            pool.resume();
            let report = pool.drained().await.unwrap();
            assert_eq!(feeder.join().unwrap(), ITEMS as usize);
            assert_eq!((report.totals.acked, acked.load(SeqCst)), (u64::from(ITEMS), ITEMS as usize));
            assert_conserved(&queue);
        }
    });
}

#[test]
fn an_actor_with_batches_of_0_panics() {
    struct Idle;
    impl Actor for Idle {
        type Context = Context<Self>;
        fn started(&mut self, ctx: &mut Self::Context) {
            let consumer = IterableQueue::<u32>::unbounded().consumer().unwrap();
            let panic = panic_of(|| ctx.consume_batches(0, HOUR, consumer));
            assert_eq!(panic, "ConsumeExt::consume_batches: max is 0: give at least 1");
            System::current().stop();
        }
    }
    impl Handler<Batch<u32>> for Idle {
        type Result = ();
        fn handle(&mut self, _: Batch<u32>, _: &mut Self::Context) {}
    }
    impl Handler<Drained> for Idle {
        type Result = ();
        fn handle(&mut self, _: Drained, _: &mut Self::Context) {}
    }
    let system = System::new();
    system.block_on(async { Idle.start() });
    system.run().unwrap();
}
