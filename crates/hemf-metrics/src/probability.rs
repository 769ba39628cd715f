//! Scores of the probabilities themselves, not only of their order.

use crate::argmax;
use crate::ranking::{Ranking, one_vs_one};
use crate::score::{mean, weighted_mean};
use crate::uncertainty::{Estimate, Level};
use crate::{Average, Predictions, Score, Undefined};
use serde::Serialize;

/// Number of confidence bins of the calibration errors, as in Guo et al. (ICML 2017).
pub const CALIBRATION_BINS: usize = 15;

/// How samples are put into bins of similar confidence. Of 0 bins, one is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bins {
    /// Bin `b` of `n` holds confidences in `(b/n, (b+1)/n]`, the first one 0 too.
    EqualWidth(usize),
    /// Each bin holds as many samples as another, as far as equal confidences stay together (Nguyen and O'Connor, EMNLP
    /// 2015). It shows where the samples are: with equal widths most of a good classifier's lie in the last bin.
    EqualMass(usize),
}

impl Bins {
    /// The bin, of so many of equal width, that holds a confidence.
    pub(crate) fn of_equal_width(confidence: f64, bins: usize) -> usize {
        let count = bins as f64;
        ((confidence * count).ceil() - 1.0).clamp(0.0, count - 1.0) as usize
    }
}

/// How well confidence matches accuracy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Calibration {
    /// Bins of the confidence, in rising order.
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

impl CalibrationBin {
    /// The accuracy with Wilson's interval.
    pub fn interval(&self, level: Level) -> Estimate {
        // Back to the number from which the share was taken.
        let correct = (self.accuracy.or_zero() * self.count as f64).round() as u64;
        Estimate::proportion(correct, self.count, level, Undefined::NoSamples)
    }
}

impl Predictions {
    /// Cross entropy: mean of `-ln p` of the true class, with `p` kept within `[2^-52, 1 - 2^-52]` so that one certain
    /// error does not make it infinite.
    pub fn log_loss(&self) -> Score {
        mean(self.rows().zip(self.truth()).map(|(row, &truth)| loss(row, truth)), Undefined::NoSamples)
    }

    /// Brier score over all classes: mean of `sum_c (p_c - [c is true])^2`, 0 to 2.
    pub fn brier(&self) -> Score {
        mean(self.rows().zip(self.truth()).map(|(row, &truth)| row_brier(row, truth)), Undefined::NoSamples)
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
        let hits = self.rows().zip(self.truth()).filter(|&(row, &truth)| rank(row, truth) < k);
        Score::ratio(hits.count() as u64, self.len() as u64, Undefined::NoSamples)
    }

    /// One-vs-one area of Hand and Till (Machine Learning 45, 2001): the mean, over ordered pairs of classes that
    /// occur, of the area under the ROC curve that tells the first from the second by the score of the first, among the
    /// samples of those two alone. Undefined with fewer than two classes that occur.
    pub fn one_vs_one_auc(&self) -> Score {
        self.one_vs_one_auc_by(Average::Macro)
    }

    /// As [`one_vs_one_auc`](Self::one_vs_one_auc), pairs of classes alike or by their number of samples (scikit-learn's
    /// `average="weighted"`).
    pub fn one_vs_one_auc_by(&self, average: Average) -> Score {
        let mut support = vec![0; self.classes().len()];
        self.truth().iter().for_each(|&truth| support[truth] += 1);
        let areas: Vec<Vec<Score>> = (0..support.len())
            .map(|class| Ranking::by_class(self, class).against_each(class, self.truth(), support.len(), |_| 1))
            .collect();
        one_vs_one(&areas, &support, average)
    }

    /// Accuracy against confidence (the highest score) in [`CALIBRATION_BINS`] bins of equal width.
    pub fn calibration(&self) -> Calibration {
        self.calibration_in(Bins::EqualWidth(CALIBRATION_BINS))
    }

    /// Accuracy against confidence (the highest score) in the bins asked for.
    pub fn calibration_in(&self, bins: Bins) -> Calibration {
        let mut samples = self.rows().zip(self.truth()).map(|(row, &truth)| {
            let class = argmax(row);
            (row[class], class == truth)
        });
        Calibration::new(match bins {
            Bins::EqualWidth(bins) => {
                let mut members = vec![Vec::new(); bins.max(1)];
                for (confidence, correct) in samples {
                    members[Bins::of_equal_width(confidence, bins.max(1))].push((confidence, correct));
                }
                members
            }
            Bins::EqualMass(bins) => {
                let mut members = vec![Vec::new(); bins.max(1)];
                let mut sorted = Vec::from_iter(&mut samples);
                sorted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
                let mut before = 0;
                for tied in sorted.chunk_by(|a, b| a.0 == b.0) {
                    // The bin of their middle: equal confidences stay together, whatever the order of the samples.
                    let bin = (2 * before + tied.len()) * members.len() / (2 * sorted.len() + 1);
                    members[bin].extend_from_slice(tied);
                    before += tied.len();
                }
                members
            }
        })
    }
}

impl Calibration {
    /// From the confidence of each sample of each bin and whether its class was found.
    fn new(members: Vec<Vec<(f64, bool)>>) -> Self {
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
        Self {
            ece: weighted_mean(gaps(), Undefined::NoSamples),
            mce: largest.map_or(Score::Undefined(Undefined::NoSamples), Score::Defined),
            bins,
        }
    }
}

/// How many classes come before one by score, ties by class index.
pub(crate) fn rank(row: &[f64], class: usize) -> usize {
    let higher = row.iter().filter(|&&score| score > row[class]).count();
    let equal_before = row[..class].iter().filter(|&&score| score == row[class]).count();
    higher + equal_before
}

/// `-ln p` of the true class, with `p` kept within `[2^-52, 1 - 2^-52]`.
pub(crate) fn loss(row: &[f64], truth: usize) -> f64 {
    -row[truth].clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
}

/// `sum_c (p_c - [c is true])^2`.
pub(crate) fn row_brier(row: &[f64], truth: usize) -> f64 {
    row.iter().enumerate().map(|(class, &score)| square_error(score, class == truth)).sum()
}

pub(crate) fn square_error(score: f64, is_true: bool) -> f64 {
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
    fn bins_of_equal_mass_keep_ties_together() {
        let confidences = [0.5, 0.6, 0.6, 0.6, 0.9, 0.95];
        let scores: Vec<f64> = confidences.iter().flat_map(|&p| [p, 1.0 - p]).collect();
        let calibration = predictions(&[0, 1, 0, 0, 0, 0], &scores).calibration_in(Bins::EqualMass(3));
        let counts: Vec<u64> = calibration.bins.iter().map(|bin| bin.count).collect();
        assert_eq!(counts, [1, 3, 2]);
        // |1 - 0.5| / 6 + 3 |2/3 - 0.6| / 6 + 2 |1 - 0.925| / 6
        assert!((calibration.ece.or_zero() - (0.5 + 0.2 + 0.15) / 6.0).abs() < 1e-15);
        assert_eq!(predictions(&[0], &[0.7, 0.3]).calibration_in(Bins::EqualMass(0)).bins.len(), 1);
    }

    #[test]
    fn a_bin_holds_its_upper_end() {
        // 0.6 is 9/15: it closes bin 8, (8/15, 9/15].
        let bins = predictions(&[0], &[0.6, 0.4]).calibration().bins;
        let filled: Vec<usize> = (0..bins.len()).filter(|&b| bins[b].count > 0).collect();
        assert_eq!(filled, [8]);
    }
}
