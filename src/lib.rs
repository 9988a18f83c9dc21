//! A queue that knows when it is done, for actix 0.13, threads, and futures.
//!
//! Any number of [`Producer`]s put items into an [`IterableQueue`], and any number of [`Consumer`]s take them out. When no
//! more items can come and every item is settled, iterators and streams end, and each consumer actor gets [`Drained`],
//! once. A program needs no code of its own to find out when all work is done.
//!
#![doc = include_str!("../docs/pictures/faces.svg")]
//!
//! An item can be *taken*, which settles it at once, or *leased*: a leased [`Item`] belongs to the queue until it is
//! acked, and comes back if its consumer panics, stops, or forgets it. After some attempts it becomes a [`DeadLetter`].
//!
//! # Three faces
//!
//! **Threads** put with calls that begin with `blocking_`, and iterate over a consumer:
//!
//! ```
//! use actix_iterable_queue::IterableQueue;
//! use std::thread;
//!
//! let (producer, consumer) = IterableQueue::bounded(16).split()?;
//! thread::spawn(move || producer.blocking_put_all(1..=100)); // then drops it, which closes it
//! assert_eq!(consumer.into_iter().sum::<i32>(), 5050); // until the queue has ended
//! # Ok::<(), actix_iterable_queue::error::OpenError>(())
//! ```
//!
//! To lease items on threads, give a function to [`spawn_workers`](IterableQueue::spawn_workers): as in a pool (below), what
//! it returns decides, and a panic costs its item an attempt.
//!
//! **Futures** wait on any executor. A consumer is also a stream, and a producer can become a sink:
//!
//! ```
//! use actix_iterable_queue::IterableQueue;
//!
//! # futures::executor::block_on(async {
//! let (producer, mut consumer) = IterableQueue::bounded(16).split()?;
//! producer.put_all(["a", "b", "c"]).await?;
//! drop(producer);
//! while let Some(item) = consumer.lease().await {
//!     println!("{} (attempt {})", *item, item.attempt());
//!     item.ack(); // without it, the item comes back
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! **Pools of workers** call a function for each item. What it returns decides what becomes of the item: `()` and `Ok` ack
//! it, `Err` is a failed attempt, and a [`Verdict`] says all else ([`IntoVerdict`]). If a worker panics it is replaced, and
//! the items that it held go to the others. With `workers(2..=16)` the pool grows while items wait, and shrinks again:
//!
//! ```
//! use actix_iterable_queue::prelude::*;
//!
//! #[actix::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let queue = IterableQueue::bounded(100);
//!     let send = |mail: &Item<String>| println!("sending {}", **mail); // may block, and may panic
//!     let pool = WorkerPool::builder(&queue).workers(4).run(send)?;
//!     queue.producer()?.put_all(["a", "b", "c"].map(String::from)).await?; // then drops the producer
//!     queue.seal(); // there will be no further producers
//!     println!("{} sent", pool.drained().await?.totals.acked);
//!     Ok(())
//! }
//! ```
//!
//! **Actors** handle [`Item`], and [`Drained`] at the end. A [`WorkerPool`] starts them as its workers, with
//! [`start`](WorkerPoolBuilder::start) instead of [`run`](WorkerPoolBuilder::run):
//!
//! ```
//! use actix::prelude::*;
//! use actix_iterable_queue::prelude::*;
//!
//! struct Mailer;
//!
//! impl Actor for Mailer {
//!     type Context = Context<Self>;
//! }
//!
//! impl Handler<Item<String>> for Mailer {
//!     type Result = (); // or ResponseFuture<()>, ResponseActFuture<Self, ()>
//!
//!     fn handle(&mut self, letter: Item<String>, _: &mut Self::Context) {
//!         println!("sending {}", *letter);
//!         letter.ack(); // or fail("busy"), retry_after(…), release(), reject("no such address")
//!     }
//! }
//!
//! impl Handler<Drained> for Mailer {
//!     type Result = ();
//!
//!     fn handle(&mut self, _: Drained, _: &mut Self::Context) {}
//! }
//!
//! # System::new().block_on(async {
//! # let queue = IterableQueue::bounded(100);
//! let pool = WorkerPool::builder(&queue).workers(4).start(|_index| Mailer)?;
//! # queue.seal();
//! # pool.drained().await?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! Without a pool, an actor takes items in its own context with [`ctx.consume`](ConsumeExt::consume), or has them sent to
//! its address by a [`QueueActor`]. Actors that have only the address of a `QueueActor` also [put](message::Put) and
//! [close](message::Close) by message.
//!
//! # When it ends
//!
//! A queue is drained when it is *sealed* (no further endpoints can be opened), no producer is open, nothing is buffered,
//! and nothing is leased. [`seal`](IterableQueue::seal) seals it, and so does the drop of its last handle, as in
//! [`split`](IterableQueue::split). If a program does not end, print [`queue.snapshot()`](IterableQueue::snapshot): it
//! names each reason (a [`Blocker`](report::Blocker)), such as a producer that is still open.
//!
//! A service ends on ctrl-c or SIGTERM with [`shutdown_on_signal`](IterableQueue::shutdown_on_signal): the queue takes no
//! more items, and consumers finish what was accepted.
//!
//! ```no_run
//! # use actix_iterable_queue::prelude::*;
//! # use std::process::ExitCode;
//! # use std::time::Duration;
//! # async fn end<T: Send + 'static>(queue: IterableQueue<T>, pool: WorkerPool<T>) -> Result<ExitCode, Box<dyn std::error::Error>> {
//! // Done when the queue has ended, or when the grace after a signal is over.
//! let shutdown = queue.shutdown_on_signal(Duration::from_secs(30))?.await;
//! if shutdown.drained.outcome == Outcome::Complete {
//!     pool.drained().await?; // every worker is gone, too
//!     return Ok(ExitCode::SUCCESS);
//! }
//! // The grace was too short. Workers may be stuck: do not wait for them.
//! println!("{} items not begun", shutdown.left.len());
//! println!("{} workers have not finished", shutdown.holders.len());
//! Ok(ExitCode::FAILURE)
//! # }
//! ```
//!
//! # Where to find what
//!
//! | for | there is |
//! |---|---|
//! | a queue | [`IterableQueue::bounded`], [`unbounded`](IterableQueue::unbounded), [`builder`](IterableQueue::builder) with its [`Builder`]; [`WeakQueue`] observes one without keeping it open |
//! | what goes in | [`Producer`], [`Permit`], [`PutSink`] |
//! | what comes out | [`Consumer`], [`Item`], [`Batch`], [`DeadLetter`] with its [`FailedAttempt`]s |
//! | jobs that are answered | [`Ask`] |
//! | iterators and streams, in [`iter`] | of items taken [`BlockingIter`](iter::BlockingIter), [`IntoBlockingIter`](iter::IntoBlockingIter), [`TryIter`](iter::TryIter); of items leased [`BlockingLeases`](iter::BlockingLeases), [`IntoBlockingLeases`](iter::IntoBlockingLeases), [`TryLeases`](iter::TryLeases), [`Leases`](iter::Leases), [`IntoLeases`](iter::IntoLeases) |
//! | actors | [`ConsumeExt`], [`QueueActor`], its messages in [`message`] |
//! | workers | [`WorkerPool`], [`WorkerPoolBuilder`], with batches [`BatchPoolBuilder`], their number: [`WorkerCount`], [`ScalingReport`](report::ScalingReport), [`ScalingStep`](report::ScalingStep); on threads without actix [`WorkerThreads`]; what their functions return: [`Verdict`], [`IntoVerdict`], of batches [`Verdicts`], [`IntoVerdicts`]; [`PoolReport`](report::PoolReport), [`WorkerReport`](report::WorkerReport), [`WorkerTotals`](report::WorkerTotals), [`Death`](error::Death) |
//! | pauses between attempts | [`Backoff`] |
//! | how far a queue has come, in [`report`] | [`State`], [`Snapshot`]; its [`Totals`](report::Totals), [`ProducerStatus`](report::ProducerStatus), [`ConsumerStatus`](report::ConsumerStatus), [`ProcessStatus`](report::ProcessStatus); [`Blockers`](report::Blockers), each a [`Blocker`](report::Blocker); [`QueueId`](report::QueueId), [`ProducerId`](report::ProducerId), [`ConsumerId`](report::ConsumerId) |
//! | how it ended | [`Drained`], [`Outcome`], [`ShutdownReport`](report::ShutdownReport) |
//! | errors, in [`error`] | of puts [`PutError`](error::PutError) with its [`Refusal`](error::Refusal), [`TryPutError`](error::TryPutError), [`TryReserveError`](error::TryReserveError), [`PutTimeoutError`](error::PutTimeoutError), [`SinkError`](error::SinkError); of asks [`AskError`](error::AskError); of takes [`TryGetError`](error::TryGetError), [`GetTimeoutError`](error::GetTimeoutError); of queues and pools [`BuildError`](error::BuildError), [`OpenError`](error::OpenError), [`PoolError`](error::PoolError), [`PoolFailure`](error::PoolFailure) |
#![cfg_attr(
    feature = "redis",
    doc = "| several processes | [`Builder::redis`], [`RedisBuilder`], [`Payload`], [`ConnectError`](error::ConnectError) |"
)]
#![cfg_attr(
    feature = "testing",
    doc = "| tests of your own pipeline, in [`testing`] | [`Fault`](testing::Fault); [`Ledger`](testing::Ledger) with its [`ProducerLog`](testing::ProducerLog), [`ConsumerLog`](testing::ConsumerLog) and [`Audit`](testing::Audit); [`assert_conserved`](testing::assert_conserved), [`run_actors`](testing::run_actors) |"
)]
//! | most of this in one line | <code>use actix_iterable_queue::[prelude]::*;</code> |
//!
//! # One name for one effect
//!
//! A call that waits has a plain name as a future, begins with `blocking_` for threads, and with `try_` if it does not
//! wait; only [`join`](WorkerThreads::join) has std's name. Most calls for threads also come with `_timeout` and `_deadline`. Actors that have only the address of a
//! [`QueueActor`] send messages.
//!
//! | on | a future | a thread | at once | a message |
//! |---|---|---|---|---|
//! | [`Producer`] | [`put`](Producer::put) | [`blocking_put`](Producer::blocking_put), [`_timeout`](Producer::blocking_put_timeout), [`_deadline`](Producer::blocking_put_deadline) | [`try_put`](Producer::try_put) | [`Put`](message::Put) |
//! | | [`ask`](Producer::ask) | [`blocking_ask`](Producer::blocking_ask) | | [`AskQueue`](message::AskQueue) |
//! | | [`put_all`](Producer::put_all), [`sink`](Producer::sink), [`into_sink`](Producer::into_sink) | [`blocking_put_all`](Producer::blocking_put_all) | | |
//! | | [`reserve`](Producer::reserve) | [`blocking_reserve`](Producer::blocking_reserve) | [`try_reserve`](Producer::try_reserve) | |
//! | | [`closed`](Producer::closed) | | [`is_closed`](Producer::is_closed) | |
//! | | | | [`close`](Producer::close) | [`Close`](message::Close) |
//! | [`Consumer`], items taken | [`get`](Consumer::get) | [`blocking_get`](Consumer::blocking_get), [`_timeout`](Consumer::blocking_get_timeout), [`_deadline`](Consumer::blocking_get_deadline) | [`try_get`](Consumer::try_get) | |
//! | | [`get_batch`](Consumer::get_batch) | [`blocking_get_batch`](Consumer::blocking_get_batch) | `try_iter`, `take` | |
//! | | itself, a stream | [`iter`](Consumer::iter), `for item in consumer` | [`try_iter`](Consumer::try_iter) | |
//! | leased | [`lease`](Consumer::lease) | [`blocking_lease`](Consumer::blocking_lease), [`_timeout`](Consumer::blocking_lease_timeout), [`_deadline`](Consumer::blocking_lease_deadline) | [`try_lease`](Consumer::try_lease) | [`RegisterConsumer`](message::RegisterConsumer) |
//! | | [`lease_batch`](Consumer::lease_batch) | [`blocking_lease_batch`](Consumer::blocking_lease_batch) | `try_leases`, `take` | |
//! | | [`leases`](Consumer::leases), [`into_leases`](Consumer::into_leases) | [`blocking_leases`](Consumer::blocking_leases), [`into_blocking_leases`](Consumer::into_blocking_leases) | [`try_leases`](Consumer::try_leases) | |
//! | | | | drop it | [`Unregister`](message::Unregister) |
//! | [`IterableQueue`] | | | [`producer`](IterableQueue::producer), [`producer_named`](IterableQueue::producer_named) | [`OpenProducer`](message::OpenProducer) |
//! | | | | [`consumer`](IterableQueue::consumer), [`consumer_named`](IterableQueue::consumer_named) | [`OpenConsumer`](message::OpenConsumer) |
//! | | | | [`spawn_workers`](IterableQueue::spawn_workers), [`spawn_workers_with`](IterableQueue::spawn_workers_with) | |
//! | | | | [`seal`](IterableQueue::seal) | [`Seal`](message::Seal) |
//! | | [`drained`](IterableQueue::drained) | [`blocking_drained`](IterableQueue::blocking_drained), [`_timeout`](IterableQueue::blocking_drained_timeout), [`_deadline`](IterableQueue::blocking_drained_deadline) | [`state`](IterableQueue::state) | [`Drained`] |
//! | | | | [`snapshot`](IterableQueue::snapshot) | [`Inspect`](message::Inspect) |
//! | | [`shutdown`](IterableQueue::shutdown), [`shutdown_on_signal`](IterableQueue::shutdown_on_signal) | [`blocking_shutdown`](IterableQueue::blocking_shutdown) | | [`Shutdown`](message::Shutdown) |
//! | | | | [`abort`](IterableQueue::abort) | [`Abort`](message::Abort) |
//! | | [`settled`](IterableQueue::settled) | [`blocking_settled`](IterableQueue::blocking_settled), [`_timeout`](IterableQueue::blocking_settled_timeout), [`_deadline`](IterableQueue::blocking_settled_deadline) | [`take_left`](IterableQueue::take_left) | [`TakeLeft`](message::TakeLeft) |
//! | | | | [`dead_letters`](IterableQueue::dead_letters) | |
//! | | [`list_dead_letters`](IterableQueue::list_dead_letters) | [`blocking_list_dead_letters`](IterableQueue::blocking_list_dead_letters) | | |
//! | | [`retry_dead_letters`](IterableQueue::retry_dead_letters), [`retry`](IterableQueue::retry) | [`blocking_retry_dead_letters`](IterableQueue::blocking_retry_dead_letters), [`blocking_retry`](IterableQueue::blocking_retry) | | |
//! | | [`discard_dead_letters`](IterableQueue::discard_dead_letters) | [`blocking_discard_dead_letters`](IterableQueue::blocking_discard_dead_letters) | | |
//! | | [`flush`](IterableQueue::flush) | [`blocking_flush`](IterableQueue::blocking_flush), [`_timeout`](IterableQueue::blocking_flush_timeout), [`_deadline`](IterableQueue::blocking_flush_deadline) | | |
//! | [`WeakQueue`] | [`drained`](WeakQueue::drained) | [`blocking_drained`](WeakQueue::blocking_drained), [`_timeout`](WeakQueue::blocking_drained_timeout), [`_deadline`](WeakQueue::blocking_drained_deadline) | [`state`](WeakQueue::state), [`snapshot`](WeakQueue::snapshot), [`upgrade`](WeakQueue::upgrade) | |
//! | [`WorkerThreads`] | [`drained`](WorkerThreads::drained) | [`join`](WorkerThreads::join) | [`is_finished`](WorkerThreads::is_finished), [`workers`](WorkerThreads::workers) | |
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
//! # Further reading
//!
//! The repository has a guide in `docs/guide/src`, which the package does not contain: from getting started to
//! troubleshooting, a cookbook, Redis for operators, and pages for users of channels, `SyncArbiter` and Python's
//! `iterable_queue`. Every promise in full is the contract (`docs/contract.md`), and `README.md` says what an item costs.

// docs.rs shows which feature an item needs.
#![cfg_attr(docsrs, feature(doc_cfg))]

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

pub use actor::{BatchPoolBuilder, ConsumeExt, QueueActor, WorkerCount, WorkerPool, WorkerPoolBuilder};
pub use backoff::Backoff;
pub use config::Builder;
pub use endpoint::{Consumer, Permit, Producer, PutSink, WorkerThreads};
pub use queue::{
    Ask, Batch, DeadLetter, Drained, FailedAttempt, IntoVerdict, IntoVerdicts, Item, IterableQueue, Outcome, Snapshot,
    State, Verdict, Verdicts, WeakQueue,
};
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
        ScalingReport, ScalingStep, ShutdownReport, Totals, WorkerReport, WorkerTotals,
    };
}

/// The names that most programs use: `use actix_iterable_queue::prelude::*;`
pub mod prelude {
    pub use crate::actor::{ConsumeExt, QueueActor, WorkerPool};
    pub use crate::backoff::Backoff;
    pub use crate::endpoint::{Consumer, Producer};
    pub use crate::error::{AskError, OpenError, PoolError, PoolFailure, PutError, Refusal, TryPutError};
    pub use crate::message::{
        Abort, AskQueue, Close, Inspect, OpenConsumer, OpenProducer, Put, RegisterConsumer, Seal, Shutdown, TakeLeft,
        Unregister,
    };
    pub use crate::queue::{
        Ask, Batch, DeadLetter, Drained, Item, IterableQueue, Outcome, PoolReport, Snapshot, State, Verdict,
    };
    #[cfg(feature = "redis")]
    pub use crate::redis::RedisBuilder;
}

/// Tests the code of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
