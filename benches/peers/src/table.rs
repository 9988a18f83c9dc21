//! A theme as a table.

use comfy_table::{CellAlignment, Table, presets};

use crate::report::{Line, Opponent, Runs, Spread, Theme};

pub(crate) fn print(theme: &Theme) {
    println!("\n{}", text(theme));
}

pub(crate) fn text(theme: &Theme) -> String {
    let peers = theme.peers();
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["row", "ours"].into_iter().chain(peers.iter().copied()));
    for line in &theme.lines {
        let mut cells = vec![line.name(), ours(line)];
        cells.extend(peers.iter().map(|peer| line.opponent(peer).map_or_else(String::new, |one| ratio(one, line))));
        table.add_row(cells);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut lines = vec![format!("{}: {}", theme.name, theme.about), String::new(), table.to_string()];
    for peer in &peers {
        let lacks = theme.lines.iter().filter_map(|line| Some(line.opponent(peer)?.lacks));
        lines.extend(lacks.filter(|lacks| !lacks.is_empty()).take(1).map(|lacks| format!("{peer}: {lacks}")));
    }
    lines.extend(theme.failures().into_iter().map(|failure| format!("went wrong: {failure}")));
    for target in &theme.targets {
        let verdict = if target.met { "met" } else { "MISSED" };
        let (reached, wanted) = (short(target.reached), short(target.wanted));
        lines.push(format!("target {verdict}: {}: {reached} (wanted {wanted})", target.what));
    }
    lines.join("\n")
}

/// The figure, and what went wrong.
pub(crate) fn ours(line: &Line) -> String {
    with_failure(line.value.map(|value| figure(value, line)), &line.runs)
}

/// How many times better ours is: the median, and the middle half of the rounds. And what went wrong.
fn ratio(opponent: &Opponent, line: &Line) -> String {
    let ratio = opponent
        .advantage
        .map(|advantage| format!("{} x ({}-{})", short(advantage.median), short(advantage.low), short(advantage.high)));
    // Where there is none of ours to compare with.
    with_failure(ratio.or_else(|| Some(figure(opponent.value?, line))), &opponent.runs)
}

fn figure(value: Spread, line: &Line) -> String {
    format!("{} {}", short(value.median), line.unit)
}

fn with_failure(figure: Option<String>, runs: &Runs) -> String {
    let both = figure.into_iter().chain(runs.short_failure());
    both.collect::<Vec<_>>().join(", ")
}

/// Three digits.
fn short(value: f64) -> String {
    let digits = if value.abs() >= 100.0 {
        0
    } else if value.abs() >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$}")
}
