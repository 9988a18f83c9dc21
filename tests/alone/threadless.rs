//! What becomes of those who need a thread where none can be started.
//!
//! Each test runs this binary again, as a process whose threads are to have stacks larger than the memory
//! of any machine: starting one fails.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // in helpers too

use std::env;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ::log::Level;
use actix_iterable_queue::error::PoolError;
use actix_iterable_queue::{Backoff, Consumer, Item, IterableQueue, Outcome, Producer};
use futures::executor::block_on;
use futures::future::join;
use support::log::{keep, said};
use support::{Task, assert_conserved};

const CASE: &str = "THREADLESS_TEST_CASE";
const LONG: Duration = Duration::from_secs(3600);

#[track_caller]
fn in_a_process_without_threads(case: &str) {
    in_a_process(case, "the_process_without_threads", "unlimited", "1125899906842624");
}

/// The limit is of its memory, in KiB.
#[track_caller]
fn in_a_process(case: &str, test: &str, memory: &str, stack: &str) {
    let output = Command::new("timeout") // for hangs: no verdict rests on it
        .args(["120", "sh", "-c", "ulimit -v \"$0\" && exec \"$@\"", memory])
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads", "1"])
        .envs([(CASE, case), ("RUST_MIN_STACK", stack)])
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn the_process_without_threads() {
    let Ok(case) = env::var(CASE) else { return };
    assert!(thread::Builder::new().spawn(|| ()).is_err(), "a thread can be started");
    keep();
    match case.as_str() {
        "redelivery" => redelivery(),
        "a grace that is used" => a_grace_that_is_used(),
        "a grace that is over" => a_grace_that_is_over(),
        "a grace in an actix system" => a_grace_in_an_actix_system(),
        "a batch" => a_batch(),
        "workers" => workers_of_which_not_all_start(1),
        other => panic!("no such case: {other}"),
    }
}

/// A queue with 0..n in it, and its endpoints.
fn filled(n: u32) -> (IterableQueue<u32>, Producer<u32>, Consumer<u32>) {
    let backoff = Backoff::exponential(LONG, LONG);
    let queue = IterableQueue::builder().name("threadless").redelivery_backoff(backoff).build().unwrap();
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer_named("worker").unwrap());
    (0..n).for_each(|n| producer.try_put(n).unwrap());
    (queue, producer, consumer)
}

fn errors(what: &str) -> usize {
    said(Level::Error, what).iter().filter(|text| text.starts_with("threadless")).count()
}

fn redelivery() {
    let (queue, producer, mut consumer) = filled(1);
    let mut waits = queue.consumer().unwrap();
    for attempt in 1..4 {
        let item = consumer.try_lease().unwrap();
        assert_eq!(item.attempt(), attempt);
        // Those who wait for an item hear of it.
        let (task, mut lease) = (Task::new(), Box::pin(waits.lease()));
        assert!(task.poll(lease.as_mut()).is_pending());
        item.requeue();
        assert_eq!((task.wakes(), queue.snapshot().delayed, queue.len()), (1, 0, 1));
        assert_eq!(errors("delayed items, so they come back at once"), attempt as usize);
    }
    queue.seal();
    drop(producer);
    consumer.try_lease().unwrap().ack();
    assert_eq!(queue.blocking_drained().totals.acked, 1);
    assert_conserved(&queue);
}

#[test]
fn d3_without_a_thread_for_the_backoff_failed_items_come_back_at_once() {
    in_a_process_without_threads("redelivery");
}

fn a_batch() {
    let (_queue, _producer, mut consumer) = filled(2);
    // The future needs a thread that keeps the time, which one that blocks does by itself.
    let batch = block_on(consumer.lease_batch(9, LONG));
    assert_eq!((batch.len(), said(Level::Error, "a batch does not wait for more").len()), (2, 1));
    batch.release();
    assert_eq!(consumer.blocking_lease_batch(9, Duration::from_millis(1)).len(), 2);
}

#[test]
fn d14_without_a_thread_for_its_time_a_batch_is_what_is_there() {
    in_a_process_without_threads("a batch");
}

fn a_grace_that_is_used() {
    let (queue, producer, mut consumer) = filled(2);
    let work = async {
        while let Some(item) = consumer.lease().await {
            // The shutdown is polled in between.
            tokio::task::yield_now().await;
            item.ack();
        }
    };
    let (report, ()) = block_on(join(queue.shutdown(LONG), work));
    assert_eq!((report.drained.outcome, report.drained.totals.acked), (Outcome::Complete, 2));
    assert!(report.left.is_empty() && report.holders.is_empty());
    assert!(producer.try_put(2).is_err());
    assert_eq!(errors("its future keeps the time"), 1);
}

#[test]
fn d8_without_a_thread_for_the_grace_there_is_one() {
    in_a_process_without_threads("a grace that is used");
}

fn a_grace_that_is_over() {
    for grace in [Duration::ZERO, Duration::from_millis(20)] {
        let (queue, _producer, mut consumer) = filled(3);
        let held = consumer.try_lease().unwrap();
        let report = block_on(queue.shutdown(grace));
        assert_eq!((report.drained.outcome, &report.left[..]), (Outcome::Aborted, &[1, 2][..]));
        assert_eq!((&*report.holders[0].name, report.holders[0].leased), ("worker", 1));
        held.ack();
        assert_conserved(&queue);
    }
}

#[test]
fn d8_without_a_thread_for_the_grace_it_has_an_end() {
    in_a_process_without_threads("a grace that is over");
}

/// Timers and workers of the same arbiter go on.
fn a_grace_in_an_actix_system() {
    actix_rt::System::new().block_on(async {
        let (queue, _producer, mut consumer) = filled(1);
        let work = async {
            let item = consumer.lease().await.unwrap();
            actix_rt::time::sleep(Duration::from_millis(10)).await;
            item.ack();
        };
        let (report, ()) = join(queue.shutdown(LONG), work).await;
        assert_eq!((report.drained.outcome, report.drained.totals.acked), (Outcome::Complete, 1));
    });
}

#[test]
fn d8_without_a_thread_for_the_grace_an_arbiter_goes_on() {
    in_a_process_without_threads("a grace in an actix system");
}

/// Those that were started end, and the queue knows nothing of them.
fn workers_of_which_not_all_start(threads: usize) {
    let queue = IterableQueue::builder().name("threadless").build().unwrap();
    let producer = queue.producer().unwrap();
    producer.blocking_put_all(0..10).unwrap();
    let counted = Arc::new(());
    let start = |threads| {
        let counted = Arc::clone(&counted);
        queue.spawn_workers(threads, move |_: &Item<u32>| assert_eq!(Arc::strong_count(&counted), 2))
    };
    let error = start(threads).unwrap_err();
    assert!(matches!(error, PoolError::Thread(_)), "{error}");
    assert_eq!(Arc::strong_count(&counted), 1, "the function is gone, and so are the threads that had it");
    let snapshot = queue.snapshot();
    assert_eq!((snapshot.buffered, snapshot.consumers.len(), snapshot.pools), (10, 0, 0));
    queue.seal();
    assert!(producer.is_closed(), "nobody consumes");
}

#[test]
fn the_process_with_few_threads() {
    if env::var(CASE).is_ok() {
        thread::spawn(|| ()).join().unwrap();
        workers_of_which_not_all_start(64);
    }
}

#[test]
fn d7_where_not_all_threads_start_no_worker_does() {
    in_a_process_without_threads("workers");
    // Room for some stacks of 1 GiB.
    in_a_process("some", "the_process_with_few_threads", "8388608", "1073741824");
}
