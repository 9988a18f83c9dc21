//! What actix's mailboxes and addresses do to consumers: they die full, are flooded, or keep themselves alive (D3, D11,
//! A2, A6).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use actix::prelude::*;
use actix_iterable_queue::prelude::*;
use futures::channel::oneshot;
use support::actors::{in_system, run, until};
use support::faults::{
    Faulty, Moment, Plan, WAYS, Way, assert_all_ended, assert_conserved, assert_each_once, fail, loaded,
    loaded_in_memory, read_all, work_off,
};

const ITEMS: u32 = 30;

/// Ten items in its mailbox, of which it has not looked at one, when it is stopped, panics, or is waiting for ever.
#[test]
fn d3_items_in_a_mailbox_that_dies_come_back_in_order_and_uncounted() {
    type Death = fn(&mut Faulty<u32>, &mut Context<Faulty<u32>>);
    let deaths: [Death; 3] = [
        |_, ctx| ctx.stop(),
        |_, _| fail("before the items"),
        |_, ctx| {
            ctx.wait(actix::fut::wrap_future(std::future::pending::<()>()));
            ctx.terminate();
        },
    ];
    for die in deaths {
        in_system(move || async move {
            let (queue, mut dead) = loaded_in_memory(support::backend::builder().max_attempts(1), 0..ITEMS);
            let actor = QueueActor::new(queue.clone()).start();
            let plan = Plan::good();
            let addr = Faulty::new(&plan, 0).start();
            let (open, opened) = oneshot::channel::<()>();
            // It reads nothing until it is let.
            let hold = run::<Faulty<u32>>(move |_, ctx| {
                ctx.wait(actix::fut::wrap_future(async move {
                    let _ = opened.await;
                }));
            });
            addr.send(hold).await.unwrap();
            addr.do_send(run::<Faulty<u32>>(die));
            actor.send(RegisterConsumer::new(addr.clone()).max_in_flight(10)).await.unwrap().unwrap();
            until(|| queue.snapshot().leased == 10).await;
            open.send(()).unwrap();
            until(|| plan.count(Moment::Dropped) == 1).await;
            let seen = queue.snapshot();
            assert_conserved(&seen);
            assert_eq!((seen.leased, seen.buffered, seen.totals.redelivered), (0, ITEMS as usize, 10));
            assert!(plan.acked().is_empty() && !addr.connected());

            let drained = work_off(Way::Push, &queue, &plan, 3).await;
            assert_all_ended(&drained);
            assert_eq!(plan.acked(), (0..ITEMS).map(|n| (n, 1)).collect::<Vec<_>>());
            assert!(read_all(&mut dead).is_empty(), "one attempt would have been enough");
            assert_eq!(plan.drained().len(), 1);
        });
    }
}

/// A thread fills its mailbox from the first item on, again whenever it is empty; and the actor panics with it full.
#[test]
fn d11_a_flooded_mailbox_stops_neither_the_items_nor_the_end() {
    for way in WAYS {
        in_system(move || async move {
            let (queue, mut dead) = loaded(support::backend::builder(), 0..ITEMS);
            let (read, floods) = (Arc::new(AtomicU32::new(0)), AtomicUsize::new(0));
            let plan = Plan::new(move |actor: &mut Faulty<u32>, item: Item<u32>, ctx: &mut Context<Faulty<u32>>| {
                if floods.fetch_max(actor.life + 1, SeqCst) <= actor.life {
                    let (addr, plan, read) = (ctx.address(), Arc::clone(&actor.plan), Arc::clone(&read));
                    thread::spawn(move || flood(&addr, &plan, &read));
                }
                if *item == 20 && item.attempt() == 1 {
                    fail("the handler, with a full mailbox");
                }
                // Done once messages were read meanwhile.
                let (plan, read) = (Arc::clone(&actor.plan), Arc::clone(&read));
                let before = read.load(SeqCst);
                let work = async move {
                    while read.load(SeqCst) == before {
                        tokio::task::yield_now().await;
                    }
                    plan.note(&item);
                    item.ack();
                };
                ctx.spawn(work.into_actor(actor));
            });
            let drained = work_off(way, &queue, &plan, 2).await;
            assert_all_ended(&drained);
            assert_each_once(0..ITEMS, [plan.acked_numbers()]);
            assert!(read_all(&mut dead).is_empty());
            assert_eq!((plan.count(Moment::Made), plan.drained().len()), (2, 1), "{way:?}");
        });
    }
}

fn flood(addr: &Addr<Faulty<u32>>, plan: &Plan<u32>, read: &Arc<AtomicU32>) {
    while addr.connected() && plan.drained().is_empty() {
        let before = read.load(SeqCst);
        for _ in 0..50 {
            let read = Arc::clone(read);
            addr.do_send(run::<Faulty<u32>>(move |_, _| {
                read.fetch_add(1, SeqCst);
            }));
        }
        while addr.connected() && read.load(SeqCst) < before + 50 {
            thread::yield_now();
        }
    }
}

/// The end of its work is the end of a worker, whoever has its address.
#[test]
fn a6_a_worker_that_keeps_its_own_address_ends_all_the_same() {
    #[derive(Default)]
    struct Vain(Option<Addr<Vain>>);

    impl Actor for Vain {
        type Context = Context<Self>;

        fn started(&mut self, ctx: &mut Self::Context) {
            self.0 = Some(ctx.address());
            // And work that never ends by itself.
            ctx.run_interval(Duration::from_millis(1), |_, _| ());
        }
    }

    impl Handler<Item<u32>> for Vain {
        type Result = ResponseActFuture<Self, ()>;

        fn handle(&mut self, item: Item<u32>, _: &mut Self::Context) -> Self::Result {
            Box::pin(async move { item.ack() }.into_actor(self))
        }
    }

    impl Handler<Drained> for Vain {
        type Result = ();

        fn handle(&mut self, _: Drained, _: &mut Self::Context) {}
    }

    in_system(|| async {
        let (queue, _dead) = loaded(support::backend::builder(), 0..ITEMS);
        let pool = WorkerPool::builder(&queue).workers(3).start(|_| Vain::default()).unwrap();
        pool.resize(1).unwrap();
        pool.resize(2).unwrap();
        queue.seal();
        let report = pool.drained().await.unwrap();
        assert_all_ended(&report.drained);
        assert_eq!((report.totals.acked, report.totals.deaths), (u64::from(ITEMS), 0));
    });
}

/// With actix, `ctx.address().do_send` ignores the mailbox's capacity, and `try_send` does not.
#[test]
fn a2_a_consumer_with_the_smallest_mailbox_dies_full_and_loses_nothing() {
    for capacity in [0, 1] {
        in_system(move || async move {
            let (queue, mut dead) = loaded_in_memory(support::backend::builder(), 0..ITEMS);
            let actor = QueueActor::new(queue.clone()).start();
            let plan = Plan::new(move |actor: &mut Faulty<u32>, item: Item<u32>, _| {
                if *item == 5 && item.attempt() == 1 {
                    fail("the handler");
                }
                actor.done(item);
            });
            let first = Faulty::new(&plan, 0);
            let addr = Faulty::create(|ctx| {
                ctx.set_mailbox_capacity(capacity);
                first
            });
            actor.send(RegisterConsumer::new(addr).max_in_flight(8)).await.unwrap().unwrap();
            until(|| plan.count(Moment::Dropped) == 1).await;
            until(|| queue.snapshot().leased == 0).await;
            assert_conserved(&queue.snapshot());
            let drained = work_off(Way::Push, &queue, &plan, 8).await;
            assert_all_ended(&drained);
            let expected: Vec<_> = (0..ITEMS).map(|n| (n, if n == 5 { 2 } else { 1 })).collect();
            assert_eq!(plan.acked(), expected);
            assert!(read_all(&mut dead).is_empty());
        });
    }
}
