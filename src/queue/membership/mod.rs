//! The open endpoints, and the end of the queue that follows from them.
//!
//! - `registry.rs`: all endpoints, by id; `producer_row.rs`, `consumer_row.rs`: what it keeps of each, with counters
//! - `endpoints.rs`: they open and close
//! - `lifecycle.rs`: how far the queue has come; `ending.rs`: the decision that it is drained
//! - `lingering.rs`: batches that wait for more, and stop when no more can come

pub(crate) mod consumer_row;
pub(crate) mod ending;
pub(crate) mod endpoints;
pub(crate) mod lifecycle;
pub(crate) mod lingering;
pub(crate) mod producer_row;
pub(crate) mod registry;
