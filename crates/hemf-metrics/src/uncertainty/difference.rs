//! How far apart two classifiers are, with intervals.

use super::comparison::check_paired;
use super::{Bootstrap, Estimate, Resampling, Scorer};
use crate::{Error, Predictions, Score};
use serde::Serialize;

/// A score of two classifiers on the same samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Its place in reports, such as `macro.f1`.
    pub score: &'static str,
    /// Of the first classifier.
    pub first: Score,
    /// Of the second.
    pub second: Score,
    /// `second - first`; the interval is from resamples that both are scored on.
    pub difference: Estimate,
}

const SCORES: [&str; 4] = ["accuracy", "balanced_accuracy", "macro.f1", "macro.auc"];

/// The differences of accuracy, balanced accuracy, macro F1 and macro AUC by paired bootstrap: every resample is one of
/// samples (or of whole groups), and both classifiers are scored on it. Fails unless both have the same classes, samples
/// and true classes, each in the same order, and `resampling` is of so many samples.
///
/// ```
/// use hemf_metrics::Predictions;
/// use hemf_metrics::uncertainty::{Bootstrap, Resampling, differences};
/// let classes = vec!["healthy".to_owned(), "ill".to_owned()];
/// let ids: Vec<String> = (0..4).map(|i| i.to_string()).collect();
/// let truth = vec![0, 0, 1, 1];
/// let first = Predictions::new(classes.clone(), ids.clone(), truth.clone(), vec![0.9, 0.1, 0.4, 0.6, 0.7, 0.3, 0.1, 0.9])?;
/// let second = Predictions::new(classes, ids, truth, vec![0.9, 0.1, 0.8, 0.2, 0.7, 0.3, 0.1, 0.9])?;
/// let found = differences(&first, &second, &Resampling::samples(4)?, &Bootstrap::default())?;
/// assert_eq!(found[0].difference.value.value(), Some(0.25)); // three of four are right, not two
/// # Ok::<(), hemf_metrics::Error>(())
/// ```
pub fn differences(
    first: &Predictions,
    second: &Predictions,
    resampling: &Resampling,
    bootstrap: &Bootstrap,
) -> Result<Vec<Difference>, Error> {
    check_paired(first, second)?;
    resampling.check(first.len())?;
    let scorers = [Scorer::new(first), Scorer::new(second)];
    let scores = |scorer: &Scorer, times: &[u32]| {
        [scorer.accuracy(times), scorer.balanced_accuracy(times), scorer.macro_f1(times), scorer.macro_auc(times)]
    };
    let once = vec![1; first.len()];
    let [of_first, of_second] = [0, 1].map(|i: usize| scores(&scorers[i], &once));
    let estimates = bootstrap.estimates(resampling, |times| {
        let [first, second] = [0, 1].map(|i: usize| scores(&scorers[i], times));
        first.into_iter().zip(second).map(|(first, second)| minus(second, first)).collect()
    });
    let found = SCORES.into_iter().zip(of_first).zip(of_second).zip(estimates);
    let found = found.map(|(((score, first), second), difference)| Difference { score, first, second, difference });
    Ok(found.collect())
}

fn minus(a: Score, b: Score) -> Score {
    match (a, b) {
        (Score::Defined(a), Score::Defined(b)) => Score::Defined(a - b),
        (Score::Undefined(reason), _) | (_, Score::Undefined(reason)) => Score::Undefined(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 samples; the first is right on those where `first` is, the second where `second` is.
    fn pair(first: fn(usize) -> bool, second: fn(usize) -> bool) -> [Predictions; 2] {
        [first, second].map(|right| {
            let truth: Vec<usize> = (0..100).map(|i| i % 2).collect();
            let scores = (0..100).flat_map(|i| if right(i) == (i % 2 == 0) { [0.8, 0.2] } else { [0.3, 0.7] });
            let ids = (0..100).map(|i| i.to_string()).collect();
            Predictions::new(vec!["a".into(), "b".into()], ids, truth, scores.collect()).unwrap()
        })
    }

    /// 20 samples only the second gets right, 10 only the first: the difference of accuracies is a mean of 20 ones, 10
    /// minus ones and 70 zeros, so 0.1 with the standard error sqrt(0.3 - 0.01) / 10 = 0.0539.
    #[test]
    fn what_both_get_right_does_not_widen_the_interval() {
        let [first, second] = pair(|i| i >= 20, |i| !(20..30).contains(&i));
        let resampling = Resampling::samples(100).unwrap();
        let found = differences(&first, &second, &resampling, &Bootstrap::default()).unwrap();
        let accuracy = found[0];
        assert_eq!((accuracy.first, accuracy.second), (Score::Defined(0.8), Score::Defined(0.9)));
        let interval = accuracy.difference.interval.unwrap();
        let (low, high) = (0.1 - 1.96 * 0.0539, 0.1 + 1.96 * 0.0539);
        assert!((interval.low - low).abs() < 0.02 && (interval.high - high).abs() < 0.02, "{interval:?}");
        // Turned round, the signs are.
        let turned = differences(&second, &first, &resampling, &Bootstrap::default()).unwrap();
        assert!((turned[2].difference.value.or_zero() + found[2].difference.value.or_zero()).abs() < 1e-12);
    }

    #[test]
    fn groups_widen_it_and_others_cannot_be_compared() {
        let [first, second] = pair(|i| i >= 20, |i| !(20..30).contains(&i));
        let patients: Vec<usize> = (0..100).map(|i| i / 10).collect();
        let width = |resampling| {
            let found = differences(&first, &second, &resampling, &Bootstrap::default()).unwrap();
            found[0].difference.interval.unwrap().width()
        };
        let wide = width(Resampling::groups(&patients).unwrap());
        assert!(wide > 2.0 * width(Resampling::samples(100).unwrap()), "{wide}");
        let fewer = second.select(&[0, 1]).unwrap();
        assert!(differences(&first, &fewer, &Resampling::samples(100).unwrap(), &Bootstrap::default()).is_err());
        assert!(differences(&first, &second, &Resampling::samples(99).unwrap(), &Bootstrap::default()).is_err());
    }
}
