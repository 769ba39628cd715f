//! The confusion matrix: counts are its state, scores are functions of the counts.

use crate::score::{mean, weighted_mean};
use crate::{Error, Score, Undefined};

/// How often a sample of one class was taken for another. True classes are the rows, predicted ones the columns, as in
/// scikit-learn.
///
/// ```
/// use hemf_metrics::ConfusionMatrix;
/// let mut matrix = ConfusionMatrix::new(2);
/// for (truth, predicted) in [(0, 0), (0, 1), (1, 1), (1, 1)] {
///     matrix.record(truth, predicted);
/// }
/// assert_eq!(matrix.accuracy().value(), Some(0.75));
/// assert_eq!(matrix.class(0).recall().value(), Some(0.5));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfusionMatrix {
    counts: Vec<u64>,
    /// Sums of the rows and of the columns, so that every score of a class takes constant time.
    support: Vec<u64>,
    predicted: Vec<u64>,
}

/// How a mean over classes weighs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Average {
    /// Every class alike.
    Macro,
    /// By support, the number of samples of the class.
    Weighted,
}

/// One class against the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassCounts {
    /// Of the class and taken for it.
    pub true_positives: u64,
    /// Of another class, taken for this one.
    pub false_positives: u64,
    /// Of the class, taken for another one.
    pub false_negatives: u64,
    /// Of another class and not taken for this one.
    pub true_negatives: u64,
}

impl ConfusionMatrix {
    /// An empty matrix over classes `0..classes`.
    pub fn new(classes: usize) -> Self {
        Self { counts: vec![0; classes * classes], support: vec![0; classes], predicted: vec![0; classes] }
    }

    /// Counts pairs of true and predicted class. Fails on lists of different length and on classes out of range.
    pub fn from_labels(classes: usize, truth: &[usize], predicted: &[usize]) -> Result<Self, Error> {
        if truth.len() != predicted.len() {
            return Err(Error::Length { what: "predicted classes", found: predicted.len(), expected: truth.len() });
        }
        let mut matrix = Self::new(classes);
        for (sample, (&truth, &predicted)) in truth.iter().zip(predicted).enumerate() {
            let class = truth.max(predicted);
            if class >= classes {
                return Err(Error::ClassIndex { id: sample.to_string(), class, classes });
            }
            matrix.record(truth, predicted);
        }
        Ok(matrix)
    }

    /// Counts one more sample.
    ///
    /// # Panics
    /// When a class is out of range, as indexing does; [`from_labels`](Self::from_labels) checks.
    pub fn record(&mut self, truth: usize, predicted: usize) {
        self.record_times(truth, predicted, 1);
    }

    /// Counts one more sample `times` times, as resampling does.
    pub(crate) fn record_times(&mut self, truth: usize, predicted: usize, times: u64) {
        self.support[truth] += times;
        self.predicted[predicted] += times;
        self.counts[truth * self.support.len() + predicted] += times;
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.support.len()
    }

    /// Samples of class `truth` that were taken for `predicted`.
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        self.counts[truth * self.classes() + predicted]
    }

    /// The rows, one per true class.
    pub fn rows(&self) -> impl Iterator<Item = &[u64]> {
        self.counts.chunks_exact(self.classes().max(1))
    }

    /// Samples of a class (its support).
    pub fn support(&self, class: usize) -> u64 {
        self.support[class]
    }

    /// Samples taken for a class.
    pub fn predicted(&self, class: usize) -> u64 {
        self.predicted[class]
    }

    /// All samples.
    pub fn total(&self) -> u64 {
        self.support.iter().sum()
    }

    /// Samples whose class was found.
    pub fn correct(&self) -> u64 {
        (0..self.classes()).map(|class| self.count(class, class)).sum()
    }

    /// The row of a class divided by its support; `None` when the class does not occur.
    pub fn row_shares(&self, truth: usize) -> Option<Vec<f64>> {
        let support = self.support(truth);
        (support > 0).then(|| {
            (0..self.classes()).map(|predicted| self.count(truth, predicted) as f64 / support as f64).collect()
        })
    }

    /// One class against the rest.
    pub fn class(&self, class: usize) -> ClassCounts {
        let true_positives = self.count(class, class);
        let false_positives = self.predicted(class) - true_positives;
        let false_negatives = self.support(class) - true_positives;
        ClassCounts {
            true_positives,
            false_positives,
            false_negatives,
            true_negatives: self.total() - true_positives - false_positives - false_negatives,
        }
    }

    /// Share of samples whose class was found. Equal to micro precision, recall and F1.
    pub fn accuracy(&self) -> Score {
        Score::ratio(self.correct(), self.total(), Undefined::NoSamples)
    }

    /// Mean recall over the classes that occur.
    pub fn balanced_accuracy(&self) -> Score {
        mean((0..self.classes()).filter_map(|class| self.class(class).recall().value()), Undefined::NoSamples)
    }

    /// Jaccard index over all pairs of a sample and a class: `correct / (2 samples - correct)`.
    pub fn micro_jaccard(&self) -> Score {
        Score::ratio(self.correct(), 2 * self.total() - self.correct(), Undefined::NoSamples)
    }

    /// Mean of a score over all classes, undefined ones counted as 0 (scikit-learn's `zero_division=0`).
    pub fn average(&self, average: Average, score: impl Fn(&ClassCounts) -> Score) -> Score {
        let classes = (0..self.classes()).map(|class| {
            let weight = match average {
                Average::Macro => 1.0,
                Average::Weighted => self.support(class) as f64,
            };
            (weight, score(&self.class(class)).or_zero())
        });
        match self.total() {
            0 => Score::Undefined(Undefined::NoSamples),
            _ => weighted_mean(classes, Undefined::NoSamples),
        }
    }
}

impl ClassCounts {
    /// Share of the samples taken for the class that are of it (positive predictive value).
    pub fn precision(&self) -> Score {
        Score::ratio(self.true_positives, self.true_positives + self.false_positives, Undefined::NeverPredicted)
    }

    /// Share of the samples of the class that were found (sensitivity).
    pub fn recall(&self) -> Score {
        Score::ratio(self.true_positives, self.true_positives + self.false_negatives, Undefined::NoPositives)
    }

    /// `2 tp / (2 tp + fp + fn)`: the harmonic mean of precision and recall, which is 0 and not undefined where only
    /// one of them is.
    pub fn f1(&self) -> Score {
        Score::ratio(
            2 * self.true_positives,
            2 * self.true_positives + self.false_positives + self.false_negatives,
            Undefined::Absent,
        )
    }

    /// Jaccard index `tp / (tp + fp + fn)`: of the samples of the class or taken for it, the share that is both.
    pub fn jaccard(&self) -> Score {
        Score::ratio(
            self.true_positives,
            self.true_positives + self.false_positives + self.false_negatives,
            Undefined::Absent,
        )
    }

    /// Share of the samples of other classes that were not taken for this one.
    pub fn specificity(&self) -> Score {
        Score::ratio(self.true_negatives, self.true_negatives + self.false_positives, Undefined::NoNegatives)
    }

    /// Share of the samples not taken for the class that are not of it.
    pub fn negative_predictive_value(&self) -> Score {
        Score::ratio(self.true_negatives, self.true_negatives + self.false_negatives, Undefined::AlwaysPredicted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_true_and_columns_predicted() {
        let matrix = ConfusionMatrix::from_labels(3, &[0, 0, 2], &[1, 1, 2]).unwrap();
        assert_eq!(matrix.rows().collect::<Vec<_>>(), [[0, 2, 0], [0, 0, 0], [0, 0, 1]]);
        assert_eq!(matrix.row_shares(1), None);
        assert_eq!(matrix.class(1).recall().reason(), Some(Undefined::NoPositives));
        assert_eq!(matrix.class(0).precision().reason(), Some(Undefined::NeverPredicted));
        // Precision of class 0 is undefined, its F1 is not: it has samples and none was found.
        assert_eq!(matrix.class(0).f1(), Score::Defined(0.0));
    }

    #[test]
    fn an_empty_matrix_has_no_scores() {
        let matrix = ConfusionMatrix::new(2);
        let macro_f1 = matrix.average(Average::Macro, ClassCounts::f1);
        for score in [matrix.accuracy(), matrix.balanced_accuracy(), matrix.matthews(), macro_f1] {
            assert_eq!(score.reason(), Some(Undefined::NoSamples));
        }
    }

    #[test]
    fn bad_labels_are_refused() {
        let error = ConfusionMatrix::from_labels(2, &[0, 1], &[0, 2]).unwrap_err();
        assert_eq!(error.to_string(), "sample 1: class index 2 is out of range, there are 2 classes");
        assert!(ConfusionMatrix::from_labels(2, &[0, 1], &[0]).is_err());
    }
}
