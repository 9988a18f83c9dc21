//! Lists of Redis, and nothing else: what there is to reach.

use std::thread;
use std::time::Instant;

use anyhow::Context;
use redis::Connection;

use super::job::Job;
use super::server::{Address, Here};
use crate::latency::Run;
use crate::numbers::Seen;
use crate::rounds::{Contender, Measured};

pub(super) const NAME: &str = "a list";
const LACKS: &str = "RPUSH and BLMPOP of 500, or LPUSH and BLPOP of one: no ack, no bound, no end";
const BATCH: u64 = 500;
const LIST: &str = "jobs";
/// Seconds after which a waiting take gives up.
const PATIENCE: f64 = 10.0;

pub(super) fn throughput(server: &Address, items: usize) -> Contender {
    let server = server.clone();
    Contender::new(NAME, move || pass(&server.emptied()?, items as u64)).lacking(LACKS)
}

pub(super) fn latency(server: &Address, run: Run) -> Contender {
    let server = server.clone();
    Contender::new(NAME, move || one_by_one(&server.emptied()?, run)).lacking(LACKS)
}

fn pass(server: &Here, items: u64) -> Measured {
    let (putting, taking) = (server.connect()?, server.connect()?);
    let began = Instant::now();
    let seen = thread::scope(|scope| {
        let putter = scope.spawn(move || put_all(putting, items));
        let seen = take_all(taking, items)?;
        putter.join().expect("the putter does not panic")?;
        anyhow::Ok(seen)
    })?;
    let took = began.elapsed();
    seen.check_in_order(items as usize)?;
    Ok(vec![items as f64 / took.as_secs_f64()])
}

fn put_all(mut connection: Connection, items: u64) -> anyhow::Result<()> {
    for first in (0..items).step_by(BATCH as usize) {
        let jobs = (first..items.min(first + BATCH)).map(|number| serde_json::to_vec(&Job::new(number)));
        let jobs = jobs.collect::<Result<Vec<_>, _>>()?;
        redis::cmd("RPUSH").arg(LIST).arg(jobs).exec(&mut connection)?;
    }
    Ok(())
}

fn take_all(mut connection: Connection, items: u64) -> anyhow::Result<Seen> {
    let mut seen = Seen::default();
    while seen.count() < items {
        let mut take = redis::cmd("BLMPOP");
        take.arg(PATIENCE).arg(1).arg(LIST).arg("LEFT").arg("COUNT").arg(BATCH);
        let jobs: Option<(String, Vec<Vec<u8>>)> = take.query(&mut connection)?;
        for job in jobs.context("no more came")?.1 {
            seen.note(serde_json::from_slice::<Job>(&job)?.number);
        }
    }
    Ok(seen)
}

fn one_by_one(server: &Here, run: Run) -> Measured {
    let (mut putting, mut taking) = (server.connect()?, server.connect()?);
    run.measure(|mut recorder| {
        // What goes wrong here is missing in the end.
        thread::spawn(move || -> anyhow::Result<()> {
            for _ in 0..run.items {
                let taken: Option<(String, Vec<u8>)> =
                    redis::cmd("BLPOP").arg(LIST).arg(PATIENCE).query(&mut taking)?;
                recorder.note(serde_json::from_slice::<Job>(&taken.context("nothing came")?.1)?.number);
            }
            Ok(())
        });
        Ok(move |due| {
            let job = serde_json::to_vec(&Job::new(due));
            job.is_ok_and(|job| redis::cmd("LPUSH").arg(LIST).arg(job).exec(&mut putting).is_ok())
        })
    })
}
