//! Pools of workers: A6, and what a pool tells.
#![allow(clippy::unwrap_used, reason = "in helpers too")]

mod ask;
mod backoff;
mod batches;
mod end;
mod farewell;
mod functions;
mod gone;
mod handlers;
mod limit;
mod open_handlers;
mod orders;
mod pause;
mod poison;
mod refusals;
mod restarts;
mod scaling;
mod shrinks;
mod stuck;
mod system;
mod timeouts;
mod told;
mod wakers;
mod workers;
