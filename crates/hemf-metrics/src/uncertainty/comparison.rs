//! Two classifiers on the same samples.

use super::{AucDifference, Level, McNemar, holm};
use crate::{Error, Predictions, Score};
use serde::Serialize;

/// Paired tests of two classifiers that saw the same samples. Presumes that the samples are independent.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Accuracy of the first and of the second.
    pub accuracy: [Score; 2],
    /// Which of them was right how often.
    pub right: McNemar,
    /// Exact two-sided p-value of McNemar's test.
    pub p_value: Score,
    /// One class against the rest each, in class order.
    pub classes: Vec<ClassComparison>,
    /// Positions of the samples that the two predict to be of different classes.
    pub changed: Vec<usize>,
}

/// Areas under the ROC curves of one class, compared.
#[derive(Clone, Debug, Serialize)]
pub struct ClassComparison {
    /// Its name.
    pub class: String,
    /// DeLong's test.
    #[serde(flatten)]
    pub auc: AucDifference,
    /// Its p-value corrected for testing every class ([`holm`]). Of two classes it is the p-value itself: the area of one
    /// is that of the other, and one question is asked, not two.
    pub holm_p_value: Score,
}

impl Comparison {
    /// Fails unless both have the same classes, samples and true classes, each in the same order.
    pub fn new(first: &Predictions, second: &Predictions, level: Level) -> Result<Self, Error> {
        check_paired(first, second)?;
        let (said, otherwise) = (first.predicted(), second.predicted());
        let truth = first.truth();
        let right = McNemar::new(truth.iter().zip(said.iter().zip(&otherwise)).map(|(t, (a, b))| (t == a, t == b)));
        let areas: Vec<AucDifference> = (0..first.classes().len())
            .map(|class| {
                let rows = first.rows().zip(second.rows()).zip(truth);
                AucDifference::new(rows.map(|((a, b), &truth)| (a[class], b[class], truth == class)), level)
            })
            .collect();
        // The tests that could be made: the others are not among those that may raise a false alarm.
        let p_values: Vec<f64> = areas.iter().filter_map(|auc| auc.p_value.value()).collect();
        let adjusted = if areas.len() == 2 { p_values } else { holm(&p_values) };
        let mut adjusted = adjusted.into_iter();
        let classes = first.classes().iter().zip(areas).map(|(class, auc)| ClassComparison {
            class: class.clone(),
            holm_p_value: match auc.p_value {
                Score::Defined(p_value) => Score::Defined(adjusted.next().unwrap_or(p_value)),
                undefined => undefined,
            },
            auc,
        });
        Ok(Self {
            accuracy: [first, second].map(|predictions| predictions.confusion_matrix().accuracy()),
            p_value: right.exact_p_value(),
            right,
            classes: classes.collect(),
            changed: (0..said.len()).filter(|&sample| said[sample] != otherwise[sample]).collect(),
        })
    }
}

pub(super) fn check_paired(first: &Predictions, second: &Predictions) -> Result<(), Error> {
    let different = |what: String| Err(Error::NotPaired { what });
    if first.classes() != second.classes() {
        return different("their classes differ".to_owned());
    }
    if first.len() != second.len() {
        return different(format!("the first has {} samples, the second {}", first.len(), second.len()));
    }
    for (sample, (a, b)) in first.ids().iter().zip(second.ids()).enumerate() {
        if a != b {
            return different(format!("sample {sample} is {a} in the first, {b} in the second"));
        }
        if first.truth()[sample] != second.truth()[sample] {
            return different(format!("sample {a} has another true class in the second"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Undefined;

    fn predictions(ids: [&str; 5], positive: [f64; 5]) -> Predictions {
        let classes = ["healthy", "ill"].map(String::from).to_vec();
        let scores = positive.iter().flat_map(|&p| [1.0 - p, p]).collect();
        Predictions::new(classes, ids.map(String::from).to_vec(), vec![0, 0, 1, 1, 1], scores).unwrap()
    }

    #[test]
    fn both_sides_are_told() {
        let ids = ["a", "b", "c", "d", "e"];
        let first = predictions(ids, [0.1, 0.4, 0.6, 0.9, 0.3]);
        let second = predictions(ids, [0.6, 0.2, 0.4, 0.7, 0.8]);
        let compared = Comparison::new(&first, &second, Level::default()).unwrap();
        assert_eq!(compared.accuracy, [Score::Defined(0.8), Score::Defined(0.6)]);
        assert_eq!(compared.changed, [0, 2, 4]);
        assert_eq!(compared.right, McNemar { both: 2, only_first: 2, only_second: 1, neither: 0 });
        // Two classes are one question: no correction.
        let [healthy, ill] = &compared.classes[..] else { panic!("two classes") };
        assert_eq!(healthy.auc.first, ill.auc.first);
        assert_eq!(ill.holm_p_value, ill.auc.p_value);
        let same = Comparison::new(&first, &first, Level::default()).unwrap();
        assert_eq!(same.p_value.reason(), Some(Undefined::NoDisagreement));
        assert_eq!(same.classes[0].holm_p_value.reason(), Some(Undefined::NoSpread));
    }

    #[test]
    fn three_classes_are_three_questions() {
        let names = ["a", "b", "c"].map(String::from).to_vec();
        let ids: Vec<String> = (0..12).map(|i| i.to_string()).collect();
        let truth: Vec<usize> = (0..12).map(|i| i % 3).collect();
        let rows = |step: usize| -> Vec<f64> {
            let row = |i: usize| [1 + i * step % 7, 1 + i * (step + 2) % 5, 1 + i % 4].map(|weight| weight as f64);
            (0..12).map(row).flat_map(|row| row.map(|weight| weight / row.iter().sum::<f64>())).collect()
        };
        let of = |step| Predictions::new(names.clone(), ids.clone(), truth.clone(), rows(step)).unwrap();
        let compared = Comparison::new(&of(2), &of(3), Level::default()).unwrap();
        let p_values: Vec<f64> = compared.classes.iter().filter_map(|class| class.auc.p_value.value()).collect();
        let adjusted: Vec<f64> = compared.classes.iter().filter_map(|class| class.holm_p_value.value()).collect();
        assert_eq!((p_values.len(), adjusted), (3, holm(&p_values)));
    }

    #[test]
    fn other_samples_cannot_be_compared() {
        let first = predictions(["a", "b", "c", "d", "e"], [0.5; 5]);
        let second = predictions(["a", "b", "x", "d", "e"], [0.5; 5]);
        let error = Comparison::new(&first, &second, Level::default()).unwrap_err().to_string();
        assert!(error.contains("sample 2 is c in the first, x in the second"), "{error}");
    }
}
