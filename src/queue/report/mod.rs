//! What the queue tells about itself.
//!
//! - `snapshot.rs`: the queue at a moment, and how it ended; `inspect.rs`: how a snapshot is taken
//! - `blockers.rs`: why the queue is not drained
//! - `clean.rs`: whether all went well
//! - `workers.rs`: what workers did; `scaling.rs`: how many there were
//! - `clock.rs`: the clock of ages and backoffs; `units.rs`: how ages and numbers are printed

pub(crate) mod blockers;
mod clean;
pub(crate) mod clock;
pub(crate) mod inspect;
pub(crate) mod scaling;
pub(crate) mod snapshot;
pub(crate) mod units;
pub(crate) mod workers;
