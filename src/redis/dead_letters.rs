//! The dead letters of a queue: a queue of their own in Redis, which outlives it. So they are leased, settled and
//! brought back as items are, and each process has a bounded number of them.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use crate::queue::{Config, IterableQueue, Outcome, QueueId, Store, Totals, label};
use crate::redis::client::{QueueClient, Settings};
use crate::redis::driver::QueueDriver;
use crate::redis::driver::thread;
use crate::redis::json::Payload;
use crate::redis::kept_letters::identify;
use crate::redis::local::link::{Link, OpenLetters};
use crate::redis::server::Server;
use crate::redis::server::address::Address;

/// Returns what opens the dead letters of the queue of this client. It is made where the items are known to be payloads.
pub(crate) fn opener<T: Payload>(
    name: &str,
    client: &QueueClient,
    address: &Arc<Address>,
    settings: &Settings,
    largest: usize,
) -> OpenLetters<T> {
    let name: Arc<str> = format!("dead letters of {name}").into();
    // They are never given up, and outlive all that read them.
    let (capacity, max_attempts) = (None, u32::MAX);
    let settings = Settings { capacity, max_attempts, seal_when_unowned: false, ..settings.clone() };
    let parts = (client.letters(&settings), Arc::clone(address), settings);
    // All of it is made anew for each call.
    let parts = AssertUnwindSafe(parts);
    Box::new(move || {
        let (client, address, settings) = parts.clone();
        let name = Some(Arc::clone(&name));
        let config = Config { name, capacity, max_attempts, redelivery_backoff: None, kept_letters: 0, describe: None };
        let id = QueueId::next_of_letters();
        let link = Arc::new(Link::new(label(config.name.as_deref(), id), &config, largest, None));
        link.identify.get_or_init(|| identify::<T>);
        let queue = IterableQueue::open(id, config, Store::remote(link.clone(), capacity));
        let (shared, served) = (Arc::clone(queue.shared()), Arc::clone(&link));
        let serve = move || {
            let server = Server::of(&address);
            QueueDriver::new(shared, served, client, server, settings).run()
        };
        if let Err(error) = thread::spawn(serve) {
            log::error!("{}: they cannot be read: {error}", queue.shared().label());
            // Or their readers would wait for ever.
            link.end();
            queue.shared().end_remote(Outcome::Aborted, Totals::default());
        }
        queue
    })
}
