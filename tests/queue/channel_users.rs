//! What users of channels look for, each as the smallest program that needs it. `docs/guide/src/from/channels.md` is the page.

use std::fmt::Debug;
use std::panic::{RefUnwindSafe, UnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_iterable_queue::error::{GetTimeoutError, OpenError, PutTimeoutError, Refusal, TryReserveError};
use actix_iterable_queue::iter::{
    BlockingIter, BlockingLeases, IntoBlockingIter, IntoBlockingLeases, IntoLeases, Leases, TryIter,
};
use actix_iterable_queue::message::{OpenConsumer, OpenProducer};
use actix_iterable_queue::report::ShutdownReport;
use actix_iterable_queue::{
    Backoff, Builder, Consumer, Item, IterableQueue, Outcome, Permit, Producer, PutSink, QueueActor, State, WeakQueue,
    WorkerPool,
};
use futures::stream::FusedStream;
use futures::{FutureExt, Stream, StreamExt, select, stream};
use support::{Task, until, within_watchdog};

type Error = Box<dyn std::error::Error>;

/// An item that can do nothing, but cross threads.
struct Opaque;

/// A queue that holds these, with no producer open.
fn filled<T>(items: impl IntoIterator<Item = T>) -> Consumer<T> {
    let (producer, consumer) = IterableQueue::unbounded().split().expect("it is not sealed");
    items.into_iter().for_each(|item| producer.try_put(item).expect("it has no bound"));
    consumer
}

// Fused streams.

#[test]
fn streams_are_fused() {
    fn fused<S: FusedStream>() {}
    fused::<Consumer<Opaque>>();
    fused::<Leases<'_, Opaque>>();
    fused::<IntoLeases<Opaque>>();
}

/// The end comes while nobody polls: a stream that said so at once would never be asked for its `None`.
#[test]
fn c5_a_select_is_told_of_the_end_and_then_asks_no_more() {
    let mut consumer = filled([1, 2]);
    let mut told = Vec::new();
    // Both ends are here when it begins.
    let mut others = stream::iter([10, 20]).fuse();
    let looping = async {
        loop {
            select! {
                item = consumer.next() => told.push(item),
                other = others.next() => told.push(other),
                complete => break,
            }
        }
    };
    assert_eq!(looping.now_or_never(), Some(()), "it ends without waiting");
    told.sort_unstable();
    assert_eq!(told, [None, None, Some(1), Some(2), Some(10), Some(20)]);
}

#[test]
fn c5_a_stream_has_terminated_once_it_has_returned_none() {
    let queue = IterableQueue::unbounded();
    let (mut first, mut leases) = (queue.consumer().unwrap(), queue.consumer().unwrap().into_leases());
    queue.producer().unwrap().try_put(1).unwrap();
    assert_eq!(queue.abort(), [1]);
    assert!(!first.is_terminated() && !leases.is_terminated(), "nobody has heard of it yet");
    assert_eq!(first.next().now_or_never(), Some(None));
    assert!(leases.next().now_or_never().is_some_and(|item| item.is_none()));
    assert!(first.is_terminated() && leases.is_terminated());
    assert!(first.leases().is_terminated(), "it is the consumer's end");
    assert!(!first.clone().is_terminated(), "another consumer is yet to be told");
}

/// Also of one that has waited.
#[test]
fn c5_a_stream_that_waits_has_not_terminated_before_its_end() {
    let (producer, mut consumer) = IterableQueue::<u8>::unbounded().split().unwrap();
    let task = Task::new();
    assert!(consumer.poll_next_unpin(&mut task.context()).is_pending());
    assert!(!consumer.is_terminated());
    let mut leases = consumer.leases();
    assert!(leases.poll_next_unpin(&mut task.context()).is_pending());
    drop(producer);
    assert!(!leases.is_terminated());
    assert!(leases.poll_next_unpin(&mut task.context()).is_ready());
    assert!(leases.is_terminated());
}

// Size hints.

#[test]
fn c5_iterators_and_streams_know_that_nothing_is_left_after_the_end() {
    fn hints<T>(consumer: &mut Consumer<T>) -> [(usize, Option<usize>); 8] {
        let stream = Stream::size_hint(consumer);
        let leases = consumer.leases().size_hint();
        let iterators = [consumer.iter().size_hint(), consumer.try_iter().size_hint()];
        let [items, now] = iterators;
        let blocking_leases = consumer.blocking_leases().size_hint();
        let other = || consumer.clone();
        let owned = [other().into_iter().size_hint(), other().into_blocking_leases().size_hint()];
        [stream, leases, items, now, blocking_leases, other().into_leases().size_hint(), owned[0], owned[1]]
    }
    let mut consumer = filled(["a", "b"]);
    let other = consumer.clone();
    // Others may take all of them, or give them back.
    assert_eq!(hints(&mut consumer), [(0, None); 8]);
    let leased = consumer.try_lease().unwrap();
    assert_eq!(other.into_iter().next(), Some("b"));
    assert_eq!(hints(&mut consumer), [(0, None); 8], "the leased one may come back");
    leased.ack();
    assert_eq!(hints(&mut consumer), [(0, Some(0)); 8]);
}

// Panics that are caught.

#[test]
fn d3_what_users_hold_may_cross_a_catch_unwind() {
    fn unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}
    fn moved<T: UnwindSafe>() {}
    fn whatever_the_item_is<T>() {
        unwind_safe::<(IterableQueue<T>, WeakQueue<T>, Builder<T>)>();
        unwind_safe::<(Producer<T>, Permit<T>, PutSink<T>)>();
        unwind_safe::<(Consumer<T>, IntoLeases<T>, IntoBlockingIter<T>, IntoBlockingLeases<T>)>();
        moved::<(Leases<'_, T>, BlockingIter<'_, T>, BlockingLeases<'_, T>, TryIter<'_, T>)>();
        unwind_safe::<WorkerPool<T>>();
    }
    whatever_the_item_is::<&mut u8>();
    // A lease is as safe as its item: if that comes back, somebody sees what the panic left of it.
    unwind_safe::<Item<String>>();
    moved::<Item<std::cell::Cell<u8>>>();
}

#[test]
fn d3_work_on_an_item_may_be_caught_and_the_item_comes_back() {
    fn work(item: Item<u32>) {
        assert!(item.attempt() > 1, "the first attempt fails");
        item.ack();
    }
    let mut consumer = filled([7]);
    let mut outcomes = Vec::new();
    while let Some(item) = consumer.blocking_lease() {
        outcomes.push(catch_unwind(|| work(item)).is_ok());
    }
    assert_eq!(outcomes, [false, true]);
}

#[test]
fn a6_orders_to_a_pool_may_be_caught() {
    struct Worker;
    impl Actor for Worker {
        type Context = Context<Self>;
    }
    impl Handler<Item<Opaque>> for Worker {
        type Result = ();
        fn handle(&mut self, item: Item<Opaque>, _: &mut Self::Context) {
            item.ack();
        }
    }
    impl Handler<actix_iterable_queue::Drained> for Worker {
        type Result = ();
        fn handle(&mut self, _: actix_iterable_queue::Drained, _: &mut Self::Context) {}
    }
    within_watchdog(|| {
        System::new().block_on(async {
            let queue = IterableQueue::unbounded();
            let pool = WorkerPool::builder(&queue).start(|_| Worker).unwrap();
            assert!(catch_unwind(|| pool.resize(2)).is_ok_and(|resized| resized.is_ok()));
            queue.seal();
            assert!(pool.drained().await.is_ok());
        });
    });
}

// Debug, Clone, Default, orders.

#[test]
fn d12_everything_but_an_item_is_debug_whatever_the_item_is() {
    fn debug<D: Debug>(_: &D) {}
    fn of_all<T>() {
        fn is<D: Debug>() {}
        is::<(IterableQueue<T>, WeakQueue<T>, Builder<T>, Producer<T>, Permit<T>, PutSink<T>, Consumer<T>)>();
        is::<(Leases<'_, T>, IntoLeases<T>, TryIter<'_, T>, BlockingIter<'_, T>, IntoBlockingIter<T>)>();
        is::<(BlockingLeases<'_, T>, IntoBlockingLeases<T>, WorkerPool<T>)>();
    }
    of_all::<Opaque>();
    let queue = IterableQueue::<Opaque>::unbounded();
    let mut consumer = queue.consumer_named("worker-1").unwrap();
    debug(&consumer.iter());
    let text = format!("{:?}", consumer.try_iter()) + &format!(" {:?}", consumer.leases());
    assert!(text.starts_with("TryIter { consumer: Consumer {") && text.contains(" Leases { "), "{text}");
    assert_eq!(text.matches("worker-1").count(), 2, "{text}");
}

#[test]
fn a_builder_is_cloned_for_several_queues() {
    let backoff = Backoff::exponential(Duration::from_secs(1), Duration::from_secs(2));
    let builder = Builder::<Opaque>::default().name("jobs").capacity(2).max_attempts(3).redelivery_backoff(backoff);
    assert_eq!(format!("{builder:?}"), format!("{:?}", builder.clone()));
    let (one, other) = (builder.clone().build().unwrap(), builder.build().unwrap());
    assert_ne!(one.id(), other.id());
    for queue in [one, other] {
        assert_eq!((queue.name(), queue.capacity()), (Some("jobs"), Some(2)));
    }
}

#[test]
fn what_is_plain_has_a_default() {
    assert_eq!(Builder::<u8>::default().build().unwrap().capacity(), None);
    let open: (OpenProducer<u8>, OpenConsumer<u8>) = Default::default();
    assert!(format!("{open:?}").contains("watched: false"));
}

#[test]
fn reports_of_shutdowns_are_compared() {
    fn comparable<R: PartialEq + Eq + Clone>() {}
    comparable::<ShutdownReport<u8>>();
    let queue = IterableQueue::unbounded();
    let _consumer = queue.consumer().unwrap();
    queue.producer().unwrap().try_put("left").unwrap();
    let report = futures::executor::block_on(queue.shutdown(Duration::ZERO));
    assert_eq!(report, report.clone());
    let mut another = report.clone();
    another.left.clear();
    assert_ne!(report, another);
}

#[test]
fn c1_a_later_state_is_greater() {
    let mut way = [State::Aborted, State::Draining, State::Drained, State::Open, State::Sealed];
    way.sort_unstable();
    assert_eq!(way, [State::Open, State::Sealed, State::Draining, State::Drained, State::Aborted]);
    let queue = IterableQueue::<u8>::unbounded();
    assert!(queue.state() < State::Drained);
    queue.seal();
    assert!(queue.state() >= State::Drained, "it has ended");
}

// Timeouts and deadlines.

#[test]
fn d10_what_has_passed_is_not_waited_for() {
    // Not even on the thread of an arbiter, where waiting panics.
    System::new().block_on(async {
        let queue = IterableQueue::bounded(1);
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        let past = Instant::now();
        assert_eq!(consumer.blocking_get_timeout(Duration::ZERO), Err(GetTimeoutError::Timeout));
        assert_eq!(consumer.blocking_get_deadline(past), Err(GetTimeoutError::Timeout));
        assert!(matches!(consumer.blocking_lease_timeout(Duration::ZERO), Err(GetTimeoutError::Timeout)));
        assert!(matches!(consumer.blocking_lease_deadline(past), Err(GetTimeoutError::Timeout)));
        // What need not be waited for is had all the same.
        for put_and_take in 0..2 {
            producer.blocking_put_deadline(put_and_take, past).unwrap();
            assert_eq!(producer.blocking_put_deadline(9, past), Err(PutTimeoutError::Timeout(9)));
            assert_eq!(producer.blocking_put_timeout(9, Duration::ZERO), Err(PutTimeoutError::Timeout(9)));
            match put_and_take {
                0 => assert_eq!(consumer.blocking_get_deadline(past), Ok(0)),
                _ => {
                    let item = consumer.blocking_lease_deadline(past).unwrap();
                    assert_eq!(queue.snapshot().leased, 1);
                    item.ack();
                }
            }
        }
        assert_eq!(queue.blocking_drained_timeout(Duration::ZERO), None);
        assert_eq!(queue.blocking_drained_deadline(past), None);
        drop(producer);
        queue.seal();
        assert_eq!(queue.blocking_drained_deadline(past), queue.blocking_drained_timeout(Duration::ZERO));
        assert_eq!(queue.blocking_drained_deadline(past).map(|end| end.outcome), Some(Outcome::Complete));
        assert_eq!(consumer.blocking_get_deadline(past), Err(GetTimeoutError::Ended));
        assert!(matches!(consumer.blocking_lease_deadline(past), Err(GetTimeoutError::Ended)));
    });
}

#[test]
fn a_thread_waits_until_the_deadline_and_then_no_more() {
    within_watchdog(|| {
        let queue = IterableQueue::bounded(1);
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        let soon = || Instant::now() + Duration::from_millis(3);

        let deadline = soon();
        assert_eq!(consumer.blocking_get_deadline(deadline), Err(GetTimeoutError::Timeout));
        assert!(Instant::now() >= deadline);
        let deadline = soon();
        assert!(matches!(consumer.blocking_lease_deadline(deadline), Err(GetTimeoutError::Timeout)));
        assert!(Instant::now() >= deadline);
        let deadline = soon();
        assert_eq!(queue.blocking_drained_deadline(deadline), None);
        assert!(Instant::now() >= deadline);
        producer.try_put(1).unwrap();
        let deadline = soon();
        assert_eq!(producer.blocking_put_deadline(2, deadline), Err(PutTimeoutError::Timeout(2)));
        assert!(Instant::now() >= deadline);
        let seen = queue.snapshot();
        assert_eq!((seen.waiting_puts, seen.waiting_gets), (0, 0), "they have left their lines");
    });
}

/// What comes before the deadline ends the wait. All four calls, with the deadline so far away that the watchdog
/// would bark.
#[test]
fn a_thread_that_waits_until_a_deadline_is_woken_before() {
    within_watchdog(|| {
        let queue = IterableQueue::bounded(1);
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        let far = Instant::now() + Duration::from_secs(24 * 3600);
        let hour = Duration::from_secs(3600);
        thread::scope(|scope| {
            let taking = scope.spawn(move || {
                let first = consumer.blocking_get_deadline(far);
                let second = consumer.blocking_lease_deadline(far).map(Item::into_inner);
                let third = consumer.blocking_lease_timeout(hour).map(Item::into_inner);
                ([first, second, third], consumer)
            });
            for n in 1..=3 {
                until(|| queue.snapshot().waiting_gets == 1);
                producer.try_put(n).unwrap();
            }
            let (taken, mut consumer) = taking.join().unwrap();
            assert_eq!(taken, [Ok(1), Ok(2), Ok(3)]);

            producer.try_put(4).unwrap();
            let putting = scope.spawn(|| producer.blocking_put_deadline(5, far));
            until(|| queue.snapshot().waiting_puts == 1);
            assert_eq!(consumer.try_get(), Ok(4));
            assert_eq!(putting.join().unwrap(), Ok(()));
            assert_eq!(consumer.try_get(), Ok(5));
        });
        queue.seal();
        thread::scope(|scope| {
            let watchers = [
                scope.spawn(|| queue.blocking_drained_deadline(far)),
                scope.spawn(|| queue.blocking_drained_timeout(Duration::MAX)),
            ];
            drop(producer);
            for watcher in watchers {
                assert_eq!(watcher.join().unwrap().map(|end| end.totals.taken), Some(5));
            }
        });
    });
}

// Room that is kept.

#[test]
fn d5_room_is_reserved_at_once_or_not() -> Result<(), Error> {
    let queue = IterableQueue::bounded(2);
    let (mut producer, mut consumer) = (queue.producer()?, queue.consumer()?);
    let permit = producer.try_reserve()?;
    producer.try_put("first")?;
    assert_eq!(producer.try_reserve().unwrap_err(), TryReserveError::Full);
    permit.put("second")?;
    assert_eq!([consumer.try_get()?, consumer.try_get()?], ["first", "second"]);

    let permit = producer.try_reserve()?;
    producer.close();
    assert_eq!(producer.try_reserve().unwrap_err(), TryReserveError::Refused(Refusal::Closed));
    permit.put("of a share of the handle")?;
    let producer = queue.producer()?;
    assert_eq!(queue.abort(), ["of a share of the handle"]);
    assert_eq!(producer.try_reserve().unwrap_err(), TryReserveError::Refused(Refusal::Aborted));
    Ok(())
}

/// As with `try_put`: the puts of one handle keep their order.
#[test]
fn d1_a_reservation_does_not_overtake_a_put_of_its_handle_that_waits() -> Result<(), Error> {
    let (producer, mut consumer) = IterableQueue::bounded(1).split()?;
    producer.try_put(1)?;
    let task = Task::new();
    let mut waiting = Box::pin(producer.put(2));
    assert!(task.poll(waiting.as_mut()).is_pending());
    assert_eq!(consumer.try_get()?, 1);
    assert_eq!(producer.try_reserve().unwrap_err(), TryReserveError::Full);
    assert!(task.poll(waiting.as_mut()).is_ready());
    Ok(())
}

/// Several places: all of them now, or none.
#[test]
fn d5_several_places_are_reserved_at_once_or_none_is() -> Result<(), Error> {
    let (producer, consumer) = IterableQueue::bounded(3).split()?;
    let reserve = |n| (0..n).map(|_| producer.try_reserve()).collect::<Result<Vec<_>, _>>();
    assert!(reserve(4).is_err());
    for (permit, n) in reserve(3)?.into_iter().zip(1..) {
        permit.put(n)?;
    }
    drop(producer);
    assert_eq!(consumer.into_iter().collect::<Vec<_>>(), [1, 2, 3]);
    Ok(())
}

// Endpoints that know their queue.

#[test]
fn endpoints_know_their_queue() -> Result<(), Error> {
    let queue = support::backend::builder().capacity(1).build()?;
    let (mut producer, mut consumer) = (queue.producer_named("http")?, queue.consumer_named("worker")?);
    assert_eq!((producer.queue_id(), consumer.queue_id()), (queue.id(), queue.id()));
    assert_eq!((producer.name(), consumer.name()), ("http", "worker"));
    assert_eq!((producer.capacity(), consumer.capacity(), queue.downgrade().capacity()), (Some(1), Some(1), Some(1)));

    let looks = |producer: &Producer<_>, consumer: &Consumer<_>| {
        let of_producer = (producer.len(), producer.is_empty(), producer.is_full());
        assert_eq!(of_producer, (consumer.len(), consumer.is_empty(), consumer.is_full()));
        of_producer
    };
    assert_eq!(looks(&producer, &consumer), (0, true, false));
    producer.try_put(7)?;
    assert_eq!(looks(&producer, &consumer), (1, false, true));
    let item = consumer.try_lease()?;
    assert_eq!(looks(&producer, &consumer), (0, true, false));
    assert_eq!(item.queue(), producer.queue_id());
    item.ack();

    let elsewhere = IterableQueue::unbounded().split()?;
    assert!(producer.same_queue(&queue.producer()?) && consumer.same_queue(&consumer.clone()));
    assert!(!producer.same_queue(&elsewhere.0) && !consumer.same_queue(&elsewhere.1));
    assert_eq!(elsewhere.0.queue_id(), elsewhere.1.queue_id());

    // Also when it is closed.
    let id = producer.id();
    assert_eq!(queue.snapshot().producers[0].id, id);
    producer.close();
    let closed = producer.clone();
    assert!(closed.is_closed() && queue.snapshot().producers.is_empty(), "looking does not keep it open");
    assert_eq!((closed.id(), closed.name(), closed.queue_id()), (id, "http", queue.id()));
    assert_eq!(looks(&closed, &consumer), (0, true, false));
    Ok(())
}

// A handle that only looks.

/// The `eye` of the guide, without a `seal()`.
#[test]
fn c3_a_weak_handle_watches_a_queue_that_seals_itself() -> Result<(), Error> {
    let queue = support::backend::builder().name("jobs").build()?;
    let eye = queue.downgrade();
    let (id, drained) = (queue.id(), eye.drained());
    let (producer, mut consumer) = queue.split()?;
    assert_eq!((eye.id(), eye.name(), eye.state()), (id, Some("jobs"), State::Sealed));
    producer.try_put("work")?;
    assert_eq!((eye.len(), eye.is_empty()), (1, false));
    assert!(eye.snapshot().blockers().to_string().starts_with("producer producer-1 is open"));
    drop(producer);
    assert_eq!(consumer.try_get()?, "work");
    assert_eq!(drained.now_or_never().map(|end| end.totals.taken), Some(1));
    assert_eq!(eye.clone().state(), State::Drained);
    Ok(())
}

#[test]
fn c3_a_weak_handle_is_upgraded_while_there_is_a_strong_one() -> Result<(), Error> {
    let queue = IterableQueue::<u8>::unbounded();
    let weak = queue.downgrade();
    let upgraded = weak.upgrade().expect("there is one");
    drop(queue);
    assert_eq!(weak.state(), State::Open, "the upgraded one keeps it so");
    let _producer = upgraded.producer()?;
    let another = upgraded.clone();
    drop(upgraded);
    assert_eq!(weak.state(), State::Open);
    // Sealed is not gone.
    another.seal();
    assert_eq!(weak.upgrade().map(|queue| queue.consumer().unwrap_err()), Some(OpenError::Sealed));
    drop(another);
    assert!(weak.upgrade().is_none());
    Ok(())
}

#[test]
fn c3_an_address_of_the_queues_actor_counts_as_a_strong_handle() {
    within_watchdog(|| {
        System::new().block_on(async {
            let queue = IterableQueue::<u8>::unbounded();
            let (weak, consumer) = (queue.downgrade(), queue.consumer().unwrap());
            let address = QueueActor::new(queue).start();
            assert!(weak.upgrade().is_some_and(|queue| queue.producer().is_ok()));
            drop(address);
            assert_eq!(consumer.count().await, 0);
            assert!(weak.upgrade().is_none());
        });
    });
}

// Closures.

/// With `T` known only from what is put later, `item.ack()` does not compile: an item dereferences to its `T`, where
/// the compiler would look for `ack`, too. `Item::ack` leaves nothing to look for.
#[test]
fn closures_need_not_name_the_items_type() {
    within_watchdog(|| {
        let (producer, consumer) = IterableQueue::bounded(4).split().unwrap();
        let (mut by_path, mut bound_before, leases) = (consumer.clone(), consumer.clone(), consumer.clone());
        let done = |item| Item::ack(item);
        let threads = [
            thread::spawn(move || {
                let mut acked = 0;
                consumer.into_blocking_leases().for_each(|item| {
                    acked += 1;
                    Item::ack(item);
                });
            }),
            thread::spawn(move || by_path.blocking_leases().for_each(Item::ack)),
            thread::spawn(move || bound_before.blocking_leases().for_each(done)),
            thread::spawn(move || {
                futures::executor::block_on(leases.into_leases().for_each(|item| async { Item::ack(item) }));
            }),
        ];
        (0..100).for_each(|n| producer.blocking_put(n).unwrap());
        drop(producer);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn closures_whose_items_are_known_just_ack() {
    let mut consumer = filled([1, 2, 3, 4]);
    consumer.blocking_leases().take(1).for_each(|item| item.ack());
    consumer.leases().take(1).for_each(|item| async move { item.ack() }).now_or_never().expect("it is there");
    consumer.blocking_leases().take(1).for_each(|item| catch_unwind(|| item.ack()).unwrap());
    thread::spawn(move || consumer.into_blocking_leases().for_each(|item| item.ack())).join().unwrap();
}
