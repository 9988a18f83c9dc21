//! Threads that park.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::task::AtomicWaker;
use shuttle::future::block_on;
use shuttle::rand::{Rng, thread_rng};
pub use shuttle::thread::{Builder, JoinHandle, ThreadId, spawn, yield_now};
pub use std::thread::panicking;

use super::time;

/// A thread that can be unparked. Not shuttle's, which also wakes parked threads for no reason while
/// others run: that would make up for a wake-up that was lost.
#[derive(Debug, Clone)]
pub struct Thread {
    id: ThreadId,
    token: Arc<Token>,
}

#[derive(Debug, Default)]
struct Token {
    given: AtomicBool,
    parked: AtomicWaker,
}

shuttle::thread_local! {
    static CURRENT: Thread = Thread { id: shuttle::thread::current().id(), token: Arc::default() };
}

pub fn current() -> Thread {
    CURRENT.with(Thread::clone)
}

impl Thread {
    pub fn id(&self) -> ThreadId {
        self.id
    }

    pub fn unpark(&self) {
        self.token.given.store(true, SeqCst);
        self.token.parked.wake();
    }
}

impl Token {
    fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        self.parked.register(cx.waker());
        if self.given.swap(false, SeqCst) { Poll::Ready(()) } else { Poll::Pending }
    }
}

pub fn park() {
    let Thread { token, .. } = current();
    block_on(poll_fn(|cx| token.poll(cx)));
}

/// Time passes when somebody has waited for it: as many steps of others as it happens. What is
/// farther than a year never comes.
pub fn park_timeout(timeout: Duration) {
    const A_YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    if timeout > A_YEAR {
        return park();
    }
    let Thread { token, .. } = current();
    for _ in 0..thread_rng().gen_range(0..32) {
        if token.given.swap(false, SeqCst) {
            return;
        }
        yield_now();
    }
    time::pass(timeout);
}
