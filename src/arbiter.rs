//! Whether this thread may be blocked: the one thing that the blocking calls must know of actix.

/// Panics on the thread of an actix arbiter, where waiting would stop all of its actors, perhaps
/// the very one that is waited for.
///
/// # Panics
///
/// On an arbiter's thread; the message names `instead`.
#[track_caller]
pub(crate) fn assert_may_block(instead: &str) {
    // The arbiter alone is still set on `main` after its system has ended; the runtime alone is set in
    // `spawn_blocking` too, where blocking is welcome. The runtime is asked first: a thread that runs the
    // destructors of its locals has none any more, and there `Arbiter::try_current` panics.
    if tokio::runtime::Handle::try_current().is_ok() && actix_rt::Arbiter::try_current().is_some() {
        panic!("this call would block the thread of an actix arbiter, and every actor on it: {instead}");
    }
}
