//! What the driver of a remote store asks of the queue, and tells it.

use super::Store;
use super::boxes::Closed;
use crate::queue::effects::{Effects, wake};
use crate::queue::membership::consumer_row::ConsumerRow;
use crate::queue::membership::lifecycle::RemoteStatus;
use crate::queue::report::snapshot::{Outcome, Totals};
use crate::queue::report::units::count;
use crate::queue::shared::{Control, Shared};
use crate::queue::waiting::lines::Line;

/// What the other side is to know of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Here {
    /// Somebody said `seal` here.
    pub(crate) sealed: bool,
    /// Endpoints may be opened here.
    pub(crate) can_open: bool,
    pub(crate) producers: usize,
    /// Some of their names.
    pub(crate) names: Vec<String>,
    /// Consumers that are open, and pools, which may open some.
    pub(crate) consumers: usize,
    pub(crate) leased: u64,
    /// Room that was promised to puts, which a shutdown waits for.
    pub(crate) permits: usize,
    /// A shutdown: this process is to leave.
    pub(crate) leaving: bool,
    pub(crate) ended: bool,
}

impl<T> Shared<T> {
    /// Items came for `count` waiting getters.
    pub(crate) fn tell_getters(&self, count: usize) {
        self.tell(Line::Getters, count);
    }

    /// There is room for `count` waiting puts.
    pub(crate) fn tell_putters(&self, count: usize) {
        self.tell(Line::Putters, count);
    }

    fn tell(&self, line: Line, count: usize) {
        let wakers: Vec<_> = {
            let mut control = self.control();
            (0..count).map_while(|_| self.notify(&mut control, line)).collect()
        };
        wake(wakers);
    }

    /// Returns how many items consumers wait for. One that works on several at once waits for as many as it may hold.
    pub(crate) fn awaited_items(&self) -> usize {
        let control = self.control();
        // Where many wait, one for each is enough to begin with.
        let rows =
            control.lines.getters.consumers().take(MAX_CONSUMERS_ASKED).filter_map(|id| control.registry.consumer(id));
        control.lines.getters.len() + rows.map(|row| row.room() - 1).sum::<usize>()
    }

    pub(crate) fn here(&self) -> Here {
        let (control, permits) = (self.control(), self.store.permits());
        let Control { life, registry, .. } = &*control;
        let (producers, leaving) = (registry.producers(), life.shut_down);
        Here {
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

    /// What the others have done.
    pub(crate) fn learn(&self, sealed: bool, draining: bool) {
        self.control().life.elsewhere = RemoteStatus { sealed, draining };
    }

    /// The queue takes no more puts from this process.
    pub(crate) fn refuse_puts(&self) {
        self.change(|control, effects| {
            control.life.puts_refused = true;
            self.store.close(Closed::Producers);
            self.release_putters(control, effects);
            self.refuse_unconfirmed(control, effects);
        });
        // A flush does not wait for them any more.
        self.tell_flushers();
    }

    /// The queue has ended, or this process has left it.
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
            // For its report.
            control.leftovers.extend(detached);
        } else if !detached.is_empty() {
            let puts = count(detached.len() as u64, "put");
            effects.error =
                Some(format!("{}: refused and dropped, as nobody waits for the answer: {puts}", self.label()));
            effects.discard.extend(detached);
        }
    }
}

/// How many of the waiting consumers are asked how many items they wait for; of the others, one each.
const MAX_CONSUMERS_ASKED: usize = 64;

/// So many producers are told by name.
const MAX_PRODUCER_NAMES: usize = 20;
