//! Items by address go on their way on the thread that makes it possible, while the queue's actor does something else (A2, D3, D11).

use std::cell::RefCell;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use actix::prelude::*;
use actix_iterable_queue::prelude::*;
use support::actors::{Hand, in_system, quiet, run, until};
use support::backend;

/// A queue's actor that does nothing until it is let go, on an arbiter of its own.
struct Blocked {
    address: Addr<QueueActor<u32>>,
    arbiter: Arbiter,
    let_go: mpsc::Sender<()>,
}

impl Blocked {
    async fn serving(queue: IterableQueue<u32>, registered: impl IntoIterator<Item = RegisterConsumer<u32>>) -> Self {
        let (arbiter, seen) = (Arbiter::new(), queue.downgrade());
        let address = QueueActor::start_in_arbiter(&arbiter.handle(), |_| QueueActor::new(queue));
        let mut consumers = 0;
        for register in registered {
            address.send(register).await.unwrap().unwrap();
            consumers += 1;
        }
        until(|| seen.snapshot().waiting_gets == consumers).await;
        let (let_go, wait) = mpsc::channel();
        let (tell, begun) = tokio::sync::oneshot::channel();
        address.do_send(run(move |_, _| {
            tell.send(()).unwrap();
            wait.recv().unwrap();
        }));
        begun.await.unwrap();
        Self { address, arbiter, let_go }
    }

    fn end(self) {
        self.let_go.send(()).unwrap();
        drop(self.address);
        self.arbiter.stop();
        self.arbiter.join().unwrap();
    }
}

#[test]
fn a2_puts_and_settles_hand_out_items_while_the_queues_actor_is_blocked() {
    in_system(|| async {
        let queue = backend::in_memory();
        let producer = queue.producer().unwrap();
        let (hand, mut events) = Hand::push();
        let blocked = Blocked::serving(queue, [RegisterConsumer::new(hand)]).await;
        producer.put_all(0..100).await.unwrap();
        for n in 0..100 {
            let item = events.item().await;
            assert_eq!(*item, n);
            item.ack();
        }
        producer.put(100).await.unwrap();
        assert_eq!(*events.item().await, 100, "it waits, and the put finds it");
        blocked.end();
    });
}

/// The first thread settles while it runs, the second as its thread-locals are destroyed.
#[test]
fn a2_a_settle_on_a_thread_without_actix_hands_out_the_next_item() {
    in_system(|| async {
        let queue = backend::in_memory();
        let producer = queue.producer().unwrap();
        let (hand, mut events) = Hand::push();
        let blocked = Blocked::serving(queue, [RegisterConsumer::new(hand)]).await;
        producer.put_all(0..3).await.unwrap();
        let first = events.item().await;
        thread::spawn(move || first.ack()).join().unwrap();
        let second = events.item().await;
        thread_local!(static LAST: RefCell<Option<Item<u32>>> = const { RefCell::new(None) });
        thread::spawn(move || LAST.set(Some(second))).join().unwrap();
        let again = events.item().await;
        assert_eq!((*again, again.attempt()), (1, 2), "the end of the thread gave it back");
        blocked.end();
    });
}

/// A handful of long jobs must not go to one worker.
#[test]
fn d11_a_settle_hands_out_one_item() {
    in_system(|| async {
        let queue = backend::in_memory();
        let producer = queue.producer().unwrap();
        let (hands, mut events): (Vec<_>, Vec<_>) = (0..2).map(|_| Hand::push()).unzip();
        let registered = hands.into_iter().map(|hand| RegisterConsumer::new(hand).max_in_flight(8));
        let blocked = Blocked::serving(queue, registered).await;
        producer.put_all(0..8).await.unwrap();
        for round in 0..3 {
            for (which, events) in events.iter_mut().enumerate() {
                let item = events.item().await;
                assert_eq!(*item, 2 * round + which as u32);
                events.nothing().await;
                item.ack();
            }
        }
        blocked.end();
    });
}

/// Each of them is found dead as it would be handed the item, and hands the wake-up on to the next.
#[test]
fn a3_an_item_gets_past_thousands_of_dead_actors() {
    in_system(|| async {
        let queue = backend::in_memory();
        let producer = queue.producer().unwrap();
        let actor = QueueActor::new(queue).watch_interval(Duration::from_secs(3600)).start();
        let mut dead = Vec::new();
        for _ in 0..5000 {
            let (hand, events) = Hand::push();
            actor.send(RegisterConsumer::new(hand.clone())).await.unwrap().unwrap();
            dead.push((hand, events));
        }
        let (living, mut events) = Hand::push();
        actor.send(RegisterConsumer::new(living)).await.unwrap().unwrap();
        quiet().await;
        for (hand, _) in &dead {
            hand.do_send(run::<Hand>(|_, ctx| ctx.terminate()));
        }
        quiet().await;
        producer.put(7).await.unwrap();
        assert_eq!(*events.item().await, 7);
    });
}

/// The thread settles many items in a row and never yields, though an arbiter runs on it.
#[test]
fn d11_a_thread_that_settles_and_goes_on_with_something_else_holds_up_nobody() {
    in_system(|| async {
        let queue = backend::in_memory();
        let producer = queue.producer().unwrap();
        let (own, workers) = (Arbiter::new(), Arbiter::new());
        let actor = QueueActor::start_in_arbiter(&own.handle(), |_| QueueActor::new(queue));
        let (hand, mut events) = Hand::new();
        let hand = Hand::start_in_arbiter(&workers.handle(), |_| hand);
        actor.send(RegisterConsumer::new(hand)).await.unwrap().unwrap();
        producer.put_all(0..1000).await.unwrap();
        for n in 0..1000 {
            let item = futures::executor::block_on(events.item());
            assert_eq!(*item, n);
            item.ack();
        }
        for arbiter in [own, workers] {
            arbiter.stop();
            arbiter.join().unwrap();
        }
    });
}
