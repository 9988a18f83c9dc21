//! Items of 64 KiB on threads with the stack that threads have by default, also without optimization.
//!
//! A stack that overflows takes the whole process with it, so these have a file of their own.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use actix::prelude::*;
use actix_iterable_queue::error::{PutTimeoutError, TryPutError};
use actix_iterable_queue::prelude::*;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use futures::executor::block_on;
use futures::{Sink, StreamExt};
use support::{until, within_watchdog};

type Large = [u8; 64 * 1024];
type Ends = (IterableQueue<Large>, Producer<Large>, Consumer<Large>);

fn large(n: u8) -> Large {
    [n; 64 * 1024]
}

fn bounded() -> Ends {
    let queue = support::backend::builder().capacity(1).build().expect("it is valid");
    let (producer, consumer) = (queue.producer().expect("works"), queue.consumer().expect("works"));
    (queue, producer, consumer)
}

/// A queue with one item in it, which fills it.
fn full() -> Ends {
    let ends = bounded();
    assert!(ends.1.try_put(large(0)).is_ok());
    ends
}

/// On a thread as it is by default, whatever the environment says.
fn spawn<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> JoinHandle<R> {
    thread::Builder::new().stack_size(2 << 20).spawn(body).expect("works")
}

fn on_thread(body: impl FnOnce() + Send + 'static) {
    within_watchdog(move || spawn(body).join().expect("works"));
}

// What a test does itself is done in functions of its own: not optimized, all items that a function touches are in
// its frame, each several times.

fn put(producer: &Producer<Large>, n: u8) {
    assert!(producer.blocking_put(large(n)).is_ok());
}

fn put_in_time(producer: &Producer<Large>, n: u8) {
    assert!(producer.blocking_put_timeout(large(n), Duration::from_secs(60)).is_ok());
}

fn get(consumer: &mut Consumer<Large>) -> u8 {
    consumer.blocking_get().expect("works")[0]
}

fn get_in_time(consumer: &mut Consumer<Large>) -> u8 {
    consumer.blocking_get_timeout(Duration::from_secs(60)).expect("works")[0]
}

fn ack(consumer: &mut Consumer<Large>) {
    consumer.blocking_lease().expect("works").ack();
}

fn into_inner(consumer: &mut Consumer<Large>) -> u8 {
    consumer.blocking_lease().expect("works").into_inner()[0]
}

#[test]
fn d10_threads_wait_with_large_items() {
    on_thread(|| {
        let (queue, producer, mut consumer) = full();
        let putting = spawn(move || {
            (1..4).for_each(|n| put(&producer, n));
            (4..6).for_each(|n| put_in_time(&producer, n));
            producer
        });
        until(|| queue.snapshot().waiting_puts == 1);
        assert_eq!((get(&mut consumer), get(&mut consumer)), (0, 1));
        ack(&mut consumer);
        assert_eq!(into_inner(&mut consumer), 3);
        consumer.iter().take(2).for_each(|item| assert!(item[0] > 3));
        let producer = putting.join().expect("works");

        let getting = spawn(move || {
            assert_eq!((get(&mut consumer), get_in_time(&mut consumer)), (6, 7));
            ack(&mut consumer);
            consumer.into_blocking_leases().for_each(Item::ack);
        });
        for n in 6..10 {
            until(|| queue.snapshot().waiting_gets == 1);
            put(&producer, n);
        }
        drop(producer);
        queue.seal();
        getting.join().expect("works");
        assert_eq!(queue.snapshot().totals.accepted, 10);
    });
}

fn try_put(producer: &Producer<Large>, n: u8) -> u8 {
    let Err(TryPutError::Full(item)) = producer.try_put(large(n)) else { panic!("there is room") };
    item[0]
}

fn time_out(producer: &Producer<Large>, n: u8) -> u8 {
    let put = producer.blocking_put_timeout(large(n), Duration::from_millis(1));
    let Err(PutTimeoutError::Timeout(item)) = put else { panic!("there is room") };
    item[0]
}

fn refused(producer: &Producer<Large>, n: u8) -> u8 {
    producer.blocking_put(large(n)).expect_err("refused").into_inner()[0]
}

#[test]
fn d8_large_items_come_back_in_errors_and_from_an_abort() {
    on_thread(|| {
        let (queue, producer, consumer) = full();
        assert_eq!((try_put(&producer, 1), time_out(&producer, 2)), (1, 2));
        let waiting = spawn(move || (refused(&producer, 3), refused(&producer, 4)));
        until(|| queue.snapshot().waiting_puts == 1);
        let left: Vec<_> = queue.abort().iter().map(|item| item[0]).collect();
        assert_eq!((left, waiting.join().expect("works")), (vec![0], (3, 4)));
        drop(consumer);
    });
}

fn lease(consumer: &mut Consumer<Large>) -> Box<Item<Large>> {
    Box::new(consumer.try_lease().expect("works"))
}

fn put_child(lease: &Item<Large>, n: u8) {
    assert!(lease.put_child(large(n)).is_ok());
}

fn letter(letters: &mut Consumer<DeadLetter<Large>>) -> u8 {
    letters.try_get().expect("works").item[0]
}

#[test]
fn d3_large_items_come_back_from_leases() {
    on_thread(|| {
        let queue = support::backend::builder().capacity(1).max_attempts(3).build().expect("works");
        let (producer, mut consumer) = (queue.producer().expect("works"), queue.consumer().expect("works"));
        let mut letters = queue.dead_letters().expect("works");
        put(&producer, 1);
        let first = lease(&mut consumer);
        (2..5).for_each(|n| put_child(&first, n));
        first.requeue();
        drop(lease(&mut consumer));
        lease(&mut consumer).requeue();
        assert_eq!(letter(&mut letters), 1, "its attempts are used up");
        lease(&mut consumer).reject("too large");
        assert_eq!(letter(&mut letters), 2);
        drop(letters);
        lease(&mut consumer).reject("too large, and nobody reads it");
        assert_eq!(get(&mut consumer), 4);
    });
}

/// Many of them, so that what they come back to grows.
#[test]
fn d3_many_large_items_come_back_and_are_left() {
    on_thread(|| {
        let queue = support::backend::in_memory();
        let (producer, mut consumer) = (queue.producer().expect("works"), queue.consumer().expect("works"));
        (0..40).for_each(|n| put(&producer, n));
        let leases: Vec<_> = (0..20).map(|_| lease(&mut consumer)).collect();
        leases.into_iter().rev().for_each(|lease| lease.requeue());
        let left: Vec<_> = queue.abort().iter().map(|item| item[0]).collect();
        assert_eq!(left, (0..40).collect::<Vec<_>>());
    });
}

/// Boxed, so that the futures that await it do not grow with it.
fn boxed<'a, R>(future: impl Future<Output = R> + 'a) -> Pin<Box<dyn Future<Output = R> + 'a>> {
    Box::pin(future)
}

#[test]
fn d4_large_items_travel_through_futures() {
    on_thread(|| {
        let (queue, producer, mut consumer) = full();
        block_on(async {
            let (put, got) = futures::join!(
                boxed(async { producer.put(large(1)).await.is_ok() }),
                boxed(async { consumer.get().await.expect("works")[0] }),
            );
            assert_eq!((put, got), (true, 0), "the put waited");
            boxed(async { consumer.lease().await.expect("works").ack() }).await;

            let permit = producer.reserve().await.expect("works");
            boxed(async { assert!(permit.put(large(2)).is_ok()) }).await;
            boxed(async { assert_eq!(consumer.next().await.expect("works")[0], 2) }).await;

            // Not by `SinkExt`, whose futures have more copies than we.
            let mut sink = producer.sink();
            assert!(poll_fn(|cx| Pin::new(&mut sink).poll_ready(cx)).await.is_ok());
            boxed(async { assert!(Pin::new(&mut sink).start_send(large(3)).is_ok()) }).await;
            assert!(poll_fn(|cx| Pin::new(&mut sink).poll_close(cx)).await.is_ok());
            boxed(async { consumer.leases().next().await.expect("works").ack() }).await;

            let put = boxed(async { producer.put_all((4..5).map(large)).await.is_ok() }).await;
            drop((queue, producer));
            let mut seen = 0;
            boxed(consumer.into_leases().for_each(|item| {
                seen = item[0];
                item.ack();
                async {}
            }))
            .await;
            assert_eq!((put, seen), (true, 4));
        });
    });
}

/// Tells the first byte of each item.
struct Worker(Option<Consumer<Large>>, UnboundedSender<u8>);

impl Actor for Worker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(consumer) = self.0.take() {
            ctx.consume(consumer);
        }
    }
}

impl Handler<Item<Large>> for Worker {
    type Result = ();

    fn handle(&mut self, item: Item<Large>, _: &mut Self::Context) {
        self.1.unbounded_send(item[0]).expect("works");
        item.ack();
    }
}

impl Handler<Drained> for Worker {
    type Result = ();

    fn handle(&mut self, _: Drained, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

#[test]
fn a2_an_actor_pulls_large_items() {
    on_thread(|| {
        System::new().block_on(async {
            let (queue, producer, consumer) = full();
            let (told, seen) = unbounded();
            Worker(Some(consumer), told).start();
            boxed(async { assert!(producer.put(large(1)).await.is_ok()) }).await;
            drop((queue, producer));
            assert_eq!(seen.collect::<Vec<_>>().await, [0, 1]);
        });
    });
}

/// Not with `send`: the future of actix takes more stack than there is for the answer, which has room for an item.
fn do_send(actor: &Addr<QueueActor<Large>>, producer: &Producer<Large>, n: u8) {
    actor.do_send(Put::new(producer, large(n)));
}

#[test]
fn d4_large_items_are_put_by_message_and_pushed() {
    on_thread(|| {
        System::new().block_on(async {
            let (queue, mut producer, consumer) = full();
            let (told, seen) = unbounded();
            let actor = QueueActor::new(queue.clone()).start();
            (1..3).for_each(|n| do_send(&actor, &producer, n));
            producer.close();
            while queue.snapshot().waiting_puts == 0 {
                tokio::task::yield_now().await;
            }
            actor.send(RegisterConsumer::new(Worker(None, told).start())).await.expect("works").expect("works");
            drop((queue, consumer));
            actor.do_send(Seal);
            assert_eq!(seen.collect::<Vec<_>>().await, [0, 1, 2]);
        });
    });
}
