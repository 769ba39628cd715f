//! ROC curves as a picture.

use super::axes::{Panel, TICK_SIZE, Ticks, heading};
use super::colour::{BACKGROUND_LINE, FRAME, GRID, INK, MUTED, WHITE};
use super::legend::{Entry, LEFT, SIDE, TOP, View, description, draw_curves, draw_legend, sheet, shown};
use super::scene::{Picture, Shape, Stroke, Text};
use crate::uncertainty::RocBand;
use crate::{RocCurve, RocCurves};

/// From this area on curves crowd into a corner, which is shown enlarged.
const CROWDED: f64 = 0.95;

const VIEW: View = View { value: RocCurve::auc, points: |curve| curve.corners().rates() };

/// Draws the ROC curve of each class, their mean (macro) and that of all pairs (micro), with the areas in the legend.
/// With more than twelve classes, the six of lowest area stand out before the others in grey.
pub fn roc_curves(curves: &RocCurves) -> Picture {
    roc_curves_with_band(curves, None)
}

/// As [`roc_curves`], with the band of the mean curve, where there is one.
pub fn roc_curves_with_band(curves: &RocCurves, band: Option<&RocBand>) -> Picture {
    // Every sample is one positive pair: that of its own class.
    let samples = curves.micro.positives();
    let entries = entries(curves);
    let mut picture = sheet("ROC curves", &entries);
    picture.description =
        format!("True positive rate against false positive rate. Areas under the curves: {}.", description(&entries));
    let mut detail = format!("one class against the rest; {samples} samples, {} classes", curves.classes.len());
    if let Some(band) = band {
        detail += &format!("; grey: {:.0} % band of the macro average, pointwise", band.level.get() * 100.0);
    }
    heading(&mut picture, 20.0, "ROC curves", &detail);

    let panel = Panel { left: LEFT, top: TOP, width: SIDE, height: SIDE, x: (0.0, 1.0), y: (0.0, 1.0) };
    let ticks = Ticks::round(0.0, 1.0, 5);
    panel.draw(&mut picture, &ticks, &ticks, TICK_SIZE);
    let (x, y) = ("False positive rate (1 − specificity)", "True positive rate (sensitivity)");
    panel.name_axes(&mut picture, x, y, 48.0);
    let chance = Stroke::dashed(BACKGROUND_LINE, 1.2, [4.0, 4.0]);
    panel.curve(&mut picture, &[(0.0, 0.0), (1.0, 1.0)], chance);
    draw_band(&mut picture, &panel, band);
    draw_curves(&mut picture, &panel, &entries);
    if curves.macro_auc().value().is_some_and(|area| area >= CROWDED) {
        enlarge_corner(&mut picture, &entries, band);
    }
    draw_legend(&mut picture, &entries, "AUC");
    picture
}

fn entries(curves: &RocCurves) -> Vec<Entry> {
    let mean = |label, area, curve: Vec<(f64, f64)>, stroke| {
        Entry::mean(label, shown(area), (!curve.is_empty()).then_some(curve), stroke)
    };
    let micro = curves.micro.corners().rates().unwrap_or_default();
    let mut entries = vec![
        mean("Macro average", curves.macro_auc(), curves.macro_curve(), Stroke::solid(INK, 2.6)),
        mean("Micro average", curves.micro.auc(), micro, Stroke::dashed(INK, 2.2, [2.0, 2.6])),
    ];
    entries.extend(Entry::of_classes(curves, &VIEW));
    entries
}

/// Cut where it leaves the panel, in the enlarged corner at the rates the panel ends with.
fn draw_band(picture: &mut Picture, panel: &Panel, band: Option<&RocBand>) {
    let Some(band) = band else { return };
    let shown = || band.points.iter().filter(|point| point.false_positive_rate <= panel.x.1 + 1e-9);
    let place = |rate: f64, height: f64| panel.place((rate, height.max(panel.y.0)));
    let upper = shown().map(|point| place(point.false_positive_rate, point.high));
    let lower = shown().rev().map(|point| place(point.false_positive_rate, point.low));
    picture.shapes.push(Shape::Area { points: upper.chain(lower).collect(), fill: INK, opacity: 0.14 });
}

/// The upper left corner again, at the lower right, where no good curve passes.
fn enlarge_corner(picture: &mut Picture, entries: &[Entry], band: Option<&RocBand>) {
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
    draw_band(picture, &panel, band);
    draw_curves(picture, &panel, entries);
    picture.frame((panel.left, panel.top), (INSET, INSET), Stroke::solid(FRAME, 1.0));
}
