//! The run as a program.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "in helpers too")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Output, Stdio};

use harness::{signal, watchdog};

fn pool(args: &str) -> Output {
    let mut pool = Command::new(env!("CARGO_BIN_EXE_pool"));
    let child = pool.args(args.split(' ')).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _watchdog = watchdog(&child);
    child.wait_with_output().unwrap()
}

/// The lines of the summary, and the first number of each.
fn summary(output: &Output) -> (Vec<String>, Vec<u64>) {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let lines = Vec::from_iter(text.lines().skip(1).map(str::to_owned));
    let numbers = lines.iter().map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect();
    (lines, numbers)
}

const RIGHT: &str = "0 lost, 0 handled twice after an ack, 0 ended otherwise than foretold";

#[test]
fn d3_every_item_arrives_although_workers_crash() {
    let output = pool("--items 4000 --panic-percent 5");
    let (lines, numbers) = summary(&output);
    assert!(lines[0].starts_with("4000 put = "), "{lines:?}");
    assert_eq!(lines[1], RIGHT);
    assert!(numbers[2] > 0, "none crashed: {lines:?}");
    assert!(output.stderr.is_empty(), "planned crashes are silent: {output:?}");
}

#[test]
fn d3_what_always_crashes_is_a_dead_letter() {
    let (lines, numbers) = summary(&pool("--items 300 --panic-percent 100"));
    assert_eq!(lines[0], "300 put = 0 acked + 300 dead-lettered, 0 left over");
    assert_eq!((&*lines[1], numbers[2]), (RIGHT, 5 * 300));
}

#[test]
fn d2_without_crashes_every_item_comes_once() {
    let (lines, numbers) = summary(&pool("--items 3000 --panic-percent 0"));
    assert_eq!(lines[0], "3000 put = 3000 acked + 0 dead-lettered, 0 left over");
    assert_eq!((&*lines[1], numbers[2]), (RIGHT, 0));
}

#[test]
fn a_seed_crashes_the_same_attempts_whatever_the_workers() {
    let run = |args: &str| {
        let (lines, numbers) = summary(&pool(&format!("--items 2000 --panic-percent 33.3 {args}")));
        (lines[0].clone(), numbers[2])
    };
    assert_eq!(run("--seed 7 --workers 1"), run("--seed 7 --workers 5"));
    assert_ne!(run("--seed 7"), run("--seed 8"));
}

#[test]
fn ctrl_c_ends_it_in_order() {
    // So many that there is more to put when the signal comes.
    let mut child =
        Command::new(env!("CARGO_BIN_EXE_pool")).args(["--items", "20000000"]).stdout(Stdio::piped()).spawn().unwrap();
    let _watchdog = watchdog(&child);
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    stdout.read_line(&mut text).unwrap();
    signal(child.id(), "INT");
    stdout.read_to_string(&mut text).unwrap();
    let output = Output { status: child.wait().unwrap(), stdout: text.into_bytes(), stderr: Vec::new() };
    let (lines, numbers) = summary(&output);
    assert!(numbers[0] < 20_000_000, "{lines:?}");
    assert!(lines[0].ends_with(", 0 left over"), "{lines:?}");
    assert_eq!(lines[1], RIGHT);
}

#[test]
fn misuse_is_explained() {
    for args in ["--panic-percent=101", "--panic-percent=-1", "--panic-percent=NaN", "--workers=0", "--items=some"] {
        assert_eq!(pool(args).status.code(), Some(2), "{args}");
    }
}
