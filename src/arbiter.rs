//! Whether this thread may be blocked: all that blocking calls have to know of actix.

/// Panics on the thread of an actix arbiter, where waiting would stop all of its actors, perhaps also the one that the call
/// waits for.
///
/// # Panics
///
/// On an arbiter's thread; the message names `instead`.
#[track_caller]
pub(crate) fn assert_may_block(instead: &str) {
    // Both must be set: `main` keeps its arbiter after the system has ended, and a thread of `spawn_blocking`, which may
    // block, has a runtime. The runtime is checked first: `Arbiter::try_current` panics on a thread that runs the destructors
    // of its thread-locals, which has no runtime any more.
    if tokio::runtime::Handle::try_current().is_ok() && actix_rt::Arbiter::try_current().is_some() {
        panic!("this call would block the thread of an actix arbiter, and every actor on it: {instead}");
    }
}
