//! What came of it.

use serde::Serialize;

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
}

/// One figure of one way of ours, beside that of each peer.
#[derive(Serialize)]
pub(crate) struct Line {
    pub(crate) row: String,
    pub(crate) ours: &'static str,
    pub(crate) figure: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) value: Spread,
    pub(crate) opponents: Vec<Opponent>,
}

impl Line {
    /// The row, and whatever of the rest there is.
    pub(crate) fn name(&self) -> String {
        let parts = [&*self.row, self.ours, self.figure].into_iter().filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join(", ")
    }

    /// The peer that did best.
    pub(crate) fn best_opponent(&self) -> Option<&Opponent> {
        self.opponents.iter().min_by(|one, other| one.advantage.median.total_cmp(&other.advantage.median))
    }

    pub(crate) fn against(&self, peer: &str) -> Option<&Spread> {
        self.opponents.iter().find(|opponent| opponent.name == peer).map(|opponent| &opponent.advantage)
    }
}

#[derive(Serialize)]
pub(crate) struct Opponent {
    pub(crate) name: &'static str,
    pub(crate) lacks: &'static str,
    pub(crate) value: Spread,
    /// How many times better ours is, pair by pair.
    pub(crate) advantage: Spread,
}

/// The middle of several rounds.
#[derive(Serialize, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Spread {
    /// Quartiles: a quarter of the values is below `low`, a quarter above `high`.
    ///
    /// # Panics
    ///
    /// There are no values.
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |quarters: usize| {
            let twice = (values.len() - 1) * quarters;
            let (below, above) = (values[twice / 4], values[twice.div_ceil(4)]);
            below + (above - below) * (twice % 4) as f64 / 4.0
        };
        Self { low: at(1), median: at(2), high: at(3) }
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
