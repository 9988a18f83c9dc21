//! What the driver of a remote store asks and tells the queue.

use super::Store;
use super::boxes::Closed;
use crate::queue::effects::{Effects, wake};
use crate::queue::membership::consumer_row::ConsumerRow;
use crate::queue::membership::lifecycle::RemoteStatus;
use crate::queue::report::snapshot::{Outcome, Totals};
use crate::queue::report::units::count;
use crate::queue::shared::{Control, Shared};
use crate::queue::waiting::lines::Line;

/// What the remote store is told of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalStatus {
    /// `seal` was called in this process.
    pub(crate) sealed: bool,
    /// This process may open endpoints.
    pub(crate) can_open: bool,
    pub(crate) producers: usize,
    /// The names of some of them.
    pub(crate) names: Vec<String>,
    /// Open consumers, and pools, which may open some.
    pub(crate) consumers: usize,
    pub(crate) leased: u64,
    /// Permits, which a shutdown waits for.
    pub(crate) permits: usize,
    /// This process shuts its part of the queue down, and leaves.
    pub(crate) leaving: bool,
    pub(crate) ended: bool,
}

impl<T> Shared<T> {
    /// Wakes `count` waiting getters, for which there are items.
    pub(crate) fn notify_getters(&self, count: usize) {
        self.tell(Line::Getters, count);
    }

    /// Wakes `count` waiting puts, for which there is room.
    pub(crate) fn notify_putters(&self, count: usize) {
        self.tell(Line::Putters, count);
    }

    fn tell(&self, line: Line, count: usize) {
        let wakers: Vec<_> = {
            let mut control = self.control();
            (0..count).map_while(|_| self.notify(&mut control, line)).collect()
        };
        wake(wakers);
    }

    /// Returns how many items the waiting consumers could take. One that works on several at once takes as many as it may
    /// hold.
    pub(crate) fn awaited_items(&self) -> usize {
        let control = self.control();
        // If many consumers wait, one item for each of the others is enough to begin with.
        let rows =
            control.lines.getters.consumers().take(MAX_CONSUMERS_ASKED).filter_map(|id| control.registry.consumer(id));
        control.lines.getters.len() + rows.map(|row| row.room() - 1).sum::<usize>()
    }

    /// Describes this process to the remote store.
    pub(crate) fn local_status(&self) -> LocalStatus {
        let (control, permits) = (self.control(), self.store.permits());
        let Control { life, registry, .. } = &*control;
        let (producers, leaving) = (registry.producers(), life.shut_down);
        LocalStatus {
            sealed: life.seal_said,
            can_open: registry.openers > 0 && !leaving,
            producers: match () {
                () if life.puts_refused => 0,
                () if leaving => permits.min(1),
                () => producers.len(),
            },
            names: producers.iter().take(MAX_PRODUCER_NAMES).map(|open| open.endpoint.name.to_string()).collect(),
            consumers: registry.open_consumers() + registry.pools,
            permits,
            leased: registry.consumers().map(ConsumerRow::in_flight).sum(),
            leaving,
            ended: life.ended.is_some(),
        }
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.control().life.shut_down
    }

    /// Notes what the other processes have done.
    pub(crate) fn learn(&self, sealed: bool, draining: bool) {
        self.control().life.elsewhere = RemoteStatus { sealed, draining };
    }

    /// Refuses puts, as the remote store takes no more from this process.
    pub(crate) fn refuse_puts(&self) {
        self.change(|control, effects| {
            control.life.puts_refused = true;
            self.store.close(Closed::Producers);
            self.release_putters(control, effects);
            self.refuse_unconfirmed(control, effects);
        });
        // Flushes do not wait for the refused puts any more.
        self.notify_flushers();
    }

    /// Ends the queue here: it has ended elsewhere, or this process has left it.
    pub(crate) fn end_remote(&self, outcome: Outcome, totals: Totals) {
        self.change(|control, effects| {
            if control.ended().is_none() {
                self.end(control, effects, outcome, totals);
                self.refuse_unconfirmed(control, effects);
            }
        });
    }

    fn refuse_unconfirmed(&self, control: &mut Control<T>, effects: &mut Effects<T>) {
        let Store::Remote(remote) = &self.store else { return };
        let (detached, wakers) = remote.driver.refuse();
        effects.wake.extend(wakers);
        if control.life.shut_down {
            // The report of the shutdown has them.
            control.leftovers.extend(detached);
        } else if !detached.is_empty() {
            let puts = count(detached.len() as u64, "put");
            effects.error = Some(format!(
                "{}: {puts} accepted and then refused; dropped, as no caller waits for the answer",
                self.label()
            ));
            effects.discard.extend(detached);
        }
    }
}

/// This many waiting consumers are asked how many items they could take. One item is counted for each of the others.
const MAX_CONSUMERS_ASKED: usize = 64;

/// This many producers are reported by name.
const MAX_PRODUCER_NAMES: usize = 20;
