//! Where items are kept. A queue's store is chosen when the queue is built, and only the files of this folder ask which
//! one it is.
//!
//! - `boxes.rs`: the plain store, two boxes in memory; `overflow.rs`: which items are beyond the capacity;
//!   `returned.rs` and `delayed.rs`: what came back to it; `alarm.rs`: when the latter are due
//! - `remote.rs`: items elsewhere, and the interface that a driver implements; `elsewhere.rs`: puts and takes there;
//!   `driver.rs`: what the driver asks and tells the queue
//! - `letters.rs`: what becomes of dead letters in memory
//! - `put.rs`, `take.rs`, `give_back.rs`: an item's way in, out and back, whatever the store is
//!
//! A new store is a variant of [`Store`], an arm in each `match` of this folder, and a file of its own.

pub(crate) mod alarm;
pub(crate) mod boxes;
pub(crate) mod delayed;
#[cfg(feature = "redis")]
pub(crate) mod driver;
mod elsewhere;
pub(crate) mod give_back;
pub(crate) mod letters;
mod overflow;
mod put;
pub(crate) mod remote;
pub(crate) mod returned;
pub(crate) mod take;

use std::sync::Arc;

use self::boxes::{Boxes, Closed};
use self::remote::{Remote, RemoteStore, Settled};
use super::lease::dead_letters::DeadLetterQueue;

pub(crate) use self::put::{NotPut, not_put, refused};
pub(crate) use self::remote::{Mark, Ready, Receipt};

/// Where the items of a queue are.
///
/// The items that came back to the plain store are in [`Control`](super::shared::Control), behind the queue's mutex.
#[expect(
    clippy::large_enum_variant,
    reason = "most queues are plain, and reach their boxes without a pointer in between"
)]
pub(crate) enum Store<T> {
    Plain(Boxes<T>),
    Remote(RemoteStore<T>),
}

impl<T> Store<T> {
    /// Creates a store in memory; a capacity of `None` is unbounded.
    pub(crate) fn plain(capacity: Option<usize>) -> Self {
        Self::Plain(Boxes::new(capacity))
    }

    /// Creates a store whose driver keeps the items elsewhere.
    #[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "called by the backend"))]
    pub(crate) fn remote(driver: Arc<dyn Remote<T>>, capacity: Option<usize>) -> Self {
        Self::Remote(RemoteStore::new(driver, capacity))
    }

    pub(crate) fn capacity(&self) -> Option<usize> {
        match self {
            Self::Plain(boxes) => boxes.capacity(),
            Self::Remote(remote) => remote.capacity,
        }
    }

    /// Returns whether this process alone decides when the queue seals itself, and when it has ended. If not, it is
    /// told ([`Shared::learn`](super::Shared::learn), [`Shared::end_remote`](super::Shared::end_remote)).
    pub(crate) fn ends_here(&self) -> bool {
        match self {
            Self::Plain(_) => true,
            Self::Remote(_) => false,
        }
    }

    /// Tells the driver that something was opened, closed, sealed or ended in this process.
    pub(crate) fn membership_changed(&self) {
        match self {
            Self::Plain(_) => {}
            Self::Remote(remote) => remote.driver.changed(),
        }
    }

    /// Tells the driver what became of a lease.
    #[inline]
    pub(crate) fn settle(&self, lease: u64, how: Settled) {
        match self {
            Self::Plain(_) => {}
            Self::Remote(remote) => remote.settle(lease, how),
        }
    }

    /// Refuses items from now on.
    pub(crate) fn close(&self, closed: Closed) {
        match self {
            Self::Plain(boxes) => boxes.close(closed),
            Self::Remote(remote) => remote.close(),
        }
    }

    /// Returns whether producers are refused.
    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Self::Plain(boxes) => boxes.is_closed(),
            Self::Remote(remote) => remote.is_closed(),
        }
    }

    /// Returns whether no item is left that was never handed out. It is not known of items elsewhere.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Plain(boxes) => boxes.is_empty(),
            Self::Remote(_) => false,
        }
    }

    /// Returns whether a take would find nothing. It takes no lock, and may be out of date.
    pub(crate) fn seems_empty(&self) -> bool {
        match self {
            Self::Plain(boxes) => boxes.seems_empty(),
            Self::Remote(_) => false,
        }
    }

    /// Returns whether a put would hardly find room. It takes no lock, and may be out of date.
    pub(crate) fn seems_full(&self) -> bool {
        match self {
            Self::Plain(boxes) => boxes.seems_full(),
            Self::Remote(_) => false,
        }
    }

    /// Counts the places that are promised to puts.
    pub(crate) fn permits(&self) -> usize {
        match self {
            Self::Plain(boxes) => boxes.permits(),
            Self::Remote(remote) => remote.permits(),
        }
    }

    /// Notes that a put begins to wait.
    pub(crate) fn begin_line(&self) {
        match self {
            Self::Plain(boxes) => boxes.begin_line(),
            Self::Remote(_) => {}
        }
    }

    /// Notes that a waiting put was made, and others still wait.
    pub(crate) fn move_line(&self) {
        match self {
            Self::Plain(boxes) => boxes.move_line(),
            Self::Remote(_) => {}
        }
    }

    /// Notes that no put waits any more.
    pub(crate) fn end_line(&self) {
        match self {
            Self::Plain(boxes) => boxes.end_line(),
            Self::Remote(_) => {}
        }
    }

    /// Goes through the lock of the producers. After that, either this thread sees what was put, or the producer sees what
    /// this thread wrote before. A driver notifies with the queue's mutex held, under which this thread has parked.
    pub(crate) fn sync_with_producers(&self) {
        match self {
            Self::Plain(boxes) => boxes.sync_with_producers(),
            Self::Remote(_) => {}
        }
    }

    /// Does for consumers what [`sync_with_producers`](Store::sync_with_producers) does for producers.
    pub(crate) fn sync_with_consumers(&self) {
        match self {
            Self::Plain(boxes) => boxes.sync_with_consumers(),
            Self::Remote(_) => {}
        }
    }

    /// Marks everything that this process has done until now. `None` if there are no other processes to tell.
    pub(crate) fn mark(&self) -> Option<Mark> {
        match self {
            Self::Plain(_) => None,
            Self::Remote(remote) => Some(remote.driver.mark()),
        }
    }

    /// Returns whether everything up to this mark is known elsewhere, or can never be told.
    pub(crate) fn is_known(&self, mark: Mark) -> bool {
        match self {
            Self::Plain(_) => true,
            Self::Remote(remote) => remote.driver.is_known(mark),
        }
    }

    /// Opens the queue of dead letters, if this store keeps them.
    pub(crate) fn open_dead_letters(&self) -> Option<Arc<dyn DeadLetterQueue<T>>> {
        match self {
            Self::Plain(_) => None,
            Self::Remote(remote) => Some(remote.driver.open_letters()),
        }
    }
}
