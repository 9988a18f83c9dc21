//! What all consumers do with an item.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use actix_iterable_queue::prelude::*;
use actix_iterable_queue::testing::{ConsumerLog, Ledger, ProducerLog};
use fastrand::Rng;
use futures::channel::mpsc::UnboundedSender;

use crate::plan::Odds;

/// What a round's threads, tasks and actors share.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) ledger: Ledger<u64>,
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
    pub(crate) log: ConsumerLog<u64>,
    children: ProducerLog<u64>,
    rng: Rng,
    common: Common,
    /// Whether it need not be told of the end: its death was planned.
    pub(crate) excused: Arc<AtomicBool>,
}

/// How a lease is to end.
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
            log: common.ledger.consumer(name),
            children: common.ledger.producer(),
            rng: Rng::with_seed(seed),
            common: common.clone(),
            excused: Arc::default(),
        }
    }

    /// Notes the item, has children of it, and may panic.
    pub(crate) fn begin(&mut self, item: &Item<u64>) -> Deed {
        self.log.handed(**item, item.attempt());
        let odds = self.common.odds;
        if self.chance(odds.child) {
            let child = self.common.key();
            if item.put_child(child).is_ok() {
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

    /// How often to yield in the middle.
    pub(crate) fn yields(&mut self) -> u8 {
        self.rng.u8(..).saturating_sub(250)
    }
}

impl Deed {
    pub(crate) fn end(self, item: Item<u64>, log: &ConsumerLog<u64>) {
        match self {
            Self::Drop => drop(item),
            Self::Requeue => item.requeue(),
            Self::Reject => item.reject("at random"),
            Self::Take => {
                log.finished(*item);
                item.into_inner();
            }
            Self::Ack => {
                log.finished(*item);
                item.ack();
            }
        }
    }
}
