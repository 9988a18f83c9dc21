//! Contenders in turn, and their figures compared pair by pair.
//!
//! On a shared machine two runs of the same thing differ more than two channels do. So each round runs
//! every contender once, and only figures of the same round are compared.

use anyhow::{Context, ensure};

use crate::report::{Line, Opponent, Spread};

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

/// What a contender measured: a value for each of its row's figures. A wrong result is an error.
pub(crate) type Measured = anyhow::Result<Vec<f64>>;

/// One way to do the work of a row.
pub(crate) struct Contender<'a> {
    pub(crate) name: &'static str,
    /// What it leaves out, beside the others.
    pub(crate) lacks: &'static str,
    run: Box<dyn FnMut() -> Measured + 'a>,
}

impl<'a> Contender<'a> {
    pub(crate) fn new(name: &'static str, run: impl FnMut() -> Measured + 'a) -> Self {
        Self { name, lacks: "", run: Box::new(run) }
    }

    pub(crate) fn lacking(mut self, what: &'static str) -> Self {
        self.lacks = what;
        self
    }

    fn run(&mut self, figures: &[Figure]) -> Measured {
        let values = (self.run)().with_context(|| format!("{} went wrong", self.name))?;
        ensure!(values.len() == figures.len(), "{} measured {} values", self.name, values.len());
        Ok(values)
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
pub(crate) struct Row<'a> {
    pub(crate) name: String,
    pub(crate) figures: &'a [Figure],
    pub(crate) ours: Vec<Contender<'a>>,
    pub(crate) peers: Vec<Contender<'a>>,
}

impl Row<'_> {
    /// Runs every contender once to warm up, then as many `rounds`. One line for each way of ours and
    /// each figure.
    pub(crate) fn run(mut self, rounds: usize) -> anyhow::Result<Vec<Line>> {
        let ours = self.ours.len();
        let mut all: Vec<_> = self.ours.iter_mut().chain(&mut self.peers).collect();
        let mut values = vec![Vec::with_capacity(rounds); all.len()];
        let context = || format!("row {}", self.name);
        for contender in &mut all {
            contender.run(self.figures).with_context(context)?;
        }
        for round in 0..rounds {
            // Whoever comes first or last may be lucky: the order turns with each round.
            for step in 0..all.len() {
                let turn = (round + step) % all.len();
                values[turn].push(all[turn].run(self.figures).with_context(context)?);
            }
        }
        let (own, theirs) = values.split_at(ours);
        let mut lines = Vec::new();
        for (way, own) in self.ours.iter().zip(own) {
            for (index, figure) in self.figures.iter().enumerate() {
                let column = |values: &[Vec<f64>]| -> Vec<f64> { values.iter().map(|values| values[index]).collect() };
                let own = column(own);
                let opponents = self.peers.iter().zip(theirs).map(|(peer, theirs)| {
                    let theirs = column(theirs);
                    let advantages = own.iter().zip(&theirs).map(|(own, theirs)| match figure.better {
                        Better::Less => theirs / own,
                        Better::More => own / theirs,
                    });
                    Opponent {
                        name: peer.name,
                        lacks: peer.lacks,
                        advantage: Spread::of(advantages.collect()),
                        value: Spread::of(theirs),
                    }
                });
                lines.push(Line {
                    row: self.name.clone(),
                    ours: way.name,
                    figure: figure.name,
                    unit: figure.unit,
                    opponents: opponents.collect(),
                    value: Spread::of(own),
                });
            }
        }
        Ok(lines)
    }
}
