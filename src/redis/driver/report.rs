//! What Redis reports of the queue, for snapshots and for what this process may do.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use crate::lock::lock;
use crate::queue::{self, Outcome, ProcessStatus, QueueId, Shared, Snapshot, State, Totals};
use crate::redis::client::{QueueClient, QueueEnd, QueueReport};
use crate::redis::local::link::Link;

/// Tells this process of it.
pub(crate) fn spread<T>(report: &QueueReport, client: &QueueClient, shared: &Shared<T>, link: &Arc<Link<T>>) {
    shared.learn(report.sealed, report.sealed && report.producers == 0);
    *lock(&link.report) = queue::StoreReport {
        buffered: buffered(report),
        delayed: report.delayed as usize,
        totals: totals(report),
        oldest: report.oldest,
        processes: processes(report, Some(client.process_id())),
    };
    link.reports.fetch_add(1, SeqCst);
}

pub(crate) fn totals(report: &QueueReport) -> Totals {
    Totals {
        accepted: report.accepted,
        acked: report.acked,
        taken: report.taken,
        dead_lettered: report.dead,
        retried: report.retried,
        letters_dropped: 0,
        discarded: report.discarded,
        redelivered: report.redelivered,
        lost_producers: report.lost_producers,
    }
}

pub(crate) fn outcome(end: QueueEnd) -> Outcome {
    match end {
        QueueEnd::Complete => Outcome::Complete,
        QueueEnd::Aborted => Outcome::Aborted,
    }
}

fn buffered(report: &QueueReport) -> usize {
    (report.ready + report.back + report.delayed) as usize
}

fn processes(report: &QueueReport, except: Option<&str>) -> Vec<ProcessStatus> {
    let others = report.processes.iter().filter(|process| Some(process.id.as_str()) != except);
    let status = others.map(|process| ProcessStatus {
        name: process.name.clone(),
        can_open: process.opener,
        producers: process.producers,
        producer_names: process.producer_names.clone(),
        consumers: process.consumers,
        leased: process.in_flight,
        last_seen: process.silent,
    });
    status.collect()
}

/// The queue as one sees it who has not joined it.
pub(crate) fn snapshot(report: &QueueReport, name: &str, capacity: Option<usize>) -> Snapshot {
    Snapshot {
        queue: QueueId::next(),
        name: Some(name.to_owned()),
        state: match report.ended {
            Some(QueueEnd::Complete) => State::Drained,
            Some(QueueEnd::Aborted) => State::Aborted,
            None if !report.sealed => State::Open,
            None if report.producers > 0 => State::Sealed,
            None => State::Draining,
        },
        capacity,
        buffered: buffered(report),
        delayed: report.delayed as usize,
        leased: report.in_flight,
        waiting_puts: 0,
        waiting_gets: 0,
        totals: totals(report),
        pools: 0,
        producers: Vec::new(),
        consumers: Vec::new(),
        distributed: true,
        oldest: report.oldest,
        processes: processes(report, None),
    }
}
