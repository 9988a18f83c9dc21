//! A theme as a table.

use comfy_table::{CellAlignment, Table, presets};

use crate::report::{Spread, Theme};

pub(crate) fn print(theme: &Theme) {
    println!("\n{}: {}\n", theme.name, theme.about);
    let peers = theme.peers();
    let opponents = theme.lines.iter().flat_map(|line| &line.opponents);
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["row", "ours"].into_iter().chain(peers.iter().copied()));
    for line in &theme.lines {
        let mut cells = vec![line.name(), format!("{} {}", short(line.value.median), line.unit)];
        cells.extend(peers.iter().map(|peer| line.against(peer).map_or_else(String::new, ratio)));
        table.add_row(cells);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("{table}");
    for peer in &peers {
        if let Some(lacks) = opponents.clone().find(|opponent| opponent.name == *peer && !opponent.lacks.is_empty()) {
            println!("{peer}: {}", lacks.lacks);
        }
    }
    for target in &theme.targets {
        let verdict = if target.met { "met" } else { "MISSED" };
        println!("target {verdict}: {}: {} (wanted {})", target.what, short(target.reached), short(target.wanted));
    }
}

/// How many times better ours is: the median, and the middle half of the rounds.
fn ratio(advantage: &Spread) -> String {
    format!("{} x ({}-{})", short(advantage.median), short(advantage.low), short(advantage.high))
}

/// Three digits.
pub(crate) fn short(value: f64) -> String {
    let digits = if value.abs() >= 100.0 {
        0
    } else if value.abs() >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$}")
}
