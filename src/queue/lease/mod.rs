//! Items that consumers hold.
//!
//! - `item.rs`: the lease, and what leases share with their consumer
//! - `settle.rs`: how a lease ends; `verdict.rs`: what a function says of that
//! - `dead_letters.rs`: items that are given up
//! - `hold_back.rs`: leases that a worker's panic or a timeout dropped, until they can be told why

pub(crate) mod dead_letters;
pub(crate) mod hold_back;
pub(crate) mod item;
mod settle;
pub(crate) mod verdict;
