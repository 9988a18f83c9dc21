//! What users hold: producers and consumers, and the ways to wait with them.
//!
//! - `open.rs`: how endpoints are opened, also by a pool; `accessors.rs`: what they tell about themselves and their queue
//! - `producer.rs`, `permit.rs`: items in; `handle.rs`: an open handle, and how its puts wait; `unconfirmed.rs`: puts that
//!   are confirmed later; `closed.rs`: when no more may come
//! - `consumer.rs`: items out; `iterators.rs`, `futures.rs`: iterators, streams and the sink; `iter_impls.rs`: what
//!   iterators and streams have in common
//! - `ask.rs`: a put that waits for an answer
//! - `batch.rs`, `lease_batch.rs`: several items in one call; `gather.rs`: how a batch of leases is gathered; `timer.rs`: the
//!   time that it takes
//! - `block.rs`: how a thread waits; `blocking.rs`: the calls that do; `deadline.rs`: those with a limit; `line_wait.rs`:
//!   waiting for anything but an item or room
//! - `workers.rs`: threads that work on items with a function, and `crew.rs`: what they do
//! - `dead_letters.rs`: readers of dead letters; `kept_letters.rs`: what is done with those that no reader has asked for
//! - `shutdown.rs`: a queue's way to its end; `left.rs`: what comes back after it; `flush.rs`: waiting until the other
//!   processes know

mod accessors;
mod ask;
mod batch;
mod block;
mod blocking;
mod closed;
mod consumer;
mod crew;
mod dead_letters;
mod deadline;
mod flush;
mod futures;
mod gather;
mod handle;
mod iter_impls;
mod iterators;
mod kept_letters;
mod lease_batch;
mod left;
mod line_wait;
mod open;
mod permit;
mod producer;
mod shutdown;
mod timer;
mod unconfirmed;
mod workers;

pub(crate) use self::ask::{PendingAnswer, refused_ask};
pub use self::consumer::Consumer;
#[cfg(feature = "redis")]
pub(crate) use self::dead_letters::OpenDeadLetters;
pub use self::futures::{IntoLeases, Leases, PutSink};
pub(crate) use self::gather::TimedGather;
pub(crate) use self::handle::{HandleShare, Putting};
pub use self::iterators::{BlockingIter, BlockingLeases, IntoBlockingIter, IntoBlockingLeases, TryIter, TryLeases};
pub(crate) use self::lease_batch::assert_max;
pub(crate) use self::left::{LeftClaim, settled};
pub(crate) use self::open::PoolClaim;
pub use self::permit::Permit;
pub use self::producer::Producer;
pub(crate) use self::shutdown::shutdown;
pub use self::workers::WorkerThreads;
