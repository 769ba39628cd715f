//! The confusion matrix as a picture: true classes down the y axis, predicted ones along the x axis, as scikit-learn
//! has it.

use super::axes::{TITLE_SIZE, Ticks, heading};
use super::colour::{BACKGROUND_LINE, EMPTY, MUTED, WHITE, ramp};
use super::font::{self, Weight};
use super::scene::{Picture, Stroke, Text};
use crate::ConfusionMatrix;

/// What the cells of a confusion matrix show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cells {
    /// Numbers of samples.
    Counts,
    /// Shares of the true class in percent: rows sum to 100.
    RowShares,
}

/// Side of the matrix that the cells share.
const SIDE: f64 = 520.0;
/// Sides of a cell: with many classes the matrix grows rather than becoming illegible.
const CELL: (f64, f64) = (18.0, 120.0);
/// Side that a matrix does not outgrow, however many classes it has.
const LARGEST_SIDE: f64 = 1000.0;
/// Longest class name.
const LONGEST_LABEL: f64 = 170.0;
/// Smallest text that is worth printing.
const SMALLEST_TEXT: f64 = 6.0;
/// Up to this many classes zeros are printed too, and shares have a decimal.
const FEW_CLASSES: usize = 12;

/// Draws a confusion matrix. `classes` names its rows and columns; one without a name is shown by its index. Rows of
/// classes without samples are empty. Numbers are left out where they would be too small to read.
pub fn confusion_matrix(matrix: &ConfusionMatrix, classes: &[String], cells: Cells) -> Picture {
    let layout = Layout::new(matrix.classes(), classes);
    let mut picture = layout.picture(matrix, cells);
    draw_cells(&mut picture, &layout, matrix, cells);
    draw_labels(&mut picture, &layout, matrix);
    draw_scale(&mut picture, &layout, matrix, cells);
    picture
}

/// Where things are.
struct Layout {
    classes: usize,
    cell: f64,
    left: f64,
    top: f64,
    label_size: f64,
    labels: Vec<String>,
    /// Every how many classes a label fits.
    every: usize,
    /// Angle of the labels below: level if they fit, slanted if the cells are wide enough for that, else upright.
    angle: f64,
    label_width: f64,
}

impl Layout {
    fn new(classes: usize, names: &[String]) -> Self {
        let share = |side: f64| side / classes.max(1) as f64;
        let cell = share(SIDE).clamp(CELL.0, CELL.1).min(share(LARGEST_SIDE));
        let label_size = (cell * 0.62).clamp(9.0, 13.0);
        let label = |class: usize| match names.get(class) {
            Some(name) => font::fit(name, Weight::Regular, label_size, LONGEST_LABEL),
            None => class.to_string(),
        };
        let labels: Vec<String> = (0..classes).map(label).collect();
        let width = |label: &String| font::width(label, Weight::Regular, label_size);
        let label_width = labels.iter().map(width).fold(0.0, f64::max);
        Self {
            classes,
            cell,
            left: label_width + 56.0,
            top: 84.0,
            label_size,
            every: (label_size * 1.15 / cell).ceil() as usize,
            angle: match label_width {
                width if width <= cell - 8.0 => 0.0,
                _ if cell >= 30.0 => 45.0,
                _ => 90.0,
            },
            labels,
            label_width,
        }
    }

    fn side(&self) -> f64 {
        self.cell * self.classes as f64
    }

    /// Height of the labels below the matrix.
    fn labels_below(&self) -> f64 {
        let (sine, cosine) = self.angle.to_radians().sin_cos();
        self.label_width * sine + self.label_size * cosine + 10.0
    }

    fn picture(&self, matrix: &ConfusionMatrix, cells: Cells) -> Picture {
        let (title, unit) = match cells {
            Cells::Counts => ("Confusion matrix", "number of samples"),
            Cells::RowShares => ("Normalised confusion matrix", "percent of each true class"),
        };
        let (correct, samples) = (matrix.correct(), matrix.total());
        let accuracy = matrix.accuracy().value();
        let accuracy = accuracy.map_or("n/a".to_owned(), |share| format!("{} %", percent(share, true)));
        let detail = format!("{unit}; {correct} of {samples} correct ({accuracy})");
        let mut picture = Picture {
            width: (self.left + self.side() + 150.0).max(400.0),
            height: self.top + self.side() + self.labels_below() + 40.0,
            title: title.to_owned(),
            description: format!(
                "{title} of {} classes, true classes as rows, predicted classes as columns, {detail}.",
                self.classes
            ),
            shapes: Vec::new(),
        };
        // Starts at the edge of the picture, so that it has room with two classes too.
        heading(&mut picture, 20.0, title, &detail);
        picture
    }
}

fn draw_cells(picture: &mut Picture, layout: &Layout, matrix: &ConfusionMatrix, cells: Cells) {
    let (cell, side) = (layout.cell, layout.side());
    let (left, top) = (layout.left, layout.top);
    let largest = matrix.rows().flatten().copied().max().unwrap_or(0);
    let size = number_size(layout, cells, largest);
    picture.rect((left, top), (side, side), EMPTY);
    for (truth, row) in matrix.rows().enumerate() {
        let support = matrix.support(truth);
        for (predicted, &count) in row.iter().enumerate() {
            let at = (left + predicted as f64 * cell, top + truth as f64 * cell);
            let (share, number) = match cells {
                Cells::Counts => (count as f64 / largest.max(1) as f64, count.to_string()),
                Cells::RowShares => {
                    let share = count as f64 / support.max(1) as f64;
                    (share, percent(share, layout.classes <= FEW_CLASSES))
                }
            };
            let colour = if count > 0 { ramp(share) } else { EMPTY };
            if count > 0 {
                picture.rect(at, (cell, cell), colour);
            }
            let shown = count > 0 || (support > 0 && layout.classes <= FEW_CLASSES);
            if let (true, Some(size)) = (shown, size) {
                let centre = (at.0 + cell / 2.0, at.1 + cell / 2.0);
                let number = if count > 0 { number } else { "0".to_owned() };
                let ink = if count > 0 { colour.text_on() } else { MUTED };
                let text = Text::new(centre, number, size).middle().colour(ink);
                picture.text(if truth == predicted { text.bold() } else { text });
            }
        }
    }
    // Lines between the cells: as wide as they can be without hiding them.
    let stroke = Stroke::solid(WHITE, (cell / 24.0).clamp(0.0, 2.0));
    for index in 1..layout.classes {
        let offset = index as f64 * cell;
        picture.line(vec![(left + offset, top), (left + offset, top + side)], stroke);
        picture.line(vec![(left, top + offset), (left + side, top + offset)], stroke);
    }
    let frame = Stroke::solid(BACKGROUND_LINE, 1.0);
    picture.frame((left, top), (side, side), frame);
}

/// Size of the numbers, `None` when they would be too small.
fn number_size(layout: &Layout, cells: Cells, largest: u64) -> Option<f64> {
    let widest = match cells {
        Cells::Counts => largest.to_string(),
        Cells::RowShares if layout.classes <= FEW_CLASSES => ">99.9".to_owned(),
        Cells::RowShares => ">99".to_owned(),
    };
    let fitting = layout.cell * 0.88 / font::width(&widest, Weight::SemiBold, 1.0);
    let size = fitting.min(layout.cell * 0.45).min(17.0);
    (size >= SMALLEST_TEXT).then_some(size)
}

/// A share in percent; one that would be rounded to nothing is told from none, and one rounded to all from all.
fn percent(share: f64, decimal: bool) -> String {
    let percent = share * 100.0;
    match (decimal, share > 0.0, share < 1.0) {
        (true, true, _) if percent < 0.05 => "<0.1".to_owned(),
        (true, _, true) if percent >= 99.95 => ">99.9".to_owned(),
        (true, ..) => format!("{percent:.1}"),
        (false, true, _) if percent < 0.5 => "<1".to_owned(),
        (false, _, true) if percent >= 99.5 => ">99".to_owned(),
        (false, ..) => format!("{percent:.0}"),
    }
}

fn draw_labels(picture: &mut Picture, layout: &Layout, matrix: &ConfusionMatrix) {
    let Layout { cell, left, top, label_size: size, .. } = *layout;
    let (right, bottom) = (left + layout.side(), top + layout.side());
    let supports: Vec<String> = (0..layout.classes).map(|class| matrix.support(class).to_string()).collect();
    let width = |text: &String| font::width(text, Weight::Regular, size);
    let numbers_end = right + 10.0 + supports.iter().map(width).fold(0.0, f64::max);
    let labels = layout.labels.iter().zip(&supports).enumerate();
    for (class, (label, support)) in labels.step_by(layout.every) {
        let centre = (class as f64 + 0.5) * cell;
        picture.text(Text::new((left - 8.0, top + centre), label, size).end());
        let support = Text::new((numbers_end, top + centre), support, size);
        picture.text(support.end().colour(MUTED));
        let below = Text::new((left + centre, bottom + 7.0 + size / 2.0), label, size);
        picture.text(match layout.angle {
            0.0 => below.middle(),
            angle => below.end().angle(angle),
        });
    }
    picture.text(Text::new((numbers_end, top - 12.0), "n", size).end().colour(MUTED));
    let middle = layout.side() / 2.0;
    let y_title = Text::new((26.0, top + middle), "True class", TITLE_SIZE);
    picture.text(y_title.middle().angle(90.0).bold());
    let below = bottom + layout.labels_below() + 18.0;
    let x_title = Text::new((left + middle, below), "Predicted class", TITLE_SIZE);
    picture.text(x_title.middle().bold());
}

/// The colour scale on the right.
fn draw_scale(picture: &mut Picture, layout: &Layout, matrix: &ConfusionMatrix, cells: Cells) {
    const STEPS: usize = 128;
    const WIDTH: f64 = 12.0;
    let largest = match cells {
        Cells::Counts => matrix.rows().flatten().copied().max().unwrap_or(0) as f64,
        Cells::RowShares => 100.0,
    };
    let (x, top) = (layout.left + layout.side() + 74.0, layout.top);
    let height = layout.side().min(360.0);
    for step in 0..STEPS {
        // Each step reaches to the bottom, so that no seam shows between two.
        let from = step as f64 / STEPS as f64;
        let colour = ramp(1.0 - from);
        picture.rect((x, top + from * height), (WIDTH, (1.0 - from) * height), colour);
    }
    let ticks = match largest {
        0.0 => return,
        largest if largest < 5.0 => Ticks::round(0.0, largest, largest as usize),
        largest => Ticks::round(0.0, largest, 5),
    };
    for (value, label) in ticks.values.iter().zip(ticks.labels) {
        let y = top + (1.0 - value / largest) * height;
        let line = Stroke::solid(MUTED, 1.0);
        picture.line(vec![(x + WIDTH, y), (x + WIDTH + 4.0, y)], line);
        picture.text(Text::new((x + WIDTH + 8.0, y), label, 11.0).colour(MUTED));
    }
    let unit = match cells {
        Cells::Counts => "samples",
        Cells::RowShares => "%",
    };
    picture.text(Text::new((x, top - 12.0), unit, 11.0).colour(MUTED));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_never_rounded_to_none_or_all() {
        assert_eq!(percent(0.0003, true), "<0.1");
        assert_eq!(percent(0.9999, true), ">99.9");
        assert_eq!(percent(1.0, true), "100.0");
        assert_eq!(percent(0.004, false), "<1");
        assert_eq!(percent(0.997, false), ">99");
        assert_eq!(percent(0.873, false), "87");
        assert_eq!(percent(0.0, true), "0.0");
    }

    #[test]
    fn any_number_of_classes_can_be_drawn() {
        for classes in [0, 1, 2, 7, 50, 1000] {
            // One name is missing.
            let names: Vec<String> = (1..classes).map(|c| format!("class {c}")).collect();
            let labels: Vec<usize> = (0..classes).collect();
            let matrix = ConfusionMatrix::from_labels(classes, &labels, &labels).unwrap();
            let picture = confusion_matrix(&matrix, &names, Cells::Counts);
            let (width, height) = picture.size();
            assert!(width < 1500.0 && height < 1500.0, "{classes}: {width} x {height}");
            assert!(picture.png(1.0).is_ok());
        }
    }
}
