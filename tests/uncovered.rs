//! Not a test: says at the end of `cargo test` what that did not cover, and which commands do.

use std::env;

const BEYOND: &str = "  the examples that are packages, the guide, the reference model, Redis and its faults:
      cargo test --workspace --features redis     (needs redis-server on PATH)";

const ALWAYS: &str = "  the tests of the queue, its actors and its pools, over Redis:
      QUEUE_BACKEND=redis cargo test -p tests --features redis
  the models of its concurrency, with more schedules:
      MODEL_PREEMPTIONS=3 MODEL_SCHEDULES=100000 cargo test --release -p models-loom -p models-shuttle";

fn main() {
    // With arguments, somebody looks for certain tests.
    if env::args().len() > 1 || env::var_os("QUEUE_BACKEND").is_some() {
        return;
    }
    println!("\nNot covered by this command:");
    // `--workspace` enables the feature.
    if cfg!(not(feature = "redis")) {
        println!("{BEYOND}");
    }
    println!("{ALWAYS}");
}
