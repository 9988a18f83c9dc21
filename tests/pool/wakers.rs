//! Wakers are foreign code, also those of `WorkerPool::drained`: they may do what they like.

use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Waker};
use std::thread;

use actix_iterable_queue::error::PoolFailure;
use actix_iterable_queue::prelude::*;
use actix_iterable_queue::report::PoolReport;
use support::actors::{backlog, in_system};
use support::crew::acks;
use support::hook;

type End = Pin<Box<dyn Future<Output = Result<PoolReport, PoolFailure>> + Send>>;

fn poll(end: &mut End, waker: &Waker) -> bool {
    end.as_mut().poll(&mut Context::from_waker(waker)).is_ready()
}

/// Of two that wait, one waker does this with the other future. Those who wait beside them hear of the end.
fn does_with_the_other(act: fn(End, &Sender<Option<End>>)) {
    for first in [true, false] {
        in_system(move || async move {
            let queue = backlog(0..0);
            let pool = WorkerPool::builder(&queue).workers(1).start(acks()).expect("nothing is against it");
            let (mut one, mut other): (End, End) = (Box::pin(pool.drained()), Box::pin(pool.drained()));
            let before = thread::spawn({
                let end = pool.drained();
                move || futures::executor::block_on(end)
            });
            let (tell, told) = channel();
            let registered = |end: &mut End, waker: &Waker| assert!(!poll(end, waker), "it has not ended");
            if first {
                registered(&mut other, Waker::noop());
                registered(&mut one, &hook(move || act(other, &tell)));
            } else {
                // It is woken first, and the other one is there all the same.
                let (give, given) = channel::<End>();
                registered(&mut one, &hook(move || act(given.recv().expect("it comes"), &tell)));
                registered(&mut other, Waker::noop());
                give.send(other).expect("the waker waits");
            }
            queue.seal();
            pool.drained().await.expect("it does not give up");
            if let Some(other) = told.recv().expect("it was woken") {
                other.await.expect("it does not give up");
            }
            assert!(poll(&mut one, Waker::noop()));
            before.join().expect("it has no cause to panic").expect("it does not give up");
        });
    }
}

#[test]
fn a_waker_may_drop_another_future_of_the_same_pool() {
    does_with_the_other(|other, tell| {
        drop(other);
        assert!(tell.send(None).is_ok(), "the test waits");
    });
}

#[test]
fn a_waker_may_poll_another_future_of_the_same_pool() {
    does_with_the_other(|mut other, tell| {
        // Maybe it has to wait for its own turn to be woken.
        let waits = !poll(&mut other, Waker::noop());
        assert!(tell.send(waits.then_some(other)).is_ok(), "the test waits");
    });
}

/// All others hear of it, those who began to wait before it and those after it.
#[test]
fn a_waker_that_panics_keeps_the_end_from_nobody() {
    in_system(|| async {
        let queue = backlog(0..0);
        let pool = WorkerPool::builder(&queue).workers(1).start(acks()).unwrap();
        let others = |n: usize| -> Vec<_> {
            (0..n)
                .map(|_| {
                    let mut end: End = Box::pin(pool.drained());
                    let (tell, told) = channel();
                    assert!(!poll(&mut end, &hook(move || tell.send(()).unwrap())));
                    (end, told)
                })
                .collect()
        };
        let mut before = others(40);
        let mut bad: End = Box::pin(pool.drained());
        assert!(!poll(&mut bad, &hook(|| panic!("a waker fails"))));
        let after = others(40);
        queue.seal();
        before.extend(after);
        for (mut end, told) in before {
            told.recv().unwrap();
            assert!(poll(&mut end, Waker::noop()));
        }
        assert!(poll(&mut bad, Waker::noop()));
        pool.drained().await.unwrap();
    });
}
