//! The example over Redis, run as several programs.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "in helpers too")]

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use harness::{Running, eventually};
use support::redis_server::Server;
use tempfile::tempdir;

/// How many processes the queue knows.
fn processes(server: &Server) -> u64 {
    let generation = server.ask::<Option<String>>("GET {aiq3:checksum}").unwrap_or_default();
    server.ask(&format!("ZCARD {{aiq3:checksum}}:{generation}:procs"))
}

#[test]
fn machines_share_a_checksum_walk_and_one_of_them_is_given_the_paths() {
    let (server, folder) = (Server::start(), tempdir().unwrap());
    let mut wanted = BTreeSet::new();
    for number in 0..300 {
        let directory = folder.path().join(format!("{}/{}", number % 7, number % 5));
        fs::create_dir_all(&directory).unwrap();
        let file = directory.join(number.to_string());
        fs::write(&file, "").unwrap();
        wanted.insert(format!("{}  {}", EMPTY, file.display()));
    }
    let checksum = |args: &[&str]| {
        Running::start(Command::new(env!("CARGO_BIN_EXE_checksum")).args(["--redis", &server.url()]).args(args))
    };
    let helpers = [checksum(&[]), checksum(&[])];
    eventually("both have joined", || processes(&server) == 2);
    let printed = checksum(&[folder.path().to_str().unwrap()]).success();
    let printed = helpers.into_iter().fold(printed, |printed, helper| printed + &helper.success());
    let lines = Vec::from_iter(printed.lines().map(str::to_owned));
    assert_eq!(lines.len(), 300, "each file once");
    assert_eq!(BTreeSet::from_iter(lines), wanted);
}

/// SHA-256 of an empty file.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
