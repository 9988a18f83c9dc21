//! The queue as an actor, which maps messages to calls on the queue.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use actix::{Actor, ActorFuture, AsyncContext, Context, Handler, MessageResult, ResponseFuture, Supervised};

use super::asks::AskReply;
use super::push::PushConsumers;
use super::puts::WaitingPuts;
use super::reply::{LeftItems, Reply};
use super::watch::{Endpoint, Watch};
use crate::endpoint::{Consumer, PendingAnswer, Producer, settled, shutdown};
use crate::error::{OpenError, PutError, Refusal};
use crate::message::{
    Abort, AskQueue, Close, Inspect, OpenConsumer, OpenProducer, Put, RegisterConsumer, Seal, Shutdown, TakeLeft,
    Unregister,
};
use crate::queue::{Ask, ConsumerId, IterableQueue, Shared, ShutdownReport, count, drop_quietly};

/// A queue as an actor.
///
/// It opens endpoints, accepts `Put` and `Close`, hands items to registered consumer actors, and closes the
/// endpoints of actors that died. The module [`message`](crate::message) lists its messages.
///
/// A strong address keeps the queue open as a handle does. The queue seals itself when the last strong address and
/// the last other handle are gone and the mailbox has been read. The actor does not keep itself alive, but it stays
/// until it has served all registered consumers, waiting `Put`s and watched endpoints.
///
/// A restart by a `Supervisor` loses nothing. If the actor is gone for good, because its arbiter stopped or a panic
/// killed it, while consumers are registered or `Put`s wait, the queue is aborted: the consumers get `Drained`, and
/// the `Put`s are refused. A `Put` that waits for room in another queue is refused with
/// [`ActorStopped`](Refusal::ActorStopped), and that queue goes on.
///
/// # Examples
///
/// ```
/// use actix::prelude::*;
/// use actix_iterable_queue::prelude::*;
///
/// # System::new().block_on(async {
/// let queue = QueueActor::new(IterableQueue::bounded(10)).start();
/// let mut producer = queue.send(OpenProducer::new().named("http")).await??;
/// let mut consumer = queue.send(OpenConsumer::new()).await??;
/// queue.send(Seal).await?;
///
/// queue.send(Put::new(&producer, "work")).await??;
/// queue.do_send(Close::new(&mut producer));
/// assert_eq!(consumer.get().await, Some("work"));
/// assert_eq!(consumer.get().await, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct QueueActor<T: Send + 'static> {
    shared: Arc<Shared<T>>,
    /// A handle on behalf of the strong addresses, dropped with the last of them.
    queue: Option<IterableQueue<T>>,
    push: PushConsumers<T>,
    puts: WaitingPuts<T>,
    watch: Watch,
    /// Whether `Serve` is spawned.
    serving: bool,
    /// Whether `Serve` found no strong address the last time.
    unaddressed: bool,
}

// No field is ever pinned, and actix requires its actors to be `Unpin`.
impl<T: Send + 'static> Unpin for QueueActor<T> {}

impl<T: Send + 'static> QueueActor<T> {
    /// Creates the actor of a queue. Start it with `.start()`, in an arbiter, or under a `Supervisor`.
    ///
    /// Other handles of the queue may be used beside it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix::prelude::*;
    /// # use actix_iterable_queue::prelude::*;
    /// # System::new().block_on(async {
    /// let queue = IterableQueue::<u8>::bounded(10);
    /// let address = QueueActor::new(queue.clone()).start();
    /// address.send(Seal).await?;
    /// assert!(queue.producer().is_err());
    /// # Ok::<(), MailboxError>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn new(queue: IterableQueue<T>) -> Self {
        Self {
            shared: Arc::clone(queue.shared()),
            push: PushConsumers::of(queue.shared()),
            queue: Some(queue),
            puts: WaitingPuts::new(),
            watch: Watch::every(Duration::from_secs(1)),
            serving: false,
            unaddressed: false,
        }
    }

    /// Sets how often the actor looks for dead addresses. The default is every second.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix::prelude::*;
    /// # use actix_iterable_queue::prelude::*;
    /// use std::time::Duration;
    ///
    /// # System::new().block_on(async {
    /// let queue = QueueActor::new(IterableQueue::<u8>::unbounded());
    /// let address = queue.watch_interval(Duration::from_millis(100)).start();
    /// # drop(address);
    /// # });
    /// ```
    #[must_use]
    pub fn watch_interval(mut self, interval: Duration) -> Self {
        self.watch.interval = interval;
        self
    }

    fn is_idle(&self) -> bool {
        self.push.is_empty() && self.puts.is_empty() && self.watch.is_empty()
    }

    /// Spawns `Serve`, unless it runs. It runs while there is something to serve or an address is left.
    fn serve(&mut self, ctx: &mut Context<Self>) {
        if !self.serving {
            self.serving = true;
            ctx.spawn(Serve);
        }
    }

    /// Returns the queue if endpoints may be opened through this actor: once the last address is gone, they may not.
    fn open(&self) -> Result<&Arc<Shared<T>>, OpenError> {
        match self.queue {
            Some(_) => Ok(&self.shared),
            None if self.shared.has_ended() => Err(OpenError::Ended),
            None => Err(OpenError::Sealed),
        }
    }
}

/// Polls all that waits in the actor. It has no state of its own, so a restart may drop it and spawn another.
struct Serve;

impl<T: Send + 'static> ActorFuture<QueueActor<T>> for Serve {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        actor: &mut QueueActor<T>,
        ctx: &mut Context<QueueActor<T>>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<()> {
        // The drop of the last address woke the context. A message sent just before it may have come after the
        // mailbox was read, so the mailbox is read once more before the drop counts (C3).
        let unaddressed = !ctx.connected();
        if unaddressed && actor.queue.is_some() {
            if actor.unaddressed {
                actor.queue = None;
            } else {
                cx.waker().wake_by_ref();
            }
        }
        actor.unaddressed = unaddressed;
        if actor.shared.has_ended() {
            actor.watch.clear();
        } else if unaddressed {
            // Only watched endpoints keep the actor alive now.
            actor.watch.prune();
        }
        if actor.watch.poll(&actor.shared, !actor.push.is_empty(), cx) {
            actor.push.remove_dead();
        }
        actor.puts.poll(cx);
        actor.push.poll(cx);
        if actor.is_idle() && actor.queue.is_none() {
            actor.serving = false;
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl<T: Send + 'static> Actor for QueueActor<T> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // A restart has dropped `Serve`.
        self.serving = false;
        self.serve(ctx);
    }
}

impl<T: Send + 'static> Supervised for QueueActor<T> {}

impl<T: Send + 'static> Handler<OpenProducer<T>> for QueueActor<T> {
    type Result = Reply<Producer<T>, OpenError>;

    fn handle(&mut self, open: OpenProducer<T>, ctx: &mut Self::Context) -> Self::Result {
        let opened = self.open().and_then(|shared| Producer::open(shared, open.name, open.watch.is_some()));
        if let (Ok(producer), Some(actor_lives)) = (&opened, open.watch) {
            self.watch.add(actor_lives, Endpoint::Producer(Arc::clone(producer.endpoint())));
            self.serve(ctx);
        }
        Reply::Now(opened)
    }
}

impl<T: Send + 'static> Handler<OpenConsumer<T>> for QueueActor<T> {
    type Result = Reply<Consumer<T>, OpenError>;

    fn handle(&mut self, open: OpenConsumer<T>, ctx: &mut Self::Context) -> Self::Result {
        let opened = self.open().and_then(|shared| Consumer::open(shared, open.name));
        if let (Ok(consumer), Some(actor_lives)) = (&opened, open.watch) {
            let row = &consumer.slot().row;
            let endpoint = Endpoint::Consumer { shut: Arc::clone(&row.shut), name: Arc::clone(&row.name) };
            self.watch.add(actor_lives, endpoint);
            self.serve(ctx);
        }
        Reply::Now(opened)
    }
}

impl<T: Send + 'static> Handler<RegisterConsumer<T>> for QueueActor<T> {
    type Result = Reply<ConsumerId, OpenError>;

    fn handle(&mut self, mut register: RegisterConsumer<T>, ctx: &mut Self::Context) -> Self::Result {
        let opened = self.open().and_then(|shared| Consumer::open(shared, register.name.take()));
        let registered = opened.map(|consumer| self.push.register(consumer, register));
        self.serve(ctx);
        Reply::Now(registered)
    }
}

impl<T: Send + 'static> Handler<Unregister> for QueueActor<T> {
    type Result = bool;

    fn handle(&mut self, Unregister(id): Unregister, _: &mut Self::Context) -> bool {
        self.push.unregister(id)
    }
}

impl<T: Send + 'static> Handler<Put<T>> for QueueActor<T> {
    type Result = Reply<(), PutError<T>>;

    fn handle(&mut self, put: Put<T>, ctx: &mut Self::Context) -> Self::Result {
        let Some(handle) = put.handle else {
            return Reply::Now(Err(PutError::new(put.item, Refusal::Closed)));
        };
        let reply = self.puts.put(handle, put.item);
        self.serve(ctx);
        reply
    }
}

impl<J: Send + 'static, D: Send + 'static> Handler<AskQueue<J, D>> for QueueActor<Ask<J, D>> {
    type Result = AskReply<J, D>;

    fn handle(&mut self, ask: AskQueue<J, D>, ctx: &mut Self::Context) -> Self::Result {
        let Some(handle) = ask.handle else {
            return AskReply::refused(PutError::new(ask.job, Refusal::Closed));
        };
        let (item, answer) = PendingAnswer::new(ask.job, &handle.shared);
        let put = self.puts.put(handle, item);
        self.serve(ctx);
        AskReply::after(put, answer)
    }
}

impl<T: Send + 'static> Handler<Close<T>> for QueueActor<T> {
    type Result = ();

    fn handle(&mut self, close: Close<T>, _: &mut Self::Context) {
        // Its share of the handle was all that kept it open, but for puts that still wait.
        drop(close.handle);
    }
}

impl<T: Send + 'static> Handler<Seal> for QueueActor<T> {
    type Result = ();

    fn handle(&mut self, _: Seal, _: &mut Self::Context) {
        self.shared.seal();
    }
}

impl<T: Send + 'static> Handler<Inspect> for QueueActor<T> {
    type Result = MessageResult<Inspect>;

    fn handle(&mut self, _: Inspect, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.shared.snapshot())
    }
}

impl<T: Send + 'static> Handler<Shutdown<T>> for QueueActor<T> {
    type Result = ResponseFuture<ShutdownReport<T>>;

    fn handle(&mut self, shut_down: Shutdown<T>, _: &mut Self::Context) -> Self::Result {
        Box::pin(shutdown(Arc::clone(&self.shared), shut_down.grace))
    }
}

impl<T: Send + 'static> Handler<Abort<T>> for QueueActor<T> {
    type Result = LeftItems<T>;

    fn handle(&mut self, _: Abort<T>, _: &mut Self::Context) -> Self::Result {
        LeftItems(self.shared.abort())
    }
}

impl<T: Send + 'static> Handler<TakeLeft<T>> for QueueActor<T> {
    type Result = ResponseFuture<Vec<T>>;

    fn handle(&mut self, _: TakeLeft<T>, _: &mut Self::Context) -> Self::Result {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            settled(&shared).await;
            shared.take_left()
        })
    }
}

impl<T: Send + 'static> Drop for QueueActor<T> {
    fn drop(&mut self) {
        // A waiting put may be for another queue, which this actor must not end.
        let ours = !self.push.is_empty() || self.puts.wait_for(&self.shared);
        let left = if ours { self.shared.abort() } else { Vec::new() };
        // The actor's handle is gone before the consumers and puts are told.
        self.queue = None;
        if !left.is_empty() {
            let items = count(left.len() as u64, "item");
            log::error!("{}: its actor is gone for good; {items} dropped", self.shared.label());
        }
        self.push.notify_end();
        self.puts.refuse_all();
        left.into_iter().for_each(drop_quietly);
    }
}

impl<T: Send + 'static> fmt::Debug for QueueActor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueActor").field("queue", &self.shared).finish_non_exhaustive()
    }
}
