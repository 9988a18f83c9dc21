//! What those who move the items of a queue that is elsewhere ask of this end, and tell it.

use super::blockers::count;
use super::effects::{Effects, wake};
use super::remote::Elsewhere;
use super::rows::ConsumerRow;
use super::shared::{Control, Line, Shared};
use super::snapshot::{Outcome, Totals};

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
        let rows = control.getters.consumers().take(FEW).filter_map(|id| control.registry.consumer(id));
        control.getters.len() + rows.map(|row| row.room() - 1).sum::<usize>()
    }

    pub(crate) fn here(&self) -> Here {
        let control = self.control();
        control.here()
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.control().life.shut_down
    }

    /// What the others have done.
    pub(crate) fn learn(&self, sealed: bool, draining: bool) {
        self.control().elsewhere = Elsewhere { sealed, draining };
    }

    /// The queue takes no more puts from this process.
    pub(crate) fn refuse_puts(&self) {
        self.change(|control, effects| {
            control.life.puts_refused = true;
            self.buffer.close();
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
                self.end(control, effects, outcome, Some(totals));
                self.refuse_unconfirmed(control, effects);
            }
        });
    }

    fn refuse_unconfirmed(&self, control: &mut Control<T>, effects: &mut Effects<T>) {
        let Some(remote) = self.remote() else { return };
        let (detached, wakers) = remote.refuse();
        effects.wake.extend(wakers);
        if control.life.shut_down {
            // For its report.
            control.left.extend(detached);
        } else if !detached.is_empty() {
            let puts = count(detached.len() as u64, "put");
            effects.error =
                Some(format!("{}: refused and dropped, as nobody waits for the answer: {puts}", self.label()));
            effects.discard.extend(detached);
        }
    }
}

impl<T> Control<T> {
    fn here(&self) -> Here {
        let producers = self.registry.producers();
        let leaving = self.life.shut_down;
        Here {
            sealed: self.life.seal_said,
            can_open: self.openers > 0 && !leaving,
            producers: match () {
                () if self.life.puts_refused => 0,
                () if leaving => self.permits.min(1),
                () => producers.len(),
            },
            names: producers.iter().take(NAMES).map(|open| open.endpoint.name.to_string()).collect(),
            consumers: self.registry.open_consumers() + self.pools,
            permits: self.permits,
            leased: self.registry.consumers().map(ConsumerRow::in_flight).sum(),
            leaving,
            ended: self.ended().is_some(),
        }
    }
}

/// How many of the waiting consumers are asked how many items they wait for; of the others, one each.
const FEW: usize = 64;

/// So many producers are told by name.
const NAMES: usize = 20;
