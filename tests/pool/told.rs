//! What may happen while a worker is being told of the end changes nothing about how its pool ends (A6, C5).

use std::future::pending;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use actix::prelude::*;
use actix_iterable_queue::error::PoolFailure;
use actix_iterable_queue::prelude::*;
use futures::executor::block_on;
use support::actors::{backlog, in_system};
use support::crew::{HOUR, crew};
use support::within_watchdog;

/// What one does that is told, and is never done with it.
type Farewell = fn();

struct Told {
    item: fn(Item<u32>),
    farewell: Farewell,
    tells: Arc<AtomicUsize>,
    dies_loudly: bool,
}

impl Actor for Told {
    type Context = Context<Self>;
}

impl Drop for Told {
    fn drop(&mut self) {
        assert!(!self.dies_loudly || std::thread::panicking(), "in its drop");
    }
}

impl Handler<Item<u32>> for Told {
    type Result = ();

    fn handle(&mut self, item: Item<u32>, _: &mut Self::Context) {
        (self.item)(item);
    }
}

impl Handler<Drained> for Told {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drained, _: &mut Self::Context) -> Self::Result {
        self.tells.fetch_add(1, SeqCst);
        (self.farewell)();
        Box::pin(pending())
    }
}

const STOPS_THE_SYSTEM: Farewell = || System::current().stop();
const STOPS_ITS_ARBITER: Farewell = || {
    Arbiter::current().stop();
};

/// The system is gone before the pool has ended.
#[test]
fn a6_a_pool_that_gave_up_says_so_though_the_system_stops_meanwhile() {
    within_watchdog(|| {
        let queue = backlog(0..1);
        let system = System::new();
        let pool = system.block_on(async {
            let item: fn(Item<u32>) = |item| {
                item.ack(); // so that the other one does not die of it
                panic!("no disk left")
            };
            let told = move |_| Told { item, farewell: STOPS_THE_SYSTEM, tells: Arc::default(), dies_loudly: false };
            WorkerPool::builder(&queue).workers(2).restart_limit(0, HOUR).start(told).unwrap()
        });
        system.run().unwrap();
        let failure = block_on(pool.drained()).unwrap_err();
        assert!(matches!(failure, PoolFailure::GaveUp { .. }), "{failure:?}");
    });
}

#[test]
fn c5_a_pool_whose_queue_is_done_is_no_failure_though_the_system_stops_meanwhile() {
    within_watchdog(|| {
        let queue = backlog(0..3);
        let tells = Arc::new(AtomicUsize::new(0));
        let system = System::new();
        let pool = system.block_on(async {
            let tells = Arc::clone(&tells);
            let told = move |_| Told {
                item: Item::ack,
                farewell: STOPS_THE_SYSTEM,
                tells: Arc::clone(&tells),
                dies_loudly: false,
            };
            WorkerPool::builder(&queue).workers(1).start(told).unwrap()
        });
        queue.seal();
        system.run().unwrap();
        let report = block_on(pool.drained()).unwrap();
        assert_eq!((report.drained.outcome, report.totals.acked), (Outcome::Complete, 3));
        assert_eq!((tells.load(SeqCst), report.totals.deaths), (1, 0));
    });
}

#[test]
fn c5_nobody_is_told_in_place_of_one_that_was_cut_short_when_it_was_told() {
    for dies_loudly in [false, true] {
        in_system(move || async move {
            let queue = backlog(0..3);
            let tells = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&tells);
            let told = move |_| Told {
                item: Item::ack,
                farewell: STOPS_ITS_ARBITER,
                tells: Arc::clone(&counted),
                dies_loudly,
            };
            let pool = WorkerPool::builder(&queue).workers(2).start(told).unwrap();
            queue.seal();
            let report = pool.drained().await.unwrap();
            assert_eq!((tells.load(SeqCst), report.totals.deaths), (2, 0), "{report:?}");
        });
    }
}

/// Its replacement may be put into the arbiter that is about to stop.
#[test]
fn c5_a_replacement_is_told_also_if_its_predecessor_stopped_the_arbiter_at_the_end() {
    in_system(|| async {
        for _ in 0..300 {
            let queue = backlog(0..1);
            let (make, mut crew) = crew();
            let pool = WorkerPool::builder(&queue).workers(1).start(make).unwrap();
            let (worker, (_, last)) = (crew.birth().await, crew.item().await);
            queue.seal();
            worker.run(move |_, _| {
                Arbiter::current().stop();
                last.ack();
                panic::resume_unwind(Box::new("on purpose, and quietly"));
            });
            let report = pool.drained().await.unwrap();
            assert_eq!(crew.told().await, (0, report.drained));
        }
    });
}
