//! From ratios to positions, by logarithms: twice as fast is as far from 1 as half as fast.

use crate::report::{Spread, Theme};

pub(super) struct Axis {
    low: f64,
    high: f64,
    left: f64,
    right: f64,
}

impl Axis {
    /// Wide enough for all that is in there, and never so narrow that a trifle looks large.
    pub(super) fn over(theme: &Theme) -> Option<Self> {
        let spreads = theme.lines.iter().flat_map(|line| &line.opponents).filter_map(|opponent| opponent.advantage);
        let mut any = false;
        let (mut low, mut high) = (0.5_f64, 2.0_f64);
        for spread in spreads.filter(is_drawable) {
            any = true;
            low = low.min(spread.low / 1.1);
            high = high.max(spread.high * 1.1);
        }
        any.then_some(Self { low, high, left: 0.0, right: 1.0 })
    }

    pub(super) fn between(self, left: f64, right: f64) -> Self {
        Self { left, right, ..self }
    }

    pub(super) fn left(&self) -> f64 {
        self.left
    }

    pub(super) fn right(&self) -> f64 {
        self.right
    }

    pub(super) fn at(&self, ratio: f64) -> f64 {
        self.left + (ratio / self.low).ln() / (self.high / self.low).ln() * (self.right - self.left)
    }

    pub(super) fn ticks(&self) -> Vec<f64> {
        let decades = (self.high / self.low).log10();
        let steps: &[f64] = match decades {
            ..1.1 => &[1.0, 1.5, 2.0, 3.0, 5.0, 7.0],
            ..3.0 => &[1.0, 2.0, 5.0],
            _ => &[1.0],
        };
        let mut ticks = Vec::new();
        for exponent in self.low.log10().floor() as i32..=self.high.log10().ceil() as i32 {
            // As text, because 2 * 0.1 is not what is printed as 0.2.
            let exact = steps.iter().filter_map(|step| format!("{step}e{exponent}").parse::<f64>().ok());
            ticks.extend(exact.filter(|tick| (self.low..=self.high).contains(tick)));
        }
        ticks
    }
}

/// A logarithm has no place for the others.
pub(super) fn is_drawable(spread: &Spread) -> bool {
    spread.low > 0.0 && spread.high.is_finite()
}
