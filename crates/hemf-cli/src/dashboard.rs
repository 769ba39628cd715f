//! What `hemf watch` draws.

use hemf_train::{duration, in_words};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Style, Stylize},
    symbols::Marker,
    text::Line,
    widgets::{Axis, Block, Chart, Dataset, Gauge, GraphType, Paragraph},
};

use crate::commands::watch::Seen;

const TRAINING: Color = Color::Cyan;
const VALIDATION: Color = Color::Yellow;
/// Points of a curve: more than a terminal has columns to show.
const POINTS: usize = 400;

pub(crate) fn draw(frame: &mut Frame<'_>, seen: &Seen) {
    let [head, bar, curves, foot] =
        Layout::vertical([Constraint::Length(5), Constraint::Length(1), Constraint::Min(8), Constraint::Length(1)])
            .areas(frame.area());
    frame.render_widget(Paragraph::new(lines(seen)), head);
    progress(frame, bar, seen);
    let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(curves);
    let steps = |value: fn(&hemf_train::StepRecord) -> f64| -> Vec<(f64, f64)> {
        thinned(seen.logged().steps.iter().map(|record| (record.step as f64, value(record))).collect())
    };
    let validations = |value: fn(&hemf_train::Validation) -> f64| -> Vec<(f64, f64)> {
        let point = |record: &hemf_train::EpochRecord| Some((record.step as f64, value(record.validation.as_ref()?)));
        seen.logged().epochs.iter().filter_map(point).collect()
    };
    chart(frame, left, "loss", &steps(|record| record.loss), &validations(|scores| scores.loss), None);
    chart(
        frame,
        right,
        "accuracy",
        &steps(|record| record.accuracy),
        &validations(|scores| scores.accuracy),
        Some(1.0),
    );
    frame.render_widget(Line::from("q: leave (training goes on)").dim(), foot);
}

fn lines(seen: &Seen) -> Vec<Line<'static>> {
    let standing = match seen.process {
        Some((id, Some(memory))) => format!("process {id} is training, {} of memory", in_words(memory)),
        Some((id, None)) => format!("process {id} is training"),
        None => "no process of this machine is training in it".to_owned(),
    };
    let mut lines = vec![Line::from(seen.run.path().display().to_string()).bold(), Line::from(standing)];
    match seen.logged().steps.last() {
        None => lines.push("no step is done yet".into()),
        Some(last) => lines.push(Line::from(format!(
            "epoch {}/{}  step {}  loss {:.4}  accuracy {:.1} %  rate {:.2e}  gradient {:.2}",
            last.epoch,
            seen.config.train.epochs,
            last.step,
            last.loss,
            last.accuracy * 100.0,
            last.lr,
            last.gradient_norm
        ))),
    }
    if let (Some(pace), Some(last)) = (seen.pace(), seen.logged().steps.last()) {
        let left = seen.steps_in_all().map(|all| all.saturating_sub(last.step));
        let left = left.map_or_else(String::new, |steps| format!("  {} of steps left", duration(steps as f64 * pace)));
        lines.push(Line::from(format!("{:.1} images/s  {pace:.2} s/step{left}", last.images as f64 / pace)));
    }
    let metric = seen.config.train.best;
    let best = seen.logged().best(metric);
    let best = best.and_then(|record| Some((metric.of(record.validation.as_ref()?)?, record.epoch)));
    if let Some((score, epoch)) = best {
        lines.push(Line::from(format!("best validation {} {score:.4} in epoch {epoch}", metric.name())));
    }
    lines
}

fn progress(frame: &mut Frame<'_>, area: Rect, seen: &Seen) {
    let done = seen.logged().steps.last().map_or(0, |record| record.step);
    let share = seen.steps_in_all().map_or(0.0, |all| done as f64 / all.max(1) as f64);
    frame.render_widget(Gauge::default().ratio(share.clamp(0.0, 1.0)).gauge_style(Style::new().fg(TRAINING)), area);
}

/// Means of neighbours, so that a curve has at most [`POINTS`] points.
fn thinned(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let size = points.len().div_ceil(POINTS).max(1);
    let mean = |part: &[(f64, f64)]| {
        let sum = part.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
        (sum.0 / part.len() as f64, sum.1 / part.len() as f64)
    };
    points.chunks(size).map(mean).collect()
}

fn chart(
    frame: &mut Frame<'_>,
    area: Rect,
    name: &str,
    training: &[(f64, f64)],
    validation: &[(f64, f64)],
    top: Option<f64>,
) {
    let all = || training.iter().chain(validation).filter(|point| point.1.is_finite());
    let most = |value: fn(&(f64, f64)) -> f64| all().map(value).fold(0.0, f64::max);
    let (right, highest) = (most(|point| point.0).max(1.0), top.unwrap_or_else(|| most(|point| point.1).max(1e-6)));
    let curve = |name: &'static str, colour, points| {
        let dataset = Dataset::default().name(name).marker(Marker::Braille).graph_type(GraphType::Line);
        dataset.style(Style::new().fg(colour)).data(points)
    };
    let label = |value: f64| format!("{value:.2}");
    let sets = vec![curve("training", TRAINING, training), curve("validation", VALIDATION, validation)];
    let across = Axis::default().bounds([0.0, right]).labels(["0".to_owned(), format!("step {right:.0}")]);
    let up = Axis::default().bounds([0.0, highest]).labels([label(0.0), label(highest / 2.0), label(highest)]);
    frame.render_widget(
        Chart::new(sets).block(Block::bordered().title(name.to_owned())).x_axis(across).y_axis(up),
        area,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_curves_are_thinned_to_means() {
        let points: Vec<(f64, f64)> = (0..1000).map(|i| (f64::from(i), 1.0)).collect();
        let thin = thinned(points);
        assert!(thin.len() <= POINTS);
        assert_eq!(thin[0], (1.0, 1.0), "the mean of the steps 0, 1 and 2");
        assert_eq!(thinned(vec![(0.0, 2.0)]), [(0.0, 2.0)]);
    }
}
