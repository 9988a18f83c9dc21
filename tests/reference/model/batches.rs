//! Batches that wait for more (D14).

use super::{ConsumerNumber, Model, Settle, Work};

/// A batch that waits for more than it has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lingering {
    members: Vec<Work>,
    /// No more can come.
    stopped: bool,
}

impl Model {
    /// What a batch would take now: until it is full, or there is nothing. `None` if the contract leaves open which items
    /// these are.
    pub(crate) fn foresee(&self, consumer: ConsumerNumber, others_woken: bool, max: usize) -> Option<Vec<Work>> {
        let mut foreseen = self.clone();
        let mut members = Vec::new();
        while members.len() < max {
            match *foreseen.choices(consumer, others_woken) {
                [Some(work)] => {
                    foreseen.take(consumer, work, true);
                    members.push(work);
                }
                [None] => break,
                _ => return None,
            }
        }
        Some(members)
    }

    pub(crate) fn lingering_members(&self, consumer: ConsumerNumber) -> Vec<Work> {
        self.lingering.get(&consumer).map(|batch| batch.members.clone()).unwrap_or_default()
    }

    pub(crate) fn is_stopped(&self, consumer: ConsumerNumber) -> bool {
        self.lingering.get(&consumer).is_some_and(|batch| batch.stopped)
    }

    /// It has these members, and waits, unless no more can come: says whether that is so.
    pub(crate) fn linger(&mut self, consumer: ConsumerNumber, members: Vec<Work>) -> bool {
        self.lingering.entry(consumer).or_default().members = members;
        self.advance();
        self.is_stopped(consumer) || self.ended.is_some()
    }

    /// The batch is handed over.
    pub(crate) fn stop_lingering(&mut self, consumer: ConsumerNumber) {
        self.lingering.remove(&consumer);
    }

    /// The batch is dropped before it was handed over.
    pub(crate) fn drop_batch(&mut self, consumer: ConsumerNumber) {
        let batch = self.lingering.remove(&consumer).unwrap_or_default();
        batch.members.into_iter().for_each(|work| self.settle(work, Settle::Undo));
    }

    /// Stops all batches that wait if they have all leases, and nothing is there: no more can come to them.
    pub(super) fn stop_batches(&mut self) {
        let held: usize = self.waiting_batches().map(|batch| batch.members.len()).sum();
        if self.buffered() == 0 && held == self.leased.len() {
            self.waiting_batches().for_each(|batch| batch.stopped = true);
        }
    }

    fn waiting_batches(&mut self) -> impl Iterator<Item = &mut Lingering> {
        self.lingering.values_mut().filter(|batch| !batch.stopped)
    }
}
