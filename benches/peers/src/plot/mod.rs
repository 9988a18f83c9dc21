//! A theme as a picture: how many times better ours is than each peer.

mod axis;
mod mark;

use std::fs;
use std::path::Path;

use anyhow::Context;
use svg::Document;
use svg::node::element::{Group, Line as Stroke, Rectangle, Text};

use crate::report::{Line, Theme};
use crate::table::ours;
use axis::Axis;
use mark::Mark;

const WIDTH: f64 = 800.0;
const MARGIN: f64 = 16.0;
/// Between the name of a row and its marks, and between these and the absolute figure.
const GAP: f64 = 12.0;
const VALUES: f64 = 92.0;
/// From one peer of a row to the next.
const LANE: f64 = 4.2;
const TEXT: f64 = 12.0;
/// More than most letters of that size need.
const LETTER: f64 = 6.4;

const INK: &str = "#1f2328";
const PALE_INK: &str = "#656d76";
const PAPER: &str = "#ffffff";
const OURS: &str = "#eef8f0";
const GRID: &str = "#d8dee4";

/// Writes `NAME.svg` into the folder, unless the theme has no peers.
pub(crate) fn write(theme: &Theme, folder: &Path) -> anyhow::Result<()> {
    let Some(picture) = draw(theme) else { return Ok(()) };
    let file = folder.join(format!("{}.svg", theme.name));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&file, format!("{picture}\n")))
        .with_context(|| format!("cannot write {}", file.display()))
}

pub(crate) fn draw(theme: &Theme) -> Option<Document> {
    let axis = Axis::over(theme)?;
    let peers = theme.peers();
    let blocks = blocks(theme);
    let names = blocks.iter().flat_map(|block| block.rows.iter().map(|(name, _)| name.chars().count()));
    let left = (MARGIN + names.max()? as f64 * LETTER + GAP).clamp(120.0, 330.0);
    let axis = axis.between(left, WIDTH - MARGIN - VALUES);

    let mut top = 30.0;
    let mut head = Group::new().add(text(MARGIN, top, theme.name).set("font-size", 17).set("font-weight", 600));
    for line in wrapped(theme.about) {
        top += 18.0;
        head = head.add(text(MARGIN, top, line).set("fill", PALE_INK));
    }
    top += 26.0;
    let (legend, height) = legend(&peers, top);
    head = head.add(legend);
    top += height + 20.0;

    let (mut body, mut rules) = (Group::new(), Group::new().set("stroke", GRID).set("stroke-width", 0.5));
    let mut y = top + 6.0;
    for block in &blocks {
        if let Some(title) = &block.title {
            y += 18.0;
            body = body.add(text(MARGIN, y, title.as_str()).set("font-weight", 600));
            y += 4.0;
        }
        for (name, line) in &block.rows {
            let height = (line.opponents.len() as f64 * LANE + 5.0).max(18.0);
            body = body.add(row(name, line, &axis, &peers, y + height / 2.0));
            y += height;
            rules = rules.add(level(MARGIN, WIDTH - MARGIN, y));
        }
    }
    let bottom = y + 6.0;

    let ours = Rectangle::new()
        .set("x", rounded(axis.at(1.0)))
        .set("y", top)
        .set("width", rounded(axis.right() - axis.at(1.0)))
        .set("height", rounded(bottom - top))
        .set("fill", OURS);
    let mut height = bottom + 42.0;
    let mut foot = Group::new().set("fill", PALE_INK);
    for failure in theme.failures() {
        // What a program printed may have many lines; the table has them.
        for line in wrapped(&format!("went wrong: {}", failure.lines().next().unwrap_or_default())) {
            height += 18.0;
            foot = foot.add(text(MARGIN, height - 8.0, line));
        }
    }
    let paper = Rectangle::new().set("width", "100%").set("height", "100%").set("rx", 6).set("fill", PAPER);
    let picture = Document::new()
        .set("viewBox", (0, 0, WIDTH, rounded(height)))
        .set("width", WIDTH)
        .set("height", rounded(height))
        .set("role", "img")
        .set("font-family", "-apple-system, Segoe UI, Helvetica, Arial, sans-serif")
        .set("font-size", TEXT)
        .set("fill", INK)
        .add(paper)
        .add(head)
        .add(ours)
        .add(rules)
        .add(scale(&axis, top, bottom))
        .add(body)
        .add(foot);
    Some(picture)
}

/// SVG does not break lines by itself.
fn wrapped(text: &str) -> Vec<String> {
    let letters = ((WIDTH - 2.0 * MARGIN) / LETTER) as usize;
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut().filter(|line| line.chars().count() + 1 + word.chars().count() <= letters) {
            Some(line) => *line = format!("{line} {word}"),
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Rows whose names begin alike.
struct Block<'a> {
    title: Option<String>,
    rows: Vec<(String, &'a Line)>,
}

fn blocks(theme: &Theme) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    for line in theme.lines.iter().filter(|line| !line.opponents.is_empty()) {
        let name = line.name();
        let (title, rest) = match name.rsplit_once(", ") {
            Some((title, rest)) => (Some(title.to_owned()), rest.to_owned()),
            None => (None, name),
        };
        match blocks.last_mut().filter(|last| last.title == title) {
            Some(last) => last.rows.push((rest, line)),
            None => blocks.push(Block { title, rows: vec![(rest, line)] }),
        }
    }
    // A title for a single row is a line too many.
    for block in &mut blocks {
        if let [(name, _)] = &mut *block.rows
            && let Some(title) = block.title.take()
        {
            *name = format!("{title}, {name}");
        }
    }
    blocks
}

fn row(name: &str, line: &Line, axis: &Axis, peers: &[&str], middle: f64) -> Group {
    let mut row = Group::new()
        .add(text(axis.left() - GAP, middle + 4.0, name).set("text-anchor", "end"))
        .add(text(WIDTH - MARGIN, middle + 4.0, ours(line)).set("text-anchor", "end").set("fill", PALE_INK));
    let mut y = middle - (line.opponents.len() as f64 - 1.0) * LANE / 2.0;
    let (mut bars, mut marks) = (Group::new().set("stroke-width", 1.6), Group::new());
    for opponent in &line.opponents {
        let mark = Mark::of(peers.iter().position(|peer| *peer == opponent.name).unwrap_or_default());
        if let Some(advantage) = opponent.advantage.filter(axis::is_drawable) {
            bars = bars.add(level(axis.at(advantage.low), axis.at(advantage.high), y).set("stroke", mark.colour()));
            marks = marks.add(mark.at(axis.at(advantage.median), y));
        }
        y += LANE;
    }
    row = row.add(bars);
    row.add(marks)
}

/// The names of the peers, in as many lines as they need, and how high these are.
fn legend(peers: &[&str], top: f64) -> (Group, f64) {
    let (mut x, mut y) = (MARGIN + 5.0, top);
    let mut legend = Group::new();
    for (index, peer) in peers.iter().enumerate() {
        let width = peer.chars().count() as f64 * LETTER + 34.0;
        if x + width > WIDTH && x > MARGIN + 5.0 {
            x = MARGIN + 5.0;
            y += 20.0;
        }
        legend = legend.add(Mark::of(index).at(x, y - 4.0)).add(text(x + 10.0, y, *peer));
        x += width;
    }
    (legend, y - top + 14.0)
}

/// The ticks, and what they mean.
fn scale(axis: &Axis, top: f64, bottom: f64) -> Group {
    let one = axis.at(1.0);
    let mut grid = Group::new().set("stroke", GRID);
    let mut numbers = Group::new().set("text-anchor", "middle").set("fill", PALE_INK);
    for tick in axis.ticks() {
        let x = axis.at(tick);
        grid = grid.add(upright(x, top, bottom));
        numbers = numbers.add(text(x, bottom + 16.0, format!("{tick} ×")));
    }
    let as_fast = upright(one, top - 4.0, bottom).set("stroke", INK).set("stroke-width", 2);
    let says =
        |x: f64, anchor: &str, what: &str| text(x, top - 6.0, what).set("text-anchor", anchor).set("font-size", 11);
    let mut words = Group::new().set("fill", PALE_INK).add(says(one + 8.0, "start", "ours is ahead →"));
    // Where there is room for it.
    if one - axis.left() > 80.0 {
        words = words.add(says(one - 8.0, "end", "← the peer is"));
    }
    words = words.add(says(WIDTH - MARGIN, "end", "ours alone"));
    let how = "a mark: the median of the rounds, each compared pair by pair; its bar: the middle half of them";
    let how =
        text(WIDTH - MARGIN, bottom + 34.0, how).set("text-anchor", "end").set("fill", PALE_INK).set("font-size", 11);
    Group::new().add(grid).add(as_fast).add(numbers).add(words).add(how)
}

fn text(x: f64, y: f64, content: impl Into<String>) -> Text {
    Text::new(content).set("x", rounded(x)).set("y", rounded(y))
}

fn upright(x: f64, top: f64, bottom: f64) -> Stroke {
    let x = rounded(x);
    Stroke::new().set("x1", x).set("x2", x).set("y1", rounded(top)).set("y2", rounded(bottom))
}

fn level(left: f64, right: f64, y: f64) -> Stroke {
    let y = rounded(y);
    Stroke::new().set("x1", rounded(left)).set("x2", rounded(right)).set("y1", y).set("y2", y)
}

/// Nobody sees more, and the file is a third smaller.
fn rounded(position: f64) -> f64 {
    (position * 10.0).round() / 10.0
}
