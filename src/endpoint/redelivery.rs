//! The time between a failure and the next attempt, and who keeps it.

use std::sync::Arc;

use crate::queue::Shared;
use crate::sync::thread;

/// Brings failed items back when they are due. A thread does it, so that it works with no runtime;
/// it ends when nothing waits any more.
pub(crate) fn start_timer<T: Send + 'static>(shared: &Arc<Shared<T>>) {
    let timer = thread::Builder::new().name("queue-redelivery".to_owned());
    let spawned = timer.spawn({
        let shared = Arc::clone(shared);
        move || {
            // An earlier item, or the end, unparks it.
            while let Some(sleep) = shared.release_due() {
                thread::park_timeout(sleep);
            }
        }
    });
    if let Err(error) = spawned {
        log::error!(
            "{}: no thread for the redelivery backoff, so failed items come back at once: {error}",
            shared.label()
        );
        shared.release_all();
    }
}
