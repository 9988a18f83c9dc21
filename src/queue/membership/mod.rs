//! Who is open, and what that means for the end.
//!
//! - `registry.rs`: all endpoints, by id; `counters.rs`: one row of counters for each
//! - `endpoints.rs`: they open and close
//! - `lifecycle.rs`: how far the queue has come; `ending.rs`: the decision that it is drained

pub(crate) mod counters;
pub(crate) mod ending;
pub(crate) mod endpoints;
pub(crate) mod lifecycle;
pub(crate) mod registry;
