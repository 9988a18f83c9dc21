//! What `src/sync.rs` is to the crate itself.
//!
//! shuttle lets one thread run at a time, from one access to the next; all accesses are sequentially
//! consistent to it.

pub use shuttle::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, atomic};
pub(crate) use shuttle::thread_local;

/// Its accesses are single steps here.
pub(crate) use futures::task::AtomicWaker;

pub(crate) use spin::{ITEMS_IN_A_ROW, LOOKS_BESIDE_NOTIFIED, PUTS_PAST_LINE, SpinBackoff, SpinGuard, SpinLock};
pub(crate) use time::CoarseInstant;
pub use time::Instant;

#[path = "../spin.rs"]
mod spin;
#[path = "thread.rs"]
pub mod thread;
#[path = "time.rs"]
pub(crate) mod time;
