//! Workers that make no progress are reported, and left alone.

use std::time::Duration;

use ::log::Level;
use actix_iterable_queue::prelude::*;
use support::actors::{backlog, in_system, until};
use support::crew::{SOON, crew, here};
use support::log;

const MOMENT: Duration = Duration::from_millis(5);

fn is_stuck(queue: &IterableQueue<u32>) -> bool {
    queue.snapshot().consumers.iter().any(|consumer| consumer.stuck)
}

/// How many warnings there were of stuck workers of this name.
fn warnings(name: &str) -> usize {
    log::said(Level::Warn, "seems stuck").iter().filter(|text| text.starts_with(name)).count()
}

#[test]
fn a_stuck_worker_is_reported_once_for_each_stall_and_not_killed() {
    log::keep();
    in_system(|| async {
        let queue = backlog(0..2);
        let (factory, mut crew) = crew();
        let pool = here(&queue).name("slow").workers(2).stuck_after(MOMENT).start(factory).unwrap();
        let births = crew.births(2).await;
        let ((stuck, item), (other, next)) = (crew.item().await, crew.item().await);
        next.ack(); // that one makes progress
        let status = || queue.snapshot().consumers;
        until(|| status()[stuck].stuck && !status()[other].stuck).await;
        let blockers = queue.snapshot().blockers().to_string();
        assert!(blockers.contains(&format!("consumer slow-{stuck} is stuck and has held 1 item")), "{blockers}");

        // It is looked at again and again: other stalls come and go meanwhile.
        for _ in 0..2 {
            queue.producer().unwrap().try_put(2).unwrap();
            let (worker, item) = crew.item().await;
            assert_eq!(worker, other);
            until(|| status()[other].stuck).await;
            item.ack();
            until(|| !status()[other].stuck).await;
        }
        assert!(status()[stuck].stuck);
        assert_eq!(warnings(&format!("slow-{stuck}")), 1);
        assert!(warnings(&format!("slow-{other}")) >= 2);
        assert!(births.iter().all(|birth| birth.addr.connected()));

        item.ack();
        until(|| !is_stuck(&queue)).await;
        queue.seal();
        let report = pool.drained().await.unwrap();
        assert_eq!((report.totals.acked, report.totals.failed, report.totals.deaths), (4, 0, 0));
        for _ in 0..2 {
            crew.told().await;
        }
        crew.gone().await;
    });
}

#[test]
fn a_worker_that_goes_on_is_not_stuck_though_it_holds_items() {
    log::keep();
    in_system(|| async {
        let queue = backlog(0..3);
        let (factory, mut crew) = crew();
        let _pool = here(&queue).name("again").workers(1).max_in_flight(2).stuck_after(MOMENT).start(factory).unwrap();
        let (_first, second) = (crew.item().await, crew.item().await.1);
        // On a busy machine it may have stalled with the first one before it was given the second.
        let stalls_with_two = || queue.snapshot().consumers.iter().any(|worker| worker.stuck && worker.leased == 2);
        until(stalls_with_two).await;
        let before = warnings("again-0");
        second.ack(); // it is given a third one at once, and stalls with that
        until(|| warnings("again-0") > before && stalls_with_two()).await;
    });
}

#[test]
fn without_being_asked_nobody_is_called_stuck() {
    in_system(|| async {
        let queues = [backlog(0..1), backlog(0..1)];
        let (factory, mut crew) = crew();
        let start = |queue, after| match after {
            Some(after) => here(queue).workers(1).stuck_after(after).start(factory.clone()).unwrap(),
            None => here(queue).workers(1).start(factory.clone()).unwrap(),
        };
        let _pools = [start(&queues[0], None), start(&queues[1], Some(MOMENT))];
        let _items = [crew.item().await, crew.item().await];
        until(|| is_stuck(&queues[1])).await;
        assert!(!is_stuck(&queues[0]));
    });
}

#[test]
fn an_idle_worker_is_not_stuck() {
    in_system(|| async {
        let queue = backlog(0..1);
        let (factory, mut crew) = crew();
        let _pool = here(&queue).workers(2).stuck_after(MOMENT).start(factory).unwrap();
        let (busy, _item) = crew.item().await;
        until(|| is_stuck(&queue)).await; // by then the other has been looked at as often
        assert!(!queue.snapshot().consumers[1 - busy].stuck);
    });
}

#[test]
fn a6_the_replacement_of_a_stuck_worker_is_not_stuck() {
    in_system(|| async {
        let queue = backlog(0..1);
        let (factory, mut crew) = crew();
        let _pool = here(&queue).workers(1).restart_backoff(SOON).stuck_after(MOMENT).start(factory).unwrap();
        let worker = crew.birth().await;
        let (_, item) = crew.item().await;
        until(|| is_stuck(&queue)).await;
        worker.run(move |_, _| panic!("stuck with {}", *item));
        crew.birth().await;
        crew.item().await.1.ack();
        until(|| !is_stuck(&queue)).await;
    });
}
