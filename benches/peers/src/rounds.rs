//! Contenders in turn, and their figures compared pair by pair.
//!
//! On a shared machine two runs of the same thing differ more than two channels do. So each round runs
//! every contender once, and only figures of the same round are compared.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;

use crate::report::{Line, Opponent, Runs, Spread};
use crate::trial::{Failure, WATCHDOG, watched};

pub(crate) use crate::trial::Measured;

/// How much to do.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    quick: bool,
}

impl Effort {
    pub(crate) const FULL: Self = Self { quick: false };
    pub(crate) const QUICK: Self = Self { quick: true };

    /// How many items instead of `full` many.
    pub(crate) fn items(self, full: usize) -> usize {
        if self.quick { full.div_ceil(100) } else { full }
    }

    /// How many rounds instead of `full` many.
    pub(crate) fn rounds(self, full: usize) -> usize {
        if self.quick { 1 } else { full }
    }
}

/// One way to do the work of a row.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    /// What it leaves out, beside the others.
    pub(crate) lacks: &'static str,
    run: Arc<dyn Fn() -> Measured + Send + Sync>,
}

impl Contender {
    /// Makes a contender, which owns what it needs: a run that hangs keeps it.
    pub(crate) fn new(name: &'static str, run: impl Fn() -> Measured + Send + Sync + 'static) -> Self {
        Self { name, lacks: "", run: Arc::new(run) }
    }

    pub(crate) fn lacking(mut self, what: &'static str) -> Self {
        self.lacks = what;
        self
    }
}

/// Something that a row measures.
#[derive(Clone, Copy)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    Less,
    More,
}

/// What most rows measure.
pub(crate) const NS_PER_ITEM: [Figure; 1] = [Figure { name: "", unit: "ns/item", better: Better::Less }];

/// The same work, done in several ways.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) figures: &'static [Figure],
    pub(crate) ours: Vec<Contender>,
    pub(crate) peers: Vec<Contender>,
}

impl Row {
    /// Runs every contender once to warm up, then as many `rounds`. One line for each way of ours and
    /// each figure.
    pub(crate) fn run(self, rounds: usize) -> Vec<Line> {
        self.run_after(|| (), rounds)
    }

    /// Does what [`run`](Self::run) does, and calls `prepare` before each round.
    pub(crate) fn run_after(self, mut prepare: impl FnMut(), rounds: usize) -> Vec<Line> {
        prepare();
        let mut course = Course::new(self, WATCHDOG);
        course.warm_up();
        for round in 0..rounds {
            prepare();
            course.run(round);
        }
        course.lines()
    }

    /// Runs every contender once, for figures that are the same each time.
    pub(crate) fn run_once(self) -> Vec<Line> {
        let mut course = Course::new(self, WATCHDOG);
        course.run(0);
        course.lines()
    }
}

/// The runs of a row.
pub(crate) struct Course {
    row: String,
    figures: &'static [Figure],
    ours: usize,
    /// Ours, then the peers.
    all: Vec<Entry>,
}

impl Course {
    pub(crate) fn new(row: Row, limit: Duration) -> Self {
        let (ours, figures) = (row.ours.len(), row.figures);
        let all = row.ours.into_iter().chain(row.peers);
        let all = all.map(|contender| Entry {
            contender,
            limit,
            figures: figures.len(),
            runs: Runs::default(),
            rounds: Vec::new(),
        });
        Self { row: row.name, figures, ours, all: all.collect() }
    }

    pub(crate) fn warm_up(&mut self) {
        for entry in &mut self.all {
            entry.run();
        }
    }

    pub(crate) fn run(&mut self, round: usize) {
        // The first one and the last one may be lucky: the order turns with each round.
        for step in 0..self.all.len() {
            let turn = (round + step) % self.all.len();
            let values = self.all[turn].run();
            self.all[turn].rounds.push(values);
        }
    }

    pub(crate) fn lines(self) -> Vec<Line> {
        let (ours, peers) = self.all.split_at(self.ours);
        let lines = ours.iter().flat_map(|own| {
            self.figures.iter().enumerate().map(|(index, figure)| Line {
                row: self.row.clone(),
                ours: own.contender.name,
                figure: figure.name,
                unit: figure.unit,
                value: Spread::of(own.column(index).flatten().collect()),
                runs: own.runs.clone(),
                opponents: peers.iter().map(|peer| peer.beside(own, index, figure.better)).collect(),
            })
        });
        lines.collect()
    }
}

/// A contender, and what came of its runs.
struct Entry {
    contender: Contender,
    limit: Duration,
    figures: usize,
    runs: Runs,
    /// What it measured in each round, if nothing went wrong.
    rounds: Vec<Option<Vec<f64>>>,
}

impl Entry {
    /// Runs it once, unless what went wrong before would only take time again.
    fn run(&mut self) -> Option<Vec<f64>> {
        if !self.runs.failures.iter().all(Failure::is_of_delivery) {
            return None;
        }
        let (run, figures) = (Arc::clone(&self.contender.run), self.figures);
        let result = watched(self.limit, move || {
            let values = run()?;
            ensure!(values.len() == figures, "it measured {} values", values.len());
            Ok(values)
        });
        self.runs.made += 1;
        result.map_err(|failure| self.runs.failures.push(failure)).ok()
    }

    /// One of its figures, round by round.
    fn column(&self, index: usize) -> impl Iterator<Item = Option<f64>> {
        self.rounds.iter().map(move |values| values.as_ref().map(|values| values[index]))
    }

    fn beside(&self, own: &Self, index: usize, better: Better) -> Opponent {
        let pairs = own.column(index).zip(self.column(index));
        let advantages = pairs.filter_map(|(own, theirs)| match better {
            Better::Less => Some(theirs? / own?),
            Better::More => Some(own? / theirs?),
        });
        Opponent {
            name: self.contender.name,
            lacks: self.contender.lacks,
            advantage: Spread::of(advantages.collect()),
            value: Spread::of(self.column(index).flatten().collect()),
            runs: self.runs.clone(),
        }
    }
}
