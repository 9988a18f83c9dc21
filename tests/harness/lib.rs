//! What the tests of all packages need, from nothing but `std`.

mod program;
mod redis_server;
mod watchdog;

pub use program::{Running, Watchdog, example, signal, watchdog};
pub use redis_server::redis_server;
pub use watchdog::{PATIENCE, eventually, within_watchdog};
