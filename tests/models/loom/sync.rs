//! What `src/sync.rs` is to the crate itself.
//!
//! loom takes sequentially consistent accesses for acquire and release, and knows no more than
//! fences that are more. So here each such access has a fence before it, or each has one after it: these
//! are the two ways in which machines with weak memory make them. Each is a little more than the
//! language promises, but not in the same place; so each model is checked with both.

use std::task::Waker;
pub(crate) use std::time::Instant;

pub(crate) use coarsetime::Instant as CoarseInstant;
pub use loom::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard};
pub(crate) use loom::thread_local;

pub(crate) use spin::{ITEMS_IN_A_ROW, LOOKS_BESIDE_NOTIFIED, PUTS_PAST_LINE, SpinBackoff, SpinGuard, SpinLock};

#[path = "../spin.rs"]
mod spin;

pub mod thread {
    use std::sync::Arc;
    use std::time::Duration;

    use loom::sync::{Condvar, Mutex};
    pub use loom::thread::{Builder, JoinHandle, ThreadId, spawn, yield_now};
    pub use std::thread::panicking;

    /// A thread that can be unparked. Not loom's, which forgets that a thread was unparked when that
    /// waits for a lock.
    #[derive(Debug, Clone)]
    pub struct Thread {
        id: ThreadId,
        token: Arc<Token>,
    }

    #[derive(Debug, Default)]
    struct Token {
        given: Mutex<bool>,
        waits: Condvar,
    }

    loom::thread_local! {
        static CURRENT: Thread = Thread { id: loom::thread::current().id(), token: Arc::default() };
    }

    impl Thread {
        pub fn id(&self) -> ThreadId {
            self.id
        }

        pub fn unpark(&self) {
            *self.token.given.lock().unwrap() = true;
            self.token.waits.notify_one();
        }
    }

    pub fn current() -> Thread {
        CURRENT.with(Thread::clone)
    }

    pub fn park() {
        let token = current().token;
        let mut given = token.given.lock().unwrap();
        while !*given {
            given = token.waits.wait(given).unwrap();
        }
        *given = false;
    }

    /// Any time may have passed.
    pub fn park_timeout(_: Duration) {
        yield_now();
    }
}

pub mod atomic {
    use std::cell::Cell;

    pub use loom::sync::atomic::Ordering;
    use loom::sync::atomic::fence;

    /// On which side of a sequentially consistent access its fence is.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Fence {
        Before,
        After,
    }

    std::thread_local! {
        /// All threads of a model are one to the machine.
        static FENCE: Cell<Fence> = const { Cell::new(Fence::Before) };
    }

    pub(crate) fn use_fences(side: Fence) {
        FENCE.set(side);
    }

    fn ordered<R>(order: Ordering, access: impl FnOnce() -> R) -> R {
        let fence_at = |side| {
            if order == Ordering::SeqCst && FENCE.get() == side {
                fence(Ordering::SeqCst);
            }
        };
        fence_at(Fence::Before);
        let result = access();
        fence_at(Fence::After);
        result
    }

    macro_rules! atomic {
        ($name:ident of $value:ty: $($change:ident),*) => {
            #[derive(Debug, Default)]
            pub struct $name(loom::sync::atomic::$name);

            impl $name {
                pub fn new(value: $value) -> Self {
                    Self(loom::sync::atomic::$name::new(value))
                }

                pub fn load(&self, order: Ordering) -> $value {
                    ordered(order, || self.0.load(order))
                }

                pub fn store(&self, value: $value, order: Ordering) {
                    ordered(order, || self.0.store(value, order));
                }

                $(pub fn $change(&self, value: $value, order: Ordering) -> $value {
                    ordered(order, || self.0.$change(value, order))
                })*
            }
        };
    }

    impl AtomicU8 {
        pub fn fetch_update(
            &self,
            set: Ordering,
            fetch: Ordering,
            next: impl FnMut(u8) -> Option<u8>,
        ) -> Result<u8, u8> {
            ordered(set, || self.0.fetch_update(set, fetch, next))
        }
    }

    atomic!(AtomicBool of bool: swap);
    atomic!(AtomicU8 of u8: fetch_or, fetch_and);
    atomic!(AtomicU64 of u64: fetch_add, fetch_sub);
    atomic!(AtomicUsize of usize: fetch_add, fetch_sub);
}

/// As the one of `futures`: a wake-up that comes before a registration is seen by whoever registered.
#[derive(Debug, Default)]
pub(crate) struct AtomicWaker(Mutex<Option<Waker>>);

impl AtomicWaker {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn register(&self, waker: &Waker) {
        let replaced = self.0.lock().unwrap().replace(waker.clone());
        drop(replaced);
    }

    pub(crate) fn wake(&self) {
        let waker = self.0.lock().unwrap().take();
        waker.into_iter().for_each(Waker::wake);
    }
}
