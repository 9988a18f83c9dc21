//! The primitives that the queue and its endpoints are built on, in one place.
//!
//! The models in `tests/models` compile the same sources with a `sync` of their own, in which a model checker chooses the
//! schedule. So everything through which threads can see each other comes from here, and the time. Of `Arc`s, only those
//! whose last owner does something when it drops them do.

pub(crate) use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, atomic};
pub(crate) use std::time::Instant;
pub(crate) use std::{thread, thread_local};

pub(crate) use coarsetime::Instant as CoarseInstant;
pub(crate) use crossbeam_utils::Backoff as SpinBackoff;
pub(crate) use futures::task::AtomicWaker;

pub(crate) use crate::spin_lock::{SpinGuard, SpinLock};

/// This many puts may pass those that wait, before a place is kept for these. Models have fewer.
pub(crate) const PUTS_PAST_LINE: u64 = 32;

/// The next waiter looks this many times before it may take what is kept for the notified ones. That takes about as long as
/// waking a thread.
pub(crate) const LOOKS_BESIDE_NOTIFIED: u32 = 256;

/// An actor that is served by address is sent at most this many items in a row. Models have fewer.
pub(crate) const ITEMS_IN_A_ROW: usize = 256;
