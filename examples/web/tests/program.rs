//! The run as a program and asked by plain HTTP.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "in helpers too")]

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use actix_iterable_queue::{Snapshot, State};
use harness::{Watchdog, signal, watchdog};
use serde_json::{Value, json};

struct Web {
    child: Service,
    _watchdog: Watchdog,
    address: String,
    stdout: BufReader<ChildStdout>,
    /// Read all the time, so that the program is not held up.
    stderr: JoinHandle<String>,
}

/// Not left running by a test that fails.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill(); // nothing to do once it was waited for
    }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

/// What the program said by its end.
struct End {
    code: Option<i32>,
    finished: BTreeSet<u64>,
    left: BTreeSet<u64>,
    summary: String,
    log: String,
}

impl Web {
    fn start(args: &[&str]) -> Self {
        let mut web = Command::new(env!("CARGO_BIN_EXE_web"));
        web.args(["--port", "0"]).args(args).env("RUST_LOG", "web=info").env("RUST_BACKTRACE", "0");
        let mut child = Service(web.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
        let watchdog = watchdog(&child.0);
        let mut errors = child.0.stderr.take().unwrap();
        let stderr = thread::spawn(move || {
            let mut text = String::new();
            errors.read_to_string(&mut text).unwrap();
            text
        });
        let mut stdout = BufReader::new(child.0.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on http://").expect(&line).to_owned();
        Self { child, _watchdog: watchdog, address, stdout, stderr }
    }

    fn terminate(&self) {
        signal(self.child.0.id(), "TERM");
    }

    fn end(mut self) -> End {
        let mut printed = String::new();
        self.stdout.read_to_string(&mut printed).unwrap();
        let code = self.child.0.wait().unwrap().code();
        let log = self.stderr.join().unwrap();
        let finished =
            ids(log.lines().filter_map(|line| Some(line.split_once("] job ")?.1.split_once(" finished")?.0)));
        let left = ids(printed.lines().filter_map(|line| line.strip_prefix("left over: job ")));
        End { code, finished, left, summary: printed.lines().last().unwrap_or_default().to_owned(), log }
    }
}

/// None may come twice.
fn ids<'a>(texts: impl Iterator<Item = &'a str>) -> BTreeSet<u64> {
    let mut ids = BTreeSet::new();
    for text in texts {
        assert!(ids.insert(text.parse().expect(text)), "job {text} twice");
    }
    ids
}

/// An error once the program has closed its port.
fn ask(address: &str, method: &str, path: &str, body: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: {length}\r\n");
    stream.write_all(format!("{head}content-type: application/json\r\n\r\n{body}").as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
    Ok(Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() })
}

/// The job's id if it was accepted.
fn post(address: &str, text: &str, millis: u64) -> io::Result<Result<u64, Answer>> {
    let answer = ask(address, "POST", "/jobs", &json!({ "text": text, "millis": millis }).to_string())?;
    if answer.status != 202 {
        assert_eq!(answer.status, 503, "{}", answer.head);
        return Ok(Err(answer));
    }
    let id = serde_json::from_str::<Value>(&answer.body).unwrap()["id"].as_u64().unwrap();
    assert!(answer.head.contains(&format!("location: /jobs/{id}")), "{}", answer.head);
    Ok(Ok(id))
}

fn state(address: &str, id: u64) -> Value {
    let answer = ask(address, "GET", &format!("/jobs/{id}"), "").unwrap();
    assert_eq!(answer.status, 200);
    serde_json::from_str(&answer.body).unwrap()
}

/// Posts until the service takes no more: the ids of the jobs that were answered 202.
fn client(address: &str, accepted: &Sender<()>) -> Vec<u64> {
    let mut ids = Vec::new();
    for round in 0.. {
        let text = if round % 20 == 7 { "panic" } else { "some words to count" };
        match post(address, text, round % 3) {
            Ok(Ok(id)) => {
                ids.push(id);
                let _ = accepted.send(()); // nobody may count any more
            }
            Ok(Err(full)) if full.head.contains("retry-after: ") => thread::yield_now(),
            Ok(Err(_)) | Err(_) => break,
        }
    }
    ids
}

/// Clients on several threads, and SIGTERM in the middle of it.
fn terminated_under_load(grace: &str) -> End {
    let web = Web::start(&["--grace", grace, "--capacity", "8", "--workers", "3"]);
    let (tell, accepted) = channel();
    let clients = Vec::from_iter((0..4).map(|_| {
        let (address, tell) = (web.address.clone(), tell.clone());
        thread::spawn(move || client(&address, &tell))
    }));
    drop(tell);
    assert_eq!(accepted.iter().take(150).count(), 150);
    web.terminate();
    let answered = Vec::from_iter(clients.into_iter().flat_map(|client| client.join().unwrap()));
    let end = web.end();

    let distinct = BTreeSet::from_iter(answered.iter().copied());
    assert_eq!(distinct.len(), answered.len(), "an id was given twice");
    assert!(end.finished.is_disjoint(&end.left), "both finished and left over:\n{}", end.log);
    let known = BTreeSet::from_iter(end.finished.union(&end.left).copied());
    assert!(distinct.is_subset(&known), "missing: {:?}\n{}", distinct.difference(&known), end.log);
    // An answer may have got lost on its way; a job may not.
    let jobs = if known.len() == 1 { "job" } else { "jobs" };
    let summary = format!("{} {jobs} accepted, {} left over", known.len(), end.left.len());
    assert_eq!((&end.summary, known.last()), (&summary, Some(&(known.len() as u64))));
    assert_eq!(end.code, Some(i32::from(!end.left.is_empty())));
    end
}

#[test]
fn with_enough_grace_all_that_was_accepted_is_finished() {
    let end = terminated_under_load("3600");
    assert_eq!((end.code, end.left.len()), (Some(0), 0));
    // Each client's eighth job, at least, crashed its worker until it became a dead letter.
    assert!(end.log.contains("(it panicked: this text brings bad luck)"), "{}", end.log);
}

#[test]
fn without_grace_all_that_was_accepted_is_finished_or_listed() {
    terminated_under_load("0");
}

#[test]
fn a_full_queue_says_when_to_come_back_and_what_is_not_done_in_time_is_listed() {
    let web = Web::start(&["--grace", "0", "--capacity", "3", "--workers", "2"]);
    let address = &*web.address;
    let an_hour = 3_600_000;
    // Two in hand and three that wait. The workers may take a moment to fetch theirs.
    let mut accepted = Vec::new();
    while accepted.len() < 5 {
        match post(address, "long work", an_hour).unwrap() {
            Ok(id) => accepted.push(id),
            Err(full) => assert!(full.head.contains("retry-after: 1"), "{}", full.head),
        }
    }
    let full = post(address, "one too many", 0).unwrap().unwrap_err();
    assert!(full.head.contains("retry-after: 1"), "{}", full.head);
    assert_eq!(accepted, [1, 2, 3, 4, 5]);
    assert_eq!(state(address, 5), json!({ "state": "queued" }));

    let answer = ask(address, "GET", "/status", "").unwrap();
    let snapshot: Snapshot = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((snapshot.state, snapshot.buffered, snapshot.leased), (State::Open, 3, 2));

    web.terminate();
    let end = web.end();
    assert_eq!((end.code, end.left), (Some(1), BTreeSet::from_iter(accepted)));
    assert_eq!(end.summary, "5 jobs accepted, 5 left over");
}

#[test]
fn jobs_can_be_asked_for() {
    let web = Web::start(&[]);
    let address = &*web.address;
    let [words, panics] = ["how many words are these", "panic"].map(|text| post(address, text, 0).unwrap());
    let (words, panics) = (words.ok().unwrap(), panics.ok().unwrap());
    let closed = |id| {
        let mut found = state(address, id);
        while matches!(found["state"].as_str().unwrap(), "queued" | "running") {
            thread::yield_now();
            found = state(address, id);
        }
        found
    };
    assert_eq!(closed(words), json!({ "state": "done", "words": 5 }));
    let failed = closed(panics);
    assert_eq!(failed["state"], "failed");
    assert!(failed["reason"].as_str().unwrap().ends_with("(it panicked: this text brings bad luck)"), "{failed}");

    let status = |method, path, body| ask(address, method, path, body).unwrap().status;
    assert_eq!(status("GET", "/jobs/99", ""), 404);
    assert_eq!(status("POST", "/jobs", "no json"), 400);
    web.terminate();
    assert_eq!(web.end().code, Some(0));
}
