//! Loss and accuracy by epoch as a picture.

use super::axes::{Panel, TICK_SIZE, Ticks, heading, round_step};
use super::colour::{BLUE, Colour, FRAME, INK, MUTED, VERMILLION};
use super::font::{self, Weight};
use super::scene::{Picture, Shape, Stroke, Text};

const PANEL: (f64, f64) = (380.0, 300.0);
const TOP: f64 = 92.0;
/// Up to so many epochs each is marked with a dot.
const DOTS: usize = 30;

/// Scores of one epoch of training.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EpochScores {
    /// Number of the epoch; a fraction within one.
    pub epoch: f64,
    /// Mean loss over the training samples.
    pub train_loss: f64,
    /// Accuracy on the training samples, 0 to 1.
    pub train_accuracy: f64,
    /// Mean loss over the validation samples, if there was a validation.
    pub validation_loss: Option<f64>,
    /// Accuracy on the validation samples, 0 to 1, if there was a validation.
    pub validation_accuracy: Option<f64>,
}

/// One line of a panel.
struct Series {
    colour: Colour,
    points: Vec<(f64, f64)>,
}

/// Draws loss and accuracy by epoch, training and validation, with the epoch of the best validation accuracy (the first
/// of several) marked. Numbers that are not finite are left out.
pub fn learning_curves(epochs: &[EpochScores]) -> Picture {
    let best = epochs
        .iter()
        .filter_map(|scores| Some((scores.epoch, finite(scores.validation_accuracy?)?)))
        .reduce(|best, next| if next.1 > best.1 { next } else { best });
    let detail = match best {
        Some((epoch, accuracy)) => format!("best validation accuracy {accuracy:.4} in epoch {epoch}"),
        None => "without validation".to_owned(),
    };
    let mut picture = Picture {
        width: 2.0 * PANEL.0 + 190.0,
        height: TOP + PANEL.1 + 62.0,
        title: "Learning curves".to_owned(),
        description: format!("Loss and accuracy of {} epochs; {detail}.", epochs.len()),
        shapes: Vec::new(),
    };
    heading(&mut picture, 20.0, "Learning curves", &detail);
    draw_legend(&mut picture, 74.0, best.is_some());

    let series = |colour, score: &dyn Fn(&EpochScores) -> Option<f64>| Series {
        colour,
        points: epochs.iter().filter_map(|scores| Some((scores.epoch, finite(score(scores)?)?))).collect(),
    };
    let loss = [series(BLUE, &|scores| Some(scores.train_loss)), series(VERMILLION, &|scores| scores.validation_loss)];
    let accuracy =
        [series(BLUE, &|scores| Some(scores.train_accuracy)), series(VERMILLION, &|scores| scores.validation_accuracy)];
    let range = epoch_range(epochs);
    let highest = highest(&loss);
    let lowest = lowest(&accuracy);
    draw_panel(&mut picture, 74.0, "Loss", (range, (0.0, highest)), &loss, best);
    let left = 74.0 + PANEL.0 + 92.0;
    draw_panel(&mut picture, left, "Accuracy", (range, (lowest, 1.0)), &accuracy, best);
    picture
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// First and last epoch, never equal.
fn epoch_range(epochs: &[EpochScores]) -> (f64, f64) {
    let numbers = || epochs.iter().map(|scores| scores.epoch);
    let first = numbers().reduce(f64::min).unwrap_or(0.0);
    let last = numbers().reduce(f64::max).unwrap_or(1.0);
    (first, last.max(first + 1.0))
}

/// A round number above all losses.
fn highest(loss: &[Series; 2]) -> f64 {
    let losses = loss.iter().flat_map(|series| &series.points).map(|point| point.1);
    match losses.fold(0.0, f64::max) {
        0.0 => 1.0,
        largest => {
            let step = round_step(largest / 5.0);
            (largest * 1.02 / step).ceil() * step
        }
    }
}

/// A round number below all accuracies: curves near 1 fill their panel.
fn lowest(accuracy: &[Series; 2]) -> f64 {
    let accuracies = accuracy.iter().flat_map(|series| &series.points).map(|point| point.1);
    let smallest = accuracies.fold(1.0, f64::min);
    let step = round_step(((1.0 - smallest) / 5.0).max(0.01));
    ((smallest - 0.02) / step).floor().max(0.0) * step
}

type Range = (f64, f64);

fn draw_panel(
    picture: &mut Picture,
    left: f64,
    name: &str,
    (x, y): (Range, Range),
    series: &[Series],
    best: Option<(f64, f64)>,
) {
    let panel = Panel { left, top: TOP, width: PANEL.0, height: PANEL.1, x, y };
    let count = (x.1 - x.0).clamp(1.0, 8.0) as usize;
    panel.draw(picture, &Ticks::round(x.0, x.1, count), &Ticks::round(y.0, y.1, 5), TICK_SIZE);
    panel.name_axes(picture, "Epoch", name, 50.0);
    if let Some((epoch, _)) = best {
        panel.curve(picture, &[(epoch, y.0), (epoch, y.1)], Stroke::dashed(FRAME, 1.2, [3.0, 3.0]));
    }
    for Series { colour, points } in series {
        panel.curve(picture, points, Stroke::solid(*colour, 2.0));
        for &point in points.iter().filter(|_| points.len() <= DOTS) {
            picture.shapes.push(Shape::Disc { centre: panel.place(point), radius: 2.8, fill: *colour });
        }
    }
}

fn draw_legend(picture: &mut Picture, mut left: f64, best: bool) {
    let marker = Stroke::dashed(FRAME, 1.2, [3.0, 3.0]);
    let entries = [
        ("training", Stroke::solid(BLUE, 2.0), INK),
        ("validation", Stroke::solid(VERMILLION, 2.0), INK),
        ("best epoch", marker, MUTED),
    ];
    for (label, stroke, ink) in &entries[..if best { 3 } else { 1 }] {
        let y = TOP - 18.0;
        picture.line(vec![(left, y), (left + 26.0, y)], *stroke);
        picture.text(Text::new((left + 33.0, y), *label, 12.0).colour(*ink));
        left += 33.0 + font::width(label, Weight::Regular, 12.0) + 22.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(epoch: f64, loss: f64, accuracy: f64) -> EpochScores {
        EpochScores {
            epoch,
            train_loss: loss,
            train_accuracy: accuracy,
            validation_loss: Some(loss),
            validation_accuracy: Some(accuracy),
        }
    }

    #[test]
    fn the_first_of_the_best_epochs_is_told() {
        let epochs = [epoch(1.0, 0.7, 0.5), epoch(2.0, 0.4, 0.9), epoch(3.0, 0.3, 0.9)];
        let picture = learning_curves(&epochs);
        assert!(picture.svg().contains("best validation accuracy 0.9000 in epoch 2"));
    }

    #[test]
    fn odd_runs_are_drawn() {
        let without = EpochScores { train_loss: f64::NAN, ..Default::default() };
        for epochs in [&[][..], &[without][..], &[epoch(1.0, 0.0, 1.0)][..]] {
            let svg = learning_curves(epochs).svg();
            assert!(!svg.contains("NaN") && !svg.contains("inf"));
        }
    }
}
