//! Many threads and tasks at once: nothing is lost, nothing comes twice, nothing from nowhere.

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Barrier, mpsc};
use std::thread;

use actix_iterable_queue::{Consumer, Drained, Item, Outcome, Producer};
use futures::executor::block_on;
use futures::{SinkExt, StreamExt};
use support::backend;
use support::{Lcg, assert_conserved, settled, within_watchdog};

/// Who put it, and its number there. Children come from `CHILDREN + consumer`.
type Work = (u32, u32);

const CHILDREN: u32 = 1000;

/// What the threads did, for the oracle.
#[derive(Debug, Clone, Copy)]
enum Event {
    Put(Work),
    /// Taken or acked: done with.
    Done(Work),
    Rejected(Work),
}

#[derive(Debug, Clone, Copy)]
struct Shape {
    producers: u32,
    consumers: u32,
    capacity: Option<usize>,
    puts: u32,
}

const SHAPES: [(u32, u32); 3] = [(1, 1), (4, 4), (17, 13)];
const CAPACITIES: [Option<usize>; 4] = [Some(1), Some(2), Some(64), None];

/// Every shape, about as many items in each.
fn shapes(items: u32) -> impl Iterator<Item = Shape> {
    // Over Redis each put waits for an answer.
    let items = if backend::is_redis() { items / 10 } else { items };
    SHAPES.into_iter().flat_map(move |(producers, consumers)| {
        CAPACITIES.map(|capacity| Shape { producers, consumers, capacity, puts: items / producers })
    })
}

/// How one producer puts all of its items, and how one consumer works until the end.
type Put = fn(Producer<Work>, u32, u32, &Sender<Event>);
type Consume = fn(Consumer<Work>, u32, &Sender<Event>);

/// Runs the threads to the end of the queue, then checks what came out.
fn run(shape: Shape, put: Put, consume: Consume) -> Drained {
    let builder = backend::builder().max_attempts(4);
    let builder = match shape.capacity {
        Some(capacity) => builder.capacity(capacity),
        None => builder,
    };
    let queue = backend::build(builder);
    let letters = queue.dead_letters().expect("open");
    let (events, log) = mpsc::channel();
    let start = Arc::new(Barrier::new((shape.producers + shape.consumers) as usize));
    let mut threads = Vec::new();
    for id in 0..shape.producers {
        let (producer, events, start) = (queue.producer().expect("open"), events.clone(), Arc::clone(&start));
        threads.push(thread::spawn(move || {
            start.wait();
            put(producer, id, shape.puts, &events);
        }));
    }
    for id in 0..shape.consumers {
        let (consumer, events, start) = (queue.consumer().expect("open"), events.clone(), Arc::clone(&start));
        threads.push(thread::spawn(move || {
            start.wait();
            consume(consumer, id, &events);
        }));
    }
    queue.seal();
    let drained = queue.blocking_drained();
    threads.into_iter().for_each(|thread| thread.join().expect("no thread fails"));
    drop(events);
    let mut log: Vec<_> = log.into_iter().collect();
    let dead: Vec<_> = letters.into_iter().map(|letter| letter.item).collect();
    log.extend(dead.iter().map(|work| Event::Rejected(*work)));
    judge(shape, &log, &drained);
    assert_conserved(&queue);
    assert_eq!((queue.len(), queue.snapshot().leased), (0, 0));
    drained
}

/// The multiset oracle: every item that was put came to exactly one end.
fn judge(shape: Shape, log: &[Event], drained: &Drained) {
    let mut balance: BTreeMap<Work, i64> = BTreeMap::new();
    let (mut puts, mut done, mut dead) = (0, 0, 0);
    for event in log {
        let (work, change, count) = match event {
            Event::Put(work) => (work, 1, &mut puts),
            Event::Done(work) => (work, -1, &mut done),
            Event::Rejected(work) => (work, -1, &mut dead),
        };
        *balance.entry(*work).or_default() += change;
        *count += 1;
    }
    balance.retain(|_, balance| *balance != 0);
    assert!(balance.is_empty(), "{shape:?}: lost (> 0), twice or from nowhere (< 0): {balance:?}");
    let totals = &drained.totals;
    assert_eq!(drained.outcome, Outcome::Complete, "{shape:?}");
    assert_eq!((totals.accepted, settled(totals)), (puts, puts), "{shape:?}: {totals:?}");
    assert_eq!((totals.acked + totals.taken, totals.dead_lettered), (done, dead), "{shape:?}: {totals:?}");
    assert_eq!(totals.discarded, 0);
}

fn note(events: &Sender<Event>, event: Event) {
    events.send(event).expect("the oracle listens");
}

fn blocking_puts(producer: Producer<Work>, id: u32, puts: u32, events: &Sender<Event>) {
    for n in 0..puts {
        producer.blocking_put((id, n)).expect("consumers stay");
        note(events, Event::Put((id, n)));
    }
}

fn gets(consumer: Consumer<Work>, _: u32, events: &Sender<Event>) {
    // Each producer's items reach any one consumer in the order they were put.
    let mut last = BTreeMap::new();
    for work in consumer {
        assert!(last.insert(work.0, work.1) < Some(work.1), "{work:?} came after a later one");
        note(events, Event::Done(work));
    }
}

fn leases(consumer: Consumer<Work>, _: u32, events: &Sender<Event>) {
    for item in consumer.into_blocking_leases() {
        assert_eq!(item.attempt(), 1);
        note(events, Event::Done(*item));
        item.ack();
    }
}

/// Everything that can happen to a lease.
fn chaos(mut consumer: Consumer<Work>, id: u32, events: &Sender<Event>) {
    let mut random = Lcg::new(u64::from(id));
    let (mut children, mut held): (u32, Option<Item<Work>>) = (0, None);
    while let Some(item) = consumer.blocking_lease() {
        let work = *item;
        if random.below(4) == 0 && children < 40 {
            let child = (CHILDREN + id, children);
            item.put_child(child).expect("the lease keeps the queue from its end");
            note(events, Event::Put(child));
            children += 1;
        }
        match random.below(8) {
            0 => drop(item),
            1 => item.requeue(),
            2 => item.reject("by chance"), // the oracle hears of it as a dead letter
            3 => {
                note(events, Event::Done(work));
                assert_eq!(item.into_inner(), work);
            }
            4 if held.is_none() => {
                // Held over the next takes, but not while waiting: it could be the last.
                held = Some(item);
                while let Ok(other) = consumer.try_lease() {
                    note(events, Event::Done(*other));
                    other.ack();
                    if random.below(3) == 0 {
                        break;
                    }
                }
                drop(held.take());
            }
            _ => {
                note(events, Event::Done(work));
                item.ack();
            }
        }
    }
}

#[test]
fn d2_threads_get_everything_exactly_once() {
    within_watchdog(|| {
        for shape in shapes(1700) {
            let drained = run(shape, blocking_puts, gets);
            assert_eq!(drained.totals.taken, u64::from(shape.puts * shape.producers));
        }
    });
}

#[test]
fn d2_threads_lease_and_ack_everything_exactly_once() {
    within_watchdog(|| {
        for shape in shapes(1700) {
            let drained = run(shape, blocking_puts, leases);
            assert_eq!((drained.totals.taken, drained.totals.redelivered), (0, 0));
        }
    });
}

#[test]
fn d3_whatever_happens_to_leases_every_item_comes_to_one_end() {
    within_watchdog(|| {
        for shape in shapes(1000) {
            let drained = run(shape, blocking_puts, chaos);
            assert!(drained.totals.redelivered > 0 && drained.totals.dead_lettered > 0);
        }
    });
}

#[test]
fn d1_one_consumer_sees_every_producers_order_past_the_ring_too() {
    within_watchdog(|| {
        // Permits and children send puts past the buffer; nobody's order may suffer.
        fn mixed(producer: Producer<Work>, id: u32, puts: u32, events: &Sender<Event>) {
            for n in 0..puts {
                match n % 3 {
                    0 => block_on(producer.reserve()).expect("open").put((id, n)).expect("open"),
                    1 => producer.blocking_put((id, n)).expect("open"),
                    _ => block_on(producer.put((id, n))).expect("open"),
                }
                note(events, Event::Put((id, n)));
            }
        }
        fn with_children(consumer: Consumer<Work>, id: u32, events: &Sender<Event>) {
            let (mut last, mut children) = (BTreeMap::new(), 0);
            for item in consumer.into_blocking_leases() {
                assert!(last.insert(item.0, item.1) < Some(item.1), "{:?} came after a later one", *item);
                if item.0 < CHILDREN && item.1 % 5 == 0 {
                    let child = (CHILDREN + id, children);
                    item.put_child(child).expect("leased");
                    note(events, Event::Put(child));
                    children += 1;
                }
                note(events, Event::Done(*item));
                item.ack();
            }
        }
        for producers in [1, 4] {
            for capacity in CAPACITIES {
                run(Shape { producers, consumers: 1, capacity, puts: 1200 / producers }, mixed, with_children);
            }
        }
    });
}

#[test]
fn d2_tasks_and_threads_together_get_everything_exactly_once() {
    within_watchdog(|| {
        fn puts(producer: Producer<Work>, id: u32, puts: u32, events: &Sender<Event>) {
            match id % 4 {
                0 => blocking_puts(producer, id, puts, events),
                1 => {
                    let mut sink = producer.into_sink();
                    (0..puts).for_each(|n| block_on(sink.send((id, n))).expect("consumers stay"));
                    block_on(sink.close()).expect("a sink closes");
                    (0..puts).for_each(|n| note(events, Event::Put((id, n))));
                }
                2 => {
                    assert_eq!(block_on(producer.put_all((0..puts).map(|n| (id, n)))), Ok(puts as usize));
                    (0..puts).for_each(|n| note(events, Event::Put((id, n))));
                }
                _ => {
                    // Tasks that wait for room at the same time.
                    let put = |n| (n, producer.put((id, n)));
                    let waiting =
                        futures::stream::iter((0..puts).map(put)).map(|(n, put)| async move { (n, put.await) });
                    block_on(waiting.buffer_unordered(3).for_each(|(n, put)| {
                        put.expect("consumers stay");
                        note(events, Event::Put((id, n)));
                        futures::future::ready(())
                    }));
                }
            }
        }
        fn takes(mut consumer: Consumer<Work>, id: u32, events: &Sender<Event>) {
            let done = |work| {
                note(events, Event::Done(work));
                futures::future::ready(())
            };
            match id % 4 {
                0 => leases(consumer, id, events),
                1 => block_on(consumer.for_each(done)),
                2 => block_on(async {
                    while let Some(item) = consumer.lease().await {
                        note(events, Event::Done(*item));
                        item.ack();
                    }
                }),
                // A get that loses against a ready future is dropped again and again.
                _ => block_on(async {
                    loop {
                        let turn = futures::future::select(Box::pin(consumer.get()), Box::pin(yield_twice())).await;
                        match turn {
                            futures::future::Either::Left((Some(work), _)) => done(work).await,
                            futures::future::Either::Left((None, _)) => break,
                            futures::future::Either::Right(_) => thread::yield_now(),
                        }
                    }
                }),
            }
        }
        for capacity in CAPACITIES {
            run(Shape { producers: 4, consumers: 4, capacity, puts: 300 }, puts, takes);
            run(Shape { producers: 9, consumers: 7, capacity, puts: 80 }, puts, takes);
        }
    });
}

async fn yield_twice() {
    let mut left = 2;
    futures::future::poll_fn(|cx| {
        left -= 1;
        cx.waker().wake_by_ref();
        if left == 0 { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}
