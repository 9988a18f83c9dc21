//! Items that consumers hold.
//!
//! - `item.rs`: the lease, and what leases share with their consumer
//! - `batch.rs`: several leases
//! - `settle.rs`: how a lease ends; `verdict.rs`, `verdicts.rs`: what a function says of that, and of a batch
//! - `dead_letters.rs`: items that are given up; `kept_letters.rs`: those that no reader has asked for; `history.rs`: what
//!   items failed of before
//! - `ask.rs`: items that are asked for an answer
//! - `hold_back.rs`: leases that a worker's panic or a timeout dropped, until they can be told why

pub(crate) mod ask;
pub(crate) mod batch;
pub(crate) mod dead_letters;
mod history;
pub(crate) mod hold_back;
pub(crate) mod item;
pub(crate) mod kept_letters;
mod settle;
pub(crate) mod verdict;
pub(crate) mod verdicts;
