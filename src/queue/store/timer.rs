//! The thread that keeps the time of delayed items.

use std::sync::Arc;

use crate::queue::shared::Shared;
use crate::sync::thread;

/// Starts the thread that brings delayed items back when they are due. It needs no runtime, and ends when no item waits
/// any more.
pub(crate) fn start_timer<T: Send + 'static>(shared: &Arc<Shared<T>>) {
    let timer = thread::Builder::new().name("queue-redelivery".to_owned());
    let spawned = timer.spawn({
        let shared = Arc::clone(shared);
        move || {
            // It is unparked for an item that is due earlier, and at the end.
            while let Some(sleep) = shared.release_due() {
                thread::park_timeout(sleep);
            }
        }
    });
    if let Err(error) = spawned {
        log::error!(
            "{}: no thread could be started for delayed items, so they come back at once: {error}",
            shared.label()
        );
        shared.release_all();
    }
}
