//! Failed items in a bounded queue: they may exceed its capacity (D5), but leaving them to others does
//! not add up, and they come to their end.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use actix_iterable_queue::error::TryGetError;
use actix_iterable_queue::{Backoff, Builder, Consumer, Item, State};
use support::{Lcg, assert_conserved, within_watchdog};

/// The others hold one item each for long, so the one that fails takes new ones first, and would
/// make room for ever more of them.
#[test]
fn d5_what_one_fails_beside_others_that_hold_theirs_for_long_stays_bounded() {
    const CAPACITY: usize = 10;
    const ATTEMPTS: u32 = 3;
    const ROUNDS: u32 = 3000;
    for others in 1..4 {
        let queue = support::backend::builder().capacity(CAPACITY).max_attempts(ATTEMPTS).build().unwrap();
        let mut letters = queue.dead_letters().unwrap();
        let (producer, mut fails) = (queue.producer().unwrap(), queue.consumer().unwrap());
        let mut busy: Vec<_> = (0..others).map(|_| queue.consumer().unwrap()).collect();
        let mut puts = 0..;
        let mut fill = || while producer.try_put(puts.next().expect("there is no end")).is_ok() {};
        fill();
        let held: Vec<_> = busy.iter_mut().map(|busy| busy.try_lease().unwrap()).collect();
        for _ in 0..ROUNDS {
            fill();
            fails.try_lease().unwrap().requeue();
            let buffered = queue.len();
            assert!(buffered <= CAPACITY + 1 + others, "{buffered} items in a queue of {CAPACITY}");
        }
        // Each failure is an attempt: of a letter, or of one of the few that are left to the others.
        let dead = u32::try_from(letters.try_iter().count()).unwrap();
        let left = u32::try_from(1 + others).unwrap() * (ATTEMPTS - 1);
        assert!(dead * ATTEMPTS + left >= ROUNDS, "only {dead} dead letters of {ROUNDS} failures");
        assert_conserved(&queue);
        held.into_iter().for_each(Item::ack);
    }
}

/// Takes in two ways, keeps some for a while, and fails often. What it has done.
fn work(mut consumer: Consumer<u32>, random: &mut Lcg) -> Vec<u32> {
    let (mut done, mut held) = (Vec::new(), Vec::new());
    loop {
        // Whoever holds the last lease may not wait for more.
        if held.is_empty() && random.below(3) > 0 {
            match consumer.blocking_lease() {
                Some(item) => held.push(item),
                None => return done,
            }
        } else {
            match consumer.try_lease() {
                Ok(item) => held.push(item),
                Err(TryGetError::Ended) => return done,
                Err(_) => thread::yield_now(),
            }
        }
        if held.len() > 3 {
            held.clear();
        }
        if random.below(2) == 0 && !held.is_empty() {
            let item = held.swap_remove(random.below(held.len() as u64) as usize);
            match random.below(4) {
                0 => drop(item),
                1 => item.requeue(),
                _ => {
                    done.push(*item);
                    item.ack();
                }
            }
        }
    }
}

#[test]
fn d2_through_a_small_queue_that_threads_fail_at_everything_is_done_once() {
    const EACH: u32 = 400;
    let waits = |ms| Backoff::exponential(Duration::from_millis(ms), Duration::from_millis(ms));
    for (capacity, backoff) in [(1, None), (3, Some(waits(1))), (64, None), (64, Some(waits(0)))] {
        within_watchdog(move || {
            let mut queue: Builder<u32> = support::backend::builder().capacity(capacity).max_attempts(u32::MAX);
            if let Some(backoff) = backoff {
                queue = queue.redelivery_backoff(backoff);
            }
            let queue = queue.build().unwrap();
            let done = Arc::new(Mutex::new(Vec::new()));
            let mut threads = Vec::new();
            for seed in 0..6 {
                let (consumer, done) = (queue.consumer().unwrap(), Arc::clone(&done));
                threads.push(thread::spawn(move || {
                    let mine = work(consumer, &mut Lcg::new(seed));
                    done.lock().unwrap().extend(mine);
                }));
            }
            for first in [0, EACH, 2 * EACH] {
                let producer = queue.producer().unwrap();
                threads.push(thread::spawn(move || {
                    (first..first + EACH).for_each(|n| producer.blocking_put(n).unwrap());
                }));
            }
            queue.seal();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!(queue.state(), State::Drained);
            assert_conserved(&queue);
            let mut done = done.lock().unwrap().clone();
            done.sort_unstable();
            assert!(done.into_iter().eq(0..3 * EACH));
        });
    }
}
