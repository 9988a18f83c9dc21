//! Pools that grow while items wait, and shrink when workers are not needed (A6).

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use ::log::Level;
use actix::AsyncContext;
use actix::fut::wrap_future;
use actix_iterable_queue::prelude::*;
use actix_iterable_queue::report::ScalingReport;
use futures::FutureExt;
use futures::channel::oneshot;
use support::actors::{backlog, backlog_in_memory, in_system, quiet, until};
use support::crew::{Birth, Crew, HOUR, crew, here};
use support::faults::{fail, silence};
use support::{log, panic_of};

const MOMENT: Duration = Duration::from_millis(2);

/// From how many workers to how many, at each step.
fn steps(scaling: &ScalingReport) -> Vec<(usize, usize)> {
    scaling.last.iter().map(|step| (step.from, step.to)).collect()
}

async fn items(crew: &mut Crew, n: usize) -> Vec<(usize, Item<u32>)> {
    let mut items = Vec::new();
    for _ in 0..n {
        items.push(crew.item().await);
    }
    items.sort_by_key(|(worker, _)| *worker);
    items
}

/// Acks what is held, and all that comes, until the pool has ended.
async fn finish(crew: &mut Crew, held: Vec<(usize, Item<u32>)>, acked: usize) {
    let mut left = acked - held.len();
    held.into_iter().for_each(|(_, item)| item.ack());
    while left > 0 {
        crew.item().await.1.ack();
        left -= 1;
    }
}

#[test]
fn a6_a_pool_grows_to_its_maximum_while_items_wait_and_all_are_busy() {
    log::keep();
    in_system(|| async {
        let queue = backlog(0..20);
        let (factory, mut crew) = crew();
        // On one thread: there may be more workers than arbiters.
        let pool = here(&queue).name("growing").workers(1..=5).grow_after(MOMENT).start(factory).unwrap();
        let held = items(&mut crew, 5).await;
        assert_eq!(held.iter().map(|(worker, _)| *worker).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_eq!(crew.births(5).await.len(), 5);
        crew.no_birth().await;
        let scaling = pool.scaling();
        assert_eq!(steps(&scaling), [(1, 2), (2, 4), (4, 5)]);
        assert_eq!((scaling.workers, scaling.most, scaling.added, scaling.removed), (5, 5, 4, 0));
        assert!(scaling.last.is_sorted_by_key(|step| step.after) && scaling.most_after >= scaling.last[2].after);
        assert_eq!(log::said(Level::Debug, "pool growing grows from 4 to 5 workers").len(), 1);
        queue.seal();
        finish(&mut crew, held, 20).await;
        let report = pool.drained().await.unwrap();
        assert_eq!((report.totals.acked, report.totals.failed, report.totals.deaths), (20, 0, 0));
        assert_eq!((report.workers.len(), report.scaling), (5, scaling));
        // Those that have joined are told of the end, too.
        for _ in 0..5 {
            crew.told().await;
        }
        crew.gone().await;
    });
}

#[test]
fn a6_a_pool_starts_no_more_workers_than_items_wait() {
    in_system(|| async {
        let queue = backlog(0..5);
        let (factory, mut crew) = crew();
        let pool = here(&queue).workers(4..=16).grow_after(MOMENT).start(factory).unwrap();
        let held = items(&mut crew, 5).await;
        assert_eq!(steps(&pool.scaling()), [(4, 5)]);
        queue.seal();
        finish(&mut crew, held, 5).await;
        assert_eq!(pool.drained().await.unwrap().scaling.most, 5);
    });
}

#[test]
fn c3_a_pool_grows_after_the_queue_was_sealed() {
    in_system(|| async {
        let queue = backlog(0..0);
        let producer = queue.producer().unwrap();
        let (factory, mut crew) = crew();
        let pool = here(&queue).workers(1..=3).grow_after(MOMENT).start(factory).unwrap();
        queue.seal();
        producer.put_all(0..3).await.unwrap();
        drop(producer); // draining
        let held = items(&mut crew, 3).await;
        assert_eq!(pool.scaling().added, 2);
        finish(&mut crew, held, 3).await;
        assert_eq!(pool.drained().await.unwrap().workers.len(), 3);
    });
}

/// Waits until a pool has found a worker stuck, after so long that any other pool has looked many times meanwhile.
async fn much_later() {
    let queue = backlog_in_memory(0..1);
    let (factory, mut crew) = crew();
    let pool = here(&queue).workers(1).stuck_after(50 * MOMENT).start(factory).expect("nothing is against it");
    let (_, item) = crew.item().await;
    until(|| queue.snapshot().consumers[0].stuck).await;
    item.ack();
    queue.seal();
    pool.drained().await.expect("nothing stops it");
}

/// A pool of two that may grow, of whose workers one holds an item. The birth of the other one.
async fn holding_one(queue: &IterableQueue<u32>) -> (WorkerPool<u32>, Crew, Birth, Item<u32>) {
    let (factory, mut crew) = crew();
    let pool = here(queue).workers(2..=4).grow_after(MOMENT).start(factory).expect("nothing is against it");
    let mut births = crew.births(2).await;
    queue.producer().expect("it is open").put(0).await.expect("it is open");
    let (busy, item) = crew.item().await;
    (pool, crew, births.swap_remove(1 - busy), item)
}

async fn does_not_grow(pool: &WorkerPool<u32>, crew: &mut Crew) {
    much_later().await;
    crew.no_birth().await;
    assert_eq!((pool.scaling().workers, pool.scaling().added), (2, 0));
}

#[test]
fn a6_a_pool_does_not_grow_while_a_worker_is_idle() {
    in_system(|| async {
        let queue = backlog(0..0);
        let (pool, mut crew, idle, first) = holding_one(&queue).await;
        let (go, wait) = oneshot::channel::<()>();
        idle.run(|_, ctx| ctx.wait(wrap_future(wait.map(drop)))); // it takes nothing meanwhile
        quiet().await;
        queue.producer().unwrap().put_all(1..6).await.unwrap();
        does_not_grow(&pool, &mut crew).await;
        assert_eq!(queue.snapshot().leased, 1);

        go.send(()).unwrap();
        let mut held = items(&mut crew, 3).await; // now both are busy
        assert_eq!(pool.scaling().added, 2);
        held.push((idle.index, first));
        queue.seal();
        finish(&mut crew, held, 6).await;
        assert_eq!(pool.drained().await.unwrap().totals.acked, 6);
    });
}

#[test]
fn a6_a_pool_does_not_grow_for_items_that_wait_for_their_time() {
    in_system(|| async {
        let queue = backlog(0..0);
        let (pool, mut crew, _, first) = holding_one(&queue).await;
        let producer = queue.producer().unwrap();
        producer.put(1).await.unwrap();
        crew.item().await.1.retry_after(HOUR, "not now");
        until(|| queue.snapshot().delayed == 1).await;
        producer.put(2).await.unwrap();
        let second = crew.item().await;
        does_not_grow(&pool, &mut crew).await;
        until(|| queue.len() == 1).await;

        producer.put(3).await.unwrap();
        let third = crew.item().await;
        assert_eq!(steps(&pool.scaling()), [(2, 3)]);
        drop((first, second, third));
        drop(queue.abort());
        pool.drained().await.unwrap();
    });
}

#[test]
fn a6_a_paused_pool_does_not_grow() {
    in_system(|| async {
        let queue = backlog(0..0);
        let (pool, mut crew, _, first) = holding_one(&queue).await;
        let producer = queue.producer().unwrap();
        producer.put(1).await.unwrap();
        let mut held = items(&mut crew, 1).await;
        pool.pause();
        producer.put_all(2..10).await.unwrap();
        does_not_grow(&pool, &mut crew).await;

        pool.resume();
        held.extend(items(&mut crew, 2).await);
        assert_eq!(steps(&pool.scaling()), [(2, 4)]);
        held.push((0, first));
        drop(producer);
        queue.seal();
        finish(&mut crew, held, 10).await;
        assert_eq!(pool.drained().await.unwrap().totals.acked, 10);
    });
}

#[test]
fn a6_a_pool_does_not_grow_while_the_last_items_are_worked_on() {
    in_system(|| async {
        let queue = backlog(0..0);
        let (pool, mut crew, _, first) = holding_one(&queue).await;
        queue.producer().unwrap().put(1).await.unwrap();
        queue.seal();
        let second = crew.item().await;
        does_not_grow(&pool, &mut crew).await;
        finish(&mut crew, vec![(0, first), second], 2).await;
        assert_eq!(pool.drained().await.unwrap().workers.len(), 2);
    });
}

/// A pool that has grown to four workers, each of which holds an item. Nothing waits. For queues in memory: over Redis items may
/// come so late that workers are spare before.
async fn grown(queue: &IterableQueue<u32>, shrink_after: Duration) -> (WorkerPool<u32>, Crew, Vec<Item<u32>>) {
    let (factory, mut crew) = crew();
    let builder = here(queue).workers(1..=4).grow_after(MOMENT).shrink_after(shrink_after);
    let pool = builder.start(factory).expect("nothing is against it");
    queue.producer().expect("it is open").put_all(0..4).await.expect("it is open");
    let held = items(&mut crew, 4).await;
    assert_eq!(crew.births(4).await.len(), 4);
    assert_eq!(steps(&pool.scaling()), [(1, 2), (2, 4)]);
    (pool, crew, held.into_iter().map(|(_, item)| item).collect())
}

async fn are_there(queue: &IterableQueue<u32>, workers: usize) {
    until(|| queue.snapshot().consumers.len() == workers).await;
}

#[test]
fn a6_a_pool_shrinks_to_its_minimum_and_those_that_leave_are_told_nothing() {
    in_system(|| async {
        let queue = backlog_in_memory(0..0);
        let (pool, mut crew, held) = grown(&queue, MOMENT).await;
        held.into_iter().for_each(Item::ack);
        are_there(&queue, 1).await;
        let scaling = pool.scaling();
        assert_eq!((scaling.workers, scaling.most, scaling.added, scaling.removed), (1, 4, 3, 3));

        // It grows again when it has to.
        queue.producer().unwrap().put_all(4..8).await.unwrap();
        let again = items(&mut crew, 4).await;
        assert_eq!(again.iter().map(|(worker, _)| *worker).collect::<Vec<_>>(), [0, 1, 2, 3]);
        finish(&mut crew, again, 4).await;
        are_there(&queue, 1).await;
        queue.seal();
        let report = pool.drained().await.unwrap();
        assert_eq!((report.totals.acked, report.totals.failed, report.totals.deaths), (8, 0, 0));
        assert_eq!((report.workers.len(), report.scaling.workers, report.scaling.removed), (4, 1, 6));
        assert_eq!(crew.told().await.0, 0);
        crew.births(3).await;
        crew.gone().await;
    });
}

#[test]
fn c5_a_worker_that_has_an_item_when_it_is_not_needed_does_it_first_and_has_no_turn() {
    in_system(|| async {
        let queue = backlog_in_memory(0..0);
        let (pool, mut crew, mut held) = grown(&queue, MOMENT).await;
        let last = held.pop().unwrap(); // of the worker that is the first to leave
        held.into_iter().for_each(Item::ack);
        until(|| pool.scaling().workers == 1).await;
        are_there(&queue, 2).await;
        // What comes is not for it.
        queue.producer().unwrap().put(4).await.unwrap();
        let (worker, next) = crew.item().await;
        assert_eq!((worker, *next, *last), (0, 4, 3));
        next.ack();
        crew.no_item().await;
        assert_eq!(queue.snapshot().leased, 1);
        last.ack();
        are_there(&queue, 1).await;
        queue.seal();
        let report = pool.drained().await.unwrap();
        assert_eq!(report.workers.iter().map(|worker| worker.totals.acked).collect::<Vec<_>>(), [2, 1, 1, 1]);
        assert_eq!(report.scaling.workers, 1);
        assert_eq!(crew.told().await.0, 0);
        crew.gone().await;
    });
}

#[test]
fn a6_a_worker_that_leaves_and_is_needed_again_stays() {
    in_system(|| async {
        let queue = backlog_in_memory(0..0);
        let (pool, mut crew, mut held) = grown(&queue, MOMENT).await;
        let last = held.pop().unwrap();
        held.into_iter().for_each(Item::ack);
        until(|| pool.scaling().workers == 1).await;
        are_there(&queue, 2).await;
        queue.producer().unwrap().put_all(4..8).await.unwrap();
        let mut held = items(&mut crew, 3).await;
        assert_eq!(held.iter().map(|(worker, _)| *worker).collect::<Vec<_>>(), [0, 1, 2]);
        until(|| pool.scaling().workers == 4).await; // so it stays
        assert_eq!(crew.births(2).await.len(), 2);
        last.ack();
        held.extend(items(&mut crew, 1).await);
        assert_eq!(held[3].0, 3);
        crew.no_birth().await;
        queue.seal();
        finish(&mut crew, held, 4).await;
        assert_eq!(pool.drained().await.unwrap().totals.acked, 8);
    });
}

#[test]
fn a6_a_paused_pool_does_not_shrink() {
    in_system(|| async {
        let queue = backlog_in_memory(0..0);
        let (pool, _crew, held) = grown(&queue, MOMENT).await;
        pool.pause();
        held.into_iter().for_each(Item::ack);
        much_later().await;
        assert_eq!((pool.scaling().workers, pool.scaling().removed), (4, 0));
        pool.resume();
        are_there(&queue, 1).await;
        queue.seal();
        assert_eq!(pool.drained().await.unwrap().scaling.workers, 1);
    });
}

#[test]
fn a_resize_fixes_the_number_or_sets_other_bounds() {
    in_system(|| async {
        let queue = backlog(0..12);
        let (factory, mut crew) = crew();
        let pool = here(&queue).workers(1..=2).grow_after(MOMENT).start(factory).unwrap();
        let mut held = items(&mut crew, 2).await;
        // A number: it scales no more, though items wait and all are busy.
        pool.resize(3).unwrap();
        held.extend(items(&mut crew, 1).await);
        much_later().await;
        assert_eq!((pool.scaling().workers, pool.scaling().most, steps(&pool.scaling())), (3, 3, vec![(1, 2)]));
        // A range: at once as many as the fewest of it, and then up.
        pool.resize(4..=6).unwrap();
        held.extend(items(&mut crew, 3).await);
        assert_eq!(steps(&pool.scaling()), [(1, 2), (4, 6)]);
        // And down, also at once.
        pool.resize(1..=2).unwrap();
        until(|| pool.scaling().workers == 2).await;
        held.drain(..).for_each(|(_, item)| item.ack());
        are_there(&queue, 2).await;
        for result in [panic_of(|| pool.resize(0..=2)), panic_of(|| pool.resize(0))] {
            assert!(result.starts_with("WorkerPool::resize: 0"), "{result}");
        }
        queue.seal();
        finish(&mut crew, held, 6).await;
        let report = pool.drained().await.unwrap();
        assert_eq!((report.totals.acked, report.workers.len(), report.scaling.workers), (12, 6, 2));
        assert_eq!((report.scaling.added, report.scaling.removed), (3, 0)); // what a resize changed is not its own doing
    });
}

#[test]
fn bad_numbers_of_workers_panic_where_they_are_given() {
    let queue = IterableQueue::<u32>::unbounded();
    let builder = || WorkerPool::builder(&queue);
    #[expect(clippy::reversed_empty_ranges, reason = "that is what is refused")]
    let panics = [
        panic_of(|| builder().workers(0)),
        panic_of(|| builder().workers(0..=0)),
        panic_of(|| builder().workers(0..=4)),
        panic_of(|| builder().workers(5..=2)),
    ];
    let none = "WorkerPoolBuilder::workers: 0 workers: give at least 1, or pause the pool";
    let too_few = "WorkerPoolBuilder::workers: 0..=4 workers: a pool keeps at least 1: give 1..=4";
    let empty = "WorkerPoolBuilder::workers: the range 5..=2 is empty: give the smaller number first";
    assert_eq!(panics, [none, none, too_few, empty]);
}

/// Opens and closes.
#[derive(Default)]
struct Gate(Mutex<bool>, Condvar);

impl Gate {
    fn set(&self, open: bool) {
        *self.0.lock().unwrap() = open;
        self.1.notify_all();
    }

    fn pass(&self) {
        drop(self.1.wait_while(self.0.lock().unwrap(), |open| !*open).unwrap());
    }
}

/// Ten thousand items in four bursts, which the pool must be at its largest for, and back at its smallest between them. A
/// hundredth of them kills its worker once.
#[test]
fn d2_nothing_is_lost_or_done_twice_while_a_pool_scales_and_workers_die() {
    const BURSTS: u32 = 4;
    const ITEMS: u32 = 10_000 / BURSTS;
    silence();
    in_system(|| async {
        let queue = backlog(0..0);
        let (gate, done) = (Arc::new(Gate::default()), Arc::new(Mutex::new(Vec::new())));
        let builder = WorkerPool::builder(&queue).workers(1..=4).grow_after(MOMENT).shrink_after(MOMENT);
        let pool = builder.run({
            let (gate, done) = (Arc::clone(&gate), Arc::clone(&done));
            move |item: &Item<u32>| {
                gate.pass();
                if item.is_multiple_of(100) && item.attempt() == 1 {
                    fail("a worker");
                }
                done.lock().unwrap().push(**item);
            }
        });
        let pool = pool.unwrap();
        let producer = queue.producer().unwrap();
        for burst in 0..BURSTS {
            producer.put_all(burst * ITEMS..(burst + 1) * ITEMS).await.unwrap();
            until(|| pool.scaling().workers == 4).await;
            gate.set(true);
            until(|| done.lock().unwrap().len() as u32 == (burst + 1) * ITEMS && pool.scaling().workers == 1).await;
            are_there(&queue, 1).await;
            gate.set(false);
        }
        gate.set(true);
        drop(producer);
        queue.seal();
        let report = pool.drained().await.unwrap();
        let mut done = std::mem::take(&mut *done.lock().unwrap());
        done.sort_unstable();
        assert!(done.into_iter().eq(0..BURSTS * ITEMS));
        let totals = report.totals;
        assert_eq!((totals.acked, totals.failed, totals.deaths, totals.taken), (10_000, 100, 100, 0));
        assert_eq!(report.drained.totals.acked, 10_000);
        assert_eq!((report.workers.len(), report.scaling.workers, report.scaling.most), (4, 1, 4));
        assert_eq!(report.scaling.added, report.scaling.removed);
        assert!(report.scaling.added >= 3 * u64::from(BURSTS) && report.scaling.last.len() <= 32);
        assert!(report.scaling.last.windows(2).all(|steps| steps[0].to == steps[1].from));
        assert_eq!(report.scaling.last.last().unwrap().to, 1);
    });
}

/// For weeks: the report does not grow.
#[test]
fn a_report_has_the_last_steps_and_all_totals() {
    in_system(|| async {
        let queue = backlog(0..0);
        let (factory, mut crew) = crew();
        let builder = here(&queue).workers(1..=2).grow_after(Duration::ZERO).shrink_after(Duration::ZERO);
        let pool = builder.start(factory).unwrap();
        let producer = queue.producer().unwrap();
        for _ in 0..20 {
            producer.put_all(0..2).await.unwrap();
            let held = items(&mut crew, 2).await;
            finish(&mut crew, held, 2).await;
            are_there(&queue, 1).await;
        }
        drop(producer);
        queue.seal();
        let scaling = pool.drained().await.unwrap().scaling;
        assert!(scaling.added >= 20 && scaling.added == scaling.removed, "{scaling:?}");
        assert_eq!(steps(&scaling), [[(1, 2), (2, 1)]; 16].concat());
    });
}
