//! Items that consumers hold.
//!
//! - `item.rs`: the lease, and what leases share with their consumer
//! - `settle.rs`: how a lease ends; `verdict.rs`: what a function says of that
//! - `dead_letters.rs`: items that are given up
//! - `panic_capture.rs`: the message of a worker's panic, for the leases that it dropped

pub(crate) mod dead_letters;
pub(crate) mod item;
pub(crate) mod panic_capture;
mod settle;
pub(crate) mod verdict;
