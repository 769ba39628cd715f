//! Accuracy against confidence, with intervals.

use super::{Bootstrap, Estimate, ResampledBy, Resampling};
use crate::{Bins, CALIBRATION_BINS, Calibration, Error, Predictions, Score, Undefined, argmax};

/// Bins of confidence with the interval of each one's accuracy. The calibration errors themselves have none: every
/// sample that is drawn twice moves a bin away from its mean, so that the errors of resamples are larger than that
/// of the samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Reliability {
    /// The bins and the calibration errors.
    pub calibration: Calibration,
    /// Accuracy of each bin: Wilson's interval, or from resamples of whole groups.
    pub accuracies: Vec<Estimate>,
    /// What resamples are drawn of.
    pub resampled: ResampledBy,
    /// How the intervals are made.
    pub bootstrap: Bootstrap,
}

impl Reliability {
    /// In [`CALIBRATION_BINS`] bins of equal width. With groups the intervals are from resamples of these: a bin whose
    /// samples are of few groups has a wide one, or none. Fails when the resampling is of another number of samples.
    pub fn new(predictions: &Predictions, resampling: &Resampling, bootstrap: &Bootstrap) -> Result<Self, Error> {
        resampling.check(predictions.len())?;
        let calibration = predictions.calibration();
        let accuracies = match resampling.by() {
            ResampledBy::Groups => by_groups(predictions, resampling, bootstrap),
            _ => calibration.bins.iter().map(|bin| bin.interval(bootstrap.level)).collect(),
        };
        Ok(Self { calibration, accuracies, resampled: resampling.by(), bootstrap: *bootstrap })
    }
}

fn by_groups(predictions: &Predictions, resampling: &Resampling, bootstrap: &Bootstrap) -> Vec<Estimate> {
    let samples: Vec<(usize, bool)> = predictions
        .rows()
        .zip(predictions.truth())
        .map(|(row, &truth)| {
            let class = argmax(row);
            (Bins::of_equal_width(row[class], CALIBRATION_BINS), class == truth)
        })
        .collect();
    bootstrap.estimates(resampling, |times| {
        let mut counts = vec![(0, 0); CALIBRATION_BINS];
        for (&(bin, right), &times) in samples.iter().zip(times) {
            counts[bin].0 += u64::from(right) * u64::from(times);
            counts[bin].1 += u64::from(times);
        }
        counts.into_iter().map(|(right, all)| Score::ratio(right, all, Undefined::NoSamples)).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten patients with three images each, all equally sure; of six of the patients every image is right.
    #[test]
    fn bars_of_groups_are_as_wide_as_the_groups_are_few() {
        let truth: Vec<usize> = (0..30).map(|i| usize::from(i / 3 >= 6)).collect();
        let ids = (0..30).map(|i| i.to_string()).collect();
        let scores: Vec<f64> = [0.9, 0.1].repeat(30);
        let predictions = Predictions::new(vec!["a".into(), "b".into()], ids, truth, scores).unwrap();
        let patients: Vec<usize> = (0..30).map(|i| i / 3).collect();
        let of = |resampling: Resampling| Reliability::new(&predictions, &resampling, &Bootstrap::default()).unwrap();
        let [alone, grouped] = [Resampling::samples(30).unwrap(), Resampling::groups(&patients).unwrap()].map(of);
        assert_eq!(alone.calibration, grouped.calibration);
        let bin = Bins::of_equal_width(0.9, CALIBRATION_BINS);
        for reliability in [&alone, &grouped] {
            let values = reliability.accuracies.iter().map(|accuracy| accuracy.value);
            assert!(values.eq(reliability.calibration.bins.iter().map(|bin| bin.accuracy)));
        }
        // 6 of 10, not 18 of 30: `scipy.stats.binom.ppf([.025, .975], 10, .6)` is 3, 9.
        let interval = grouped.accuracies[bin].interval.unwrap();
        assert_eq!((interval.low, interval.high), (0.3, 0.9));
        assert!(alone.accuracies[bin].interval.unwrap().width() < 0.35);
        assert!(Reliability::new(&predictions, &Resampling::samples(3).unwrap(), &Bootstrap::default()).is_err());
    }
}
