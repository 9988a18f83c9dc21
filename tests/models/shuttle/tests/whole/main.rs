//! Whole queues under random schedules: several producers and consumers, which do at random all that
//! they may, and a book of who was handed what. Each model is named after the rules that it checks
//! beside those of the book: nothing is lost (D4), nothing is twice (D2), all is in order (D1), the
//! totals add up (C6), and everybody hears of the end (C5). That somebody sleeps for ever is found by
//! shuttle.

mod book;
mod chance;
mod put;
mod scene;
mod take;

use std::sync::Arc;
use std::time::Duration;

use model::{Backoff, Builder, Claim, IterableQueue, Outcome, Shut, check, close_from_outside, shut_consumer, watched};

use book::Job;
use chance::{a_while, any, below};
use put::Put;
use scene::{Scene, some_queue};
use take::{Consuming, Settle, Take};

/// Two or three producers, and as many consumers, who stay to the end.
fn all_stay(scene: &mut Scene, puts: &'static [Put], consuming: Consuming) {
    for _ in 0..2 + below(2) {
        let producer = scene.producer();
        scene.produce(producer, puts, 1 + below(3) as u32);
    }
    for _ in 0..2 + below(2) {
        let consumer = scene.consumer();
        scene.consume(consumer, consuming);
    }
}

fn threads(queue: Builder<Job>) {
    let mut scene = Scene::new(queue, 5);
    all_stay(&mut scene, Put::THREADS, Consuming::new(Take::THREADS, Settle::DONE));
    scene.look_at_capacity();
    scene.watch(1);
    assert_eq!(scene.judge().outcome, Outcome::Complete);
}

#[test]
fn c3_c4_c5_d2_threads_on_an_unbounded_queue() {
    check(|| threads(IterableQueue::builder().no_redelivery_backoff()));
}

#[test]
fn c3_c4_c5_d2_d5_threads_on_a_bounded_queue() {
    check(|| threads(IterableQueue::builder().no_redelivery_backoff().capacity(1 + below(2))));
}

#[test]
fn d3_d9_leases_settled_in_every_way() {
    check(|| {
        let mut scene = Scene::new(some_queue(), 1 + below(3) as u32);
        scene.read_letters();
        all_stay(&mut scene, Put::ALL, Consuming::new(Take::LEASES, Settle::ALL));
        scene.watch(1);
        assert_eq!(scene.judge().outcome, Outcome::Complete);
    });
}

#[test]
fn d6_futures_dropped_in_the_middle() {
    check(|| {
        let mut scene = Scene::new(some_queue(), 2);
        all_stay(&mut scene, Put::TASKS, Consuming::new(Take::TASKS, Settle::ALL));
        scene.watch(2);
        assert_eq!(scene.judge().outcome, Outcome::Complete);
    });
}

/// Each consumer leaves when it is done with its share, and nobody closes before all of them have: a
/// wake-up that is lost is not made up for by anybody.
fn shared_out(mut scene: Scene, puts: &'static [Put], consuming: Consuming) {
    let kept = scene.producer();
    let mut jobs = 0;
    for _ in 0..2 + below(2) {
        let quota = 1 + below(2) as u32;
        jobs += quota;
        let consumer = scene.consumer();
        scene.consume(consumer, Consuming { quota, children: 0, ..consuming });
    }
    let first = 1 + below(jobs as usize - 1) as u32;
    for jobs in [first, jobs - first] {
        let producer = if below(2) == 0 { scene.producer() } else { kept.clone() };
        scene.produce(producer, puts, jobs);
    }
    scene.join();
    drop(kept);
    assert_eq!(scene.judge().outcome, Outcome::Complete);
}

#[test]
fn d6_d11_as_many_wake_ups_as_items() {
    check(|| {
        let (puts, takes) = match below(2) {
            0 => (Put::TASKS, Take::TASKS),
            _ => (Put::ALL, Take::ALL),
        };
        shared_out(Scene::new(some_queue(), 100), puts, Consuming::new(takes, Settle::DONE));
    });
}

#[test]
fn d1_d11_items_that_failed_are_left_to_nobody() {
    check(|| {
        let takes = any(&[Take::THREAD_LEASES, Take::LEASES, Take::TASKS]);
        let consuming = Consuming { fails: 1 + below(3) as u32, ..Consuming::new(takes, Settle::FAIL) };
        shared_out(Scene::new(some_queue(), 100), Put::ALL, consuming);
    });
}

#[test]
fn d8_abort_against_everything() {
    check(|| {
        let mut scene = Scene::new(some_queue(), 2);
        scene.refusable = true;
        if below(2) == 0 {
            scene.read_letters();
        }
        all_stay(&mut scene, Put::ALL, Consuming::new(Take::ALL, Settle::ALL));
        scene.sometime(|queue, book| async move { book.left(queue.abort()) });
        scene.watch(1);
        assert_ne!(scene.judge().outcome, Outcome::Abandoned);
    });
}

#[test]
fn d8_shutdown_against_everything() {
    check(|| {
        let mut scene = Scene::new(some_queue(), 2);
        scene.refusable = true;
        let leaves = any(&[1, 3, u32::MAX]);
        all_stay(&mut scene, Put::ALL, Consuming { leaves, ..Consuming::new(Take::ALL, Settle::ALL) });
        let grace = any(&[Duration::ZERO, Duration::from_millis(2), Duration::MAX]);
        // While a producer is open, the queue is not abandoned before it is shut down.
        scene.accounted = true;
        let kept = scene.producer();
        scene.sometime(move |queue, book| async move {
            book.left(queue.shutdown(grace).await.left);
            drop(kept);
        });
        scene.watch(1);
        let outcome = scene.judge().outcome;
        assert!(grace != Duration::MAX || outcome != Outcome::Aborted);
    });
}

#[test]
fn d7_consumers_that_leave() {
    check(|| {
        let mut scene = Scene::new(some_queue(), 2);
        scene.refusable = true;
        let leaving = |leaves| Consuming { leaves, ..Consuming::new(Take::ALL, Settle::ALL) };
        for _ in 0..2 {
            let (producer, consumer) = (scene.producer(), scene.consumer());
            scene.produce(producer, Put::ALL, 1 + below(3) as u32);
            scene.consume(consumer, leaving(below(3) as u32));
        }
        scene.watch(1);
        assert_ne!(scene.judge().outcome, Outcome::Aborted);
    });
}

#[test]
fn c3_d7_pools_that_replace_their_workers() {
    check(|| {
        let mut scene = Scene::new(some_queue(), 2);
        scene.refusable = true;
        // The last worker of a pool that stays works to the end.
        let stays = below(2) == 0;
        for pool in 0..2 {
            let claim = Claim::on(&scene.queue);
            let (book, stays) = (Arc::clone(&scene.book), stays && pool == 0);
            let workers = if stays { 2 } else { below(3) };
            scene.spawn(true, async move {
                for worker in 1..=workers {
                    let leaves = if stays && worker == workers { u32::MAX } else { below(3) as u32 };
                    let consuming = Consuming { leaves, refusable: !stays, ..Consuming::new(Take::ALL, Settle::ALL) };
                    consuming.run(&book, claim.consumer()).await;
                }
                a_while().await;
                drop(claim);
            });
        }
        scene.refusable = !stays;
        for _ in 0..2 {
            let producer = scene.producer();
            scene.produce(producer, Put::ALL, 1 + below(3) as u32);
        }
        scene.watch(1);
        let outcome = scene.judge().outcome;
        assert!(if stays { outcome == Outcome::Complete } else { outcome != Outcome::Aborted });
    });
}

#[test]
fn a3_closed_from_outside() {
    check(|| {
        let mut scene = Scene::new(some_queue(), 2);
        scene.refusable = true;
        all_stay(&mut scene, Put::ALL, Consuming::new(Take::ALL, Settle::ALL));
        if below(3) > 0 {
            let producer = watched(&scene.queue);
            let another = producer.clone();
            scene.produce(producer.clone(), Put::ALL, 3);
            scene.produce(producer, Put::ALL, 2);
            scene.sometime(|queue, _| async move { close_from_outside(&queue, &another) });
        }
        if below(3) > 0 {
            let consumer = scene.consumer();
            let (shut, observer) = (Shut::of(&consumer), scene.observer.clone());
            scene.consume(consumer.clone(), Consuming::new(Take::ALL, Settle::ALL));
            scene.consume(consumer, Consuming::new(Take::ALL, Settle::ALL));
            scene.sometime(|_, _| async move { shut_consumer(&observer, &shut) });
        }
        scene.watch(1);
        assert_eq!(scene.judge().outcome, Outcome::Complete);
    });
}

/// Nobody takes, so nobody but the end wakes those who wait for room.
#[test]
fn a3_d7_d8_waiting_puts_hear_of_the_end() {
    check(|| {
        let mut scene = Scene::new(IterableQueue::builder().no_redelivery_backoff().capacity(1 + below(2)), 2);
        scene.refusable = true;
        let (producer, consumer) = (watched(&scene.queue), scene.consumer());
        let (mut another, shut) = (Some(producer.clone()), Shut::of(&consumer));
        for producer in [producer.clone(), producer] {
            scene.produce(producer, Put::ALL, 4);
        }
        let observer = scene.observer.clone();
        match below(5) {
            0 => {
                let another = another.take().expect("taken once");
                scene.sometime(|queue, _| async move { close_from_outside(&queue, &another) });
            }
            1 => scene.sometime(|queue, book| async move { book.left(queue.abort()) }),
            2 => scene.sometime(|queue, book| async move {
                book.left(queue.shutdown(Duration::from_millis(2)).await.left);
            }),
            3 => scene.sometime(|queue, _| async move {
                queue.seal();
                shut_consumer(&observer, &shut);
            }),
            _ => {
                let leaving = consumer.clone();
                scene.sometime(|queue, _| async move {
                    drop(leaving);
                    queue.seal();
                    shut_consumer(&observer, &shut);
                });
            }
        }
        scene.join();
        drop((another, consumer));
        scene.judge();
    });
}

/// Nobody puts, so nobody but the end wakes those who wait for an item.
#[test]
fn a3_c5_d8_waiting_takes_hear_of_the_end() {
    check(|| {
        let mut scene = Scene::new(some_queue(), 2);
        let (mut kept, consumer) = (Some(scene.producer()), scene.consumer());
        let (shut, observer) = (Shut::of(&consumer), scene.observer.clone());
        scene.consume(consumer.clone(), Consuming::new(Take::ALL, Settle::ALL));
        scene.consume(consumer, Consuming::new(Take::ALL, Settle::ALL));
        match below(4) {
            0 => scene.sometime(move |_, _| async move { shut_consumer(&observer, &shut) }),
            1 => scene.sometime(|queue, book| async move { book.left(queue.abort()) }),
            2 => scene.sometime(|queue, book| async move { book.left(queue.shutdown(Duration::MAX).await.left) }),
            _ => {
                let last = kept.take();
                scene.sometime(|queue, _| async move {
                    queue.seal();
                    drop(last);
                });
            }
        }
        scene.join();
        drop(kept);
        scene.judge();
    });
}

/// With delays that are as short as can be, that differ, or that nobody lives to see the end of.
#[test]
fn d3_d8_a_backoff_against_the_end() {
    check(|| {
        let aborted = below(2) == 0;
        let delays = [Duration::from_nanos(2), Duration::from_millis(4), Duration::MAX];
        let first = any(&delays[..if aborted { 3 } else { 2 }]);
        let mut scene =
            Scene::new(some_queue().redelivery_backoff(Backoff::exponential(first, first.saturating_mul(2))), 3);
        scene.refusable = aborted;
        let takes = any(&[Take::THREAD_LEASES, Take::LEASES]);
        all_stay(&mut scene, &[Put::Try, Put::Await], Consuming::new(takes, Settle::FAIL));
        if aborted {
            scene.sometime(|queue, book| async move { book.left(queue.abort()) });
        }
        scene.watch(1);
        let outcome = scene.judge().outcome;
        assert!(outcome == Outcome::Complete || aborted && outcome == Outcome::Aborted);
    });
}
