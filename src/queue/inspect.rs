//! How a snapshot is taken.

use super::shared::{Control, Shared};
use super::snapshot::{ConsumerStatus, ProducerStatus, Snapshot};

impl<T> Shared<T> {
    pub(crate) fn snapshot(&self) -> Snapshot {
        let now = self.clock.now();
        let control = self.control();
        let producers = control.registry.producers().into_iter().map(|open| ProducerStatus {
            id: open.endpoint.id,
            name: open.endpoint.name.to_string(),
            handles: open.handles,
            puts: open.puts,
            last_put: open.last_put.known().map(|stamp| now.since(stamp)),
        });
        let consumers = control.registry.consumers().filter(|row| !row.is_closed() || row.in_flight() > 0).map(|row| {
            let leased = row.in_flight();
            ConsumerStatus {
                id: row.id,
                name: row.name.to_string(),
                open: !row.is_closed(),
                taken: row.taken(),
                acked: row.acked(),
                leased,
                last_lease: (leased > 0).then(|| now.since(row.last_lease())),
            }
        });
        let (producers, consumers): (Vec<_>, Vec<_>) = (producers.collect(), consumers.collect());
        Snapshot {
            queue: self.id,
            name: self.name.as_deref().map(str::to_owned),
            state: control.state(),
            capacity: self.ring.capacity(),
            buffered: self.buffered(&control),
            leased: consumers.iter().map(|row| row.leased).sum(),
            waiting_puts: control.putters.len(),
            waiting_gets: control.getters.len(),
            totals: control.totals(),
            producers,
            consumers,
        }
    }

    pub(super) fn buffered(&self, control: &Control<T>) -> usize {
        self.ring.len() + control.side.len() + control.returned.len()
    }
}
