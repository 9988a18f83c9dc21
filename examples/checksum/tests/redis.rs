//! The example over Redis, run as several programs.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "in helpers too")]

use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Command, Stdio};

use harness::{Watchdog, eventually, watchdog};
use support::redis_server::Server;
use tempfile::tempdir;

/// A program that runs, and is killed if it hangs.
struct Running {
    child: Child,
    _watchdog: Watchdog,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Self { _watchdog: watchdog(&child), child }
    }

    /// What it printed. It must have ended by itself, and well.
    #[track_caller]
    fn success(self) -> String {
        let output = self.child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

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
