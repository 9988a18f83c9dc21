//! The run as a program.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "in helpers too")]

use std::process::{Command, Output, Stdio};

use harness::watchdog;

fn soak(args: &str) -> Output {
    let mut soak = Command::new(env!("CARGO_BIN_EXE_soak"));
    let child = soak.args(args.split(' ')).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _watchdog = watchdog(&child);
    child.wait_with_output().unwrap()
}

#[test]
fn some_rounds_of_everything_at_once_are_right() {
    let output = soak("--seed 1 --rounds 12 --threads 24");
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}{output:?}");
    assert!(text.starts_with("12 rounds, ") && text.lines().count() == 1, "{text}");
    let number = |what: &str| text.split(what).next()?.rsplit(' ').next()?.parse::<u64>().ok();
    for what in [" items", " asks", " batches", " workers added", " kills", " redeliveries"] {
        assert!(number(what).unwrap() > 0, "none of {what}: {text}");
    }
    assert!(output.stderr.is_empty(), "planned faults are silent: {output:?}");
}

#[test]
fn misuse_is_explained() {
    for args in ["--threads=1", "--seconds=some", "--seconds=0", "--rounds=0"] {
        assert_eq!(soak(args).status.code(), Some(2), "{args}");
    }
}
