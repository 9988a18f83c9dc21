//! The queue's own sources, built on shuttle's primitives.
//!
//! shuttle tries random schedules: as many of each model as `MODEL_SCHEDULES` says (1,000 by
//! default). A failure prints a schedule, and how to replay it.
// The unit tests and the examples within the sources run in the crate itself.
#![cfg(not(any(test, doctest)))]
#![forbid(unsafe_code)]
#![allow(dead_code, unused_imports, reason = "the models use a part of the sources")]

pub mod sync;

#[path = "../sources.rs"]
mod sources;

pub use sources::*;

/// Checks a model, or replays the schedule that `MODEL_REPLAY` names as a file.
pub fn check(model: fn()) {
    let schedules = std::env::var("MODEL_SCHEDULES")
        .map_or(1_000, |schedules| schedules.parse().expect("MODEL_SCHEDULES is a number"));
    let model = move || {
        sync::time::reset();
        fastrand::seed(shuttle::rand::RngCore::next_u64(&mut shuttle::rand::thread_rng()));
        model();
    };
    if let Ok(schedule) = std::env::var("MODEL_REPLAY") {
        return shuttle::replay_from_file(model, schedule);
    }
    let mut config = shuttle::Config::new();
    config.silence_warnings = true;
    // Half of them are drawn step by step, half with few changes of threads at random places.
    shuttle::Runner::new(shuttle::scheduler::RandomScheduler::new(schedules / 2), config.clone()).run(model);
    shuttle::Runner::new(shuttle::scheduler::PctScheduler::new(3, schedules - schedules / 2), config).run(model);
}
