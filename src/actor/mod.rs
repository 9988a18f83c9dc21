//! The queue for actix: everything that names actix actors is in here.
//!
//! - `queue_actor.rs`: a queue as an actor, which maps messages to calls on the queue
//! - `push/`: hands items to addresses; `puts.rs`: `Put` messages that wait for room; `asks.rs`: replies to `AskQueue`
//! - `consume.rs`: an actor pulls items in its own context
//! - `consumer_poller.rs`: what pull and pools share, the limit of items in flight and a pool's orders; `handout.rs`: one by
//!   one, or in batches
//! - `pool/`: supervised workers
//! - `signal.rs`: a shutdown on ctrl-c or SIGTERM
//! - `watch.rs`: closes the endpoints of dead actors; `reply.rs`: replies to messages

mod asks;
mod consume;
mod consumer_poller;
mod handout;
mod pool;
mod push;
mod puts;
mod queue_actor;
mod reply;
mod signal;
mod watch;

pub use consume::ConsumeExt;
#[cfg(feature = "testing")]
pub(crate) use consume::consume_and_notify;
pub use pool::{BatchPoolBuilder, WorkerCount, WorkerPool, WorkerPoolBuilder};
pub use queue_actor::QueueActor;

/// Refuses a limit of 0, with which a consumer would never be handed an item.
#[track_caller]
pub(crate) fn assert_max_in_flight(method: &str, items: usize) {
    assert!(items > 0, "{method}: max_in_flight is 0: give at least 1");
}

/// After this many items in one poll, an actor's timers and messages get their turn (D11).
const ITEMS_PER_POLL: usize = 32;
