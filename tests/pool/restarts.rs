//! A worker that dies is replaced, its items go to others, and the rest never notice (A6).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use actix::prelude::*;
use actix_iterable_queue::error::Death;
use actix_iterable_queue::prelude::*;
use support::actors::{backlog, in_system};
use support::backend;
use support::crew::{SOON, Worker, crew, does, here};

type Kill = fn(Item<u32>, &mut Worker, &mut Context<Worker>);

/// One of two workers dies with its item. Another takes its place and its item; the second worker
/// keeps its own.
fn is_replaced(arbiters: usize, kill: Kill, expected: Death) {
    in_system(move || async move {
        let queue = backlog(0..2);
        let (factory, mut crew) = crew();
        let given: Vec<_> = (0..arbiters).map(|_| Arbiter::new()).collect();
        let builder = WorkerPool::builder(&queue).workers(2).restart_backoff(SOON);
        let pool = builder.arbiters(given.iter().map(Arbiter::handle)).start(factory).expect("nothing is against it");
        let births = crew.births(2).await;
        let ((victim, item), (other, kept)) = (crew.item().await, crew.item().await);
        let n = *item;

        births[victim].run(move |worker, ctx| kill(item, worker, ctx));
        let replacement = crew.birth().await;
        assert_eq!(replacement.index, victim);
        let (who, again) = crew.item().await;
        assert_eq!((who, *again, again.attempt()), (victim, n, 2));
        assert_eq!((*kept, kept.attempt(), births[other].addr.connected()), (1 - n, 1, true));
        again.ack();
        kept.ack();
        queue.seal();

        let report = pool.drained().await.expect("it does not give up");
        assert_eq!((report.totals.acked, report.totals.failed, report.totals.deaths), (2, 1, 1));
        let (dead, alive) = (&report.workers[victim], &report.workers[other]);
        assert_eq!((&dead.last_death, &alive.last_death), (&Some(expected), &None));
        assert_eq!((dead.totals.acked, dead.totals.failed, dead.totals.deaths), (1, 1, 1));
        let mut told = [crew.told().await.0, crew.told().await.0];
        told.sort_unstable();
        assert_eq!(told, [0, 1]);
        crew.gone().await;
    });
}

fn panicked(message: &str) -> Death {
    Death::Panicked(message.to_owned())
}

#[test]
fn a6_a_worker_whose_handler_panics_is_replaced() {
    let kill: Kill = |item, _, _| panic!("it does not like {}", u32::from(*item < 2));
    is_replaced(0, kill, panicked("it does not like 1"));
}

#[test]
fn a6_a_worker_whose_future_panics_is_replaced() {
    let kill: Kill = |item, worker, ctx| {
        let future = async move {
            tokio::task::yield_now().await;
            let _held = item;
            panic!("in a future");
        };
        ctx.spawn(future.into_actor(worker));
    };
    is_replaced(0, kill, panicked("in a future"));
}

#[test]
fn a6_a_worker_that_stops_by_itself_is_replaced() {
    let kill: Kill = |item, worker, ctx| {
        worker.held.push(item);
        ctx.stop();
    };
    is_replaced(0, kill, Death::Stopped);
}

#[test]
fn a6_a_worker_whose_arbiter_stops_is_replaced() {
    let kill: Kill = |item, worker, _| {
        worker.held.push(item);
        Arbiter::current().stop();
    };
    is_replaced(0, kill, Death::ArbiterStopped);
    is_replaced(2, kill, Death::ArbiterStopped); // with these given
}

/// The note of its death is faster than the arbiter's end: the replacement may be sent there in vain.
#[test]
fn a6_a_worker_that_panics_while_its_arbiter_stops_is_replaced() {
    in_system(|| async {
        let queue = backlog(0..1);
        let builder = WorkerPool::builder(&queue).workers(1).restart_backoff(SOON);
        let pool = builder.start(does(|_, item| {
            if item.attempt() == 1 {
                Arbiter::current().stop();
                panic!("twice dead");
            }
            item.ack();
        }));
        queue.seal();
        let report = pool.unwrap().drained().await.unwrap();
        assert_eq!((report.totals.acked, report.totals.failed), (1, 1));
    });
}

/// Dies in its first lives, in this way.
struct Frail(Option<fn(&mut Context<Self>)>);

impl Actor for Frail {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(die) = self.0 {
            die(ctx);
        }
    }
}

impl Handler<Item<u32>> for Frail {
    type Result = ();

    fn handle(&mut self, item: Item<u32>, _: &mut Self::Context) {
        item.ack();
    }
}

impl Handler<Drained> for Frail {
    type Result = ();

    fn handle(&mut self, _: Drained, _: &mut Self::Context) {}
}

/// The first three lives go wrong before they have done an item.
fn is_replaced_until_it_lives(make: fn() -> Frail, expected: Death) {
    in_system(move || async move {
        let queue = backlog(0..3);
        let lives = AtomicUsize::new(0);
        let builder = WorkerPool::builder(&queue).workers(1).restart_backoff(SOON);
        let pool = builder
            .start(move |_| if lives.fetch_add(1, SeqCst) < 3 { make() } else { Frail(None) })
            .expect("nothing is against it");
        queue.seal();
        let report = pool.drained().await.expect("it does not give up");
        assert_eq!((report.totals.acked, report.totals.failed, report.totals.deaths), (3, 0, 3));
        assert_eq!(report.workers[0].last_death, Some(expected));
    });
}

#[test]
fn a6_a_worker_that_panics_in_started_is_replaced() {
    is_replaced_until_it_lives(|| Frail(Some(|_| panic!("in started"))), panicked("in started"));
}

#[test]
fn a6_a_worker_that_stops_in_started_is_replaced() {
    is_replaced_until_it_lives(|| Frail(Some(|ctx| ctx.stop())), Death::Stopped);
}

#[test]
fn a6_a_worker_whose_factory_panics_is_replaced() {
    is_replaced_until_it_lives(|| panic!("in the factory"), panicked("in the factory"));
}

#[test]
fn a6_without_a_limit_a_pool_never_gives_up() {
    in_system(|| async {
        let queue = backend::build(backend::builder().max_attempts(1000));
        queue.producer().unwrap().try_put(0).unwrap();
        let deaths = Arc::new(AtomicUsize::new(0));
        let builder = here(&queue).workers(2).restart_backoff(SOON);
        let pool = builder.start(does(move |_, item| {
            assert!(deaths.fetch_add(1, SeqCst) >= 50, "not yet");
            item.ack();
        }));
        queue.seal();
        let report = pool.unwrap().drained().await.unwrap();
        assert_eq!((report.totals.acked, report.totals.failed, report.totals.deaths), (1, 50, 50));
    });
}

/// Stops with each item, and each time thinks better of it.
struct Hesitant;

impl Actor for Hesitant {
    type Context = Context<Self>;

    fn stopping(&mut self, _: &mut Self::Context) -> Running {
        Running::Continue
    }
}

impl Handler<Item<u32>> for Hesitant {
    type Result = ();

    fn handle(&mut self, item: Item<u32>, ctx: &mut Self::Context) {
        ctx.stop();
        item.ack();
    }
}

impl Handler<Drained> for Hesitant {
    type Result = ();

    fn handle(&mut self, _: Drained, _: &mut Self::Context) {}
}

#[test]
fn a6_a_worker_that_stops_and_thinks_better_of_it_is_not_dead() {
    in_system(|| async {
        let queue = backlog(0..20);
        let pool = WorkerPool::builder(&queue).workers(2).start(|_| Hesitant).unwrap();
        queue.seal();
        let report = pool.drained().await.unwrap();
        assert_eq!((report.totals.acked, report.totals.deaths), (20, 0));
    });
}
