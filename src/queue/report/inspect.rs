//! How a snapshot is taken.

use crate::queue::report::snapshot::{ConsumerStatus, ProducerStatus, Snapshot, Totals};
use crate::queue::shared::{Control, Shared};
use crate::queue::store::remote::Report;

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
        let (producers, consumers): (Vec<_>, _) = (producers.collect(), self.consumers(&control));
        let remote = self.remote().map(|remote| remote.report());
        Snapshot {
            queue: self.id,
            name: self.name.as_deref().map(str::to_owned),
            state: control.state(),
            capacity: self.buffer.capacity(),
            buffered: self.buffered(&control),
            delayed: remote.as_ref().map_or(control.delayed.len(), |report| report.delayed),
            leased: consumers.iter().map(|row| row.leased).sum(),
            waiting_puts: control.putters.len(),
            waiting_gets: control.getters.len(),
            totals: self.totals(&control, remote.as_ref()),
            pools: control.pools,
            producers,
            consumers,
            distributed: remote.is_some(),
            oldest: remote.as_ref().and_then(|report| report.oldest),
            processes: remote.map(|report| report.processes).unwrap_or_default(),
        }
    }

    fn totals(&self, control: &Control<T>, remote: Option<&Report>) -> Totals {
        match (control.ended(), remote) {
            (Some(drained), Some(_)) => drained.totals,
            (None, Some(report)) => report.totals,
            (_, None) => control.totals(),
        }
    }

    /// Those that are open, and those that hold items.
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

    pub(crate) fn buffered(&self, control: &Control<T>) -> usize {
        if let Some(remote) = self.remote() {
            // What an abort left there is discarded.
            return if control.ended().is_some() { 0 } else { remote.report().buffered };
        }
        self.buffer.len() + control.side.len() + control.returned.len() + control.delayed.len()
    }
}
