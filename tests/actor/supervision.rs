//! A `QueueActor` that is restarted keeps everything; one that is gone for good tells everybody
//! who waits (A4).

use std::future::Future;
use std::thread;
use std::time::Duration;

use actix::prelude::*;
use actix_iterable_queue::State;
use actix_iterable_queue::error::{PutError, Refusal};
use actix_iterable_queue::prelude::*;
use futures::channel::oneshot;
use futures::{FutureExt, join};
use support::actors::{Hand, Run, in_system, quiet, run, until};
use support::backend::{self, Soon};
use support::hook;

type Queue = IterableQueue<u32>;
type Address = Addr<QueueActor<u32>>;

fn restart() -> Run<QueueActor<u32>> {
    run(|_, ctx: &mut Context<_>| ctx.stop())
}

fn panics() -> Run<QueueActor<u32>> {
    run(|_, _: &mut Context<_>| panic!("the actor is gone for good"))
}

#[test]
fn a4_a_restart_keeps_buffer_registry_leases_and_waiting_puts() {
    in_system(|| async {
        let queue = IterableQueue::bounded(1);
        let handle = queue.clone();
        let actor = Supervisor::start(|_| QueueActor::new(queue));
        let producer = actor.send(OpenProducer::new().named("kept")).await.unwrap().unwrap();
        let (hand, mut events) = Hand::push();
        let id = actor.send(RegisterConsumer::new(hand)).await.unwrap().unwrap();
        actor.send(Put::new(&producer, 1)).await.unwrap().unwrap();
        let first = events.item().await;
        actor.send(Put::new(&producer, 2)).await.unwrap().unwrap();
        let third = actor.send(Put::new(&producer, 3));
        let fourth = actor.send(Put::new(&producer, 4));
        quiet().await;

        actor.do_send(restart());
        let behind = actor.send(Inspect); // the mailbox is kept as well
        let seen = behind.await.unwrap();
        assert_eq!((seen.state, seen.buffered, seen.leased, seen.waiting_puts > 0), (State::Open, 1, 1, true));
        assert_eq!((&*seen.producers[0].name, seen.consumers[0].id), ("kept", id));
        actor.send(restart()).await.unwrap();
        quiet().await;
        events.nothing().await; // the limit holds over restarts

        drop((producer, actor, handle));
        let mut in_hand = first;
        for n in 2..=4 {
            in_hand.ack();
            in_hand = events.item().await;
            assert_eq!((*in_hand, in_hand.attempt()), (n, 1));
        }
        in_hand.ack();
        third.await.unwrap().unwrap();
        fourth.await.unwrap().unwrap();
        let drained = events.drained().await;
        assert_eq!((drained.outcome, drained.totals.acked), (Outcome::Complete, 4));
        events.end().await;
    });
}

#[test]
fn a4_a_restart_keeps_the_watch() {
    in_system(|| async {
        let queue = IterableQueue::bounded(1);
        let handle = queue.clone();
        let actor = Supervisor::start(|_| QueueActor::new(queue).watch_interval(Duration::from_millis(10)));
        let (owner, _events) = Hand::push();
        let _producer = actor.send(OpenProducer::new().watch(&owner)).await.unwrap().unwrap();
        actor.send(restart()).await.unwrap();
        quiet().await;
        owner.send(run::<Hand>(|_, ctx| ctx.stop())).await.unwrap();
        until(|| handle.snapshot().producers.is_empty()).await;
    });
}

/// Has consumers registered and `Put`s waiting, lets the actor die, and looks who is told what.
async fn dies_in_the_middle(queue: Queue, actor: Address, die: impl Future<Output = ()>) {
    let producer = queue.producer().expect("it is open");
    let ((busy, mut busy_events), (more, mut more_events)) = (Hand::push(), Hand::push());
    producer.try_put(1).expect("there is room");
    actor.send(RegisterConsumer::new(busy)).await.expect("it lives").expect("it is open");
    let in_hand = busy_events.item().await;
    actor.send(RegisterConsumer::new(more)).await.expect("it lives").expect("it is open");
    producer.try_put(2).expect("there is room");
    let other = more_events.item().await;
    producer.try_put(3).expect("there is room");
    let waiting = [4, 5].map(|n| actor.send(Put::new(&producer, n)).boxed_local());
    until(|| queue.snapshot().waiting_puts > 0).await;
    other.ack();
    let other = more_events.item().await;
    until(|| queue.snapshot().totals.accepted == 4 && queue.snapshot().waiting_puts > 0).await;

    die.await;
    let drained = queue.drained().await;
    assert_eq!(drained.outcome, Outcome::Aborted);
    for events in [&mut busy_events, &mut more_events] {
        assert_eq!(events.drained().await, drained);
    }
    let [fourth, fifth] = waiting;
    fourth.await.expect("answered before").expect("there was room");
    let fifth = fifth.await.expect("whoever waits gets the item back, not a MailboxError");
    assert_eq!(fifth, Err(PutError::new(5, Refusal::Aborted)));
    // The fourth was in the buffer. Leases go on.
    in_hand.ack();
    other.ack();
    let totals = queue.snapshot().totals;
    assert_eq!((totals.accepted, totals.acked, totals.discarded), (4, 3, 1));
    busy_events.end().await;
    more_events.end().await;
}

#[test]
fn a4_killed_by_a_panic_it_tells_everybody() {
    in_system(|| async {
        let queue = IterableQueue::bounded(1);
        let actor = QueueActor::new(queue.clone()).start();
        dies_in_the_middle(queue, actor.clone(), async move { actor.do_send(panics()) }).await;
    });
}

#[test]
fn a4_a_supervisor_does_not_outlive_a_panic_and_everybody_is_told() {
    in_system(|| async {
        let queue = IterableQueue::bounded(1);
        let inner = queue.clone();
        let actor = Supervisor::start(|_| QueueActor::new(inner));
        dies_in_the_middle(queue, actor.clone(), async move { actor.do_send(panics()) }).await;
    });
}

#[test]
fn a4_stopped_without_a_supervisor_it_tells_everybody() {
    in_system(|| async {
        let queue = IterableQueue::bounded(1);
        let actor = QueueActor::new(queue.clone()).start();
        dies_in_the_middle(queue, actor.clone(), async move { actor.do_send(restart()) }).await;
    });
}

#[test]
fn a4_stopped_with_its_arbiter_it_tells_everybody() {
    in_system(|| async {
        let queue = IterableQueue::bounded(1);
        let (inner, arbiter) = (queue.clone(), Arbiter::new());
        let actor = QueueActor::start_in_arbiter(&arbiter.handle(), |_| QueueActor::new(inner));
        dies_in_the_middle(queue, actor, async move {
            arbiter.stop();
            arbiter.join().expect("it ends in peace");
        })
        .await;
    });
}

/// The consumers and the askers live in another system.
#[test]
fn a4_stopped_with_its_system_it_tells_everybody() {
    in_system(|| async {
        let queue = IterableQueue::bounded(1);
        let inner = queue.clone();
        let ((tell, address), (stop, stopped)) = (oneshot::channel(), oneshot::channel::<()>());
        let thread = thread::spawn(move || {
            let system = System::new();
            system.block_on(async {
                tell.send(QueueActor::new(inner).start()).expect("the test waits for this");
                stopped.await.expect("the test says when");
                System::current().stop();
            });
            system.run().expect("it ends in peace");
        });
        dies_in_the_middle(queue, address.await.unwrap(), async move {
            stop.send(()).expect("the system waits for this");
            thread.join().expect("it ends in peace");
        })
        .await;
    });
}

#[test]
fn a4_a_put_for_another_queue_comes_back_and_both_queues_go_on() {
    in_system(|| async {
        let (queue, other) = (backend::bounded(1), backend::bounded(1));
        let (producer, mut consumer) = (other.producer().unwrap(), other.consumer().unwrap());
        let actor = QueueActor::new(queue.clone()).start();
        producer.try_put(1).unwrap();
        let waiting = actor.send(Put::new(&producer, 2));
        let (waiting, died) = join!(waiting, actor.send(panics()));
        assert!(died.is_err());
        assert_eq!(waiting.unwrap(), Err(PutError::new(2, Refusal::ActorStopped)));
        assert_eq!((queue.state(), other.state()), (State::Open, State::Open));
        assert_eq!(consumer.soon_item(), 1);
        producer.try_put(3).unwrap();
    });
}

/// The asker looks in the middle of the call that answers it.
#[test]
fn a4_a_refused_put_has_given_up_its_turn_before_its_asker_hears_of_it() {
    in_system(|| async {
        let other = IterableQueue::bounded(1);
        let (producer, mut consumer) = (other.producer().unwrap(), other.consumer().unwrap());
        producer.try_put(1).unwrap();
        let actor = QueueActor::new(IterableQueue::bounded(1)).start();
        let mut waiting = Box::pin(actor.send(Put::new(&producer, 2)));
        let (tell, told) = oneshot::channel();
        let waker = hook(move || {
            let (one, put, handles) = (consumer.try_get(), producer.try_put(3), other.snapshot().producers[0].handles);
            tell.send((one, put, handles)).expect("the test waits for this");
        });
        assert!(waiting.poll_unpin(&mut std::task::Context::from_waker(&waker)).is_pending());
        assert!(actor.send(panics()).await.is_err());
        assert_eq!(told.await.unwrap(), (Ok(1), Ok(()), 1));
        assert_eq!(waiting.now_or_never().unwrap().unwrap(), Err(PutError::new(2, Refusal::ActorStopped)));
    });
}

/// A put that was made leaves nothing behind, either: the asker may close its producer and hear of the end.
#[test]
fn a1_a_put_that_was_made_has_given_up_its_handle_before_its_asker_hears_of_it() {
    in_system(|| async {
        let queue = IterableQueue::bounded(1);
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        let actor = QueueActor::new(queue.clone()).start();
        producer.try_put(1).unwrap();
        let mut waiting = Box::pin(actor.send(Put::new(&producer, 2)));
        let (tell, told) = oneshot::channel();
        let waker = hook(move || {
            drop(producer);
            tell.send(queue.snapshot().producers.len()).expect("the test waits for this");
        });
        assert!(waiting.poll_unpin(&mut std::task::Context::from_waker(&waker)).is_pending());
        quiet().await;
        assert_eq!(consumer.try_get(), Ok(1));
        assert_eq!(told.await, Ok(0));
        assert_eq!(waiting.now_or_never().unwrap().unwrap(), Ok(()));
    });
}

#[test]
fn a4_with_nobody_waiting_only_its_handle_goes() {
    in_system(|| async {
        let queue = backend::bounded(2);
        let actor = QueueActor::new(queue.clone()).start();
        let producer = actor.send(OpenProducer::new()).await.unwrap().unwrap();
        actor.send(Put::new(&producer, 1)).await.unwrap().unwrap();
        assert!(actor.send(panics()).await.is_err());
        until(|| !actor.connected()).await;

        backend::soon(|| (queue.state(), queue.len()), (State::Open, 1));
        producer.try_put(2).unwrap();
        let mut consumer = queue.consumer().unwrap();
        drop((queue, producer));
        assert_eq!((consumer.get().await, consumer.get().await, consumer.get().await), (Some(1), Some(2), None));
    });
}

#[test]
fn a4_with_nobody_waiting_and_no_other_handle_the_queue_is_sealed() {
    in_system(|| async {
        let queue = backend::bounded(2);
        let drained = queue.drained();
        let actor = QueueActor::new(queue).start();
        let mut consumer = actor.send(OpenConsumer::new()).await.unwrap().unwrap();
        assert!(actor.send(panics()).await.is_err());
        assert_eq!(consumer.get().await, None);
        assert_eq!(drained.await.outcome, Outcome::Complete);
    });
}

#[test]
fn a4_consumers_that_were_told_do_not_count_as_waiting() {
    in_system(|| async {
        let (queue, other) = (backend::bounded(2), backend::bounded(2));
        let actor = QueueActor::new(queue.clone()).start();
        let (hand, mut events) = Hand::push();
        let id = actor.send(RegisterConsumer::new(hand)).await.unwrap().unwrap();
        assert!(actor.send(Unregister(id)).await.unwrap());
        // A put that was answered does not count either, whosever it was.
        actor.send(Put::new(&other.producer().unwrap(), 1)).await.unwrap().unwrap();
        assert!(actor.send(panics()).await.is_err());
        until(|| !actor.connected()).await;
        assert_eq!((queue.state(), other.state()), (State::Open, State::Open));
        events.end().await;
    });
}
