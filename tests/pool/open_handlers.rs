//! What a handler has returned is awaited before its worker is stopped, whatever became of the item.

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Weak};

use actix::prelude::*;
use actix_iterable_queue::State;
use actix_iterable_queue::prelude::*;
use support::actors::{backlog, backlog_in_memory, in_system, quiet, until};
use support::crew::{InActorFuture, InFuture, Work, here, work};
use tokio::sync::Semaphore;

/// Futures of handlers: each settles its item when it may, and comes to its end when it may.
struct Open {
    settle: Arc<Semaphore>,
    end: Arc<Semaphore>,
    begun: Arc<AtomicUsize>,
    over: Arc<AtomicUsize>,
    /// The factory of the pool and each worker hold it.
    work: Weak<<Work as Deref>::Target>,
}

impl Open {
    /// `late`: the item is settled last of all.
    fn new(settle: fn(Item<u32>), late: bool) -> (Work, Self) {
        let [may_settle, may_end] = [(); 2].map(|()| Arc::new(Semaphore::new(0)));
        let [begun, over] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
        let gates = [&may_settle, &may_end].map(Arc::clone);
        let counts = [&begun, &over].map(Arc::clone);
        let open = work(move |item| {
            let ([may_settle, may_end], [begun, over]) = (gates.clone(), counts.clone());
            async move {
                begun.fetch_add(1, SeqCst);
                may_settle.acquire().await.expect("it stays open").forget();
                let mut item = Some(item);
                if !late {
                    item.take().into_iter().for_each(settle);
                }
                may_end.acquire().await.expect("it stays open").forget();
                item.into_iter().for_each(settle);
                over.fetch_add(1, SeqCst);
            }
        });
        let this = Self { settle: may_settle, end: may_end, begun, over, work: Arc::downgrade(&open) };
        (open, this)
    }

    async fn has_begun(&self, handlers: usize) {
        until(|| self.begun.load(SeqCst) == handlers).await;
    }

    fn workers(&self) -> usize {
        self.work.strong_count().saturating_sub(1) // its factory may be gone as well
    }

    fn over(&self) -> usize {
        self.over.load(SeqCst)
    }
}

/// Nothing but the open futures of its handlers keeps the worker.
fn at_the_end<A>(make: fn(Work) -> A, settle: fn(Item<u32>))
where
    A: Actor<Context = Context<A>> + Handler<Item<u32>> + Handler<Drained>,
{
    in_system(move || async move {
        let queue = backlog(0..3);
        let (work, open) = Open::new(settle, false);
        let pool = here(&queue).workers(1).max_in_flight(3).start(move |_| make(Arc::clone(&work)));
        let pool = pool.expect("nothing is against it");
        queue.seal();
        open.has_begun(3).await;
        open.settle.add_permits(3);
        until(|| queue.state() == State::Drained).await;
        // The last one is over before the others: they are waited for in any order.
        for over in 0..3 {
            quiet().await;
            assert_eq!((open.workers(), open.over()), (1, over));
            open.end.add_permits(1);
            until(|| open.over() > over).await;
        }
        let report = pool.drained().await.expect("it does not give up");
        assert_eq!((open.workers(), report.totals.deaths), (0, 0));
    });
}

#[test]
fn c5_a_worker_is_stopped_after_its_handlers_futures_that_go_on_after_the_ack() {
    at_the_end(InFuture, Item::ack);
    at_the_end(InActorFuture, Item::ack);
}

#[test]
fn c5_a_worker_is_stopped_after_its_handlers_futures_that_took_their_items() {
    let take: fn(Item<u32>) = |item| assert!(item.into_inner() < 3);
    at_the_end(InFuture, take);
    at_the_end(InActorFuture, take);
}

#[test]
fn c5_a_worker_is_stopped_after_its_handlers_futures_that_gave_their_items_up() {
    let reject: fn(Item<u32>) = |item| item.reject("no good");
    at_the_end(InFuture, reject);
    at_the_end(InActorFuture, reject);
}

/// The first two workers have settled what they held, and their handlers go on.
fn on_leaving<A>(make: fn(Work) -> A)
where
    A: Actor<Context = Context<A>> + Handler<Item<u32>> + Handler<Drained>,
{
    in_system(move || async move {
        let queue = backlog(0..2);
        let (work, open) = Open::new(Item::ack, false);
        let pool = here(&queue).workers(2).start(move |_| make(Arc::clone(&work))).expect("nothing is against it");
        open.has_begun(2).await;
        pool.resize(3).expect("it runs");
        until(|| queue.snapshot().waiting_gets == 1).await; // the third one has nothing to do
        open.settle.add_permits(2);
        until(|| queue.snapshot().totals.acked == 2).await;
        // The third one is told after the second one, and leaves at once.
        pool.resize(1).expect("it runs");
        until(|| open.workers() == 2).await;
        quiet().await;
        assert_eq!((open.workers(), open.over()), (2, 0));
        open.end.add_permits(2);
        until(|| open.workers() == 1).await;
        assert_eq!(open.over(), 2);
        queue.seal();
        assert_eq!(pool.drained().await.expect("it does not give up").totals.deaths, 0);
    });
}

#[test]
fn a_worker_that_leaves_is_stopped_after_its_handlers_futures() {
    on_leaving(InFuture);
    on_leaving(InActorFuture);
}

fn after_an_abort<A>(make: fn(Work) -> A)
where
    A: Actor<Context = Context<A>> + Handler<Item<u32>> + Handler<Drained>,
{
    in_system(move || async move {
        let queue = backlog_in_memory(0..5);
        let (work, open) = Open::new(Item::ack, true);
        let builder = here(&queue).workers(1).max_in_flight(3);
        let pool = builder.start(move |_| make(Arc::clone(&work))).expect("nothing is against it");
        open.has_begun(3).await;
        open.settle.add_permits(3);
        assert_eq!(queue.abort(), [3, 4]);
        quiet().await;
        assert_eq!((open.workers(), queue.snapshot().leased), (1, 3));
        open.end.add_permits(3);
        let report = pool.drained().await.expect("it does not give up");
        assert_eq!((open.workers(), open.over(), report.totals.acked), (0, 3, 3));
        let totals = queue.snapshot().totals;
        assert_eq!((totals.acked, totals.discarded), (3, 2));
    });
}

#[test]
fn d8_an_abort_does_not_cut_the_futures_of_handlers_and_their_acks_count() {
    after_an_abort(InFuture);
    after_an_abort(InActorFuture);
}
