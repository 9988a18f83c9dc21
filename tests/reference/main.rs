//! The public API against a specification: random programs happen to a queue and to a naive model of
//! it (`model/`, which says what the contract says, one call at a time), and after each
//! step the two are compared. A program that fails shrinks to a short one, and is printed step by step.
//!
//! `PROPTEST_CASES=100000 cargo test --release -p reference` runs more of them.

mod asks;
mod batches;
mod check;
mod ends;
mod letters;
mod model;
mod operation;
mod parts;
mod puts;
mod takes;
mod world;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// How many programs run unless the environment says otherwise.
const CASES: u32 = 1000;

#[test]
fn every_program_does_what_the_specification_says() {
    let given = std::env::var_os("PROPTEST_CASES").is_some();
    let default = ProptestConfig { failure_persistence: None, max_shrink_iters: 20_000, ..ProptestConfig::default() };
    let config = if given { default } else { ProptestConfig { cases: CASES, ..default } };
    let outcome = TestRunner::new(config).run(&operation::program(), |program| {
        world::run(&program);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
