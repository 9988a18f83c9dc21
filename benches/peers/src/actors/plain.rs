//! What actix itself has.

use actix::prelude::*;

use super::producers::{self, Threads};
use super::{Arbiters, DO_SEND, IN_FLIGHT, PRODUCERS, SEND_TO_ONE, SYNC_ARBITER, WORKERS, measured, measured_of};
use crate::numbers::{Tallies, Tally};
use crate::rounds::{Contender, Measured};

pub(super) fn contenders(items: usize, fewer: usize) -> Vec<Contender> {
    vec![
        Contender::new(DO_SEND, move || System::new().block_on(do_send(items)))
            .lacking("to each worker in turn; no bound, no ack, no redelivery, no even load, no end"),
        Contender::new(SYNC_ARBITER, move || System::new().block_on(sync_arbiter(items)))
            .lacking("no bound (with do_send), no ack, no redelivery, no futures in handlers, no end"),
        Contender::new("send().await", move || System::new().block_on(send(fewer, WORKERS)))
            .lacking("to each worker in turn, 64 under way for each producer; no redelivery, no even load, no end"),
        Contender::new(SEND_TO_ONE, move || System::new().block_on(send(fewer, 1)))
            .lacking("to one actor that only answers, 64 under way for each producer; nobody works"),
    ]
}

#[derive(Message)]
#[rtype(result = "()")]
struct Number(u64);

struct Worker {
    tally: Tally,
}

impl Actor for Worker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // `send` waits for a place in the mailbox: one for all that can be under way.
        ctx.set_mailbox_capacity(PRODUCERS * IN_FLIGHT);
    }
}

impl Handler<Number> for Worker {
    type Result = ();

    fn handle(&mut self, Number(item): Number, _: &mut Self::Context) {
        self.tally.note(item);
    }
}

struct SyncWorker {
    tally: Tally,
}

impl Actor for SyncWorker {
    type Context = SyncContext<Self>;
}

impl Handler<Number> for SyncWorker {
    type Result = ();

    fn handle(&mut self, Number(item): Number, _: &mut Self::Context) {
        self.tally.note(item);
    }
}

/// They stop when the last sender has dropped their addresses.
fn workers(tallies: &Tallies, count: usize) -> (Arbiters, Vec<Addr<Worker>>) {
    let arbiters = Arbiters::new(count);
    let start = |arbiter: &Arbiter| {
        let tally = tallies.maker()();
        Worker::start_in_arbiter(&arbiter.handle(), |_| Worker { tally })
    };
    let addresses = arbiters.0.iter().map(start).collect();
    (arbiters, addresses)
}

async fn do_send(items: usize) -> Measured {
    let tallies = Tallies::new();
    let (arbiters, workers) = workers(&tallies, WORKERS);
    let senders = vec![workers; PRODUCERS].into_iter().map(|workers| {
        let mut turn = 0;
        move |item| {
            workers[turn].do_send(Number(item));
            turn = (turn + 1) % WORKERS;
        }
    });
    let threads = Threads::new(items, senders);
    let measured = measured(threads.begin(), tallies, items).await;
    threads.join()?;
    arbiters.stop();
    measured
}

async fn sync_arbiter(items: usize) -> Measured {
    let tallies = Tallies::new();
    let tally = tallies.maker();
    let workers = SyncArbiter::start(WORKERS, move || SyncWorker { tally: tally() });
    let senders = vec![workers; PRODUCERS].into_iter().map(|workers| move |item| workers.do_send(Number(item)));
    let threads = Threads::new(items, senders);
    let measured = measured(threads.begin(), tallies, items).await;
    threads.join()?;
    measured
}

async fn send(items: usize, count: usize) -> Measured {
    let tallies = Tallies::new();
    let (arbiters, workers) = workers(&tallies, count);
    let sources = Arbiters::new(PRODUCERS);
    let senders = vec![workers; PRODUCERS].into_iter().map(|workers| {
        let mut turn = 0;
        move |item| {
            let answer = workers[turn].send(Number(item));
            turn = (turn + 1) % count;
            async move {
                // What is not handled is missing in the end.
                let _ = answer.await;
            }
        }
    });
    let measured = measured_of(count, producers::on_arbiters(&sources.0, items, senders), tallies, items).await;
    for arbiters in [sources, arbiters] {
        arbiters.stop();
    }
    measured
}
