//! What all consumers do with an item.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use actix_iterable_queue::prelude::*;
use actix_iterable_queue::testing::{ConsumerLog, Ledger, ProducerLog};
use fastrand::Rng;
use futures::channel::mpsc::UnboundedSender;

use crate::asks::{Asks, Job, Mint, answer_to};
use crate::plan::Odds;

/// What a round's threads, tasks and actors share.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) ledger: Ledger<u64>,
    pub(crate) asks: Arc<Asks>,
    pub(crate) odds: Odds,
    /// Keys that were given out.
    pub(crate) keys: Arc<AtomicU64>,
    pub(crate) count: Arc<Count>,
    /// Dropped by all of them when they end. Nothing is ever sent.
    pub(crate) _alive: UnboundedSender<()>,
}

#[derive(Default)]
pub(crate) struct Count {
    pub(crate) kills: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) unsure: AtomicU64,
    /// Batches of more than one item that were handed over.
    pub(crate) batches: AtomicU64,
}

impl Common {
    pub(crate) fn key(&self) -> u64 {
        self.keys.fetch_add(1, Relaxed)
    }

    pub(crate) fn killed(&self) {
        self.count.kills.fetch_add(1, Relaxed);
    }
}

/// A consumer's own part.
pub(crate) struct Hands {
    pub(crate) log: Log,
    children: ProducerLog<u64>,
    mint: Mint,
    rng: Rng,
    common: Common,
    /// Whether it need not be told of the end: its death was planned.
    pub(crate) excused: Arc<AtomicBool>,
}

/// What a consumer notes.
#[derive(Clone)]
pub(crate) struct Log {
    ledger: ConsumerLog<u64>,
    asks: Arc<Asks>,
}

/// How a lease is to end.
#[derive(PartialEq)]
pub(crate) enum Deed {
    Drop,
    Requeue,
    Reject,
    Take,
    Ack,
}

impl Hands {
    pub(crate) fn new(name: &str, seed: u64, common: &Common) -> Self {
        Self {
            log: Log { ledger: common.ledger.consumer(name), asks: Arc::clone(&common.asks) },
            children: common.ledger.producer(),
            mint: Mint::new(),
            rng: Rng::with_seed(seed),
            common: common.clone(),
            excused: Arc::default(),
        }
    }

    pub(crate) fn begin(&mut self, item: &Item<Job>) -> Deed {
        self.log.handed(item);
        self.work(item)
    }

    /// Has children of the item, may answer, and may panic.
    fn work(&mut self, item: &Item<Job>) -> Deed {
        let odds = self.common.odds;
        if self.chance(odds.early_answer) {
            item.answer(answer_to(*item.job()));
        }
        if self.chance(odds.child) {
            let child = self.common.key();
            if item.put_child(self.mint.job(child)).is_ok() {
                self.children.accepted(child);
            }
        }
        if self.chance(odds.panic) {
            self.die();
        }
        let deeds = [
            (odds.drop, Deed::Drop),
            (odds.requeue, Deed::Requeue),
            (odds.reject, Deed::Reject),
            (odds.take, Deed::Take),
        ];
        deeds.into_iter().find_map(|(odds, deed)| self.chance(odds).then_some(deed)).unwrap_or(Deed::Ack)
    }

    pub(crate) fn begin_all(&mut self, batch: &[Item<Job>]) -> Vec<Deed> {
        self.common.count.batches.fetch_add(u64::from(batch.len() > 1), Relaxed);
        // First, as it may panic in the middle.
        batch.iter().for_each(|item| self.log.handed(item));
        batch.iter().map(|item| self.work(item)).collect()
    }

    /// Notes an item that it has taken, and may answer.
    pub(crate) fn take(&mut self, job: &Job) {
        if self.chance(self.common.odds.early_answer) {
            job.answer(answer_to(*job.job()));
        }
        self.log.asks.taken(*job.job());
        self.log.ledger.taken(*job.job());
    }

    pub(crate) fn die(&self) -> ! {
        self.excused.store(true, Relaxed);
        self.common.killed();
        panic!("a planned fault");
    }

    pub(crate) fn killed(&self) {
        self.common.killed();
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.rng.f64() < probability
    }

    /// Every fourth time.
    pub(crate) fn is_tired(&mut self) -> bool {
        self.chance(0.25)
    }

    /// How often to yield in the middle.
    pub(crate) fn yields(&mut self) -> u8 {
        self.rng.u8(..).saturating_sub(250)
    }
}

impl Log {
    fn handed(&self, item: &Item<Job>) {
        self.ledger.handed(*item.job(), item.attempt());
    }

    pub(crate) fn told(&self) {
        self.ledger.told();
    }

    /// Answers, too: what is acked has its answer.
    fn finish(&self, item: &Item<Job>) {
        item.answer(answer_to(*item.job()));
        self.ledger.finished(*item.job());
    }
}

impl Deed {
    pub(crate) fn end(self, item: Item<Job>, log: &Log) {
        match self {
            Self::Drop => drop(item),
            Self::Requeue => item.requeue(),
            Self::Reject => item.reject("at random"),
            Self::Take => {
                log.asks.taken(*item.job());
                log.ledger.finished(*item.job());
                item.into_inner();
            }
            Self::Ack => {
                log.finish(&item);
                item.ack();
            }
        }
    }

    /// The members one by one, unless all end alike.
    pub(crate) fn end_batch(deeds: Vec<Self>, batch: Batch<Job>, log: &Log) {
        let all = |deed: &Self| deeds.iter().all(|other| other == deed);
        if all(&Self::Ack) {
            batch.iter().for_each(|item| log.finish(item));
            batch.ack();
        } else if all(&Self::Drop) {
            drop(batch);
        } else {
            batch.into_iter().zip(deeds).for_each(|(item, deed)| deed.end(item, log));
        }
    }
}
