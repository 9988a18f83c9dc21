//! The errors of this crate.
//!
//! Errors of puts hand the item back: [`into_inner`](PutError::into_inner) returns it, [`get_ref`](PutError::get_ref)
//! borrows it, and [`reason`](PutError::reason) says why it was refused. None of them needs `T: Debug`.

mod ask;
#[cfg(feature = "redis")]
mod connect;
mod open;
mod pool;
mod put;
mod take;

pub use self::ask::AskError;
#[cfg(feature = "redis")]
pub use self::connect::ConnectError;
pub use self::open::{BuildError, OpenError};
pub use self::pool::{Death, PoolError, PoolFailure};
pub use self::put::{PutError, PutTimeoutError, Refusal, SinkError, TryPutError, TryReserveError};
pub use self::take::{GetTimeoutError, TryGetError};
