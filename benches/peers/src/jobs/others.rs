//! rayon's ways, and tokio's.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rayon::ThreadPool;
use rayon::prelude::*;
use tokio::runtime::Builder;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::CAPACITY;
use super::work::{Gauge, Job, cores};
use crate::rounds::Contender;
use crate::runtime::SharedRuntime;

/// Not a way to hand over.
pub(super) const READY: &str = "rayon par_iter";

/// What they run on, started once.
pub(super) struct Others {
    pool: Arc<ThreadPool>,
    runtime: SharedRuntime,
}

impl Others {
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            pool: Arc::new(rayon::ThreadPoolBuilder::new().num_threads(cores()).build()?),
            runtime: SharedRuntime::new(Builder::new_multi_thread().worker_threads(cores()))?,
        })
    }

    pub(super) fn contenders(&self, gauge: &Arc<Gauge>) -> Vec<Contender> {
        let pool = || Arc::clone(&self.pool);
        let runtime = || self.runtime.clone();
        let ready: Vec<u64> = (0..gauge.job.items).collect();
        let (bridging, scoped, iterating) = (pool(), pool(), pool());
        let (permitting, working) = (runtime(), runtime());
        vec![
            gauge
                .contender("rayon par_bridge", move |job| Ok(par_bridge(&bridging, job)))
                .lacking("no buffer, no futures, no ack, no redelivery; a panic of one item ends all"),
            gauge
                .contender("rayon scope", move |job| Ok(scope(&scoped, job)))
                .lacking("a spawn for each item; no bound, no ack, no redelivery; a panic of one item ends all"),
            gauge
                .contender(READY, move |job| Ok(par_iter(&iterating, job, &ready)))
                .lacking("all items must be in a Vec beforehand: nothing is handed over"),
            gauge
                .contender("tokio Semaphore", move |job| permitting.block_on(semaphore(job)))
                .lacking("a spawn for each item; no ack, no redelivery"),
            gauge
                .contender("tokio workers", move |job| working.block_on(workers(job)))
                .lacking("a task for each core, on an async-channel; no ack, no redelivery"),
        ]
    }
}

fn par_bridge(pool: &ThreadPool, job: &Job) -> (u64, Duration) {
    let began = Instant::now();
    let receipts = pool.install(|| (0..job.items).par_bridge().map(|item| job.work(item)).sum());
    (receipts, began.elapsed())
}

fn par_iter(pool: &ThreadPool, job: &Job, ready: &[u64]) -> (u64, Duration) {
    let began = Instant::now();
    let receipts = pool.install(|| ready.par_iter().map(|item| job.work(*item)).sum());
    (receipts, began.elapsed())
}

fn scope(pool: &ThreadPool, job: &Job) -> (u64, Duration) {
    let receipts = &Receipts::default();
    let began = Instant::now();
    pool.scope(|scope| {
        for item in 0..job.items {
            scope.spawn(move |_| receipts.add(job.work(item)));
        }
    });
    let time = began.elapsed();
    (receipts.sum(), time)
}

async fn semaphore(job: &Arc<Job>) -> anyhow::Result<(u64, Duration)> {
    let receipts = Arc::new(Receipts::default());
    let permits = Arc::new(Semaphore::new(CAPACITY));
    let began = Instant::now();
    let (own, to) = (Arc::clone(job), Arc::clone(&receipts));
    // From within the runtime spawning is cheaper.
    let source = async move {
        for item in 0..own.items {
            let permit = Arc::clone(&permits).acquire_owned().await?;
            let (job, to) = (Arc::clone(&own), Arc::clone(&to));
            tokio::spawn(async move {
                to.add(job.work(item));
                drop(permit);
            });
        }
        permits.acquire_many(CAPACITY as u32).await?.forget();
        anyhow::Ok(())
    };
    tokio::spawn(source).await??;
    let time = began.elapsed();
    Ok((receipts.sum(), time))
}

async fn workers(job: &Arc<Job>) -> anyhow::Result<(u64, Duration)> {
    let (sender, receiver) = async_channel::bounded(CAPACITY);
    let mut workers = JoinSet::new();
    for _ in 0..cores() {
        let (job, receiver) = (Arc::clone(job), receiver.clone());
        workers.spawn(async move {
            let mut receipts = 0;
            while let Ok(item) = receiver.recv().await {
                receipts += job.work(item);
            }
            receipts
        });
    }
    let began = Instant::now();
    for item in 0..job.items {
        sender.send(item).await?;
    }
    drop(sender);
    let receipts = workers.join_all().await.into_iter().sum();
    Ok((receipts, began.elapsed()))
}

/// A sum in parts, so that threads do not wait for each other's cache line.
#[derive(Default)]
struct Receipts([Part; 32]);

#[derive(Default)]
#[repr(align(128))]
struct Part(AtomicU64);

impl Receipts {
    fn add(&self, receipt: u64) {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static OWN: Cell<usize> = Cell::new(THREADS.fetch_add(1, Relaxed)));
        self.0[OWN.get() % self.0.len()].0.fetch_add(receipt, Relaxed);
    }

    fn sum(&self) -> u64 {
        self.0.iter().map(|part| part.0.load(Relaxed)).sum()
    }
}
