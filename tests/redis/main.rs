//! The feature `redis`: what it promises, on servers that the tests start, kill, freeze and replace.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "in helpers too")]

mod bridge;
mod cluster;
mod faults;
mod flush;
mod kept_letters;
mod letters;
mod network;
mod operations;
mod processes;
mod roles;
mod sentinel;
mod server;
mod tls;
mod unreadable;

/// Does nothing by itself: `fleet` runs this program once more for each process of a fleet.
#[test]
fn a_process_of_a_fleet() {
    fleet::process::run_as_told();
}
