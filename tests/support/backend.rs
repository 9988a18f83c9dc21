//! Where a test's queue has its items: in memory, or over Redis with the feature `redis` and `QUEUE_BACKEND=redis`.
//!
//! What is true at once in memory is true soon over Redis: hence [`soon`] and [`Soon`], which wait only there.

use std::fmt::Debug;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use std::{env, thread};

#[cfg(feature = "redis")]
pub use actix_iterable_queue::Payload;
use actix_iterable_queue::error::TryGetError;
use actix_iterable_queue::{Builder, Consumer, Item, IterableQueue, State};

#[cfg(feature = "redis")]
use crate::over_redis::connect;

/// In memory, anything is an item.
#[cfg(not(feature = "redis"))]
pub trait Payload {}

#[cfg(not(feature = "redis"))]
impl<T> Payload for T {}

#[cfg(not(feature = "redis"))]
fn connect<T>(_: &str, _: Builder<T>) -> IterableQueue<T> {
    panic!("QUEUE_BACKEND=redis needs --features redis")
}

pub fn is_redis() -> bool {
    match env::var("QUEUE_BACKEND") {
        Ok(backend) if backend == "redis" => true,
        Ok(other) if other != "memory" => panic!("QUEUE_BACKEND is memory or redis, not {other}"),
        _ => false,
    }
}

/// What fails comes back at once, so that tests need not wait for it.
pub fn builder<T>() -> Builder<T> {
    IterableQueue::builder().no_redelivery_backoff()
}

/// In memory, whatever the backend, and so for any `T`.
pub fn in_memory<T>() -> IterableQueue<T> {
    builder().build().expect("valid")
}

pub fn unbounded<T: Payload>() -> IterableQueue<T> {
    build(builder())
}

pub fn bounded<T: Payload>(capacity: usize) -> IterableQueue<T> {
    build(builder().capacity(capacity))
}

/// A queue whose name does not matter.
pub fn build<T: Payload>(builder: Builder<T>) -> IterableQueue<T> {
    if is_redis() { connect("queue", builder) } else { builder.build().expect("valid") }
}

/// One whose name begins with this.
pub fn named<T: Payload>(name: &str, builder: Builder<T>) -> IterableQueue<T> {
    if is_redis() { connect(name, builder) } else { builder.name(name).build().expect("valid") }
}

/// How often to look for a race: over Redis a queue costs milliseconds.
pub fn rounds(in_memory: usize) -> usize {
    if is_redis() { in_memory.div_ceil(50) } else { in_memory }
}

/// It is so now; over Redis, it becomes so.
#[track_caller]
pub fn soon<R: PartialEq + Debug>(mut read: impl FnMut() -> R, expected: R) {
    let mut now = read();
    wait_until(|| {
        now = read();
        now == expected
    });
    assert_eq!(now, expected);
}

/// Over Redis only, and no longer than anything takes that does not hang.
pub fn wait_until(mut reached: impl FnMut() -> bool) {
    if is_redis() {
        let begin = Instant::now();
        while !reached() && begin.elapsed() < harness::PATIENCE {
            thread::sleep(Duration::from_micros(200));
        }
    }
}

/// It is ready now; over Redis, it will be.
#[track_caller]
pub fn soon_ready<F: Future>(future: F) -> F::Output {
    let (mut future, mut context) = (pin!(future), Context::from_waker(Waker::noop()));
    let mut ready = None;
    let mut poll = || {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            ready = Some(output);
        }
        ready.is_some()
    };
    if !poll() {
        wait_until(poll);
    }
    ready.expect("it is ready")
}

/// It is drained now; over Redis, it will be.
#[track_caller]
pub fn drained<T>(queue: &IterableQueue<T>) {
    soon(|| queue.state(), State::Drained);
}

/// What a consumer finds: now; over Redis, soon.
pub trait Soon<T> {
    fn soon_item(&mut self) -> T;
    fn soon_lease(&mut self) -> Item<T>;
    /// All there are, which are to be so many.
    fn soon_items(&mut self, count: usize) -> Vec<T>;
    fn soon_end(&mut self);
}

impl<T> Soon<T> for Consumer<T> {
    #[track_caller]
    fn soon_item(&mut self) -> T {
        found(|| self.try_get())
    }

    #[track_caller]
    fn soon_lease(&mut self) -> Item<T> {
        found(|| self.try_lease())
    }

    #[track_caller]
    fn soon_items(&mut self, count: usize) -> Vec<T> {
        let mut items: Vec<_> = (0..count).map(|_| self.soon_item()).collect();
        items.extend(self.try_iter());
        items
    }

    #[track_caller]
    fn soon_end(&mut self) {
        let end = found_or(|| self.try_get()).err();
        assert_eq!(end, Some(TryGetError::Ended));
    }
}

#[track_caller]
fn found<V>(take: impl FnMut() -> Result<V, TryGetError>) -> V {
    found_or(take).unwrap_or_else(|error| panic!("expected an item: {error:?}"))
}

pub fn found_or<V>(mut take: impl FnMut() -> Result<V, TryGetError>) -> Result<V, TryGetError> {
    let mut taken = take();
    wait_until(|| {
        if taken.as_ref().is_err_and(|error| *error == TryGetError::Empty) {
            taken = take();
        }
        taken.as_ref().err() != Some(&TryGetError::Empty)
    });
    taken
}

/// What an abort gives back: all that was left, in order. Over Redis, what is there stays there.
#[track_caller]
pub fn assert_left<T: PartialEq + Debug>(left: Vec<T>, all: impl Into<Vec<T>>) {
    let mut all = all.into();
    if is_redis() {
        all.retain(|item| left.contains(item));
    }
    assert_eq!(left, all);
}
