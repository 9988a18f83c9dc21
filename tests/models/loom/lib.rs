//! The queue's own sources, built on loom's primitives. The models are in `../small.rs`.
//!
//! loom tries every schedule of a model, and every value that a load may see under the memory model,
//! with at most as many preemptions as `MODEL_PREEMPTIONS` says (2 by default; `all` means no bound).
// The unit tests and the examples within the sources run in the crate itself.
#![cfg(not(any(test, doctest)))]
#![forbid(unsafe_code)]
#![allow(dead_code, unused_imports, reason = "the models use a part of the sources")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

pub mod sync;

#[path = "../sources.rs"]
mod sources;

pub use sources::*;
use sync::atomic::{Fence, use_fences};

/// Checks a model, and says how many executions that took.
pub fn check(model: fn()) {
    for side in [Fence::Before, Fence::After] {
        use_fences(side);
        let mut builder = loom::model::Builder::new();
        builder.max_branches = 10_000;
        builder.preemption_bound = match std::env::var("MODEL_PREEMPTIONS").as_deref() {
            Ok("all") => None,
            Ok(bound) => Some(bound.parse().expect("MODEL_PREEMPTIONS is a number, or `all`")),
            Err(_) => Some(2),
        };
        let executions = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&executions);
        builder.check(move || {
            counted.fetch_add(1, Relaxed);
            model();
        });
        println!("fences {side:?}: {} executions", executions.load(Relaxed));
    }
}
