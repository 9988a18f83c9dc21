//! Helpers for tests of your own pipelines (feature `testing`).
//!
//! | you want | use |
//! |---|---|
//! | a consumer that fails at item k, or now and then | a [`Fault`] |
//! | a producer that dies half-way | [`Fault::panic_in`] |
//! | to check that the queue's numbers add up | [`assert_conserved`] |
//! | to check that every item came to exactly one end | a [`Ledger`] |
//! | a `QueueActor` and a handler in a plain `#[test]` | [`run_actors`] |
//!
//! # Examples
//!
//! Workers that fail now and then, and an account of every item:
//!
//! ```
//! use actix_iterable_queue::IterableQueue;
//! use actix_iterable_queue::testing::{Fault, Ledger, assert_conserved};
//! use std::thread;
//!
//! let queue = IterableQueue::bounded(4);
//! let (producer, consumers) = (queue.producer()?, [queue.consumer()?, queue.consumer()?]);
//! queue.seal();
//! let ledger = Ledger::new();
//!
//! thread::scope(|scope| {
//!     let put = ledger.producer();
//!     scope.spawn(move || {
//!         for n in 0..100 {
//!             producer.blocking_put(n).unwrap();
//!             put.accepted(n);
//!         }
//!     });
//!     for (consumer, name) in consumers.into_iter().zip(["steady", "shaky"]) {
//!         let work = ledger.consumer(name);
//!         let fault = Fault::with_probability(if name == "shaky" { 0.2 } else { 0.0 }, 7);
//!         scope.spawn(move || {
//!             for item in consumer.into_blocking_leases() {
//!                 work.handed(*item, item.attempt());
//!                 if fault.strikes() {
//!                     continue; // drops the lease unsettled: the item comes back
//!                 }
//!                 work.finished(*item);
//!                 item.ack();
//!             }
//!         });
//!     }
//! });
//! ledger.audit().assert_clean();
//! assert_conserved(&queue.snapshot());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod audit;
mod conservation;
mod fault;
mod ledger;
mod notes;
mod run;

pub use audit::Audit;
pub use conservation::assert_conserved;
pub use fault::Fault;
pub use ledger::{ConsumerLog, Ledger, ProducerLog};
pub use run::run_actors;
