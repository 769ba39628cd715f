//! ROC curves of several classifiers in one picture.

use super::axes::{Panel, TICK_SIZE, Ticks, heading};
use super::colour::{BACKGROUND_LINE, LINES};
use super::font::{self, Weight};
use super::legend::{Entry, LEFT, LONGEST_LABEL, SIDE, TOP, description, draw_curves, draw_legend, sheet, shown};
use super::scene::{Picture, Stroke};
use crate::RocCurves;

/// Draws the mean (macro) ROC curve of each classifier, by its name, with the areas in the legend. From the seventh on
/// lines are dashed.
pub fn roc_of_runs(runs: &[(String, RocCurves)]) -> Picture {
    let entry = |(index, (name, curves)): (usize, &(String, RocCurves))| {
        let colour = LINES[index % LINES.len()];
        let stroke = match index < LINES.len() {
            true => Stroke::solid(colour, 2.0),
            false => Stroke::dashed(colour, 2.0, [7.0, 3.0]),
        };
        let curve = curves.macro_curve();
        let label = font::fit(name, Weight::SemiBold, 12.0, LONGEST_LABEL);
        Entry::mean(&label, shown(curves.macro_auc()), (!curve.is_empty()).then_some(curve), stroke)
    };
    let entries: Vec<Entry> = runs.iter().enumerate().map(entry).collect();
    let mut picture = sheet("ROC curves of several runs", &entries);
    picture.description = format!("Mean true positive rate against false positive rate: {}.", description(&entries));
    heading(&mut picture, 20.0, "ROC curves of several runs", "mean over the classes, one against the rest each");
    let panel = Panel { left: LEFT, top: TOP, width: SIDE, height: SIDE, x: (0.0, 1.0), y: (0.0, 1.0) };
    let ticks = Ticks::round(0.0, 1.0, 5);
    panel.draw(&mut picture, &ticks, &ticks, TICK_SIZE);
    let (x, y) = ("False positive rate (1 − specificity)", "True positive rate (sensitivity)");
    panel.name_axes(&mut picture, x, y, 48.0);
    panel.curve(&mut picture, &[(0.0, 0.0), (1.0, 1.0)], Stroke::dashed(BACKGROUND_LINE, 1.2, [4.0, 4.0]));
    draw_curves(&mut picture, &panel, &entries);
    draw_legend(&mut picture, &entries, "AUC");
    picture
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Predictions;

    #[test]
    fn each_run_has_its_line_and_area() {
        let run = |name: &str, positive: [f64; 4]| {
            let classes = vec!["a".to_owned(), "b".to_owned()];
            let ids = (0..4).map(|i| i.to_string()).collect();
            let scores = positive.iter().flat_map(|&p| [1.0 - p, p]).collect();
            let predictions = Predictions::new(classes, ids, vec![0, 0, 1, 1], scores).unwrap();
            (name.to_owned(), RocCurves::new(&predictions))
        };
        let picture = roc_of_runs(&[run("first", [0.1, 0.2, 0.8, 0.9]), run("second", [0.1, 0.5, 0.4, 0.9])]);
        assert!(picture.description.contains("first 1.0000, second 0.7500"), "{}", picture.description);
        assert!(picture.svg().starts_with("<svg"));
    }
}
