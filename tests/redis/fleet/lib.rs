//! Queues over Redis with everything that can fail: the server, the network, the processes.
//!
//! - `cluster.rs`, `sentinel.rs`: several servers that belong together
//! - `proxy.rs`: the network
//! - `process.rs`: what a process of a fleet does; `report.rs`: what it tells, and what follows from that
#![allow(missing_docs, missing_debug_implementations, reason = "only tests use it")]

pub mod cluster;
pub mod process;
pub mod proxy;
pub mod report;
pub mod sentinel;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::ops::{Index, IndexMut};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub use harness::eventually;
use harness::signal;
use support::redis_server::Server;

use crate::process::{Order, Role};
use crate::report::{Line, Report, Verdict};

/// Processes that share a queue.
#[derive(Debug)]
pub struct Fleet {
    role: Role,
    processes: Vec<Process>,
}

impl Fleet {
    /// What all have in common.
    pub fn new(role: Role) -> Self {
        Self { role, processes: Vec::new() }
    }

    /// For the test itself to join, too.
    pub fn role(&self, differs: impl FnOnce(&mut Role)) -> Role {
        let mut role = self.role.clone();
        differs(&mut role);
        role
    }

    /// One more process; its number.
    #[track_caller]
    pub fn join(&mut self, name: &str, orders: &[Order]) -> usize {
        self.join_as(name, |_| {}, orders)
    }

    #[track_caller]
    pub fn join_as(&mut self, name: &str, differs: impl FnOnce(&mut Role), orders: &[Order]) -> usize {
        let mut role = self.role(differs);
        role.name = name.to_owned();
        let mut process = Process::start(&role);
        orders.iter().for_each(|order| process.order(*order));
        self.processes.push(process);
        let index = self.processes.len() - 1;
        eventually("it has joined", || self[index].report().joined());
        index
    }

    /// Everybody but those who were killed.
    pub fn alive(&mut self) -> impl Iterator<Item = &mut Process> {
        self.processes.iter_mut().filter(|process| process.told.is_some())
    }

    /// Everybody who lives ends with the queue, by himself and with success. Then what they told is judged.
    #[track_caller]
    pub fn end(&mut self) -> Verdict {
        self.alive().for_each(|process| process.order(Order::End));
        self.ends()
    }

    /// The same after everybody was ordered to end, or has to without an order.
    #[track_caller]
    pub fn ends(&mut self) -> Verdict {
        self.alive().for_each(Process::ends);
        self.verdict()
    }

    /// Two feeders with so many items each, and two workers, in the middle of it.
    #[track_caller]
    pub fn at_work(role: Role, items: u64) -> Self {
        let mut fleet = Self::new(Role { capacity: Some(300), work: Duration::from_millis(1), ..role });
        fleet.join("feeder 1", &[Order::Produce, Order::Feed(0, items), Order::Close]);
        let second = [Order::Produce, Order::Feed(items, 2 * items), Order::Close];
        fleet.join_as("feeder 2", |role| role.batch = 1, &second);
        fleet.join("worker 1", &[Order::Consume(2)]);
        fleet.join("worker 2", &[Order::Consume(2)]);
        fleet.goes_on();
        fleet
    }

    /// Waits until some more items are done.
    #[track_caller]
    pub fn goes_on(&self) {
        let so_far = self.done();
        eventually("items are done", || self.done() > so_far + 300);
    }

    pub fn verdict(&self) -> Verdict {
        Verdict::of(&self.processes.iter().map(|process| process.report().clone()).collect::<Vec<_>>())
    }

    /// How many items were done, those that were done twice counted twice.
    pub fn done(&self) -> usize {
        self.processes.iter().map(|process| process.report().done().count()).sum()
    }

    /// How many different items were begun.
    pub fn begun(&self) -> usize {
        self.processes.iter().map(|process| process.report().begun().count()).sum()
    }

    /// How many puts were confirmed.
    pub fn confirmed(&self) -> usize {
        self.processes.iter().map(|process| process.report().confirmed().count()).sum()
    }

    /// The key that says which generation of the queue is the current one.
    pub fn pointer(&self) -> String {
        format!("{{aiq3:{}}}", self.role.queue)
    }

    /// One of its other keys.
    #[track_caller]
    pub fn key(&self, server: &Server, rest: &str) -> String {
        let pointer = self.pointer();
        format!("{pointer}:{}:{rest}", server.ask::<String>(&format!("GET {pointer}")))
    }

    /// The puts that were confirmed so far.
    pub fn all_confirmed(&self) -> BTreeSet<u64> {
        self.processes.iter().flat_map(|process| process.report().confirmed().collect::<Vec<_>>()).collect()
    }

    /// A figure that the queue itself keeps.
    #[track_caller]
    pub fn meta(&self, server: &Server, field: &str) -> u64 {
        server.ask(&format!("HGET {} {field}", self.key(server, "meta")))
    }

    /// How many lines of all logs have this in them.
    pub fn said(&self, what: &str) -> usize {
        self.processes.iter().map(|process| process.report().said(what)).sum()
    }
}

impl Index<usize> for Fleet {
    type Output = Process;

    fn index(&self, index: usize) -> &Process {
        &self.processes[index]
    }
}

impl IndexMut<usize> for Fleet {
    fn index_mut(&mut self, index: usize) -> &mut Process {
        &mut self.processes[index]
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if thread::panicking() {
            for process in &self.processes {
                let report = process.report();
                let last = report.lines.len().saturating_sub(5);
                eprintln!("{}: … {:?}\n  {}", report.name, &report.lines[last..], report.log.join("\n  "));
            }
        }
    }
}

/// A process; dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    orders: ChildStdin,
    ordered: usize,
    report: Arc<Mutex<Report>>,
    /// Those who read what it tells. None: it has ended, and all was read.
    told: Option<[JoinHandle<()>; 2]>,
}

impl Process {
    fn start(role: &Role) -> Self {
        let mut program = process::program(role);
        let program = program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = program.spawn().expect("the test's own program");
        let report = Arc::new(Mutex::new(Report { name: role.name.clone(), ..Report::default() }));
        let lines = read(child.stdout.take().expect("it is piped"), &report, |report, line| {
            report.lines.extend(serde_json::from_str::<Line>(&line)); // the test harness talks there, too
        });
        let log = read(child.stderr.take().expect("it is piped"), &report, |report, line| report.log.push(line));
        let orders = child.stdin.take().expect("it is piped");
        Self { child, orders, ordered: 0, report, told: Some([lines, log]) }
    }

    pub fn report(&self) -> MutexGuard<'_, Report> {
        locked(&self.report)
    }

    /// Does not wait until it is obeyed.
    pub fn order(&mut self, order: Order) {
        let line = serde_json::to_string(&order).expect("an order");
        let _ = writeln!(self.orders, "{line}"); // whoever has ended need not know
        self.ordered += 1;
    }

    /// Waits until all orders are obeyed.
    #[track_caller]
    pub fn obeys(&self) {
        eventually("orders are obeyed", || self.report().obeyed() == self.ordered);
    }

    pub fn kill9(&mut self) {
        self.report().suspect = true;
        self.child.kill().expect("it is a child of ours");
        self.child.wait().expect("it is a child of ours");
        self.read_all();
    }

    /// Whether it has died, by itself.
    pub fn has_died(&mut self) -> bool {
        let died = self.child.try_wait().expect("it is a child of ours").is_some_and(|status| !status.success());
        if died {
            self.report().suspect = true;
            self.read_all();
        }
        died
    }

    pub fn freeze(&self) {
        self.report().suspect = true;
        signal(self.child.id(), "STOP");
    }

    pub fn thaw(&self) {
        signal(self.child.id(), "CONT");
    }

    /// Waits for its end, by itself and with success.
    #[track_caller]
    pub fn ends(&mut self) {
        let mut status = None;
        eventually("a process ends by itself", || {
            status = self.child.try_wait().expect("it is a child of ours");
            status.is_some()
        });
        self.read_all();
        assert!(status.is_some_and(|status| status.success()), "{}: {status:?}", self.report().name);
    }

    fn read_all(&mut self) {
        for reader in self.told.take().into_iter().flatten() {
            reader.join().expect("readers do not panic");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended before
        let _ = self.child.wait();
    }
}

/// Whoever looks at it in an assertion may have panicked.
fn locked(report: &Mutex<Report>) -> MutexGuard<'_, Report> {
    report.lock().unwrap_or_else(PoisonError::into_inner)
}

/// In a thread, line by line.
fn read(from: impl Read + Send + 'static, to: &Arc<Mutex<Report>>, note: fn(&mut Report, String)) -> JoinHandle<()> {
    let report = Arc::clone(to);
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            note(&mut locked(&report), line);
        }
    })
}
