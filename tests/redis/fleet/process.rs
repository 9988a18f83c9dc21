//! What a process of a fleet does: it joins a queue, obeys the orders that it reads, and tells what it does.
//!
//! It is the test's own program, run once more. What it tells goes to a pipe, each line in one write and before the
//! next step: what was told is known even if it is killed right after.

use std::io::{Write, stdin, stdout};
use std::process::{self, Command};
use std::sync::mpsc::channel;
use std::time::Duration;
use std::{env, thread};

use actix_iterable_queue::error::ConnectError;
use actix_iterable_queue::{Consumer, IterableQueue, Producer};
use futures::executor::block_on;
use serde::{Deserialize, Serialize};

use crate::report::Line;

/// The test of the program that is run as a process of a fleet.
const TEST: &str = "a_process_of_a_fleet";

/// Where a process finds what it is to be.
const ROLE: &str = "FLEET_ROLE";

/// The test's own program, run as one of a fleet.
pub fn program(role: &Role) -> Command {
    let mut command = Command::new(env::current_exe().expect("a test has a program"));
    command.args([TEST, "--exact", "--nocapture"]).env(ROLE, serde_json::to_string(role).expect("a role"));
    command
}

/// The item: a number that no two have in common, and something to make it bigger.
#[derive(Debug, Serialize, Deserialize)]
pub struct Job {
    pub n: u64,
    pub ballast: String,
}

/// How a process joins, and how it works. `Role::new` is good for most.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Role {
    pub name: String,
    pub url: String,
    pub queue: String,
    pub capacity: Option<usize>,
    pub lease: Duration,
    pub max_attempts: u32,
    /// How many items go into one `put_all`; with 1 each is a `put` of its own.
    pub batch: u64,
    /// How many bytes more than its number an item has.
    pub ballast: usize,
    /// How long the work on one item takes.
    pub work: Duration,
    /// Whether the queue seals itself when no process has a handle any more.
    pub seal_when_unowned: bool,
    /// The item that aborts the process that is handed it.
    pub poison: Option<u64>,
    /// How long it waits for a queue that is not in Redis; `None`: for ever.
    pub abort_if_gone_for: Option<Duration>,
    /// Each item with a smaller number makes one whose number is so much greater; 0: none does.
    pub child: u64,
}

impl Role {
    pub fn new(url: &str) -> Self {
        Self {
            name: "process".to_owned(),
            url: url.to_owned(),
            queue: "jobs".to_owned(),
            capacity: None,
            lease: Duration::from_secs(1),
            max_attempts: 1000,
            batch: 50,
            ballast: 0,
            work: Duration::ZERO,
            seal_when_unowned: true,
            poison: None,
            abort_if_gone_for: None,
            child: 0,
        }
    }

    pub fn job(&self, n: u64) -> Job {
        Job { n, ballast: "x".repeat(self.ballast) }
    }

    /// Tries again where a fault has struck.
    pub fn connect(&self) -> IterableQueue<Job> {
        for _ in 0..20 {
            match self.try_connect() {
                Err(ConnectError::Redis(_)) => thread::sleep(Duration::from_millis(50)),
                connected => return connected.unwrap_or_else(|error| panic!("{} cannot join: {error}", self.name)),
            }
        }
        panic!("{} cannot join: Redis does not let it", self.name)
    }

    fn try_connect(&self) -> Result<IterableQueue<Job>, ConnectError> {
        let mut builder = IterableQueue::builder().name(&self.queue).max_attempts(self.max_attempts);
        if let Some(capacity) = self.capacity {
            builder = builder.capacity(capacity);
        }
        let mut builder = builder.redis(&self.url).lease(self.lease).process_name(&self.name);
        if self.seal_when_unowned {
            builder = builder.seal_when_unowned();
        }
        if let Some(time) = self.abort_if_gone_for {
            builder = builder.abort_if_gone_for(time);
        }
        builder.blocking_connect()
    }
}

/// What the test tells a process to do. Orders are obeyed one after another.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub enum Order {
    /// Open a producer.
    Produce,
    /// Open so many consumers, each with a thread.
    Consume(usize),
    /// Read the dead letters, too.
    Bury,
    /// Put the numbers from the first one to the second, without it.
    Feed(u64, u64),
    /// Close the producer.
    Close,
    /// Seal the queue.
    Seal,
    /// Drop the queue's handle, and end with the queue.
    End,
    /// Leave the queue: `shutdown`, and end.
    Leave,
}

/// What the test [`TEST`] does: nothing, unless it is run as a process of a fleet.
pub fn run_as_told() {
    if let Ok(role) = env::var(ROLE) {
        run(&serde_json::from_str(&role).expect("a role"));
        process::exit(0);
    }
}

fn tell(line: &Line) {
    let line = serde_json::to_string(line).expect("a line") + "\n";
    if stdout().write_all(line.as_bytes()).is_err() {
        process::exit(1); // the test is gone
    }
}

fn run(role: &Role) {
    env_logger::Builder::new().filter_level(log::LevelFilter::Info).init();
    let _ = stdout().write_all(b"\n"); // after what the test harness says
    let (order, orders) = channel();
    thread::spawn(move || {
        for line in stdin().lines() {
            let line = line.expect("what the test writes");
            let _ = order.send(serde_json::from_str::<Order>(&line).expect("an order"));
        }
        process::exit(1); // the test is gone
    });
    let queue = role.connect();
    tell(&Line::Joined);
    let (mut producer, mut threads) = (None, Vec::new());
    for order in orders {
        match order {
            Order::Produce => producer = Some(queue.producer_named(&role.name).expect("not sealed")),
            Order::Consume(consumers) => {
                for _ in 0..consumers {
                    let (role, consumer) = (role.clone(), queue.consumer().expect("consumers may always be opened"));
                    threads.push(thread::spawn(move || work(&role, consumer)));
                }
            }
            Order::Bury => {
                let letters = queue.dead_letters().expect("not ended");
                threads.push(thread::spawn(|| letters.into_iter().for_each(|letter| tell(&Line::Dead(letter.item.n)))));
            }
            Order::Feed(from, to) => feed(role, producer.as_ref().expect("ordered before"), from, to),
            Order::Close => producer = None,
            Order::Seal => queue.seal(),
            Order::End => {
                let drained = queue.drained();
                drop((queue, producer));
                let drained = block_on(drained);
                threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
                return tell(&Line::Drained(drained));
            }
            Order::Leave => {
                drop(producer);
                let report = block_on(queue.shutdown(Duration::from_secs(60)));
                threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
                return tell(&Line::Drained(report.drained));
            }
        }
        tell(&Line::Obeyed);
    }
}

fn work(role: &Role, consumer: Consumer<Job>) {
    for item in consumer.into_blocking_leases() {
        tell(&Line::Handed(item.n, item.attempt()));
        if role.poison == Some(item.n) {
            process::abort();
        }
        thread::sleep(role.work);
        if item.n < role.child {
            let n = item.n + role.child;
            tell(&Line::Begun(n, n + 1));
            if let Err(error) = item.put_child(role.job(n)) {
                tell(&Line::Refused(n, error.to_string()));
            }
        }
        tell(&Line::Done(item.n));
        item.ack();
    }
}

/// Until all are put, or one is refused.
fn feed(role: &Role, producer: &Producer<Job>, from: u64, to: u64) {
    let mut next = from;
    while next < to {
        let end = to.min(next + role.batch);
        tell(&Line::Begun(next, end));
        let put = match role.batch {
            1 => producer.blocking_put(role.job(next)),
            _ => block_on(producer.put_all((next..end).map(|n| role.job(n)))).map(drop),
        };
        if let Err(error) = put {
            let why = error.to_string();
            return tell(&Line::Refused(error.into_inner().n, why));
        }
        tell(&Line::Confirmed(next, end));
        next = end;
    }
}
