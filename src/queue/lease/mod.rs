//! Items that consumers hold.
//!
//! - `item.rs`: the lease, and the ways in which it ends
//! - `dead_letters.rs`: items that are given up
//! - `panic_capture.rs`: what a worker's panic said, for the items that died with it

pub(crate) mod dead_letters;
pub(crate) mod item;
pub(crate) mod panic_capture;
