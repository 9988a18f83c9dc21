//! Programs: where they are, their signals, and an end for those that hang.

use std::env;
use std::process::{Child, Command, Output, Stdio};
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

/// Kills a child that hangs, unless it is dropped before. The test that waits for the child then finds that it failed.
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

/// A program that runs, and is killed if it hangs.
#[derive(Debug)]
pub struct Running {
    child: Child,
    _watchdog: Watchdog,
}

impl Running {
    /// Starts a program whose output is kept.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let child = child.expect("it can be started");
        Self { _watchdog: watchdog(&child), child }
    }

    /// Returns its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn end(self) -> Output {
        self.child.wait_with_output().expect("it is a child")
    }

    /// Waits for its end, and returns what it printed. It must have ended by itself, and well.
    #[track_caller]
    pub fn success(self) -> String {
        let output = self.end();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).expect("plain text")
    }
}
