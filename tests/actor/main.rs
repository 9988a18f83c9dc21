//! `QueueActor`, its messages, and items by pull and by push: the contract's part A.
#![allow(clippy::unwrap_used, reason = "in helpers too")]

mod ask;
mod pull;
mod pull_failures;
mod pull_unwinding;
mod push;
mod push_addresses;
mod push_failures;
mod push_in_place;
mod push_turns;
mod queue_actor;
mod queue_actor_end;
mod queue_actor_puts;
mod refusals;
mod supervision;
mod watch;
