//! Operations that wait: for an item, for room, or for the end.
//!
//! - `waiters.rs`: a line of parked wakers
//! - `lines.rs`: the lines of a queue, and an operation's place in one
//! - `wait.rs`: how an operation waits, leaves, and is notified
//! - `turns.rs`: the waiting puts of one handle, which take turns

pub(crate) mod lines;
pub(crate) mod turns;
pub(crate) mod wait;
pub(crate) mod waiters;
