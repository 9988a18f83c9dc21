//! Pull: items taken out of the buffer in an actor's own context.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::Duration;

use actix::dev::MessageResponse;
use actix::{Actor, ActorFuture, AsyncContext, Handler, SpawnHandle};
use tokio::sync::oneshot;

use super::limited::{Last, Limited, Next};
use super::{ITEMS_PER_POLL, assert_max_in_flight};
use crate::endpoint::Consumer;
use crate::queue::{Drained, Item};

/// After this much time in one poll, the actor's timers and messages get their turn, too.
const TIME_PER_POLL: Duration = Duration::from_millis(5);

/// Consumes a queue in an actor's own context: no mailbox and no hop between the buffer and the
/// handler.
///
/// It is there on every context of actix that can spawn futures, `WebsocketContext` included.
///
/// # Examples
///
/// ```
/// use actix::prelude::*;
/// use actix_iterable_queue::prelude::*;
///
/// struct Worker {
///     consumer: Option<Consumer<u32>>,
///     sum: u32,
/// }
///
/// impl Actor for Worker {
///     type Context = Context<Self>;
///
///     fn started(&mut self, ctx: &mut Self::Context) {
///         if let Some(consumer) = self.consumer.take() {
///             ctx.consume(consumer);
///         }
///     }
/// }
///
/// impl Handler<Item<u32>> for Worker {
///     type Result = ();
///
///     fn handle(&mut self, item: Item<u32>, _: &mut Self::Context) {
///         self.sum += *item;
///         item.ack();
///     }
/// }
///
/// impl Handler<Drained> for Worker {
///     type Result = ();
///
///     fn handle(&mut self, drained: Drained, _: &mut Self::Context) {
///         assert_eq!((self.sum, drained.totals.acked), (10, 4));
///         System::current().stop();
///     }
/// }
///
/// let system = System::new();
/// let (producer, consumer) = IterableQueue::bounded(8).split().unwrap();
/// system.block_on(async {
///     Worker { consumer: Some(consumer), sum: 0 }.start();
///     producer.put_all(1..=4).await.unwrap();
///     drop(producer);
/// });
/// system.run().unwrap();
/// ```
pub trait ConsumeExt<A>: AsyncContext<A>
where
    A: Actor<Context = Self>,
{
    /// Hands the consumer's items to this actor's `Handler<Item<T>>`, the next one only when the
    /// one before is settled, and then [`Drained`] to its `Handler<Drained>`, once.
    ///
    /// The handler may return `()`, a `ResponseFuture`, a `ResponseActFuture` or an
    /// `AtomicResponse`; move the item into the future, and ack it there.
    ///
    /// After `ctx.stop()` or `ctx.wait()` in the handler no further item comes (until the wait is
    /// over). Under a `Supervisor` the restart drops this; consume again in `started`, with a
    /// clone of the consumer. Dropped or cancelled with `ctx.cancel_future`, it closes the
    /// consumer, and the item in hand, if the actor does not keep it, goes back to the queue.
    ///
    /// While the actor waits in a `ctx.wait` that *another* message began, an item for which this
    /// consumer was woken stays in the buffer until the wait is over, or another consumer comes by.
    fn consume<T>(&mut self, consumer: Consumer<T>) -> SpawnHandle
    where
        T: 'static,
        A: Handler<Item<T>> + Handler<Drained>,
    {
        self.consume_concurrent(1, consumer)
    }

    /// Consumes as [`consume`](ConsumeExt::consume) does, with up to `max_in_flight` unsettled items in hand, for
    /// handlers that return futures.
    ///
    /// # Panics
    ///
    /// If `max_in_flight` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix::prelude::*;
    /// use actix_iterable_queue::prelude::*;
    ///
    /// struct Fetcher(Option<Consumer<String>>);
    ///
    /// impl Actor for Fetcher {
    ///     type Context = Context<Self>;
    ///
    ///     fn started(&mut self, ctx: &mut Self::Context) {
    ///         if let Some(consumer) = self.0.take() {
    ///             ctx.consume_concurrent(16, consumer);
    ///         }
    ///     }
    /// }
    ///
    /// impl Handler<Item<String>> for Fetcher {
    ///     type Result = ResponseFuture<()>;
    ///
    ///     fn handle(&mut self, url: Item<String>, _: &mut Self::Context) -> Self::Result {
    ///         Box::pin(async move {
    ///             // fetch *url here
    ///             url.ack();
    ///         })
    ///     }
    /// }
    ///
    /// impl Handler<Drained> for Fetcher {
    ///     type Result = ();
    ///
    ///     fn handle(&mut self, _: Drained, _: &mut Self::Context) {
    ///         System::current().stop();
    ///     }
    /// }
    ///
    /// let system = System::new();
    /// let (producer, consumer) = IterableQueue::bounded(8).split().unwrap();
    /// system.block_on(async {
    ///     Fetcher(Some(consumer)).start();
    ///     producer.put("https://example.org".to_owned()).await.unwrap();
    ///     drop(producer);
    /// });
    /// system.run().unwrap();
    /// ```
    #[track_caller]
    fn consume_concurrent<T>(&mut self, max_in_flight: usize, consumer: Consumer<T>) -> SpawnHandle
    where
        T: 'static,
        A: Handler<Item<T>> + Handler<Drained>,
    {
        assert_max_in_flight("ConsumeExt::consume_concurrent", max_in_flight);
        self.spawn(Consume { limited: Limited::new(consumer, max_in_flight), told: None })
    }
}

impl<A, C> ConsumeExt<A> for C
where
    A: Actor<Context = C>,
    C: AsyncContext<A>,
{
}

/// The same as `consume`, and says so once the actor has handled the end; drops `told` unsent if it dies before.
#[cfg(feature = "testing")]
pub(crate) fn consume_and_tell<A, T>(ctx: &mut A::Context, consumer: Consumer<T>, told: oneshot::Sender<()>)
where
    T: 'static,
    A: Actor + Handler<Item<T>> + Handler<Drained>,
    A::Context: AsyncContext<A>,
{
    ctx.spawn(Consume { limited: Limited::new(consumer, 1), told: Some(told) });
}

/// Lives in the actor's context, and dies with it: then its consumer closes.
struct Consume<T> {
    limited: Limited<T>,
    /// Whoever else waits until the actor has handled the end.
    told: Option<oneshot::Sender<()>>,
}

impl<A, T> ActorFuture<A> for Consume<T>
where
    T: 'static,
    A: Actor + Handler<Item<T>> + Handler<Drained>,
    A::Context: AsyncContext<A>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, actor: &mut A, ctx: &mut A::Context, cx: &mut Context<'_>) -> Poll<()> {
        let Self { limited, told } = self.get_mut();
        if let Last::Drained(drained) =
            ready!(poll_items(limited, actor, ctx, cx, |result, ctx| result.handle(ctx, None)))
        {
            Handler::<Drained>::handle(actor, drained, ctx).handle(ctx, told.take());
        }
        Poll::Ready(())
    }
}

/// Hands items to the actor until there are no more, for now or for good, and what its handler
/// returns to `respond`.
pub(super) fn poll_items<A, T>(
    limited: &mut Limited<T>,
    actor: &mut A,
    ctx: &mut A::Context,
    cx: &mut Context<'_>,
    mut respond: impl FnMut(<A as Handler<Item<T>>>::Result, &mut A::Context),
) -> Poll<Last>
where
    T: 'static,
    A: Actor + Handler<Item<T>>,
    A::Context: AsyncContext<A>,
{
    // actix may poll an actor that panicked once more while it drops it.
    if thread::panicking() {
        return Poll::Pending;
    }
    let mut began = None;
    for _ in 0..ITEMS_PER_POLL {
        if ctx.waiting() {
            // No waker needed: when the wait is over, the context polls everything.
            return Poll::Pending;
        }
        match ready!(limited.poll_next(cx)) {
            Next::Last(last) => return Poll::Ready(last),
            Next::Item(item) => respond(Handler::<Item<T>>::handle(actor, item, ctx), ctx),
        }
        // Each lease is stamped; that saves reading the clock again.
        let now = limited.consumer().slot().row.last_lease();
        if now.since(*began.get_or_insert(now)) >= TIME_PER_POLL {
            break;
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}
