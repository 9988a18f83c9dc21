//! What the processes of a fleet tell, and what follows from it.

use std::collections::{BTreeMap, BTreeSet};

use actix_iterable_queue::report::Totals;
use actix_iterable_queue::{Drained, Outcome};
use serde::{Deserialize, Serialize};

/// What a process logs that was silent for longer than its lease.
pub const FENCED: &str = "under a new id";

/// What a process tells: a line of JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Line {
    Joined,
    /// The order is done.
    Obeyed,
    /// The put of these numbers begins: from the first to the second, without it.
    Begun(u64, u64),
    /// Their put was `Ok`.
    Confirmed(u64, u64),
    /// The put handed this item back, and why.
    Refused(u64, String),
    /// A lease of it began, at this attempt.
    Handed(u64, u32),
    /// The work on it is done; the next step is the ack.
    Done(u64),
    /// It was read as a dead letter.
    Dead(u64),
    /// The end.
    Drained(Drained),
}

impl Line {
    fn drained(&self) -> Option<&Drained> {
        if let Self::Drained(drained) = self { Some(drained) } else { None }
    }
}

/// What a process has told so far.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub name: String,
    /// It was killed or stopped: it may have done what others do again.
    pub suspect: bool,
    pub lines: Vec<Line>,
    /// What it wrote into its log.
    pub log: Vec<String>,
}

impl Report {
    fn numbers<'a, I: IntoIterator<Item = u64> + 'a>(
        &'a self,
        of: impl Fn(&Line) -> Option<I> + 'a,
    ) -> impl Iterator<Item = u64> + 'a {
        self.lines.iter().filter_map(of).flatten()
    }

    pub fn begun(&self) -> impl Iterator<Item = u64> {
        self.numbers(|line| if let Line::Begun(from, to) = *line { Some(from..to) } else { None })
    }

    pub fn confirmed(&self) -> impl Iterator<Item = u64> {
        self.numbers(|line| if let Line::Confirmed(from, to) = *line { Some(from..to) } else { None })
    }

    pub fn handed(&self) -> impl Iterator<Item = u64> {
        self.numbers(|line| if let Line::Handed(n, _) = *line { Some([n]) } else { None })
    }

    fn handed_again(&self) -> impl Iterator<Item = u64> {
        self.numbers(|line| if let Line::Handed(n, 2..) = *line { Some([n]) } else { None })
    }

    pub fn done(&self) -> impl Iterator<Item = u64> {
        self.numbers(|line| if let Line::Done(n) = *line { Some([n]) } else { None })
    }

    pub fn dead(&self) -> impl Iterator<Item = u64> {
        self.numbers(|line| if let Line::Dead(n) = *line { Some([n]) } else { None })
    }

    pub fn refused(&self) -> impl Iterator<Item = (u64, &str)> {
        self.lines
            .iter()
            .filter_map(|line| if let Line::Refused(n, why) = line { Some((*n, why.as_str())) } else { None })
    }

    pub fn joined(&self) -> bool {
        self.lines.iter().any(|line| matches!(line, Line::Joined))
    }

    pub fn obeyed(&self) -> usize {
        self.lines.iter().filter(|line| matches!(line, Line::Obeyed)).count()
    }

    pub fn drained(&self) -> Option<&Drained> {
        self.lines.iter().find_map(Line::drained)
    }

    /// How many lines of its log have this in them.
    pub fn said(&self, what: &str) -> usize {
        self.log.iter().filter(|line| line.contains(what)).count()
    }
}

/// What became of every item, by all that the processes told.
#[derive(Debug)]
pub struct Verdict {
    /// Its put was confirmed, and it never came out.
    pub lost: BTreeSet<u64>,
    /// It came out, and nobody has begun to put it.
    pub from_nowhere: BTreeSet<u64>,
    /// It came out more than once.
    pub twice: BTreeSet<u64>,
    /// It came out more than once, although only one of those to whom it came was killed or fenced.
    pub twice_without_reason: BTreeSet<u64>,
    /// It was handed out at a later attempt than its first.
    pub again: BTreeSet<u64>,
    /// How many items came out.
    pub out: u64,
    /// How those ended that ended with the queue: by outcome and totals. One, unless they contradict each other.
    pub ends: Vec<(Outcome, Totals)>,
}

impl Verdict {
    pub fn of(reports: &[Report]) -> Self {
        let begun: BTreeSet<u64> = reports.iter().flat_map(Report::begun).collect();
        let confirmed: BTreeSet<u64> = reports.iter().flat_map(Report::confirmed).collect();
        // How often it came out, and how often at somebody who is above suspicion.
        let mut out = BTreeMap::<u64, (u32, u32)>::new();
        for report in reports {
            let suspect = report.suspect || report.said(FENCED) > 0;
            for n in report.done().chain(report.dead()) {
                let (times, firmly) = out.entry(n).or_default();
                *times += 1;
                *firmly += u32::from(!suspect);
            }
        }
        let which = |wrong: fn(&(u32, u32)) -> bool| {
            out.iter().filter(|(_, times)| wrong(times)).map(|(n, _)| *n).collect::<BTreeSet<_>>()
        };
        let mut ends = Vec::new();
        for drained in reports.iter().flat_map(|report| &report.lines).filter_map(Line::drained) {
            let end = (drained.outcome, drained.totals);
            if drained.outcome != Outcome::Left && !ends.contains(&end) {
                ends.push(end);
            }
        }
        Self {
            lost: confirmed.iter().copied().filter(|n| !out.contains_key(n)).collect(),
            from_nowhere: out.keys().copied().filter(|n| !begun.contains(n)).collect(),
            twice: which(|(times, _)| *times > 1),
            twice_without_reason: which(|(_, firmly)| *firmly > 1),
            again: reports.iter().flat_map(Report::handed_again).collect(),
            out: out.len() as u64,
            ends,
        }
    }

    /// After a failover: the last things that a master confirmed may not have reached its replica. Then `told` is true, as a
    /// process has noticed; otherwise all is exact. Nothing of `replicated` is lost either way.
    #[track_caller]
    pub fn assert_exact_or_told(&self, told: bool, replicated: &BTreeSet<u64>) {
        if !told {
            self.assert_exact();
        }
        assert!(self.lost.is_disjoint(replicated), "lost: {:?}", self.lost);
        assert!(self.from_nowhere.is_empty(), "from nowhere: {:?}", self.from_nowhere);
        let [(outcome, totals)] = self.ends[..] else { panic!("one end for all: {:?}", self.ends) };
        assert_eq!((outcome, totals.accepted), (Outcome::Complete, totals.acked), "{totals:?}");
    }

    /// Every confirmed item came out, nothing else did, whoever saw the end agrees that it was complete, and the
    /// totals are what came out. Items came out twice only where somebody was killed or fenced, and that is counted.
    #[track_caller]
    pub fn assert_right(&self) -> Totals {
        assert!(self.lost.is_empty(), "lost: {:?}", self.lost);
        assert!(self.from_nowhere.is_empty(), "from nowhere: {:?}", self.from_nowhere);
        assert!(self.twice_without_reason.is_empty(), "twice without a reason: {:?}", self.twice_without_reason);
        assert_eq!(self.ends.len(), 1, "one end for all: {:?}", self.ends);
        let (outcome, totals) = self.ends[0];
        assert_eq!(outcome, Outcome::Complete);
        assert_eq!(
            totals.accepted,
            totals.acked + totals.taken + totals.dead_lettered + totals.discarded,
            "{totals:?}"
        );
        assert_eq!(totals.accepted, self.out, "accepted once each: {totals:?}");
        assert!(totals.redelivered >= self.twice.len() as u64, "{totals:?}, twice: {:?}", self.twice);
        totals
    }

    /// The same, and each item was handed out once: no worker was killed or fenced.
    #[track_caller]
    pub fn assert_exact(&self) -> Totals {
        let totals = self.assert_right();
        assert!(self.twice.is_empty(), "twice: {:?}", self.twice);
        assert!(self.again.is_empty(), "again: {:?}", self.again);
        totals
    }
}
