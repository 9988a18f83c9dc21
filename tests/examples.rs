//! The light examples, run as programs. The others are packages, with tests of their own.

use std::collections::BTreeMap;
use std::fs;
#[cfg(unix)]
use std::io::{BufRead, BufReader};
use std::path::Path;
#[cfg(unix)]
use std::process::{Child, Stdio};
use std::process::{Command, Output};

use tempfile::TempDir;

/// Runs an example that `cargo test` has built, and returns its lines.
fn lines_of(example: &str) -> Vec<String> {
    let output = harness::example(example).output().expect("it can be run");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("plain text").lines().map(str::to_owned).collect()
}

/// 17 producers put their id ten times each, and every line is `consumer C saw item P`.
fn assert_everything_arrived(lines: &[String]) {
    let mut seen = BTreeMap::new();
    for line in lines {
        let words: Vec<_> = line.split(' ').collect();
        let ["consumer", consumer, "saw", "item", producer] = words[..] else { panic!("{line}") };
        assert!(consumer.parse::<usize>().is_ok_and(|consumer| consumer < 13), "{line}");
        *seen.entry(producer.parse::<usize>().expect(line)).or_insert(0) += 1;
    }
    assert_eq!(seen, (0..17).map(|producer| (producer, 10)).collect());
}

#[test]
fn c5_the_python_original_s_program_ends_by_itself() {
    harness::within_watchdog(|| assert_everything_arrived(&lines_of("iterable_queue")));
}

#[test]
fn c5_the_same_with_actors_ends_by_itself() {
    harness::within_watchdog(|| assert_everything_arrived(&lines_of("actors")));
}

/// Returns the mailer, which has its files in the directory.
fn mailer(directory: &TempDir) -> Command {
    let mut mailer = harness::example("mailer");
    mailer.current_dir(directory.path()).env_remove("RUST_LOG");
    mailer
}

/// Runs it to its end.
fn run(mailer: &mut Command) -> Output {
    harness::Running::start(mailer).end()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("plain text")
}

/// The mails in a file of the mailer, sorted.
fn mails_in(directory: &TempDir, file: &str) -> Vec<String> {
    let text = fs::read_to_string(directory.path().join(file)).expect("it was written");
    let mut mails: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    mails.sort();
    mails
}

/// The mails that the mailer printed as sent.
fn sent(lines: &str) -> Vec<String> {
    let sent = lines.lines().filter_map(|line| line.strip_prefix("sent to ")?.split_once(" at attempt "));
    sent.map(|(address, rest)| format!("{address}\t{}", rest.split_once(": ").expect("attempt and text").1)).collect()
}

/// Mails to all kinds of servers, in the file `mails`, sorted.
#[cfg(unix)]
fn many_mails(directory: &TempDir) -> Vec<String> {
    let servers = ["mail", "busy", "flaky", "slow", "gone", "down"].iter().cycle();
    let mails: Vec<_> =
        servers.zip(100..400).map(|(server, number)| format!("m{number}@{server}.example\tHello!")).collect();
    fs::write(directory.path().join("mails"), mails.join("\n")).expect("a directory to write to");
    mails
}

/// Starts the mailer with the file `mails`, and waits until it has sent the first one.
#[cfg(unix)]
fn mailer_at_work(directory: &TempDir) -> (Child, harness::Watchdog, BufReader<std::process::ChildStdout>, String) {
    let mailer = mailer(directory).arg("mails").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = mailer.expect("it can be started");
    let watchdog = harness::watchdog(&child);
    let mut lines = BufReader::new(child.stdout.take().expect("piped"));
    let mut first = String::new();
    lines.read_line(&mut first).expect("plain text");
    assert!(first.starts_with("sent to "), "{first}");
    (child, watchdog, lines, first)
}

#[test]
fn d3_the_mailer_tries_again_and_writes_down_what_it_gave_up_and_why() {
    let directory = TempDir::new().expect("a directory");
    let output = run(&mut mailer(&directory));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let lines = text(output.stdout);
    assert_eq!(lines.lines().last(), Some("7 to send: 5 sent, 2 given up, 0 left"));
    let mut sent = sent(&lines);
    sent.sort();
    let expected = [
        "anna@mail.example\tThe report is ready.",
        "bert@busy.example\tLunch at noon?",
        "cleo@flaky.example\tYour order is on its way.",
        "dora@slow.example\tWelcome!",
        "gina@mail.example\tSee you tomorrow.",
    ];
    assert_eq!(sent, expected);
    for retried in ["bert@busy.example", "cleo@flaky.example", "dora@slow.example"] {
        assert!(!lines.contains(&format!("{retried} at attempt 1:")), "{lines}");
    }
    let complaint = "mails (queue-1): Complete; of 7 items 5 acked, 0 taken, 2 dead-lettered, 0 discarded\n";
    assert!(text(output.stderr).ends_with(complaint));

    let failed = fs::read_to_string(directory.path().join("mails.failed")).expect("it was written");
    assert_eq!(failed.lines().count(), 4, "{failed}");
    for letter in [
        ": 550 no such mailbox\nemma@gone.example\tDo you still read this?\n",
        " at attempt 3: attempts used up (it failed: connection refused)\nfred@down.example\tIs your server up?\n",
    ] {
        assert!(failed.contains(letter), "{failed}");
    }
    assert!(mails_in(&directory, "mails.left").is_empty());
}

#[test]
fn the_mailer_succeeds_if_all_mails_were_sent() {
    let directory = TempDir::new().expect("a directory");
    fs::write(directory.path().join("mails"), "# to one\n\nanna@mail.example\tHello!\n").expect("it can be written");
    let output = run(mailer(&directory).arg("mails"));
    assert!(output.status.success(), "{output:?}");
    assert!(text(output.stdout).ends_with("\n1 to send: 1 sent, 0 given up, 0 left\n"));
}

#[cfg(unix)]
#[test]
fn d8_after_a_signal_the_mailer_leaves_the_rest_to_its_next_run() {
    let directory = TempDir::new().expect("a directory");
    let mails = many_mails(&directory);
    let (mut child, _watchdog, rest, mut lines) = mailer_at_work(&directory);
    harness::signal(child.id(), "INT");
    rest.lines().for_each(|line| lines += &(line.expect("plain text") + "\n"));
    // It gives mails up, or leaves them.
    assert_eq!(child.wait().expect("it is our child").code(), Some(1));

    let (left, given_up) = (mails_in(&directory, "mails.left"), mails_in(&directory, "mails.failed"));
    let mut all = [sent(&lines), left.clone(), given_up.clone()].concat();
    let counts = format!("300 to send: {} sent, {} given up, {} left", sent(&lines).len(), given_up.len(), left.len());
    assert_eq!(lines.lines().last(), Some(&*counts));
    all.sort();
    let mut expected = mails.clone();
    expected.sort();
    assert_eq!(all, expected);

    // Without a file, it goes on. If there is nothing left, it sends its samples.
    if !left.is_empty() {
        lines += &text(run(&mut mailer(&directory)).stdout);
    }
    let mut all = [sent(&lines), mails_in(&directory, "mails.failed")].concat();
    all.sort();
    assert_eq!(all, expected);
    assert!(mails_in(&directory, "mails.left").is_empty());
}

#[cfg(unix)]
#[test]
fn a_mailer_that_is_killed_loses_no_mail() {
    let directory = TempDir::new().expect("a directory");
    let mut mails = many_mails(&directory);
    let (mut child, _watchdog, _lines, _) = mailer_at_work(&directory);
    harness::signal(child.id(), "KILL");
    assert!(!child.wait().expect("it is our child").success());
    mails.sort();
    assert_eq!(mails_in(&directory, "mails.left"), mails);

    let lines = text(run(&mut mailer(&directory)).stdout);
    assert_eq!(lines.lines().last(), Some("300 to send: 200 sent, 100 given up, 0 left"));
    let mut given_up = mails_in(&directory, "mails.failed");
    given_up.dedup(); // some may be from before
    let mut all = [sent(&lines), given_up].concat();
    all.sort();
    assert_eq!(all, mails);
}

#[test]
fn the_mailer_begins_nothing_that_it_could_not_write_down() {
    for file in ["mails.failed", "mails.new"] {
        let directory = TempDir::new().expect("a directory");
        fs::create_dir(directory.path().join(file)).expect("a directory to write to");
        let output = run(&mut mailer(&directory));
        assert_eq!((output.status.code(), &*output.stdout), (Some(1), &b""[..]));
    }
}

#[test]
fn the_guide_shows_the_mailer_as_it_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let [example, page] = ["examples/mailer.rs", "docs/guide/src/cookbook/mailer.md"]
        .map(|file| fs::read_to_string(root.join(file)).expect("it is in the repository"));
    let code = example.split_once("\n\n").expect("a line between header and code").1;
    assert!(page.contains(&format!("```rust,no_run\n{code}```\n")), "copy the code of examples/mailer.rs to the guide");
}
