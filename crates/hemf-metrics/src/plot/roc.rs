//! ROC curves as a picture.

use super::axes::{Panel, TICK_SIZE, Ticks, heading};
use super::colour::{BACKGROUND_LINE, FRAME, GRID, INK, LINES, MUTED, WHITE};
use super::font::{self, Weight};
use super::scene::{Picture, Stroke, Text};
use crate::{RocCurve, RocCurves, Score};

const SIDE: f64 = 460.0;
const LEFT: f64 = 74.0;
const TOP: f64 = 70.0;
/// Distance of two lines of the legend.
const LINE: f64 = 22.0;
const LONGEST_LABEL: f64 = 190.0;
/// So many classes have a line of their own: each colour once solid, once dashed.
const OWN_LINES: usize = 2 * LINES.len();
/// With more classes, so many of the lowest area do, and the others form a grey background.
const LOWEST: usize = LINES.len();
/// From this area on curves crowd into a corner, which is shown enlarged.
const CROWDED: f64 = 0.95;

/// Draws the ROC curve of each class, their mean (macro) and that of all pairs (micro), with the areas in the legend.
/// With more than twelve classes, the six of lowest area stand out before the others in grey.
pub fn roc_curves(curves: &RocCurves) -> Picture {
    // Every sample is one positive pair: that of its own class.
    let samples = curves.micro.positives();
    let entries = Entry::all(curves);
    let legend_height = (entries.len() as f64 + 1.0) * LINE;
    let label_width = |entry: &Entry| font::width(&entry.label, Weight::SemiBold, 12.0);
    let label_width = entries.iter().map(label_width).fold(60.0, f64::max);
    let area_width = |entry: &Entry| font::width(&entry.area, Weight::SemiBold, 12.0);
    let area_width = entries.iter().map(area_width).fold(40.0, f64::max);
    let right = LEFT + SIDE + 70.0 + label_width + area_width + 40.0;
    let mut picture = Picture {
        width: right,
        height: (TOP + SIDE + 62.0).max(TOP + legend_height + 30.0),
        title: "ROC curves".to_owned(),
        description: description(&entries),
        shapes: Vec::new(),
    };
    let detail = format!("one class against the rest; {samples} samples, {} classes", curves.classes.len());
    heading(&mut picture, 20.0, "ROC curves", &detail);

    let panel = Panel { left: LEFT, top: TOP, width: SIDE, height: SIDE, x: (0.0, 1.0), y: (0.0, 1.0) };
    let ticks = Ticks::round(0.0, 1.0, 5);
    panel.draw(&mut picture, &ticks, &ticks, TICK_SIZE);
    let (x, y) = ("False positive rate (1 − specificity)", "True positive rate (sensitivity)");
    panel.name_axes(&mut picture, x, y, 48.0);
    let chance = Stroke::dashed(BACKGROUND_LINE, 1.2, [4.0, 4.0]);
    panel.curve(&mut picture, &[(0.0, 0.0), (1.0, 1.0)], chance);
    draw_curves(&mut picture, &panel, &entries);
    if curves.macro_auc().value().is_some_and(|area| area >= CROWDED) {
        enlarge_corner(&mut picture, &entries);
    }
    draw_legend(&mut picture, &entries, right);
    picture
}

/// A line of the legend with the curves it stands for.
struct Entry {
    label: String,
    area: String,
    curves: Vec<Vec<(f64, f64)>>,
    stroke: Stroke,
    bold: bool,
}

impl Entry {
    /// In the order of the legend.
    fn all(curves: &RocCurves) -> Vec<Self> {
        let mean = |label: &str, area: Score, curve: Vec<(f64, f64)>, stroke| Self {
            label: label.to_owned(),
            area: shown(area),
            curves: Vec::from_iter((!curve.is_empty()).then_some(curve)),
            stroke,
            bold: true,
        };
        let macro_stroke = Stroke::solid(INK, 2.6);
        let micro_stroke = Stroke::dashed(INK, 2.2, [2.0, 2.6]);
        let micro = curves.micro.corners().rates().unwrap_or_default();
        let mut entries = vec![
            mean("Macro average", curves.macro_auc(), curves.macro_curve(), macro_stroke),
            mean("Micro average", curves.micro.auc(), micro, micro_stroke),
        ];
        let classes: Vec<&(String, RocCurve)> = curves.classes.iter().collect();
        if classes.len() <= OWN_LINES {
            entries.extend(own_lines(&classes));
            return entries;
        }
        let (mut defined, undefined): (Vec<_>, Vec<_>) =
            classes.into_iter().partition(|(_, curve)| curve.undefined().is_none());
        defined.sort_by(|a, b| area(a).total_cmp(&area(b)));
        let (lowest, others) = defined.split_at(LOWEST.min(defined.len()));
        entries.extend(own_lines(lowest));
        if let (Some(first), Some(last)) = (others.first(), others.last()) {
            entries.push(Self {
                label: format!("{} other classes", others.len()),
                area: format!("{:.4}–{:.4}", area(first), area(last)),
                curves: others.iter().filter_map(|(_, curve)| curve.corners().rates()).collect(),
                stroke: Stroke::solid(BACKGROUND_LINE, 1.0),
                bold: false,
            });
        }
        if !undefined.is_empty() {
            entries.push(Self {
                label: format!("without a curve: {}", undefined.len()),
                area: "n/a".to_owned(),
                curves: Vec::new(),
                stroke: Stroke::solid(WHITE, 0.0),
                bold: false,
            });
        }
        entries
    }
}

/// Area of a curve that has one.
fn area((_, curve): &(String, RocCurve)) -> f64 {
    curve.auc().or_zero()
}

fn own_lines(classes: &[&(String, RocCurve)]) -> Vec<Entry> {
    let entry = |(index, (name, curve)): (usize, &&(String, RocCurve))| {
        let colour = LINES[index % LINES.len()];
        Entry {
            label: font::fit(name, Weight::Regular, 12.0, LONGEST_LABEL),
            area: shown(curve.auc()),
            curves: curve.corners().rates().into_iter().collect(),
            stroke: match index < LINES.len() {
                true => Stroke::solid(colour, 1.8),
                false => Stroke::dashed(colour, 1.8, [7.0, 3.0]),
            },
            bold: false,
        }
    };
    classes.iter().enumerate().map(entry).collect()
}

fn shown(area: Score) -> String {
    area.value().map_or("n/a".to_owned(), |area| format!("{area:.4}"))
}

fn description(entries: &[Entry]) -> String {
    let areas: Vec<String> = entries.iter().map(|entry| format!("{} {}", entry.label, entry.area)).collect();
    format!("True positive rate against false positive rate. Areas under the curves: {}.", areas.join(", "))
}

/// The last of the legend lies undermost.
fn draw_curves(picture: &mut Picture, panel: &Panel, entries: &[Entry]) {
    for entry in entries.iter().rev() {
        for curve in &entry.curves {
            panel.curve(picture, curve, entry.stroke);
        }
    }
}

/// The upper left corner again, at the lower right, where no good curve passes.
fn enlarge_corner(picture: &mut Picture, entries: &[Entry]) {
    const INSET: f64 = 218.0;
    let panel = Panel {
        left: LEFT + SIDE - INSET - 22.0,
        top: TOP + SIDE - INSET - 40.0,
        width: INSET,
        height: INSET,
        x: (0.0, 0.2),
        y: (0.8, 1.0),
    };
    let margin = (44.0, 30.0);
    let corner = (panel.left - margin.0, panel.top - margin.1);
    let size = (INSET + margin.0 + 14.0, INSET + margin.1 + 30.0);
    picture.rect(corner, size, WHITE);
    picture.frame(corner, size, Stroke::solid(GRID, 1.0));
    let title = Text::new((panel.left, panel.top - 14.0), "Upper left corner", 11.0);
    picture.text(title.colour(MUTED));
    let ticks = |low: f64, high: f64| Ticks::round(low, high, 4);
    panel.draw(picture, &ticks(0.0, 0.2), &ticks(0.8, 1.0), 10.5);
    draw_curves(picture, &panel, entries);
    picture.frame((panel.left, panel.top), (INSET, INSET), Stroke::solid(FRAME, 1.0));
}

fn draw_legend(picture: &mut Picture, entries: &[Entry], right: f64) {
    let (left, end) = (LEFT + SIDE + 26.0, right - 20.0);
    let line = |index: usize| TOP + 8.0 + index as f64 * LINE;
    picture.text(Text::new((end, line(0)), "AUC", 12.0).end().colour(MUTED));
    for (index, entry) in entries.iter().enumerate() {
        let y = line(index + 1);
        if !entry.curves.is_empty() {
            picture.line(vec![(left, y), (left + 28.0, y)], entry.stroke);
        }
        let ink = if entry.curves.is_empty() { MUTED } else { INK };
        let label = Text::new((left + 38.0, y), &entry.label, 12.0).colour(ink);
        let area = Text::new((end, y), &entry.area, 12.0).end().colour(ink);
        for text in [label, area] {
            picture.text(if entry.bold { text.bold() } else { text });
        }
    }
}
