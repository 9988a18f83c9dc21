//! One round: everything is started, disturbed, and waited for.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use actix::prelude::*;
use actix_iterable_queue::prelude::*;
use actix_iterable_queue::report::ConsumerId;
use actix_iterable_queue::testing::Ledger;
use fastrand::Rng;
use futures::channel::mpsc::unbounded;
use futures::{FutureExt, StreamExt};

use crate::actors::{Die, Roster, Worker};
use crate::asks::Job;
use crate::hands::{Common, Hands};
use crate::judge::{Facts, Tally, judge};
use crate::plan::{BatchSize, End, Plan, Pool, Seal};
use crate::{Eye, puts, takes};

/// What is wrong, if anything is.
pub(crate) fn run(plan: &Plan, eye: &Eye) -> Result<Tally, String> {
    let system = System::new();
    let facts = system.block_on(Round::new(plan).run(eye));
    System::current().stop();
    system.run().map_err(|error| error.to_string())?;
    judge(plan, &facts?)
}

struct Round<'a> {
    plan: &'a Plan,
    rng: Rng,
    roster: Roster,
    arbiters: Vec<Arbiter>,
    threads: Vec<JoinHandle<()>>,
    pools: Vec<WorkerPool<Job>>,
    /// Actors that are to be told of the end, unless they are excused.
    owed: Vec<(String, Arc<AtomicBool>)>,
    pushed: Vec<Pushed>,
}

/// An actor that is served by address.
struct Pushed {
    id: ConsumerId,
    max_in_flight: usize,
    excused: Arc<AtomicBool>,
}

impl<'a> Round<'a> {
    fn new(plan: &'a Plan) -> Self {
        Self {
            plan,
            rng: Rng::with_seed(!plan.seed),
            roster: Roster::default(),
            arbiters: Vec::new(),
            threads: Vec::new(),
            pools: Vec::new(),
            owed: Vec::new(),
            pushed: Vec::new(),
        }
    }

    async fn run(mut self, eye: &Eye) -> Result<Facts, String> {
        let plan = self.plan;
        let queue = build(plan);
        if plan.seal != Seal::Itself {
            *eye.lock().unwrap_or_else(PoisonError::into_inner) = Some(queue.clone());
        }
        let (alive, mut ends) = unbounded();
        let common = Common {
            ledger: Ledger::new(),
            asks: Arc::default(),
            odds: plan.odds,
            keys: Arc::default(),
            count: Arc::default(),
            _alive: alive,
        };
        let letters = queue.dead_letters().map_err(|error| error.to_string())?;
        self.threads.push(thread::spawn({
            let (ledger, asks) = (common.ledger.clone(), Arc::clone(&common.asks));
            move || {
                for letter in letters {
                    let key = letter.item.into_job();
                    asks.dead(key);
                    ledger.dead_lettered(key);
                }
            }
        }));
        let office = Arbiter::new();
        let actor = QueueActor::start_in_arbiter(&office.handle(), {
            let queue = queue.clone();
            move |_| QueueActor::new(queue).watch_interval(Duration::from_millis(5))
        });
        self.start(&queue, &actor, &common).await.map_err(|error| error.to_string())?;

        let ended = queue.drained();
        let last = self.disturb(queue, actor, &office, &common).await;
        let drained = ended.await;
        let mut gave_up = false;
        for pool in &self.pools {
            gave_up |= matches!(pool.drained().await, Err(PoolFailure::GaveUp { .. }));
            left_over(&common.ledger, pool.take_left());
        }
        let Common { ledger, asks, count, .. } = common.clone();
        drop(common);
        while ends.next().await.is_some() {}
        for thread in self.threads {
            let _ = thread.join(); // the hook has counted a panic that was not planned
        }
        office.stop();
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
        for arbiter in self.arbiters.into_iter().chain([office]) {
            let _ = arbiter.join();
        }
        if let Some(queue) = &last {
            left_over(&ledger, queue.take_left());
        }
        if !gave_up {
            for (n, pool) in plan.pools.iter().enumerate() {
                // Those beyond are told to leave in the course of the round.
                let stay = pool.resize.unwrap_or(usize::MAX).min(*pool.workers.start());
                self.owed.extend((0..stay).map(|index| (pool_worker(n, index), Arc::default())));
            }
        }
        Ok(Facts {
            drained,
            last: last.map(|queue| queue.snapshot()),
            audit: ledger.audit(),
            asks,
            kills: count.kills.load(Relaxed),
            refused: count.refused.load(Relaxed),
            unsure: count.unsure.load(Relaxed),
            batches: count.batches.load(Relaxed),
            joined: self.pools.iter().map(|pool| pool.scaling().added).sum(),
            owed: self.owed.into_iter().filter(|(_, excused)| !excused.load(Relaxed)).map(|(name, _)| name).collect(),
            in_mailboxes: self.pushed.iter().filter(|it| it.excused.load(Relaxed)).map(|it| it.max_in_flight).sum(),
        })
    }

    async fn start(
        &mut self,
        queue: &IterableQueue<Job>,
        actor: &Addr<QueueActor<Job>>,
        common: &Common,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let plan = self.plan;
        for (n, pool) in plan.pools.iter().enumerate() {
            self.start_pool(n, pool, queue, common)?;
        }
        for n in 0..plan.pullers {
            self.start_puller(&format!("pull-{n}"), queue, common)?;
        }
        for n in 0..plan.pushed {
            let name = format!("push-{n}");
            let (worker, excused) = self.start_worker(&name, None, common);
            let max_in_flight = self.rng.usize(1..9);
            let register = RegisterConsumer::new(worker).named(&name).max_in_flight(max_in_flight);
            self.pushed.push(Pushed { id: actor.send(register).await??, max_in_flight, excused });
        }
        for (n, takes) in plan.consumers.iter().enumerate() {
            let name = format!("thread-{n}");
            let hands = Hands::new(&name, self.rng.u64(..), common);
            self.threads.push(takes::start(takes, queue.consumer_named(name)?, hands));
        }
        // First all of them: the queue may be sealed as soon as it works.
        let mut producers = Vec::new();
        for _ in &plan.producers {
            let by_message = self.rng.bool();
            producers.push(if by_message { actor.send(OpenProducer::new()).await?? } else { queue.producer()? });
        }
        for (puts, producer) in plan.producers.iter().zip(producers) {
            self.threads.extend(puts::start(puts, producer, actor, common));
        }
        Ok(())
    }

    fn start_pool(
        &mut self,
        n: usize,
        pool: &Pool,
        queue: &IterableQueue<Job>,
        common: &Common,
    ) -> Result<(), PoolError> {
        let soon = Backoff::exponential(Duration::from_millis(1), Duration::from_millis(5));
        let mut builder = WorkerPool::builder(queue).name(format!("pool-{n}"));
        builder = builder.workers(pool.workers.clone()).grow_after(pool.grow_after).shrink_after(pool.shrink_after);
        builder = builder.max_in_flight(pool.max_in_flight).restart_backoff(soon);
        if let Some(restarts) = pool.restart_limit {
            builder = builder.restart_limit(restarts, Duration::from_secs(60));
        }
        if pool.keep_queue {
            builder = builder.keep_queue();
        }
        let naps = pool.naps;
        let (common, roster, seed, lives) = (common.clone(), self.roster.clone(), self.rng.u64(..), AtomicU64::new(0));
        let worker = move |index| {
            let life = lives.fetch_add(1, Relaxed);
            let hands = Hands::new(&pool_worker(n, index), seed.wrapping_add(life), &common);
            Worker::new(hands, None, &roster).napping(naps)
        };
        self.pools.push(match pool.batch {
            None => builder.start(worker)?,
            Some(BatchSize { max, linger }) => builder.batch(max, linger).start(worker)?,
        });
        Ok(())
    }

    fn start_puller(&mut self, name: &str, queue: &IterableQueue<Job>, common: &Common) -> Result<(), OpenError> {
        let pull = (queue.consumer_named(name)?, self.rng.usize(1..5));
        self.start_worker(name, Some(pull), common);
        Ok(())
    }

    /// In an arbiter of its own.
    fn start_worker(
        &mut self,
        name: &str,
        pull: Option<(Consumer<Job>, usize)>,
        common: &Common,
    ) -> (Addr<Worker>, Arc<AtomicBool>) {
        let worker = Worker::new(Hands::new(name, self.rng.u64(..), common), pull, &self.roster);
        let excused = worker.excused();
        self.owed.push((name.to_owned(), Arc::clone(&excused)));
        let arbiter = Arbiter::new();
        let addr = Worker::start_in_arbiter(&arbiter.handle(), |_| worker);
        self.arbiters.push(arbiter);
        (addr, excused)
    }

    /// Kills, pauses, resizes, seals and ends. Returns the handle if it was not dropped to seal the
    /// queue.
    async fn disturb(
        &mut self,
        queue: IterableQueue<Job>,
        actor: Addr<QueueActor<Job>>,
        office: &Arbiter,
        common: &Common,
    ) -> Option<IterableQueue<Job>> {
        let plan = self.plan;
        let mut ended = Box::pin(queue.drained());
        let mut handles = Some((queue, actor));
        let mut substitutes = 0;
        for moment in 0..plan.moments {
            actix_rt::time::sleep(Duration::from_micros(self.rng.u64(0..3000))).await;
            self.pools.iter().for_each(WorkerPool::resume);
            // Before the look at the end: a worker that comes after it to be told, and dies, is not replaced.
            let victim = self.roster.pick(&mut self.rng);
            if (&mut ended).now_or_never().is_some() {
                break;
            }
            if let (Some(victim), Some(die)) =
                (victim, self.rng.choice([None, Some(Die::Panic), Some(Die::Stop), Some(Die::Arbiter)]).flatten())
            {
                victim.do_send(die);
            }
            let Some((queue, actor)) = &handles else { continue };
            match self.rng.u8(0..5) {
                0 => {
                    if let Some(Pushed { id, excused, .. }) = self.rng.choice(&self.pushed) {
                        excused.store(true, Relaxed);
                        actor.do_send(Unregister(*id));
                    }
                }
                1 => self.rng.choice(&self.pools).into_iter().for_each(WorkerPool::pause),
                2 => {
                    for (pool, planned) in self.pools.iter().zip(&plan.pools) {
                        if let Some(workers) = planned.resize {
                            let _ = pool.resize(workers); // it may have ended
                        }
                    }
                }
                3 if substitutes < SUBSTITUTES => {
                    substitutes += 1;
                    // Refused once it is sealed.
                    let _ = self.start_puller(&format!("substitute-{substitutes}"), queue, common);
                }
                _ => drop(queue.snapshot()),
            }
            if moment == plan.end_at {
                end(plan.end, queue, actor, office, common).await;
            }
            if moment == plan.seal_at {
                match plan.seal {
                    Seal::Call => queue.seal(),
                    Seal::Message => actor.do_send(actix_iterable_queue::message::Seal),
                    Seal::Itself => handles = None,
                }
            }
        }
        self.pools.iter().for_each(WorkerPool::resume);
        let (queue, _) = handles?;
        queue.seal(); // the message may not have arrived
        Some(queue)
    }
}

/// Pullers that come later, at most.
const SUBSTITUTES: usize = 3;

fn pool_worker(pool: usize, index: usize) -> String {
    format!("pool-{pool}-{index}")
}

fn build(plan: &Plan) -> IterableQueue<Job> {
    let mut builder = IterableQueue::builder().name("soak").max_attempts(plan.max_attempts);
    if let Some(capacity) = plan.capacity {
        builder = builder.capacity(capacity);
    }
    if plan.backoff {
        builder = builder.redelivery_backoff(Backoff::exponential(Duration::from_millis(1), Duration::from_millis(4)));
    }
    builder.build().expect("the plans have no 0")
}

async fn end(how: End, queue: &IterableQueue<Job>, actor: &Addr<QueueActor<Job>>, office: &Arbiter, common: &Common) {
    let left = match how {
        End::Itself => return,
        End::Abort => queue.abort(),
        End::Shutdown(grace) => queue.shutdown(Duration::from_millis(grace)).await.left,
        // The answer can be lost only with the actor, which lives.
        End::ShutdownMessage(grace) => match actor.send(Shutdown::new(Duration::from_millis(grace))).await {
            Ok(report) => report.left,
            Err(_) => return,
        },
        End::LoseActor => {
            office.stop();
            return;
        }
    };
    common.killed();
    left_over(&common.ledger, left);
}

fn left_over(ledger: &Ledger<u64>, left: Vec<Job>) {
    left.into_iter().for_each(|job| ledger.left_over(job.into_job()));
}
