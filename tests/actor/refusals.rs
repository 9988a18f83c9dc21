//! What a queue's actor must not do to others: panicking drops, other queues, other lines.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context as TaskContext, Wake, Waker};

use actix::prelude::*;
use actix_iterable_queue::State;
use actix_iterable_queue::prelude::*;
use futures::Stream;
use support::actors::{Hand, Run, in_system, run};
use support::backend::{self, Soon};

/// Its drop panics.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("the drop of an item");
    }
}

/// Their answers reach nobody, so the actor has to drop the items itself.
#[test]
fn d12_refused_items_whose_drop_panics_do_not_harm_the_actor() {
    in_system(|| async {
        let queue = IterableQueue::<Option<Bomb>>::bounded(1);
        let (producer, _consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        let actor = QueueActor::new(queue.clone()).start();
        producer.try_put(None).unwrap();
        actor.do_send(Put::new(&producer, Some(Bomb)));
        actor.do_send(Put::new(&producer, Some(Bomb)));
        actor.send(Inspect).await.unwrap();
        drop(queue.abort());
        // Two refusals later it still answers.
        assert_eq!(actor.send(Inspect).await.unwrap().state, State::Aborted);
        assert_eq!(actor.send(Inspect).await.unwrap().waiting_puts, 0);
    });
}

#[test]
fn a4_an_actor_that_is_gone_does_not_abort_its_own_queue_for_a_put_to_another() {
    in_system(|| async {
        let (own, other) = (backend::unbounded(), backend::bounded(1));
        let (_keeps, _open) = (own.consumer().unwrap(), other.consumer().unwrap());
        let producer = other.producer().unwrap();
        producer.try_put(1).unwrap();
        let actor = QueueActor::new(own.clone()).start();
        let put = actor.send(Put::new(&producer, 2));
        let killed = actor.send(Killed);
        let (put, killed) = futures::join!(put, killed);
        assert!(killed.is_err(), "it panicked");
        assert_eq!(put.unwrap().unwrap_err().into_inner(), 2);
        assert_eq!((own.state(), other.state()), (State::Open, State::Open));
    });
}

struct Killed;

impl Message for Killed {
    type Result = ();
}

impl Handler<Killed> for QueueActor<u32> {
    type Result = ();

    fn handle(&mut self, _: Killed, _: &mut Self::Context) {
        panic!("killed on purpose");
    }
}

#[test]
fn a1_a_registration_is_ended_by_its_own_queue_only() {
    in_system(|| async {
        let one = QueueActor::new(backend::unbounded::<u32>()).start();
        let other = QueueActor::new(backend::unbounded::<u32>()).start();
        let (hand, _events) = Hand::push();
        let id = one.send(RegisterConsumer::new(hand.clone())).await.unwrap().unwrap();
        other.send(RegisterConsumer::new(hand)).await.unwrap().unwrap();
        assert!(!other.send(Unregister(id)).await.unwrap());
        assert!(one.send(Unregister(id)).await.unwrap());
    });
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

/// It was polled as a stream before, and stands in the line with a waker that nobody listens to.
#[test]
fn d11_a_consumer_that_is_handed_over_leaves_the_line() {
    in_system(|| async {
        let queue = backend::unbounded();
        let producer = queue.producer().unwrap();
        let (mut first, mut second) = (queue.consumer().unwrap(), queue.consumer().unwrap());
        producer.try_put(0).unwrap();
        let lease = first.soon_lease();
        assert!(Pin::new(&mut first).poll_next(&mut TaskContext::from_waker(Waker::noop())).is_pending());
        let (hand, _events) = Hand::new();
        let hand = hand.start();
        // Its limit is reached at once: it holds the lease.
        hand.send(run(move |_: &mut Hand, ctx| {
            ctx.consume(first);
        }) as Run<Hand>)
            .await
            .unwrap();
        let woken = Arc::new(Woken::default());
        let mut waiting = pin!(second.get());
        assert!(waiting.as_mut().poll(&mut TaskContext::from_waker(&Arc::clone(&woken).into())).is_pending());
        producer.try_put(1).unwrap();
        backend::soon(|| woken.0.load(SeqCst), true); // an item is there, and the one who may take it sleeps
        assert_eq!(waiting.await, Some(1));
        lease.ack();
    });
}
