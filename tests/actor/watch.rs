//! Dead addresses are found out by themselves, at the latest one watch interval later (A3).

use std::thread;
use std::time::Duration;

use actix::prelude::*;
use actix_iterable_queue::error::{PutError, Refusal, TryGetError, TryPutError};
use actix_iterable_queue::prelude::*;
use futures::channel::oneshot;
use futures::{FutureExt, join};
use support::actors::{Hand, in_system, quiet, run, until};
use support::backend::{self, Soon};

type Queue = IterableQueue<u32>;

fn start(queue: &Queue) -> Addr<QueueActor<u32>> {
    QueueActor::new(queue.clone()).watch_interval(Duration::from_millis(10)).start()
}

/// An actor that is only there to die.
fn mortal() -> Addr<Hand> {
    Hand::push().0
}

async fn kill(actor: &Addr<Hand>) {
    actor.send(run::<Hand>(|_, ctx| ctx.terminate())).await.expect("it was alive");
}

#[test]
fn a3_a_watched_producer_closes_with_all_its_handles() {
    in_system(|| async {
        let queue = IterableQueue::bounded(1);
        let (actor, owner) = (start(&queue), mortal());
        let mut consumer = queue.consumer().unwrap();
        let producer = actor.send(OpenProducer::new().watch(&owner)).await.unwrap().unwrap();
        let clone = producer.clone();
        actor.send(Seal).await.unwrap();
        producer.try_put(1).unwrap();

        // Everything that waits for room: messages, a future, a permit, a thread.
        let (second, third) = (actor.send(Put::new(&producer, 2)), actor.send(Put::new(&clone, 3)));
        let (tell, from_thread) = oneshot::channel();
        let blocking = clone.clone();
        thread::spawn(move || tell.send(blocking.blocking_put(5)));
        let dies = async {
            until(|| queue.snapshot().waiting_puts >= 3).await; // not all of them stand in line
            quiet().await;
            kill(&owner).await;
        };
        let (second, third, fourth, fifth, permit, closed, ()) =
            join!(second, third, clone.put(4), from_thread, producer.reserve(), producer.closed(), dies);
        assert_eq!(second.unwrap(), Err(PutError::new(2, Refusal::Closed)));
        assert_eq!(third.unwrap(), Err(PutError::new(3, Refusal::Closed)));
        assert_eq!(fourth, Err(PutError::new(4, Refusal::Closed)));
        assert_eq!(fifth.unwrap(), Err(PutError::new(5, Refusal::Closed)));
        assert_eq!((permit.err(), closed), (Some(Refusal::Closed), Refusal::Closed));

        // The handles are still there, and closed; what was accepted is still delivered.
        assert_eq!(clone.try_put(6), Err(TryPutError::Refused(PutError::new(6, Refusal::Closed))));
        assert_eq!(actor.send(Put::new(&producer, 7)).await.unwrap(), Err(PutError::new(7, Refusal::Closed)));
        assert!(producer.is_closed() && producer.clone().is_closed());
        assert_eq!((consumer.get().await, consumer.get().await), (Some(1), None));
        assert_eq!(queue.drained().await.outcome, Outcome::Complete);
    });
}

#[test]
fn a3_a_permit_of_an_endpoint_that_was_closed_fails_and_its_room_goes_to_others() {
    in_system(|| async {
        let queue = backend::bounded(1);
        let (actor, owner) = (start(&queue), mortal());
        let (other, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        let producer = actor.send(OpenProducer::new().watch(&owner)).await.unwrap().unwrap();
        let permit = producer.reserve().await.unwrap();
        let put = actix::spawn(async move { other.put(2).await });
        let waits = || queue.snapshot().waiting_puts == 1;
        until(waits).await;
        kill(&owner).await;
        until(|| producer.is_closed()).await;
        until(waits).await; // it was woken to look whether its own handle was closed
        assert_eq!(permit.put(1), Err(PutError::new(1, Refusal::Closed)));
        assert_eq!(put.await.unwrap(), Ok(()));
        assert_eq!((consumer.soon_item(), consumer.try_get()), (2, Err(TryGetError::Empty)));
    });
}

#[test]
fn a3_only_the_endpoints_of_the_dead_are_closed() {
    in_system(|| async {
        let queue = backend::unbounded();
        let actor = start(&queue);
        let (dead, restarted, unaddressed) = (mortal(), Supervisor::start(|_| Steady), Hand::push().0);
        let by_dead = actor.send(OpenProducer::new().watch(&dead)).await.unwrap().unwrap();
        let by_restarted = actor.send(OpenProducer::new().watch(&restarted)).await.unwrap().unwrap();
        let by_unaddressed = actor.send(OpenProducer::new().watch(&unaddressed)).await.unwrap().unwrap();
        let by_nobody = actor.send(OpenProducer::new()).await.unwrap().unwrap();

        // One starts again; one lives on in its own future, with no address left.
        restarted.send(Restart).await.unwrap();
        let (let_die, held) = oneshot::channel::<()>();
        let live_on = run::<Hand>(move |_, ctx| {
            ctx.spawn(actix::fut::wrap_future(held.map(drop)));
        });
        unaddressed.send(live_on).await.unwrap();
        drop(unaddressed);
        quiet().await;
        kill(&dead).await;
        until(|| queue.snapshot().producers.len() == 3).await;
        assert!(by_dead.try_put(0).is_err());
        for producer in [&by_restarted, &by_unaddressed, &by_nobody] {
            producer.try_put(1).unwrap();
        }

        drop(let_die);
        // Over Redis the window may be full of these puts.
        until(|| by_unaddressed.try_put(1).is_err_and(|error| !error.is_full())).await;
        by_restarted.put(1).await.unwrap();
    });
}

/// Restarts when it is told to.
struct Steady;

struct Restart;

impl Message for Restart {
    type Result = ();
}

impl Actor for Steady {
    type Context = Context<Self>;
}

impl Supervised for Steady {}

impl Handler<Restart> for Steady {
    type Result = ();

    fn handle(&mut self, _: Restart, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

/// C2's race, with the close coming from outside: a put is accepted and counted, or it is refused.
#[test]
fn a3_no_put_slips_in_while_the_watch_closes_its_endpoint() {
    in_system(|| async {
        for _ in 0..backend::rounds(20) {
            let queue = backend::unbounded();
            let (actor, owner) = (start(&queue), mortal());
            let consumer = queue.consumer().unwrap();
            let producer = actor.send(OpenProducer::new().watch(&owner)).await.unwrap().unwrap();
            actor.send(Seal).await.unwrap();
            // Both at work while the endpoint closes: the queue is empty over and over again.
            let taker = thread::spawn(move || consumer.into_iter().count());
            let (tell, accepted) = oneshot::channel();
            thread::spawn(move || {
                let accepted = (0..).take_while(|n| producer.try_put(*n).is_ok()).count();
                tell.send((accepted, producer)) // which is dropped by the test, after the end
            });
            until(|| queue.snapshot().totals.taken > 0).await;
            kill(&owner).await;
            let drained = queue.drained().await;
            let (accepted, producer) = accepted.await.unwrap();
            let taken = taker.join().unwrap();
            assert_eq!((taken, drained.totals.accepted), (accepted, accepted as u64));
            drop(producer);
        }
    });
}

#[test]
fn a3_a_watched_consumer_ends_and_its_items_go_to_others() {
    in_system(|| async {
        let queue = backend::unbounded();
        let (actor, owner) = (start(&queue), mortal());
        let mut watched = actor.send(OpenConsumer::new().watch(&owner)).await.unwrap().unwrap();
        let (end, ()) = join!(watched.get(), kill(&owner));
        assert_eq!(end, None);
        assert!(queue.snapshot().consumers.is_empty());
        let mut other = queue.consumer().unwrap();
        queue.producer().unwrap().try_put(1).unwrap();
        watched.soon_end();
        assert_eq!(watched.clone().try_get(), Err(TryGetError::Ended));
        assert_eq!(other.soon_item(), 1);
    });
}

/// As `watch` promises: the endpoint closes with all its clones.
#[test]
fn a3_a_watched_consumer_closes_with_its_clones() {
    in_system(|| async {
        let queue = backend::unbounded();
        let (actor, owner) = (start(&queue), mortal());
        let mut watched = actor.send(OpenConsumer::new().watch(&owner)).await.unwrap().unwrap();
        let mut clone = watched.clone();
        kill(&owner).await;
        assert_eq!(watched.get().await, None);
        clone.soon_end();
        assert!(queue.snapshot().consumers.is_empty());
    });
}

#[test]
fn a3_an_idle_registered_consumer_that_died_is_found() {
    in_system(|| async {
        let queue = IterableQueue::unbounded();
        let (actor, hand) = (start(&queue), mortal());
        let producer = queue.producer().unwrap();
        actor.send(RegisterConsumer::new(hand.clone())).await.unwrap().unwrap();
        actor.send(Seal).await.unwrap();
        quiet().await;
        kill(&hand).await;
        // Nothing is put and nobody asks the actor anything: only the watch can find it.
        until(|| queue.snapshot().consumers.is_empty()).await;
        assert_eq!(producer.try_put(1), Err(TryPutError::Refused(PutError::new(1, Refusal::Abandoned))));
    });
}

#[test]
fn a3_items_of_a_registered_consumer_that_died_go_to_others() {
    in_system(|| async {
        let queue = backend::unbounded();
        let (actor, hand) = (start(&queue), mortal());
        let producer = queue.producer().unwrap();
        actor.send(RegisterConsumer::new(hand.clone()).max_in_flight(2)).await.unwrap().unwrap();
        quiet().await;
        // Both lie in its mailbox, behind the message that kills it.
        hand.do_send(run::<Hand>(|_, ctx| ctx.terminate()));
        producer.put_all([1, 2]).await.unwrap();
        let (other, mut events) = Hand::push();
        actor.send(RegisterConsumer::new(other)).await.unwrap().unwrap();
        for n in [1, 2] {
            let item = events.item().await;
            assert_eq!((*item, item.attempt()), (n, 1));
            item.ack();
        }
    });
}

#[test]
fn a3_an_actor_that_was_dead_already_is_found_too() {
    in_system(|| async {
        let queue = backend::unbounded();
        let (actor, owner) = (start(&queue), mortal());
        kill(&owner).await;
        quiet().await;
        let _producer = actor.send(OpenProducer::new().watch(&owner)).await.unwrap().unwrap();
        let _consumer = actor.send(OpenConsumer::new().watch(&owner)).await.unwrap().unwrap();
        queue.seal();
        drop(queue.drained().await);
    });
}

#[test]
fn a5_an_actor_that_watches_ends_once_the_endpoints_are_closed() {
    in_system(|| async {
        let queue = backend::unbounded();
        let (actor, owner) = (start(&queue), mortal());
        let weak = actor.downgrade();
        let producer = actor.send(OpenProducer::new().watch(&owner)).await.unwrap().unwrap();
        let consumer = actor.send(OpenConsumer::new().watch(&owner)).await.unwrap().unwrap();
        drop(actor);
        quiet().await;
        assert!(weak.upgrade().is_some());
        drop((producer, consumer)); // their owner lives
        until(|| weak.upgrade().is_none()).await;
        drop(owner);
    });
}
