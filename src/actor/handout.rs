//! How a consumer actor is handed items: one by one, or in batches.

use std::task::{Context, Poll};
use std::time::Duration;

use crate::endpoint::{Consumer, TimedGather};
use crate::queue::{Batch, Item};

/// A way to hand items out.
pub(crate) trait Handout<T>: Copy + Send + Sync + Unpin + 'static {
    /// What a handler gets.
    type Handed;
    /// What a consumer has taken and not yet handed over.
    type Begun: Default + Unpin;

    /// Returns how many items are handed over at a time, at most.
    fn size(self) -> usize;

    fn has_begun(begun: &Self::Begun) -> bool;

    /// Polls for what comes next. `None` at the end of the queue.
    fn poll_next(
        self,
        begun: &mut Self::Begun,
        consumer: &mut Consumer<T>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Self::Handed>>;
}

/// Hands out one item at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OneByOne;

impl<T> Handout<T> for OneByOne {
    type Handed = Item<T>;
    type Begun = ();

    fn size(self) -> usize {
        1
    }

    fn has_begun((): &()) -> bool {
        false
    }

    #[inline(always)]
    fn poll_next(self, (): &mut (), consumer: &mut Consumer<T>, cx: &mut Context<'_>) -> Poll<Option<Item<T>>> {
        consumer.poll_lease(cx)
    }
}

/// Hands out batches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InBatches {
    pub(super) max: usize,
    pub(super) linger: Duration,
}

impl<T> Handout<T> for InBatches {
    type Handed = Batch<T>;
    type Begun = Option<TimedGather<T>>;

    fn size(self) -> usize {
        self.max
    }

    fn has_begun(begun: &Self::Begun) -> bool {
        begun.as_ref().is_some_and(TimedGather::has_begun)
    }

    fn poll_next(
        self,
        begun: &mut Self::Begun,
        consumer: &mut Consumer<T>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Batch<T>>> {
        let gather = begun.get_or_insert_with(|| TimedGather::new(consumer, self.max, self.linger));
        gather.poll(consumer, cx).map(|batch| {
            *begun = None;
            (!batch.is_empty()).then_some(batch)
        })
    }
}
