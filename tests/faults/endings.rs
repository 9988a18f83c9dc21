//! A pool some of whose places are vacant when its queue ends: that must not keep it (A6, C5).

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use actix_iterable_queue::prelude::*;
use actix_iterable_queue::{Backoff, IterableQueue};
use support::actors::{in_system, until};
use support::faults;
use support::faults::{Faulty, Moment, Plan, assert_all_ended, assert_each_once, fail, loaded, loaded_in_memory};

/// Those who have this place never get so far.
fn one_place_never_starts(place: usize, at: Moment) -> Arc<Plan<u32>> {
    Plan::with(
        |actor, item, _| actor.done(item),
        move |actor, moment| {
            if actor.place == place && moment == at {
                fail("it never starts");
            }
            Running::Stop
        },
    )
}

/// The others have done all the work.
#[test]
fn a6_a_place_whose_workers_never_start_does_not_keep_the_pool_from_its_end() {
    for at in [Moment::Made, Moment::Started] {
        in_system(move || async move {
            let (queue, _dead) = loaded(support::backend::builder(), 0..100);
            let plan = one_place_never_starts(1, at);
            let workers = Arc::clone(&plan);
            let pool = WorkerPool::builder(&queue).workers(3).start(move |place| Faulty::new(&workers, place)).unwrap();
            queue.seal();
            let report = pool.drained().await.unwrap();
            assert_all_ended(&report.drained);
            assert_each_once(0..100, [plan.acked_numbers()]);
            assert_eq!(report.drained.outcome, Outcome::Complete);
            assert_eq!(plan.drained(), [0, 2].map(|place| (place, Outcome::Complete)), "{at:?}");
        });
    }
}

/// The replacement is hours away.
#[test]
fn a6_a_pool_does_not_sit_out_its_backoff_when_the_queue_has_ended() {
    in_system(|| async {
        let (queue, _dead) = loaded_in_memory(support::backend::builder(), 0..100);
        let plan = one_place_never_starts(0, Moment::Started);
        let hours = Duration::from_secs(7200);
        let pool = WorkerPool::builder(&queue).workers(1).restart_backoff(Backoff::exponential(hours, hours));
        let workers = Arc::clone(&plan);
        let pool = pool.start(move |place| Faulty::new(&workers, place)).unwrap();
        until(|| plan.count(Moment::Dropped) == 1 && queue.snapshot().consumers.is_empty()).await;
        assert_eq!(queue.abort().len(), 100);
        let report = pool.drained().await.unwrap();
        assert_all_ended(&report.drained);
        assert_eq!(report.drained.outcome, Outcome::Aborted);
    });
}

/// Its items come back after a wait of their own, and it is replaced at once, for it had done something.
#[test]
fn a6_the_last_worker_may_die_at_the_last_item() {
    for attempts in [1, 2] {
        in_system(move || async move {
            let backoff = Backoff::exponential(Duration::from_millis(20), Duration::from_millis(20));
            let (queue, mut dead) =
                loaded(IterableQueue::builder().max_attempts(attempts).redelivery_backoff(backoff), 0..10);
            let plan = Plan::new(|actor: &mut Faulty<u32>, item: Item<u32>, _| {
                if *item == 9 {
                    fail("the last item");
                }
                actor.done(item);
            });
            let drained = faults::work_off(faults::Way::Pool, &queue, &plan, 1).await;
            assert_all_ended(&drained);
            let letters = faults::read_all(&mut dead);
            assert_each_once(0..10, [plan.acked_numbers(), letters.iter().map(|letter| letter.item).collect()]);
            assert_eq!((letters.len(), letters[0].attempts), (1, attempts));
            // The end came with the death of the last one: its replacement is told in its stead.
            assert_eq!(plan.drained(), [(0, Outcome::Complete)]);
        });
    }
}
