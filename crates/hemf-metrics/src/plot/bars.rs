//! Scores of each class with intervals as a picture.

use super::axes::{Panel, Ticks, heading};
use super::colour::{BLUE, Colour, EMPTY, FRAME, GRID, INK, MUTED};
use super::font::{self, Weight};
use super::scene::{Picture, Stroke, Text};
use crate::uncertainty::Estimate;
use crate::{ClassScores, rounded};

const PANEL: f64 = 150.0;
/// Room for the numbers right of each panel.
const NUMBERS: f64 = 58.0;
const TOP: f64 = 92.0;
const LONGEST_LABEL: f64 = 190.0;
/// Paler than the whiskers on it.
const BAR: Colour = Colour(0xab, 0xcd, 0xe8);

/// Draws one row per class: its name, its number of samples, and for each score a bar with its interval. A score without
/// a value is "n/a", one without an interval a bar without whiskers.
pub fn class_bars(scores: &ClassScores) -> Picture {
    let classes = scores.classes.len();
    let row = if classes > 20 { 20.0 } else { 28.0 };
    let size = if classes > 20 { 10.5 } else { 12.0 };
    let labels: Vec<String> =
        scores.classes.iter().map(|(name, _)| font::fit(name, Weight::Regular, size, LONGEST_LABEL)).collect();
    let label_width = labels.iter().map(|label| font::width(label, Weight::Regular, size)).fold(60.0, f64::max);
    let counts_end = 20.0 + label_width + 64.0;
    let left = |column: usize| counts_end + 24.0 + column as f64 * (PANEL + NUMBERS + 16.0);
    let height = row * classes.max(1) as f64;
    let level = scores.level.get() * 100.0;
    let mut picture = Picture {
        width: left(scores.columns.len()).max(420.0),
        height: TOP + height + 46.0,
        title: "Scores of each class".to_owned(),
        description: description(scores),
        shapes: Vec::new(),
    };
    let detail = format!("with {level:.0} % intervals; n: samples of the class");
    heading(&mut picture, 20.0, "Scores of each class", &detail);
    let middle = |class: usize| TOP + (class as f64 + 0.5) * row;
    picture.text(Text::new((counts_end, TOP - 14.0), "n", size).end().colour(MUTED));
    for (class, (label, (_, support))) in labels.iter().zip(&scores.classes).enumerate() {
        picture.text(Text::new((20.0, middle(class)), label, size));
        let count = Text::new((counts_end, middle(class)), support.to_string(), size);
        picture.text(count.end().colour(MUTED));
    }
    for (column, (name, estimates)) in scores.columns.iter().enumerate() {
        let panel = Panel { left: left(column), top: TOP, width: PANEL, height, x: (0.0, 1.0), y: (0.0, 1.0) };
        panel.draw(&mut picture, &Ticks::round(0.0, 1.0, 2), &Ticks { values: vec![], labels: vec![] }, 10.5);
        picture.text(Text::new((panel.left, TOP - 14.0), name, 12.0).bold());
        for (class, estimate) in estimates.iter().enumerate() {
            draw_bar(&mut picture, &panel, middle(class), row * 0.5, size, estimate);
        }
        picture.frame((panel.left, TOP), (PANEL, height), Stroke::solid(FRAME, 1.0));
    }
    picture
}

fn draw_bar(picture: &mut Picture, panel: &Panel, y: f64, thickness: f64, size: f64, estimate: &Estimate) {
    let x = |value: f64| panel.left + value.clamp(0.0, 1.0) * PANEL;
    let number = (panel.left + PANEL + 8.0, y);
    let Some(value) = estimate.value.value() else {
        picture.rect((panel.left, y - thickness / 2.0), (PANEL, thickness), EMPTY);
        picture.text(Text::new(number, "n/a", size).colour(MUTED));
        return;
    };
    picture.rect((panel.left, y - thickness / 2.0), (x(value) - panel.left, thickness), BAR);
    if let Ok(interval) = estimate.interval {
        let whisker = Stroke::solid(BLUE, 1.6);
        picture.line(vec![(x(interval.low), y), (x(interval.high), y)], whisker);
        for end in [interval.low, interval.high] {
            picture.line(vec![(x(end), y - thickness * 0.3), (x(end), y + thickness * 0.3)], whisker);
        }
    }
    picture.line(vec![(x(value), y - thickness / 2.0), (x(value), y + thickness / 2.0)], Stroke::solid(INK, 1.6));
    picture.text(Text::new(number, rounded(value), size));
    let below = y + thickness;
    picture.line(vec![(panel.left, below), (panel.left + PANEL, below)], Stroke::solid(GRID, 0.6));
}

fn description(scores: &ClassScores) -> String {
    let of_class = |class: usize| {
        let values: Vec<String> =
            scores.columns.iter().map(|(name, estimates)| format!("{name} {:.3}", estimates[class])).collect();
        format!("{}: {}", scores.classes[class].0, values.join(", "))
    };
    let classes: Vec<String> = (0..scores.classes.len()).map(of_class).collect();
    format!("Scores of {} classes. {}.", classes.len(), classes.join("; "))
}
