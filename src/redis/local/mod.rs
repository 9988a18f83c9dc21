//! What this process has of a queue in Redis.
//!
//! - `link.rs`: what the endpoints and the driver hand to each other; `link/remote.rs`: the endpoints' side of it
//! - `put_window.rs`: puts that Redis has not confirmed; `prefetch.rs`: claimed items that no consumer was handed yet
//! - `settle_log.rs`: what became of leases, as far as Redis has not been told; `deadlines.rs`: how long they may last
//! - `unreadable.rs`: items of a type that this process does not know

pub(crate) mod deadlines;
pub(crate) mod link;
pub(crate) mod prefetch;
pub(crate) mod put_window;
pub(crate) mod settle_log;
pub(crate) mod unreadable;
