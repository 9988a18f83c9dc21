//! What items failed of before: kept with an item that came back, and aside while a consumer has the item in hand.
//!
//! A lease has no place for it, as almost no item has failed. The consumer's row says whether the queue remembers something of
//! its leases, in a word that each settle reads anyway. The bit is set by the take, with the mutex held and before the lease
//! exists, so the settle of that lease sees it.

use super::dead_letters::FailedAttempt;
use crate::queue::ids::ConsumerId;
use crate::queue::membership::consumer_row::ConsumerRow;
use crate::queue::shared::Control;

impl<T> Control<T> {
    /// Keeps what an item failed of while this lease of it lasts.
    pub(crate) fn remember(&mut self, row: &ConsumerRow, lease: u64, history: Vec<FailedAttempt>) {
        self.histories.insert((row.id, lease), history);
        row.remembered(true);
    }

    /// Returns what the item of this lease failed of before, and now.
    pub(crate) fn recall(&mut self, of: ConsumerId, lease: u64, now: Vec<FailedAttempt>) -> Vec<FailedAttempt> {
        let Some(mut history) = self.histories.remove(&(of, lease)) else { return now };
        now.into_iter().for_each(|failed| failed.join(&mut history));
        history
    }

    /// Forgets a lease that was settled, and removes the row of a closed consumer that holds nothing.
    pub(crate) fn clean_up(&mut self, row: &ConsumerRow, lease: u64) {
        self.histories.remove(&(row.id, lease));
        if self.histories.range((row.id, 0)..=(row.id, u64::MAX)).next().is_none() {
            row.remembered(false);
        }
        if row.is_dropped() {
            self.registry.fold_consumer(row);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::queue::{Item, IterableQueue};

    #[test]
    fn d3_a_queue_forgets_what_an_item_failed_of_once_it_is_settled() {
        let ends: [fn(Item<u8>); 5] =
            [Item::ack, Item::requeue, Item::release, |item| item.reject("bad"), |item| _ = item.into_inner()];
        for end in ends {
            let queue = IterableQueue::builder().max_attempts(2).no_redelivery_backoff().build().unwrap();
            let (producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
            (0..2).for_each(|n| producer.try_put(n).unwrap());
            consumer.try_lease().unwrap().fail("once");
            let (item, other) = (consumer.try_lease().unwrap(), consumer.try_lease().unwrap());
            assert_eq!(queue.shared().control().histories.len(), 1);
            // One that has not failed makes the queue forget nothing of others.
            other.ack();
            assert_eq!(queue.shared().control().histories.len(), 1);
            end(item);
            assert!(queue.shared().control().histories.is_empty());
            // The row of a consumer for which the queue remembers something is not removed.
            assert_eq!(queue.snapshot().consumers.len(), 1);
        }
    }
}
