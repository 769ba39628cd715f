//! Distributions of scores as a picture: one small panel per class.

use super::axes::{Panel, Ticks, heading};
use super::colour::{BLUE, Colour, FRAME, INK, MUTED};
use super::font::{self, Weight};
use super::scene::{Picture, Shape, Stroke, Text};
use crate::ScoreHistograms;

const PANEL: (f64, f64) = (200.0, 96.0);
/// Distance of two panels.
const GAP: (f64, f64) = (46.0, 58.0);
const LEFT: f64 = 60.0;
const TOP: f64 = 116.0;
const COLUMNS: usize = 4;

/// Draws, for each class, how the score of the class is distributed among its samples and among all others, each as a
/// share of its own number: what overlaps cannot be told apart by any threshold. Heights are on a square-root scale, or
/// the many others of score 0 would leave no room for the samples of the class.
pub fn score_histograms(histograms: &ScoreHistograms) -> Picture {
    let classes = histograms.classes.len();
    let columns = classes.clamp(1, COLUMNS);
    let rows = classes.div_ceil(columns).max(1);
    let width = LEFT + columns as f64 * (PANEL.0 + GAP.0);
    let detail = "score of the class among its samples and among the others, in shares of each (square-root scale)";
    let mut picture = Picture {
        width,
        height: TOP + rows as f64 * (PANEL.1 + GAP.1) - 8.0,
        title: "Score histograms".to_owned(),
        description: format!("Distribution of the score of each of {classes} classes, {detail}."),
        shapes: Vec::new(),
    };
    heading(&mut picture, 20.0, "Score histograms", detail);
    let mut left = 20.0;
    for (label, colour) in [("samples of the class", BLUE), ("other samples", FRAME)] {
        picture.rect((left, 64.0), (18.0, 10.0), colour);
        picture.text(Text::new((left + 26.0, 69.0), label, 12.0).colour(INK));
        left += 26.0 + font::width(label, Weight::Regular, 12.0) + 24.0;
    }
    for (index, class) in histograms.classes.iter().enumerate() {
        let (column, row) = ((index % columns) as f64, (index / columns) as f64);
        let corner = (LEFT + column * (PANEL.0 + GAP.0), TOP + row * (PANEL.1 + GAP.1));
        let shares = [&class.others, &class.members].map(|counts| shares(counts));
        let highest = shares.iter().flatten().copied().fold(0.01, f64::max);
        let (left, top) = corner;
        let y = (0.0, (highest * 1.06).sqrt());
        let panel = Panel { left, top, width: PANEL.0, height: PANEL.1, x: (0.0, 1.0), y };
        panel.draw(&mut picture, &Ticks::round(0.0, 1.0, 2), &root_ticks(highest), 10.0);
        for (shares, colour) in shares.iter().zip([FRAME, BLUE]) {
            draw_shares(&mut picture, &panel, shares, colour);
        }
        let members: u64 = class.members.iter().sum();
        let count = format!("n = {members}");
        let room = PANEL.0 - font::width(&count, Weight::Regular, 10.5) - 10.0;
        let name = font::fit(&class.class, Weight::SemiBold, 11.5, room);
        picture.text(Text::new((left, top - 11.0), name, 11.5).bold());
        picture.text(Text::new((left + PANEL.0, top - 11.0), count, 10.5).end().colour(MUTED));
    }
    picture
}

/// Shares worth a mark, at their square roots.
fn root_ticks(highest: f64) -> Ticks {
    // The small one only where the larger ones leave room.
    let marks = [0.0, 0.01, 0.1, 0.3, 0.6, 1.0].into_iter();
    let marked: Vec<f64> = marks.filter(|&mark| mark <= highest && (mark != 0.01 || highest < 0.3)).collect();
    Ticks { labels: marked.iter().map(f64::to_string).collect(), values: marked.into_iter().map(f64::sqrt).collect() }
}

/// Counts as shares of their sum; none where there is nothing to share.
fn shares(counts: &[u64]) -> Vec<f64> {
    let sum: u64 = counts.iter().sum();
    match sum {
        0 => Vec::new(),
        _ => counts.iter().map(|&count| count as f64 / sum as f64).collect(),
    }
}

fn draw_shares(picture: &mut Picture, panel: &Panel, shares: &[f64], colour: Colour) {
    if shares.is_empty() {
        return;
    }
    let edge = |bin: usize| bin as f64 / shares.len() as f64;
    let outline =
        shares.iter().enumerate().flat_map(|(bin, share)| [(edge(bin), share.sqrt()), (edge(bin + 1), share.sqrt())]);
    let outline: Vec<(f64, f64)> = std::iter::once((0.0, 0.0)).chain(outline).chain([(1.0, 0.0)]).collect();
    let points = outline.iter().map(|&point| panel.place(point)).collect();
    picture.shapes.push(Shape::Area { points, fill: colour, opacity: 0.35 });
    panel.curve(picture, &outline, Stroke::solid(colour, 1.4));
}
