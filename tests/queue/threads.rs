//! D10 and the rest of D6: threads that wait, where they may not, and user code under no lock.

use std::future::Future;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use actix_iterable_queue::error::{PutError, Refusal};
use actix_iterable_queue::iter::{
    BlockingIter, BlockingLeases, IntoBlockingIter, IntoBlockingLeases, IntoLeases, Leases, TryIter,
};
use actix_iterable_queue::report::ShutdownReport;
use actix_iterable_queue::{
    Builder, Consumer, DeadLetter, Drained, Item, IterableQueue, Permit, Producer, PutSink, Snapshot, WorkerThreads,
};
use actix_rt::{Arbiter, System};
use futures::FutureExt;
use support::backend;
use support::{Task, hook, message, until, within_watchdog};

/// What the call says when it panics.
fn refusal<R>(call: impl FnOnce() -> R) -> String {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(_) => "no panic".to_owned(),
        Err(panic) => message(&*panic).to_owned(),
    }
}

fn every_blocking_call_panics_by_name() {
    let queue = IterableQueue::bounded(1);
    let (producer, mut consumer) = (queue.producer().expect("works"), queue.consumer().expect("works"));
    let (long, eye) = (Duration::from_secs(3600), queue.downgrade());
    let calls = [
        (refusal(|| consumer.blocking_get()), "get().await"),
        (refusal(|| consumer.blocking_get_timeout(long)), "get().await"),
        (refusal(|| consumer.blocking_get_deadline(Instant::now() + long)), "get().await"),
        (refusal(|| consumer.blocking_get_batch(2)), "get_batch(max).await"),
        (refusal(|| consumer.blocking_lease()), "lease().await"),
        (refusal(|| consumer.blocking_lease_timeout(long)), "lease().await"),
        (refusal(|| consumer.blocking_lease_deadline(Instant::now() + long)), "lease().await"),
        (refusal(|| consumer.iter().next()), "get().await"),
        (refusal(|| consumer.blocking_leases().next()), "lease().await"),
        (refusal(|| queue.blocking_drained()), "drained().await"),
        (refusal(|| queue.blocking_drained_timeout(long)), "drained().await"),
        (refusal(|| queue.blocking_drained_deadline(Instant::now() + long)), "drained().await"),
        (refusal(|| eye.blocking_drained()), "drained().await"),
        (refusal(|| eye.blocking_drained_timeout(long)), "drained().await"),
        (refusal(|| eye.blocking_drained_deadline(Instant::now() + long)), "drained().await"),
    ];
    producer.try_put(0).expect("works");
    let puts = [
        (refusal(|| producer.blocking_put(1)), "put(item).await"),
        (refusal(|| producer.blocking_put_all([1])), "put_all(items).await"),
        (refusal(|| producer.blocking_reserve()), "reserve().await"),
        (refusal(|| producer.blocking_put_timeout(1, long)), "reserve().await"),
        (refusal(|| producer.blocking_put_deadline(1, Instant::now() + long)), "reserve().await"),
    ];
    for (said, instead) in calls.into_iter().chain(puts) {
        assert!(said.contains(instead) && said.contains("arbiter"), "{said:?} does not name {instead}");
    }
    // Where they need not wait they work.
    assert_eq!(consumer.blocking_get(), Some(0));
    producer.blocking_put_all([1]).expect("works");
    consumer.blocking_lease().expect("works").ack();
    producer.blocking_put_timeout(2, long).expect("works");
    assert_eq!(consumer.blocking_get_batch(9), [2]);
    drop(producer.blocking_reserve().expect("works"));
    producer.blocking_put(2).expect("works");
    assert_eq!(consumer.iter().next(), Some(2));
    drop(queue.abort());
    assert_eq!((consumer.blocking_get(), producer.blocking_put(3)), (None, Err(PutError::new(3, Refusal::Aborted))));
    queue.blocking_drained();
    eye.blocking_drained();
    queue.blocking_shutdown(long);
    assert_eq!(queue.snapshot().waiting_gets + queue.snapshot().waiting_puts, 0);

    let queue = IterableQueue::unbounded();
    queue.producer().expect("works").try_put(0).expect("works");
    let _idle = queue.consumer().expect("works");
    let said = refusal(|| queue.blocking_shutdown(long));
    assert!(said.contains("shutdown(grace).await"), "{said:?}");
    assert_eq!(queue.blocking_shutdown(Duration::ZERO).left, [0]);
}

#[test]
fn d10_blocking_on_the_main_arbiter_panics_and_names_the_async_call() {
    within_watchdog(|| System::new().block_on(async { every_blocking_call_panics_by_name() }));
}

#[test]
fn d10_blocking_on_another_arbiter_panics_too() {
    within_watchdog(|| {
        System::new().block_on(async {
            let (done, finished) = futures::channel::oneshot::channel();
            let arbiter = Arbiter::new();
            arbiter.spawn(async move {
                every_blocking_call_panics_by_name();
                done.send(()).unwrap();
            });
            finished.await.expect("the checks on the arbiter pass");
            arbiter.stop();
            arbiter.join().unwrap();
        });
    });
}

#[test]
fn d10_blocking_works_in_spawn_blocking() {
    within_watchdog(|| {
        System::new().block_on(async {
            let queue = backend::bounded(1);
            let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
            let waiting = actix_rt::task::spawn_blocking(move || consumer.blocking_get());
            while queue.snapshot().waiting_gets == 0 {
                actix_rt::task::yield_now().await;
            }
            producer.put(7).await.unwrap();
            assert_eq!(waiting.await.unwrap(), Some(7));
        });
    });
}

#[test]
fn d10_blocking_works_on_a_thread_whose_system_has_ended() {
    within_watchdog(|| {
        System::new().block_on(async {});
        assert!(Arbiter::try_current().is_some(), "or this tests nothing");
        let queue = backend::unbounded();
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        let other = queue.clone();
        let putting = thread::spawn(move || {
            until(|| other.snapshot().waiting_gets == 1);
            producer.try_put(1).unwrap();
        });
        assert_eq!(consumer.blocking_get(), Some(1));
        putting.join().unwrap();
    });
}

#[test]
fn d6_a_thread_that_gives_up_passes_its_wake_up_on() {
    within_watchdog(|| {
        // Whoever of the two gives up, the item goes to the other or stays.
        for _ in 0..backend::rounds(200) {
            let queue = backend::unbounded();
            let (producer, mut hasty) = (queue.producer().unwrap(), queue.consumer().unwrap());
            let mut patient = queue.consumer().unwrap();
            let first = thread::spawn(move || hasty.blocking_get_timeout(Duration::from_micros(300)));
            let second = thread::spawn(move || patient.blocking_get());
            until(|| queue.snapshot().waiting_gets > 0);
            producer.try_put(1).unwrap();
            if first.join().unwrap().is_ok() {
                producer.try_put(2).unwrap();
            }
            assert!(second.join().unwrap().is_some());
            assert_eq!(queue.snapshot().waiting_gets, 0);
        }
    });
}

#[test]
fn d6_threads_and_tasks_wait_in_one_line() {
    within_watchdog(|| {
        let queue = backend::unbounded();
        let producer = queue.producer().unwrap();
        let (mut a, mut b) = (queue.consumer().unwrap(), queue.consumer().unwrap());
        let task = Task::new();
        let mut get = Box::pin(a.get());
        assert!(task.poll(get.as_mut()).is_pending());
        let thread = thread::spawn(move || b.blocking_get());
        until(|| queue.snapshot().waiting_gets == 2);
        producer.try_put(1).unwrap();
        backend::soon(|| task.wakes(), 1); // it came first
        drop(get); // and passes it on
        assert_eq!(thread.join().unwrap(), Some(1));
    });
}

/// Calls into the queue from a waker's wake and drop. With a lock held that would hang.
struct Meddler(IterableQueue<u32>, mpsc::Sender<&'static str>);

impl Meddler {
    fn waker(queue: &IterableQueue<u32>) -> (Waker, mpsc::Receiver<&'static str>) {
        let (sender, receiver) = mpsc::channel();
        (Arc::new(Meddler(queue.clone(), sender)).into(), receiver)
    }
}

impl Wake for Meddler {
    fn wake(self: Arc<Self>) {
        self.0.snapshot();
        self.1.send("woken").ok();
    }
}

impl Drop for Meddler {
    fn drop(&mut self) {
        self.0.snapshot();
        self.1.send("dropped").ok();
    }
}

#[test]
fn d6_wakers_are_woken_and_dropped_outside_the_lock() {
    within_watchdog(|| {
        let queue = IterableQueue::bounded(1);
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        let pending = |future: std::pin::Pin<&mut dyn Future<Output = ()>>| {
            let (waker, events) = Meddler::waker(&queue);
            assert!(future.poll(&mut Context::from_waker(&waker)).is_pending());
            events // from here on the queue has the only waker
        };
        let events = pending(pin!(consumer.get().map(drop)));
        assert_eq!(events.try_iter().collect::<Vec<_>>(), ["dropped"], "it left");
        let mut get = Box::pin(consumer.get().map(drop));
        let events = pending(get.as_mut());
        let replaced = pending(get.as_mut());
        assert_eq!(events.try_iter().collect::<Vec<_>>(), ["dropped"], "replaced by the second poll");
        producer.try_put(1).unwrap();
        assert_eq!(replaced.try_iter().collect::<Vec<_>>(), ["woken", "dropped"]);
        drop(get);
        let mut put = Box::pin(producer.put(2).map(drop));
        let events = pending(put.as_mut());
        assert_eq!(consumer.try_get(), Ok(1));
        assert_eq!(events.try_iter().collect::<Vec<_>>(), ["woken", "dropped"]);
        drop(put);
        let mut drained = Box::pin(queue.drained().map(drop));
        let events = pending(drained.as_mut());
        drop(queue.abort());
        assert_eq!(events.try_iter().collect::<Vec<_>>(), ["woken", "dropped"]);
    });
}

#[test]
fn d6_a_waker_may_use_the_queue_it_was_woken_by() {
    within_watchdog(|| {
        let queue = backend::bounded(2);
        let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        let (other, mut taker) = (producer.clone(), consumer.clone());
        let taken = Arc::new(Mutex::new(None));
        let waker = hook({
            let taken = Arc::clone(&taken);
            move || {
                *taken.lock().unwrap() = taker.try_get().ok();
                other.try_put(2).unwrap();
                drop((taker, other));
            }
        });
        let mut get = Box::pin(consumer.get());
        assert!(get.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        producer.try_put(1).unwrap();
        backend::soon(|| *taken.lock().unwrap(), Some(1));
        assert_eq!(backend::soon_ready(get), Some(2));
    });
}

/// An item whose drop uses the queue that it was in.
struct Nosy(Option<(IterableQueue<Nosy>, Producer<Nosy>, mpsc::Sender<bool>)>);

impl Drop for Nosy {
    fn drop(&mut self) {
        if let Some((queue, producer, seen)) = self.0.take() {
            queue.snapshot();
            seen.send(producer.try_put(Nosy(None)).is_ok()).ok();
        }
    }
}

#[test]
fn d6_items_are_dropped_outside_the_lock() {
    within_watchdog(|| {
        let (seen, drops) = mpsc::channel();
        let start = || {
            let queue = backend::builder().max_attempts(1).keep_dead_letters(0).build().unwrap();
            let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
            let nosy = Nosy(Some((queue.clone(), producer.clone(), seen.clone())));
            producer.try_put(nosy).unwrap();
            let item = consumer.try_lease().unwrap();
            (queue, producer, consumer, item)
        };
        let last = || drops.try_iter().collect::<Vec<_>>();
        let (queue, .., item) = start();
        item.ack();
        assert_eq!((last(), queue.len()), (vec![true], 1));
        let (queue, _producer, _consumer, item) = start();
        drop(item); // a dead letter that is not kept
        assert_eq!((last(), queue.len()), (vec![true], 1));
        let (queue, .., item) = start();
        drop(queue.abort());
        drop(item); // after the end
        drop(queue.take_left());
        assert_eq!(last(), [false]);
        // Left when the queue is abandoned: the item's own producer is what keeps it open.
        let (queue, producer, consumer, item) = start();
        producer.try_put(item.into_inner()).unwrap();
        queue.seal();
        drop((consumer, producer));
        drop(queue.abort());
        assert_eq!(last(), [false]);
    });
}

fn send_sync_static<T: Send + Sync + 'static>() {}
fn send<T: Send>(_: T) {}

/// They may be used in `catch_unwind` as they are.
#[test]
fn d3_handles_may_be_used_across_panics() {
    fn unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}
    unwind_safe::<(IterableQueue<u8>, Builder<u8>, Producer<u8>, Permit<u8>, WorkerThreads<u8>)>();
}

#[test]
fn d3_public_types_cross_threads() {
    // `Cell` is `Send` and not `Sync`: the handles must not ask for more.
    type T = std::cell::Cell<u8>;
    send_sync_static::<IterableQueue<T>>();
    send_sync_static::<Builder<T>>();
    send_sync_static::<Producer<T>>();
    send_sync_static::<Consumer<T>>();
    send_sync_static::<Permit<T>>();
    send_sync_static::<(PutSink<T>, WorkerThreads<T>)>();
    send_sync_static::<(IntoLeases<T>, IntoBlockingIter<T>, IntoBlockingLeases<T>)>();
    send_sync_static::<(BlockingIter<'static, T>, BlockingLeases<'static, T>, TryIter<'static, T>, Leases<'static, T>)>(
    );
    send_sync_static::<(Item<u8>, DeadLetter<u8>, ShutdownReport<u8>, Snapshot, Drained)>();
    send_sync_static::<(PutError<u8>, actix_iterable_queue::error::TryPutError<u8>)>();
    let (producer, mut consumer) = IterableQueue::<T>::unbounded().split().unwrap();
    producer.try_put(T::new(1)).unwrap();
    send(consumer.try_lease().unwrap());
    send((producer.put(T::new(1)), producer.put_all([T::new(1)]), producer.reserve()));
    send(consumer.get());
    send(consumer.lease());
}
