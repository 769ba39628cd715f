//! The scores of a validation, and which of them decides.

use hemf_metrics::{Predictions, Report, Score};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, predict::Scores};

/// The scores of one validation. One that is undefined (the area of a class that does not occur) is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// Mean cross entropy per image.
    pub loss: f64,
    /// Share of images classified correctly.
    pub accuracy: f64,
    /// Mean recall over the classes.
    pub balanced_accuracy: Option<f64>,
    /// Mean F1 over the classes.
    pub macro_f1: Option<f64>,
    /// Mean area under the ROC curve, each class against the rest.
    pub macro_auc: Option<f64>,
    /// Mean area under the precision-recall curve, each class against the rest.
    pub macro_average_precision: Option<f64>,
    /// Matthews' correlation coefficient.
    pub mcc: Option<f64>,
    /// Cohen's kappa.
    pub kappa: Option<f64>,
    /// Cohen's kappa with quadratic weights, for classes with an order.
    pub kappa_quadratic: Option<f64>,
    /// Brier score.
    pub brier: Option<f64>,
}

/// The validation score that decides which checkpoint is best and when training stops early.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Share of images classified correctly.
    #[default]
    Accuracy,
    /// Mean cross entropy; the lower, the better.
    Loss,
    /// Mean recall over the classes.
    BalancedAccuracy,
    /// Mean F1 over the classes.
    MacroF1,
    /// Mean area under the ROC curve, each class against the rest.
    MacroAuc,
    /// Mean area under the precision-recall curve, each class against the rest.
    MacroAveragePrecision,
    /// Matthews' correlation coefficient.
    Mcc,
    /// Cohen's kappa.
    Kappa,
    /// Cohen's kappa with quadratic weights.
    KappaQuadratic,
    /// Brier score; the lower, the better.
    Brier,
}

impl Validation {
    /// Of the probabilities of a whole split with its true classes (indices into `classes`).
    pub(crate) fn of(scores: Scores, truth: &[usize], classes: &[String]) -> Result<Self, Error> {
        let ids = (0..truth.len()).map(|index| index.to_string()).collect();
        let predictions = Predictions::new(classes.to_vec(), ids, truth.to_vec(), scores.probabilities)?;
        let report = Report::new(&predictions);
        Ok(Self {
            loss: scores.tally.mean_loss(),
            accuracy: scores.tally.accuracy(),
            balanced_accuracy: report.balanced_accuracy.value(),
            macro_f1: report.macro_average.f1.value(),
            macro_auc: report.macro_average.auc.value(),
            macro_average_precision: report.macro_average.average_precision.value(),
            mcc: report.mcc.value(),
            kappa: report.kappa.value(),
            kappa_quadratic: report.kappa_quadratic.value(),
            brier: Score::value(report.brier),
        })
    }
}

impl Metric {
    /// Its value in a validation; `None` where it is undefined.
    pub fn of(self, validation: &Validation) -> Option<f64> {
        match self {
            Self::Accuracy => Some(validation.accuracy),
            Self::Loss => Some(validation.loss),
            Self::BalancedAccuracy => validation.balanced_accuracy,
            Self::MacroF1 => validation.macro_f1,
            Self::MacroAuc => validation.macro_auc,
            Self::MacroAveragePrecision => validation.macro_average_precision,
            Self::Mcc => validation.mcc,
            Self::Kappa => validation.kappa,
            Self::KappaQuadratic => validation.kappa_quadratic,
            Self::Brier => validation.brier,
        }
    }

    /// How much better `score` is than `than`; negative where it is worse.
    pub fn gain(self, score: f64, than: f64) -> f64 {
        match self {
            Self::Loss | Self::Brier => than - score,
            _ => score - than,
        }
    }

    /// Its name in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::Loss => "loss",
            Self::BalancedAccuracy => "balanced accuracy",
            Self::MacroF1 => "macro F1",
            Self::MacroAuc => "macro AUC",
            Self::MacroAveragePrecision => "macro average precision",
            Self::Mcc => "MCC",
            Self::Kappa => "kappa",
            Self::KappaQuadratic => "quadratic kappa",
            Self::Brier => "Brier score",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Tally;

    #[test]
    fn scores_are_the_reports_and_undefined_ones_are_left_out() {
        let mut tally = Tally::default();
        tally.add(0.5, 2, 3);
        let probabilities = vec![0.9, 0.1, 0.4, 0.6, 0.3, 0.7];
        let scores = Scores { probabilities, tally };
        let classes = ["a".to_owned(), "b".to_owned()];
        let validation = Validation::of(scores, &[0, 0, 1], &classes).unwrap();
        assert_eq!((validation.loss, validation.accuracy), (0.5, 2.0 / 3.0));
        assert_eq!(Metric::BalancedAccuracy.of(&validation), Some(0.75));
        assert_eq!(Metric::MacroAuc.of(&validation), Some(1.0));

        let scores = Scores { probabilities: vec![0.9, 0.1], tally };
        let one_class = Validation::of(scores, &[0], &classes).unwrap();
        assert_eq!(Metric::MacroAuc.of(&one_class), None);
    }

    #[test]
    fn a_lower_loss_is_a_gain() {
        assert!(Metric::Loss.gain(0.2, 0.3) > 0.0 && Metric::Accuracy.gain(0.2, 0.3) < 0.0);
    }
}
