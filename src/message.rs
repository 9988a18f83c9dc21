//! The whole protocol between actors and a [`QueueActor`](crate::QueueActor), on one page.
//!
//! | message | answer |
//! |---|---|
//! | [`OpenProducer`] | `Result<Producer<T>, OpenError>` |
//! | [`OpenConsumer`] | `Result<Consumer<T>, OpenError>` |
//! | [`RegisterConsumer`] | `Result<ConsumerId, OpenError>`; then [`Item`] after [`Item`], and [`Drained`] once |
//! | [`Unregister`] | whether it was registered |
//! | [`Put`] | `Result<(), PutError<T>>`, once the buffer holds the item |
//! | [`Close`] | `()` |
//! | [`Seal`] | `()` |
//! | [`Inspect`] | [`Snapshot`] |
//! | [`Shutdown`] | [`ShutdownReport`] |
//! | [`Abort`] | `Vec<T>`: what was left |

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, Message, Recipient};

use crate::actor::assert_max_in_flight;
use crate::endpoint::{Consumer, HandleShare, Producer};
use crate::error::{OpenError, PutError};
use crate::queue::{ConsumerId, Drained, Item, ShutdownReport, Snapshot, name};

impl<T: 'static> Message for Item<T> {
    type Result = ();
}

impl Message for Drained {
    type Result = ();
}

/// Whether an actor is alive, without keeping it alive.
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
            /// One without a name, watched by nobody.
            ///
            /// # Examples
            ///
            /// ```
            /// # use actix::prelude::*;
            /// # use actix_iterable_queue::prelude::*;
            /// # System::new().block_on(async {
            /// let queue = QueueActor::<u8>::new(IterableQueue::unbounded()).start();
            #[doc = concat!("let endpoint = queue.send(", stringify!($name), "::new()).await??;")]
            /// # drop(endpoint);
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// # }).unwrap();
            /// ```
            #[must_use]
            pub fn new() -> Self {
                Self { name: None, watch: None, item: PhantomData }
            }

            /// Gives it a name, for snapshots and the log.
            ///
            /// # Examples
            ///
            /// ```
            /// # use actix::prelude::*;
            /// # use actix_iterable_queue::prelude::*;
            /// # System::new().block_on(async {
            /// let queue = QueueActor::<u8>::new(IterableQueue::unbounded()).start();
            #[doc = concat!("let endpoint = queue.send(", stringify!($name), "::new().named(\"http\")).await??;")]
            /// assert!(queue.send(Inspect).await?.to_string().contains("open"));
            /// # drop(endpoint);
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// # }).unwrap();
            /// ```
            #[must_use]
            pub fn named(mut self, endpoint_name: impl Into<String>) -> Self {
                self.name = name(endpoint_name);
                self
            }

            /// Closes the endpoint, with all its clones, once the actor at `addr` is found dead:
            /// at the latest one [watch interval](crate::QueueActor::watch_interval) later.
            ///
            /// An actor that owns its endpoints closes them when it stops anyway. This is for
            /// endpoints that others hold on its behalf, in a thread or in a future of their own.
            ///
            /// # Examples
            ///
            /// ```
            /// # use actix::prelude::*;
            /// # use actix_iterable_queue::prelude::*;
            /// # struct Session;
            /// # impl Actor for Session { type Context = Context<Self>; }
            /// # System::new().block_on(async {
            /// let queue = QueueActor::<u8>::new(IterableQueue::unbounded()).start();
            /// let session = Session.start();
            #[doc = concat!("let endpoint = queue.send(", stringify!($name), "::new().watch(&session)).await??;")]
            /// # drop(endpoint);
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// # }).unwrap();
            /// ```
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
    /// Asks for a [`Producer`].
    OpenProducer -> Producer
}

open_message! {
    /// Asks for a [`Consumer`], for the actor to pull from with
    /// [`ctx.consume`](crate::ConsumeExt::consume), or for anybody else.
    OpenConsumer -> Consumer
}

/// Asks for items by address (push): the actor gets [`Item`] after [`Item`] in its mailbox, never
/// more than `max_in_flight` unsettled ones, and then [`Drained`] once.
///
/// Sent with `do_send` to a queue that is sealed already, it leaves the actor waiting: the refusal
/// is only logged at warn.
///
/// The queue keeps the actor's address until it has told it of the end. An actor that in turn keeps
/// an `Addr<QueueActor>` keeps the queue from sealing itself: let it hold a `WeakAddr`, or send
/// [`Seal`].
///
/// Items that are still in the mailbox when the actor dies come back as if they had not been handed
/// out; those that the actor has looked at come back with the attempt counted.
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
    /// The actor at `addr`, one item at a time.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix::prelude::*;
    /// # use actix_iterable_queue::prelude::*;
    /// # struct Worker;
    /// # impl Actor for Worker { type Context = Context<Self>; }
    /// # impl Handler<Item<u8>> for Worker { type Result = (); fn handle(&mut self, item: Item<u8>, _: &mut Self::Context) { item.ack() } }
    /// # impl Handler<Drained> for Worker { type Result = (); fn handle(&mut self, _: Drained, _: &mut Self::Context) {} }
    /// # System::new().block_on(async {
    /// let worker = Worker.start();
    /// let register: RegisterConsumer<u8> = RegisterConsumer::new(worker);
    /// let queue = QueueActor::new(IterableQueue::bounded(8)).start();
    /// queue.send(register).await??;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn new<A>(addr: Addr<A>) -> Self
    where
        A: Handler<Item<T>> + Handler<Drained>,
        A::Context: ToEnvelope<A, Item<T>> + ToEnvelope<A, Drained>,
    {
        Self::from_recipients(addr.clone().recipient(), addr.recipient())
    }

    /// Items to one address and the end to another, one item at a time.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix::prelude::*;
    /// # use actix_iterable_queue::prelude::*;
    /// # struct Worker;
    /// # impl Actor for Worker { type Context = Context<Self>; }
    /// # impl Handler<Item<u8>> for Worker { type Result = (); fn handle(&mut self, item: Item<u8>, _: &mut Self::Context) { item.ack() } }
    /// # impl Handler<Drained> for Worker { type Result = (); fn handle(&mut self, _: Drained, _: &mut Self::Context) {} }
    /// # System::new().block_on(async {
    /// let worker = Worker.start();
    /// let supervisor = Worker.start();
    /// let register = RegisterConsumer::<u8>::from_recipients(worker.recipient(), supervisor.recipient());
    /// let queue = QueueActor::new(IterableQueue::bounded(8)).start();
    /// queue.send(register).await??;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn from_recipients(items: Recipient<Item<T>>, drained: Recipient<Drained>) -> Self {
        Self { items, drained, name: None, max_in_flight: 1 }
    }

    /// Gives it a name, for snapshots and the log.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix::prelude::*;
    /// # use actix_iterable_queue::prelude::*;
    /// # struct Worker;
    /// # impl Actor for Worker { type Context = Context<Self>; }
    /// # impl Handler<Item<u8>> for Worker { type Result = (); fn handle(&mut self, item: Item<u8>, _: &mut Self::Context) { item.ack() } }
    /// # impl Handler<Drained> for Worker { type Result = (); fn handle(&mut self, _: Drained, _: &mut Self::Context) {} }
    /// # System::new().block_on(async {
    /// let worker = Worker.start();
    /// let register = RegisterConsumer::<u8>::new(worker).named("worker-1");
    /// let queue = QueueActor::new(IterableQueue::bounded(8)).start();
    /// queue.send(register).await??;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
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
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix::prelude::*;
    /// # use actix_iterable_queue::prelude::*;
    /// # struct Worker;
    /// # impl Actor for Worker { type Context = Context<Self>; }
    /// # impl Handler<Item<u8>> for Worker { type Result = (); fn handle(&mut self, item: Item<u8>, _: &mut Self::Context) { item.ack() } }
    /// # impl Handler<Drained> for Worker { type Result = (); fn handle(&mut self, _: Drained, _: &mut Self::Context) {} }
    /// # System::new().block_on(async {
    /// let worker = Worker.start();
    /// let register = RegisterConsumer::<u8>::new(worker).max_in_flight(16);
    /// let queue = QueueActor::new(IterableQueue::bounded(8)).start();
    /// queue.send(register).await??;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
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

/// Ends a registration: no more items, and no [`Drained`]. The items that the actor holds stay
/// with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unregister(
    /// What [`RegisterConsumer`] was answered.
    pub ConsumerId,
);

impl Message for Unregister {
    type Result = bool;
}

/// Puts an item through the queue's actor; answered once the buffer holds it.
///
/// It owns a share of the producer's handle: a [`Close`] sent after it never overtakes it. It acts
/// on the queue of its producer, whichever actor it is sent to. With `do_send` a refusal is only
/// logged at warn, the item is lost with it, and nothing bounds the mailbox: wait for the answer of
/// `send`. If the queue's actor is dead, `send` fails with actix's `MailboxError`, which cannot
/// give the item back; `try_send` can.
///
/// # Cancel safety
///
/// Dropping the future of `send` does not take the message back: the item is put all the same, now or when there is
/// room. A retry puts it twice. To be able to give up, await [`Producer::reserve`] with a timer, and put the item into
/// the permit. Nothing bounds the `Put`s that wait in the actor.
pub struct Put<T> {
    pub(crate) handle: Option<HandleShare<T>>,
    pub(crate) item: T,
}

impl<T> Put<T> {
    /// Puts `item` as `producer` would.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix::prelude::*;
    /// # use actix_iterable_queue::prelude::*;
    /// # System::new().block_on(async {
    /// let queue = QueueActor::new(IterableQueue::bounded(8)).start();
    /// let producer = queue.send(OpenProducer::new()).await??;
    /// queue.send(Put::new(&producer, "work")).await??;
    /// assert_eq!(queue.send(Inspect).await?.buffered, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn new(producer: &Producer<T>, item: T) -> Self {
        Self { handle: producer.share(), item }
    }

    /// The item, taken back out of a message that could not be sent.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_iterable_queue::prelude::*;
    /// let producer = IterableQueue::unbounded().producer()?;
    /// let put = Put::new(&producer, "work");
    /// assert_eq!(put.into_inner(), "work");
    /// # Ok::<(), actix_iterable_queue::error::OpenError>(())
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

/// Closes a producer handle in its turn: after every [`Put`] that was made through it before.
///
/// The producer itself is closed for further puts at once.
pub struct Close<T> {
    pub(crate) handle: Option<HandleShare<T>>,
}

impl<T> Close<T> {
    /// Closes `producer`, once this message is handled.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix::prelude::*;
    /// # use actix_iterable_queue::prelude::*;
    /// # System::new().block_on(async {
    /// let queue = QueueActor::new(IterableQueue::bounded(8)).start();
    /// let mut producer = queue.send(OpenProducer::new()).await??;
    /// queue.do_send(Put::new(&producer, "last"));
    /// queue.send(Close::new(&mut producer)).await?;
    /// assert!(producer.is_closed());
    /// assert_eq!(queue.send(Inspect).await?.buffered, 1); // the put came first
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
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

/// Says that no new endpoints will be opened, as [`IterableQueue::seal`](crate::IterableQueue::seal).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal;

impl Message for Seal {
    type Result = ();
}

/// Asks for a [`Snapshot`].
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
    /// Consumers may finish for as long as `grace`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix::prelude::*;
    /// # use actix_iterable_queue::prelude::*;
    /// use std::time::Duration;
    ///
    /// # System::new().block_on(async {
    /// let queue = QueueActor::new(IterableQueue::<u8>::bounded(8)).start();
    /// let report = queue.send(Shutdown::new(Duration::from_secs(5))).await?;
    /// assert_eq!((report.drained.outcome, report.left), (Outcome::Complete, vec![]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
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

/// Ends the queue now, as [`IterableQueue::abort`](crate::IterableQueue::abort); answered with the items that nobody had
/// been handed, oldest first.
///
/// With `do_send` these items are dropped. Over Redis the other processes hear of it a moment later: see
/// [`flush`](crate::IterableQueue::flush).
pub struct Abort<T> {
    item: PhantomData<fn() -> T>,
}

impl<T> Abort<T> {
    /// Creates the message.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix::prelude::*;
    /// # use actix_iterable_queue::prelude::*;
    /// # System::new().block_on(async {
    /// let queue = QueueActor::new(IterableQueue::bounded(8)).start();
    /// let producer = queue.send(OpenProducer::new()).await??;
    /// producer.put_all(["a", "b"]).await?;
    /// assert_eq!(queue.send(Abort::new()).await?, ["a", "b"]);
    /// assert_eq!(queue.send(Put::new(&producer, "c")).await?.unwrap_err().reason(), Refusal::Aborted);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
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
