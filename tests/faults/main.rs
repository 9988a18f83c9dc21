//! Everything that can go wrong with actors, on purpose, while everybody works.
#![allow(clippy::unwrap_used, reason = "in helpers too")]

mod caught;
mod endings;
mod mailboxes;
mod moments;
mod panics;
mod queue_actor;
mod races;
mod sizes;
mod stops;
mod system;
mod unwinding;
