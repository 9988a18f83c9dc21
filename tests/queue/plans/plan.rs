//! A plan, its threads, and the judgement on what they did.

mod consume;
mod produce;

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use actix_iterable_queue::report::ShutdownReport;
use actix_iterable_queue::testing::{Ledger, assert_conserved};
use actix_iterable_queue::{Backoff, Drained, IterableQueue, Outcome};
use futures::executor::block_on;
use support::{Lcg, until};

/// Every item has a number of its own: `NUMBERS` for each thread.
type Work = u64;

const NUMBERS: u64 = 1_000_000;

/// What a seed stands for.
#[derive(Debug)]
pub(crate) struct Plan {
    capacity: Option<usize>,
    max_attempts: u32,
    backoff: Option<Backoff>,
    producers: u64,
    consumers: u64,
    /// Of each producer.
    puts: u64,
    /// Consumers leave by and by, maybe all of them before the work is done.
    consumers_leave: bool,
    /// The end comes once this many items were accepted.
    ending: Ending,
    after: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Seal,
    LastHandle,
    Abort,
    Shutdown(Duration),
}

/// A seed of its own for each thread.
struct Thread<'a> {
    plan: &'a Plan,
    random: Lcg,
    ledger: &'a Ledger<Work>,
    last: Work,
}

impl Plan {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Lcg::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let backoff = Backoff::exponential(Duration::from_micros(10), Duration::from_millis(1));
        let backoff = (random.below(6) == 0).then_some(backoff);
        let consumers_leave = random.below(4) == 0;
        let (producers, consumers, puts) = (1 + random.below(4), 1 + random.below(4), random.below(120));
        let ending = match random.below(8) {
            0 => Ending::Abort,
            1 => Ending::Shutdown(Duration::ZERO),
            2 => Ending::Shutdown(Duration::MAX),
            3 | 4 => Ending::LastHandle,
            _ => Ending::Seal,
        };
        Self {
            capacity: [None, Some(1), Some(2), Some(5), Some(64)][random.below(5) as usize],
            max_attempts: 1 + random.below(5) as u32,
            backoff,
            producers,
            consumers,
            puts,
            consumers_leave,
            ending,
            after: random.below(producers * puts + 1),
        }
    }

    fn queue(&self) -> IterableQueue<Work> {
        let mut builder = support::backend::builder().max_attempts(self.max_attempts);
        if let Some(capacity) = self.capacity {
            builder = builder.capacity(capacity);
        }
        if let Some(backoff) = self.backoff {
            builder = builder.redelivery_backoff(backoff);
        }
        builder.build().expect("valid")
    }

    fn shuts_down(&self) -> bool {
        matches!(self.ending, Ending::Shutdown(_))
    }

    /// Ends the queue, or lets it end. What is left comes back.
    fn end(&self, queue: IterableQueue<Work>) -> (Drained, Vec<Work>) {
        let drained = queue.drained();
        match self.ending {
            Ending::Seal => {
                queue.seal();
                (block_on(drained), Vec::new())
            }
            Ending::LastHandle => {
                drop(queue);
                (block_on(drained), Vec::new())
            }
            Ending::Abort => {
                let left = queue.abort();
                (queue.blocking_drained(), left)
            }
            Ending::Shutdown(grace) => {
                let ShutdownReport { drained, left, .. } = block_on(queue.shutdown(grace));
                (drained, left)
            }
        }
    }
}

impl<'a> Thread<'a> {
    fn new(plan: &'a Plan, ledger: &'a Ledger<Work>, seed: u64, number: u64) -> Self {
        Self { plan, random: Lcg::new(seed ^ (number << 40)), ledger, last: number * NUMBERS }
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.random.below(n) == 0
    }

    /// Lets the others go ahead.
    fn dawdle(&mut self) {
        (0..self.random.below(4)).for_each(|_| thread::yield_now());
    }

    fn next_work(&mut self) -> Work {
        self.last += 1;
        self.last
    }
}

pub(crate) fn run(seed: u64) {
    let plan = &Plan::new(seed);
    let ledger = &Ledger::new();
    let queue = plan.queue();
    let letters = queue.dead_letters().expect("open");
    // Once the last handle is gone, who is left to ask is a future that looks at nothing but the end.
    let eye = (plan.ending != Ending::LastHandle).then(|| queue.clone());
    let start = &Barrier::new((plan.producers + plan.consumers + 1) as usize);
    let producers: Vec<_> = (0..plan.producers).map(|_| queue.producer().expect("open")).collect();
    let consumers: Vec<_> = (0..plan.consumers).map(|_| queue.consumer().expect("open")).collect();
    let (mut drained, mut told) = (None, Vec::new());
    thread::scope(|scope| {
        for (number, producer) in (1..).zip(producers) {
            scope.spawn(move || {
                start.wait();
                Thread::new(plan, ledger, seed, number).produce(producer);
            });
        }
        let consuming: Vec<_> = (plan.producers + 1..)
            .zip(consumers)
            .map(|(number, consumer)| {
                scope.spawn(move || {
                    start.wait();
                    Thread::new(plan, ledger, seed, number).consume(consumer, number)
                })
            })
            .collect();
        let reader = scope.spawn(move || letters.into_iter().for_each(|letter| ledger.dead_lettered(letter.item)));
        start.wait();
        // Sealed late: so the puts of all producers come to an end without it, unless there is no room.
        until(|| queue.snapshot().totals.accepted >= plan.after || stalled(&queue, plan));
        let (end, left) = plan.end(queue);
        left.into_iter().for_each(|work| ledger.left_over(work));
        drained = Some(end);
        told = consuming.into_iter().map(|thread| thread.join().expect("it ends")).collect();
        reader.join().expect("it ends with the queue");
    });
    judge(plan, ledger, &drained.expect("it has ended"), &told, eye.as_ref());
}

/// Nothing more will be accepted before the end: the producers are done, or no consumer is left.
fn stalled(queue: &IterableQueue<Work>, plan: &Plan) -> bool {
    let snapshot = queue.snapshot();
    snapshot.producers.is_empty() || (plan.consumers_leave && snapshot.consumers.is_empty())
}

/// What the threads have noted against what the queue says.
fn judge(plan: &Plan, ledger: &Ledger<Work>, drained: &Drained, told: &[bool], eye: Option<&IterableQueue<Work>>) {
    let mut audit = ledger.audit();
    // What was discarded with nobody to hand it to: left without a consumer, or unsettled after the end.
    let lost = std::mem::take(&mut audit.lost).len() as u64;
    let unfinished = std::mem::take(&mut audit.unfinished).len() as u64;
    audit.assert_clean();
    assert!(plan.consumers_leave || told.iter().all(|told| *told), "not everybody was told of the end");
    // All threads are done: now even the totals of an aborted queue are exact.
    let totals = eye.map_or(drained.totals, |queue| queue.snapshot().totals);
    let unread = totals.dead_lettered - audit.dead_lettered;
    assert_eq!(totals.accepted, audit.accepted, "accepted: {audit}");
    assert_eq!(totals.acked + totals.taken, audit.finished, "finished: {audit}");
    assert_eq!(lost + unfinished, totals.discarded - audit.left_over + unread, "lost: {audit}, {drained:?}");
    if let Some(queue) = eye {
        assert_conserved(&queue.snapshot());
        assert_eq!((queue.len(), queue.snapshot().leased), (0, 0));
    }
    match drained.outcome {
        Outcome::Complete => {
            assert_eq!((lost, unfinished, audit.left_over), (0, 0, 0), "{audit}");
            // A shutdown does not wait until the last calls have counted.
            assert!(plan.shuts_down() || drained.totals == totals, "{drained:?}, and later {totals:?}");
        }
        Outcome::Abandoned => assert!(plan.consumers_leave, "somebody consumed until the end: {drained:?}"),
        _ => {
            assert!(plan.ending == Ending::Abort || plan.shuts_down(), "nobody aborted it: {drained:?}");
            // D8: the abort gave back all that was in nobody's hands.
            assert_eq!(lost, 0, "{audit}");
        }
    }
}
