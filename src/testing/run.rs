//! A runner for actors in a plain test.

use std::pin::pin;

use actix::{Actor, Addr, Context, Handler, System};
use futures::future::{Either, select};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::actor::{QueueActor, consume_and_notify};
use crate::queue::{Drained, Item, IterableQueue};

/// Runs a queue's actor, a handler of its items, and a test of both, in an actix system of their own.
///
/// The handler consumes as with [`ctx.consume`](crate::ConsumeExt::consume). The body is given the address of the
/// [`QueueActor`]. When the body is done, the queue is sealed. When the queue has ended and the handler has handled
/// [`Drained`], or is dead, the function returns how the queue ended. An open producer keeps it waiting: hold producers in
/// the body, or in what the body has spawned.
///
/// A panic of the body is passed on. A panic of the handler kills the handler, as always in actix. Then the queue is sealed
/// at once, so that the body does not wait for room for ever: unless it has opened consumers of its own, its puts fail with
/// `Abandoned`, which is also the outcome if items are left.
///
/// # Panics
///
/// If the queue is sealed, or within an async runtime: call it in a plain `#[test]`, not in `#[actix::test]`.
///
/// # Examples
///
/// ```
/// use actix::prelude::*;
/// use actix_iterable_queue::prelude::*;
/// use actix_iterable_queue::testing::run_actors;
///
/// struct Printer;
///
/// impl Actor for Printer {
///     type Context = Context<Self>;
/// }
///
/// impl Handler<Item<u32>> for Printer {
///     type Result = ResponseFuture<()>;
///
///     fn handle(&mut self, item: Item<u32>, _: &mut Self::Context) -> Self::Result {
///         Box::pin(async move {
///             println!("{}", *item);
///             item.ack();
///         })
///     }
/// }
///
/// impl Handler<Drained> for Printer {
///     type Result = ();
///
///     fn handle(&mut self, _: Drained, _: &mut Self::Context) {}
/// }
///
/// // #[test]
/// fn everything_is_printed() {
///     let drained = run_actors(IterableQueue::bounded(4), Printer, async |queue| {
///         let producer = queue.send(OpenProducer::new()).await.unwrap().unwrap();
///         for n in 0..10 {
///             queue.send(Put::new(&producer, n)).await.unwrap().unwrap();
///         }
///     });
///     assert_eq!((drained.outcome, drained.totals.acked), (Outcome::Complete, 10));
/// }
/// # everything_is_printed();
/// ```
#[track_caller]
pub fn run_actors<T, A>(queue: IterableQueue<T>, handler: A, body: impl AsyncFnOnce(Addr<QueueActor<T>>)) -> Drained
where
    T: Send + 'static,
    A: Actor<Context = Context<A>> + Handler<Item<T>> + Handler<Drained>,
{
    if Handle::try_current().is_ok() {
        panic!(
            "run_actors: it starts a runtime of its own, so call it in a plain #[test], not within an async runtime"
        );
    }
    let consumer = queue.consumer().unwrap_or_else(|error| panic!("run_actors: {error}"));
    let system = System::new();
    let drained = system.block_on(async {
        let (told, hears) = oneshot::channel();
        A::create(|ctx| {
            consume_and_notify::<A, T>(ctx, consumer, told);
            handler
        });
        let ended = queue.drained();
        let body = pin!(body(QueueActor::new(queue.clone()).start()));
        match select(body, hears).await {
            Either::Left(((), hears)) => {
                queue.seal();
                // The queue may end before the handler has handled that. An error means that the handler has died.
                let _ = hears.await;
            }
            // The handler has handled the end before the body was done, or has died: then puts must not wait for it.
            Either::Right((_, body)) => {
                queue.seal();
                body.await;
            }
        }
        ended.await
    });
    // This ends the arbiters that the body may have started.
    System::current().stop();
    if let Err(error) = system.run() {
        panic!("run_actors: the system stopped with an error: {error}");
    }
    drained
}
