//! Calls in the destructor of a thread-local. The thread's other locals may be gone by then: those of actix, of
//! tokio, of this crate. A panic there aborts the process.

use std::cell::RefCell;
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use actix::{Arbiter, System};
use actix_iterable_queue::{Consumer, Drained, IterableQueue, Outcome, Producer};
use futures::FutureExt;
use support::{until, within_watchdog};
use tokio::runtime;

const LONG: Duration = Duration::from_secs(3600);

type Body = Box<dyn FnOnce() + Send>;

/// Runs something when its thread ends.
struct AtEnd(Option<Body>);

impl Drop for AtEnd {
    fn drop(&mut self) {
        if let Some(body) = self.0.take() {
            body();
        }
    }
}

thread_local! {
    static FIRST: RefCell<AtEnd> = const { RefCell::new(AtEnd(None)) };
    static LAST: RefCell<AtEnd> = const { RefCell::new(AtEnd(None)) };
}

/// Has `body` run by a thread-local that this thread used before, or after, those of a call that waits.
fn at_end_of_this_thread(body: Body, first: bool) {
    let local = if first { &FIRST } else { &LAST };
    FIRST.with_borrow_mut(|_| ());
    // On an arbiter such a call panics, by contract.
    if Arbiter::try_current().is_none() {
        let (_producer, mut consumer) = IterableQueue::<u32>::bounded(1).split().expect("open");
        consumer.blocking_get_timeout(Duration::from_millis(1)).expect_err("nothing is put");
    }
    local.with_borrow_mut(|local| local.0 = Some(body));
}

fn plain(setup: Body) -> JoinHandle<()> {
    thread::spawn(setup)
}

fn of_an_arbiter(setup: Body) -> JoinHandle<()> {
    thread::spawn(|| {
        let _system = System::new();
        let arbiter = Arbiter::new();
        let (done, ready) = channel();
        arbiter.spawn_fn(move || {
            setup();
            done.send(()).expect("the other side waits");
        });
        // One that is told to stop before drops what it has not begun.
        ready.recv().expect("the other side waits");
        arbiter.stop();
        arbiter.join().expect("it does not panic");
    })
}

fn of_a_tokio_worker(setup: Body) -> JoinHandle<()> {
    thread::spawn(|| {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).build().expect("there is memory for it");
        runtime.block_on(runtime.spawn(async { setup() })).expect("it does not panic");
    })
}

fn of_tokio_for_blocking_calls(setup: Body) -> JoinHandle<()> {
    thread::spawn(|| {
        let runtime = runtime::Builder::new_current_thread().build().expect("there is memory for it");
        runtime.block_on(runtime.spawn_blocking(setup)).expect("it does not panic");
    })
}

/// Runs the first part of each scene at the end of a thread of each kind, the second one here meanwhile.
fn at_the_end_of_threads<C, H>(scene: impl Fn() -> (C, H) + Send + 'static)
where
    C: FnOnce() + Send + 'static,
    H: FnOnce(),
{
    within_watchdog(move || {
        for thread in [plain, of_an_arbiter, of_a_tokio_worker, of_tokio_for_blocking_calls] {
            for first in [true, false] {
                let (call, here) = scene();
                let thread = thread(Box::new(move || at_end_of_this_thread(Box::new(call), first)));
                here();
                thread.join().expect("it does not panic");
            }
        }
    });
}

fn full() -> (IterableQueue<u32>, Producer<u32>, Consumer<u32>) {
    let queue = IterableQueue::bounded(1);
    let (producer, consumer) = (queue.producer().expect("open"), queue.consumer().expect("open"));
    producer.try_put(1).expect("there is room");
    (queue, producer, consumer)
}

/// A batch that its thread has gathered is flushed into a full queue.
#[test]
fn d4_a_put_waits_for_room_and_the_item_arrives() {
    for put in [
        |producer: Producer<u32>| producer.blocking_put(2).unwrap(),
        |producer: Producer<u32>| producer.blocking_put_timeout(2, LONG).unwrap(),
    ] {
        at_the_end_of_threads(move || {
            let (queue, producer, mut consumer) = full();
            let here = move || {
                until(|| queue.snapshot().waiting_puts == 1);
                assert_eq!((consumer.blocking_get(), consumer.blocking_get()), (Some(1), Some(2)));
            };
            (move || put(producer), here)
        });
    }
}

#[test]
fn c5_a_take_waits_for_an_item_and_for_the_end() {
    for get in [
        |consumer: &mut Consumer<u32>| consumer.blocking_get(),
        |consumer: &mut Consumer<u32>| consumer.blocking_get_timeout(LONG).ok(),
        |consumer: &mut Consumer<u32>| consumer.blocking_lease().map(|item| item.into_inner()),
        |consumer: &mut Consumer<u32>| consumer.iter().next(),
        |consumer: &mut Consumer<u32>| consumer.blocking_leases().next().map(|item| item.into_inner()),
    ] {
        at_the_end_of_threads(move || {
            let queue = IterableQueue::bounded(1);
            let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
            let call = move || assert_eq!((get(&mut consumer), get(&mut consumer)), (Some(1), None));
            let here = move || {
                until(|| queue.snapshot().waiting_gets == 1);
                producer.try_put(1).unwrap();
                queue.seal();
                until(|| queue.snapshot().waiting_gets == 1);
            };
            (call, here)
        });
    }
}

#[test]
fn c5_a_thread_waits_for_the_end_of_the_queue() {
    at_the_end_of_threads(|| {
        let (queue, producer, mut consumer) = full();
        queue.seal();
        let call = move || assert!(matches!(queue.blocking_drained(), Drained { outcome: Outcome::Complete, .. }));
        let here = move || {
            drop(producer);
            assert_eq!((consumer.blocking_get(), consumer.blocking_get()), (Some(1), None));
        };
        (call, here)
    });
}

#[test]
fn d3_a_lease_that_a_thread_local_held_comes_back() {
    at_the_end_of_threads(|| {
        let (_, _, mut consumer) = full();
        let mut other = consumer.clone();
        let item = consumer.try_lease().unwrap();
        let here = move || assert_eq!(other.blocking_lease().map(|item| item.attempt()), Some(2));
        (move || drop(item), here)
    });
}

#[test]
fn d6_a_permit_that_a_thread_local_held_gives_its_room_back() {
    at_the_end_of_threads(|| {
        let queue = IterableQueue::bounded(1);
        let producer = queue.producer().unwrap();
        let permit = producer.reserve().now_or_never().unwrap().unwrap();
        let here = move || {
            producer.blocking_put(1).unwrap();
            assert!(queue.is_full());
        };
        (move || drop(permit), here)
    });
}

#[test]
fn what_does_not_wait_works_too() {
    at_the_end_of_threads(|| {
        let (queue, producer, mut consumer) = full();
        let call = move || {
            assert!(producer.try_put(2).is_err());
            let item = consumer.try_lease().unwrap();
            item.put_child(3).unwrap();
            item.reject("not needed");
            assert_eq!(queue.snapshot().buffered, 1);
            let report = queue.shutdown(Duration::ZERO);
            assert_eq!(futures::executor::block_on(report).left, [3]);
            assert!(queue.abort().is_empty());
        };
        (call, || ())
    });
}
