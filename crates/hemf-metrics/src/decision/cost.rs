//! Decisions that cost least.

use crate::score::mean;
use crate::{Error, Predictions, Score, Undefined};
use serde::Serialize;

/// What each decision costs for each true class, in any unit. Decisions may be the classes or others, such as "refer".
///
/// ```
/// use hemf_metrics::decision::CostMatrix;
/// // To miss a melanoma is twenty times as bad as to cut out a nevus; to ask a colleague costs as much as the latter.
/// let decisions = ["leave", "cut out", "refer"].map(String::from).to_vec();
/// let costs = CostMatrix::new(decisions, vec![vec![0.0, 1.0, 1.0], vec![20.0, 0.0, 1.0]])?;
/// assert_eq!(costs.decide(&[0.98, 0.02]), 0);
/// assert_eq!(costs.decide(&[0.90, 0.10]), 1);
/// # Ok::<(), hemf_metrics::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CostMatrix {
    decisions: Vec<String>,
    /// `costs[class][decision]`.
    costs: Vec<Vec<f64>>,
}

/// What decisions of least expected cost cost in truth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Costs {
    /// Mean cost of a sample.
    pub mean: Score,
    /// Mean cost of the best decision for all samples alike, without looking at any: what the classifier has to beat.
    pub without_classifier: Score,
    /// Samples by true class and decision.
    pub counts: Vec<Vec<u64>>,
}

impl CostMatrix {
    /// From the costs of each decision, class by class. Fails on lists of different length and on numbers that are not
    /// finite.
    pub fn new(decisions: Vec<String>, costs: Vec<Vec<f64>>) -> Result<Self, Error> {
        if decisions.is_empty() {
            return Err(Error::Length { what: "decisions", found: 0, expected: 1 });
        }
        for row in &costs {
            if row.len() != decisions.len() {
                return Err(Error::Length { what: "costs of a class", found: row.len(), expected: decisions.len() });
            }
            if let Some(&value) = row.iter().find(|cost| !cost.is_finite()) {
                return Err(Error::Cost { value });
            }
        }
        Ok(Self { decisions, costs })
    }

    /// What can be decided.
    pub fn decisions(&self) -> &[String] {
        &self.decisions
    }

    /// The decision of least expected cost `sum_c p_c cost[c][d]`, the first of several. Right as far as the
    /// probabilities are: calibrate them first.
    ///
    /// Takes the probability of each class, in their order.
    pub fn decide(&self, probabilities: &[f64]) -> usize {
        let expected = |decision: usize| -> f64 {
            probabilities.iter().zip(&self.costs).map(|(probability, costs)| probability * costs[decision]).sum()
        };
        let costs: Vec<f64> = (0..self.decisions.len()).map(expected).collect();
        cheapest(&costs)
    }

    /// Decides each sample and adds up what that cost. Fails when there are not as many classes as costs are of.
    pub fn apply(&self, predictions: &Predictions) -> Result<Costs, Error> {
        let classes = predictions.classes().len();
        if self.costs.len() != classes {
            return Err(Error::Length { what: "classes with costs", found: self.costs.len(), expected: classes });
        }
        let mut counts = vec![vec![0; self.decisions.len()]; classes];
        for (row, &truth) in predictions.rows().zip(predictions.truth()) {
            counts[truth][self.decide(row)] += 1;
        }
        let costs = predictions.rows().zip(predictions.truth());
        let costs = costs.map(|(row, &truth)| self.costs[truth][self.decide(row)]);
        let constant = (0..self.decisions.len()).map(|decision| {
            let costs = predictions.truth().iter().map(|&truth| self.costs[truth][decision]);
            mean(costs, Undefined::NoSamples).or_zero()
        });
        let constant: Vec<f64> = constant.collect();
        Ok(Costs {
            mean: mean(costs, Undefined::NoSamples),
            without_classifier: Score::Defined(constant[cheapest(&constant)]),
            counts,
        })
    }
}

fn cheapest(costs: &[f64]) -> usize {
    (1..costs.len()).fold(0, |best, decision| if costs[decision] < costs[best] { decision } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predictions() -> Predictions {
        let ids = (0..4).map(|i| i.to_string()).collect();
        let scores = vec![0.98, 0.02, 0.9, 0.1, 0.4, 0.6, 0.99, 0.01];
        Predictions::new(vec!["nevus".into(), "melanoma".into()], ids, vec![0, 0, 1, 1], scores).unwrap()
    }

    #[test]
    fn costs_are_added_up() {
        let decisions = ["leave", "cut out"].map(String::from).to_vec();
        let costs = CostMatrix::new(decisions, vec![vec![0.0, 1.0], vec![20.0, 0.0]]).unwrap();
        let found = costs.apply(&predictions()).unwrap();
        // Left: 0 and 3 (a melanoma, 20); cut out: 1 (a nevus, 1) and 2.
        assert_eq!(found.counts, [[1, 1], [1, 1]]);
        assert_eq!(found.mean, Score::Defined(21.0 / 4.0));
        // To cut out all costs two nevi.
        assert_eq!(found.without_classifier, Score::Defined(0.5));
    }

    #[test]
    fn equal_costs_make_the_likeliest_class_the_decision() {
        let same = vec![vec![0.0, 1.0], vec![1.0, 0.0]];
        let costs = CostMatrix::new(vec!["nevus".into(), "melanoma".into()], same).unwrap();
        let predictions = predictions();
        let decided: Vec<usize> = predictions.rows().map(|row| costs.decide(row)).collect();
        assert_eq!(decided, predictions.predicted());
        let accuracy = predictions.confusion_matrix().accuracy().or_zero();
        assert_eq!(costs.apply(&predictions).unwrap().mean, Score::Defined(1.0 - accuracy));
    }

    #[test]
    fn costs_that_do_not_fit_are_refused() {
        let decisions = || vec!["leave".to_owned(), "cut out".to_owned()];
        assert!(CostMatrix::new(vec![], vec![]).is_err());
        assert!(CostMatrix::new(decisions(), vec![vec![0.0]]).is_err());
        assert!(CostMatrix::new(decisions(), vec![vec![0.0, f64::NAN]]).is_err());
        let three = CostMatrix::new(decisions(), vec![vec![0.0, 1.0]; 3]).unwrap();
        let message = three.apply(&predictions()).unwrap_err().to_string();
        assert_eq!(message, "classes with costs: 3 given, 2 expected");
    }
}
