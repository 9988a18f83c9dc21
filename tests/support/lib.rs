//! What the tests share.
#![allow(missing_docs, missing_debug_implementations, clippy::new_without_default, reason = "only tests use it")]

pub mod actors;
pub mod backend;
pub mod crew;
pub mod faults;
pub mod leases;
pub mod log;
#[cfg(feature = "redis")]
mod over_redis;
#[cfg(feature = "redis")]
pub mod redis_server;

use std::future::Future;
use std::panic;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use actix_iterable_queue::report::Totals;
use actix_iterable_queue::{IterableQueue, Snapshot};
pub use harness::within_watchdog;

/// Polls futures by hand and counts how often they were woken.
pub struct Task {
    wakes: Arc<Wakes>,
    pub waker: Waker,
}

struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Task {
    pub fn new() -> Self {
        let wakes = Arc::new(Wakes(AtomicUsize::new(0)));
        Self { waker: Arc::clone(&wakes).into(), wakes }
    }

    pub fn wakes(&self) -> usize {
        self.wakes.0.load(SeqCst)
    }

    pub fn poll<F: Future + ?Sized>(&self, future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut self.context())
    }

    pub fn context(&self) -> Context<'_> {
        Context::from_waker(&self.waker)
    }

    /// Polls a future when it was woken, and only then, until it is ready.
    pub fn run<F: Future + Unpin>(&self, mut future: F) -> F::Output {
        loop {
            let before = self.wakes();
            if let Poll::Ready(output) = self.poll(Pin::new(&mut future)) {
                return output;
            }
            until(|| self.wakes() > before);
        }
    }
}

/// Waits, without a clock, until another thread has brought the queue so far.
pub fn until(mut reached: impl FnMut() -> bool) {
    while !reached() {
        thread::yield_now();
    }
}

/// C6, with no call running.
#[track_caller]
pub fn assert_conserved<T>(queue: &IterableQueue<T>) {
    let balances = |Snapshot { totals, buffered, leased, .. }: &Snapshot| {
        totals.accepted == settled(totals) + *buffered as u64 + leased
    };
    let mut snapshot = queue.snapshot();
    backend::wait_until(|| {
        snapshot = queue.snapshot();
        balances(&snapshot)
    });
    actix_iterable_queue::testing::assert_conserved(&snapshot);
}

/// Items that have come to their end.
pub fn settled(totals: &Totals) -> u64 {
    totals.acked + totals.taken + totals.dead_lettered + totals.discarded
}

/// What a panic said.
pub fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("not a text")
}

/// What a call says that panics.
pub fn panic_of<R>(call: impl FnOnce() -> R) -> String {
    match panic::catch_unwind(panic::AssertUnwindSafe(call)) {
        Ok(_) => panic!("it is to panic"),
        Err(panic) => message(&*panic).to_owned(),
    }
}

/// Numbers that look random and are the same in every run.
pub struct Lcg(u64);

impl Lcg {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(2).wrapping_add(1))
    }

    /// Less than `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// A waker that runs something once, in the middle of the call that wakes it.
pub fn hook(run: impl FnOnce() + Send + 'static) -> Waker {
    struct Hook(Mutex<Option<Box<dyn FnOnce() + Send>>>);
    impl Wake for Hook {
        fn wake(self: Arc<Self>) {
            let run = self.0.lock().expect("no panic while it is held").take();
            if let Some(run) = run {
                run();
            }
        }
    }
    Arc::new(Hook(Mutex::new(Some(Box::new(run))))).into()
}
