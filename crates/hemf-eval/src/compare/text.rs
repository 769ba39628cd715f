//! A comparison as text.

use std::fmt::Write;

use hemf_data::counted;
use hemf_metrics::Score;

use super::{ComparedRuns, Pair};

impl ComparedRuns {
    /// Tables of scores, then every two runs.
    pub fn to_text(&self) -> String {
        let groups = self.groups.map(|groups| format!(" in {}", counted(groups, "group"))).unwrap_or_default();
        let images = counted(self.images, "image");
        let mut text = format!("{images}{groups}; brackets: {} % intervals\n", self.level.get() * 100.0);
        // Writing to a String cannot fail.
        for run in &self.runs {
            let beside = run.published.map(|row| format!("; published: {row}")).unwrap_or_default();
            let _ = writeln!(text, "\n{}{beside}", run.run);
            for score in &run.scores {
                let _ = write!(text, "  {:<18} {:<26}", score.score, format!("{:.4}", score.estimate));
                if let (Some(published), Ok(interval)) = (score.published, score.estimate.interval) {
                    let where_ = match published {
                        value if interval.contains(value) => "within the interval",
                        value if value < interval.low => "below the interval",
                        _ => "above the interval",
                    };
                    let _ = write!(text, " published {published:.4}, {where_}");
                }
                text.truncate(text.trim_end().len());
                text += "\n";
            }
        }
        for pair in &self.pairs {
            text += &pair.to_text();
        }
        for note in &self.notes {
            let _ = writeln!(text, "\nnote: {note}");
        }
        text
    }
}

/// A p value and what Holm's correction makes of it, or once why there is none.
fn p_value(own: Score, by_holm: Score) -> String {
    match own {
        Score::Defined(_) => format!("{own:.4}, by Holm {by_holm:.4}"),
        Score::Undefined(_) => own.to_string(),
    }
}

impl Pair {
    fn to_text(&self) -> String {
        let mut text = format!("\n{} -> {}\n", self.first, self.second);
        for difference in &self.differences {
            let number = |score: Score| score.value().map_or("n/a".to_owned(), |value| format!("{value:.4}"));
            let (first, second) = (number(difference.first), number(difference.second));
            let _ = writeln!(text, "  {:<18} {first} -> {second}: {:+.4}", difference.score, difference.difference);
        }
        let right = &self.tests.right;
        let _ = writeln!(
            text,
            "  right: both {}, only {} {}, only {} {}, neither {}; McNemar's exact p {}",
            right.both,
            self.first,
            right.only_first,
            self.second,
            right.only_second,
            right.neither,
            p_value(self.tests.p_value, self.holm_p_value)
        );
        for class in &self.tests.classes {
            let _ = writeln!(
                text,
                "  AUC of {}: {:.4} -> {:.4}; DeLong's p {}",
                class.class,
                class.auc.first,
                class.auc.second,
                p_value(class.auc.p_value, class.holm_p_value)
            );
        }
        let _ = writeln!(
            text,
            "  changed: {} right to wrong, {} wrong to right",
            counted(self.right_to_wrong.len(), "image"),
            self.wrong_to_right.len()
        );
        text
    }
}
