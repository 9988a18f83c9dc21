//! What tells the peers apart: a colour and, for those who see colours otherwise, a form.

use svg::node::element::Path;

/// Okabe and Ito's palette, in an order of contrast, without its yellow.
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#333333"];

/// From the middle of the mark, four pixels to each side.
const FORMS: [&str; 6] = [
    "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
    "m-3.6-3.6h7.2v7.2h-7.2z",
    "m0-5l5 5l-5 5l-5-5z",
    "m0-4.8l4.6 8h-9.2z",
    "m0 4.8l4.6-8h-9.2z",
    "m-1.6-4.6h3.2v3h3v3.2h-3v3h-3.2v-3h-3v-3.2h3z",
];

pub(super) struct Mark(usize);

impl Mark {
    /// Different for 42 peers, since the numbers of colours and of forms have no common divisor.
    pub(super) fn of(peer: usize) -> Self {
        Self(peer)
    }

    pub(super) fn colour(&self) -> &'static str {
        COLOURS[self.0 % COLOURS.len()]
    }

    pub(super) fn at(&self, x: f64, y: f64) -> Path {
        let form = FORMS[self.0 % FORMS.len()];
        Path::new()
            .set("d", format!("M{} {}{form}", super::rounded(x), super::rounded(y)))
            .set("fill", self.colour())
            .set("stroke", super::PAPER)
            .set("stroke-width", 0.8)
    }
}
