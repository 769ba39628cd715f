//! Operating points: from which score on a sample is taken for positive.

use crate::uncertainty::{Bootstrap, Estimate, Level, Resampling};
use crate::{ClassCounts, Error, Predictions, Undefined};
use serde::Serialize;

/// What a threshold is to reach: a share above 0, up to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Target {
    rate: Rate,
    at_least: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Rate {
    Sensitivity,
    Specificity,
}

impl Target {
    /// At least this share of the samples of the class is found.
    pub fn sensitivity(at_least: f64) -> Result<Self, Error> {
        Self::new(Rate::Sensitivity, at_least)
    }

    /// At least this share of the samples of other classes is not taken for the class.
    pub fn specificity(at_least: f64) -> Result<Self, Error> {
        Self::new(Rate::Specificity, at_least)
    }

    fn new(rate: Rate, at_least: f64) -> Result<Self, Error> {
        match at_least > 0.0 && at_least <= 1.0 {
            true => Ok(Self { rate, at_least }),
            false => Err(Error::Share { what: "the target of an operating point", value: at_least }),
        }
    }
}

/// A threshold on the score of one class: samples with at least this score are taken for it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OperatingPoint {
    /// The class.
    pub class: usize,
    /// What it was chosen to reach.
    pub target: Target,
    /// The lowest score taken for positive; infinite (`null` in JSON) when no finite one reaches a target specificity.
    pub threshold: f64,
}

/// What an operating point does on a set of predictions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Operation {
    /// Share of the samples of the class that are found, with Wilson's interval.
    pub sensitivity: Estimate,
    /// Share of the other samples that are not taken for the class.
    pub specificity: Estimate,
    /// Share of those taken for the class that are of it. Follows the share of the class among the samples: not that of
    /// a population where the class is rarer.
    pub ppv: Estimate,
    /// Share of those not taken for the class that are not of it; as for `ppv`.
    pub npv: Estimate,
}

impl OperatingPoint {
    /// The threshold that reaches the target on the predictions and loses least of the other rate: the highest one for a
    /// sensitivity, the lowest one for a specificity. Undefined where the ROC curve of the class is.
    ///
    /// Choose on validation; chosen on test, the rates are better than they will ever be again.
    ///
    /// # Panics
    /// When `class` is out of range, as indexing does.
    pub fn choose(validation: &Predictions, class: usize, target: Target) -> Result<Self, Undefined> {
        let curve = validation.one_vs_rest(class);
        if let Some(reason) = curve.undefined() {
            return Err(reason);
        }
        // Thresholds fall, sensitivity rises, specificity falls. Each target is reached by the last or first point.
        let point = match target.rate {
            Rate::Sensitivity => {
                let reached = |count: u64| count as f64 / curve.positives() as f64 >= target.at_least;
                curve.points().iter().find(|point| reached(point.true_positives))
            }
            Rate::Specificity => {
                let reached = |count: u64| count as f64 / curve.negatives() as f64 >= target.at_least;
                curve.points().iter().rev().find(|point| reached(curve.negatives() - point.false_positives))
            }
        };
        let threshold = point.map_or(f64::INFINITY, |point| point.threshold);
        Ok(Self { class, target, threshold })
    }

    /// Counts at the threshold. Fails when there is no such class.
    pub fn counts(&self, predictions: &Predictions) -> Result<ClassCounts, Error> {
        self.check(predictions)?;
        Ok(self.counts_of(predictions, std::iter::repeat(&1)))
    }

    fn check(&self, predictions: &Predictions) -> Result<(), Error> {
        let classes = predictions.classes().len();
        if self.class >= classes {
            return Err(Error::ClassIndex { id: "of the operating point".to_owned(), class: self.class, classes });
        }
        Ok(())
    }

    /// Counts when each sample counts so many times.
    fn counts_of<'t>(&self, predictions: &Predictions, times: impl Iterator<Item = &'t u32>) -> ClassCounts {
        let mut counts = ClassCounts { true_positives: 0, false_positives: 0, false_negatives: 0, true_negatives: 0 };
        for ((row, &truth), &times) in predictions.rows().zip(predictions.truth()).zip(times) {
            *match (truth == self.class, row[self.class] >= self.threshold) {
                (true, true) => &mut counts.true_positives,
                (false, true) => &mut counts.false_positives,
                (true, false) => &mut counts.false_negatives,
                (false, false) => &mut counts.true_negatives,
            } += u64::from(times);
        }
        counts
    }

    /// Rates at the threshold, with intervals. Fails when there is no such class.
    pub fn apply(&self, test: &Predictions, level: Level) -> Result<Operation, Error> {
        let ClassCounts { true_positives, false_positives, false_negatives, true_negatives } = self.counts(test)?;
        let share = |hits, misses, reason| Estimate::proportion(hits, hits + misses, level, reason);
        Ok(Operation {
            sensitivity: share(true_positives, false_negatives, Undefined::NoPositives),
            specificity: share(true_negatives, false_positives, Undefined::NoNegatives),
            ppv: share(true_positives, false_positives, Undefined::NeverPredicted),
            npv: share(true_negatives, false_negatives, Undefined::AlwaysPredicted),
        })
    }

    /// As [`apply`](Self::apply) for samples that come in groups, such as the images of a patient, given the group of
    /// each: intervals are from resamples of whole groups.
    pub fn apply_in_groups(
        &self,
        test: &Predictions,
        groups: &[String],
        bootstrap: &Bootstrap,
    ) -> Result<Operation, Error> {
        self.check(test)?;
        let resampling = Resampling::groups(groups)?;
        resampling.check(test.len())?;
        let rates = |times: &[u32]| {
            let counts = self.counts_of(test, times.iter());
            vec![counts.recall(), counts.specificity(), counts.precision(), counts.negative_predictive_value()]
        };
        let [sensitivity, specificity, ppv, npv] = bootstrap.estimates(&resampling, rates)[..] else {
            unreachable!("an estimate for each rate")
        };
        Ok(Operation { sensitivity, specificity, ppv, npv })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn predictions(samples: &[(u32, bool)]) -> Predictions {
        let ids = (0..samples.len()).map(|i| i.to_string()).collect();
        let truth = samples.iter().map(|sample| usize::from(sample.1)).collect();
        let scores = samples.iter().flat_map(|&(score, _)| [1.0 - f64::from(score) / 20.0, f64::from(score) / 20.0]);
        Predictions::new(vec!["a".into(), "b".into()], ids, truth, scores.collect()).unwrap()
    }

    #[test]
    fn a_target_is_a_share() {
        for at_least in [0.0, 1.01, f64::NAN] {
            assert!(Target::sensitivity(at_least).is_err() && Target::specificity(at_least).is_err());
        }
        // Eleven of twenty is 55 %, whatever 0.55 times 20 rounds to.
        let samples: Vec<_> = (0..20).map(|i| (20 - i, true)).chain([(0, false)]).collect();
        let point = OperatingPoint::choose(&predictions(&samples), 1, Target::sensitivity(0.55).unwrap()).unwrap();
        assert_eq!(point.threshold, 10.0 / 20.0);
    }

    #[test]
    fn images_of_a_patient_count_as_one() {
        // Every patient has four equal images: four times as many samples, and no more known than of one each.
        let once: Vec<(u32, bool)> = (0..24).map(|i| (4 + i * 7 % 13, i % 3 == 0)).collect();
        let four: Vec<(u32, bool)> = once.iter().flat_map(|&sample| [sample; 4]).collect();
        let patients: Vec<String> = (0..96).map(|i| format!("patient {}", i / 4)).collect();
        let point = OperatingPoint { class: 1, target: Target::sensitivity(0.9).unwrap(), threshold: 0.5 };
        let bootstrap = Bootstrap::default();
        let grouped = point.apply_in_groups(&predictions(&four), &patients, &bootstrap).unwrap();
        let alone = point.apply(&predictions(&once), Level::default()).unwrap();
        let careless = point.apply(&predictions(&four), Level::default()).unwrap();
        assert_eq!(grouped.specificity.value, careless.specificity.value);
        let width = |operation: &Operation| operation.specificity.interval.unwrap().width();
        assert!((width(&grouped) - width(&alone)).abs() < 0.1, "{} {}", width(&grouped), width(&alone));
        assert!(width(&careless) < 0.7 * width(&grouped));
        assert!(point.apply_in_groups(&predictions(&once), &patients, &bootstrap).is_err());
    }

    #[test]
    fn a_specificity_out_of_reach_takes_none() {
        let validation = predictions(&[(20, false), (10, true)]);
        let point = OperatingPoint::choose(&validation, 1, Target::specificity(1.0).unwrap()).unwrap();
        let operation = point.apply(&validation, Level::default()).unwrap();
        assert_eq!(point.threshold, f64::INFINITY);
        assert_eq!(operation.ppv.value.reason(), Some(Undefined::NeverPredicted));
        assert!(OperatingPoint { class: 2, ..point }.apply(&validation, Level::default()).is_err());
        assert_eq!(OperatingPoint::choose(&predictions(&[(1, true)]), 1, point.target), Err(Undefined::NoNegatives));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn no_other_threshold_is_better(
            samples in vec((0..=20u32, any::<bool>()), 2..40), at_least in 1..=20u32, sensitivity in any::<bool>(),
        ) {
            let at_least = f64::from(at_least) / 20.0;
            let target =
                if sensitivity { Target::sensitivity(at_least) } else { Target::specificity(at_least) }.unwrap();
            let predictions = predictions(&samples);
            let Ok(point) = OperatingPoint::choose(&predictions, 1, target) else { return Ok(()) };
            let rates = |threshold: f64| {
                let counts = OperatingPoint { threshold, ..point }.counts(&predictions).unwrap();
                let (sensitivity_, specificity) = (counts.recall().or_zero(), counts.specificity().or_zero());
                if sensitivity { (sensitivity_, specificity) } else { (specificity, sensitivity_) }
            };
            let (reached, other) = rates(point.threshold);
            prop_assert!(reached >= at_least);
            for threshold in (0..=20).map(|i| f64::from(i) / 20.0).chain([f64::INFINITY]) {
                let (also, better) = rates(threshold);
                prop_assert!(also < at_least || better <= other);
            }
        }
    }
}
