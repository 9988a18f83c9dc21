//! The messages of a [`QueueActor`](crate::QueueActor).
//!
//! | message | answer |
//! |---|---|
//! | [`OpenProducer`] | `Result<Producer<T>, OpenError>` |
//! | [`OpenConsumer`] | `Result<Consumer<T>, OpenError>` |
//! | [`RegisterConsumer`] | `Result<ConsumerId, OpenError>`; then [`Item`] after [`Item`], and [`Drained`] once |
//! | [`Unregister`] | `bool`: whether the consumer was registered |
//! | [`Put`] | `Result<(), PutError<T>>`, once the buffer holds the item |
//! | [`AskQueue`] | `Result<D, AskError<J>>`, once a consumer has answered; to a queue of [`Ask`]s |
//! | [`Close`] | `()` |
//! | [`Seal`] | `()` |
//! | [`Inspect`] | [`Snapshot`] |
//! | [`Shutdown`] | [`ShutdownReport`] |
//! | [`Abort`] | `Vec<T>`: the items that were left |
//! | [`TakeLeft`] | `Vec<T>`: the items that came back after the end, once no consumer holds one |
//!
//! # Examples
//!
//! ```
//! use actix::prelude::*;
//! use actix_iterable_queue::prelude::*;
//!
//! # System::new().block_on(async {
//! let queue = QueueActor::new(IterableQueue::bounded(8)).start();
//! let mut producer = queue.send(OpenProducer::new().named("http")).await??;
//! queue.send(Put::new(&producer, "work")).await??; // answered once the buffer has it
//! queue.do_send(Put::new(&producer, "more work"));
//! queue.send(Close::new(&mut producer)).await?; // closes the producer after both puts
//! println!("{}", queue.send(Inspect).await?);
//!
//! let mut consumer = queue.send(OpenConsumer::new()).await??;
//! queue.send(Seal).await?;
//! assert_eq!(consumer.get_batch(10).await, ["work", "more work"]);
//! assert_eq!(consumer.get().await, None); // the queue has ended
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, Message, Recipient};

use crate::actor::assert_max_in_flight;
use crate::endpoint::{Consumer, HandleShare, Producer};
use crate::error::{AskError, OpenError, PutError};
use crate::queue::{Ask, Batch, ConsumerId, Drained, Item, ShutdownReport, Snapshot, name};

impl<T: 'static> Message for Item<T> {
    type Result = ();
}

impl<T: 'static> Message for Batch<T> {
    type Result = ();
}

impl Message for Drained {
    type Result = ();
}

/// Returns whether an actor is alive, without keeping it alive.
pub(crate) type Probe = Box<dyn Fn() -> bool + Send>;

fn probe<A: Actor>(addr: &Addr<A>) -> Probe
where
    A::Context: actix::AsyncContext<A>,
{
    let addr = addr.downgrade();
    Box::new(move || addr.upgrade().is_some())
}

macro_rules! open_message {
    ($(#[$doc:meta])* $name:ident -> $endpoint:ident) => {
        $(#[$doc])*
        pub struct $name<T> {
            pub(crate) name: Option<Arc<str>>,
            pub(crate) watch: Option<Probe>,
            item: PhantomData<fn() -> T>,
        }

        impl<T> $name<T> {
            /// Creates a message that asks for an endpoint without a name that is not watched.
            #[must_use]
            pub fn new() -> Self {
                Self { name: None, watch: None, item: PhantomData }
            }

            /// Gives the endpoint a name, for snapshots and the log.
            #[must_use]
            pub fn named(mut self, endpoint_name: impl Into<String>) -> Self {
                self.name = name(endpoint_name);
                self
            }

            /// Closes the endpoint, with all its clones, once the actor at `addr` is found dead: at the latest one [watch
            /// interval](crate::QueueActor::watch_interval) later.
            ///
            /// An endpoint that an actor owns closes anyway when the actor stops. Use this for endpoints that a thread or
            /// a future holds on behalf of an actor.
            #[must_use]
            pub fn watch<A: Actor>(mut self, addr: &Addr<A>) -> Self
            where
                A::Context: actix::AsyncContext<A>,
            {
                self.watch = Some(probe(addr));
                self
            }
        }

        impl<T> Default for $name<T> {
            fn default() -> Self {
                Self::new()
            }
        }

        impl<T: 'static> Message for $name<T> {
            type Result = Result<$endpoint<T>, OpenError>;
        }

        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("name", &self.name)
                    .field("watched", &self.watch.is_some())
                    .finish_non_exhaustive()
            }
        }
    };
}

open_message! {
    /// Opens a [`Producer`].
    ///
    /// # Examples
    ///
    /// A thread that puts on behalf of an actor. It ends soon after the actor has stopped:
    ///
    /// ```
    /// use actix::prelude::*;
    /// use actix_iterable_queue::prelude::*;
    /// use std::thread;
    ///
    /// struct Session;
    ///
    /// impl Actor for Session {
    ///     type Context = Context<Self>;
    /// }
    ///
    /// # System::new().block_on(async {
    /// let queue = QueueActor::<u64>::new(IterableQueue::bounded(8)).start();
    /// let session = Session.start();
    /// let producer = queue.send(OpenProducer::new().named("session-7").watch(&session)).await??;
    /// thread::spawn(move || (0..).try_for_each(|n| producer.blocking_put(n)));
    /// # queue.send(Abort::new()).await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    OpenProducer -> Producer
}

open_message! {
    /// Opens a [`Consumer`], for an actor that pulls with [`ctx.consume`](crate::ConsumeExt::consume), a thread or a
    /// future.
    OpenConsumer -> Consumer
}

/// Registers an actor whose items are sent to its address (push). The actor gets [`Item`] after [`Item`] in its mailbox,
/// never more than `max_in_flight` unsettled ones, and then [`Drained`] once.
///
/// With `do_send` a refusal is only logged, at warn: if the queue is sealed already, no items will come.
///
/// The queue keeps the actor's address until it has sent `Drained`. If the actor in turn keeps an `Addr<QueueActor>`, the
/// queue cannot seal itself: keep a `WeakAddr` instead, or send [`Seal`].
///
/// If the actor dies, the items that it has not looked at come back as if they had not been handed out. Those that it has
/// looked at come back with the attempt counted.
///
/// # Examples
///
/// ```
/// use actix::prelude::*;
/// use actix_iterable_queue::prelude::*;
///
/// struct Printer;
///
/// impl Actor for Printer {
///     type Context = Context<Self>;
/// }
///
/// impl Handler<Item<u32>> for Printer {
///     type Result = ();
///
///     fn handle(&mut self, item: Item<u32>, _: &mut Self::Context) {
///         println!("{}", *item);
///         item.ack();
///     }
/// }
///
/// impl Handler<Drained> for Printer {
///     type Result = ();
///
///     fn handle(&mut self, drained: Drained, _: &mut Self::Context) {
///         assert_eq!(drained.totals.acked, 3);
///         System::current().stop();
///     }
/// }
///
/// let system = System::new();
/// system.block_on(async {
///     let queue = QueueActor::new(IterableQueue::bounded(10)).start();
///     let producer = queue.send(OpenProducer::new()).await??;
///     queue.send(RegisterConsumer::new(Printer.start()).named("printer")).await??;
///     producer.put_all(1..=3).await?;
///     Ok::<(), Box<dyn std::error::Error>>(())
/// }).unwrap(); // the address and the producer are dropped here: now it can end
/// system.run().unwrap();
/// ```
pub struct RegisterConsumer<T: 'static + Send> {
    pub(crate) items: Recipient<Item<T>>,
    pub(crate) drained: Recipient<Drained>,
    pub(crate) name: Option<Arc<str>>,
    pub(crate) max_in_flight: usize,
}

impl<T: Send + 'static> RegisterConsumer<T> {
    /// Registers the actor at `addr`, for one item at a time.
    #[must_use]
    pub fn new<A>(addr: Addr<A>) -> Self
    where
        A: Handler<Item<T>> + Handler<Drained>,
        A::Context: ToEnvelope<A, Item<T>> + ToEnvelope<A, Drained>,
    {
        Self::from_recipients(addr.clone().recipient(), addr.recipient())
    }

    /// Registers one address for the items, one at a time, and another one for the end.
    #[must_use]
    pub fn from_recipients(items: Recipient<Item<T>>, drained: Recipient<Drained>) -> Self {
        Self { items, drained, name: None, max_in_flight: 1 }
    }

    /// Gives the consumer a name, for snapshots and the log.
    #[must_use]
    pub fn named(mut self, consumer_name: impl Into<String>) -> Self {
        self.name = name(consumer_name);
        self
    }

    /// Sets how many unsettled items the actor may hold; 1 unless given.
    ///
    /// # Panics
    ///
    /// If `items` is 0.
    #[must_use]
    #[track_caller]
    pub fn max_in_flight(mut self, items: usize) -> Self {
        assert_max_in_flight("RegisterConsumer::max_in_flight", items);
        self.max_in_flight = items;
        self
    }
}

impl<T: Send + 'static> Message for RegisterConsumer<T> {
    type Result = Result<ConsumerId, OpenError>;
}

impl<T: Send + 'static> fmt::Debug for RegisterConsumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegisterConsumer")
            .field("name", &self.name)
            .field("max_in_flight", &self.max_in_flight)
            .finish_non_exhaustive()
    }
}

/// Ends a registration. The actor gets no more items, and no [`Drained`]. It keeps the items that it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unregister(
    /// The answer to [`RegisterConsumer`].
    pub ConsumerId,
);

impl Message for Unregister {
    type Result = bool;
}

/// Puts an item through the queue's actor, which answers once the buffer has the item.
///
/// It owns a share of the producer's handle, so a [`Close`] that is sent later never overtakes it. The item goes into the
/// queue of the producer, whichever actor the message is sent to.
///
/// With `do_send` a refusal is only logged, at warn, the item is lost with it, and nothing bounds the mailbox: await the
/// answer of `send`. If the queue's actor is dead, `send` fails with actix's `MailboxError`, which cannot give the item
/// back; `try_send` can.
///
/// # Cancel safety
///
/// Dropping the future of `send` does not take the message back: the item is put all the same, now or when there is room,
/// and a retry puts it twice. To be able to give up, await [`Producer::reserve`] with a timer, and put the item into the
/// permit. Nothing bounds the `Put`s that wait in the actor.
pub struct Put<T> {
    pub(crate) handle: Option<HandleShare<T>>,
    pub(crate) item: T,
}

impl<T> Put<T> {
    /// Creates a message that puts `item` as `producer` would.
    #[must_use]
    pub fn new(producer: &Producer<T>, item: T) -> Self {
        Self { handle: producer.share(), item }
    }

    /// Returns the item of a message that could not be sent.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix::dev::SendError;
    /// use actix::prelude::*;
    /// use actix_iterable_queue::prelude::*;
    ///
    /// fn put_soon<T: Send + 'static>(queue: &Addr<QueueActor<T>>, producer: &Producer<T>, item: T) -> Result<(), T> {
    ///     queue.try_send(Put::new(producer, item)).map_err(|error| match error {
    ///         SendError::Full(put) | SendError::Closed(put) => put.into_inner(),
    ///     })
    /// }
    /// ```
    #[must_use]
    pub fn into_inner(self) -> T {
        self.item
    }
}

impl<T: 'static> Message for Put<T> {
    type Result = Result<(), PutError<T>>;
}

impl<T> fmt::Debug for Put<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Put").field("closed", &self.handle.is_none()).finish_non_exhaustive()
    }
}

/// Asks the queue through its actor, which answers with what a consumer has [answered](Ask::answer), as
/// [`Producer::ask`] does. The queue's actor goes on with its other messages meanwhile.
///
/// It waits for room as [`Put`] does, in turn with the `Put`s of the producer, and owns a share of the handle until the queue
/// has accepted the job.
///
/// With `do_send` nobody waits for the answer: the job is done, and its answer is dropped.
///
/// If the arbiter of the queue's actor stops, `send` fails with actix's `MailboxError`; the job goes on if it was accepted.
///
/// # Cancel safety
///
/// Dropping the future of `send` does not take the message back: the job is put all the same, and its answer is dropped.
///
/// # Examples
///
/// ```
/// use actix::prelude::*;
/// use actix_iterable_queue::prelude::*;
///
/// # System::new().block_on(async {
/// let queue = IterableQueue::<Ask<String, usize>>::bounded(8);
/// let pool = WorkerPool::builder(&queue).run(|text: &Item<Ask<String, usize>>| text.answer(text.len()))?;
/// let address = QueueActor::new(queue).start();
/// let producer = address.send(OpenProducer::new()).await??;
/// assert_eq!(address.send(AskQueue::new(&producer, String::from("hello"))).await??, 5);
/// # address.send(Seal).await?;
/// # drop(producer);
/// # pool.drained().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct AskQueue<J, D> {
    pub(crate) handle: Option<HandleShare<Ask<J, D>>>,
    pub(crate) job: J,
}

impl<J, D> AskQueue<J, D> {
    /// Creates a message that asks as `producer` would.
    #[must_use]
    pub fn new(producer: &Producer<Ask<J, D>>, job: J) -> Self {
        Self { handle: producer.share(), job }
    }

    /// Returns the job of a message that could not be sent.
    #[must_use]
    pub fn into_inner(self) -> J {
        self.job
    }
}

impl<J: 'static, D: 'static> Message for AskQueue<J, D> {
    type Result = Result<D, AskError<J>>;
}

impl<J, D> fmt::Debug for AskQueue<J, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AskQueue").field("closed", &self.handle.is_none()).finish_non_exhaustive()
    }
}

/// Closes a producer handle, after every [`Put`] that was made through it before.
///
/// The producer itself refuses further puts at once.
pub struct Close<T> {
    pub(crate) handle: Option<HandleShare<T>>,
}

impl<T> Close<T> {
    /// Creates a message that closes `producer` when it is handled.
    #[must_use]
    pub fn new(producer: &mut Producer<T>) -> Self {
        Self { handle: producer.take() }
    }
}

impl<T: 'static> Message for Close<T> {
    type Result = ();
}

impl<T> fmt::Debug for Close<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Close").field("closed_before", &self.handle.is_none()).finish()
    }
}

/// Seals the queue, as [`IterableQueue::seal`](crate::IterableQueue::seal).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal;

impl Message for Seal {
    type Result = ();
}

/// Returns a [`Snapshot`] of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inspect;

impl Message for Inspect {
    type Result = Snapshot;
}

/// Ends the queue within a given time, as [`IterableQueue::shutdown`](crate::IterableQueue::shutdown).
///
/// With `do_send` the report is dropped, and with it the items that were left.
pub struct Shutdown<T> {
    pub(crate) grace: Duration,
    item: PhantomData<fn() -> T>,
}

impl<T> Shutdown<T> {
    /// Creates a message that gives consumers this time to finish.
    #[must_use]
    pub fn new(grace: Duration) -> Self {
        Self { grace, item: PhantomData }
    }
}

impl<T: 'static> Message for Shutdown<T> {
    type Result = ShutdownReport<T>;
}

impl<T> fmt::Debug for Shutdown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown").field("grace", &self.grace).finish()
    }
}

/// Ends the queue now, as [`IterableQueue::abort`](crate::IterableQueue::abort). The answer is the items that no consumer
/// was handed, oldest first.
///
/// With `do_send` these items are dropped. Over Redis the other processes are told a moment later: see
/// [`flush`](crate::IterableQueue::flush).
pub struct Abort<T> {
    item: PhantomData<fn() -> T>,
}

impl<T> Abort<T> {
    /// Creates the message.
    #[must_use]
    pub fn new() -> Self {
        Self { item: PhantomData }
    }
}

impl<T> Default for Abort<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: 'static> Message for Abort<T> {
    type Result = Vec<T>;
}

impl<T> fmt::Debug for Abort<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Abort")
    }
}

/// Waits until the queue has ended and no consumer holds an item any more, as
/// [`IterableQueue::settled`](crate::IterableQueue::settled). The answer is what
/// [`IterableQueue::take_left`](crate::IterableQueue::take_left) returns then.
///
/// With `do_send` these items are dropped.
pub struct TakeLeft<T> {
    item: PhantomData<fn() -> T>,
}

impl<T> TakeLeft<T> {
    /// Creates the message.
    #[must_use]
    pub fn new() -> Self {
        Self { item: PhantomData }
    }
}

impl<T> Default for TakeLeft<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: 'static> Message for TakeLeft<T> {
    type Result = Vec<T>;
}

impl<T> fmt::Debug for TakeLeft<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TakeLeft")
    }
}
