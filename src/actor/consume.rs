//! Pull: an actor takes items from the queue in its own context.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::Duration;

use actix::dev::MessageResponse;
use actix::{Actor, ActorFuture, AsyncContext, Handler, Message, SpawnHandle};
use tokio::sync::oneshot;

use super::consumer_poller::{ConsumerEnd, ConsumerPoller, Next};
use super::handout::{Handout, InBatches, OneByOne};
use super::{ITEMS_PER_POLL, assert_max_in_flight};
use crate::endpoint::{Consumer, assert_max};
use crate::queue::{Batch, Drained, Item};

/// After this much time in one poll, the actor's timers and messages get their turn (D11).
const TIME_PER_POLL: Duration = Duration::from_millis(5);

/// Consumes a queue in an actor's own context, without a mailbox between the queue and the handler.
///
/// Every actix context that can spawn futures has these methods, `WebsocketContext` included.
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
    /// Hands the consumer's items to this actor's `Handler<Item<T>>` one by one, and then [`Drained`] to its
    /// `Handler<Drained>`, once.
    ///
    /// The actor is handed the next item when it has settled the one before. The handler may return `()`, a
    /// `ResponseFuture`, a `ResponseActFuture` or an `AtomicResponse`: move the item into the future, and
    /// ack it there.
    ///
    /// After `ctx.stop()` in a handler the actor is handed no further item; after `ctx.wait()`, none until the
    /// wait is over. A `ctx.wait` that *another* message began may delay an item for which this consumer was
    /// woken: the item stays in the buffer until the wait is over, or until another consumer takes it.
    ///
    /// A restart by a `Supervisor` ends the consumption: call `consume` again in `started`, with a clone of the
    /// consumer. `ctx.cancel_future` ends it too, and closes the consumer. An unsettled item goes back to the
    /// queue, unless the actor keeps it.
    fn consume<T>(&mut self, consumer: Consumer<T>) -> SpawnHandle
    where
        T: 'static,
        A: Handler<Item<T>> + Handler<Drained>,
    {
        self.consume_concurrent(1, consumer)
    }

    /// Consumes as [`consume`](ConsumeExt::consume) does, with up to `max_in_flight` unsettled items at a time.
    ///
    /// This is for handlers that return futures.
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
        let poller = ConsumerPoller::new(consumer, max_in_flight, OneByOne);
        self.spawn(Consume { poller, drained_handled: None })
    }

    /// Consumes as [`consume`](ConsumeExt::consume) does, in batches: this actor's `Handler<Batch<T>>` is handed up to `max`
    /// items at a time. Each batch is gathered as by [`lease_batch`](Consumer::lease_batch), and the actor is handed the next
    /// one when all items of the one before are settled.
    ///
    /// # Panics
    ///
    /// If `max` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix::prelude::*;
    /// use actix_iterable_queue::prelude::*;
    /// use std::time::Duration;
    ///
    /// struct Inserter(Option<Consumer<u32>>);
    ///
    /// impl Actor for Inserter {
    ///     type Context = Context<Self>;
    ///
    ///     fn started(&mut self, ctx: &mut Self::Context) {
    ///         if let Some(consumer) = self.0.take() {
    ///             ctx.consume_batches(100, Duration::from_millis(20), consumer);
    ///         }
    ///     }
    /// }
    ///
    /// impl Handler<Batch<u32>> for Inserter {
    ///     type Result = ();
    ///
    ///     fn handle(&mut self, rows: Batch<u32>, _: &mut Self::Context) {
    ///         println!("inserting {} rows", rows.len());
    ///         rows.ack();
    ///     }
    /// }
    ///
    /// impl Handler<Drained> for Inserter {
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
    ///     Inserter(Some(consumer)).start();
    ///     producer.put_all(0..250).await.unwrap();
    ///     drop(producer);
    /// });
    /// system.run().unwrap();
    /// ```
    #[track_caller]
    fn consume_batches<T>(&mut self, max: usize, linger: Duration, consumer: Consumer<T>) -> SpawnHandle
    where
        T: 'static,
        A: Handler<Batch<T>> + Handler<Drained>,
    {
        assert_max("ConsumeExt::consume_batches", max);
        let poller = ConsumerPoller::new(consumer, max, InBatches { max, linger });
        self.spawn(Consume { poller, drained_handled: None })
    }
}

impl<A, C> ConsumeExt<A> for C
where
    A: Actor<Context = C>,
    C: AsyncContext<A>,
{
}

/// Consumes as `ctx.consume` does, and sends on `drained_handled` once the actor has handled `Drained`. If the actor
/// dies before that, the sender is dropped unsent.
#[cfg(feature = "testing")]
pub(crate) fn consume_and_notify<A, T>(
    ctx: &mut A::Context,
    consumer: Consumer<T>,
    drained_handled: oneshot::Sender<()>,
) where
    T: 'static,
    A: Actor + Handler<Item<T>> + Handler<Drained>,
    A::Context: AsyncContext<A>,
{
    ctx.spawn(Consume { poller: ConsumerPoller::new(consumer, 1, OneByOne), drained_handled: Some(drained_handled) });
}

/// The future behind `ctx.consume`. It is dropped with the actor's context, and closes the consumer then.
struct Consume<T, H: Handout<T>> {
    poller: ConsumerPoller<T, H>,
    /// Sends once the actor has handled `Drained`.
    drained_handled: Option<oneshot::Sender<()>>,
}

impl<A, T, H> ActorFuture<A> for Consume<T, H>
where
    T: 'static,
    H: Handout<T>,
    H::Handed: Message,
    A: Actor + Handler<H::Handed> + Handler<Drained>,
    A::Context: AsyncContext<A>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, actor: &mut A, ctx: &mut A::Context, cx: &mut Context<'_>) -> Poll<()> {
        let Self { poller, drained_handled } = self.get_mut();
        let end = ready!(poll_items(poller, actor, ctx, cx, |result, ctx| result.handle(ctx, None)));
        if let ConsumerEnd::Drained(drained) = end {
            Handler::<Drained>::handle(actor, drained, ctx).handle(ctx, drained_handled.take());
        }
        Poll::Ready(())
    }
}

/// Hands items to the actor while there are any, and what its handler returns to `respond`. Ready once no
/// further item comes.
pub(super) fn poll_items<A, T, H>(
    poller: &mut ConsumerPoller<T, H>,
    actor: &mut A,
    ctx: &mut A::Context,
    cx: &mut Context<'_>,
    mut respond: impl FnMut(<A as Handler<H::Handed>>::Result, &mut A::Context),
) -> Poll<ConsumerEnd>
where
    T: 'static,
    H: Handout<T>,
    H::Handed: Message,
    A: Actor + Handler<H::Handed>,
    A::Context: AsyncContext<A>,
{
    // When an actor has panicked, actix may poll it once more as it drops it.
    if thread::panicking() {
        return Poll::Pending;
    }
    let mut began = None;
    for _ in 0..ITEMS_PER_POLL {
        if ctx.waiting() {
            // No waker is needed: after the wait the context polls all its futures.
            return Poll::Pending;
        }
        match ready!(poller.poll_next(cx)) {
            Next::End(end) => return Poll::Ready(end),
            Next::Handed(handed) => respond(Handler::<H::Handed>::handle(actor, handed, ctx), ctx),
        }
        // Each lease stamps the time, so the clock need not be read again.
        let now = poller.consumer().slot().row.last_lease();
        if now.since(*began.get_or_insert(now)) >= TIME_PER_POLL {
            break;
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}
