//! What a consumer actor is handed while its panic unwinds.

use std::thread;
use std::time::Duration;

use actix::prelude::*;
use actix_iterable_queue::prelude::*;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use support::actors::{backlog, in_system, until};
use support::backend;

/// Panics at its first item and does not want to stop: then actix polls it once more to drop it.
struct Stubborn {
    consumer: Option<Consumer<u32>>,
    handed: UnboundedSender<(u32, bool)>,
}

impl Actor for Stubborn {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(consumer) = self.consumer.take() {
            ctx.consume(consumer);
        }
    }

    fn stopping(&mut self, _: &mut Self::Context) -> Running {
        Running::Continue
    }
}

impl Handler<Item<u32>> for Stubborn {
    type Result = ();

    fn handle(&mut self, item: Item<u32>, _: &mut Self::Context) {
        let unwinding = thread::panicking();
        self.handed.unbounded_send((*item, unwinding)).expect("the test reads it");
        // A second panic would abort the process.
        assert!(unwinding, "the first item is too much");
        item.ack();
    }
}

impl Handler<Drained> for Stubborn {
    type Result = ();

    fn handle(&mut self, _: Drained, _: &mut Self::Context) {}
}

#[test]
fn d3_an_actor_that_panicked_is_handed_nothing_while_it_is_dropped() {
    in_system(|| async {
        let queue = backlog(0..3);
        let (handed, mut seen) = unbounded();
        let dead = Stubborn { consumer: Some(queue.consumer().unwrap()), handed }.start();
        until(|| !dead.connected()).await;
        assert_eq!(seen.try_recv().ok(), Some((0, false)));
        assert!(seen.try_recv().is_err(), "it was handed an item while its panic unwound");
        backend::soon(|| (queue.len(), queue.snapshot().totals.acked), (3, 0));
    });
}

/// The pool catches the panic, so nothing unwinds when it drops the actor.
#[test]
fn d3_a_worker_that_panicked_is_handed_nothing_while_it_is_dropped() {
    in_system(|| async {
        let queue = backlog(0..3);
        let (handed, mut seen) = unbounded();
        let stubborn = move |_| Stubborn { consumer: None, handed: handed.clone() };
        let builder = WorkerPool::builder(&queue).workers(1).max_in_flight(3).restart_limit(0, Duration::MAX);
        let pool = builder.start(stubborn).unwrap();
        assert!(pool.drained().await.is_err());
        assert_eq!(seen.try_recv().ok(), Some((0, false)));
        assert!(seen.try_recv().is_err(), "it was handed an item after its panic");
        backend::assert_left(pool.take_left(), [0, 1, 2]);
    });
}
