//! All that can happen to an item at once, in a pool that grows and shrinks (A6, C6, D3, D13).

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use actix_iterable_queue::prelude::*;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use support::actors::{in_system, until};
use support::assert_conserved;

const BURSTS: u32 = 20;
const BURST: u32 = 10_000;
const MAX_ATTEMPTS: u32 = 3;

/// What has happened to each item.
#[derive(Default)]
struct Fate {
    calls: AtomicU32,
    failures: AtomicU32,
}

/// The same for each run, and as good as random.
fn roll(item: u32, call: u32) -> u32 {
    (u64::from(item * 64 + call).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as u32 % 100
}

/// 1 % each of panics, errors, releases and timeouts, over and over for the same item.
#[test]
fn a6_of_two_hundred_thousand_asks_each_is_answered_or_told_why_not() {
    in_system(|| async {
        let ms = Duration::from_millis;
        let backoff = Backoff::exponential(ms(1), ms(4));
        let queue = IterableQueue::<Ask<u32, u32>>::builder().max_attempts(MAX_ATTEMPTS).redelivery_backoff(backoff);
        let queue = queue.keep_dead_letters(usize::MAX).build().unwrap();
        let items: Arc<Vec<Fate>> = Arc::new((0..BURSTS * BURST).map(|_| Fate::default()).collect());
        let work = {
            let items = Arc::clone(&items);
            async move |ask: &Item<Ask<u32, u32>>| -> Result<Verdict, String> {
                let (number, item) = (*ask.job(), &items[*ask.job() as usize]);
                assert_eq!(ask.attempt(), item.failures.load(SeqCst) + 1, "item {number}");
                let what = roll(number, item.calls.fetch_add(1, SeqCst));
                // A few fail each time.
                let what = if number % 1000 == 7 { what % 3 } else { what };
                if what < 3 {
                    item.failures.fetch_add(1, SeqCst);
                }
                match what {
                    // Without the hook, which would print each of them.
                    0 => resume_unwind(Box::new("a bad call")),
                    1 => Err("a bad answer".to_owned()),
                    2 => std::future::pending().await,
                    3 => Ok(Verdict::Release),
                    _ => {
                        ask.answer(number + 1);
                        Ok(Verdict::Ack)
                    }
                }
            }
        };
        let pool = WorkerPool::builder(&queue)
            .workers(1..=8)
            .grow_after(ms(1))
            .shrink_after(ms(5))
            .max_in_flight(32)
            .handler_timeout(ms(5))
            .run_async(work)
            .unwrap();

        let producer = queue.producer().unwrap();
        let (mut answered, mut told) = (0, 0);
        for burst in 0..BURSTS {
            let asks = (0..BURST).map(|n| {
                let (number, producer) = (burst * BURST + n, &producer);
                async move { (number, producer.ask(number).await) }
            });
            let mut asks: FuturesUnordered<_> = asks.collect();
            while let Some((number, answer)) = asks.next().await {
                match answer {
                    Ok(answer) => {
                        assert_eq!(answer, number + 1);
                        answered += 1;
                    }
                    Err(AskError::DeadLetter(letter)) => {
                        assert_eq!(letter.attempts, MAX_ATTEMPTS);
                        assert_eq!(letter.history.len() as u32, MAX_ATTEMPTS, "{letter:?}");
                        told += 1;
                    }
                    Err(error) => panic!("item {number}: {error}"),
                }
            }
            until(|| pool.scaling().workers == 1).await;
        }
        drop(producer);
        queue.seal();
        let report = pool.drained().await.unwrap();

        let failures: u32 = items.iter().map(|item| item.failures.load(SeqCst)).sum();
        let dead = items.iter().filter(|item| item.failures.load(SeqCst) == MAX_ATTEMPTS).count();
        assert_eq!((answered + told, told), (BURSTS * BURST, dead as u32));
        assert!(told > 0 && failures > BURSTS * BURST / 50, "{told} dead of {failures} failures");
        let totals = report.drained.totals;
        assert_eq!((totals.accepted, totals.dead_lettered), (u64::from(BURSTS * BURST), dead as u64));
        assert_eq!((totals.acked, totals.discarded), (totals.accepted - totals.dead_lettered, 0));
        assert_eq!(queue.dead_letters().unwrap().into_iter().count(), dead);
        assert!(report.scaling.added >= u64::from(BURSTS) && report.scaling.removed >= u64::from(BURSTS));
        assert_conserved(&queue);
    });
}
