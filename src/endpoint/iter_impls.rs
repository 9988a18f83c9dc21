//! What iterators and streams over a consumer have in common.

use std::fmt;
use std::panic::UnwindSafe;

use super::consumer::Consumer;
use super::futures::{IntoLeases, Leases};
use super::iterators::{BlockingIter, BlockingLeases, IntoBlockingIter, IntoBlockingLeases, TryIter, TryLeases};

impl<T> Consumer<T> {
    /// Returns the size hint of iterators and streams. Other consumers may take any item, so only the end is known.
    pub(super) fn items_left(&self) -> (usize, Option<usize>) {
        let slot = self.slot();
        let ended = slot.shared.has_ended() || slot.row.is_shut();
        (0, ended.then_some(0))
    }
}

macro_rules! debug {
    ($($name:ident: $view:ty),* $(,)?) => {$(
        // A derived impl would require `T: Debug`.
        impl<T> fmt::Debug for $view {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("consumer", &self.consumer).finish()
            }
        }
    )*};
}

debug! {
    BlockingIter: BlockingIter<'_, T>,
    IntoBlockingIter: IntoBlockingIter<T>,
    TryIter: TryIter<'_, T>,
    TryLeases: TryLeases<'_, T>,
    BlockingLeases: BlockingLeases<'_, T>,
    IntoBlockingLeases: IntoBlockingLeases<T>,
    Leases: Leases<'_, T>,
    IntoLeases: IntoLeases<T>,
}

// A consumer is unwind safe, but a `&mut` reference never is by itself. These call the consumer's methods, each of which
// leaves it consistent.
impl<T> UnwindSafe for BlockingIter<'_, T> {}
impl<T> UnwindSafe for TryIter<'_, T> {}
impl<T> UnwindSafe for TryLeases<'_, T> {}
impl<T> UnwindSafe for BlockingLeases<'_, T> {}
impl<T> UnwindSafe for Leases<'_, T> {}

#[cfg(test)]
mod tests {
    use futures::stream::FusedStream;
    use futures::{FutureExt, StreamExt};

    use crate::queue::IterableQueue;

    /// The watch found its actor dead, so the items in the queue are for others.
    #[test]
    fn a3_a_consumer_that_was_closed_from_outside_has_nothing_left() {
        let queue = IterableQueue::unbounded();
        let (mut closed, other) = (queue.consumer().unwrap(), queue.consumer().unwrap());
        queue.producer().unwrap().try_put(1).unwrap();
        queue.shared().shut_consumers([&*closed.slot().row.shut]);
        assert_eq!((closed.iter().size_hint(), other.items_left()), ((0, Some(0)), (0, None)));
        assert!(!closed.is_terminated());
        assert_eq!(closed.next().now_or_never(), Some(None));
        assert!(closed.is_terminated() && !other.is_terminated());
    }
}
