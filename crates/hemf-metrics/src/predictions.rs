//! What a classifier said about each sample, and what was true.

mod file;

use crate::{ConfusionMatrix, Error, RocCurve, argmax};
use std::collections::HashSet;

/// How far the scores of a sample may be from summing to one: rounded decimals pass, logits do not.
const SUM_TOLERANCE: f64 = 1e-2;

/// Probabilities of every class for every sample, with the true class. Always consistent: at least one sample, names
/// that differ, class indices in range, scores that are probabilities.
///
/// ```
/// use hemf_metrics::Predictions;
/// let classes = vec!["benign".into(), "malignant".into()];
/// let ids = vec!["a.png".into(), "b.png".into()];
/// let predictions = Predictions::new(classes, ids, vec![0, 1], vec![0.9f32, 0.1, 0.6, 0.4])?;
/// assert_eq!(predictions.predicted(), [0, 0]);
/// # Ok::<(), hemf_metrics::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Predictions {
    classes: Vec<String>,
    ids: Vec<String>,
    truth: Vec<usize>,
    scores: Vec<f64>,
}

impl Predictions {
    /// Checks and keeps: class names, one id and one true class per sample, and the scores sample by sample
    /// (`samples x classes`, row-major, in f32 or f64; each row sums to one).
    pub fn new<S: Into<f64>>(
        classes: Vec<String>,
        ids: Vec<String>,
        truth: Vec<usize>,
        scores: Vec<S>,
    ) -> Result<Self, Error> {
        let scores: Vec<f64> = scores.into_iter().map(Into::into).collect();
        check_names(&classes)?;
        if truth.is_empty() {
            return Err(Error::NoSamples);
        }
        let length = |what, found, expected| match found == expected {
            true => Ok(()),
            false => Err(Error::Length { what, found, expected }),
        };
        length("sample ids", ids.len(), truth.len())?;
        length("scores", scores.len(), truth.len() * classes.len())?;
        for ((id, &class), row) in ids.iter().zip(&truth).zip(scores.chunks(classes.len())) {
            if class >= classes.len() {
                return Err(Error::ClassIndex { id: id.clone(), class, classes: classes.len() });
            }
            check_row(id, row, &classes)?;
        }
        Ok(Self { classes, ids, truth, scores })
    }

    /// Class names, in the order of the scores.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// What each sample is called, usually its file.
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// The true class of each sample.
    pub fn truth(&self) -> &[usize] {
        &self.truth
    }

    /// The scores of each sample, one per class.
    pub fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.scores.chunks_exact(self.classes.len())
    }

    /// The same samples with other scores; each row must again hold probabilities.
    pub(crate) fn map_rows(&self, change: impl Fn(&[f64]) -> Vec<f64>) -> Self {
        Self { scores: self.rows().flat_map(change).collect(), ..self.clone() }
    }

    /// The samples at these positions, in their order. Fails when there are none.
    ///
    /// # Panics
    /// When a position is out of range, as indexing does.
    pub fn select(&self, samples: &[usize]) -> Result<Self, Error> {
        if samples.is_empty() {
            return Err(Error::NoSamples);
        }
        let width = self.classes.len();
        Ok(Self {
            classes: self.classes.clone(),
            ids: samples.iter().map(|&sample| self.ids[sample].clone()).collect(),
            truth: samples.iter().map(|&sample| self.truth[sample]).collect(),
            scores: samples.iter().flat_map(|&sample| &self.scores[sample * width..][..width]).copied().collect(),
        })
    }

    /// Number of samples, at least one.
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.truth.len()
    }

    /// The class of the highest score of each sample, the first one where several are highest.
    pub fn predicted(&self) -> Vec<usize> {
        self.rows().map(argmax).collect()
    }

    /// Counts true against predicted classes.
    pub fn confusion_matrix(&self) -> ConfusionMatrix {
        let mut matrix = ConfusionMatrix::new(self.classes.len());
        for (row, &truth) in self.rows().zip(&self.truth) {
            matrix.record(truth, argmax(row));
        }
        matrix
    }

    /// ROC curve of one class against the rest, by the score of the class.
    pub fn one_vs_rest(&self, class: usize) -> RocCurve {
        RocCurve::new(self.rows().zip(&self.truth).map(|(row, &truth)| (row[class], truth == class)))
    }

    /// ROC curve over all pairs of a sample and a class: "does the sample belong to the class?", asked
    /// `samples x classes` times.
    pub fn micro(&self) -> RocCurve {
        RocCurve::new(
            self.rows()
                .zip(&self.truth)
                .flat_map(|(row, &truth)| row.iter().enumerate().map(move |(class, &score)| (score, truth == class))),
        )
    }
}

fn check_names(classes: &[String]) -> Result<(), Error> {
    if classes.is_empty() {
        return Err(Error::NoClasses);
    }
    let mut seen = HashSet::new();
    for (index, name) in classes.iter().enumerate() {
        if name.is_empty() || !seen.insert(name) {
            return Err(Error::ClassName { index, name: name.clone() });
        }
    }
    Ok(())
}

fn check_row(id: &str, row: &[f64], classes: &[String]) -> Result<(), Error> {
    // Written so that NaN fails too. A sum of f32 probabilities may leave one a hair above 1.
    for (&value, class) in row.iter().zip(classes) {
        if !(0.0..=1.0 + 1e-6).contains(&value) {
            return Err(Error::Probability { id: id.to_owned(), class: class.clone(), value });
        }
    }
    let sum: f64 = row.iter().sum();
    match (sum - 1.0).abs() <= SUM_TOLERANCE {
        true => Ok(()),
        false => Err(Error::ProbabilitySum { id: id.to_owned(), sum }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(classes: &[&str], truth: &[usize], scores: &[f64]) -> Result<Predictions, Error> {
        let ids = (0..truth.len()).map(|i| format!("s{i}")).collect();
        let classes = classes.iter().map(|c| c.to_string()).collect();
        Predictions::new(classes, ids, truth.to_vec(), scores.to_vec())
    }

    #[test]
    fn ties_go_to_the_first_class() {
        let predictions = build(&["a", "b", "c"], &[2], &[0.2, 0.4, 0.4]).unwrap();
        assert_eq!(predictions.predicted(), [1]);
    }

    #[test]
    fn each_defect_is_named() {
        let message = |result: Result<Predictions, Error>| result.unwrap_err().to_string();
        for (result, expected) in [
            (build(&[], &[0], &[]), "there are no classes"),
            (build(&["a", "a"], &[0], &[1.0, 0.0]), "class 1 is named \"a\""),
            (build(&["a", "b"], &[], &[]), "there are no predictions"),
            (build(&["a", "b"], &[0], &[1.0]), "scores: 1 given, 2 expected"),
            (build(&["a", "b"], &[2], &[1.0, 0.0]), "sample s0: class index 2"),
            (build(&["a", "b"], &[0], &[f64::NAN, 1.0]), "sample s0: the score of class \"a\" is NaN"),
            (build(&["a", "b"], &[0], &[1.0, -0.1]), "sample s0: the score of class \"b\" is -0.1"),
            (build(&["a", "b"], &[0], &[0.9, 0.9]), "sample s0: the scores sum to 1.8"),
        ] {
            let message = message(result);
            assert!(message.starts_with(expected), "{message}");
        }
    }
}
