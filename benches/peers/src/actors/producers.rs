//! Those who send.

use std::future::Future;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use actix_rt::Arbiter;
use futures::stream::{self, StreamExt};

use super::{IN_FLIGHT, PRODUCERS};
use crate::numbers::shares;
use crate::start::Start;

/// Threads that send their shares of the numbers, as soon as all are there.
pub(super) struct Threads {
    start: Arc<Start>,
    threads: Vec<JoinHandle<()>>,
}

impl Threads {
    /// What is refused is missing in the end.
    pub(super) fn new<F: FnMut(u64) + Send + 'static>(items: usize, senders: impl IntoIterator<Item = F>) -> Self {
        let start = Arc::new(Start::of(PRODUCERS + 1));
        let threads = shares(items, PRODUCERS).zip(senders).map(|(share, send)| {
            let start = Arc::clone(&start);
            thread::spawn(move || {
                start.wait();
                share.for_each(send); // dropped with that: no more from here
            })
        });
        Self { threads: threads.collect(), start }
    }

    pub(super) fn begin(&self) -> Instant {
        self.start.wait()
    }

    pub(super) fn join(self) -> anyhow::Result<()> {
        for thread in self.threads {
            thread.join().map_err(|_| anyhow::anyhow!("a producer panicked"))?;
        }
        Ok(())
    }
}

/// The same on arbiters, for those who wait for answers: each has 64 sends under way.
pub(super) fn on_arbiters<S, F>(arbiters: &[Arbiter], items: usize, senders: impl IntoIterator<Item = S>) -> Instant
where
    S: FnMut(u64) -> F + Send + 'static,
    F: Future<Output = ()> + 'static,
{
    let began = Instant::now();
    for ((arbiter, share), send) in arbiters.iter().zip(shares(items, PRODUCERS)).zip(senders) {
        arbiter.spawn_fn(move || {
            actix_rt::spawn(stream::iter(share).map(send).buffer_unordered(IN_FLIGHT).for_each(async |()| {}));
        });
    }
    began
}
