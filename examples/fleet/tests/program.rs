//! The example, run as a program.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "in helpers too")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use harness::{Running, eventually, signal};
use support::redis_server::Server;
use tempfile::{TempDir, tempdir};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_fleet"))
}

/// A Redis, and a folder for traces.
struct Fleet {
    server: Server,
    folder: TempDir,
}

impl Fleet {
    fn new() -> Self {
        Self { server: Server::start(), folder: tempdir().unwrap() }
    }

    /// With a queue that workers can join.
    fn with_queue() -> Self {
        let fleet = Self::new();
        fleet.start("feed", &["--items", "0", "--keep-open"]).success();
        fleet
    }

    fn start(&self, role: &str, args: &[&str]) -> Running {
        let queue = ["--redis", &self.server.url(), "--lease-ms", "1000"];
        Running::start(program().arg(role).args(queue).args(args))
    }

    fn trace(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Some at a time, each for longer than an ack takes to Redis: what is acked too early is lost with the worker.
    fn worker(&self, name: &str) -> Running {
        let worker = self.early_worker(name);
        joined(&self.server, &worker);
        worker
    }

    /// One that need not have found a queue.
    fn early_worker(&self, name: &str) -> Running {
        let trace = self.trace(name);
        self.start("work", &["--workers", "8", "--work-us", "10000", "--trace", trace.to_str().unwrap()])
    }

    fn look(&self) -> Output {
        self.start("status", &["--once"]).end()
    }

    fn audit(&self, items: &str, names: &[&str]) -> Output {
        let names = names.iter().map(|name| self.trace(name));
        Running::start(program().args(["audit", "--items", items]).args(names)).end()
    }
}

/// Waits until the queue knows of a process: only then is it certain that the others do not end without it.
fn joined(server: &Server, process: &Running) {
    let name = format!(":{} ", process.id());
    eventually("it has joined", || {
        let look = Running::start(program().args(["status", "--once", "--redis", &server.url()]));
        String::from_utf8_lossy(&look.end().stdout).contains(&name)
    });
}

fn lines(file: &Path) -> usize {
    fs::read_to_string(file).map_or(0, |text| text.lines().count())
}

fn last_line(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap().lines().last().unwrap_or_default().to_owned()
}

#[test]
fn all_end_by_themselves_and_nothing_is_lost_when_a_worker_is_killed() {
    let fleet = Fleet::with_queue();
    let (victim, heir) = (fleet.worker("victim"), fleet.worker("heir"));
    let (status, feed) = (fleet.start("status", &[]), fleet.start("feed", &["--items", "2000"]));
    eventually("the victim is in the middle of it", || lines(&fleet.trace("victim")) >= 100);
    signal(victim.id(), "KILL");
    assert_eq!(victim.end().status.code(), None, "it ended before it was killed");

    let feed = feed.success();
    assert!(feed.contains("2000 put; Complete: 2000 put, 2000 done, 0 dead letters"), "{feed}");
    let done = heir.success();
    assert!(done.starts_with(&format!("{} done; Complete", lines(&fleet.trace("heir")))), "{done}");
    let status = status.success();
    assert!(status.contains("fleet is drained: 0 wait, 0 in flight"), "{status}");
    assert!(status.contains("it has ended: everything is done"), "{status}");
    let audit = fleet.audit("2000", &["victim", "heir"]);
    assert!(last_line(&audit).starts_with("2000 put, 0 lost, 0 from nowhere, "), "{audit:?}");
    assert_eq!(audit.status.code(), Some(0));
}

#[test]
fn a_worker_that_is_told_to_leave_gives_back_what_it_has_not_done() {
    let fleet = Fleet::with_queue();
    let (leaver, heir) = (fleet.worker("leaver"), fleet.worker("heir"));
    let feed = fleet.start("feed", &["--items", "2000"]);
    eventually("the leaver is in the middle of it", || lines(&fleet.trace("leaver")) >= 100);
    signal(leaver.id(), "TERM");

    let left = leaver.success();
    assert!(left.starts_with(&format!("{} done; Left", lines(&fleet.trace("leaver")))), "{left}");
    feed.success();
    heir.success();
    let audit = fleet.audit("2000", &["leaver", "heir"]);
    assert_eq!(last_line(&audit), "2000 put, 0 lost, 0 from nowhere, 0 done again");
}

#[test]
fn workers_that_come_first_wait_and_of_several_feeds_the_last_one_ends_it() {
    let fleet = Fleet::new();
    let workers = ["one", "two", "three"].map(|name| fleet.early_worker(name));
    eventually("they look for a queue", || fleet.server.info("cmdstat_get") > 6);
    assert_eq!(fleet.look().status.code(), Some(1), "they begin none");
    let feeds =
        ["0", "100", "200"].map(|first| fleet.start("feed", &["--items", "100", "--first", first, "--keep-open"]));
    for feed in feeds {
        let put = feed.success();
        assert!(put.starts_with("100 put and confirmed") && !put.contains("Complete"), "it waits for nothing: {put}");
    }
    workers.iter().for_each(|worker| joined(&fleet.server, worker));
    let last = fleet.start("feed", &["--items", "100", "--first", "300"]).success();
    assert!(
        last.contains("100 put; Complete: 400 put, 400 done, 0 dead letters, 0 redelivered, 0 producers lost"),
        "{last}"
    );
    workers.into_iter().for_each(|worker| drop(worker.success()));
    let audit = fleet.audit("400", &["one", "two", "three"]);
    assert_eq!(last_line(&audit), "400 put, 0 lost, 0 from nowhere, 0 done again");
}

#[test]
fn a_feed_that_comes_after_the_last_one_begins_the_next_queue_as_does_a_worker_after_the_end() {
    let fleet = Fleet::new();
    let first = fleet.start("feed", &["--items", "100"]);
    let says = |what: &str| eventually(what, || last_status(&fleet).contains(what));
    says("100 wait");
    says("the oldest was put ");
    let second = fleet.start("feed", &["--items", "100", "--first", "100"]);
    joined(&fleet.server, &second);
    let worker = fleet.worker("first");
    assert!(first.success().contains("100 put; Complete: 100 put, 100 done"));
    worker.success();
    let late = fleet.early_worker("second");
    let second = second.success();
    assert!(second.contains("100 put; Complete: 100 put, 100 done"), "{second}");
    late.success();
    let audit = fleet.audit("200", &["first", "second"]);
    assert_eq!(last_line(&audit), "200 put, 0 lost, 0 from nowhere, 0 done again");
}

#[test]
fn a_look_says_that_there_is_no_queue_or_how_it_has_ended() {
    let fleet = Fleet::new();
    let none = fleet.look();
    assert_eq!(
        (none.status.code(), &*last_line(&none)),
        (Some(1), "there is no queue fleet in this Redis: no feed has begun it")
    );
    fleet.start("feed", &["--items", "0"]).success();
    for _ in 0..2 {
        // Not only by one who has seen it open.
        let ended = fleet.start("status", &[]).success();
        assert!(ended.contains("fleet is drained") && ended.contains("it has ended: everything is done"), "{ended}");
    }
}

fn last_status(fleet: &Fleet) -> String {
    String::from_utf8(fleet.look().stdout).unwrap()
}

#[test]
fn the_audit_tells_what_was_lost_done_again_or_from_nowhere() {
    let fleet = Fleet::new();
    for (trace, items, verdict, code) in [
        ("0\n1\n2\n", "3", "3 put, 0 lost, 0 from nowhere, 0 done again", 0),
        ("0\n2\n", "3", "3 put, 1 lost, 0 from nowhere, 0 done again", 1),
        ("0\n1\n2\n3\n", "3", "3 put, 0 lost, 1 from nowhere, 0 done again", 1),
        ("1\n0\n1\n2\n1\n", "3", "3 put, 0 lost, 0 from nowhere, 2 done again", 0),
    ] {
        fs::write(fleet.trace("trace"), trace).unwrap();
        let audit = fleet.audit(items, &["trace"]);
        assert_eq!((&*last_line(&audit), audit.status.code()), (verdict, Some(code)));
    }
}
