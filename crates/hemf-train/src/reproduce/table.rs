use std::{fmt::Write as _, fs, path::PathBuf};

use hemf_metrics::{Report, Score, uncertainty::Interval};
use serde::Serialize;

use super::recipe::Recipe;
use crate::Error;

/// Rows of the paper's tables and ours beside them.
#[derive(Clone, Debug, Serialize)]
pub struct Reproduction {
    /// Whether it was a small run of the same path, whose figures say nothing about the network.
    pub quick: bool,
    /// Where everything was written to.
    pub folder: PathBuf,
    /// A row for each run.
    pub rows: Vec<Row>,
}

/// A row: published figures, and ours.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Which.
    pub name: String,
    /// Its run folder.
    pub run: PathBuf,
    /// How many test images there were.
    pub images: u64,
    /// Score by score.
    pub scores: Vec<Compared>,
}

/// A score in per cent, coefficients too.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// Its name in reports.
    pub score: &'static str,
    /// As published, where it was.
    pub published: Option<f64>,
    /// Ours; none where it is undefined.
    pub here: Option<f64>,
    /// Ends of the 95 % interval of ours, over the test images.
    pub interval: Option<[f64; 2]>,
}

impl Row {
    /// `scores` are ours, the intervals those of `report`.
    pub(super) fn new(
        recipe: &Recipe,
        run: PathBuf,
        scores: impl Iterator<Item = (&'static str, Score)>,
        report: &Report,
    ) -> Self {
        let interval = |name: &str| -> Option<Interval> { report.intervals.as_ref()?.get(name, None)?.interval.ok() };
        let compared = |(score, value): (&'static str, Score)| Compared {
            score,
            published: recipe.published.iter().find(|(name, _)| *name == score).map(|(_, figure)| *figure),
            here: value.value().map(|value| 100.0 * value),
            interval: interval(score).map(|ends| [100.0 * ends.low, 100.0 * ends.high]),
        };
        Self { name: recipe.name.clone(), run, images: report.samples, scores: scores.map(compared).collect() }
    }
}

impl Reproduction {
    /// As JSON, indented.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// A block of lines for each row.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        if self.quick {
            text += "a quick run on few images with a small network: it shows that the path works, no more\n\n";
        }
        for row in &self.rows {
            let _ = writeln!(text, "{} ({} test images), {}", row.name, row.images, row.run.display());
            let _ = writeln!(text, "  {:16}  published    here  95 % interval, %", "");
            for Compared { score, published, here, interval } in &row.scores {
                let number = |value: &Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
                let ends = interval.map_or("-".to_owned(), |[low, high]| format!("{low:.2} to {high:.2}"));
                let _ = writeln!(text, "  {score:16}  {:>9}  {:>6}  {ends}", number(published), number(here));
            }
        }
        text
    }

    pub(super) fn write(&self) -> Result<(), Error> {
        for (name, content) in [("table.json", self.to_json()), ("table.txt", self.to_text())] {
            let path = self.folder.join(name);
            fs::write(&path, content).map_err(Error::write(&path))?;
        }
        Ok(())
    }
}
