//! What came of it.

use serde::Serialize;

use crate::trial::Failure;

/// Everything that one run measured.
#[derive(Serialize)]
pub(crate) struct Report {
    cores: usize,
    system: &'static str,
    architecture: &'static str,
    pub(crate) themes: Vec<Theme>,
}

impl Report {
    pub(crate) fn of_this_machine() -> Self {
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            system: std::env::consts::OS,
            architecture: std::env::consts::ARCH,
            themes: Vec::new(),
        }
    }
}

#[derive(Serialize)]
pub(crate) struct Theme {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) lines: Vec<Line>,
    pub(crate) targets: Vec<Target>,
}

impl Theme {
    /// Those of all lines, in the order in which they first come.
    pub(crate) fn peers(&self) -> Vec<&'static str> {
        let mut peers = Vec::new();
        for opponent in self.lines.iter().flat_map(|line| &line.opponents) {
            if !peers.contains(&opponent.name) {
                peers.push(opponent.name);
            }
        }
        peers
    }

    /// Says of each contender with which anything went wrong what it was, row by row.
    pub(crate) fn failures(&self) -> Vec<String> {
        let mut all = Vec::new();
        for line in &self.lines {
            let own = (!line.runs.failures.is_empty()).then(|| line.failure());
            let theirs = line.opponents.iter().filter_map(|opponent| opponent.failure(&line.row));
            for failure in own.into_iter().chain(theirs) {
                // Each line of a row has the same opponents, and each figure of ours the same runs.
                if !all.contains(&failure) {
                    all.push(failure);
                }
            }
        }
        all
    }

    /// What ours did wrong. That something is not on this machine is not its fault.
    pub(crate) fn defects(&self) -> Vec<String> {
        let mut all = Vec::new();
        for line in self.lines.iter().filter(|line| line.runs.failures.iter().any(|failure| !failure.is_missing())) {
            let defect = format!("{}: {}", self.name, line.failure());
            if !all.contains(&defect) {
                all.push(defect);
            }
        }
        all
    }
}

/// One figure of one way of ours, beside that of each peer.
#[derive(Serialize)]
pub(crate) struct Line {
    pub(crate) row: String,
    pub(crate) ours: &'static str,
    pub(crate) figure: &'static str,
    pub(crate) unit: &'static str,
    /// Of the runs with which nothing went wrong, if there are any.
    pub(crate) value: Option<Spread>,
    pub(crate) runs: Runs,
    pub(crate) opponents: Vec<Opponent>,
}

impl Line {
    /// The row, and whatever of the rest there is.
    pub(crate) fn name(&self) -> String {
        joined([&*self.row, self.ours, self.figure])
    }

    pub(crate) fn median(&self) -> Option<f64> {
        Some(self.value?.median)
    }

    /// The peer that did best, and how many times better ours is.
    pub(crate) fn best_opponent(&self) -> Option<(&'static str, f64)> {
        self.best_opponent_but("")
    }

    /// Does what [`best_opponent`](Self::best_opponent) does, and leaves one peer out.
    pub(crate) fn best_opponent_but(&self, left_out: &str) -> Option<(&'static str, f64)> {
        let others = self.opponents.iter().filter(|opponent| opponent.name != left_out);
        let ratios = others.filter_map(|opponent| Some((opponent.name, opponent.advantage?.median)));
        ratios.min_by(|(_, one), (_, other)| one.total_cmp(other))
    }

    pub(crate) fn opponent(&self, peer: &str) -> Option<&Opponent> {
        self.opponents.iter().find(|opponent| opponent.name == peer)
    }

    /// How many times better ours is than this peer.
    pub(crate) fn against(&self, peer: &str) -> Option<f64> {
        Some(self.opponent(peer)?.advantage?.median)
    }

    fn failure(&self) -> String {
        format!("{}: {}", joined([&*self.row, self.ours, "ours"]), self.runs.failure())
    }
}

fn joined<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(", ")
}

#[derive(Serialize)]
pub(crate) struct Opponent {
    pub(crate) name: &'static str,
    pub(crate) lacks: &'static str,
    /// Of the runs with which nothing went wrong, if there are any.
    pub(crate) value: Option<Spread>,
    /// How many times better ours is, pair by pair.
    pub(crate) advantage: Option<Spread>,
    pub(crate) runs: Runs,
}

impl Opponent {
    fn failure(&self, row: &str) -> Option<String> {
        let any = !self.runs.failures.is_empty();
        any.then(|| format!("{}: {}", joined([row, self.name]), self.runs.failure()))
    }
}

/// The runs of a contender, with that to warm up.
#[derive(Serialize, Default, Clone)]
pub(crate) struct Runs {
    pub(crate) made: usize,
    /// One for each run with which something went wrong.
    pub(crate) failures: Vec<Failure>,
}

impl Runs {
    /// As much of what went wrong as a cell of a table holds.
    pub(crate) fn short_failure(&self) -> Option<String> {
        // The last one may have ended it; of losses the largest says most.
        let last = self.failures.last().filter(|failure| !failure.is_of_delivery());
        Some(last.or_else(|| self.failures.iter().max_by_key(|failure| failure.items()))?.short())
    }

    fn failure(&self) -> String {
        let mut different: Vec<_> = self.failures.iter().map(Failure::to_string).collect();
        different.sort_unstable();
        different.dedup();
        let what = different.join("; ");
        match (self.failures.len(), self.made) {
            (_, 1) => what,
            (failed, made) => format!("{what}; in {failed} of {made} runs"),
        }
    }
}

/// The middle of several rounds.
#[derive(Serialize, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Spread {
    /// Quartiles: a quarter of the values is below `low`, a quarter above `high`. `None` if there are no values.
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        let last = values.len().checked_sub(1)?;
        values.sort_by(f64::total_cmp);
        let at = |quarters: usize| {
            let twice = last * quarters;
            let (below, above) = (values[twice / 4], values[twice.div_ceil(4)]);
            below + (above - below) * (twice % 4) as f64 / 4.0
        };
        Some(Self { low: at(1), median: at(2), high: at(3) })
    }
}

/// What the project wants to reach.
#[derive(Serialize)]
pub(crate) struct Target {
    pub(crate) what: String,
    pub(crate) wanted: f64,
    pub(crate) reached: f64,
    pub(crate) met: bool,
}

impl Target {
    pub(crate) fn at_least(what: impl Into<String>, wanted: f64, reached: f64) -> Self {
        Self { what: what.into(), wanted, reached, met: reached >= wanted }
    }

    pub(crate) fn at_most(what: impl Into<String>, wanted: f64, reached: f64) -> Self {
        Self { what: what.into(), wanted, reached, met: reached <= wanted }
    }
}
