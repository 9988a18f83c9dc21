//! What became of leases, and what was put through them, on its way to Redis.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::redis::client::{MAX_BATCH, Op};

/// Reports in their order: a child comes before the end of the lease that it was put through.
#[derive(Debug, Default)]
pub(crate) struct SettleLog {
    unsent: VecDeque<Op>,
    sending: Option<Arc<Vec<Op>>>,
    /// The number of what is being sent, or was sent last: Redis carries each out once.
    batch: u64,
    /// How many reports were carried out, or will never be.
    known: u64,
}

/// The most that one call sends. Not less than what may be fetched ahead: what of it goes back in one call keeps
/// its order.
const MOST: usize = MAX_BATCH;

/// Of the items that go along, the most that one call sends, and one more.
const MOST_BYTES: usize = 1 << 20;

impl SettleLog {
    pub(crate) fn push(&mut self, op: Op) {
        self.unsent.push_back(op);
    }

    /// How many reports there were.
    pub(crate) fn said(&self) -> u64 {
        self.known + (self.unsent.len() + self.sending.as_ref().map_or(0, |sending| sending.len())) as u64
    }

    /// How many of them, the first ones, were carried out or will never be.
    pub(crate) fn known(&self) -> u64 {
        self.known
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.unsent.is_empty() && self.sending.is_none()
    }

    /// More is waiting than one call can send.
    pub(crate) fn is_behind(&self) -> bool {
        self.unsent.len() > MOST
    }

    /// Leaves large changed items as they were put, if they were sent and there was no answer; returns their sizes.
    ///
    /// Such an item is sent once: if the connection does not outlast that, it may be more than Redis takes, and would
    /// keep all later reports from being heard. Redis has it as it was put.
    pub(crate) fn lighten(&mut self) -> Vec<usize> {
        let Some(sending) = &mut self.sending else { return Vec::new() };
        let ops = Arc::make_mut(sending).iter_mut();
        ops.filter_map(|op| Some(op.bytes()).filter(|_| op.leave_as_put(MOST_BYTES))).collect()
    }

    /// What is to be sent next; the same as before until it is answered.
    pub(crate) fn next_batch(&mut self) -> Option<(u64, Arc<Vec<Op>>)> {
        if self.sending.is_none() && !self.unsent.is_empty() {
            let (mut bytes, mut deliveries) = (0, 0);
            let fits = |op: &&Op| {
                let fits = bytes < MOST_BYTES && deliveries < MOST;
                bytes += op.bytes();
                deliveries += op.count();
                fits
            };
            let count = self.unsent.iter().take_while(fits).count();
            self.sending = Some(Arc::new(self.unsent.drain(..count).collect()));
            self.batch += 1;
        }
        Some((self.batch, self.sending.clone()?))
    }

    /// What was being sent has been carried out.
    pub(crate) fn done(&mut self) {
        self.known += self.sending.take().map_or(0, |sending| sending.len() as u64);
    }

    /// Whether this can be the last batch that Redis has carried out. If not, it is another copy of itself.
    pub(crate) fn may_be_done(&self, last: u64) -> bool {
        last == self.batch || self.sending.is_some() && last + 1 == self.batch
    }

    /// The leases are lost, and this process has a new id: the processes that have the items now do all of it again.
    pub(crate) fn forget(&mut self) {
        *self = Self { known: self.said(), ..Self::default() };
    }

    /// After `forget`: Redis counts from `last`.
    pub(crate) fn restart(&mut self, last: u64) {
        self.batch = last;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{MOST, MOST_BYTES, Op, SettleLog};

    fn batches(ops: impl IntoIterator<Item = Op>) -> Vec<usize> {
        let mut log = SettleLog::default();
        ops.into_iter().for_each(|op| log.push(op));
        let mut batches = Vec::new();
        while let Some((_, batch)) = log.next_batch() {
            batches.push(batch.len());
            log.done();
        }
        batches
    }

    #[test]
    fn a_large_changed_item_is_sent_once() {
        let mut log = SettleLog::default();
        let large = || vec![b' '; MOST_BYTES + 1];
        for op in [Op::Requeue(1, Duration::ZERO, large()), Op::Dead(2, large()), Op::Child(large()), Op::Ack(3)] {
            log.push(op);
        }
        let sizes = |log: &mut SettleLog| -> Vec<_> {
            let again = log.sending.is_some();
            assert_eq!(log.lighten().len(), usize::from(again && log.batch < 3));
            let (number, batch) = log.next_batch().unwrap();
            std::iter::once(number as usize).chain(batch.iter().map(Op::bytes)).collect()
        };
        assert_eq!(sizes(&mut log), [1, MOST_BYTES + 1]);
        assert_eq!(sizes(&mut log), [1, 0]);
        log.done();
        assert_eq!(sizes(&mut log), [2, MOST_BYTES + 1]);
        assert_eq!(sizes(&mut log), [2, 0]);
        log.done();
        // There is nothing else of a child.
        assert_eq!((sizes(&mut log), sizes(&mut log)), (vec![3, MOST_BYTES + 1], vec![3, MOST_BYTES + 1]));
    }

    #[test]
    fn a_call_is_bounded_in_number_and_in_bytes() {
        assert_eq!(batches((0..1_500).map(Op::Undo)), [MOST, 500]);
        assert_eq!(batches((0..3).map(|_| Op::Overdue(1..=MOST as u64))), [1, 1, 1]);
        let child = || Op::Child(vec![b' '; MOST_BYTES / 2]);
        assert_eq!(batches([child(), Op::Ack(1), child(), Op::Ack(2), child()]), [3, 2]);
        assert_eq!(batches([Op::Child(vec![b' '; 2 * MOST_BYTES]), Op::Ack(1)]), [1, 1]);
    }
}
