//! Beyond one machine: the same queue over Redis.
//!
//! ```text
//!  Producer ─► puts.rs ─────────►┐                ┌─► engine.rs: a call for each script
//!  Item ─────► settles.rs ──────►│ session.rs     │      scripts/*.lua: all that decides
//!  Consumer ◄─ outlet.rs ◄───────┘  (bridge.rs) ──┘   hints.rs: "there is something for you"
//!                                        │
//!  (driver.rs: one thread)           server.rs: what all queues of one server share
//!                                      connection.rs: two connections     outage.rs: what the log says of it
//!                                      address.rs: where Redis is now     tls.rs: with which certificates
//! ```
//!
//! `builder.rs` describes a queue, `connect.rs` has it connected, and `join.rs` joins it, or waits until there is one. That
//! makes a queue whose endpoints have a [`Link`](link::Link) in the place of the buffer, and starts its bridge on the
//! thread that serves all queues of this process (`driver.rs`). All queues of one server share their connections.
//!
//! Items are JSON on the way (`json.rs`), and what comes back may be of another type (`unreadable.rs`). `deadlines.rs` knows
//! how long this process may keep them. `letters.rs` opens the queue of dead letters, `news.rs` tells what Redis reports.

mod builder;
mod client;
mod connect;
mod dead_letters;
mod driver;
mod join;
mod json;
mod local;
mod payload;
mod server;

pub use builder::RedisBuilder;
pub use payload::Payload;
