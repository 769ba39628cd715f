//! Precision-recall curves as a picture.

use super::axes::{Panel, TICK_SIZE, Ticks, heading};
use super::colour::INK;
use super::legend::{Entry, LEFT, SIDE, TOP, View, description, draw_curves, draw_legend, sheet, shown};
use super::scene::{Picture, Stroke};
use crate::score::mean;
use crate::{RocCurve, RocCurves, Undefined};

const VIEW: View = View { value: RocCurve::average_precision, points: steps };

/// Draws precision against recall for each class and for all pairs of a sample and a class (micro), with the average
/// precision in the legend. Drawn in steps, as average precision counts it: there is no classifier on a slanted line
/// between two points. With more than twelve classes, the six of lowest value stand out before the others in grey.
///
/// The level of chance is the share of the class among the samples, so that curves of classes of different size do not
/// compare.
pub fn precision_recall_curves(curves: &RocCurves) -> Picture {
    let average = curves.classes.iter().filter_map(|(_, curve)| curve.average_precision().value());
    let average = shown(mean(average, Undefined::NoClass));
    let micro = shown(curves.micro.average_precision());
    let mut entries = vec![
        Entry::mean("Macro average", average, None, Stroke::solid(INK, 2.6)),
        Entry::mean("Micro average", micro, steps(&curves.micro), Stroke::dashed(INK, 2.2, [2.0, 2.6])),
    ];
    entries.extend(Entry::of_classes(curves, &VIEW));
    let mut picture = sheet("Precision-recall curves", &entries);
    picture.description = format!("Precision against recall. Average precision: {}.", description(&entries));
    let samples = curves.micro.positives();
    let detail = format!("one class against the rest; {samples} samples, {} classes", curves.classes.len());
    heading(&mut picture, 20.0, "Precision-recall curves", &detail);
    let panel = Panel { left: LEFT, top: TOP, width: SIDE, height: SIDE, x: (0.0, 1.0), y: (0.0, 1.0) };
    let ticks = Ticks::round(0.0, 1.0, 5);
    panel.draw(&mut picture, &ticks, &ticks, TICK_SIZE);
    let (x, y) = ("Recall (sensitivity)", "Precision (positive predictive value)");
    panel.name_axes(&mut picture, x, y, 48.0);
    draw_curves(&mut picture, &panel, &entries);
    draw_legend(&mut picture, &entries, "avg prec");
    picture
}

/// From each recall to the next at the precision of the next; `None` where the curve is undefined.
fn steps(curve: &RocCurve) -> Option<Vec<(f64, f64)>> {
    let points = curve.recall_precision()?;
    let mut before = 0.0;
    let steps = points.into_iter().flat_map(|(recall, precision)| {
        let from = before;
        before = recall;
        [(from, precision), (recall, precision)]
    });
    Some(steps.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_under_the_steps_is_the_average_precision() {
        let curve = RocCurve::new([(0.9, true), (0.8, false), (0.7, true), (0.7, false), (0.2, true), (0.1, false)]);
        let steps = steps(&curve).unwrap();
        let area: f64 = steps.windows(2).map(|pair| (pair[1].0 - pair[0].0) * pair[1].1).sum();
        assert!((area - curve.average_precision().or_zero()).abs() < 1e-15);
        assert_eq!((steps[0], steps[steps.len() - 1].0), ((0.0, 1.0), 1.0));
    }
}
