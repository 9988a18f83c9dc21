//! The light examples, run as programs. The others are packages, with tests of their own.

use std::collections::BTreeMap;

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
