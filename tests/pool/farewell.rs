//! Workers that behave oddly when they are told of the end: none is replaced for it, and none
//! keeps its pool from ending.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::prelude::*;
use actix_iterable_queue::WorkerPoolBuilder;
use actix_iterable_queue::prelude::*;
use actix_iterable_queue::report::PoolReport;
use futures::StreamExt;
use futures::channel::mpsc;
use support::actors::{backlog, in_system, until};
use support::crew::here;
use support::within_watchdog;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Oddity {
    StopsItsArbiter,
    StopsItself,
    StopsTheSystem,
    Panics,
    PanicsInFuture,
    PanicsWhenStopped,
    PanicsWhenDropped,
    HasTimers,
    GivesItsAddressAway,
    DoesNotWantToStop,
    WaitsBesideThat,
}

struct Odd {
    index: usize,
    oddity: Oddity,
    told: Arc<Mutex<Vec<usize>>>,
    addresses: mpsc::UnboundedSender<Addr<Self>>,
}

impl Actor for Odd {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        match self.oddity {
            Oddity::HasTimers => {
                ctx.run_interval(Duration::from_millis(1), |_, _| ());
                ctx.run_interval(Duration::from_secs(3600), |_, _| ());
            }
            Oddity::GivesItsAddressAway => {
                self.addresses.unbounded_send(ctx.address()).expect("the test keeps them");
            }
            Oddity::WaitsBesideThat => {
                ctx.spawn(futures::future::pending::<()>().into_actor(self));
            }
            _ => {}
        }
    }

    fn stopping(&mut self, _: &mut Self::Context) -> Running {
        if self.oddity == Oddity::DoesNotWantToStop { Running::Continue } else { Running::Stop }
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        assert_ne!(self.oddity, Oddity::PanicsWhenStopped);
    }
}

impl Drop for Odd {
    fn drop(&mut self) {
        assert!(self.oddity != Oddity::PanicsWhenDropped || std::thread::panicking(), "odd");
    }
}

impl Handler<Item<u32>> for Odd {
    type Result = ();

    fn handle(&mut self, item: Item<u32>, _: &mut Self::Context) {
        item.ack();
    }
}

impl Handler<Drained> for Odd {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drained, ctx: &mut Self::Context) -> Self::Result {
        self.told.lock().expect("nobody panics in here").push(self.index);
        match self.oddity {
            Oddity::StopsItsArbiter => {
                Arbiter::current().stop();
                return Box::pin(futures::future::pending()); // it is still being told when it goes
            }
            Oddity::StopsItself => ctx.stop(),
            Oddity::StopsTheSystem => System::current().stop(),
            Oddity::Panics => panic!("odd"),
            Oddity::PanicsInFuture => return Box::pin(async { panic!("odd") }),
            _ => {}
        }
        Box::pin(async {})
    }
}

/// How often the factory was called, and workers were told.
struct Counts {
    made: Arc<AtomicUsize>,
    /// By their index.
    told: Arc<Mutex<Vec<usize>>>,
    addresses_kept: mpsc::UnboundedReceiver<Addr<Odd>>,
}

fn start(oddity: Oddity, builder: WorkerPoolBuilder<u32>) -> (WorkerPool<u32>, Counts) {
    let (addresses, received) = mpsc::unbounded();
    let counts = Counts { made: Arc::default(), told: Arc::default(), addresses_kept: received };
    let (made, told) = (Arc::clone(&counts.made), Arc::clone(&counts.told));
    let factory = move |index| {
        made.fetch_add(1, SeqCst);
        Odd { index, oddity, told: Arc::clone(&told), addresses: addresses.clone() }
    };
    (builder.workers(2).start(factory).expect("nothing is against it"), counts)
}

impl Counts {
    fn who_was_told(&self) -> Vec<usize> {
        let mut told = self.told.lock().expect("nobody panics in here").clone();
        told.sort_unstable();
        told
    }

    fn expect_two_of_each(&self, report: &PoolReport) {
        assert_eq!((self.made.load(SeqCst), self.who_was_told()), (2, vec![0, 1]));
        assert_eq!((report.totals.acked, report.totals.deaths, report.drained.outcome), (20, 0, Outcome::Complete));
        assert!(report.workers.iter().all(|worker| worker.last_death.is_none()));
    }
}

/// In arbiters of their own, and here.
fn ends_in_peace(oddity: Oddity) {
    for own in [true, false] {
        in_system(move || async move {
            let queue = backlog(0..20);
            let builder = if own { WorkerPool::builder(&queue) } else { here(&queue) };
            let (pool, counts) = start(oddity, builder);
            queue.seal();
            counts.expect_two_of_each(&pool.drained().await.expect("it does not give up"));
        });
    }
}

#[test]
fn c5_a_worker_that_stops_itself_when_told_is_not_replaced() {
    ends_in_peace(Oddity::StopsItself);
}

#[test]
fn c5_a_worker_that_panics_when_told_is_not_replaced() {
    ends_in_peace(Oddity::Panics);
    ends_in_peace(Oddity::PanicsInFuture);
}

#[test]
fn c5_a_worker_that_panics_when_it_stops_is_not_replaced() {
    ends_in_peace(Oddity::PanicsWhenStopped);
    ends_in_peace(Oddity::PanicsWhenDropped);
}

#[test]
fn c5_a_worker_that_stops_its_arbiter_when_told_is_not_replaced() {
    for given in [false, true] {
        in_system(move || async move {
            let queue = backlog(0..20);
            let arbiters: Vec<_> = (0..2 * usize::from(given)).map(|_| Arbiter::new()).collect();
            let builder = WorkerPool::builder(&queue).arbiters(arbiters.iter().map(Arbiter::handle));
            let (pool, counts) = start(Oddity::StopsItsArbiter, builder);
            queue.seal();
            counts.expect_two_of_each(&pool.drained().await.unwrap());
            for arbiter in arbiters {
                arbiter.join().unwrap();
            }
        });
    }
}

/// As many programs do.
#[test]
fn c5_a_worker_that_stops_the_system_when_told_is_not_replaced() {
    within_watchdog(|| {
        for _ in 0..20 {
            let queue = backlog(0..20);
            let system = System::new();
            let (pool, counts) = system.block_on(async {
                let (pool, counts) = start(Oddity::StopsTheSystem, WorkerPool::builder(&queue));
                until(|| counts.made.load(SeqCst) == 2).await;
                (pool, counts)
            });
            queue.seal();
            system.run().unwrap();
            let end = futures::executor::block_on(pool.drained());
            // The stop may kill the other one before it is told, and even its replacement.
            let told = counts.who_was_told();
            assert!([&[0][..], &[1], &[0, 1]].contains(&&*told), "{told:?}");
            // Its queue is done: that is no failure, whoever was faster.
            assert_eq!(end.unwrap().totals.acked, 20);
        }
    });
}

#[test]
fn workers_with_timers_and_futures_do_not_keep_the_pool_from_ending() {
    ends_in_peace(Oddity::HasTimers);
    ends_in_peace(Oddity::WaitsBesideThat);
}

#[test]
fn workers_whose_address_is_kept_do_not_keep_the_pool_from_ending() {
    ends_in_peace(Oddity::GivesItsAddressAway);
}

#[test]
fn workers_that_do_not_want_to_stop_do_not_keep_the_pool_from_ending() {
    ends_in_peace(Oddity::DoesNotWantToStop);
}

#[test]
fn c5_workers_are_stopped_when_they_have_been_told() {
    for own in [true, false] {
        in_system(move || async move {
            let queue = backlog(0..20);
            let builder = if own { WorkerPool::builder(&queue) } else { here(&queue) };
            let (pool, mut counts) = start(Oddity::GivesItsAddressAway, builder);
            queue.seal();
            pool.drained().await.unwrap();
            for _ in 0..2 {
                assert!(!counts.addresses_kept.next().await.unwrap().connected());
            }
        });
    }
}
