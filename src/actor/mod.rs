//! The actix face.
//!
//! - `queue_actor.rs`: messages in, calls on the queue
//! - `push.rs`: items out, to addresses; `puts.rs`: `Put` messages that wait for room
//! - `consume.rs`: items pulled into an actor's own context
//! - `limited.rs`: what push and pull share, the limit of items in flight
//! - `pool.rs`, `pool/`: supervised workers
//! - `signal.rs`: the end by ctrl-c or SIGTERM
//! - `watch.rs`: dead addresses; `reply.rs`: answers

mod consume;
mod limited;
mod pool;
mod push;
mod puts;
mod queue_actor;
mod reply;
mod signal;
mod watch;

pub use consume::ConsumeExt;
#[cfg(feature = "testing")]
pub(crate) use consume::consume_and_tell;
pub use pool::{PoolReport, WorkerPool, WorkerPoolBuilder, WorkerReport, WorkerTotals};
pub use queue_actor::QueueActor;

/// Refuses a limit of 0, with which a consumer would never be handed an item.
#[track_caller]
pub(crate) fn assert_max_in_flight(method: &str, items: usize) {
    assert!(items > 0, "{method}: max_in_flight is 0: give at least 1");
}

/// After this many items in one poll, an actor's timers and messages get their turn (D11).
const ITEMS_PER_POLL: usize = 32;
