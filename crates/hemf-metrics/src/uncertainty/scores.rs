//! The scores of a report as functions of how often each sample counts, which is what a bootstrap asks for.

use crate::argmax;
use crate::probability::{loss, rank, row_brier, square_error};
use crate::ranking::{Areas, Ranking, one_vs_one};
use crate::score::weighted_mean;
use crate::{Average, ClassCounts, ConfusionMatrix, KappaWeights, Predictions, RocCurve, Score, Undefined};

/// Scores of the whole, by their place in `report.json`. Those left out equal one of these (micro F1 is accuracy), or
/// cannot be resampled: calibration errors grow with every sample that is drawn twice.
const WHOLE: [&str; 21] = [
    "accuracy",
    "balanced_accuracy",
    "mcc",
    "kappa",
    "kappa_linear",
    "kappa_quadratic",
    "auc_one_vs_one",
    "log_loss",
    "brier",
    "macro.precision",
    "macro.recall",
    "macro.f1",
    "macro.jaccard",
    "macro.auc",
    "macro.average_precision",
    "weighted.precision",
    "weighted.f1",
    "weighted.auc",
    "weighted.average_precision",
    "micro.auc",
    "micro.average_precision",
];

/// Scores of a class, by their place in its entry of `report.json`.
const OF_CLASS: [&str; 10] = [
    "precision",
    "recall",
    "f1",
    "jaccard",
    "specificity",
    "npv",
    "auc",
    "average_precision",
    "precision_recall_area",
    "brier",
];

/// Values of `k` whose top-k accuracy is told, where there are more classes.
const TOP: [usize; 3] = [2, 3, 5];

/// What a score is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// Its place in the report, such as `macro.f1`.
    pub(crate) score: String,
    /// The class it is of, if it is of one.
    pub(crate) class: Option<usize>,
}

/// Predictions prepared for being scored many times: sorted once, losses taken once.
pub(crate) struct Scorer<'a> {
    predictions: &'a Predictions,
    predicted: Vec<usize>,
    /// Whether a class has samples.
    occurs: Vec<bool>,
    /// Place of the true class among the scores.
    ranks: Vec<usize>,
    losses: Vec<f64>,
    briers: Vec<f64>,
    by_class: Vec<Ranking>,
    /// Pairs of a sample and a class, by `sample * classes + class`.
    pairs: Ranking,
}

impl<'a> Scorer<'a> {
    pub(crate) fn new(predictions: &'a Predictions) -> Self {
        let rows = || predictions.rows().zip(predictions.truth().iter().copied());
        Self {
            predicted: predictions.rows().map(argmax).collect(),
            occurs: (0..predictions.classes().len()).map(|class| predictions.truth().contains(&class)).collect(),
            ranks: rows().map(|(row, truth)| rank(row, truth)).collect(),
            losses: rows().map(|(row, truth)| loss(row, truth)).collect(),
            briers: rows().map(|(row, truth)| row_brier(row, truth)).collect(),
            by_class: (0..predictions.classes().len()).map(|class| Ranking::by_class(predictions, class)).collect(),
            pairs: Ranking::new(predictions.rows().flatten().copied()),
            predictions,
        }
    }

    /// What [`scores`](Self::scores) are, in their order.
    pub(crate) fn names(&self) -> Vec<Name> {
        let whole = WHOLE.map(|score| Name { score: score.to_owned(), class: None });
        let top = self.top().map(|k| Name { score: format!("top_k_accuracy.{k}"), class: None });
        let of_class = (0..self.predictions.classes().len())
            .flat_map(|class| OF_CLASS.map(|score| Name { score: score.to_owned(), class: Some(class) }));
        whole.into_iter().chain(top).chain(of_class).collect()
    }

    /// All scores when sample `i` counts `times[i]` times: those of the report of such a list of samples. Only, means over
    /// classes are undefined where a class has samples and none of them is drawn, as happens when whole groups are: a class
    /// of few groups would count as 0 in some resamples or be left out, and the mean jump by what is no spread.
    pub(crate) fn scores(&self, times: &[u32]) -> Vec<Score> {
        let matrix = self.matrix(times);
        let areas: Vec<Areas> = (0..matrix.classes()).map(|class| self.areas(class, times)).collect();
        let mut scores = self.whole(times, &matrix, &areas).to_vec();
        scores.extend(self.top().map(|k| {
            let hits = self.ranks.iter().zip(times).filter(|(rank, _)| **rank < k);
            let hits = hits.map(|(_, &times)| u64::from(times)).sum();
            Score::ratio(hits, matrix.total(), Undefined::NoSamples)
        }));
        scores.extend(areas.iter().enumerate().flat_map(|(class, areas)| self.of_class(times, &matrix, class, areas)));
        scores
    }

    /// The ROC curve of a class against the rest.
    pub(crate) fn curve(&self, class: usize, times: &[u32]) -> RocCurve {
        let truth = self.predictions.truth();
        self.by_class[class].curve(|sample| (times[sample].into(), truth[sample] == class))
    }

    fn areas(&self, class: usize, times: &[u32]) -> Areas {
        let truth = self.predictions.truth();
        self.by_class[class].areas(|sample| (times[sample].into(), truth[sample] == class))
    }

    /// Share of the samples whose class was found.
    pub(crate) fn accuracy(&self, times: &[u32]) -> Score {
        self.matrix(times).accuracy()
    }

    /// Mean recall over the classes that occur.
    pub(crate) fn balanced_accuracy(&self, times: &[u32]) -> Score {
        let matrix = self.matrix(times);
        self.of_all_classes(&matrix, matrix.balanced_accuracy())
    }

    /// Mean F1 over the classes.
    pub(crate) fn macro_f1(&self, times: &[u32]) -> Score {
        let matrix = self.matrix(times);
        self.of_all_classes(&matrix, matrix.average(Average::Macro, ClassCounts::f1))
    }

    /// Mean area over the classes that have one.
    pub(crate) fn macro_auc(&self, times: &[u32]) -> Score {
        let areas = (0..self.by_class.len()).filter_map(|class| self.areas(class, times).auc.value());
        self.of_all_classes(&self.matrix(times), crate::score::mean(areas, Undefined::NoClass))
    }

    /// Whether every class that has samples has some among those drawn.
    pub(crate) fn draws_all_classes(&self, times: &[u32]) -> bool {
        let mut missing = self.occurs.clone();
        for (&truth, &times) in self.predictions.truth().iter().zip(times) {
            missing[truth] &= times == 0;
        }
        !missing.contains(&true)
    }

    /// A mean over classes, where none of them went missing.
    fn of_all_classes(&self, drawn: &ConfusionMatrix, score: Score) -> Score {
        let missing = self.occurs.iter().enumerate().any(|(class, &occurs)| occurs && drawn.support(class) == 0);
        if missing { Score::Undefined(Undefined::ClassNotDrawn) } else { score }
    }

    fn matrix(&self, times: &[u32]) -> ConfusionMatrix {
        let mut matrix = ConfusionMatrix::new(self.predictions.classes().len());
        for ((&truth, &predicted), &times) in self.predictions.truth().iter().zip(&self.predicted).zip(times) {
            matrix.record_times(truth, predicted, times.into());
        }
        matrix
    }

    fn top(&self) -> impl Iterator<Item = usize> {
        let classes = self.predictions.classes().len();
        TOP.into_iter().filter(move |&k| k < classes)
    }

    fn whole(&self, times: &[u32], matrix: &ConfusionMatrix, areas: &[Areas]) -> [Score; WHOLE.len()] {
        let truth = self.predictions.truth();
        let classes = matrix.classes();
        let support: Vec<u64> = (0..classes).map(|class| matrix.support(class)).collect();
        let pairwise: Vec<Vec<Score>> = (0..classes)
            .map(|class| self.by_class[class].against_each(class, truth, classes, |sample| times[sample].into()))
            .collect();
        let mean_of =
            |score: fn(&ClassCounts) -> Score| self.of_all_classes(matrix, matrix.average(Average::Macro, score));
        let micro = self.pairs.areas(|pair| (times[pair / classes].into(), truth[pair / classes] == pair % classes));
        let defined = |average: Average, score: fn(&Areas) -> Score| {
            let pairs = areas.iter().zip(&support).filter_map(|(areas, &support)| {
                let weight = match average {
                    Average::Macro => 1.0,
                    Average::Weighted => support as f64,
                };
                Some((weight, score(areas).value()?))
            });
            weighted_mean(pairs, Undefined::NoClass)
        };
        [
            matrix.accuracy(),
            self.of_all_classes(matrix, matrix.balanced_accuracy()),
            matrix.matthews(),
            matrix.kappa(KappaWeights::None),
            matrix.kappa(KappaWeights::Linear),
            matrix.kappa(KappaWeights::Quadratic),
            self.of_all_classes(matrix, one_vs_one(&pairwise, &support, Average::Macro)),
            mean(&self.losses, times),
            mean(&self.briers, times),
            mean_of(ClassCounts::precision),
            mean_of(ClassCounts::recall),
            mean_of(ClassCounts::f1),
            mean_of(ClassCounts::jaccard),
            self.of_all_classes(matrix, defined(Average::Macro, |areas| areas.auc)),
            self.of_all_classes(matrix, defined(Average::Macro, |areas| areas.average_precision)),
            matrix.average(Average::Weighted, ClassCounts::precision),
            matrix.average(Average::Weighted, ClassCounts::f1),
            defined(Average::Weighted, |areas| areas.auc),
            defined(Average::Weighted, |areas| areas.average_precision),
            micro.auc,
            micro.average_precision,
        ]
    }

    fn of_class(
        &self,
        times: &[u32],
        matrix: &ConfusionMatrix,
        class: usize,
        areas: &Areas,
    ) -> [Score; OF_CLASS.len()] {
        let counts = matrix.class(class);
        let squares = self.predictions.rows().zip(self.predictions.truth()).zip(times);
        let squares =
            squares.map(|((row, &truth), &times)| (f64::from(times), square_error(row[class], truth == class)));
        [
            counts.precision(),
            counts.recall(),
            counts.f1(),
            counts.jaccard(),
            counts.specificity(),
            counts.negative_predictive_value(),
            areas.auc,
            areas.average_precision,
            areas.precision_recall_area,
            weighted_mean(squares, Undefined::NoSamples),
        ]
    }
}

fn mean(values: &[f64], times: &[u32]) -> Score {
    let pairs = values.iter().zip(times).map(|(&value, &times)| (f64::from(times), value));
    weighted_mean(pairs, Undefined::NoSamples)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Report;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use serde_json::Value;

    /// The score of that name in a report, where it has one.
    fn in_report<'a>(report: &'a Value, name: &Name) -> Option<&'a Value> {
        let whole = match name.class {
            Some(class) => &report["classes"][class],
            None => report,
        };
        name.score.split('.').try_fold(whole, |value, part| value.get(part))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn counting_a_sample_twice_is_having_it_twice(
            classes in 1..5usize,
            samples in vec((0..5usize, vec(1..6u32, 5), 0..4u32), 1..20),
        ) {
            let rows: Vec<(usize, Vec<f64>, u32)> = samples.into_iter().map(|(truth, row, times)| {
                let sum: u32 = row[..classes].iter().sum();
                (truth % classes, row[..classes].iter().map(|&x| f64::from(x) / f64::from(sum)).collect(), times)
            }).collect();
            let build = |repeat: bool| {
                let rows = rows.iter().flat_map(|(truth, row, times)| {
                    std::iter::repeat_n((*truth, row.clone()), if repeat { *times as usize } else { 1 })
                });
                let (truth, rows): (Vec<usize>, Vec<Vec<f64>>) = rows.unzip();
                let names = (0..classes).map(|class| class.to_string()).collect();
                let ids = (0..truth.len()).map(|sample| sample.to_string()).collect();
                Predictions::new(names, ids, truth, rows.concat())
            };
            let times: Vec<u32> = rows.iter().map(|row| row.2).collect();
            prop_assume!(times.iter().any(|&times| times > 0));
            let once = build(false).unwrap();
            let report = serde_json::to_value(Report::new(&build(true).unwrap())).unwrap();
            let scorer = Scorer::new(&once);
            let (names, scores) = (scorer.names(), scorer.scores(&times));
            prop_assert_eq!(names.len(), scores.len());
            for (name, score) in names.iter().zip(scores) {
                let of_all = ["balanced_accuracy", "auc_one_vs_one"].contains(&&*name.score)
                    || name.score.starts_with("macro.");
                if of_all && !scorer.draws_all_classes(&times) {
                    prop_assert_eq!(score.reason(), Some(Undefined::ClassNotDrawn));
                    continue;
                }
                match in_report(&report, name) {
                    None => prop_assert!(name.score.ends_with("jaccard"), "{:?}", name),
                    Some(expected) => {
                        let close = match (score.value(), expected.as_f64()) {
                            (Some(found), Some(expected)) => (found - expected).abs() < 1e-12,
                            (found, expected) => found == expected,
                        };
                        prop_assert!(close, "{:?}: {:?}, not {}", name, score, expected);
                    }
                }
            }
        }
    }
}
