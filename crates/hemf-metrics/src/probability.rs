//! Scores of the probabilities themselves, not only of their order.

use crate::predictions::argmax;
use crate::score::{mean, weighted_mean};
use crate::{Predictions, RocCurve, Score, Undefined};
use serde::Serialize;

/// Number of confidence bins of the calibration errors, as in Guo et al. (ICML 2017).
pub const CALIBRATION_BINS: usize = 15;

/// How well confidence matches accuracy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Calibration {
    /// Equal-width bins of the confidence; bin `b` of `n` holds `(b/n, (b+1)/n]`, the first one 0 too.
    pub bins: Vec<CalibrationBin>,
    /// Expected calibration error: mean over samples of `|accuracy - confidence|` of their bin.
    pub ece: Score,
    /// Maximum calibration error: the largest `|accuracy - confidence|` of a bin.
    pub mce: Score,
}

/// Samples of similar confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CalibrationBin {
    /// Number of samples.
    pub count: u64,
    /// Share of them whose class was found.
    pub accuracy: Score,
    /// Mean of their highest scores.
    pub confidence: Score,
}

impl Predictions {
    /// Cross entropy: mean of `-ln p` of the true class, with `p` kept within `[2^-52, 1 - 2^-52]` so that one certain
    /// error does not make it infinite.
    pub fn log_loss(&self) -> Score {
        let losses =
            self.rows().zip(self.truth()).map(|(row, &truth)| -row[truth].clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln());
        mean(losses, Undefined::NoSamples)
    }

    /// Brier score over all classes: mean of `sum_c (p_c - [c is true])^2`, 0 to 2.
    pub fn brier(&self) -> Score {
        let squares = self.rows().zip(self.truth()).map(|(row, &truth)| {
            let square = |(class, score): (usize, &f64)| square_error(*score, class == truth);
            row.iter().enumerate().map(square).sum()
        });
        mean(squares, Undefined::NoSamples)
    }

    /// Brier score of one class against the rest: mean of `(p_c - [c is true])^2`, 0 to 1.
    pub fn brier_one_vs_rest(&self, class: usize) -> Score {
        let rows = self.rows().zip(self.truth());
        let squares = rows.map(|(row, &truth)| square_error(row[class], truth == class));
        mean(squares, Undefined::NoSamples)
    }

    /// Share of samples whose true class is among the `k` highest scores. Of equal scores the lower class index ranks
    /// first, so that `k = 1` is the accuracy.
    pub fn top_k_accuracy(&self, k: usize) -> Score {
        let hits = self.rows().zip(self.truth()).filter(|&(row, &truth)| {
            let higher = row.iter().filter(|&&score| score > row[truth]).count();
            let equal_before = row[..truth].iter().filter(|&&score| score == row[truth]).count();
            higher + equal_before < k
        });
        Score::ratio(hits.count() as u64, self.len() as u64, Undefined::NoSamples)
    }

    /// One-vs-one area of Hand and Till (Machine Learning 45, 2001): the mean, over ordered pairs of classes that
    /// occur, of the area under the ROC curve that tells the first from the second by the score of the first, among the
    /// samples of those two alone. Undefined with fewer than two classes that occur.
    pub fn one_vs_one_auc(&self) -> Score {
        let mut members = vec![Vec::new(); self.classes().len()];
        for (row, &truth) in self.rows().zip(self.truth()) {
            members[truth].push(row);
        }
        let scores = |of: usize, by: usize, positive: bool| members[of].iter().map(move |row| (row[by], positive));
        let pairs = (0..members.len()).flat_map(|a| (0..members.len()).map(move |b| (a, b)));
        let areas = pairs
            .filter(|(a, b)| a != b)
            .filter_map(|(a, b)| RocCurve::new(scores(a, a, true).chain(scores(b, a, false))).auc().value());
        mean(areas, Undefined::OneClass)
    }

    /// Accuracy against confidence (the highest score) in [`CALIBRATION_BINS`] bins.
    pub fn calibration(&self) -> Calibration {
        let bins = CALIBRATION_BINS as f64;
        let mut members = vec![Vec::new(); CALIBRATION_BINS];
        for (row, &truth) in self.rows().zip(self.truth()) {
            let class = argmax(row);
            let bin = ((row[class] * bins).ceil() - 1.0).clamp(0.0, bins - 1.0);
            members[bin as usize].push((row[class], class == truth));
        }
        let bins: Vec<CalibrationBin> = members
            .iter()
            .map(|members| CalibrationBin {
                count: members.len() as u64,
                accuracy: Score::ratio(
                    members.iter().filter(|(_, correct)| *correct).count() as u64,
                    members.len() as u64,
                    Undefined::NoSamples,
                ),
                confidence: mean(members.iter().map(|(confidence, _)| *confidence), Undefined::NoSamples),
            })
            .collect();
        let gaps = || {
            bins.iter().filter_map(|bin| {
                let gap = bin.accuracy.value()? - bin.confidence.value()?;
                Some((bin.count as f64, gap.abs()))
            })
        };
        let largest = gaps().map(|(_, gap)| gap).reduce(f64::max);
        Calibration {
            ece: weighted_mean(gaps(), Undefined::NoSamples),
            mce: largest.map_or(Score::Undefined(Undefined::NoSamples), Score::Defined),
            bins,
        }
    }
}

fn square_error(score: f64, is_true: bool) -> f64 {
    (score - f64::from(u8::from(is_true))).powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predictions(truth: &[usize], scores: &[f64]) -> Predictions {
        let classes = (0..scores.len() / truth.len()).map(|c| format!("c{c}"));
        let ids = (0..truth.len()).map(|i| i.to_string());
        Predictions::new(classes.collect(), ids.collect(), truth.to_vec(), scores.to_vec()).unwrap()
    }

    #[test]
    fn a_certain_error_costs_a_finite_loss() {
        let loss = predictions(&[1], &[1.0, 0.0]).log_loss();
        assert_eq!(loss, Score::Defined(52.0 * std::f64::consts::LN_2));
    }

    #[test]
    fn an_even_bet_has_known_scores() {
        let even = predictions(&[0, 1], &[0.5; 4]);
        assert_eq!(even.log_loss(), Score::Defined(std::f64::consts::LN_2));
        assert_eq!(even.brier(), Score::Defined(0.5));
        assert_eq!(even.one_vs_one_auc(), Score::Defined(0.5));
        // Half of those said with confidence 0.5 are right: calibrated.
        assert_eq!(even.calibration().ece, Score::Defined(0.0));
    }

    #[test]
    fn ranks_of_equal_scores_follow_the_class_index() {
        let tied = predictions(&[1], &[0.4, 0.4, 0.2]);
        assert_eq!(tied.top_k_accuracy(1), Score::Defined(0.0));
        assert_eq!(tied.top_k_accuracy(2), Score::Defined(1.0));
    }

    #[test]
    fn a_bin_holds_its_upper_end() {
        // 0.6 is 9/15: it closes bin 8, (8/15, 9/15].
        let bins = predictions(&[0], &[0.6, 0.4]).calibration().bins;
        let filled: Vec<usize> = (0..bins.len()).filter(|&b| bins[b].count > 0).collect();
        assert_eq!(filled, [8]);
    }
}
