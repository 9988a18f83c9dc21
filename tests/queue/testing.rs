//! The module `testing`: faults on purpose, and the oracles.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::thread;

use actix::prelude::*;
use actix_iterable_queue::prelude::*;
use actix_iterable_queue::testing::{Audit, Fault, Ledger, assert_conserved, run_actors};
use futures::executor::block_on;
use support::{message, within_watchdog};

/// What a panic said, which there must be.
fn panic_of(body: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(body)).expect_err("it panics");
    message(&*panic).to_owned()
}

fn struck(fault: &Fault, items: u32) -> Vec<u32> {
    (1..=items).filter(|_| fault.strikes()).collect()
}

#[test]
fn a_fault_strikes_its_item_and_no_other() {
    assert_eq!(struck(&Fault::at(3), 100), [3]);
    assert_eq!(panic_of(|| drop(Fault::at(0))), "items are counted from 1: there is no item 0 to strike");
}

#[test]
fn a_fault_by_chance_strikes_as_often_as_it_should_and_the_same_items_each_time() {
    let of = |probability, seed| struck(&Fault::with_probability(probability, seed), 10_000);
    assert!(of(0.0, 1).is_empty());
    assert_eq!(of(1.0, 1).len(), 10_000);
    let once = of(0.25, 1);
    assert!((2300..2700).contains(&once.len()), "{}", once.len());
    assert_eq!(of(0.25, 1), once);
    assert_ne!(of(0.25, 2), once);
    for probability in [-0.1, 1.1, f64::NAN] {
        let said = panic_of(|| drop(Fault::with_probability(probability, 1)));
        assert!(said.starts_with("a probability is within 0 to 1"), "{said}");
    }
}

#[test]
fn clones_of_a_fault_count_together_on_all_threads() {
    let (fault, mut one) = (Fault::with_probability(0.5, 1), 0);
    thread::scope(|scope| {
        let counts = [(); 4].map(|()| scope.spawn(|| struck(&fault.clone(), 1000).len()));
        one = counts.into_iter().map(|count| count.join().unwrap()).sum();
    });
    assert_eq!(one, struck(&Fault::with_probability(0.5, 1), 4000).len());
}

#[test]
fn d3_a_consumer_that_dies_at_an_item_leaves_it_to_the_others() {
    let queue = support::backend::in_memory();
    let (producer, consumer, other) = (queue.producer().unwrap(), queue.consumer().unwrap(), queue.consumer().unwrap());
    (1..=5).for_each(|n| producer.try_put(n).unwrap());
    drop(producer);
    queue.seal();
    let said = panic_of(|| {
        for item in Fault::at(3).panic_in(consumer.into_blocking_leases()) {
            item.ack();
        }
    });
    assert_eq!(said, "a planned fault, at item 3");
    let rest: Vec<_> = other.into_blocking_leases().map(|item| (item.attempt(), item.into_inner())).collect();
    assert_eq!(rest, [(2, 3), (1, 4), (1, 5)]);
    assert_conserved(&queue.snapshot());
}

#[test]
fn c2_a_producer_that_dies_half_way_closes_by_its_panic() {
    struct Source(Producer<u32>);

    impl Actor for Source {
        type Context = Context<Self>;

        fn started(&mut self, ctx: &mut Self::Context) {
            let producer = self.0.clone();
            let put = async move { producer.put_all(Fault::at(4).panic_in(1..)).await };
            ctx.spawn(put.into_actor(self).map(|_, _, _| ()));
        }
    }

    within_watchdog(|| {
        let (producer, consumer) = support::backend::builder().capacity(2).build().unwrap().split().unwrap();
        let dying = thread::spawn(move || block_on(producer.put_all(Fault::at(4).panic_in(1..))));
        assert_eq!(Vec::from_iter(consumer), [1, 2, 3]);
        assert!(dying.join().is_err());
    });
    within_watchdog(|| {
        System::new().block_on(async {
            let (producer, mut consumer) = support::backend::builder().capacity(2).build().unwrap().split().unwrap();
            Source(producer).start();
            for n in 1..=3 {
                assert_eq!(consumer.get().await, Some(n));
            }
            assert_eq!(consumer.get().await, None);
        });
    });
}

#[test]
fn c6_what_does_not_add_up_is_said_with_the_balance() {
    let queue = support::backend::builder().name("jobs").max_attempts(1).build().unwrap();
    let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    (1..=7).for_each(|n| producer.try_put(n).unwrap());
    consumer.try_lease().unwrap().ack();
    consumer.try_get().unwrap();
    consumer.try_lease().unwrap().reject("bad");
    let held = consumer.try_lease().unwrap();
    let mut snapshot = queue.snapshot();
    assert_conserved(&snapshot);

    snapshot.totals.accepted += 1;
    let said = panic_of(|| assert_conserved(&snapshot));
    let balance = "8 accepted, but 7 = 1 acked + 1 taken + 1 dead-lettered + 0 discarded + 3 buffered + 1 leased";
    assert!(said.starts_with(&format!("not conserved: {balance}: 1 item missing\njobs (queue-")), "{said}");
    snapshot.totals.accepted -= 3;
    let said = panic_of(|| assert_conserved(&snapshot));
    assert!(said.contains(": 2 items too many\n"), "{said}");

    assert_eq!(queue.abort(), [5, 6, 7]);
    assert_conserved(&queue.snapshot());
    drop(held);
    assert_conserved(&queue.snapshot());
}

/// A ledger with 0..n put by one producer.
fn ledger(n: u32) -> Ledger<u32> {
    let ledger = Ledger::new();
    let put = ledger.producer();
    (0..n).for_each(|key| put.accepted(key));
    ledger
}

#[track_caller]
fn assert_only(audit: &Audit<u32>, lost: &[u32], twice: &[u32], from_nowhere: &[u32], out_of_order: &[(u32, u32)]) {
    assert_eq!((&*audit.lost, &*audit.unfinished, &*audit.twice), (lost, &[][..], twice), "{audit}");
    assert_eq!((&*audit.from_nowhere, &*audit.out_of_order), (from_nowhere, out_of_order), "{audit}");
}

#[test]
fn a_ledger_is_clean_when_every_item_came_to_one_end() {
    let ledger = ledger(5);
    let (a, b) = (ledger.consumer("a"), ledger.consumer("b"));
    a.handed(1, 1); // failed
    b.taken(0);
    b.handed(1, 2);
    b.finished(1);
    a.handed(2, 1);
    a.handed(2, 2); // failed by the same one
    a.handed(2, 3);
    a.finished(2);
    ledger.dead_lettered(3);
    ledger.left_over(4);
    a.told();
    let audit = ledger.audit();
    audit.assert_clean();
    assert_eq!((audit.accepted, audit.finished, audit.dead_lettered, audit.left_over), (5, 3, 1, 1));
    assert_eq!((audit.told["a"], audit.told["b"]), (1, 0));
    assert_eq!(audit.to_string(), "5 accepted, 3 finished, 1 dead-lettered, 1 left over");
}

#[test]
fn a_ledger_finds_what_was_lost() {
    let ledger = ledger(3);
    ledger.consumer("a").taken(2);
    assert_only(&ledger.audit(), &[0, 1], &[], &[], &[]);
    let said = panic_of(|| ledger.audit().assert_clean());
    assert_eq!(said, "3 accepted, 1 finished, 0 dead-lettered, 0 left over; 2 lost: [0, 1]");
}

#[test]
fn d8_a_ledger_tells_what_was_in_somebodys_hands_from_what_was_lost() {
    let queue = support::backend::in_memory();
    let (producer, mut consumer, ledger) = (queue.producer().unwrap(), queue.consumer().unwrap(), ledger(3));
    (0..3).for_each(|key| producer.try_put(key).unwrap());
    let held = consumer.try_lease().unwrap();
    ledger.consumer("a").handed(*held, held.attempt());
    let mut left = queue.abort();
    assert_eq!(left.pop(), Some(2)); // as an abort that loses one
    left.into_iter().for_each(|key| ledger.left_over(key));
    drop(held);
    let audit = ledger.audit();
    assert_eq!((&*audit.lost, &*audit.unfinished), (&[2][..], &[0][..]), "{audit}");
    ledger.left_over(2);
    let audit = ledger.audit();
    assert!(!audit.is_clean());
    assert_eq!(audit.to_string(), "3 accepted, 0 finished, 0 dead-lettered, 2 left over; 1 unfinished: [0]");
}

#[test]
fn a_ledger_finds_what_was_done_twice() {
    let ledger = ledger(7);
    let (a, b) = (ledger.consumer("a"), ledger.consumer("b"));
    for key in 0..7 {
        a.handed(key, 1);
        a.finished(key);
    }
    b.finished(1); // two ends
    b.taken(2); // again
    ledger.dead_lettered(3);
    ledger.left_over(4);
    b.handed(5, 1); // to two consumers at once
    b.handed(6, 2); // after its end
    assert_only(&ledger.audit(), &[], &[1, 2, 3, 4, 5, 6], &[], &[]);
    assert!(ledger.audit().to_string().ends_with("; 6 twice: [1, 2, 3, 4, 5] …"), "{}", ledger.audit());
}

#[test]
fn a_ledger_finds_what_was_handed_out_after_its_end() {
    let ledger = ledger(4);
    let (a, b) = (ledger.consumer("a"), ledger.consumer("b"));
    a.taken(0);
    a.handed(0, 1); // after it was taken
    a.handed(1, 2);
    a.finished(1);
    a.handed(1, 1); // at whatever attempt
    b.handed(2, 1); // maybe before
    a.taken(2);
    b.handed(3, 1);
    ledger.dead_lettered(3); // maybe after
    assert_only(&ledger.audit(), &[], &[0, 1], &[], &[]);
}

#[test]
fn a_ledger_finds_what_was_finished_by_one_and_handed_to_another() {
    for turned in [false, true] {
        let ledger = ledger(4);
        let mut logs = [ledger.consumer("a"), ledger.consumer("b")];
        if turned {
            logs.reverse(); // whichever list is read first
        }
        let [a, b] = logs;
        a.handed(0, 1);
        b.finished(0); // was never handed it
        a.handed(1, 1);
        b.handed(1, 2);
        a.finished(1); // has given it back
        b.handed(2, 1);
        a.handed(2, 2);
        a.finished(2); // is right
        a.finished(3); // nobody says who was handed it
        assert_only(&ledger.audit(), &[], &[0, 1], &[], &[]);
    }
}

#[test]
fn a_ledger_tells_all_attempts_apart() {
    let ledger = ledger(1);
    let (a, b) = (ledger.consumer("a"), ledger.consumer("b"));
    (1..=200).for_each(|attempt| a.handed(0, attempt));
    b.handed(0, 201);
    b.finished(0);
    ledger.audit().assert_clean();
    ledger.consumer("c").handed(0, 150);
    assert_only(&ledger.audit(), &[], &[0], &[], &[]);
}

#[test]
fn a_ledger_finds_the_same_attempt_twice_beyond_the_first_64() {
    for attempt in [64, 65, 66, 1000, u32::MAX] {
        let ledger = ledger(1);
        ["a", "b"].into_iter().for_each(|name| ledger.consumer(name).handed(0, attempt));
        ledger.dead_lettered(0);
        assert_only(&ledger.audit(), &[], &[0], &[], &[]);
    }
}

#[test]
fn a_ledger_finds_what_was_handed_out_again_whichever_list_it_reads_first() {
    let ledger = ledger(1);
    let (a, b) = (ledger.consumer("a"), ledger.consumer("b"));
    a.handed(0, 2);
    b.handed(0, 1);
    b.finished(0);
    assert_only(&ledger.audit(), &[], &[0], &[], &[]);
}

#[test]
fn a_ledger_finds_what_nobody_has_put() {
    let ledger = ledger(0);
    ledger.consumer("a").taken(8);
    ledger.dead_lettered(9);
    assert_only(&ledger.audit(), &[], &[], &[8, 9], &[]);
}

#[test]
fn d1_a_ledger_finds_first_deliveries_out_of_order() {
    let ledger = ledger(4);
    let other = ledger.producer();
    [10, 11].into_iter().for_each(|key| other.accepted(key));
    let (a, b) = (ledger.consumer("a"), ledger.consumer("b"));
    for key in [0, 10, 2, 1, 11] {
        a.taken(key); // 1 after 2; the other producer's are in between as they like
    }
    b.handed(3, 1);
    b.finished(3);
    assert_only(&ledger.audit(), &[], &[], &[], &[(2, 1)]);
}

#[test]
fn d1_redeliveries_are_in_no_order_with_the_rest() {
    let ledger = ledger(3);
    let (a, b) = (ledger.consumer("a"), ledger.consumer("b"));
    a.handed(0, 1);
    a.handed(1, 1);
    b.handed(2, 1);
    b.handed(1, 2);
    [1, 2].into_iter().for_each(|key| b.finished(key));
    b.taken(0); // has been with the other one before
    ledger.audit().assert_clean();
}

#[test]
fn a_ledger_lets_an_unsure_put_come_or_not() {
    let ledger = Ledger::new();
    let put = ledger.producer();
    (0..3).for_each(|key| put.unsure(key));
    let work = ledger.consumer("a");
    work.taken(1);
    work.handed(2, 1);
    let audit = ledger.audit();
    assert_eq!((&*audit.lost, &*audit.unfinished), (&[][..], &[2][..])); // once it has come it must come to an end
    assert_eq!(audit.accepted, 2);
    work.finished(2);
    ledger.audit().assert_clean();
}

#[test]
fn c5_a_ledger_finds_who_was_told_of_the_end_twice() {
    let ledger = ledger(0);
    // Two lives of one worker.
    [ledger.consumer("worker"), ledger.consumer("worker")].into_iter().for_each(|life| life.told());
    ledger.consumer("other").told();
    let audit = ledger.audit();
    assert!(!audit.is_clean());
    assert!(audit.to_string().ends_with("; worker was told of the end 2 times"), "{audit}");
}

#[test]
fn a_ledger_refuses_items_that_it_cannot_tell_apart() {
    let ledger = ledger(3);
    ledger.producer().accepted(2);
    let said = panic_of(|| drop(ledger.audit()));
    assert_eq!(said, "two items with the key 2 were put: the ledger cannot tell them apart");
}

#[test]
fn d2_a_ledger_follows_every_item_through_64_threads_that_crash() {
    const EACH: u64 = 10_000;
    within_watchdog(|| {
        let queue = support::backend::builder().capacity(256).max_attempts(100).build().unwrap();
        let ledger = Ledger::new();
        let fault = Fault::with_probability(0.001, 7);
        let producers = Vec::from_iter((0..32).map(|_| queue.producer().unwrap()));
        let consumers = Vec::from_iter((0..32).map(|_| queue.consumer().unwrap()));
        queue.seal();
        let mut threads = Vec::new();
        for (n, producer) in producers.into_iter().enumerate() {
            let put = ledger.producer();
            threads.push(thread::spawn(move || {
                for key in (0..EACH).map(|item| item * 32 + n as u64) {
                    producer.blocking_put(key).unwrap();
                    put.accepted(key);
                }
            }));
        }
        for consumer in consumers {
            let (work, fault) = (ledger.consumer("work"), fault.clone());
            threads.push(thread::spawn(move || {
                let mut consumer = consumer;
                loop {
                    let life = catch_unwind(AssertUnwindSafe(|| {
                        for item in consumer.blocking_leases() {
                            work.handed(*item, item.attempt());
                            fault.panic_if_it_strikes();
                            work.finished(*item);
                            item.ack();
                        }
                    }));
                    if life.is_ok() {
                        break;
                    }
                }
            }));
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let (audit, snapshot) = (ledger.audit(), queue.snapshot());
        audit.assert_clean();
        assert_eq!((audit.accepted, audit.finished), (32 * EACH, 32 * EACH));
        assert!(snapshot.totals.redelivered > 100, "{snapshot}");
        assert_conserved(&snapshot);
    });
}

/// Notes what it does, and may fail.
struct Worker {
    done: Rc<Cell<u32>>,
    told: Rc<Cell<u32>>,
    fault: Fault,
}

impl Worker {
    fn new(fault: Fault) -> (Self, Rc<Cell<u32>>, Rc<Cell<u32>>) {
        let (done, told) = (Rc::default(), Rc::default());
        (Self { done: Rc::clone(&done), told: Rc::clone(&told), fault }, done, told)
    }
}

/// No fault.
fn steady() -> Fault {
    Fault::with_probability(0.0, 0)
}

impl Actor for Worker {
    type Context = Context<Self>;
}

impl Handler<Item<u32>> for Worker {
    type Result = ();

    fn handle(&mut self, item: Item<u32>, _: &mut Self::Context) {
        self.fault.panic_if_it_strikes();
        self.done.set(self.done.get() + 1);
        item.ack();
    }
}

impl Handler<Drained> for Worker {
    type Result = ResponseFuture<()>;

    /// Takes its time.
    fn handle(&mut self, _: Drained, _: &mut Self::Context) -> Self::Result {
        let told = Rc::clone(&self.told);
        Box::pin(async move {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            told.set(told.get() + 1);
        })
    }
}

async fn put(queue: &Addr<QueueActor<u32>>, items: u32) {
    let producer = queue.send(OpenProducer::new()).await.unwrap().unwrap();
    for n in 0..items {
        queue.send(Put::new(&producer, n)).await.unwrap().unwrap();
    }
}

#[test]
fn c5_actors_run_in_a_plain_test_until_the_handler_has_handled_the_end() {
    within_watchdog(|| {
        for items in [0, 1, 100] {
            let (worker, done, told) = Worker::new(steady());
            let drained = run_actors(support::backend::builder().capacity(3).build().unwrap(), worker, async |queue| {
                put(&queue, items).await
            });
            assert_eq!((drained.outcome, drained.totals.acked), (Outcome::Complete, items.into()));
            assert_eq!((done.get(), told.get()), (items, 1));
        }
    });
}

#[test]
fn c3_a_handle_that_the_test_keeps_does_not_keep_it_waiting() {
    within_watchdog(|| {
        let queue = support::backend::in_memory();
        let (worker, ..) = Worker::new(steady());
        run_actors(queue.clone(), worker, async |queue| put(&queue, 10).await);
        assert_conserved(&queue.snapshot());
    });
}

#[test]
fn c5_what_the_body_has_spawned_may_go_on_putting() {
    within_watchdog(|| {
        let (worker, done, _) = Worker::new(steady());
        run_actors(support::backend::builder().capacity(1).build().unwrap(), worker, async |queue| {
            let producer = queue.send(OpenProducer::new()).await.unwrap().unwrap();
            actix_rt::spawn(async move { producer.put_all(0..50).await.unwrap() });
        });
        assert_eq!(done.get(), 50);
    });
}

#[test]
fn d7_a_handler_that_dies_abandons_what_is_left() {
    within_watchdog(|| {
        for capacity in [1, 4, 100] {
            let (worker, done, told) = Worker::new(Fault::at(3));
            let mut refused = None;
            let drained =
                run_actors(support::backend::builder().capacity(capacity).build().unwrap(), worker, async |queue| {
                    let producer = queue.send(OpenProducer::new()).await.unwrap().unwrap();
                    for n in 0..200 {
                        // It waits where there is no room, and more than a buffer is put.
                        refused = queue.send(Put::new(&producer, n)).await.unwrap().err();
                        if refused.is_some() {
                            break;
                        }
                    }
                });
            assert_eq!(refused.map(|refused| refused.reason()), Some(Refusal::Abandoned));
            assert_eq!((drained.outcome, drained.totals.acked), (Outcome::Abandoned, 2));
            assert_eq!((done.get(), told.get()), (2, 0));
        }
    });
}

#[test]
fn d7_what_was_put_before_the_handler_died_is_abandoned_too() {
    within_watchdog(|| {
        let (worker, done, told) = Worker::new(Fault::at(3));
        let drained = run_actors(support::backend::in_memory(), worker, async |queue| {
            let producer = queue.send(OpenProducer::new()).await.unwrap().unwrap();
            (0..10).for_each(|n| producer.try_put(n).unwrap());
        });
        assert_eq!((drained.outcome, drained.totals.accepted, drained.totals.acked), (Outcome::Abandoned, 10, 2));
        assert_eq!((done.get(), told.get()), (2, 0));
    });
}

#[test]
fn d8_a_body_that_ends_the_queue_goes_on_after_it() {
    within_watchdog(|| {
        let (worker, _, told) = Worker::new(steady());
        let mut last = 0;
        let drained = run_actors(IterableQueue::<u32>::unbounded(), worker, async |queue| {
            queue.send(Seal).await.unwrap();
            while told.get() == 0 {
                tokio::task::yield_now().await;
            }
            last = 1;
        });
        assert_eq!((drained.outcome, told.get(), last), (Outcome::Complete, 1, 1));
    });
}

#[test]
fn a_panic_of_the_body_is_passed_on() {
    within_watchdog(|| {
        let said = panic_of(|| {
            let (worker, ..) = Worker::new(steady());
            run_actors(support::backend::in_memory(), worker, async |queue| {
                put(&queue, 10).await;
                panic!("the test's own");
            });
        });
        assert_eq!(said, "the test's own");
    });
}

#[test]
fn a_queue_that_is_sealed_already_is_refused() {
    let queue = support::backend::in_memory();
    let _open = (queue.producer().unwrap(), queue.consumer().unwrap());
    queue.seal();
    let (worker, ..) = Worker::new(steady());
    let said = panic_of(|| drop(run_actors(queue, worker, async |_| ())));
    assert!(said.starts_with("run_actors: the queue is sealed"), "{said}");
}

#[test]
fn an_async_runtime_around_it_is_refused() {
    let (worker, ..) = Worker::new(steady());
    let said = panic_of(|| {
        System::new().block_on(async { drop(run_actors(support::backend::in_memory(), worker, async |_| ())) });
    });
    assert!(said.starts_with("run_actors: it starts a runtime of its own"), "{said}");
}
