//! Everything there is to say about a set of predictions, as numbers.

mod intervals;
mod tables;
mod text;
mod write;

pub use intervals::{Intervals, ReportOptions, ScoreInterval};
pub use tables::{ClassScores, write_reliability};
pub use write::{write_report, write_report_with};

use crate::score::weighted_mean;
use crate::{
    Average, Bins, CALIBRATION_BINS, Calibration, ClassCounts, ConfusionMatrix, Error, KappaWeights, Predictions,
    RocCurves, Score, Undefined,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// All scores of a set of predictions; `report.json` is this, field by field. A score without a value is `null` there,
/// and named with its reason under `undefined`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Number of samples.
    pub samples: u64,
    /// Samples whose class was found.
    pub correct: u64,
    /// `correct / samples`; equal to micro precision, recall and F1.
    pub accuracy: Score,
    /// Mean recall over the classes that occur.
    pub balanced_accuracy: Score,
    /// Matthews' correlation coefficient.
    pub mcc: Score,
    /// Cohen's kappa.
    pub kappa: Score,
    /// Cohen's kappa with linear weights, for classes with an order.
    pub kappa_linear: Score,
    /// Cohen's kappa with quadratic weights, for classes with an order.
    pub kappa_quadratic: Score,
    /// Share of samples with the true class among the k highest scores, for k = 1, 2, 3, 5 below the number of classes.
    pub top_k_accuracy: BTreeMap<usize, Score>,
    /// One-vs-one area under the ROC curve (Hand and Till).
    pub auc_one_vs_one: Score,
    /// Mean cross entropy in nats.
    pub log_loss: Score,
    /// Brier score summed over classes, 0 to 2.
    pub brier: Score,
    /// Expected and maximum calibration error with their bins.
    pub calibration: Calibration,
    /// Expected calibration error in bins that hold equally many samples.
    pub ece_equal_mass: Score,
    /// Means over classes, each class alike.
    #[serde(rename = "macro")]
    pub macro_average: Averages,
    /// Means over classes by support.
    pub weighted: Averages,
    /// Over all pairs of a sample and a class.
    pub micro: Averages,
    /// One entry per class, in class order.
    pub classes: Vec<ClassReport>,
    /// Counts; rows are true classes, columns predicted ones.
    pub confusion_matrix: Vec<Vec<u64>>,
    /// Every score above that has no value, and why.
    pub undefined: Vec<UndefinedScore>,
    /// Intervals, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intervals: Option<Intervals>,
}

/// One class against the rest.
#[derive(Clone, Debug, Serialize)]
pub struct ClassReport {
    /// Its name.
    pub class: String,
    /// Samples of the class.
    pub support: u64,
    /// Samples taken for the class.
    pub predicted: u64,
    /// Of the class and taken for it.
    pub true_positives: u64,
    /// Of another class, taken for this one.
    pub false_positives: u64,
    /// Of the class, taken for another one.
    pub false_negatives: u64,
    /// Of another class and not taken for this one.
    pub true_negatives: u64,
    /// Positive predictive value.
    pub precision: Score,
    /// Sensitivity.
    pub recall: Score,
    /// Harmonic mean of precision and recall.
    pub f1: Score,
    /// True negative rate.
    pub specificity: Score,
    /// Negative predictive value.
    pub npv: Score,
    /// Jaccard index: of the samples of the class or taken for it, the share that is both.
    pub jaccard: Score,
    /// Area under the ROC curve.
    pub auc: Score,
    /// Area under the precision-recall curve as a sum of steps.
    pub average_precision: Score,
    /// Area under the precision-recall curve by trapezoids.
    pub precision_recall_area: Score,
    /// Brier score, 0 to 1.
    pub brier: Score,
}

/// One mean over classes. Precision, recall and F1 of classes that have none count as 0, as in scikit-learn's report;
/// AUC and average precision are over the classes that have them.
#[derive(Clone, Debug, Serialize)]
pub struct Averages {
    /// Positive predictive value.
    pub precision: Score,
    /// Sensitivity.
    pub recall: Score,
    /// Harmonic mean of precision and recall.
    pub f1: Score,
    /// Area under the ROC curve.
    pub auc: Score,
    /// Area under the precision-recall curve as a sum of steps.
    pub average_precision: Score,
}

/// A score without a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UndefinedScore {
    /// Its field in the report.
    pub score: &'static str,
    /// The class it is of, if it is of one.
    pub class: Option<String>,
    /// Why it has none.
    pub reason: String,
    /// What the means over classes do with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_averages: Option<&'static str>,
}

impl Report {
    /// Computes everything: O(n log n) in the samples for each class.
    pub fn new(predictions: &Predictions) -> Self {
        Self::with_curves(predictions, &RocCurves::new(predictions))
    }

    /// As [`new`](Self::new), with the curves of the same predictions at hand.
    pub fn with_curves(predictions: &Predictions, curves: &RocCurves) -> Self {
        let matrix = predictions.confusion_matrix();
        let classes: Vec<ClassReport> =
            (0..matrix.classes()).map(|class| ClassReport::new(predictions, &matrix, curves, class)).collect();
        let top_k = [1, 2, 3, 5].into_iter().filter(|&k| k < matrix.classes());
        let mut report = Self {
            samples: matrix.total(),
            correct: matrix.correct(),
            accuracy: matrix.accuracy(),
            balanced_accuracy: matrix.balanced_accuracy(),
            mcc: matrix.matthews(),
            kappa: matrix.kappa(KappaWeights::None),
            kappa_linear: matrix.kappa(KappaWeights::Linear),
            kappa_quadratic: matrix.kappa(KappaWeights::Quadratic),
            top_k_accuracy: top_k.map(|k| (k, predictions.top_k_accuracy(k))).collect(),
            auc_one_vs_one: predictions.one_vs_one_auc(),
            log_loss: predictions.log_loss(),
            brier: predictions.brier(),
            calibration: predictions.calibration(),
            ece_equal_mass: predictions.calibration_in(Bins::EqualMass(CALIBRATION_BINS)).ece,
            macro_average: Averages::over_classes(Average::Macro, &matrix, &classes),
            weighted: Averages::over_classes(Average::Weighted, &matrix, &classes),
            micro: Averages {
                precision: matrix.accuracy(),
                recall: matrix.accuracy(),
                f1: matrix.accuracy(),
                auc: curves.micro.auc(),
                average_precision: curves.micro.average_precision(),
            },
            classes,
            confusion_matrix: matrix.rows().map(<[u64]>::to_vec).collect(),
            undefined: Vec::new(),
            intervals: None,
        };
        report.undefined = report.undefined_scores();
        report
    }

    /// As [`new`](Self::new), with what the options ask for. Fails when there is not a group for each sample.
    pub fn with_options(predictions: &Predictions, options: &ReportOptions) -> Result<Self, Error> {
        Self::new(predictions).add_intervals(predictions, options)
    }

    fn add_intervals(mut self, predictions: &Predictions, options: &ReportOptions) -> Result<Self, Error> {
        if let Some(bootstrap) = &options.bootstrap {
            self.intervals = Some(Intervals::new(predictions, &options.resampling(predictions)?, bootstrap)?);
        }
        Ok(self)
    }

    /// As JSON, indented, with a final newline.
    pub fn to_json(&self) -> String {
        let json = serde_json::to_string_pretty(self);
        json.expect("numbers, texts and string keys always serialise") + "\n"
    }

    fn undefined_scores(&self) -> Vec<UndefinedScore> {
        let entry = |score, class: Option<&String>, value: Score, in_averages| {
            value.reason().map(|reason| UndefinedScore {
                score,
                class: class.cloned(),
                reason: reason.to_string(),
                in_averages,
            })
        };
        let whole = [
            ("accuracy", self.accuracy),
            ("balanced_accuracy", self.balanced_accuracy),
            ("mcc", self.mcc),
            ("kappa", self.kappa),
            ("kappa_linear", self.kappa_linear),
            ("kappa_quadratic", self.kappa_quadratic),
            ("auc_one_vs_one", self.auc_one_vs_one),
            ("macro.auc", self.macro_average.auc),
            ("macro.average_precision", self.macro_average.average_precision),
            ("weighted.auc", self.weighted.auc),
            ("weighted.average_precision", self.weighted.average_precision),
            ("micro.auc", self.micro.auc),
            ("micro.average_precision", self.micro.average_precision),
        ];
        let whole = whole.into_iter().filter_map(|(name, value)| entry(name, None, value, None));
        let per_class = self.classes.iter().flat_map(|class| {
            let zero = Some("counted as 0 in the averages");
            let out = Some("left out of the averages");
            [
                ("precision", class.precision, zero),
                ("recall", class.recall, zero),
                ("f1", class.f1, zero),
                ("specificity", class.specificity, None),
                ("npv", class.npv, None),
                ("jaccard", class.jaccard, None),
                ("auc", class.auc, out),
                ("average_precision", class.average_precision, out),
                ("precision_recall_area", class.precision_recall_area, None),
            ]
            .into_iter()
            .filter_map(move |(name, value, use_)| entry(name, Some(&class.class), value, use_))
        });
        whole.chain(per_class).collect()
    }
}

impl ClassReport {
    fn new(predictions: &Predictions, matrix: &ConfusionMatrix, curves: &RocCurves, class: usize) -> Self {
        let counts = matrix.class(class);
        let (name, curve) = &curves.classes[class];
        Self {
            class: name.clone(),
            support: matrix.support(class),
            predicted: matrix.predicted(class),
            true_positives: counts.true_positives,
            false_positives: counts.false_positives,
            false_negatives: counts.false_negatives,
            true_negatives: counts.true_negatives,
            precision: counts.precision(),
            recall: counts.recall(),
            f1: counts.f1(),
            specificity: counts.specificity(),
            npv: counts.negative_predictive_value(),
            jaccard: counts.jaccard(),
            auc: curve.auc(),
            average_precision: curve.average_precision(),
            precision_recall_area: curve.precision_recall_area(),
            brier: predictions.brier_one_vs_rest(class),
        }
    }
}

impl Averages {
    fn over_classes(average: Average, matrix: &ConfusionMatrix, classes: &[ClassReport]) -> Self {
        let defined = |score: fn(&ClassReport) -> Score| {
            let pairs = classes.iter().filter_map(|class| {
                let weight = match average {
                    Average::Macro => 1.0,
                    Average::Weighted => class.support as f64,
                };
                Some((weight, score(class).value()?))
            });
            weighted_mean(pairs, Undefined::NoClass)
        };
        Self {
            precision: matrix.average(average, ClassCounts::precision),
            recall: matrix.average(average, ClassCounts::recall),
            f1: matrix.average(average, ClassCounts::f1),
            auc: defined(|class| class.auc),
            average_precision: defined(|class| class.average_precision),
        }
    }
}
