//! How a snapshot is taken.

use crate::queue::report::snapshot::{ConsumerStatus, ProducerStatus, Snapshot};
use crate::queue::shared::{Control, Shared};

impl<T> Shared<T> {
    pub(crate) fn snapshot(&self) -> Snapshot {
        // What is due is not delayed any more, also if no consumer has come for it.
        self.release_due();
        self.describe()
    }

    pub(crate) fn describe(&self) -> Snapshot {
        let now = self.clock.now();
        let control = self.control();
        let producers = control.registry.producers().into_iter().map(|open| ProducerStatus {
            id: open.endpoint.id,
            name: open.endpoint.name.to_string(),
            handles: open.handles,
            puts: open.puts,
            last_put: open.last_put.known().map(|stamp| now.since(stamp)),
        });
        let (producers, consumers): (Vec<_>, _) = (producers.collect(), self.consumers(&control));
        let stock = self.stock(&control);
        Snapshot {
            queue: self.id,
            name: self.name.as_deref().map(str::to_owned),
            state: self.state_of(&control),
            capacity: self.store.capacity(),
            buffered: stock.buffered,
            delayed: stock.delayed,
            leased: consumers.iter().map(|row| row.leased).sum(),
            waiting_puts: control.lines.putters.len(),
            waiting_gets: control.lines.getters.len(),
            totals: stock.totals,
            pools: control.registry.pools,
            producers,
            consumers,
            distributed: !self.store.ends_here(),
            oldest: stock.oldest,
            processes: stock.processes,
        }
    }

    /// Describes the consumers that are open or hold items.
    pub(crate) fn consumers(&self, control: &Control<T>) -> Vec<ConsumerStatus> {
        let now = self.clock.now();
        let rows = control.registry.consumers().filter(|row| !row.is_closed() || row.in_flight() > 0).map(|row| {
            let leased = row.in_flight();
            ConsumerStatus {
                id: row.id,
                name: row.name.to_string(),
                open: !row.is_closed(),
                taken: row.taken(),
                acked: row.acked(),
                leased,
                paused: row.is_paused(),
                stuck: row.is_stuck(),
                last_lease: (leased > 0).then(|| now.since(row.last_lease())),
            }
        });
        rows.collect()
    }
}
