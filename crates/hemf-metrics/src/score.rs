//! A score is a number or the reason why there is none.

use serde::{Serialize, Serializer};
use std::fmt;

/// Why a score has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Undefined {
    /// Nothing was counted.
    #[error("there are no samples")]
    NoSamples,
    /// Recall, ROC and average precision of a class that does not occur.
    #[error("no sample belongs to the class")]
    NoPositives,
    /// Specificity, ROC and average precision of a class that every sample belongs to.
    #[error("every sample belongs to the class")]
    NoNegatives,
    /// Precision of a class that is never predicted.
    #[error("the class is never predicted")]
    NeverPredicted,
    /// Negative predictive value of a class that is predicted for every sample.
    #[error("the class is predicted for every sample")]
    AlwaysPredicted,
    /// F1 of a class that neither occurs nor is predicted.
    #[error("the class neither occurs nor is predicted")]
    Absent,
    /// Chance-corrected agreement where one side never varies.
    #[error("all samples are of one class, in truth or in prediction")]
    OneClass,
    /// A mean over classes none of which has the score.
    #[error("it is undefined for every class")]
    NoClass,
    /// Mean over classes, in a resample of whole groups that holds no sample of one of them: it would be the mean of other
    /// classes.
    #[error("a class has no sample in the resample")]
    ClassNotDrawn,
    /// Spread of the scores of a class of fewer than two samples.
    #[error("fewer than two samples belong to the class")]
    TooFewPositives,
    /// Spread of the scores of the other classes, of fewer than two samples.
    #[error("fewer than two samples belong to other classes")]
    TooFewNegatives,
    /// Interval of a value that no resample changes, such as an area of exactly 1: a width of 0 would claim certainty.
    #[error("it does not vary within these samples")]
    NoSpread,
    /// Bootstrap interval of a score that half of the resamples or more do not have.
    #[error("at least half of the resamples do not have the score")]
    SeldomDefined,
    /// Interval over several runs.
    #[error("fewer than two runs")]
    TooFewRuns,
    /// Comparison of two classifiers that are right and wrong on the same samples.
    #[error("both classifiers are right and wrong on the same samples")]
    NoDisagreement,
}

/// The value of a score, or why it has none. In JSON a number, or `null`.
///
/// ```
/// use hemf_metrics::{Score, Undefined};
/// assert_eq!(Score::ratio(3, 4, Undefined::NoPositives), Score::Defined(0.75));
/// let none = Score::ratio(0, 0, Undefined::NoPositives);
/// assert_eq!(none.to_string(), "undefined: no sample belongs to the class");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Score {
    /// A finite number.
    Defined(f64),
    /// There is no such number.
    Undefined(Undefined),
}

impl Score {
    /// `numerator / denominator`, or `reason` when the denominator is zero.
    pub fn ratio(numerator: u64, denominator: u64, reason: Undefined) -> Self {
        match denominator {
            0 => Self::Undefined(reason),
            _ => Self::Defined(numerator as f64 / denominator as f64),
        }
    }

    /// The number, where there is one.
    pub fn value(self) -> Option<f64> {
        match self {
            Self::Defined(value) => Some(value),
            Self::Undefined(_) => None,
        }
    }

    /// The reason, where there is no number.
    pub fn reason(self) -> Option<Undefined> {
        match self {
            Self::Defined(_) => None,
            Self::Undefined(reason) => Some(reason),
        }
    }

    /// The number, or scikit-learn's `zero_division=0`. Name what was undefined where this is shown.
    pub fn or_zero(self) -> f64 {
        self.value().unwrap_or(0.0)
    }
}

impl fmt::Display for Score {
    /// Follows the precision asked for: `{:.4}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Defined(value) => value.fmt(f),
            Self::Undefined(reason) => write!(f, "undefined: {reason}"),
        }
    }
}

/// With three decimals, as a picture or a page tells a score; below 1 never as 1.000, which would claim that it is perfect.
///
/// ```
/// assert_eq!([0.87, 0.9997, 1.0].map(hemf_metrics::rounded), ["0.870", ">0.999", "1.000"]);
/// ```
pub fn rounded(value: f64) -> String {
    match format!("{value:.3}") {
        whole if whole == "1.000" && value < 1.0 => ">0.999".to_owned(),
        text => text,
    }
}

impl Serialize for Score {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}

/// Weighted mean `sum(w x) / sum(w)`, term by term.
///
/// The sums are Neumaier's compensated ones (ZAMM 54, 1974): their error does not grow with the number of samples,
/// so a mean does not depend on the order of the samples beyond its last digit.
#[derive(Clone, Copy, Default)]
pub(crate) struct WeightedMean {
    sum: f64,
    lost: f64,
    weights: f64,
}

impl WeightedMean {
    pub(crate) fn push(&mut self, weight: f64, value: f64) {
        let term = weight * value;
        let next = self.sum + term;
        self.lost += if self.sum.abs() >= term.abs() { (self.sum - next) + term } else { (term - next) + self.sum };
        self.sum = next;
        self.weights += weight;
    }

    /// The mean; `reason` when the weights sum to zero.
    pub(crate) fn or(self, reason: Undefined) -> Score {
        match self.weights {
            0.0 => Score::Undefined(reason),
            weights => Score::Defined((self.sum + self.lost) / weights),
        }
    }
}

/// The [`WeightedMean`] of pairs of a weight and a value; `reason` when the weights sum to zero.
pub(crate) fn weighted_mean(pairs: impl IntoIterator<Item = (f64, f64)>, reason: Undefined) -> Score {
    let mut mean = WeightedMean::default();
    for (weight, value) in pairs {
        mean.push(weight, value);
    }
    mean.or(reason)
}

/// Plain mean; `reason` when there is nothing to average.
pub(crate) fn mean(values: impl IntoIterator<Item = f64>, reason: Undefined) -> Score {
    weighted_mean(values.into_iter().map(|value| (1.0, value)), reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_keeps_what_a_plain_sum_loses() {
        // 1 is lost beside 1e16 in a plain sum: (1e16 + 1 - 1e16) / 3 would give 0.
        assert_eq!(mean([1e16, 1.0, -1e16], Undefined::NoSamples), Score::Defined(1.0 / 3.0));
    }

    #[test]
    fn nothing_to_average_is_undefined() {
        assert_eq!(mean([], Undefined::NoClass).reason(), Some(Undefined::NoClass));
        assert_eq!(weighted_mean([(0.0, 0.5)], Undefined::NoClass).reason(), Some(Undefined::NoClass));
    }

    #[test]
    fn json_is_a_number_or_null() {
        let both = [Score::Defined(0.5), Score::Undefined(Undefined::NoPositives)];
        assert_eq!(serde_json::to_string(&both).unwrap(), "[0.5,null]");
    }
}
