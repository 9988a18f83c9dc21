//! Beyond one machine: the same queue over Redis.
//!
//! ```text
//!  Producer ─► put_window.rs ─────────►┐                ┌─► client/: a call for each script
//!  Item ─────► settle_log.rs ──────►│ session.rs     │      scripts/*.lua: all that decides
//!  Consumer ◄─ prefetch.rs ◄───────┘  (driver/) ──┘   notifications.rs: "there is something for you"
//!                                        │
//!  (driver/thread.rs: one thread)           server.rs: what all queues of one server share
//!                                      connection.rs: two connections     outage.rs: what the log says of it
//!                                      address.rs: where Redis is now     tls.rs: with which certificates
//! ```
//!
//! `builder.rs` describes a queue, `connect.rs` has it connected, and `join.rs` joins it, or waits until there is one. That
//! makes a queue whose endpoints have a [`Link`](link::Link) in the place of the buffer, and starts its driver on the
//! thread that serves all queues of this process (`driver/thread.rs`). All queues of one server share their connections.
//!
//! Items are JSON on the way (`json.rs`), and what comes back may be of another type (`unreadable.rs`). `deadlines.rs` knows
//! how long this process may keep them. `dead_letters.rs` opens the queue of dead letters, `driver/report.rs` tells what Redis reports.

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
