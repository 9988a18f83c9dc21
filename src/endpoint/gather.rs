//! How a batch is gathered.

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::consumer::Consumer;
use super::timer::Timer;
use crate::coop;
use crate::error::TryGetError;
use crate::queue::{Batch, Item, Linger, Slot};

/// A batch that is being gathered. Dropped before it is complete, it gives its members back as if they had not been handed
/// out.
#[derive(Debug)]
pub(crate) struct Gather<T> {
    slot: Arc<Slot<T>>,
    members: Vec<Item<T>>,
    max: usize,
    linger: Linger,
}

impl<T> Gather<T> {
    pub(super) fn new(consumer: &Consumer<T>, max: usize) -> Self {
        Self { slot: Arc::clone(consumer.slot()), members: Vec::new(), max, linger: Linger::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) fn push(&mut self, item: Item<T>) {
        coop::count();
        self.members.push(item);
    }

    /// Takes what is there. Returns whether the batch is complete.
    pub(super) fn take(&mut self, consumer: &mut Consumer<T>) -> bool {
        while self.members.len() < self.max {
            match consumer.try_lease() {
                Ok(item) => self.push(item),
                Err(TryGetError::Empty) => return false,
                Err(TryGetError::Ended) => return true,
            }
        }
        true
    }

    /// Polls until the batch is full, or the queue has ended.
    pub(super) fn poll(&mut self, consumer: &mut Consumer<T>, cx: &mut Context<'_>) -> Poll<()> {
        while self.members.len() < self.max {
            match ready!(consumer.poll_lease(cx)) {
                Some(item) => self.push(item),
                None => break,
            }
        }
        Poll::Ready(())
    }

    /// Tells that the batch waits for more than the members it has. Returns whether no more can come.
    ///
    /// The consumer is parked by now, so the change that stops the batch also wakes it.
    pub(super) fn linger(&mut self) -> bool {
        !self.members.is_empty() && self.slot.shared.linger(&mut self.linger, self.members.len())
    }

    /// Returns the members.
    pub(super) fn finish(&mut self) -> Batch<T> {
        self.slot.shared.stop_lingering(&mut self.linger);
        Batch::new(std::mem::take(&mut self.members))
    }
}

impl<T> Drop for Gather<T> {
    fn drop(&mut self) {
        self.finish().into_iter().for_each(Item::undo);
    }
}

/// Gathers a batch within a time that begins with its first member.
#[derive(Debug)]
pub(crate) struct TimedGather<T> {
    pub(super) gather: Gather<T>,
    linger: Duration,
    timer: Option<Timer>,
}

impl<T> TimedGather<T> {
    pub(crate) fn new(consumer: &Consumer<T>, max: usize, linger: Duration) -> Self {
        Self { gather: Gather::new(consumer, max), linger, timer: None }
    }

    /// Returns whether it has members.
    pub(crate) fn has_begun(&self) -> bool {
        !self.gather.is_empty()
    }

    /// Polls for the batch, which is empty at the end of the queue.
    pub(crate) fn poll(&mut self, consumer: &mut Consumer<T>, cx: &mut Context<'_>) -> Poll<Batch<T>> {
        if self.gather.poll(consumer, cx).is_pending() {
            if self.gather.is_empty() {
                return Poll::Pending;
            }
            // One that does not wait is not counted among those that do: its members may yet come back to them.
            if !self.linger.is_zero() && !self.gather.linger() {
                ready!(self.timer.get_or_insert_with(|| Timer::after(self.linger)).poll(cx));
            }
        }
        // Its time is over, or it is complete.
        consumer.leave_line();
        Poll::Ready(self.gather.finish())
    }
}
