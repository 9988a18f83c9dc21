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
