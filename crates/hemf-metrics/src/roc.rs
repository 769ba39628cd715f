//! Rankings of samples by score: ROC curve, its area, average precision.

use crate::score::{mean, weighted_mean};
use crate::{Predictions, Score, Undefined};

/// What is counted when every sample with a score of at least `threshold` is taken for positive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RocPoint {
    /// The lowest score taken for positive; infinite at the first point, where none is.
    pub threshold: f64,
    /// Positives among those taken.
    pub true_positives: u64,
    /// Negatives among those taken.
    pub false_positives: u64,
}

/// True and false positives at every threshold, from "none is positive" to "all are". Counts are exact, so areas are
/// too, up to one division.
///
/// ```
/// use hemf_metrics::RocCurve;
/// let curve = RocCurve::new([(0.9, true), (0.8, false), (0.7, true), (0.1, false)]);
/// assert_eq!(curve.auc().value(), Some(0.75)); // three of the four pairs are in order
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RocCurve {
    points: Vec<RocPoint>,
}

impl RocCurve {
    /// From pairs of a score and whether the sample is positive, in any order: O(n log n). Samples of one score form
    /// one point, so that ties count half in the area.
    pub fn new(samples: impl IntoIterator<Item = (f64, bool)>) -> Self {
        let mut samples: Vec<(f64, bool)> = samples.into_iter().collect();
        samples.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        Self::from_counts(samples.chunk_by(|a, b| a.0 == b.0).map(|group| {
            let positives = group.iter().filter(|(_, positive)| *positive).count() as u64;
            (group[0].0, positives, group.len() as u64 - positives)
        }))
    }

    /// From the score, the positives and the negatives of each set of samples with one score, by falling score.
    pub(crate) fn from_counts(groups: impl IntoIterator<Item = (f64, u64, u64)>) -> Self {
        let mut point = RocPoint { threshold: f64::INFINITY, true_positives: 0, false_positives: 0 };
        let mut points = vec![point];
        for (score, positives, negatives) in groups {
            point.threshold = score;
            point.true_positives += positives;
            point.false_positives += negatives;
            points.push(point);
        }
        Self { points }
    }

    /// The points, by falling threshold.
    pub fn points(&self) -> &[RocPoint] {
        &self.points
    }

    /// The curve without points that lie on the straight line between their neighbours: it looks the same and has the
    /// same area.
    ///
    /// The rule is scikit-learn's `drop_intermediate=True`: a point goes when the counts step on by just as much after
    /// it as before it. The first real threshold always stays.
    pub fn corners(&self) -> Self {
        let kept = |index: &usize| {
            let index = *index;
            if index <= 1 || index + 1 == self.points.len() {
                return true;
            }
            let step = |from: usize| {
                let (a, b) = (&self.points[from], &self.points[from + 1]);
                (b.true_positives - a.true_positives, b.false_positives - a.false_positives)
            };
            step(index - 1) != step(index)
        };
        let kept = (0..self.points.len()).filter(kept);
        Self { points: kept.map(|index| self.points[index]).collect() }
    }

    /// Number of positive samples.
    pub fn positives(&self) -> u64 {
        self.points.last().map_or(0, |last| last.true_positives)
    }

    /// Number of negative samples.
    pub fn negatives(&self) -> u64 {
        self.points.last().map_or(0, |last| last.false_positives)
    }

    /// Share of the positives taken at a point (sensitivity).
    pub fn true_positive_rate(&self, point: &RocPoint) -> Score {
        Score::ratio(point.true_positives, self.positives(), Undefined::NoPositives)
    }

    /// Share of the negatives taken at a point (1 - specificity).
    pub fn false_positive_rate(&self, point: &RocPoint) -> Score {
        Score::ratio(point.false_positives, self.negatives(), Undefined::NoNegatives)
    }

    /// Why the curve cannot be drawn, where it cannot: a rate needs both positives and negatives.
    pub fn undefined(&self) -> Option<Undefined> {
        if self.positives() == 0 {
            Some(Undefined::NoPositives)
        } else if self.negatives() == 0 {
            Some(Undefined::NoNegatives)
        } else {
            None
        }
    }

    /// `(false positive rate, true positive rate)` of each point; `None` where they are undefined.
    pub fn rates(&self) -> Option<Vec<(f64, f64)>> {
        let (positives, negatives) = (self.positives() as f64, self.negatives() as f64);
        let rate =
            |point: &RocPoint| (point.false_positives as f64 / negatives, point.true_positives as f64 / positives);
        self.undefined().is_none().then(|| self.points.iter().map(rate).collect())
    }

    /// `(recall, precision)` of each point but the first, which takes none for positive; `None` where they are undefined.
    pub fn recall_precision(&self) -> Option<Vec<(f64, f64)>> {
        let positives = self.positives() as f64;
        let place = |point: &RocPoint| {
            let taken = (point.true_positives + point.false_positives) as f64;
            (point.true_positives as f64 / positives, point.true_positives as f64 / taken)
        };
        self.undefined().is_none().then(|| self.points[1..].iter().map(place).collect())
    }

    /// Area under the curve: the chance that a positive scores higher than a negative, ties counting half.
    pub fn auc(&self) -> Score {
        if let Some(reason) = self.undefined() {
            return Score::Undefined(reason);
        }
        // Twice the trapezoids, in counts: at most 2 n^2.
        let twice: u128 = self
            .points
            .windows(2)
            .map(|pair| {
                u128::from(pair[1].false_positives - pair[0].false_positives)
                    * u128::from(pair[1].true_positives + pair[0].true_positives)
            })
            .sum();
        let pairs = u128::from(self.positives()) * u128::from(self.negatives());
        Score::Defined(twice as f64 / (2 * pairs) as f64)
    }

    /// Average precision `sum (R_n - R_{n-1}) P_n` over the thresholds, with recall R and precision P, without
    /// interpolation. Needs every point: not for [`corners`](Self::corners). Undefined where the ROC curve is.
    pub fn average_precision(&self) -> Score {
        self.sum_over_recall(|_, here| here)
    }

    /// Area under the precision-recall curve by trapezoids, starting at recall 0 with precision 1. Optimistic: prefer
    /// [`average_precision`](Self::average_precision) (Davis and Goadrich, ICML 2006). Needs every point.
    pub fn precision_recall_area(&self) -> Score {
        self.sum_over_recall(|before, here| (before + here) / 2.0)
    }

    /// `sum (R_n - R_{n-1}) height(P_{n-1}, P_n)`, with `P_0 = 1`.
    fn sum_over_recall(&self, height: impl Fn(f64, f64) -> f64) -> Score {
        if let Some(reason) = self.undefined() {
            return Score::Undefined(reason);
        }
        let precision = |point: &RocPoint| {
            Score::ratio(point.true_positives, point.true_positives + point.false_positives, Undefined::NeverPredicted)
        };
        let per_positive = self.points.windows(2).flat_map(|pair| {
            let found = pair[1].true_positives - pair[0].true_positives;
            let before = precision(&pair[0]).value().unwrap_or(1.0);
            let height = height(before, precision(&pair[1]).or_zero());
            (found > 0).then_some((found as f64, height))
        });
        weighted_mean(per_positive, Undefined::NoPositives)
    }
}

/// The ROC curves of a classifier: one class against the rest each, and all of them.
#[derive(Clone, Debug)]
pub struct RocCurves {
    /// Class names with their curves.
    pub classes: Vec<(String, RocCurve)>,
    /// Over all pairs of a sample and a class.
    pub micro: RocCurve,
}

impl RocCurves {
    /// Ranks the samples by the score of each class.
    pub fn new(predictions: &Predictions) -> Self {
        let classes = predictions.classes().iter().enumerate();
        Self {
            classes: classes.map(|(class, name)| (name.clone(), predictions.one_vs_rest(class))).collect(),
            micro: predictions.micro(),
        }
    }

    /// Mean area over the classes that have one.
    pub fn macro_auc(&self) -> Score {
        mean(self.classes.iter().filter_map(|(_, curve)| curve.auc().value()), Undefined::NoClass)
    }

    /// The mean of the class curves: at each false positive rate, the mean of their true positive rates, over the
    /// classes that have a curve. Points `(false positive rate, true positive rate)`; none when no class has a curve.
    ///
    /// Where curves rise, both ends of the rise are kept, so that the area under the mean is the mean of the areas.
    /// (Interpolating at the union of the rates, as is often done, cuts those corners.)
    pub fn macro_curve(&self) -> Vec<(f64, f64)> {
        let curves: Vec<Vec<(f64, f64)>> =
            self.classes.iter().filter_map(|(_, curve)| curve.corners().rates()).collect();
        let mut rates: Vec<f64> = curves.iter().flatten().map(|&(rate, _)| rate).collect();
        rates.sort_unstable_by(f64::total_cmp);
        rates.dedup();
        let mut below = vec![0.0; rates.len()];
        let mut above = vec![0.0; rates.len()];
        for curve in &curves {
            let mut next = 0;
            for (index, &rate) in rates.iter().enumerate() {
                // `next` is the first point at or beyond this rate; points at the same rate form a rise.
                while curve[next].0 < rate {
                    next += 1;
                }
                let end = next + curve[next..].iter().take_while(|p| p.0 == rate).count();
                let (low, high) = if end > next {
                    (curve[next].1, curve[end - 1].1)
                } else {
                    let ((x0, y0), (x1, y1)) = (curve[next - 1], curve[next]);
                    let between = y0 + (y1 - y0) * (rate - x0) / (x1 - x0);
                    (between, between)
                };
                below[index] += low;
                above[index] += high;
            }
        }
        // Divided at the end: a mean of ones is then exactly one.
        let mean = |sum: f64| sum / curves.len() as f64;
        let ends = below.into_iter().zip(above);
        rates
            .into_iter()
            .zip(ends)
            .flat_map(|(rate, (low, high))| {
                let rise = (high > low).then(|| (rate, mean(high)));
                std::iter::once((rate, mean(low))).chain(rise)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_count_half() {
        let curve = RocCurve::new([(0.5, true), (0.5, false)]);
        assert_eq!(curve.auc(), Score::Defined(0.5));
        assert_eq!(curve.points().len(), 2);
        // Zero has two signs and is still one score.
        assert_eq!(RocCurve::new([(0.0, true), (-0.0, false)]).auc(), Score::Defined(0.5));
    }

    #[test]
    fn a_curve_needs_both_sides() {
        let curve = RocCurve::new([(0.5, true), (0.4, true)]);
        assert_eq!(curve.auc().reason(), Some(Undefined::NoNegatives));
        assert_eq!(curve.average_precision().reason(), Some(Undefined::NoNegatives));
        assert_eq!(curve.rates(), None);
        assert_eq!(RocCurve::new([]).auc().reason(), Some(Undefined::NoPositives));
    }

    #[test]
    fn the_mean_curve_has_the_mean_area() {
        // Truth a, b, a, c, b: curves that rise and slant at different rates.
        let rows = [[0.6, 0.3, 0.1], [0.6, 0.2, 0.2], [0.2, 0.2, 0.6], [0.3, 0.3, 0.4], [0.1, 0.5, 0.4]];
        let classes = ["a", "b", "c"].map(String::from).to_vec();
        let ids = (0..5).map(|i| i.to_string()).collect();
        let predictions = Predictions::new(classes, ids, vec![0, 1, 0, 2, 1], rows.concat()).unwrap();
        let curves = RocCurves::new(&predictions);
        let mean = curves.macro_curve();
        let area: f64 = mean.windows(2).map(|pair| (pair[1].0 - pair[0].0) * (pair[1].1 + pair[0].1) / 2.0).sum();
        assert!((area - curves.macro_auc().or_zero()).abs() < 1e-15);
        assert_eq!((mean[0], mean[mean.len() - 1]), ((0.0, 0.0), (1.0, 1.0)));
    }
}
