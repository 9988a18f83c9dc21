//! What is drawn comes from shuttle, so that a schedule replays exactly.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use shuttle::future::yield_now;
use shuttle::rand::{Rng, thread_rng};

pub fn below(most: usize) -> usize {
    thread_rng().gen_range(0..most)
}

pub fn any<T: Copy>(of: &[T]) -> T {
    of[below(of.len())]
}

/// Lets others have some steps.
pub async fn a_while() {
    for _ in 0..below(24) {
        yield_now().await;
    }
}

/// Polls a few times at most; then its owner drops it.
pub async fn cut<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    for _ in 0..=below(2) {
        let polled = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if let Poll::Ready(output) = polled {
            return Some(output);
        }
        yield_now().await;
    }
    None
}
