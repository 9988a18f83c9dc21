//! Random plans for several threads that use every kind of endpoint at once. Each ends, and then the
//! account of every single item must add up: nothing lost, nothing twice, nothing from nowhere, nothing
//! out of order, and every consumer was told of the end.
//!
//! A plan is made from its seed, which a failure names. What threads do at the same time is chance all
//! the same, so a failure may need some tries:
//!
//! - `REFERENCE_PLANS=5000` runs the plans of the seeds 0 to 4999;
//! - `REFERENCE_SEED=7` runs the plan of that seed only, `REFERENCE_PLANS` times.

mod plan;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use support::within_watchdog;

/// How many plans run unless the environment says otherwise.
const PLANS: u64 = 200;

fn given(name: &str) -> Option<u64> {
    let number = std::env::var(name).ok()?;
    Some(number.parse().unwrap_or_else(|_| panic!("{name} is to be a number")))
}

#[test]
fn whatever_threads_do_every_item_comes_to_one_end_and_so_does_the_queue() {
    let seed = given("REFERENCE_SEED");
    for turn in 0..given("REFERENCE_PLANS").unwrap_or(PLANS) {
        let seed = seed.unwrap_or(turn);
        let run = catch_unwind(AssertUnwindSafe(|| within_watchdog(move || plan::run(seed))));
        if let Err(failure) = run {
            eprintln!("REFERENCE_SEED={seed} fails: {:?}", plan::Plan::new(seed));
            resume_unwind(failure);
        }
    }
}
