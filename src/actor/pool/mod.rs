//! Supervised workers.
//!
//! - `builder.rs`: describes a pool; `batches.rs`: one whose workers are handed batches; `launch.rs`: starts it; `handle.rs`: what
//!   users hold of it
//! - `supervisor.rs`: replaces workers that die, with `worker_slot.rs` for each worker, `arbiters.rs` for their
//!   threads and `restart_policy.rs` for when
//! - `resize.rs`: how the supervisor changes the number of workers; `scaler.rs`: when it does so by itself;
//!   `worker_count.rs`: within which bounds
//! - `function.rs`: workers that are functions
//! - `worker.rs`: one worker; `time_limit.rs`: how long its handlers' futures may take; `exit.rs`: how the supervisor hears of
//!   its end
//! - `roster.rs`: what handles and the supervisor share

mod arbiters;
mod batches;
mod builder;
mod exit;
mod function;
mod handle;
mod launch;
mod resize;
mod restart_policy;
mod roster;
mod scaler;
mod supervisor;
mod time_limit;
mod worker;
mod worker_count;
mod worker_slot;

pub use self::batches::BatchPoolBuilder;
pub use self::builder::WorkerPoolBuilder;
pub use self::handle::WorkerPool;
pub use self::worker_count::WorkerCount;
