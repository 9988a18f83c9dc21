//! What a round does, drawn from its seed.

use std::ops::RangeInclusive;
use std::time::Duration;

use fastrand::Rng;

#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) capacity: Option<usize>,
    pub(crate) max_attempts: u32,
    pub(crate) backoff: bool,
    pub(crate) odds: Odds,
    pub(crate) producers: Vec<Puts>,
    pub(crate) consumers: Vec<Takes>,
    pub(crate) pullers: usize,
    pub(crate) pushed: usize,
    pub(crate) pools: Vec<Pool>,
    /// How many moments its director has.
    pub(crate) moments: usize,
    pub(crate) seal_at: usize,
    pub(crate) seal: Seal,
    pub(crate) end_at: usize,
    pub(crate) end: End,
}

/// What becomes of a lease, each with this probability; otherwise it is acked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Odds {
    pub(crate) panic: f64,
    pub(crate) drop: f64,
    pub(crate) requeue: f64,
    pub(crate) reject: f64,
    pub(crate) take: f64,
    pub(crate) child: f64,
    /// To answer before the end of the lease is known, or while the item is taken. What is acked is answered in any case.
    pub(crate) early_answer: f64,
}

#[derive(Debug, Clone)]
pub(crate) struct Puts {
    pub(crate) how: PutHow,
    pub(crate) items: u64,
    pub(crate) dies_at: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PutHow {
    Blocking,
    Try,
    Timeout,
    Reserve,
    All,
    /// In a task on the arbiter of the round.
    Task,
    /// By messages to the queue's actor.
    Message,
    /// With an answer, on a thread.
    BlockingAsk,
    /// With an answer, in a task; some stop waiting for it.
    Ask,
}

#[derive(Debug, Clone)]
pub(crate) struct Takes {
    pub(crate) how: TakeHow,
    /// After so many items.
    pub(crate) leaves_at: Option<u64>,
}

/// How large a batch is, and how long it waits for more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchSize {
    pub(crate) max: usize,
    pub(crate) linger: Duration,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum TakeHow {
    Leases,
    Gets,
    Stream,
    /// Futures that are dropped in the middle.
    Dropping,
    Batches(BatchSize),
    /// Of these, some are dropped while they wait for more.
    DroppingBatches(BatchSize),
}

#[derive(Debug, Clone)]
pub(crate) struct Pool {
    /// It grows and shrinks by itself, unless both are the same.
    pub(crate) workers: RangeInclusive<usize>,
    pub(crate) grow_after: Duration,
    pub(crate) shrink_after: Duration,
    /// Some items take a millisecond, so that others wait while all workers are busy.
    pub(crate) naps: bool,
    pub(crate) batch: Option<BatchSize>,
    pub(crate) max_in_flight: usize,
    pub(crate) restart_limit: Option<usize>,
    pub(crate) keep_queue: bool,
    pub(crate) resize: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seal {
    Call,
    Message,
    /// By dropping every handle and address.
    Itself,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Itself,
    Abort,
    /// After so many milliseconds.
    Shutdown(u64),
    ShutdownMessage(u64),
    /// The arbiter of the queue's actor stops.
    LoseActor,
}

impl Plan {
    pub(crate) fn draw(seed: u64, threads: usize) -> Self {
        let rng = &mut Rng::with_seed(seed);
        rng.u64(..); // neighbours among seeds are none afterwards
        let mut left = rng.usize(threads.min(4)..=threads) - 1; // there is one producer at least
        let mut take = |rng: &mut Rng, most: usize| {
            let n = rng.usize(0..=most.min(left));
            left -= n;
            n
        };
        let count = 1 + take(rng, 20);
        let total = rng.u64(50..4000);
        let producers = (0..count).map(|_| puts(rng, total / count as u64)).collect();
        let mut pools = Vec::new();
        for _ in 0..rng.usize(0..3) {
            let workers = take(rng, 16);
            if workers > 1 {
                pools.push(pool(rng, workers - 1)); // its supervisor has a thread, too
            }
        }
        // Beside others that wait for items, a pool hardly ever has a reason to grow.
        let others = if pools.is_empty() || rng.bool() { usize::MAX } else { 0 };
        let (pullers, pushed) = (take(rng, others.min(6)), take(rng, others.min(6)));
        let count = take(rng, others.min(16));
        let consumers = (0..count).map(|_| takes(rng)).collect();
        let moments = rng.usize(5..60);
        let rare = |rng: &mut Rng, most: f64| if rng.bool() { 0.0 } else { rng.f64() * most };
        Self {
            seed,
            capacity: match rng.u8(0..5) {
                0 => Some(1),
                1 => Some(rng.usize(2..20)),
                2 => Some(1000),
                3 => Some(1 << 40),
                _ => None,
            },
            max_attempts: rng.choice([1, 2, 5, 100]).unwrap_or(5),
            backoff: rng.u8(..) < 64,
            odds: Odds {
                panic: rare(rng, 0.02),
                drop: rare(rng, 0.1),
                requeue: rare(rng, 0.1),
                reject: rare(rng, 0.02),
                take: rare(rng, 0.2),
                child: rare(rng, 0.15),
                early_answer: rng.f64(),
            },
            producers,
            consumers,
            pullers,
            pushed,
            pools,
            moments,
            seal_at: rng.usize(0..moments),
            seal: rng.choice([Seal::Call, Seal::Message, Seal::Itself]).unwrap_or(Seal::Call),
            end_at: rng.usize(0..moments),
            end: match rng.u8(0..10) {
                0 => End::Abort,
                1 => End::Shutdown(rng.u64(0..20)),
                2 => End::ShutdownMessage(rng.u64(0..20)),
                3 => End::LoseActor,
                _ => End::Itself,
            },
        }
    }

    /// Whether batches wait for more: what they hold is not seen before they are handed over.
    pub(crate) fn has_batches(&self) -> bool {
        let dropping = |takes: &Takes| matches!(takes.how, TakeHow::DroppingBatches(_));
        self.pools.iter().any(|pool| pool.batch.is_some()) || self.consumers.iter().any(dropping)
    }

    /// Whether asks may be dropped before the end: a queue that was asked does that once it is sealed and has no consumer.
    pub(crate) fn may_drop_asks(&self) -> bool {
        let asks = |puts: &Puts| matches!(puts.how, PutHow::Ask | PutHow::BlockingAsk);
        self.producers.iter().any(asks) && !self.has_consumers_to_the_end()
    }

    fn has_consumers_to_the_end(&self) -> bool {
        !self.pools.is_empty() && self.pools.iter().all(|pool| pool.restart_limit.is_none())
    }

    /// Whether consumers are there to the end, whatever happens, and nobody ends it before.
    pub(crate) fn must_complete(&self) -> bool {
        self.end == End::Itself && self.has_consumers_to_the_end()
    }
}

fn puts(rng: &mut Rng, items: u64) -> Puts {
    use PutHow::{All, Ask, Blocking, BlockingAsk, Message, Reserve, Task, Timeout, Try};
    let ways = [Blocking, Try, Timeout, Reserve, All, Task, Message, BlockingAsk, Ask];
    let how = rng.choice(ways).unwrap_or(Blocking);
    let dies_at = (rng.u8(..) < 50).then(|| rng.u64(1..items.max(1) + 1));
    Puts { how, items, dies_at }
}

fn takes(rng: &mut Rng) -> Takes {
    use TakeHow::{Batches, Dropping, DroppingBatches, Gets, Leases, Stream};
    let ways = [Leases, Gets, Stream, Dropping, Batches(batch(rng, 20)), DroppingBatches(batch(rng, 20))];
    let how = rng.choice(ways).unwrap_or(Leases);
    Takes { how, leaves_at: (rng.u8(..) < 100).then(|| rng.u64(0..300)) }
}

fn batch(rng: &mut Rng, most: usize) -> BatchSize {
    let linger = rng.choice([0, 50, 2000, 20_000]).unwrap_or(0);
    BatchSize { max: rng.usize(1..=most), linger: Duration::from_micros(linger) }
}

fn pool(rng: &mut Rng, workers: usize) -> Pool {
    let soon = |rng: &mut Rng| Duration::from_micros(rng.choice([0, 200, 2000]).unwrap_or(0));
    let fewest = if rng.bool() { rng.usize(1..=workers.div_ceil(3)) } else { workers };
    let max_in_flight = rng.choice([1, 1, 3, 16]).unwrap_or(1);
    Pool {
        workers: fewest..=workers,
        grow_after: soon(rng),
        shrink_after: soon(rng),
        naps: fewest < workers,
        batch: (rng.u8(..) < 100).then(|| batch(rng, max_in_flight)),
        max_in_flight,
        restart_limit: (rng.u8(..) < 30).then(|| rng.usize(0..10)),
        keep_queue: rng.bool(),
        // Not to more: the threads are given out.
        resize: (rng.u8(..) < 60).then(|| rng.usize(1..=workers)),
    }
}
