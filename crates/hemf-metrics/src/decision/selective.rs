//! Selective prediction: accuracy among the samples that a classifier is confident about.

use crate::argmax;
use crate::ranking::Ranking;
use crate::score::weighted_mean;
use crate::uncertainty::{Bootstrap, Estimate, Level, Resampling};
use crate::{Error, Predictions, Score, Undefined};
use serde::Serialize;

/// What remains when samples below a confidence are left to a human.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Selection {
    /// The lowest confidence (highest score) kept.
    pub threshold: f64,
    /// Samples kept.
    pub kept: u64,
    /// Those of them whose class was found.
    pub correct: u64,
    /// All samples.
    pub samples: u64,
}

impl Selection {
    /// Share of the samples kept.
    pub fn coverage(&self) -> Score {
        Score::ratio(self.kept, self.samples, Undefined::NoSamples)
    }

    /// Accuracy among the samples kept, with Wilson's interval.
    pub fn accuracy(&self, level: Level) -> Estimate {
        Estimate::proportion(self.correct, self.kept, level, Undefined::NoSamples)
    }

    /// As [`accuracy`](Self::accuracy) for samples that come in groups, given those that the selection was made from and
    /// the group of each: the interval is from resamples of whole groups, at the same threshold.
    pub fn accuracy_in_groups(
        &self,
        predictions: &Predictions,
        groups: &[String],
        bootstrap: &Bootstrap,
    ) -> Result<Estimate, Error> {
        let resampling = Resampling::groups(groups)?;
        resampling.check(predictions.len())?;
        let right: Vec<Option<bool>> = confidences(predictions)
            .map(|(confidence, right)| (confidence >= self.threshold).then_some(right))
            .collect();
        let accuracy = |times: &[u32]| {
            let (mut kept, mut correct) = (0, 0);
            for (right, &times) in right.iter().zip(times) {
                kept += u64::from(right.is_some()) * u64::from(times);
                correct += u64::from(*right == Some(true)) * u64::from(times);
            }
            vec![Score::ratio(correct, kept, Undefined::NoSamples)]
        };
        Ok(bootstrap.estimates(&resampling, accuracy)[0])
    }

    /// Share of the samples kept whose class was missed.
    pub fn risk(&self) -> Score {
        Score::ratio(self.kept - self.correct, self.kept, Undefined::NoSamples)
    }
}

/// Accuracy against coverage, for every threshold of the confidence (El-Yaniv and Wiener, JMLR 11, 2010). Samples of one
/// confidence are kept or left together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SelectiveCurve {
    points: Vec<Selection>,
}

impl SelectiveCurve {
    /// O(n log n).
    pub fn new(predictions: &Predictions) -> Self {
        let (confidence, correct): (Vec<f64>, Vec<bool>) = confidences(predictions).unzip();
        let samples = predictions.len() as u64;
        // The ROC curve of "was it right?": its counts are those of the samples kept.
        let counts = Ranking::new(confidence).curve(|sample| (1, correct[sample]));
        let points = counts.points()[1..].iter().map(|point| Selection {
            threshold: point.threshold,
            kept: point.true_positives + point.false_positives,
            correct: point.true_positives,
            samples,
        });
        Self { points: points.collect() }
    }

    /// By falling threshold, so by rising coverage.
    pub fn points(&self) -> &[Selection] {
        &self.points
    }

    /// The largest selection with at least this accuracy; `None` when there is none. Choose on validation, and tell of
    /// test what [`at_threshold`](Self::at_threshold) says of its threshold. Fails on an accuracy that is no share.
    pub fn with_accuracy(&self, at_least: f64) -> Result<Option<Selection>, Error> {
        if !(0.0..=1.0).contains(&at_least) {
            return Err(Error::Share { what: "the accuracy asked for", value: at_least });
        }
        let reached = |point: &&Selection| point.correct as f64 / point.kept as f64 >= at_least;
        Ok(self.points.iter().rev().find(reached).copied())
    }

    /// The smallest selection of at least this share of the samples. Fails on a coverage that is no share.
    pub fn with_coverage(&self, at_least: f64) -> Result<Option<Selection>, Error> {
        if !(0.0..=1.0).contains(&at_least) {
            return Err(Error::Share { what: "the coverage asked for", value: at_least });
        }
        Ok(self.points.iter().find(|point| point.kept as f64 / point.samples as f64 >= at_least).copied())
    }

    /// The samples of at least this confidence.
    pub fn at_threshold(&self, threshold: f64) -> Selection {
        let above = self.points.partition_point(|point| point.threshold >= threshold);
        let none = Selection { threshold, kept: 0, correct: 0, samples: self.points[0].samples };
        self.points[..above].last().map_or(none, |point| Selection { threshold, ..*point })
    }

    /// Area under the curve of risk against coverage, a mean of the risk over samples taken by falling confidence
    /// (Geifman, Uziel and El-Yaniv, ICLR 2019). Samples of one confidence share the risk with which they are kept.
    /// 0 is perfect; lower is better.
    pub fn area_under_risk(&self) -> Score {
        let before = std::iter::once(0).chain(self.points.iter().map(|point| point.kept));
        let steps = self
            .points
            .iter()
            .zip(before)
            .map(|(point, before)| ((point.kept - before) as f64, point.risk().or_zero()));
        weighted_mean(steps, Undefined::NoSamples)
    }
}

/// The highest score of each sample, and whether it is that of its class.
fn confidences(predictions: &Predictions) -> impl Iterator<Item = (f64, bool)> {
    predictions.rows().zip(predictions.truth()).map(|(row, &truth)| {
        let class = argmax(row);
        (row[class], class == truth)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Confidence in twentieths from 11 on, and whether the class was found.
    fn curve(samples: &[(u32, bool)]) -> SelectiveCurve {
        let ids = (0..samples.len()).map(|i| i.to_string()).collect();
        let truth = samples.iter().map(|sample| usize::from(!sample.1)).collect();
        let scores = samples.iter().flat_map(|&(c, _)| [f64::from(c) / 20.0, f64::from(20 - c) / 20.0]).collect();
        SelectiveCurve::new(&Predictions::new(vec!["a".into(), "b".into()], ids, truth, scores).unwrap())
    }

    #[test]
    fn the_largest_selection_is_taken() {
        let curve = curve(&[(19, true), (18, false), (17, true), (16, true), (15, false)]);
        let chosen = curve.with_accuracy(0.75).unwrap().unwrap();
        assert_eq!((chosen.threshold, chosen.kept, chosen.correct), (0.8, 4, 3));
        assert_eq!(curve.with_accuracy(1.0).unwrap().unwrap().kept, 1);
        assert_eq!(curve.with_coverage(0.5).unwrap().unwrap().kept, 3);
        // Risks 0, 1/2, 1/3, 1/4, 2/5.
        let area = (0.5 + 1.0 / 3.0 + 0.25 + 0.4) / 5.0;
        assert!((curve.area_under_risk().or_zero() - area).abs() < 1e-15);
        assert!(curve.with_accuracy(1.5).is_err() && curve.with_coverage(f64::NAN).is_err());
    }

    #[test]
    fn none_may_be_good_enough() {
        assert_eq!(curve(&[(19, false), (12, true)]).with_accuracy(0.9).unwrap(), None);
        let none = curve(&[(12, true)]).at_threshold(0.99);
        assert_eq!((none.kept, none.accuracy(Level::default()).value.reason()), (0, Some(Undefined::NoSamples)));
    }

    #[test]
    fn groups_are_drawn_whole() {
        let ids = (0..40).map(|i| i.to_string()).collect();
        let truth = (0..40).map(|i| usize::from(i / 4 % 3 == 0)).collect();
        let scores = (0..40).flat_map(|i| if i % 4 == 0 { [0.6, 0.4] } else { [0.9, 0.1] }).collect();
        let predictions = Predictions::new(vec!["a".into(), "b".into()], ids, truth, scores).unwrap();
        let patients: Vec<String> = (0..40).map(|i| (i / 4).to_string()).collect();
        let selection = SelectiveCurve::new(&predictions).with_coverage(0.5).unwrap().unwrap();
        assert_eq!((selection.kept, selection.correct), (30, 18));
        let grouped = selection.accuracy_in_groups(&predictions, &patients, &Bootstrap::default()).unwrap();
        assert_eq!(grouped.value, Score::Defined(0.6));
        // 10 patients of whom 6 are right, not 30 images: `scipy.stats.binom.ppf([.025, .975], 10, .6)` is 3, 9.
        assert_eq!(grouped.interval.map(|interval| (interval.low, interval.high)), Ok((0.3, 0.9)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn each_point_counts_the_samples_above_it(samples in vec((11..=20u32, any::<bool>()), 1..40), at in 0..=20u32) {
            let curve = curve(&samples);
            let threshold = f64::from(at) / 20.0;
            let kept: Vec<_> = samples.iter().filter(|sample| sample.0 >= at).collect();
            let correct = kept.iter().filter(|sample| sample.1).count();
            let found = curve.at_threshold(threshold);
            prop_assert_eq!((found.kept, found.correct), (kept.len() as u64, correct as u64));
            let last = curve.points().last().unwrap();
            prop_assert_eq!(last.coverage(), Score::Defined(1.0));
            prop_assert!((0.0..=1.0).contains(&curve.area_under_risk().or_zero()));
        }
    }
}
