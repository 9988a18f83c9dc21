//! What the crate has to know of the thread that it is called on: whether an actix arbiter runs there.

use actix_rt::{Arbiter, ArbiterHandle};

/// Returns the arbiter that runs on this thread.
fn current() -> Option<ArbiterHandle> {
    // Both must be set: `main` keeps its arbiter after the system has ended, and a thread of `spawn_blocking`, which may
    // block, has a runtime. The runtime is checked first: `Arbiter::try_current` panics on a thread that runs the destructors
    // of its thread-locals, which has no runtime any more.
    tokio::runtime::Handle::try_current().ok().and_then(|_| Arbiter::try_current())
}

/// Panics on the thread of an actix arbiter, where waiting would stop all of its actors, perhaps also the one that the call
/// waits for.
///
/// # Panics
///
/// On an arbiter's thread; the message names `instead`.
#[track_caller]
pub(crate) fn assert_may_block(instead: &str) {
    if current().is_some() {
        panic!("this call would block the thread of an actix arbiter, and every actor on it: {instead}");
    }
}

/// Calls this on the arbiter of this thread, once other tasks had their turn. Returns `Err` if there is no arbiter. One that
/// has stopped drops the call.
pub(crate) fn call_later<C: FnOnce() + Send + 'static>(call: C) -> Result<(), C> {
    match current() {
        Some(arbiter) => {
            arbiter.spawn_fn(call);
            Ok(())
        }
        None => Err(call),
    }
}
