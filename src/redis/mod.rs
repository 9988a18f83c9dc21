//! Beyond one machine: the same queue over Redis.
//!
//! ```text
//!  Producer ─► puts.rs ──────────►┐                ┌─► engine.rs: a call for each script
//!  Item ─────► settles.rs ───────►│ session.rs     │      scripts/*.lua: all that decides
//!  Consumer ◄─ outlet.rs ◄────────┘  (bridge.rs) ──┘   hints.rs: "there is something for you"
//! ```
//!
//! `connect.rs` makes a queue whose endpoints have a [`Link`](link::Link) in the place of the buffer, and starts
//! its bridge on the thread that serves all queues of this process (`driver.rs`). All queues of one server share their
//! connections (`server.rs`, `connection.rs`).
//! `address.rs` says for each connection where the queue is now.

mod address;
mod bridge;
mod builder;
mod connect;
mod connection;
mod deadlines;
mod driver;
mod engine;
mod error;
mod hints;
mod join;
mod json;
mod letters;
mod link;
mod news;
mod outage;
mod outlet;
mod payload;
mod puts;
mod scripts;
mod server;
mod session;
mod settles;
mod tls;
mod unreadable;

pub use builder::RedisBuilder;
pub use error::ConnectError;
pub use payload::Payload;
