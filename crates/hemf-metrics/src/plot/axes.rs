//! A panel with two axes: from data to places on the picture, round tick values, frames and labels.

use super::colour::{FRAME, GRID, INK, MUTED};
use super::font::{self, Weight};
use super::scene::{Picture, Stroke, Text};

/// Size of axis titles.
pub(super) const TITLE_SIZE: f64 = 13.0;
/// Size of tick labels.
pub(super) const TICK_SIZE: f64 = 11.5;

/// A rectangle of the picture that shows a window of the data.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panel {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    /// Data at the left and right edge.
    pub(super) x: (f64, f64),
    /// Data at the bottom and top edge.
    pub(super) y: (f64, f64),
}

impl Panel {
    /// Where a point of the data lies on the picture.
    pub(super) fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let across = (x - self.x.0) / (self.x.1 - self.x.0);
        let up = (y - self.y.0) / (self.y.1 - self.y.0);
        (self.left + across * self.width, self.top + (1.0 - up) * self.height)
    }

    /// Grid, frame and tick labels.
    pub(super) fn draw(&self, picture: &mut Picture, x: &Ticks, y: &Ticks, size: f64) {
        let bottom = self.top + self.height;
        for (&value, label) in x.values.iter().zip(&x.labels) {
            let (at, _) = self.place((value, self.y.0));
            picture.line(vec![(at, self.top), (at, bottom)], Stroke::solid(GRID, 1.0));
            let text = Text::new((at, bottom + 6.0 + size * 0.6), label, size).middle();
            picture.text(text.colour(MUTED));
        }
        for (&value, label) in y.values.iter().zip(&y.labels) {
            let (_, at) = self.place((self.x.0, value));
            let right = self.left + self.width;
            picture.line(vec![(self.left, at), (right, at)], Stroke::solid(GRID, 1.0));
            let text = Text::new((self.left - 8.0, at), label, size).end();
            picture.text(text.colour(MUTED));
        }
        let size = (self.width, self.height);
        picture.frame((self.left, self.top), size, Stroke::solid(FRAME, 1.0));
    }

    /// What the axes mean.
    pub(super) fn name_axes(&self, picture: &mut Picture, x: &str, y: &str, y_offset: f64) {
        let (centre, bottom) = (self.left + self.width / 2.0, self.top + self.height);
        picture.text(Text::new((centre, bottom + 38.0), x, TITLE_SIZE).middle());
        let at = (self.left - y_offset, self.top + self.height / 2.0);
        picture.text(Text::new(at, y, TITLE_SIZE).middle().angle(90.0));
    }

    /// A line through data points, kept inside the panel.
    pub(super) fn curve(&self, picture: &mut Picture, points: &[(f64, f64)], stroke: Stroke) {
        let mut run: Vec<(f64, f64)> = Vec::new();
        for pair in points.windows(2) {
            let Some((from, to)) = self.clip(pair[0], pair[1]) else {
                continue;
            };
            let (from, to) = (self.place(from), self.place(to));
            if run.last().is_some_and(|&last| distance(last, from) > 1e-6) {
                picture.line(thinned(std::mem::take(&mut run)), stroke);
            }
            if run.is_empty() {
                run.push(from);
            }
            run.push(to);
        }
        if !run.is_empty() {
            picture.line(thinned(run), stroke);
        }
    }

    /// The part of a segment inside the window (Liang and Barsky, 1984).
    fn clip(&self, a: (f64, f64), b: (f64, f64)) -> Option<((f64, f64), (f64, f64))> {
        let (dx, dy) = (b.0 - a.0, b.1 - a.1);
        let (mut enter, mut leave) = (0.0f64, 1.0f64);
        let sides = [(-dx, a.0 - self.x.0), (dx, self.x.1 - a.0), (-dy, a.1 - self.y.0), (dy, self.y.1 - a.1)];
        for (speed, room) in sides {
            match speed {
                0.0 if room < 0.0 => return None,
                0.0 => {}
                speed if speed < 0.0 => enter = enter.max(room / speed),
                speed => leave = leave.min(room / speed),
            }
        }
        let at = |t: f64| (a.0 + t * dx, a.1 + t * dy);
        (enter <= leave).then(|| (at(enter), at(leave)))
    }
}

fn distance(a: (f64, f64), b: (f64, f64)) -> f64 {
    (a.0 - b.0).hypot(a.1 - b.1)
}

/// Leaves out points closer than a fifth of a unit to the last one kept: a curve through a million samples takes no more
/// room than its picture does.
fn thinned(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let last = points.len() - 1;
    let mut kept: Vec<(f64, f64)> = Vec::new();
    for (index, &point) in points.iter().enumerate() {
        let near = kept.last().is_some_and(|&kept| distance(kept, point) < 0.2);
        if !near || index == last {
            kept.push(point);
        }
    }
    kept
}

/// Marked values of an axis.
#[derive(Clone, Debug)]
pub(super) struct Ticks {
    pub(super) values: Vec<f64>,
    pub(super) labels: Vec<String>,
}

impl Ticks {
    /// About `count` round values (steps of 1, 2 or 5 times a power of ten) within a range.
    pub(super) fn round(low: f64, high: f64, count: usize) -> Self {
        let step = round_step((high - low) / count as f64);
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let first = (low / step - 1e-9).ceil() as i64;
        let last = (high / step + 1e-9).floor() as i64;
        let values: Vec<f64> = (first..=last).map(|i| i as f64 * step).collect();
        let labels = values.iter().map(|value| format!("{value:.decimals$}"));
        Self { labels: labels.collect(), values }
    }
}

/// The smallest of 1, 2, 5 times a power of ten that is not below the least step.
pub(super) fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|f| f * power >= least * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

/// The title of a picture over a line of detail, for which the picture is made wide enough.
pub(super) fn heading(picture: &mut Picture, left: f64, title: &str, detail: &str) {
    picture.text(Text::new((left, 24.0), title, 16.0).bold().colour(INK));
    picture.text(Text::new((left, 45.0), detail, 12.0).colour(MUTED));
    let right = [(title, Weight::SemiBold, 16.0), (detail, Weight::Regular, 12.0)]
        .map(|(text, weight, size)| left + font::width(text, weight, size) + 20.0);
    picture.width = right.into_iter().fold(picture.width, f64::max);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_fits_into_its_picture() {
        let new = || Picture {
            width: 200.0,
            height: 60.0,
            title: String::new(),
            description: String::new(),
            shapes: Vec::new(),
        };
        let (mut short, mut long) = (new(), new());
        heading(&mut short, 20.0, "Title", "detail");
        heading(&mut long, 20.0, "Title", &"detail ".repeat(20));
        assert_eq!(short.width, 200.0);
        assert!(long.width > 600.0, "{}", long.width);
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(Ticks::round(0.0, 1.0, 5).labels, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(Ticks::round(0.0, 2011.0, 5).labels, ["0", "500", "1000", "1500", "2000"]);
        assert_eq!(Ticks::round(0.0, 0.07, 4).labels, ["0.00", "0.02", "0.04", "0.06"]);
    }

    #[test]
    fn lines_are_cut_at_the_window() {
        let panel = Panel { left: 0.0, top: 0.0, width: 10.0, height: 10.0, x: (0.0, 1.0), y: (0.0, 1.0) };
        let cut = panel.clip((-1.0, 0.5), (3.0, 0.5)).unwrap();
        assert_eq!(cut, ((0.0, 0.5), (1.0, 0.5)));
        assert_eq!(panel.clip((-1.0, 2.0), (3.0, 2.0)), None);
        assert_eq!(panel.place((1.0, 1.0)), (10.0, 0.0));
    }
}
