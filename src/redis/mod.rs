//! A queue that several processes share, over Redis.
//!
//! In this folder `redis::…` is the crate of that name, and `crate::redis` this module.
//!
//! ```text
//!  Producer ─► [ put window ] ──►│                   │─► client/: a call for each script
//!  Item ─────► [ settle log ] ──►│ driver/           │     scripts/*.lua: all that decides
//!  Consumer ◄─ [ prefetch ] ◄────│   session.rs: one │
//!              local/            │   call of each    │─► server/: connections that all queues of a server share,
//!                                │   under way       │     where Redis is, notifications
//! ```
//!
//! `builder.rs` describes a queue, `connect.rs` connects it, and `join.rs` joins it, or waits until there is one. That
//! makes a queue whose store is a [`Link`](local::link::Link), and starts its driver on the thread that serves all queues
//! of this process (`driver/thread.rs`).
//!
//! Items are JSON on the way (`json.rs`). `dead_letters.rs` opens the queue of dead letters; `kept_letters.rs` lists, retries and
//! discards those that no reader has.

mod builder;
mod client;
mod connect;
mod dead_letters;
mod driver;
mod join;
mod json;
mod kept_letters;
mod local;
mod server;

pub use builder::RedisBuilder;
pub use json::Payload;
