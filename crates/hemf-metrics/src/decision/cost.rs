//! Decisions that cost least.

mod file;

use crate::score::{mean, weighted_mean};
use crate::uncertainty::{Bootstrap, Estimate, Resampling};
use crate::{Error, Predictions, Score, Undefined};
use serde::{Deserialize, Serialize};

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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct CostMatrix {
    decisions: Vec<String>,
    /// `costs[class][decision]`.
    costs: Vec<Vec<f64>>,
}

/// A matrix as it stands in a file, which anyone may have written.
#[derive(Deserialize)]
struct Unchecked {
    decisions: Vec<String>,
    costs: Vec<Vec<f64>>,
}

impl TryFrom<Unchecked> for CostMatrix {
    type Error = Error;

    fn try_from(Unchecked { decisions, costs }: Unchecked) -> Result<Self, Error> {
        Self::new(decisions, costs)
    }
}

/// What decisions of least expected cost cost in truth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Costs {
    /// Mean cost of a sample.
    pub mean: Score,
    /// The best decision for all samples alike, without looking at any.
    pub always: usize,
    /// What always deciding so costs, in the mean: what the classifier has to beat.
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

    /// What each decision costs where the class is `class`.
    ///
    /// # Panics
    /// When `class` is out of range, as indexing does.
    pub fn of_class(&self, class: usize) -> &[f64] {
        &self.costs[class]
    }

    /// Decides each sample and adds up what that cost. Fails when there are not as many classes as costs are of.
    pub fn apply(&self, predictions: &Predictions) -> Result<Costs, Error> {
        self.check(predictions.classes().len())?;
        let mut counts = vec![vec![0; self.decisions.len()]; self.costs.len()];
        for (row, &truth) in predictions.rows().zip(predictions.truth()) {
            counts[truth][self.decide(row)] += 1;
        }
        let constant: Vec<f64> = (0..self.decisions.len())
            .map(|decision| {
                let costs = predictions.truth().iter().map(|&truth| self.costs[truth][decision]);
                mean(costs, Undefined::NoSamples).or_zero()
            })
            .collect();
        let always = cheapest(&constant);
        Ok(Costs {
            mean: mean(self.paid(predictions), Undefined::NoSamples),
            always,
            without_classifier: Score::Defined(constant[always]),
            counts,
        })
    }

    /// The mean cost of [`apply`](Self::apply) with its interval. Fails as it does, and when the resampling is of another
    /// number of samples.
    pub fn mean_cost(
        &self,
        predictions: &Predictions,
        resampling: &Resampling,
        bootstrap: &Bootstrap,
    ) -> Result<Estimate, Error> {
        self.check(predictions.classes().len())?;
        resampling.check(predictions.len())?;
        let paid: Vec<f64> = self.paid(predictions).collect();
        let mean = |times: &[u32]| {
            let pairs = times.iter().zip(&paid).map(|(&times, &cost)| (f64::from(times), cost));
            vec![weighted_mean(pairs, Undefined::NoSamples)]
        };
        Ok(bootstrap.estimates(resampling, mean)[0])
    }

    /// Fails when there are not as many classes as costs are of.
    pub fn check(&self, classes: usize) -> Result<(), Error> {
        match self.costs.len() == classes {
            true => Ok(()),
            false => Err(Error::Length { what: "classes with costs", found: self.costs.len(), expected: classes }),
        }
    }

    /// The cost of the decision for each sample.
    fn paid<'a>(&'a self, predictions: &'a Predictions) -> impl Iterator<Item = f64> + 'a {
        predictions.rows().zip(predictions.truth()).map(|(row, &truth)| self.costs[truth][self.decide(row)])
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
        assert_eq!((found.always, found.without_classifier), (1, Score::Defined(0.5)));
    }

    #[test]
    fn the_mean_cost_is_as_sure_as_its_samples() {
        // 40 samples, each of cost 1 by a chance of 1/4: `scipy.stats.binom.ppf([.025, .975], 40, .25) / 40` is 0.125, 0.4.
        let ids = (0..40).map(|i| i.to_string()).collect();
        let truth = (0..40).map(|i| usize::from(i % 4 == 0)).collect();
        let predictions = Predictions::new(vec!["a".into(), "b".into()], ids, truth, [0.9, 0.1].repeat(40)).unwrap();
        let same = vec![vec![0.0, 1.0], vec![1.0, 0.0]];
        let costs = CostMatrix::new(vec!["a".into(), "b".into()], same).unwrap();
        let resampling = Resampling::samples(40).unwrap();
        let found = costs.mean_cost(&predictions, &resampling, &Bootstrap::default()).unwrap();
        assert_eq!(found.value, Score::Defined(0.25));
        assert_eq!(found.interval.map(|interval| (interval.low, interval.high)), Ok((0.125, 0.4)));
        assert!(costs.mean_cost(&predictions, &Resampling::samples(39).unwrap(), &Bootstrap::default()).is_err());
    }

    #[test]
    fn a_matrix_from_a_file_is_checked() {
        let costs = CostMatrix::new(vec!["leave".into()], vec![vec![1.5], vec![0.0]]).unwrap();
        let json = serde_json::to_string(&costs).unwrap();
        assert_eq!(serde_json::from_str::<CostMatrix>(&json).unwrap(), costs);
        assert!(serde_json::from_str::<CostMatrix>(&json.replace("[1.5]", "[1.5,2.0]")).is_err());
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
