//! What users hold: producers and consumers, and the ways to wait with them.
//!
//! - `producer.rs`, `permit.rs`: items in; `closed.rs`: when no more may come; `handle.rs`: an open handle, and how its puts
//!   wait; `ahead.rs`: puts that are confirmed later
//! - `consumer.rs`: items out; `about.rs`: what both tell about themselves and their queue
//! - `operation.rs`: what may have to wait, and how long; `blocking.rs`: threads that do; `deadline.rs`: no longer than told;
//!   `iterators.rs`; `batch.rs`: several items in one call
//! - `futures.rs`: streams and the sink; `views.rs`: what iterators and streams have in common
//! - `redelivery.rs`: the time before failed items come back
//! - `dead_letters.rs`, `shutdown.rs`: a queue's way to its end; `flush.rs`: until the others know it
//! - `claim.rs`: a pool's right to open consumers

mod about;
mod ahead;
mod batch;
mod blocking;
mod claim;
mod closed;
mod consumer;
mod dead_letters;
mod deadline;
mod flush;
mod futures;
mod handle;
mod iterators;
mod operation;
mod permit;
mod producer;
mod redelivery;
mod shutdown;
mod views;

pub(crate) use self::claim::Claim;
pub use self::consumer::Consumer;
#[cfg(feature = "redis")]
pub(crate) use self::dead_letters::OpenDeadLetters;
pub use self::futures::{IntoLeases, Leases, PutSink};
pub(crate) use self::handle::{HandleShare, Putting};
pub use self::iterators::{BlockingIter, BlockingLeases, IntoBlockingIter, IntoBlockingLeases, TryIter, TryLeases};
pub use self::permit::Permit;
pub use self::producer::Producer;
pub(crate) use self::redelivery::start_timer;
pub(crate) use self::shutdown::shutdown;
