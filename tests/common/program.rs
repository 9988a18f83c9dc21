//! Example programs, as programs.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::env;
use std::process::{Child, Command};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// `cargo test` builds the examples beside the tests: `target/debug/examples`, `target/debug/deps`.
pub(crate) fn example(name: &str) -> Command {
    let test = env::current_exe().expect("a test has a program");
    let profile = test.ancestors().nth(2).expect("it is in target/PROFILE/deps");
    let program = profile.join("examples").join(format!("{name}{}", env::consts::EXE_SUFFIX));
    assert!(
        program.exists(),
        "{} is missing: a plain `cargo test` builds it, or run `cargo build --example {name}`",
        program.display()
    );
    Command::new(program)
}

/// Sends a signal: `INT`, `TERM`, `KILL`.
pub(crate) fn signal(id: u32, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &id.to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()));
}

/// Waits for something. The time is only for hangs: no verdict rests on it.
#[track_caller]
pub(crate) fn eventually(what: &str, mut reached: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !reached() {
        assert!(begin.elapsed() < Duration::from_secs(60), "waited 60 s until {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Until it is dropped, a child that hangs is killed. Whoever waits for it then finds that it failed.
pub(crate) struct Watchdog(#[expect(dead_code, reason = "it is dropped")] Sender<()>);

pub(crate) fn watchdog(child: &Child) -> Watchdog {
    let id = child.id();
    let (alive, ended) = channel();
    thread::spawn(move || {
        if ended.recv_timeout(Duration::from_secs(120)) == Err(RecvTimeoutError::Timeout) {
            signal(id, "KILL");
        }
    });
    Watchdog(alive)
}
