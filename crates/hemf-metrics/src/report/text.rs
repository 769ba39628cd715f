//! The report as text: scikit-learn's table first, what it leaves out below.

use super::{Averages, ClassReport, Report, UndefinedScore};
use crate::Score;
use std::fmt::{self, Write};

/// Width of a number column, as in scikit-learn.
const COLUMN: usize = 9;
const LAST_HEADING: &str = "weighted avg";

impl Report {
    /// The table of scikit-learn's `classification_report` with the given number of decimals, character by character.
    ///
    /// Undefined scores are printed as 0, as scikit-learn does with `zero_division=0`; say which they are where the
    /// table is shown ([`to_text`](Self::to_text) does). When not one sample is right, scikit-learn prints supports
    /// as "15.0", having counted in floats; so does this.
    pub fn classification_table(&self, decimals: usize) -> String {
        let width = self.name_width();
        let support = |count: u64| match self.correct {
            0 => format!("{count}.0"),
            _ => count.to_string(),
        };
        let row = |name: &str, scores: [Score; 3], count: u64| {
            let cells = scores.map(|score| format!(" {:>COLUMN$.decimals$}", score.or_zero()));
            format!("{name:>width$} {} {:>COLUMN$}\n", cells.concat(), support(count))
        };
        let average =
            |name: &str, scores: &Averages| row(name, [scores.precision, scores.recall, scores.f1], self.samples);

        let mut text = heading(width, &["precision", "recall", "f1-score", "support"]);
        for class in &self.classes {
            let scores = [class.precision, class.recall, class.f1];
            text += &row(&class.class, scores, class.support);
        }
        text += &format!(
            "\n{:>width$}  {:>COLUMN$} {:>COLUMN$} {:>COLUMN$.decimals$} {:>COLUMN$}\n",
            "accuracy",
            "",
            "",
            self.accuracy.or_zero(),
            support(self.samples)
        );
        text += &average("macro avg", &self.macro_average);
        text + &average(LAST_HEADING, &self.weighted)
    }

    /// Both tables, the scores of the whole, and every undefined score with its reason.
    pub fn to_text(&self) -> String {
        let mut text = self.classification_table(4);
        text += "\n";
        text += &self.ranking_table();
        text += "\n";
        text += &self.overall_scores();
        if let Some(intervals) = &self.intervals {
            text += "\n";
            text += &intervals.to_text();
        }
        if !self.undefined.is_empty() {
            text += "\nundefined:\n";
        }
        for undefined in &self.undefined {
            let _ = writeln!(text, "  {undefined}");
        }
        text
    }

    /// What a clinician asks next: specificity, NPV, and how well the scores rank.
    fn ranking_table(&self) -> String {
        let width = self.name_width();
        let row = |name: &str, scores: [Option<Score>; 5]| {
            let cells = scores.map(|score| match score {
                Some(Score::Defined(value)) => format!(" {value:>COLUMN$.4}"),
                Some(Score::Undefined(_)) => format!(" {:>COLUMN$}", "n/a"),
                None => format!(" {:>COLUMN$}", ""),
            });
            format!("{name:>width$} {}", cells.concat()).trim_end().to_owned() + "\n"
        };
        let class_row = |class: &ClassReport| {
            let scores = [class.specificity, class.npv, class.auc, class.average_precision, class.brier];
            row(&class.class, scores.map(Some))
        };
        let average = |name: &str, scores: &Averages| {
            let ranking = [scores.auc, scores.average_precision].map(Some);
            row(name, [None, None, ranking[0], ranking[1], None])
        };
        let columns = ["specific.", "NPV", "AUC", "avg prec", "Brier"];
        let mut text = heading(width, &columns);
        text.extend(self.classes.iter().map(class_row));
        text += "\n";
        text += &average("micro avg", &self.micro);
        text += &average("macro avg", &self.macro_average);
        text + &average(LAST_HEADING, &self.weighted)
    }

    fn overall_scores(&self) -> String {
        let (correct, samples) = (self.correct, self.samples);
        let mut text = String::new();
        let mut line = |name: &str, score: Score, note: &str| {
            let _ = writeln!(text, "{name:<28} {score:.4}{note}");
        };
        line("accuracy", self.accuracy, &format!("  ({correct} of {samples})"));
        line("balanced accuracy", self.balanced_accuracy, "");
        line("Matthews correlation", self.mcc, "");
        line("Cohen's kappa", self.kappa, "");
        line("AUC one-vs-one (Hand, Till)", self.auc_one_vs_one, "");
        line("log loss", self.log_loss, "");
        line("Brier score (0 to 2)", self.brier, "");
        line("calibration error, expected", self.calibration.ece, "");
        line("calibration error, maximum", self.calibration.mce, "");
        for (k, score) in self.top_k_accuracy.iter().filter(|(k, _)| **k > 1) {
            line(&format!("top-{k} accuracy"), *score, "");
        }
        text
    }

    fn name_width(&self) -> usize {
        let names = self.classes.iter().map(|class| class.class.chars().count());
        names.max().unwrap_or(0).max(LAST_HEADING.len())
    }
}

impl fmt::Display for UndefinedScore {
    /// `precision of MEL: the class is never predicted (counted as 0 in the averages)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.score)?;
        if let Some(class) = &self.class {
            write!(f, " of {class}")?;
        }
        write!(f, ": {}", self.reason)?;
        self.in_averages.map_or(Ok(()), |used| write!(f, " ({used})"))
    }
}

/// The headings of a table over a blank line.
fn heading(width: usize, columns: &[&str]) -> String {
    let columns: String = columns.iter().map(|name| format!(" {name:>COLUMN$}")).collect();
    format!("{:>width$} {columns}\n\n", "")
}
