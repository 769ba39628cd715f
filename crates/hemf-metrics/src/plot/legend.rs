//! A square panel of curves with a legend that tells a number of each.

use super::axes::Panel;
use super::colour::{BACKGROUND_LINE, INK, LINES, MUTED, WHITE};
use super::font::{self, Weight};
use super::scene::{Picture, Stroke, Text};
use crate::{RocCurve, RocCurves, Score};

pub(super) const SIDE: f64 = 460.0;
pub(super) const LEFT: f64 = 74.0;
pub(super) const TOP: f64 = 70.0;
/// Distance of two lines of the legend.
const LINE: f64 = 22.0;
pub(super) const LONGEST_LABEL: f64 = 190.0;
/// So many classes have a line of their own: each colour once solid, once dashed.
const OWN_LINES: usize = 2 * LINES.len();
/// With more classes, so many of the lowest value do, and the others form a grey background.
const LOWEST: usize = LINES.len();

/// A line in the panel.
type Curve = Vec<(f64, f64)>;

/// What is shown of the ranking of a class.
pub(super) struct View {
    /// The number in the legend.
    pub(super) value: fn(&RocCurve) -> Score,
    /// The line in the panel.
    pub(super) points: fn(&RocCurve) -> Option<Curve>,
}

/// A line of the legend with the curves it stands for.
pub(super) struct Entry {
    label: String,
    value: String,
    curves: Vec<Curve>,
    stroke: Stroke,
    bold: bool,
}

impl Entry {
    /// Of all classes together.
    pub(super) fn mean(label: &str, value: String, curve: Option<Curve>, stroke: Stroke) -> Self {
        Self { label: label.to_owned(), value, curves: Vec::from_iter(curve), stroke, bold: true }
    }

    /// Of each class, or, of many, of the lowest and of the others together.
    pub(super) fn of_classes(curves: &RocCurves, view: &View) -> Vec<Self> {
        let classes: Vec<&(String, RocCurve)> = curves.classes.iter().collect();
        if classes.len() <= OWN_LINES {
            return own_lines(&classes, view);
        }
        let value = |(_, curve): &(String, RocCurve)| (view.value)(curve).or_zero();
        let (mut defined, undefined): (Vec<_>, Vec<_>) =
            classes.into_iter().partition(|(_, curve)| curve.undefined().is_none());
        defined.sort_by(|a, b| value(a).total_cmp(&value(b)));
        let (lowest, others) = defined.split_at(LOWEST.min(defined.len()));
        let mut entries = own_lines(lowest, view);
        if let (Some(first), Some(last)) = (others.first(), others.last()) {
            entries.push(Self {
                label: format!("{} other classes", others.len()),
                value: format!("{:.4}–{:.4}", value(first), value(last)),
                curves: others.iter().filter_map(|(_, curve)| (view.points)(curve)).collect(),
                stroke: Stroke::solid(BACKGROUND_LINE, 1.0),
                bold: false,
            });
        }
        if !undefined.is_empty() {
            entries.push(Self {
                label: format!("without a curve: {}", undefined.len()),
                value: "n/a".to_owned(),
                curves: Vec::new(),
                stroke: Stroke::solid(WHITE, 0.0),
                bold: false,
            });
        }
        entries
    }
}

fn own_lines(classes: &[&(String, RocCurve)], view: &View) -> Vec<Entry> {
    let entry = |(index, (name, curve)): (usize, &&(String, RocCurve))| {
        let colour = LINES[index % LINES.len()];
        Entry {
            label: font::fit(name, Weight::Regular, 12.0, LONGEST_LABEL),
            value: shown((view.value)(curve)),
            curves: (view.points)(curve).into_iter().collect(),
            stroke: match index < LINES.len() {
                true => Stroke::solid(colour, 1.8),
                false => Stroke::dashed(colour, 1.8, [7.0, 3.0]),
            },
            bold: false,
        }
    };
    classes.iter().enumerate().map(entry).collect()
}

pub(super) fn shown(value: Score) -> String {
    value.value().map_or("n/a".to_owned(), |value| format!("{value:.4}"))
}

/// Every entry of the legend in words.
pub(super) fn description(entries: &[Entry]) -> String {
    let values: Vec<String> = entries.iter().map(|entry| format!("{} {}", entry.label, entry.value)).collect();
    values.join(", ")
}

/// An empty picture with room for the panel and the legend.
pub(super) fn sheet(title: &str, entries: &[Entry]) -> Picture {
    let widest = |text: fn(&Entry) -> &String, least: f64| {
        entries.iter().map(|entry| font::width(text(entry), Weight::SemiBold, 12.0)).fold(least, f64::max)
    };
    let legend_height = (entries.len() as f64 + 1.0) * LINE;
    Picture {
        width: LEFT + SIDE + 110.0 + widest(|entry| &entry.label, 60.0) + widest(|entry| &entry.value, 40.0),
        height: (TOP + SIDE + 62.0).max(TOP + legend_height + 30.0),
        title: title.to_owned(),
        description: String::new(),
        shapes: Vec::new(),
    }
}

/// The last of the legend lies undermost.
pub(super) fn draw_curves(picture: &mut Picture, panel: &Panel, entries: &[Entry]) {
    for entry in entries.iter().rev() {
        for curve in &entry.curves {
            panel.curve(picture, curve, entry.stroke);
        }
    }
}

/// Right of the panel, under the name of the numbers.
pub(super) fn draw_legend(picture: &mut Picture, entries: &[Entry], values: &str) {
    let (left, end) = (LEFT + SIDE + 26.0, picture.width - 20.0);
    let line = |index: usize| TOP + 8.0 + index as f64 * LINE;
    picture.text(Text::new((end, line(0)), values, 12.0).end().colour(MUTED));
    for (index, entry) in entries.iter().enumerate() {
        let y = line(index + 1);
        if !entry.curves.is_empty() {
            picture.line(vec![(left, y), (left + 28.0, y)], entry.stroke);
        }
        let ink = if entry.curves.is_empty() { MUTED } else { INK };
        let label = Text::new((left + 38.0, y), &entry.label, 12.0).colour(ink);
        let value = Text::new((end, y), &entry.value, 12.0).end().colour(ink);
        for text in [label, value] {
            picture.text(if entry.bold { text.bold() } else { text });
        }
    }
}
