//! Items whose drop panics, in the hands of an actor that panics: nothing may abort the process (A6, D3).
//!
//! If one of these tests fails, it may well take all of them with it.

use std::mem::forget;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use actix::prelude::*;
use actix_iterable_queue::error::PoolFailure;
use actix_iterable_queue::prelude::*;
use actix_iterable_queue::{Builder, IterableQueue};
use support::actors::{in_system, until};
use support::faults;
use support::faults::{
    Bomb, Faulty, Moment, Plan, WAYS, Way, assert_all_ended, assert_each_once, fail, loaded_in_memory, read_all,
    work_off,
};

const ITEMS: u32 = 12;

fn armed(builder: Builder<Bomb>) -> (IterableQueue<Bomb>, Consumer<DeadLetter<Bomb>>) {
    let fuse = Arc::new(AtomicBool::new(true));
    loaded_in_memory(builder, (0..ITEMS).map(move |n| Bomb(n, Arc::clone(&fuse))))
}

/// Takes an item, and defuses it.
fn take(actor: &Faulty<Bomb>, item: Item<Bomb>) {
    actor.plan.note(&item);
    forget(item.into_inner());
}

/// The first life keeps four items and panics, with further ones in its mailbox, if it has one.
fn panics_with_its_hands_full() -> Arc<Plan<Bomb>> {
    Plan::new(|actor: &mut Faulty<Bomb>, item: Item<Bomb>, _| {
        if actor.life > 0 {
            return take(actor, item);
        }
        assert!(item.0 < ITEMS); // it has looked at it
        actor.keeps.push(item);
        if actor.keeps.len() == 4 {
            fail("the handler");
        }
    })
}

#[test]
fn d3_leases_come_back_from_an_actor_that_unwinds_without_their_drop() {
    for way in WAYS {
        in_system(move || async move {
            let (queue, mut dead) = armed(support::backend::builder());
            let plan = panics_with_its_hands_full();
            let drained = work_off(way, &queue, &plan, 6).await;
            assert_all_ended(&drained);
            let expected: Vec<_> = (0..ITEMS).map(|n| (n, if n < 4 { 2 } else { 1 })).collect();
            assert_eq!(plan.acked(), expected, "{way:?}");
            assert!(read_all(&mut dead).is_empty());
            assert_eq!(plan.drained(), [(0, Outcome::Complete)], "{way:?}");
        });
    }
}

/// Nobody reads the dead letters, so they are dropped, which panics, while the actor unwinds.
#[test]
fn d3_unread_dead_letters_whose_drop_panics_do_no_harm() {
    for way in WAYS {
        in_system(move || async move {
            let (queue, dead) = armed(support::backend::builder().max_attempts(1));
            drop(dead);
            let plan = panics_with_its_hands_full();
            let drained = work_off(way, &queue, &plan, 6).await;
            assert_all_ended(&drained);
            assert_each_once(4..ITEMS, [plan.acked_numbers()]);
            assert_eq!((drained.totals.taken, drained.totals.dead_lettered), (u64::from(ITEMS) - 4, 4), "{way:?}");
        });
    }
}

/// A message with such an item in the mailbox of an actor that panics: outside of a pool this aborts the process.
#[test]
fn a6_a_pools_worker_may_have_a_bomb_in_its_mailbox() {
    #[derive(Message)]
    #[rtype(result = "()")]
    struct Carry(#[allow(dead_code, reason = "it is there to be dropped")] Bomb);

    impl Handler<Carry> for Faulty<Bomb> {
        type Result = ();

        fn handle(&mut self, Carry(bomb): Carry, _: &mut Self::Context) {
            forget(bomb);
        }
    }

    in_system(|| async {
        let (queue, mut dead) = armed(support::backend::builder());
        let plan = Plan::new(|actor: &mut Faulty<Bomb>, item: Item<Bomb>, ctx: &mut Context<Faulty<Bomb>>| {
            if actor.life == 0 && item.0 == 3 {
                ctx.address().do_send(Carry(Bomb(99, Arc::new(AtomicBool::new(true)))));
                fail("the handler");
            }
            take(actor, item);
        });
        let drained = work_off(Way::Pool, &queue, &plan, 1).await;
        assert_all_ended(&drained);
        let expected: Vec<_> = (0..ITEMS).map(|n| (n, if n == 3 { 2 } else { 1 })).collect();
        assert_eq!(plan.acked(), expected);
        assert!(read_all(&mut dead).is_empty());
        assert_eq!(plan.drained(), [(0, Outcome::Complete)]);
    });
}

/// A pool that gives up has the items that were left, and may be the only one who does.
#[test]
fn d8_what_a_pool_left_is_dropped_in_peace_when_nobody_wants_it() {
    in_system(|| async {
        let (queue, _dead) = armed(support::backend::builder());
        let end = queue.drained();
        let plan = Plan::new(|_: &mut Faulty<Bomb>, item: Item<Bomb>, _| {
            let _in_hand = item;
            fail("the handler");
        });
        let workers = Arc::clone(&plan);
        let pool = WorkerPool::builder(&queue).workers(1).restart_limit(0, Duration::from_secs(3600));
        let pool = pool.start(move |place| Faulty::new(&workers, place)).unwrap();
        let ended = pool.drained();
        drop(pool);
        assert!(matches!(ended.await, Err(PoolFailure::GaveUp { .. })));
        assert_all_ended(&end.await);
        assert_eq!(queue.snapshot().totals.discarded, u64::from(ITEMS));
        until(|| plan.count(Moment::Dropped) == 1).await;
    });
}

/// What actors are dropped with when their thread ends.
#[test]
fn d3_an_arbiter_that_stops_drops_no_item_in_hand() {
    for way in WAYS {
        in_system(move || async move {
            let (queue, mut dead) = armed(support::backend::builder());
            let end = queue.drained();
            let plan = Plan::new(|actor: &mut Faulty<Bomb>, item: Item<Bomb>, _: &mut Context<Faulty<Bomb>>| {
                if actor.life == 0 {
                    assert!(item.0 < ITEMS); // it has looked at it
                    actor.keeps.push(item);
                    if actor.keeps.len() == 4 {
                        Arbiter::current().stop();
                    }
                } else {
                    take(actor, item);
                }
            });
            let arbiter = Arbiter::new();
            let actor = QueueActor::new(queue.clone()).start();
            let pool = match way {
                Way::Pool => {
                    let workers = Arc::clone(&plan);
                    let pool = WorkerPool::builder(&queue).workers(1).max_in_flight(4).arbiters([arbiter.handle()]);
                    Some(pool.start(move |place| Faulty::new(&workers, place)).unwrap())
                }
                Way::Pull => {
                    let first = Faulty::pull(&plan, queue.consumer().unwrap(), 4);
                    Faulty::start_in_arbiter(&arbiter.handle(), |_| first);
                    None
                }
                Way::Push => {
                    let first = Faulty::new(&plan, 0);
                    let addr = Faulty::start_in_arbiter(&arbiter.handle(), |_| first);
                    actor.send(RegisterConsumer::new(addr).max_in_flight(4)).await.unwrap().unwrap();
                    None
                }
            };
            until(|| plan.count(Moment::Dropped) == 1).await;
            arbiter.join().unwrap();
            match pool {
                Some(pool) => {
                    queue.seal();
                    assert_eq!(pool.drained().await.unwrap().totals.deaths, 1);
                }
                None => {
                    faults::assert_conserved(&queue.snapshot());
                    work_off(Way::Pull, &queue, &plan, 1).await;
                }
            }
            assert_all_ended(&end.await);
            let expected: Vec<_> = (0..ITEMS).map(|n| (n, if n < 4 { 2 } else { 1 })).collect();
            assert_eq!(plan.acked(), expected, "{way:?}");
            assert!(read_all(&mut dead).is_empty());
            assert_eq!(plan.drained().len(), 1, "{way:?}");
        });
    }
}
