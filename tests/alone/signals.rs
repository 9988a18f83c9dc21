//! `shutdown_on_signal`: the orderly end by SIGINT and SIGTERM.
//!
//! Signals are for whole processes, so each test runs this binary again, as the process that gets
//! them, and talks with it by lines.
#![cfg(unix)]

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_iterable_queue::error::{PutError, Refusal, TryPutError};
use actix_iterable_queue::prelude::*;
use actix_iterable_queue::report::ShutdownReport;
use actix_rt::signal::unix::{SignalKind, signal};
use futures::poll;
use support::actors::until;
use support::within_watchdog;

const CASE: &str = "SIGNALS_TEST_CASE";
const LONG: Duration = Duration::from_secs(3600);

/// The process that gets the signals.
struct Process {
    child: Child,
    lines: Box<dyn Iterator<Item = String>>,
}

impl Process {
    fn start(case: &str) -> Self {
        let mut child = Command::new(env::current_exe().expect("this binary"))
            .args(["--exact", "the_process_that_gets_the_signals", "--nocapture", "--test-threads", "1"])
            .env(CASE, case)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines().map(|line| line.expect("text"));
        // What the test harness says is not for us.
        let lines = Box::new(lines.filter_map(|line| Some(line.split_once("> ")?.1.to_owned())));
        Self { child, lines }
    }

    #[track_caller]
    fn says(&mut self, expected: &str) {
        assert_eq!(self.lines.next().as_deref(), Some(expected));
    }

    fn kill(&self, signal: &str) {
        kill(signal, self.child.id());
    }

    /// Sends the signal again and again, until the process has ended.
    fn kill_until_it_ends(&mut self, signal: &str) {
        while self.child.try_wait().expect("it is our child").is_none() {
            self.kill(signal);
            thread::sleep(Duration::from_millis(50));
        }
    }

    #[track_caller]
    fn ends_well(mut self) {
        assert_eq!(self.lines.next(), None);
        assert!(self.wait().success());
    }

    fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("it is our child")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn kill(signal: &str, process: u32) {
    let status = Command::new("sh").arg("-c").arg(format!("kill -{signal} {process}")).status();
    assert!(status.expect("there is a shell").success());
}

#[test]
fn the_process_that_gets_the_signals() {
    let Ok(case) = env::var(CASE) else { return };
    // Whoever started it may be gone.
    thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(3);
    });
    System::new().block_on(async {
        match case.as_str() {
            "orderly" => orderly().await,
            "impatient" => impatient().await,
            "no grace" => no_grace().await,
            "both at once" => both_at_once().await,
            "by itself" => by_itself().await,
            "not polled" => not_polled().await,
            "dropped before" => dropped_before().await,
            "dropped after" => dropped_after().await,
            other => panic!("no such case: {other}"),
        }
    });
}

fn say(line: &str) {
    println!("> {line}");
}

fn say_report(report: &ShutdownReport<u32>) {
    let holders: Vec<_> = report.holders.iter().map(|holder| (&*holder.name, holder.leased)).collect();
    say(&format!("{:?}, left {:?}, held by {holders:?}", report.drained.outcome, report.left));
}

/// 0 is leased by `worker`, 1 and 2 are buffered.
fn at_work() -> (IterableQueue<u32>, Producer<u32>, Consumer<u32>, Item<u32>) {
    let queue = IterableQueue::unbounded();
    let (producer, mut consumer) = (queue.producer().expect("open"), queue.consumer_named("worker").expect("open"));
    (0..3).for_each(|n| producer.try_put(n).expect("room"));
    let item = consumer.try_lease().expect("there are three");
    (queue, producer, consumer, item)
}

/// Until the shutdown has begun.
async fn begun(queue: &IterableQueue<u32>) {
    until(|| queue.state() == State::Draining).await;
    say("shutting down");
}

async fn orderly() {
    let queue = IterableQueue::unbounded();
    let (producer, mut consumer) = (queue.producer().expect("open"), queue.consumer().expect("open"));
    let mut ending = Box::pin(queue.shutdown_on_signal(LONG).expect("it can listen"));
    assert!(poll!(ending.as_mut()).is_pending());
    producer.try_put(0).expect("it goes on as before");
    assert_eq!(queue.state(), State::Open);
    // It borrows nothing.
    let ending = actix_rt::spawn(ending);
    say("listening");
    begun(&queue).await;
    assert_eq!(producer.try_put(1), Err(TryPutError::Refused(PutError::new(1, Refusal::ShutDown))));
    consumer.lease().await.expect("what was accepted is finished").ack();
    let report = ending.await.expect("it does not panic");
    assert_eq!(report.drained.totals.acked, 1);
    say_report(&report);
}

#[test]
fn each_signal_shuts_down_in_order() {
    for signal in ["TERM", "INT"] {
        within_watchdog(move || {
            let mut process = Process::start("orderly");
            process.says("listening");
            process.kill(signal);
            process.says("shutting down");
            process.says("Complete, left [], held by []");
            process.ends_well();
        });
    }
}

async fn impatient() {
    let began = Instant::now();
    let (queue, _producer, _consumer, item) = at_work();
    let mut ending = Box::pin(queue.shutdown_on_signal(LONG).expect("it can listen"));
    assert!(poll!(ending.as_mut()).is_pending());
    let ending = actix_rt::spawn(ending);
    say("listening");
    begun(&queue).await;
    item.put_child(3).expect("work that is under way may make work");
    let report = ending.await.expect("it does not panic");
    assert!(began.elapsed() >= Duration::from_secs(1), "the signals of the first second are one");
    say_report(&report);
    assert_eq!(queue.state(), State::Aborted);
    drop(item);
    queue.settled().await;
    assert_eq!((queue.take_left(), queue.snapshot().totals.discarded), (vec![0], 4));
}

#[test]
fn d8_a_signal_a_second_later_ends_the_grace_at_once() {
    for (first, second) in [("TERM", "TERM"), ("INT", "INT"), ("TERM", "INT"), ("INT", "TERM")] {
        within_watchdog(move || {
            let mut process = Process::start("impatient");
            process.says("listening");
            process.kill(first);
            process.says("shutting down");
            process.kill_until_it_ends(second);
            process.says(r#"Aborted, left [1, 2, 3], held by [("worker", 1)]"#);
            process.ends_well();
        });
    }
}

async fn no_grace() {
    let (queue, _producer, _consumer, item) = at_work();
    let mut ending = Box::pin(queue.shutdown_on_signal(Duration::ZERO).expect("it can listen"));
    assert!(poll!(ending.as_mut()).is_pending());
    say("listening");
    say_report(&ending.await);
    item.ack();
}

#[test]
fn d8_when_the_grace_is_over_the_report_holds_what_was_left() {
    within_watchdog(|| {
        let mut process = Process::start("no grace");
        process.says("listening");
        process.kill("TERM");
        process.says(r#"Aborted, left [1, 2], held by [("worker", 1)]"#);
        process.ends_well();
    });
}

/// Both are there before it looks, and a third one comes just after.
async fn both_at_once() {
    let (queue, _producer, mut consumer, item) = at_work();
    let mut ending = Box::pin(queue.shutdown_on_signal(LONG).expect("it can listen"));
    assert!(poll!(ending.as_mut()).is_pending());
    // They are known to this process once another listener has had them.
    let mut others =
        [SignalKind::terminate(), SignalKind::interrupt()].map(|kind| signal(kind).expect("it can listen"));
    kill("TERM", std::process::id());
    kill("INT", std::process::id());
    for other in &mut others {
        other.recv().await;
    }
    assert!(poll!(ending.as_mut()).is_pending());
    kill("INT", std::process::id());
    others[1].recv().await;
    assert!(poll!(ending.as_mut()).is_pending());
    assert_eq!(queue.state(), State::Draining, "the grace goes on");
    item.ack();
    assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [1, 2]);
    say_report(&ending.await);
}

#[test]
fn d8_signals_that_come_together_are_one() {
    within_watchdog(|| {
        let mut process = Process::start("both at once");
        process.says("Complete, left [], held by []");
        process.ends_well();
    });
}

/// Nobody seals it: it does so itself when the last handle goes, and the future is none.
async fn by_itself() {
    for polled_before in [true, false] {
        let (queue, producer, mut consumer, item) = at_work();
        let mut ending = Box::pin(queue.shutdown_on_signal(LONG).expect("it can listen"));
        assert!(!polled_before || poll!(ending.as_mut()).is_pending());
        drop((queue, producer));
        assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [1, 2]);
        item.ack();
        say_report(&ending.await);
    }
}

#[test]
fn c3_a_queue_that_ends_by_itself_needs_no_signal() {
    within_watchdog(|| {
        let mut process = Process::start("by itself");
        process.says("Complete, left [], held by []");
        process.says("Complete, left [], held by []");
        process.ends_well();
    });
}

async fn not_polled() {
    let (queue, _producer, consumer, item) = at_work();
    let ending = queue.shutdown_on_signal(LONG).expect("it can listen");
    let mut other = signal(SignalKind::terminate()).expect("signals can be listened to");
    say("listening");
    other.recv().await;
    assert_eq!(queue.state(), State::Open);
    drop((consumer, item));
    say_report(&ending.await);
}

#[test]
fn a_signal_before_the_first_poll_counts() {
    within_watchdog(|| {
        let mut process = Process::start("not polled");
        process.says("listening");
        process.kill("TERM");
        process.says("Abandoned, left [0, 1, 2], held by []");
        process.ends_well();
    });
}

async fn dropped_before() {
    let (queue, producer, _consumer, _item) = at_work();
    let mut ending = Box::pin(queue.shutdown_on_signal(LONG).expect("it can listen"));
    assert!(poll!(ending.as_mut()).is_pending());
    drop(ending);
    let mut other = signal(SignalKind::terminate()).expect("signals can be listened to");
    say("dropped");
    other.recv().await;
    producer.try_put(4).expect("nothing has changed");
    assert_eq!(queue.state(), State::Open);
    say("alive");
}

#[test]
fn dropped_before_a_signal_it_changes_nothing() {
    within_watchdog(|| {
        let mut process = Process::start("dropped before");
        process.says("dropped");
        process.kill("TERM");
        process.says("alive");
        process.ends_well();
    });
}

async fn dropped_after() {
    let (queue, _producer, mut consumer, item) = at_work();
    let mut ending = Box::pin(queue.shutdown_on_signal(LONG).expect("it can listen"));
    assert!(poll!(ending.as_mut()).is_pending());
    say("listening");
    until(|| {
        assert!(futures::FutureExt::now_or_never(ending.as_mut()).is_none());
        queue.state() == State::Draining
    })
    .await;
    drop(ending);
    say("shutting down");
    item.ack();
    while let Ok(item) = consumer.try_lease() {
        item.ack();
    }
    assert_eq!(queue.drained().await.outcome, Outcome::Complete);
}

#[test]
fn dropped_after_a_signal_the_shutdown_goes_on() {
    within_watchdog(|| {
        let mut process = Process::start("dropped after");
        process.says("listening");
        process.kill("INT");
        process.says("shutting down");
        process.ends_well();
    });
}
