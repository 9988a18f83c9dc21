//! Programs: where they are, their signals, and an end for those that hang.

use std::env;
use std::process::{Child, Command};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;

use crate::PATIENCE;

/// `cargo test` builds the examples beside the tests: `target/debug/examples`, `target/debug/deps`.
pub fn example(name: &str) -> Command {
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
pub fn signal(id: u32, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &id.to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()));
}

/// Until it is dropped, a child that hangs is killed. Whoever waits for it then finds that it failed.
#[derive(Debug)]
pub struct Watchdog {
    _alive: Sender<()>,
}

/// Kills the child if it has not ended when [`PATIENCE`] is over.
pub fn watchdog(child: &Child) -> Watchdog {
    let id = child.id();
    let (alive, ended) = channel();
    thread::spawn(move || {
        if ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            signal(id, "KILL");
        }
    });
    Watchdog { _alive: alive }
}
