//! Consumer actors: they pull, are served by address, or work in a pool.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::WeakAddr;
use actix::prelude::*;
use actix_iterable_queue::prelude::*;
use actix_rt::time::sleep;

use crate::asks::Job;
use crate::hands::{Deed, Hands};
use crate::takes::later;

/// All workers that were ever started in a round.
#[derive(Clone, Default)]
pub(crate) struct Roster(Arc<Mutex<Vec<WeakAddr<Worker>>>>);

impl Roster {
    /// One of those that live.
    pub(crate) fn pick(&self, rng: &mut fastrand::Rng) -> Option<Addr<Worker>> {
        let mut workers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        workers.retain(|worker| worker.upgrade().is_some());
        rng.choice(&*workers).and_then(WeakAddr::upgrade)
    }
}

pub(crate) struct Worker {
    hands: Hands,
    /// What it pulls from by itself, and how many at once.
    pull: Option<(Consumer<Job>, usize)>,
    roster: Roster,
    naps: bool,
    told: bool,
}

/// Long enough for a pool to see that all its workers are busy.
const NAP: Duration = Duration::from_millis(1);

impl Worker {
    pub(crate) fn new(hands: Hands, pull: Option<(Consumer<Job>, usize)>, roster: &Roster) -> Self {
        Self { hands, pull, roster: roster.clone(), naps: false, told: false }
    }

    /// Some of its items take long.
    pub(crate) fn napping(self, naps: bool) -> Self {
        Self { naps, ..self }
    }

    /// In the middle of an item.
    fn pause(&mut self) -> impl Future<Output = ()> + use<> {
        let (yields, naps) = (self.hands.yields(), self.naps && self.hands.is_tired());
        async move {
            later(yields).await;
            if naps {
                sleep(NAP).await;
            }
        }
    }

    pub(crate) fn excused(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.hands.excused)
    }
}

impl Actor for Worker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.roster.0.lock().unwrap_or_else(PoisonError::into_inner).push(ctx.address().downgrade());
        if let Some((consumer, max_in_flight)) = self.pull.take() {
            ctx.consume_concurrent(max_in_flight, consumer);
        }
    }
}

impl Handler<Item<Job>> for Worker {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, item: Item<Job>, _: &mut Self::Context) -> Self::Result {
        let (deed, log, pause) = (self.hands.begin(&item), self.hands.log.clone(), self.pause());
        Box::pin(async move {
            pause.await;
            deed.end(item, &log);
        })
    }
}

impl Handler<Batch<Job>> for Worker {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, batch: Batch<Job>, _: &mut Self::Context) -> Self::Result {
        let (deeds, log, pause) = (self.hands.begin_all(&batch), self.hands.log.clone(), self.pause());
        Box::pin(async move {
            pause.await;
            Deed::end_batch(deeds, batch, &log);
        })
    }
}

impl Handler<Drained> for Worker {
    type Result = ();

    fn handle(&mut self, _: Drained, _: &mut Self::Context) {
        self.told = true;
        self.hands.log.told();
    }
}

/// How a worker is killed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Die {
    Panic,
    Stop,
    Arbiter,
}

impl Message for Die {
    type Result = ();
}

impl Handler<Die> for Worker {
    type Result = ();

    fn handle(&mut self, die: Die, ctx: &mut Self::Context) {
        if self.told {
            return; // it may be on its way out
        }
        match die {
            Die::Panic => self.hands.die(),
            Die::Stop => ctx.stop(),
            Die::Arbiter => {
                Arbiter::current().stop();
            }
        }
        self.hands.excused.store(true, Relaxed);
        self.hands.killed();
    }
}
