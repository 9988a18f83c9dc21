//! Models that are small enough for every schedule of them to be tried: by loom, which also knows
//! weak memory, and at random by shuttle. Each is named after the rule of the contract that it checks.
//!
//! More schedules: `MODEL_PREEMPTIONS` (loom) and `MODEL_SCHEDULES` (shuttle).

use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use model::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use model::sync::thread::{JoinHandle, spawn};
use model::{
    Builder, Claim, Consumer, Drained, Item, IterableQueue, Mailbox, Next, Outcome, Producer, Pusher, PutError,
    PutMessage, Refusal, State, Worker, block_on, check, close_from_outside, shut_down, watched,
};

type Queue = IterableQueue<u8>;

/// What fails comes back at once, as a model's time does not pass.
fn built(builder: Builder<u8>) -> Queue {
    builder.no_redelivery_backoff().build().unwrap()
}

fn unbounded() -> (Queue, Producer<u8>, Consumer<u8>) {
    opened(built(Queue::builder()))
}

fn opened(queue: Queue) -> (Queue, Producer<u8>, Consumer<u8>) {
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    (queue, producer, consumer)
}

/// Sealed, no producer open, and one item that the first of two consumers holds.
fn one_leased() -> (Queue, Item<u8>, Consumer<u8>, Consumer<u8>) {
    let (queue, producer, mut holder) = unbounded();
    let other = queue.consumer().unwrap();
    producer.try_put(1).unwrap();
    queue.seal();
    let item = holder.try_lease().unwrap();
    (queue, item, holder, other)
}

fn join<R>(thread: JoinHandle<R>) -> R {
    thread.join().unwrap()
}

/// C6, when all calls have returned.
#[track_caller]
fn assert_conserved(queue: &Queue) {
    let seen = queue.snapshot();
    let totals = &seen.totals;
    let settled = totals.acked + totals.taken + totals.dead_lettered + totals.discarded;
    assert_eq!(totals.accepted, settled + seen.buffered as u64 + seen.leased, "{seen}");
}

/// C5, with all items acked.
#[track_caller]
fn assert_drained(queue: &Queue, acked: u64) {
    assert_eq!(queue.state(), State::Drained);
    let Drained { outcome, totals, .. } = queue.blocking_drained();
    assert_eq!((outcome, totals.acked, totals.accepted), (Outcome::Complete, acked, acked));
}

fn ack_all(mut consumer: Consumer<u8>) -> Vec<u8> {
    let mut acked = Vec::new();
    while let Some(item) = consumer.blocking_lease() {
        acked.push(*item);
        item.ack();
    }
    acked
}

/// In batches that wait for more without a limit.
fn ack_batches(mut consumer: Consumer<u8>) -> usize {
    let mut acked = 0;
    loop {
        let batch = consumer.blocking_lease_batch(9, Duration::MAX);
        if batch.is_empty() {
            return acked;
        }
        acked += batch.len();
        batch.ack();
    }
}

#[test]
fn d14_a_batch_that_waits_against_the_last_close() {
    check(|| {
        let (queue, producer, consumer) = unbounded();
        queue.seal();
        let putting = spawn(move || producer.try_put(1).unwrap());
        assert_eq!(ack_batches(consumer), 1);
        join(putting);
        assert_drained(&queue, 1);
    });
}

/// A batch waits for more while another thread settles what else is leased.
fn batch_against_a_settle(settle: fn(Item<u8>), acked: usize) {
    let (queue, producer, mut holder) = unbounded();
    let consumer = queue.consumer().unwrap();
    (1..=2).for_each(|n| producer.try_put(n).unwrap());
    queue.seal();
    drop(producer);
    let item = holder.try_lease().unwrap();
    let settling = spawn(move || settle(item));
    assert_eq!(ack_batches(consumer), acked);
    join(settling);
    assert_drained(&queue, 2);
}

#[test]
fn d14_a_batch_that_waits_against_the_ack_of_what_it_waits_for() {
    check(|| batch_against_a_settle(Item::ack, 1));
}

#[test]
fn d14_a_batch_that_waits_against_the_return_of_what_it_waits_for() {
    check(|| batch_against_a_settle(Item::requeue, 2));
}

#[test]
fn d14_two_batches_that_wait_do_not_wait_for_each_other() {
    check(|| {
        let (queue, producer, one) = unbounded();
        let other = queue.consumer().unwrap();
        (1..=2).for_each(|n| producer.try_put(n).unwrap());
        queue.seal();
        drop(producer);
        let beside = spawn(move || ack_batches(other));
        let acked = ack_batches(one);
        assert_eq!(acked + join(beside), 2);
        assert_drained(&queue, 2);
    });
}

#[test]
fn c5_the_last_close_against_seal() {
    check(|| {
        let (queue, producer, consumer) = unbounded();
        let closing = spawn(move || {
            producer.try_put(1).unwrap();
            drop(producer);
        });
        let sealing = spawn({
            let queue = queue.clone();
            move || queue.seal()
        });
        assert_eq!(ack_all(consumer), [1]);
        join(closing);
        join(sealing);
        assert_drained(&queue, 1);
    });
}

#[test]
fn c5_whoever_waits_for_the_end_hears_of_it() {
    check(|| {
        let (queue, producer, _consumer) = unbounded();
        queue.seal();
        let closing = spawn(move || drop(producer));
        assert_eq!(queue.blocking_drained().outcome, Outcome::Complete);
        join(closing);
    });
}

/// It waits in a line of its own, and hears of each change after which puts are refused.
#[test]
fn d8_whoever_waits_until_puts_are_refused_hears_of_abort() {
    check(|| {
        let (queue, producer, _consumer) = unbounded();
        let waiting = spawn(move || block_on(producer.closed()));
        assert!(queue.abort().is_empty());
        assert_eq!(join(waiting), Refusal::Aborted);
    });
}

#[test]
fn d7_whoever_waits_until_puts_are_refused_hears_of_the_last_consumer() {
    check(|| {
        let (queue, producer, consumer) = unbounded();
        queue.seal();
        let waiting = spawn(move || block_on(producer.closed()));
        drop(consumer);
        assert_eq!(join(waiting), Refusal::Abandoned);
    });
}

#[test]
fn a3_whoever_waits_until_puts_are_refused_hears_of_a_close_from_outside() {
    check(|| {
        let queue = built(Queue::builder());
        let producer = watched(&queue);
        let waiting = spawn({
            let producer = producer.clone();
            move || block_on(producer.closed())
        });
        close_from_outside(&queue, &producer);
        assert_eq!(join(waiting), Refusal::Closed);
    });
}

#[test]
fn c3_the_last_handle_seals_against_the_last_close() {
    check(|| {
        let (queue, producer, mut consumer) = unbounded();
        let another = queue.clone();
        let threads = [spawn(move || drop(queue)), spawn(move || drop(another)), spawn(move || drop(producer))];
        assert_eq!(consumer.blocking_get(), None);
        threads.into_iter().for_each(join);
    });
}

/// Either it comes before, and the queue stays open until its own handle goes; or there is none any more.
#[test]
fn c3_an_upgrade_against_the_last_handles_drop() {
    check(|| {
        let queue = built(Queue::builder());
        let weak = queue.downgrade();
        let dropping = spawn(move || drop(queue));
        let producer = weak.upgrade().map(|queue| queue.producer());
        join(dropping);
        assert!(weak.upgrade().is_none());
        match producer {
            Some(opened) => {
                let _producer = opened.expect("it stays open while there is a handle");
                assert_eq!(weak.state(), State::Sealed);
            }
            None => assert_eq!(weak.state(), State::Drained),
        }
    });
}

#[test]
fn c5_the_last_settle_against_a_waiting_consumer() {
    check(|| {
        let (queue, item, _holder, mut waiting) = one_leased();
        let settling = spawn(move || item.ack());
        assert!(waiting.blocking_lease().is_none());
        join(settling);
        assert_drained(&queue, 1);
    });
}

#[test]
fn c5_the_last_take_without_a_lease_against_a_waiting_consumer() {
    check(|| {
        let (queue, producer, mut taker) = unbounded();
        let mut other = queue.consumer().unwrap();
        producer.try_put(1).unwrap();
        queue.seal();
        drop(producer);
        let taking = spawn(move || taker.blocking_get().is_some());
        let taken = other.blocking_get().is_some();
        assert!(taken || other.blocking_get().is_none());
        assert_ne!(join(taking), taken);
        assert_eq!(queue.state(), State::Drained);
    });
}

#[test]
fn c5_two_consumers_claim_while_the_last_producer_closes() {
    check(|| {
        let (queue, producer, one) = unbounded();
        let other = queue.consumer().unwrap();
        queue.seal();
        let putting = spawn(move || producer.try_put(1).unwrap());
        let working = spawn(move || ack_all(one));
        let acked = ack_all(other).len() + join(working).len();
        join(putting);
        assert_eq!(acked, 1);
        assert_drained(&queue, 1);
    });
}

#[test]
fn d9_a_child_of_the_last_lease_is_waited_for() {
    check(|| {
        let (queue, item, _holder, waiting) = one_leased();
        let settling = spawn(move || {
            item.put_child(2).unwrap();
            item.ack();
        });
        assert_eq!(ack_all(waiting), [2]);
        join(settling);
        assert_drained(&queue, 2);
    });
}

#[test]
fn d9_a_child_beside_a_bounded_buffer_is_waited_for() {
    check(|| {
        let (queue, producer, mut holder) = opened(built(Queue::builder().capacity(1)));
        let waiting = queue.consumer().unwrap();
        producer.try_put(1).unwrap();
        queue.seal();
        let item = holder.try_lease().unwrap();
        let settling = spawn(move || {
            item.put_child(3).unwrap();
            item.ack();
        });
        let putting = spawn(move || producer.try_put(2).unwrap());
        let mut acked = ack_all(waiting);
        acked.sort_unstable();
        assert_eq!(acked, [2, 3]);
        join(settling);
        join(putting);
        assert_drained(&queue, 3);
    });
}

/// The double reading itself: one that looks for the end is overtaken between any two of its looks
/// by leases that put, are settled, and whose children are taken by others.
#[test]
fn d9_a_child_of_a_child_while_somebody_looks_for_the_end() {
    check(|| {
        let (queue, producer, mut taker) = unbounded();
        let (mut holder, leaving) = (queue.consumer().unwrap(), queue.consumer().unwrap());
        producer.try_put(1).unwrap();
        queue.seal();
        let item = holder.try_lease().unwrap();
        drop(producer);
        let settling = spawn(move || {
            item.put_child(2).unwrap();
            item.ack();
        });
        let looking = spawn(move || drop(leaving));
        let taking = spawn(move || {
            let child = taker.try_lease().map(|item| {
                item.put_child(3).unwrap();
                item.ack();
            });
            (taker, child.is_ok())
        });
        join(settling);
        join(looking);
        let (taker, was_there) = join(taking);
        let left = ack_all(taker);
        assert_eq!(left, if was_there { [3] } else { [2] });
        assert_drained(&queue, if was_there { 3 } else { 2 });
    });
}

#[test]
fn d3_redelivery_against_drained() {
    check(|| {
        let (queue, item, _holder, waiting) = one_leased();
        let failing = spawn(move || item.requeue());
        assert_eq!(ack_all(waiting), [1]);
        join(failing);
        assert_drained(&queue, 1);
    });
}

/// The giver has new work to do besides, and the other one is busy: nobody may leave what came back
/// to somebody who has gone.
#[test]
fn d1_what_came_back_is_left_to_nobody() {
    check(|| {
        let (queue, producer, mut giver) = unbounded();
        let mut other = queue.consumer().unwrap();
        (1..=3).try_for_each(|n| producer.try_put(n)).unwrap();
        queue.seal();
        drop(producer);
        let (failed, held) = (giver.try_lease().unwrap(), other.try_lease().unwrap());
        failed.requeue();
        let settling = spawn(move || {
            held.ack();
            drop(other);
        });
        assert_eq!(ack_all(giver).len(), 2);
        join(settling);
        assert_drained(&queue, 3);
    });
}

/// A giver leaves what it gave back to the one at work, for there is something new; which a third one takes.
#[test]
fn d4_who_leaves_its_own_item_for_a_new_one_is_not_left_with_nothing() {
    check(|| {
        let (queue, producer, mut giver) = unbounded();
        let (mut other, mut third) = (queue.consumer().unwrap(), queue.consumer().unwrap());
        (1..=3).try_for_each(|n| producer.try_put(n)).unwrap();
        let (failed, _held) = (giver.try_lease().unwrap(), other.try_lease().unwrap());
        let taking = spawn(move || third.try_get().is_ok());
        failed.requeue();
        assert!(giver.try_get().is_ok(), "there are two items, and one other takes");
        join(taking);
    });
}

/// Of two who wait, one gives up, maybe when it has just been woken for the only item.
#[test]
fn d6_a_cancelled_waiter_that_was_woken_passes_it_on() {
    check(|| {
        let (queue, producer, mut cancelled) = unbounded();
        let mut other = queue.consumer().unwrap();
        let getting = spawn(move || other.blocking_get());
        let mut get = Box::pin(cancelled.get());
        if get.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            let putting = spawn(move || {
                producer.try_put(1).unwrap();
                producer
            });
            drop(get);
            assert_eq!(join(getting), Some(1));
            drop(join(putting));
        }
    });
}

/// One who waits may take an older item than the one it was woken for, while another waits behind it.
#[test]
fn d6_as_many_wake_ups_as_items() {
    check(|| {
        let (queue, producer, mut one) = unbounded();
        let mut other = queue.consumer().unwrap();
        let getting = spawn(move || one.blocking_get().unwrap());
        let putting = spawn(move || {
            (1..=2).try_for_each(|n| producer.try_put(n)).unwrap();
            producer
        });
        assert_eq!(other.blocking_get().unwrap() + join(getting), 3);
        drop(join(putting));
    });
}

#[test]
fn d5_two_puts_wait_for_one_place() {
    check(|| {
        let (queue, producer, mut consumer) = opened(built(Queue::builder().capacity(1)));
        queue.seal();
        let put = |n, producer: Producer<u8>| spawn(move || producer.blocking_put(n).unwrap());
        let putting = [put(1, producer.clone()), put(2, producer)];
        assert_eq!(consumer.blocking_get().unwrap() + consumer.blocking_get().unwrap(), 3);
        assert_eq!(consumer.blocking_get(), None);
        putting.into_iter().for_each(join);
    });
}

/// They are counted without a lock, while some go and others come.
#[test]
fn d5_never_are_there_more_items_than_there_is_room() {
    check(|| {
        let (queue, producer, mut consumer) = opened(built(Queue::builder().capacity(1)));
        producer.try_put(1).unwrap();
        let passing = spawn(move || {
            consumer.try_get().unwrap();
            producer.try_put(2).unwrap();
            consumer.try_get().unwrap();
        });
        assert!(queue.len() <= 1);
        join(passing);
        assert_eq!(queue.len(), 0);
    });
}

/// Of two who wait for room, one gives up, maybe when it has just been woken.
#[test]
fn d6_a_cancelled_put_passes_its_room_on() {
    check(|| {
        let (_queue, producer, mut consumer) = opened(built(Queue::builder().capacity(1)));
        producer.try_put(0).unwrap();
        let putting = spawn({
            let producer = producer.clone();
            move || producer.blocking_put(1).unwrap()
        });
        let mut put = Box::pin(producer.put(2));
        if put.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            let taking = spawn(move || {
                consumer.try_get().unwrap();
                consumer
            });
            drop(put);
            join(putting);
            assert_eq!(join(taking).try_get(), Ok(1));
        }
    });
}

#[test]
fn d1_two_puts_of_one_handle_take_turns() {
    check(|| {
        let (queue, producer, mut consumer) = opened(built(Queue::builder().capacity(1)));
        queue.seal();
        producer.try_put(0).unwrap();
        let producer = Arc::new(producer);
        let putting = [1, 2].map(|n| {
            let producer = Arc::clone(&producer);
            spawn(move || producer.blocking_put(n).unwrap())
        });
        drop(producer);
        let mut got = 0;
        while consumer.blocking_get().is_some() {
            got += 1;
        }
        assert_eq!(got, 3);
        putting.into_iter().for_each(join);
    });
}

/// One put goes before the one that waits; then a place is kept for it.
#[test]
fn d11_a_put_that_waits_against_puts_that_do_not() {
    check(|| {
        let (queue, producer, mut consumer) = opened(built(Queue::builder().capacity(1)));
        producer.try_put(0).unwrap();
        let waiting = spawn({
            let producer = producer.clone();
            move || producer.blocking_put(1).unwrap()
        });
        let others = spawn(move || (2..5).filter(|n| producer.try_put(*n).is_ok()).count());
        queue.seal();
        let mut got = 0;
        while consumer.blocking_get().is_some() {
            got += 1;
        }
        join(waiting);
        assert_eq!(got, 2 + join(others));
        assert_conserved(&queue);
    });
}

/// The place is kept for one that was notified and is never polled; the next one has it all the same.
#[test]
fn d11_a_put_that_waits_beside_one_that_nobody_polls() {
    check(|| {
        let (queue, producer, mut consumer) = opened(built(Queue::builder().capacity(1)));
        producer.try_put(0).unwrap();
        let first = producer.clone();
        let mut unpolled = Box::pin(first.put(1));
        assert!(unpolled.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(consumer.try_get(), Ok(0));
        producer.try_put(2).unwrap();
        let waiting = spawn(move || producer.blocking_put(3).unwrap());
        assert_eq!((consumer.blocking_get(), consumer.blocking_get()), (Some(2), Some(3)));
        join(waiting);
        drop(unpolled);
        assert_conserved(&queue);
    });
}

/// The place that was kept for a put that leaves goes to the next one, or back to everybody.
#[test]
fn d11_a_put_that_leaves_the_place_that_was_kept_for_it() {
    check(|| {
        let (queue, producer, mut consumer) = opened(built(Queue::builder().capacity(1)));
        producer.try_put(0).unwrap();
        let first = producer.clone();
        let mut leaving = Box::pin(first.put(1));
        assert!(leaving.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(consumer.try_get(), Ok(0));
        producer.try_put(2).unwrap();
        let waiting = spawn({
            let producer = producer.clone();
            move || producer.blocking_put(3).unwrap()
        });
        let taking = spawn(move || (consumer.blocking_get(), consumer.blocking_get()));
        drop(leaving);
        join(waiting);
        assert_eq!(join(taking), (Some(2), Some(3)));
        assert_conserved(&queue);
    });
}

#[test]
fn d6_a_permit_that_is_dropped_makes_room() {
    check(|| {
        let (_queue, producer, mut consumer) = opened(built(Queue::builder().capacity(1)));
        let permit = block_on(producer.reserve()).unwrap();
        let putting = spawn({
            let producer = producer.clone();
            move || producer.blocking_put(1).unwrap()
        });
        drop(permit);
        assert_eq!(consumer.blocking_get(), Some(1));
        join(putting);
    });
}

#[test]
fn d7_a_put_against_the_last_consumer() {
    check(|| {
        let (queue, producer, consumer) = unbounded();
        queue.seal();
        let leaving = spawn(move || drop(consumer));
        let put = producer.try_put(1);
        drop(producer);
        join(leaving);
        let Drained { outcome, totals, .. } = queue.blocking_drained();
        match put {
            Ok(()) => assert_eq!((outcome, totals.accepted, totals.discarded), (Outcome::Abandoned, 1, 1)),
            Err(error) => {
                assert_eq!((error.into_inner(), totals.accepted), (1, 0));
                assert_eq!(outcome, Outcome::Complete);
            }
        }
        assert_conserved(&queue);
    });
}

/// Abandoned with an item in the buffer, the queue ends with the last settle.
#[test]
fn d7_the_last_settle_against_the_last_consumer() {
    check(|| {
        let (queue, producer, mut consumer) = unbounded();
        (1..=2).try_for_each(|n| producer.try_put(n)).unwrap();
        queue.seal();
        drop(producer);
        let item = consumer.try_lease().unwrap();
        let settling = spawn(move || item.ack());
        let leaving = spawn(move || drop(consumer));
        let Drained { outcome, totals, .. } = queue.blocking_drained();
        assert_eq!((outcome, totals.acked, totals.discarded), (Outcome::Abandoned, 1, 1));
        join(settling);
        join(leaving);
    });
}

#[test]
fn d7_a_waiting_put_outlasts_the_first_of_two_pools() {
    check(|| {
        let queue = built(Queue::builder().capacity(1));
        let producer = queue.producer().unwrap();
        let (one, other) = (Claim::on(&queue), Claim::on(&queue));
        producer.try_put(1).unwrap();
        queue.seal();
        let ended = Arc::new(AtomicUsize::new(0));
        let end = |claim: Claim<u8>, worker: bool| {
            let ended = Arc::clone(&ended);
            spawn(move || {
                // One of them still replaces a worker.
                drop(worker.then(|| claim.consumer()));
                ended.fetch_add(1, SeqCst);
                drop(claim);
            })
        };
        let ending = [end(one, true), end(other, false)];
        assert_eq!(producer.blocking_put(2), Err(PutError::new(2, Refusal::Abandoned)));
        assert_eq!(ended.load(SeqCst), 2, "a pool was there");
        ending.into_iter().for_each(join);
        assert_conserved(&queue);
    });
}

#[test]
fn d8_abort_against_a_put_and_a_take() {
    check(|| {
        let (queue, producer, mut consumer) = unbounded();
        let putting = spawn(move || producer.try_put(1).is_ok());
        let taking = spawn(move || match consumer.try_lease() {
            Ok(item) => {
                item.ack();
                true
            }
            Err(_) => false,
        });
        let left = queue.abort().len();
        let (put, taken) = (join(putting), join(taking));
        assert_eq!(usize::from(put), left + usize::from(taken));
        assert_eq!(queue.state(), State::Aborted);
        assert_conserved(&queue);
    });
}

fn child_against_abort(queue: Queue) {
    let (queue, producer, mut consumer) = opened(queue);
    producer.try_put(1).unwrap();
    let item = consumer.try_lease().unwrap();
    let working = spawn(move || {
        let put = item.put_child(2).is_ok();
        item.ack();
        put
    });
    let left = queue.abort();
    assert_eq!(left, if join(working) { vec![2] } else { vec![] });
    assert_conserved(&queue);
    let totals = queue.blocking_drained().totals;
    assert_eq!((totals.accepted, totals.discarded), (1 + left.len() as u64, left.len() as u64));
}

#[test]
fn d8_abort_against_a_child() {
    check(|| child_against_abort(built(Queue::builder())));
}

#[test]
fn d8_abort_against_a_child_beside_the_buffer() {
    check(|| child_against_abort(built(Queue::builder().capacity(1))));
}

#[test]
fn d8_abort_wakes_everybody() {
    check(|| {
        let (queue, producer, _consumer) = opened(built(Queue::builder().capacity(1)));
        let mut waiting = queue.consumer().unwrap();
        let item = {
            producer.try_put(1).unwrap();
            waiting.try_lease().unwrap()
        };
        producer.try_put(2).unwrap();
        let putting = spawn(move || producer.blocking_put(3));
        let failing = spawn(move || drop(item));
        let left = queue.abort();
        assert_eq!(join(putting), Err(PutError::new(3, Refusal::Aborted)));
        join(failing);
        assert!(left == [1, 2] || left == [2], "{left:?}");
        while waiting.blocking_get().is_some() {}
        assert_conserved(&queue);
    });
}

/// A shutdown does not close producers, but nobody can put any more: what was accepted is known at its end.
#[test]
fn c6_a_take_without_a_lease_against_the_end_of_a_shutdown() {
    check(|| {
        let (queue, producer, mut consumer) = unbounded();
        producer.try_put(1).unwrap();
        let taking = spawn(move || consumer.blocking_get());
        shut_down(&queue);
        assert_eq!(join(taking), Some(1));
        let Drained { outcome, totals, .. } = queue.blocking_drained();
        assert_eq!((outcome, totals.accepted, totals.taken), (Outcome::Complete, 1, 1));
    });
}

/// The end waits for what was promised, and for what was put.
#[test]
fn d6_a_permit_against_a_shutdown() {
    check(|| {
        let (queue, producer, consumer) = opened(built(Queue::builder().capacity(1)));
        let permit = block_on(producer.reserve()).unwrap();
        let putting = spawn(move || permit.put(1).unwrap());
        shut_down(&queue);
        assert_eq!(ack_all(consumer), [1]);
        join(putting);
        assert_drained(&queue, 1);
    });
}

/// Of a permit that is given back nothing comes, and the end hears of it.
#[test]
fn d6_a_permit_that_is_dropped_against_a_shutdown() {
    check(|| {
        let (queue, producer, consumer) = opened(built(Queue::builder().capacity(1)));
        let permit = block_on(producer.reserve()).unwrap();
        let dropping = spawn(move || drop(permit));
        shut_down(&queue);
        assert!(ack_all(consumer).is_empty());
        join(dropping);
        assert_drained(&queue, 0);
    });
}

#[test]
fn d6_a_reservation_against_a_shutdown() {
    check(|| {
        let (queue, producer, consumer) = opened(built(Queue::builder().capacity(1)));
        let putting = spawn(move || {
            let permit = block_on(producer.reserve());
            permit.map(|permit| permit.put(1).unwrap()).is_ok()
        });
        shut_down(&queue);
        let acked = ack_all(consumer).len();
        assert_eq!(acked, usize::from(join(putting)));
        assert_drained(&queue, acked as u64);
    });
}

#[test]
fn d8_abort_against_a_permits_put() {
    check(|| {
        let (queue, producer, _consumer) = opened(built(Queue::builder().capacity(1)));
        let permit = block_on(producer.reserve()).unwrap();
        let putting = spawn(move || permit.put(1).is_ok());
        let left = queue.abort();
        assert_eq!(left, if join(putting) { vec![1] } else { vec![] });
        assert_conserved(&queue);
        let totals = queue.blocking_drained().totals;
        assert_eq!((totals.accepted, totals.discarded), (left.len() as u64, left.len() as u64));
    });
}

/// An item of a producer that is taken beside a child leaves room, and the child none: the put that waits hears of it.
#[test]
fn d6_a_put_waits_while_a_child_and_an_item_are_taken() {
    check(|| {
        let (_queue, producer, mut taker) = opened(built(Queue::builder().capacity(1)));
        producer.try_put(0).unwrap();
        let parent = taker.try_lease().unwrap();
        parent.put_child(1).unwrap();
        producer.try_put(2).unwrap();
        let putting = spawn(move || producer.blocking_put(3).unwrap());
        assert_eq!((taker.try_get(), taker.try_get()), (Ok(1), Ok(2)));
        join(putting);
        assert_eq!(taker.try_get(), Ok(3));
        parent.ack();
    });
}

/// The only room is a permit's, beside a child that stays.
#[test]
fn d6_a_permit_that_is_dropped_beside_a_child_makes_room() {
    check(|| {
        let (_queue, producer, mut consumer) = opened(built(Queue::builder().capacity(1)));
        producer.try_put(0).unwrap();
        let parent = consumer.try_lease().unwrap();
        let permit = block_on(producer.reserve()).unwrap();
        parent.put_child(1).unwrap();
        let putting = spawn({
            let producer = producer.clone();
            move || producer.blocking_put(2).unwrap()
        });
        drop(permit);
        join(putting);
        assert_eq!((consumer.try_get(), consumer.try_get()), (Ok(1), Ok(2)));
        parent.ack();
    });
}

/// The last consumer leaves its lease behind: with it nobody can take, and what it put is discarded, or refused.
#[test]
fn d7_a_child_against_the_last_consumer() {
    check(|| {
        let (queue, producer, mut consumer) = opened(built(Queue::builder().capacity(1)));
        producer.try_put(1).unwrap();
        queue.seal();
        drop(producer);
        let item = consumer.try_lease().unwrap();
        let working = spawn(move || {
            let put = item.put_child(2);
            item.ack();
            put
        });
        drop(consumer);
        let put = join(working);
        let Drained { outcome, totals, .. } = queue.blocking_drained();
        match put {
            Ok(()) => assert_eq!((outcome, totals.accepted, totals.discarded), (Outcome::Abandoned, 2, 1)),
            Err(error) => {
                assert_eq!((error.reason(), outcome), (Refusal::Abandoned, Outcome::Complete));
                assert_eq!((totals.accepted, totals.discarded), (1, 0));
            }
        }
        assert_eq!(totals.acked, 1);
        assert_conserved(&queue);
    });
}

/// A shutdown waits for the permit, and hears also of one whose put is refused, as nobody is left to take it.
#[test]
fn d7_a_permit_of_a_shutdown_against_the_last_consumer() {
    check(|| {
        let (queue, producer, consumer) = opened(built(Queue::builder().capacity(1)));
        let permit = block_on(producer.reserve()).unwrap();
        shut_down(&queue);
        let putting = spawn(move || permit.put(1));
        drop(consumer);
        let Drained { outcome, totals, .. } = queue.blocking_drained();
        match join(putting) {
            Ok(()) => assert_eq!((outcome, totals.accepted, totals.discarded), (Outcome::Abandoned, 1, 1)),
            Err(error) => {
                assert_eq!((error.reason(), outcome, totals.accepted), (Refusal::Abandoned, Outcome::Complete, 0));
            }
        }
        assert_conserved(&queue);
    });
}

/// Its place is free again, and the put of another endpoint that waits for it hears of that.
#[test]
fn a3_a_permit_against_a_close_from_outside() {
    check(|| {
        let queue = built(Queue::builder().capacity(1));
        let (dead, other, mut consumer) = (watched(&queue), queue.producer().unwrap(), queue.consumer().unwrap());
        let permit = block_on(dead.reserve()).unwrap();
        queue.seal();
        let putting = spawn(move || other.blocking_put(2).unwrap());
        let closing = spawn({
            let queue = queue.clone();
            move || close_from_outside(&queue, &dead)
        });
        let put = permit.put(1);
        let mut got: Vec<_> = std::iter::from_fn(|| consumer.blocking_get()).collect();
        got.sort_unstable();
        assert_eq!(got, if put.is_ok() { vec![1, 2] } else { vec![2] });
        join(putting);
        join(closing);
        assert_eq!(queue.state(), State::Drained);
        assert_conserved(&queue);
    });
}

#[test]
fn c4_a_close_that_races_with_a_put_message() {
    check(|| {
        let (queue, mut producer, consumer) = opened(built(Queue::builder().capacity(1)));
        queue.seal();
        producer.try_put(1).unwrap();
        let message = PutMessage::new(&producer, 2);
        let putting = spawn(move || assert_eq!(message.put(), Some(Ok(()))));
        let closing = spawn(move || producer.close());
        assert_eq!(ack_all(consumer), [1, 2]);
        join(putting);
        join(closing);
        assert_drained(&queue, 2);
    });
}

#[test]
fn a3_a_put_against_a_close_from_outside() {
    check(|| {
        let queue = built(Queue::builder());
        let (producer, mut consumer) = (watched(&queue), queue.consumer().unwrap());
        queue.seal();
        let putting = spawn({
            let producer = producer.clone();
            move || producer.try_put(1).is_ok()
        });
        close_from_outside(&queue, &producer);
        let got = consumer.blocking_get().is_some();
        assert_eq!(join(putting), got);
        assert_eq!(queue.state(), State::Drained);
        assert_conserved(&queue);
    });
}

/// A consumer actor that holds as many items as it may, and stands in no line.
#[test]
fn a2_a_worker_at_its_limit_hears_of_the_settle() {
    check(|| {
        let (queue, producer, consumer) = unbounded();
        (1..=2).try_for_each(|n| producer.try_put(n)).unwrap();
        queue.seal();
        drop(producer);
        let mut worker = Worker::new(consumer, 1);
        let Next::Item(first) = worker.wait_for_next() else { panic!("two items are there") };
        let settling = spawn(move || first.ack());
        let Next::Item(second) = worker.wait_for_next() else { panic!("one item is there") };
        second.ack();
        assert!(matches!(worker.wait_for_next(), Next::Drained));
        join(settling);
        assert_drained(&queue, 2);
    });
}

#[test]
fn a6_a_paused_worker_hears_that_it_may_go_on() {
    check(|| {
        let (_queue, producer, consumer) = unbounded();
        producer.try_put(1).unwrap();
        let mut worker = Worker::new(consumer, 1);
        let orders = worker.orders();
        orders.pause(true);
        let resuming = spawn(move || orders.pause(false));
        let Next::Item(item) = worker.wait_for_next() else { panic!("an item is there") };
        item.ack();
        join(resuming);
    });
}

#[test]
fn a6_a_worker_leaves_when_it_waits_or_has_settled() {
    check(|| {
        let (_queue, producer, consumer) = unbounded();
        producer.try_put(1).unwrap();
        let mut worker = Worker::new(consumer, 1);
        let orders = worker.orders();
        let Next::Item(item) = worker.wait_for_next() else { panic!("an item is there") };
        let settling = spawn(move || item.ack());
        let telling = spawn(move || orders.leave());
        assert!(matches!(worker.wait_for_next(), Next::Left));
        join(settling);
        join(telling);
    });
}

/// A worker that is paused while it waits leaves the line, or it would be woken in vain for others' items.
#[test]
fn a6_a_paused_worker_is_in_nobody_s_way() {
    check(|| {
        let (queue, producer, consumer) = unbounded();
        let mut other = queue.consumer().unwrap();
        let mut worker = Worker::new(consumer, 1);
        let orders = worker.orders();
        let working = spawn(move || {
            while let Next::Item(item) = worker.wait_for_next() {
                item.requeue();
            }
        });
        let getting = spawn(move || other.blocking_get());
        orders.pause(true);
        producer.try_put(1).unwrap();
        assert_eq!(join(getting), Some(1));
        queue.seal();
        drop(producer);
        join(working);
    });
}

/// The item is accepted again before the end, or refused after it; the last settle and the retry agree on that.
#[test]
fn c5_a_retried_letter_against_the_last_settle() {
    check(|| {
        let (queue, producer, mut consumer) = unbounded();
        (1..=2).for_each(|n| producer.try_put(n).unwrap());
        drop(producer);
        consumer.try_lease().unwrap().reject("bad");
        let last = consumer.try_lease().unwrap();
        queue.seal();
        let settling = spawn(move || {
            last.ack();
            ack_all(consumer)
        });
        let retried = queue.blocking_retry_dead_letters(..);
        let acked = join(settling);
        match retried {
            Ok(1) => assert_eq!(acked, [1]),
            Err(Refusal::Ended) => assert!(acked.is_empty() && queue.blocking_list_dead_letters().unwrap().len() == 1),
            other => panic!("{other:?}"),
        }
        assert_eq!(queue.state(), State::Drained);
        assert_conserved(&queue);
    });
}

/// The reader gets the letter, whichever was first.
#[test]
fn d3_a_dead_letter_against_a_reader_that_is_opened() {
    check(|| {
        let (queue, producer, mut consumer) = unbounded();
        producer.try_put(1).unwrap();
        let item = consumer.try_lease().unwrap();
        let rejecting = spawn(move || item.reject("bad"));
        let mut reader = queue.dead_letters().unwrap();
        join(rejecting);
        assert_eq!(reader.try_get().unwrap().item, 1);
        drop((producer, consumer));
    });
}

/// The letter is kept, or the reader has it.
#[test]
fn d3_a_dead_letter_against_a_reader_that_leaves() {
    check(|| {
        let (queue, producer, mut consumer) = unbounded();
        producer.try_put(1).unwrap();
        let item = consumer.try_lease().unwrap();
        let mut reader = queue.dead_letters().unwrap();
        let leaving = spawn(move || reader.try_get().is_ok());
        item.reject("bad");
        let read = join(leaving);
        assert_eq!(queue.blocking_list_dead_letters().unwrap().len(), usize::from(!read));
        drop((producer, consumer));
    });
}

/// An actor that holds one of two items is sent the other: by the settle, by the put, or by the queue's actor.
#[test]
fn a2_an_item_for_an_actor_at_its_limit_against_the_settle() {
    check(|| {
        let (queue, producer, consumer) = unbounded();
        producer.try_put(1).unwrap();
        let mailbox = Mailbox::default();
        let pusher = Pusher::register(consumer, 1, mailbox.clone());
        let first = mailbox.read().unwrap();
        let putting = spawn(move || producer.try_put(2).unwrap());
        first.ack();
        let second = pusher.wait_for_item(&mailbox);
        join(putting);
        assert_eq!((*second, mailbox.read().is_none()), (2, true));
        second.ack();
        pusher.unregister();
        assert_conserved(&queue);
    });
}

/// Puts and settles send on two threads. The actor gets each item once, in order.
#[test]
fn d1_items_that_several_threads_send_to_an_actor() {
    check(|| {
        let (queue, producer, consumer) = unbounded();
        let mailbox = Mailbox::default();
        let pusher = Pusher::register(consumer, 2, mailbox.clone());
        producer.try_put(1).unwrap();
        let putting = spawn(move || (2..=3).for_each(|item| producer.try_put(item).unwrap()));
        for expected in 1..=3 {
            let item = pusher.wait_for_item(&mailbox);
            assert_eq!(*item, expected);
            item.ack();
        }
        join(putting);
        pusher.unregister();
        assert_conserved(&queue);
    });
}

/// After it is unregistered, an actor is sent nothing, and the item goes to another one.
#[test]
fn c5_an_actor_that_is_unregistered_against_a_put() {
    check(|| {
        let (queue, producer, consumer) = unbounded();
        let (mailbox, mut other) = (Mailbox::default(), queue.consumer().unwrap());
        let pusher = Pusher::register(consumer, 1, mailbox.clone());
        let putting = spawn(move || producer.try_put(1).unwrap());
        pusher.unregister();
        let sent = mailbox.read();
        join(putting);
        assert!(mailbox.read().is_none(), "it was sent after that");
        match sent {
            Some(item) => item.ack(),
            None => other.try_lease().unwrap().ack(),
        }
        assert_conserved(&queue);
    });
}

/// What was kept reaches a reader that is opened as the queue ends.
#[test]
fn c3_a_reader_that_is_opened_against_the_end() {
    check(|| {
        let (queue, producer, mut consumer) = unbounded();
        producer.try_put(1).unwrap();
        consumer.try_lease().unwrap().reject("bad");
        queue.seal();
        let ending = spawn(move || drop(producer));
        let mut reader = queue.dead_letters().unwrap();
        assert_eq!(reader.blocking_get().map(|letter| letter.item), Some(1));
        join(ending);
        assert!(reader.blocking_get().is_none());
        drop(consumer);
    });
}
