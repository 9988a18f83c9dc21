//! The program of the Python original's README, on plain threads: 17 producers, 13 consumers, and
//! nobody who coordinates them. Each producer puts its id ten times; each consumer prints what it
//! sees, until there is nothing more to see.
//!
//! ```sh
//! cargo run --example iterable_queue
//! RUST_LOG=info cargo run --example iterable_queue
//! ```

use std::thread;

use actix_iterable_queue::IterableQueue;
use actix_iterable_queue::error::OpenError;

const PRODUCERS: usize = 17;
const CONSUMERS: usize = 13;
const PUTS: usize = 10;

fn main() -> Result<(), OpenError> {
    env_logger::init();
    let queue = IterableQueue::bounded(32);

    thread::scope(|scope| {
        for id in 0..PRODUCERS {
            let producer = queue.producer_named(format!("producer-{id}"))?;
            scope.spawn(move || {
                for _ in 0..PUTS {
                    if let Err(error) = producer.blocking_put(id) {
                        log::warn!("producer {id}: {error}");
                        break;
                    }
                }
            });
        }
        for id in 0..CONSUMERS {
            let consumer = queue.consumer_named(format!("consumer-{id}"))?;
            scope.spawn(move || {
                for item in consumer {
                    println!("consumer {id} saw item {item}");
                }
            });
        }
        // No more endpoints: from here on the queue knows its end by itself.
        queue.seal();
        Ok(())
    })?;

    log::info!("{}", queue.snapshot());
    Ok(())
}
