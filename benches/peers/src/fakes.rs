//! Contenders that go wrong in every way, and what the report says of them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::bail;

use crate::numbers::Seen;
use crate::plot;
use crate::report::{Line, Theme};
use crate::rounds::{Contender, Course, Measured, NS_PER_ITEM, Row};
use crate::table;
use crate::trial::Failure;

const ITEMS: usize = 1_000_000;

/// Delivers these items.
fn deliver(items: impl Iterator<Item = u64>) -> Measured {
    let mut seen = Seen::default();
    items.for_each(|item| seen.note(item));
    seen.check_in_order(ITEMS)?;
    Ok(vec![1.0])
}

fn all() -> impl Iterator<Item = u64> {
    0..ITEMS as u64
}

fn sound() -> Contender {
    Contender::new("sound", || deliver(all()))
}

/// Loses four items in its first run, five in its second, and then none.
fn loses() -> Contender {
    let runs = AtomicUsize::new(0);
    Contender::new("loses", move || match runs.fetch_add(1, SeqCst) {
        0 => deliver(all().skip(4)),
        1 => deliver(all().skip(5)),
        _ => deliver(all()),
    })
}

fn theme(ours: Contender, peers: Vec<Contender>) -> Theme {
    let row = Row { name: "a row".into(), figures: &NS_PER_ITEM, ours: vec![ours], peers };
    Theme { name: "fakes", about: "what goes wrong", lines: row.run(3), targets: Vec::new() }
}

fn failures(line: &Line, peer: &str) -> Vec<Failure> {
    line.opponent(peer).map(|opponent| opponent.runs.failures.clone()).unwrap_or_default()
}

#[test]
fn a_peer_that_loses_items_has_the_figures_of_its_other_runs() {
    let theme = theme(sound(), vec![loses(), sound()]);
    let of = ITEMS as u64;
    assert_eq!(failures(&theme.lines[0], "loses"), [Failure::Lost { items: 4, of }, Failure::Lost { items: 5, of }]);
    assert_eq!(theme.lines[0].against("loses"), Some(1.0));
    let text = table::text(&theme);
    assert!(text.contains("1.00 x (1.00-1.00), lost 5 of 1,000,000 |"), "{text}");
    assert!(
        text.contains("went wrong: a row, loses: lost 4 of 1,000,000; lost 5 of 1,000,000; in 2 of 4 runs"),
        "{text}"
    );
    assert_eq!(theme.defects(), [""; 0]);
}

#[test]
fn what_else_goes_wrong_with_a_peer_ends_nothing_else() {
    let peers = vec![
        Contender::new("repeats", || deliver(all().chain([0, 1]))),
        Contender::new("mixes", || deliver(all().map(|item| item.max(1)))),
        Contender::new("reorders", || deliver([1, 0].into_iter().chain(all().skip(2)))),
        Contender::new("panics", || panic!("at once")),
        Contender::new("fails", || bail!("refused")),
        Contender::new("is missing", || Err(Failure::missing("a program").into())),
        Contender::new("measures too little", || Ok(Vec::new())),
        sound(),
    ];
    let theme = theme(sound(), peers);
    let text = table::text(&theme) + "\n";
    for (name, short, long, runs) in [
        ("repeats", "delivered 2 of 1,000,000 twice", "delivered 2 of 1,000,000 twice", "; in 4 of 4 runs"),
        (
            "mixes",
            "delivered 1,000,000 items, but not",
            "delivered 1,000,000 items, but not those that went in",
            "; in 4 of 4 runs",
        ),
        (
            "reorders",
            "delivered 1 of 1,000,000 out of order",
            "delivered 1 of 1,000,000 out of order",
            "; in 4 of 4 runs",
        ),
        ("panics", "panicked", "panicked: at once", ""),
        ("fails", "failed", "failed: refused", ""),
        ("is missing", "missing", "missing: a program", ""),
        ("measures too little", "failed", "failed: it measured 0 values", ""),
    ] {
        assert!(text.contains(&format!(" {short}")), "{text}");
        assert!(text.contains(&format!("went wrong: a row, {name}: {long}{runs}\n")), "{name}: {text}");
        assert_eq!(theme.lines[0].against(name), None);
    }
    assert_eq!(theme.lines[0].against("sound"), Some(1.0));
    assert_eq!(theme.lines[0].best_opponent(), Some(("sound", 1.0)));
    assert_eq!(theme.defects(), [""; 0]);
}

#[test]
fn a_peer_that_hangs_is_left_behind() {
    let (hold, held) = channel::<()>();
    let held = Mutex::new(held);
    let hangs = Contender::new("hangs", move || {
        held.lock().map(|held| held.recv()).ok();
        Ok(vec![1.0])
    });
    let quick = |name| Contender::new(name, || Ok(vec![1.0]));
    let row = Row { name: "a row".into(), figures: &NS_PER_ITEM, ours: vec![quick("")], peers: vec![hangs] };
    // Much more than the other one needs.
    let mut course = Course::new(row, Duration::from_secs(3));
    course.warm_up();
    course.run(0);
    let lines = course.lines();
    assert_eq!(failures(&lines[0], "hangs"), [Failure::Hung { seconds: 3 }]);
    assert!(lines[0].median().is_some());
    drop(hold);
}

#[test]
fn what_goes_wrong_with_ours_is_a_defect() {
    let theme = theme(loses(), vec![sound()]);
    assert_eq!(
        theme.defects(),
        ["fakes: a row, loses, ours: lost 4 of 1,000,000; lost 5 of 1,000,000; in 2 of 4 runs"]
    );
    assert!(table::text(&theme).contains("1.00 ns/item, lost 5 of 1,000,000 |"));
}

#[test]
fn that_something_is_not_installed_is_no_defect() {
    let ours = Contender::new("", || Err(Failure::missing("a server").into()));
    let theme = theme(ours, vec![sound()]);
    assert_eq!(theme.defects(), [""; 0]);
    // There is nothing to compare with, but a figure.
    assert!(table::text(&theme).contains("| missing | 1.00 ns/item |"));
    assert!(table::text(&theme).contains("went wrong: a row, ours: missing: a server"));
}

#[test]
fn the_file_of_figures_says_it_too() -> anyhow::Result<()> {
    let theme = serde_json::to_value(theme(sound(), vec![loses()]))?;
    let runs = &theme["lines"][0]["opponents"][0]["runs"];
    assert_eq!(runs["made"], 4);
    assert_eq!(runs["failures"][0], serde_json::json!({ "kind": "lost", "items": 4, "of": 1_000_000 }));
    Ok(())
}

#[test]
fn a_plot_says_it_too_and_needs_no_figures() {
    let dead = || Contender::new("panics", || panic!("0 < 1 & more"));
    let picture = plot::draw(&theme(sound(), vec![sound(), loses(), dead()])).map(|picture| picture.to_string());
    let picture = picture.unwrap_or_default();
    for said in ["loses: lost 4 of 1,000,000", "panics: panicked: 0 &lt; 1 &amp; more", "1.00 ns/item"] {
        assert!(picture.contains(said), "{said}: {picture}");
    }
    assert!(plot::draw(&theme(dead(), vec![dead()])).is_none());
    assert!(plot::draw(&theme(dead(), vec![sound()])).is_none());
}
