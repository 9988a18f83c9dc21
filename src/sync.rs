//! The primitives that the queue and its endpoints are built on, in one place.
//!
//! The models in `tests/models` compile the same sources with a `sync` of their own, in which a model
//! checker chooses the schedule. So whatever threads can meet at comes from here, and the time; of `Arc`s,
//! those whose last owner does something when it drops them.

pub(crate) use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, atomic};
pub(crate) use std::time::Instant;
pub(crate) use std::{thread, thread_local};

pub(crate) use coarsetime::Instant as CoarseInstant;
pub(crate) use crossbeam_utils::Backoff;
pub(crate) use futures::task::AtomicWaker;

pub(crate) use crate::spin_lock::{SpinGuard, SpinLock};

/// This many puts may be made before those that wait; then a place is kept for these. Models have fewer.
pub(crate) const PUTS_PAST_LINE: u64 = 32;

/// About as long as it takes to wake a thread: for so many looks of the next one, those that were notified may come.
pub(crate) const LOOKS_BESIDE_NOTIFIED: u32 = 256;
