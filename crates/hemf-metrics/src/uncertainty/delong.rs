//! Variance of areas under ROC curves, and of their difference on the same samples.

use super::distribution::{normal_above, normal_exceeded};
use super::{Estimate, Interval, Level, Method};
use crate::score::mean;
use crate::{Predictions, RocCurve, Score, Undefined};
use serde::Serialize;

/// The components of an area: for each positive the share of negatives that it outranks, for each negative the share of
/// positives that outrank it, ties counting half. The area is the mean of either; how they vary is its variance.
///
/// DeLong, DeLong and Clarke-Pearson (Biometrics 44, 1988), from one sort as in Sun and Xu (IEEE Signal Processing
/// Letters 21, 2014): O(n log n).
struct Components {
    positives: Vec<f64>,
    negatives: Vec<f64>,
}

impl Components {
    fn new(samples: &[(f64, bool)]) -> Self {
        let mut order: Vec<usize> = (0..samples.len()).collect();
        order.sort_unstable_by(|&a, &b| samples[a].0.total_cmp(&samples[b].0));
        let total = samples.iter().filter(|(_, positive)| *positive).count() as f64;
        let totals = [samples.len() as f64 - total, total];
        // Negatives and positives of lower scores than those at hand.
        let mut below = [0.0, 0.0];
        let mut shares = vec![0.0; samples.len()];
        for tied in order.chunk_by(|&a, &b| samples[a].0 == samples[b].0) {
            let positives = tied.iter().filter(|&&sample| samples[sample].1).count() as f64;
            let here = [tied.len() as f64 - positives, positives];
            for &sample in tied {
                shares[sample] = match samples[sample].1 {
                    true => (below[0] + here[0] / 2.0) / totals[0],
                    false => (totals[1] - below[1] - here[1] / 2.0) / totals[1],
                };
            }
            below = [below[0] + here[0], below[1] + here[1]];
        }
        let side = |side: bool| {
            let shares = samples.iter().zip(&shares).filter(|(sample, _)| sample.1 == side);
            shares.map(|(_, &share)| share).collect()
        };
        Self { positives: side(true), negatives: side(false) }
    }

    /// A variance needs two samples on each side.
    fn undefined(&self) -> Option<Undefined> {
        match (self.positives.len(), self.negatives.len()) {
            (0, _) => Some(Undefined::NoPositives),
            (_, 0) => Some(Undefined::NoNegatives),
            (1, _) => Some(Undefined::TooFewPositives),
            (_, 1) => Some(Undefined::TooFewNegatives),
            _ => None,
        }
    }

    /// Covariance of two areas of the same samples; the variance with `other` itself.
    fn covariance(&self, other: &Self) -> f64 {
        covariance(&self.positives, &other.positives) / self.positives.len() as f64
            + covariance(&self.negatives, &other.negatives) / self.negatives.len() as f64
    }
}

/// Of two lists of equal length, at least two, with `n - 1` in the denominator.
fn covariance(a: &[f64], b: &[f64]) -> f64 {
    let centre = |values: &[f64]| mean(values.iter().copied(), Undefined::NoSamples).or_zero();
    let (centre_a, centre_b) = (centre(a), centre(b));
    let products = a.iter().zip(b).map(|(a, b)| (a - centre_a) * (b - centre_b));
    let n = a.len() as f64;
    mean(products, Undefined::NoSamples).or_zero() * n / (n - 1.0)
}

/// Variances below this are rounding: one pair out of order among `m n` moves a variance by about `1 / (m n)^2`.
const NO_VARIANCE: f64 = 1e-28;

impl Estimate {
    /// Area under the ROC curve of `(score, positive)` pairs with DeLong's interval: `area ± z sqrt(variance)`, cut at 0
    /// and 1. An area of exactly 0 or 1 has no spread, and so no interval; [`Bootstrap`](super::Bootstrap) has none for
    /// it either. Presumes that the samples are independent. O(n log n).
    ///
    /// ```
    /// use hemf_metrics::uncertainty::{Estimate, Level};
    /// let scores = [(0.9, true), (0.8, false), (0.7, true), (0.6, true), (0.3, false), (0.1, false)];
    /// let auc = Estimate::auc(scores, Level::default());
    /// assert_eq!(format!("{auc:.3}"), "0.778 (0.291 to 1.000)");
    /// ```
    pub fn auc(samples: impl IntoIterator<Item = (f64, bool)>, level: Level) -> Self {
        let samples: Vec<(f64, bool)> = samples.into_iter().collect();
        let components = Components::new(&samples);
        let value = RocCurve::new(samples).auc();
        let interval = match (value, components.undefined()) {
            (Score::Undefined(reason), _) | (_, Some(reason)) => Err(reason),
            (Score::Defined(area), None) => {
                around(area, components.covariance(&components), level, (0.0, 1.0)).ok_or(Undefined::NoSpread)
            }
        };
        Self { value, interval, method: Method::Delong }
    }
}

fn around(centre: f64, variance: f64, level: Level, range: (f64, f64)) -> Option<Interval> {
    let margin = normal_exceeded(level.tail()) * variance.sqrt();
    (variance > NO_VARIANCE).then(|| Interval::around(centre, margin, range))
}

/// Two areas of the same samples, compared by DeLong's test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct AucDifference {
    /// Area of the first classifier.
    pub first: Score,
    /// Area of the second classifier.
    pub second: Score,
    /// `first - second` with its interval.
    pub difference: Estimate,
    /// The difference in units of its standard error.
    pub z: Score,
    /// Two-sided: how often a difference as large would come about if the areas were equal.
    pub p_value: Score,
}

impl AucDifference {
    /// From `(first score, second score, positive)` of each sample, with the covariance that paired areas have.
    /// Undefined where the classifiers rank the samples alike. Presumes that the samples are independent. O(n log n).
    pub fn new(samples: impl IntoIterator<Item = (f64, f64, bool)>, level: Level) -> Self {
        let (first, second): (Vec<_>, Vec<_>) =
            samples.into_iter().map(|(first, second, positive)| ((first, positive), (second, positive))).unzip();
        let (a, b) = (Components::new(&first), Components::new(&second));
        let [first, second] = [first, second].map(|samples| RocCurve::new(samples).auc());
        let difference = match (first, second) {
            (Score::Defined(first), Score::Defined(second)) => Score::Defined(first - second),
            (undefined, _) => undefined,
        };
        let variance = match a.undefined() {
            Some(reason) => Score::Undefined(reason),
            None => match a.covariance(&a) + b.covariance(&b) - 2.0 * a.covariance(&b) {
                variance if variance > NO_VARIANCE => Score::Defined(variance),
                _ => Score::Undefined(Undefined::NoSpread),
            },
        };
        let with_variance = |function: &dyn Fn(f64, f64) -> f64| match (difference, variance) {
            (Score::Defined(difference), Score::Defined(variance)) => Score::Defined(function(difference, variance)),
            (undefined @ Score::Undefined(_), _) | (_, undefined) => undefined,
        };
        let interval = match (difference, variance) {
            (Score::Defined(difference), Score::Defined(variance)) => {
                around(difference, variance, level, (-1.0, 1.0)).ok_or(Undefined::NoSpread)
            }
            (Score::Undefined(reason), _) | (_, Score::Undefined(reason)) => Err(reason),
        };
        Self {
            first,
            second,
            difference: Estimate { value: difference, interval, method: Method::Delong },
            z: with_variance(&|difference, variance| difference / variance.sqrt()),
            p_value: with_variance(&|difference, variance| 2.0 * normal_above(difference.abs() / variance.sqrt())),
        }
    }
}

impl Predictions {
    /// Area under the ROC curve of one class against the rest, with DeLong's interval.
    pub fn auc_interval(&self, class: usize, level: Level) -> Estimate {
        Estimate::auc(self.rows().zip(self.truth()).map(|(row, &truth)| (row[class], truth == class)), level)
    }
}

#[cfg(test)]
#[path = "delong/tests.rs"]
mod tests;
