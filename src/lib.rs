//! A queue that knows when it is done, for actix 0.13, threads, and futures.
//!
//! Any number of [`Producer`]s put items into an [`IterableQueue`], and any number of [`Consumer`]s take them out. The
//! queue ends when it is *sealed* (no further endpoints may be opened), every producer is closed, and every item is
//! settled. Then iterators and streams end, and each consumer actor gets [`Drained`], once. A program needs no code of its
//! own to find out when all work is done.
//!
//! An item can be *taken*, which settles it at once, or *leased*: a leased [`Item`] belongs to the queue until it is
//! acked, and comes back if its consumer panics, stops, or forgets it. After some attempts it becomes a [`DeadLetter`].
//! When a queue is not done, [`Snapshot::blockers`] names what is holding it up.
//!
//! # Three faces
//!
//! **Iterators**, on threads. The consumer can be iterated over, and calls that wait begin with `blocking_`:
//!
//! ```
//! use actix_iterable_queue::IterableQueue;
//! use std::thread;
//!
//! let (producer, consumer) = IterableQueue::bounded(16).split()?;
//! thread::spawn(move || producer.blocking_put_all(1..=100)); // drops the producer, which closes it
//! assert_eq!(consumer.into_iter().sum::<i32>(), 5050); // until the queue has ended
//! # Ok::<(), actix_iterable_queue::error::OpenError>(())
//! ```
//!
//! **Futures**, on any executor. The consumer is a stream, and a producer can become a sink:
//!
//! ```
//! use actix_iterable_queue::IterableQueue;
//! use futures::StreamExt;
//!
//! # futures::executor::block_on(async {
//! let (producer, consumer) = IterableQueue::bounded(16).split()?;
//! producer.put_all(["a", "b", "c"]).await?;
//! drop(producer);
//! consumer.into_leases().for_each_concurrent(8, |item| async move {
//!     println!("{} (attempt {})", *item, item.attempt());
//!     item.ack(); // without it, the item comes back
//! }).await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! **Actors.** A consumer actor handles [`Item`] and [`Drained`]. It takes items in its own context with
//! [`ctx.consume`](ConsumeExt::consume), has them sent by a [`QueueActor`], or is a worker of a [`WorkerPool`], which
//! replaces workers that die. Each of these has an example.
//!
//! # Where to find what
//!
//! | for | there is |
//! |---|---|
//! | a queue | [`IterableQueue::bounded`], [`unbounded`](IterableQueue::unbounded), [`builder`](IterableQueue::builder) with its [`Builder`]; [`WeakQueue`] observes one without keeping it open |
//! | what goes in | [`Producer`], [`Permit`], [`PutSink`] |
//! | what comes out | [`Consumer`], [`Item`], [`DeadLetter`]; the types of its iterators and streams in [`iter`] |
//! | actors | [`ConsumeExt`], [`QueueActor`], its messages in [`message`] |
//! | workers | [`WorkerPool`], [`WorkerPoolBuilder`]; on threads without actix [`WorkerThreads`]; [`Verdict`] |
//! | pauses between attempts | [`Backoff`] |
//! | how far a queue has come, and how it ended | [`State`], [`Snapshot`], [`Drained`], [`Outcome`]; their parts in [`report`] |
//! | errors | [`error`] |
#![cfg_attr(feature = "redis", doc = "| several processes | [`RedisBuilder`], [`Payload`] |")]
#![cfg_attr(feature = "testing", doc = "| tests of your own pipeline | [`testing`] |")]
//! | most of this in one line | `use actix_iterable_queue::prelude::*;` |
//!
//! # One name for one effect
//!
//! A call that waits has a plain name as a future, begins with `blocking_` for threads, and with `try_` if it does not
//! wait. Most calls for threads also come with `_timeout` and `_deadline`. Actors that have only the address of a
//! [`QueueActor`] send messages.
//!
//! | on | a future | a thread | at once | a message |
//! |---|---|---|---|---|
//! | [`Producer`] | [`put`](Producer::put) | [`blocking_put`](Producer::blocking_put), [`…_timeout`](Producer::blocking_put_timeout), [`…_deadline`](Producer::blocking_put_deadline) | [`try_put`](Producer::try_put) | [`Put`](message::Put) |
//! | | [`put_all`](Producer::put_all), [`sink`](Producer::sink), [`into_sink`](Producer::into_sink) | [`blocking_put_all`](Producer::blocking_put_all) | | |
//! | | [`reserve`](Producer::reserve) | [`blocking_reserve`](Producer::blocking_reserve) | [`try_reserve`](Producer::try_reserve) | |
//! | | [`closed`](Producer::closed) | | [`is_closed`](Producer::is_closed) | |
//! | | | | [`close`](Producer::close) | [`Close`](message::Close) |
//! | [`Consumer`], items taken | [`get`](Consumer::get) | [`blocking_get`](Consumer::blocking_get), [`…_timeout`](Consumer::blocking_get_timeout), [`…_deadline`](Consumer::blocking_get_deadline) | [`try_get`](Consumer::try_get) | |
//! | | [`get_batch`](Consumer::get_batch) | [`blocking_get_batch`](Consumer::blocking_get_batch) | `try_iter().take(max)` | |
//! | | itself, a stream | [`iter`](Consumer::iter), `for item in consumer` | [`try_iter`](Consumer::try_iter) | |
//! | leased | [`lease`](Consumer::lease) | [`blocking_lease`](Consumer::blocking_lease), [`…_timeout`](Consumer::blocking_lease_timeout), [`…_deadline`](Consumer::blocking_lease_deadline) | [`try_lease`](Consumer::try_lease) | [`RegisterConsumer`](message::RegisterConsumer), then [`Item`] after [`Item`] |
//! | | [`leases`](Consumer::leases), [`into_leases`](Consumer::into_leases) | [`blocking_leases`](Consumer::blocking_leases), [`into_blocking_leases`](Consumer::into_blocking_leases) | [`try_leases`](Consumer::try_leases) | |
//! | | | | drop it | [`Unregister`](message::Unregister) |
//! | [`IterableQueue`] | | | [`producer`](IterableQueue::producer), [`producer_named`](IterableQueue::producer_named) | [`OpenProducer`](message::OpenProducer) |
//! | | | | [`consumer`](IterableQueue::consumer), [`consumer_named`](IterableQueue::consumer_named) | [`OpenConsumer`](message::OpenConsumer) |
//! | | | | [`seal`](IterableQueue::seal) | [`Seal`](message::Seal) |
//! | | [`drained`](IterableQueue::drained) | [`blocking_drained`](IterableQueue::blocking_drained), [`…_timeout`](IterableQueue::blocking_drained_timeout), [`…_deadline`](IterableQueue::blocking_drained_deadline) | [`state`](IterableQueue::state) | [`Drained`], to each consumer |
//! | | | | [`snapshot`](IterableQueue::snapshot) | [`Inspect`](message::Inspect) |
//! | | [`shutdown`](IterableQueue::shutdown), [`shutdown_on_signal`](IterableQueue::shutdown_on_signal) | [`blocking_shutdown`](IterableQueue::blocking_shutdown) | | [`Shutdown`](message::Shutdown) |
//! | | | | [`abort`](IterableQueue::abort) | [`Abort`](message::Abort) |
//! | | [`flush`](IterableQueue::flush) | [`blocking_flush`](IterableQueue::blocking_flush), [`…_timeout`](IterableQueue::blocking_flush_timeout), [`…_deadline`](IterableQueue::blocking_flush_deadline) | | |
//! | [`WeakQueue`] | [`drained`](WeakQueue::drained) | [`blocking_drained`](WeakQueue::blocking_drained), [`…_timeout`](WeakQueue::blocking_drained_timeout), [`…_deadline`](WeakQueue::blocking_drained_deadline) | [`state`](WeakQueue::state), [`snapshot`](WeakQueue::snapshot), [`upgrade`](WeakQueue::upgrade) | |
//!
//! Queues, weak handles, producers and consumers all have `len`, `is_empty`, `is_full`, `capacity`, `id` and `name`.
//!
//! # Features
//!
//! None is enabled by default.
//!
//! | feature | adds |
//! |---|---|
//! | `serde` | [`Snapshot`], [`Blockers`](report::Blockers), [`Drained`] and [`DeadLetter`] can be serialized |
//! | `redis` | a queue that several processes share, over Redis |
//! | `redis-rustls`, `redis-native-tls` | the same over TLS |
//! | `testing` | injected faults, and an account of every item |
//!
//! The README has more examples, the promises in short, and what the crate costs. The repository has the promises in full
//! (`docs/contract.md`), a page for operators of queues over Redis (`docs/guide/src/redis.md`), and guides (`docs/guide`): for users
//! of channels, on pitfalls, and on two queues that feed each other.

mod actor;
mod arbiter;
mod backoff;
mod config;
mod coop;
mod endpoint;
pub mod error;
mod lock;
pub mod message;
mod one_line;
mod queue;
#[cfg(feature = "redis")]
mod redis;
mod spin_lock;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;

pub use actor::{ConsumeExt, QueueActor, WorkerPool, WorkerPoolBuilder};
pub use backoff::Backoff;
pub use config::Builder;
pub use endpoint::{Consumer, Permit, Producer, PutSink, WorkerThreads};
pub use queue::{DeadLetter, Drained, IntoVerdict, Item, IterableQueue, Outcome, Snapshot, State, Verdict, WeakQueue};
#[cfg(feature = "redis")]
pub use redis::{Payload, RedisBuilder};

pub mod iter {
    //! The iterators and streams over a [`Consumer`](crate::Consumer).
    //!
    //! | of | waits (thread) | waits (stream) | at once |
    //! |---|---|---|---|
    //! | items taken | [`BlockingIter`], [`IntoBlockingIter`] | [`Consumer`](crate::Consumer) itself | [`TryIter`] |
    //! | items leased | [`BlockingLeases`], [`IntoBlockingLeases`] | [`Leases`], [`IntoLeases`] | [`TryLeases`] |
    //!
    //! Those that wait end once the queue has ended, and stay ended. `Into…` own their consumer, the others borrow it.

    pub use crate::endpoint::{
        BlockingIter, BlockingLeases, IntoBlockingIter, IntoBlockingLeases, IntoLeases, Leases, TryIter, TryLeases,
    };
}

pub mod report {
    //! The parts of what queues and pools tell about themselves.
    //!
    //! [`IterableQueue::snapshot`](crate::IterableQueue::snapshot) has the statuses, the [`Totals`] and, with
    //! [`blockers`](crate::Snapshot::blockers), the reasons why a queue is not drained. [`IterableQueue::shutdown`](crate::IterableQueue::shutdown) ends with a [`ShutdownReport`], a
    //! [`WorkerPool`](crate::WorkerPool) and [`WorkerThreads`](crate::WorkerThreads) with a [`PoolReport`].

    pub use crate::queue::{
        Blocker, Blockers, ConsumerId, ConsumerStatus, PoolReport, ProcessStatus, ProducerId, ProducerStatus, QueueId,
        ShutdownReport, Totals, WorkerReport, WorkerTotals,
    };
}

/// The names that most programs use: `use actix_iterable_queue::prelude::*;`
pub mod prelude {
    pub use crate::actor::{ConsumeExt, QueueActor, WorkerPool};
    pub use crate::backoff::Backoff;
    pub use crate::endpoint::{Consumer, Producer};
    pub use crate::error::{OpenError, PoolError, PoolFailure, PutError, Refusal, TryPutError};
    pub use crate::message::{
        Abort, Close, Inspect, OpenConsumer, OpenProducer, Put, RegisterConsumer, Seal, Shutdown, Unregister,
    };
    pub use crate::queue::{DeadLetter, Drained, Item, IterableQueue, Outcome, Snapshot, State, Verdict};
    #[cfg(feature = "redis")]
    pub use crate::redis::RedisBuilder;
}

/// Tests the code of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
