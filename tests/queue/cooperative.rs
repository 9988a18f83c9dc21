//! Futures and streams that always find what they want let their executor run other tasks (D11), on tokio and on
//! executors without a budget.

use std::cell::Cell;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use actix_iterable_queue::{Consumer, IterableQueue, Producer};
use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;
use futures::{SinkExt, StreamExt, stream};
use support::{Task, within_watchdog};

/// At least once in this many operations a task lets the others run.
const MOST_OPERATIONS: usize = 1024;

/// Whether another task has run, and how many operations went before it.
#[derive(Debug, Clone, Default)]
struct Other {
    has_run: Rc<Cell<bool>>,
    operations: Rc<Cell<usize>>,
}

impl Other {
    fn runs(&self) {
        self.has_run.set(true);
    }

    /// Whether there is to be another operation, which is counted.
    fn waits(&self) -> bool {
        let waits = !self.has_run.get();
        self.operations.set(self.operations.get() + usize::from(waits));
        waits
    }
}

/// Runs a task that goes on until another one has run, on each kind of executor.
fn lets_others_run<F: Future<Output = ()> + 'static>(task: fn(Other, Producer<u32>, Consumer<u32>) -> F) {
    fn begin<F>(task: fn(Other, Producer<u32>, Consumer<u32>) -> F) -> (Other, F) {
        let (producer, consumer) = IterableQueue::unbounded().split().expect("open");
        let other = Other::default();
        (other.clone(), task(other, producer, consumer))
    }
    within_watchdog(move || {
        let (other, task_on_tokio) = begin(task);
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("there is memory for it");
        let set = tokio::task::LocalSet::new();
        set.spawn_local(task_on_tokio);
        set.spawn_local({
            let other = other.clone();
            async move { other.runs() }
        });
        runtime.block_on(set);
        assert!(other.operations.get() <= MOST_OPERATIONS, "on tokio: {other:?}");

        let (other, task_elsewhere) = begin(task);
        let mut pool = LocalPool::new();
        pool.spawner().spawn_local(task_elsewhere).expect("the pool runs");
        pool.spawner()
            .spawn_local({
                let other = other.clone();
                async move { other.runs() }
            })
            .expect("the pool runs");
        pool.run();
        assert!(other.operations.get() <= MOST_OPERATIONS, "without a budget: {other:?}");
    });
}

#[test]
fn d11_get() {
    lets_others_run(|other, producer, mut consumer| async move {
        while other.waits() {
            producer.try_put(1).unwrap();
            assert_eq!(consumer.get().await, Some(1));
        }
    });
}

#[test]
fn d11_lease() {
    lets_others_run(|other, producer, mut consumer| async move {
        while other.waits() {
            producer.try_put(1).unwrap();
            consumer.lease().await.unwrap().ack();
        }
    });
}

/// Batches of 100 pass by the counts at which single operations look.
#[test]
fn d11_batches() {
    lets_others_run(|other, producer, mut consumer| async move {
        while other.waits() {
            (0..100).try_for_each(|n| producer.try_put(n)).unwrap();
            assert_eq!(consumer.get_batch(100).await.len(), 100);
        }
    });
    lets_others_run(|other, producer, mut consumer| async move {
        while other.waits() {
            (0..100).try_for_each(|n| producer.try_put(n)).unwrap();
            consumer.lease_batch(100, Duration::ZERO).await.ack();
        }
    });
}

#[test]
fn d11_the_stream_of_items() {
    lets_others_run(|other, producer, mut consumer| async move {
        while other.waits() {
            producer.try_put(1).unwrap();
            assert_eq!(consumer.next().await, Some(1));
        }
    });
}

#[test]
fn d11_the_stream_of_leases() {
    lets_others_run(|other, producer, mut consumer| async move {
        while other.waits() {
            producer.try_put(1).unwrap();
            consumer.leases().next().await.unwrap().ack();
        }
    });
}

#[test]
fn d11_leases_in_work_at_the_same_time() {
    lets_others_run(|other, producer, consumer| async move {
        producer.try_put(1).unwrap();
        drop(producer);
        let work = consumer.into_leases().for_each_concurrent(4, |item| {
            if other.waits() {
                item.put_child(1).unwrap();
            }
            item.ack();
            async {}
        });
        work.await;
    });
}

#[test]
fn d11_put() {
    lets_others_run(|other, producer, consumer| async move {
        let _open = consumer;
        while other.waits() {
            producer.put(1).await.unwrap();
        }
    });
}

#[test]
fn d11_put_all() {
    lets_others_run(|other, producer, consumer| async move {
        let _open = consumer;
        producer.put_all((0..).take_while(|_| other.waits())).await.unwrap();
    });
}

#[test]
fn d11_reserve() {
    lets_others_run(|other, producer, consumer| async move {
        let _open = consumer;
        while other.waits() {
            producer.reserve().await.unwrap().put(1).unwrap();
        }
    });
}

#[test]
fn d11_the_sink() {
    lets_others_run(|other, producer, consumer| async move {
        let _open = consumer;
        let mut sink = producer.into_sink();
        while other.waits() {
            sink.send(1).await.unwrap();
        }
    });
}

#[test]
fn d11_a_stream_that_is_forwarded() {
    lets_others_run(|other, producer, consumer| async move {
        let _open = consumer;
        let items = stream::iter(0..).take_while(|_| futures::future::ready(other.waits()));
        items.map(Ok).forward(producer.into_sink()).await.unwrap();
    });
}

/// Within a poll of a task tokio gives no further budget, however often the inner executor polls.
#[test]
fn d11_an_executor_inside_of_a_task_goes_on() {
    within_watchdog(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (producer, mut consumer) = IterableQueue::unbounded().split().unwrap();
            futures::executor::block_on(async {
                assert_eq!(producer.put_all(0..10_000).await, Ok(10_000));
                for n in (0..10_000).step_by(2) {
                    assert_eq!((consumer.get().await, consumer.next().await), (Some(n), Some(n + 1)));
                }
            });
        });
    });
}

/// What polls often and has nothing to do, beside what has.
#[test]
fn d11_idle_streams_keep_nobody_from_going_on() {
    async fn beside_idle_streams(streams: usize) {
        let queues: Vec<_> = (0..streams).map(|_| IterableQueue::unbounded().split().unwrap()).collect();
        let (producers, consumers): (Vec<_>, Vec<_>) = queues.into_iter().unzip();
        let mut all = stream::select_all(consumers);
        for n in 0..100 {
            producers[streams - 1].put(n).await.unwrap();
            assert_eq!(all.next().await, Some(n));
        }
        let busy = async {
            for n in 0..5_000 {
                producers[0].put(n).await.unwrap();
            }
            drop(producers);
        };
        let (mut idle_producer, mut idle) = IterableQueue::<u32>::unbounded().split().unwrap();
        let waits = async { assert_eq!(idle.next().await, None) };
        let closes = async {
            busy.await;
            idle_producer.close();
        };
        futures::join!(closes, waits, async { assert_eq!(all.by_ref().count().await, 5_000) });
    }
    within_watchdog(|| {
        for streams in [1, 7, 8, 9, 16, 31, 32, 33, 1000, 1024] {
            futures::executor::block_on(beside_idle_streams(streams));
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(beside_idle_streams(streams));
            runtime.block_on(async { futures::executor::block_on(beside_idle_streams(streams)) });
        }
    });
}

#[test]
fn d1_a_put_that_yields_is_not_overtaken() {
    within_watchdog(|| {
        futures::executor::block_on(async {
            let (producer, consumer) = IterableQueue::unbounded().split().unwrap();
            for n in (0..9_000).step_by(3) {
                let (one, two, three) = futures::join!(producer.put(n), producer.put(n + 1), producer.put(n + 2));
                one.and(two).and(three).unwrap();
            }
            futures::future::try_join_all((9_000..12_000).map(|n| producer.put(n))).await.unwrap();
            let several = [12_000..13_000, 13_000..14_000].map(|items| producer.put_all(items));
            futures::future::try_join_all(several).await.unwrap();
            drop(producer);
            let items: Vec<_> = consumer.collect().await;
            assert!(items[..12_000].is_sorted(), "the puts of one handle enter in the order in which they were made");
            let (low, high): (Vec<_>, Vec<_>) = items[12_000..].iter().copied().partition(|n| *n < 13_000);
            assert!(low.is_sorted() && high.is_sorted());
        });
    });
}

#[test]
fn d1_nothing_is_put_before_a_put_that_yields() {
    let (producer, consumer) = IterableQueue::unbounded().split().unwrap();
    let mut yields = 0;
    for n in (0..6_000).step_by(2) {
        let task = Task::new();
        let mut put = Box::pin(producer.put(n));
        match task.poll(put.as_mut()) {
            Poll::Ready(put) => put.unwrap(),
            Poll::Pending => {
                yields += 1;
                assert_eq!(task.wakes(), 1);
                assert!(producer.try_put(0).unwrap_err().is_full(), "it would overtake");
                assert!(matches!(task.poll(put.as_mut()), Poll::Ready(Ok(()))));
            }
        }
        producer.try_put(n + 1).unwrap();
    }
    assert!(yields > 0);
    drop(producer);
    assert!(consumer.into_iter().is_sorted());
}

/// A yield loses nothing, whatever becomes of the future.
#[test]
fn d6_a_future_that_yielded_may_be_dropped() {
    use futures::FutureExt;

    let (producer, mut consumer) = IterableQueue::unbounded().split().unwrap();
    (0..10_000).for_each(|n| producer.try_put(n).unwrap());
    let mut yields = 0;
    for n in 0..10_000 {
        loop {
            match consumer.get().now_or_never() {
                Some(item) => break assert_eq!(item, Some(n)),
                None => yields += 1,
            }
        }
    }
    assert!((1..=10_000 / MOST_OPERATIONS + 1).contains(&yields), "{yields}");
}
