//! Accuracy against confidence as a picture.

use super::axes::{Panel, TICK_SIZE, Ticks, heading};
use super::colour::{BLUE, FRAME};
use super::legend::shown;
use super::scene::{Picture, Shape, Stroke, Text};
use crate::probability::CalibrationBin;
use crate::uncertainty::{Estimate, Reliability, ResampledBy};

const LEFT: f64 = 74.0;
const TOP: f64 = 70.0;
const SIDE: f64 = 400.0;
/// Height of the panel with the numbers of samples.
const COUNTS: f64 = 90.0;

/// Draws the accuracy of each bin at its mean confidence, with its interval where it has one, and how many samples the bins
/// hold below. On the diagonal confidence is right; below it the classifier is too sure of itself.
pub fn reliability_diagram(reliability: &Reliability) -> Picture {
    let calibration = &reliability.calibration;
    let samples: u64 = calibration.bins.iter().map(|bin| bin.count).sum();
    let (ece, mce) = (shown(calibration.ece), shown(calibration.mce));
    let percent = reliability.bootstrap.level.get() * 100.0;
    let how = match reliability.resampled {
        ResampledBy::Groups => "whole groups resampled",
        _ => "Wilson",
    };
    let detail = format!("{samples} samples; error {ece} expected, {mce} maximum; bars: {percent:.0} % ({how})");
    let mut picture = Picture {
        width: LEFT + SIDE + 40.0,
        height: TOP + SIDE + 30.0 + COUNTS + 62.0,
        title: "Reliability diagram".to_owned(),
        description: format!("Accuracy against confidence in {} bins; {detail}.", calibration.bins.len()),
        shapes: Vec::new(),
    };
    heading(&mut picture, 20.0, "Reliability diagram", &detail);
    let panel = Panel { left: LEFT, top: TOP, width: SIDE, height: SIDE, x: (0.0, 1.0), y: (0.0, 1.0) };
    let ticks = Ticks::round(0.0, 1.0, 5);
    panel.draw(&mut picture, &ticks, &ticks, TICK_SIZE);
    let at = (LEFT - 48.0, TOP + SIDE / 2.0);
    picture.text(Text::new(at, "Accuracy", super::axes::TITLE_SIZE).middle().angle(90.0));
    panel.curve(&mut picture, &[(0.0, 0.0), (1.0, 1.0)], Stroke::dashed(FRAME, 1.4, [4.0, 4.0]));
    draw_bins(&mut picture, &panel, &calibration.bins, &reliability.accuracies);
    draw_counts(&mut picture, &calibration.bins);
    picture
}

fn draw_bins(picture: &mut Picture, panel: &Panel, bins: &[CalibrationBin], accuracies: &[Estimate]) {
    let line = Stroke::solid(BLUE, 1.6);
    let points: Vec<(f64, f64)> =
        bins.iter().filter_map(|bin| Some((bin.confidence.value()?, bin.accuracy.value()?))).collect();
    panel.curve(picture, &points, Stroke::solid(BLUE, 1.2));
    for (bin, estimate) in bins.iter().zip(accuracies) {
        let (Some(confidence), Some(accuracy)) = (bin.confidence.value(), bin.accuracy.value()) else { continue };
        if let Ok(interval) = estimate.interval {
            panel.curve(picture, &[(confidence, interval.low), (confidence, interval.high)], line);
        }
        picture.shapes.push(Shape::Disc { centre: panel.place((confidence, accuracy)), radius: 4.0, fill: BLUE });
    }
}

fn draw_counts(picture: &mut Picture, bins: &[CalibrationBin]) {
    let largest = bins.iter().map(|bin| bin.count).max().unwrap_or(0).max(1) as f64;
    let (x, y) = ((0.0, 1.0), (0.0, largest * 1.08));
    let panel = Panel { left: LEFT, top: TOP + SIDE + 30.0, width: SIDE, height: COUNTS, x, y };
    panel.draw(picture, &Ticks::round(0.0, 1.0, 5), &Ticks::round(0.0, largest, 2), TICK_SIZE);
    panel.name_axes(picture, "Confidence (highest probability)", "Samples", 48.0);
    for bin in bins {
        let Some(confidence) = bin.confidence.value() else { continue };
        let (middle, top) = panel.place((confidence, bin.count as f64));
        // Kept inside the panel at both ends.
        let left = (middle - 4.0).clamp(LEFT, LEFT + SIDE - 8.0);
        picture.rect((left, top), (8.0, panel.top + COUNTS - top), BLUE);
    }
}
