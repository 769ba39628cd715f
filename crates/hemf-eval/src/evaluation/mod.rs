//! An evaluation: what was measured, as files. Everything that a report shows follows from these files alone.

mod audit;
#[cfg(test)]
pub(crate) mod example;
mod files;
mod measure;
mod samples;
mod settings;

use hemf_metrics::Predictions;
use hemf_metrics::decision::Temperature;
use hemf_model::ModelConfig;
use hemf_train::Begun;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Averaging, Views};

pub use audit::{Audit, ClassCount};
pub use files::EVALUATION;
pub use measure::measure;
pub use samples::{Column, Samples};
pub use settings::EvalSettings;

/// What was measured and how: the content of a report folder that is not derived from other content.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// What was measured on what.
    pub facts: Facts,
    /// Probabilities of the images of the split, before any temperature.
    pub predictions: Predictions,
    /// Those of the validation images, where decisions are chosen; `None` when there are none, or when they are what is
    /// evaluated.
    pub validation: Option<Predictions>,
    /// Group and further columns of the images of the split.
    pub samples: Samples,
    /// Pictures of the most confident errors.
    pub errors: Vec<ErrorPictures>,
    /// Loss and accuracy by epoch, where the run has them.
    pub epochs: Vec<hemf_metrics::plot::EpochScores>,
}

/// What was measured on what, and with which settings. `evaluation.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Facts {
    /// The program that measured.
    pub program: String,
    /// The networks, one or an ensemble.
    pub networks: Vec<NetworkFacts>,
    /// Views of each image that were averaged.
    pub views: Views,
    /// What was averaged.
    pub averaging: Averaging,
    /// The part of the images: `test`, `validation`, `train`, or `all` of a folder.
    pub split: String,
    /// Name of the folder that they lie in.
    #[serde(default)]
    pub data: String,
    /// Seal of the manifest that lists them.
    pub manifest_seal: String,
    /// How it was split, as the manifest says.
    pub rule: String,
    /// The seed of its split.
    pub split_seed: u64,
    /// The temperature that `predict` uses for these probabilities, where there is one.
    pub temperature: Option<FittedTemperature>,
    /// Why there is none.
    pub no_temperature: Option<String>,
    /// Why there are no validation images to choose thresholds on, where they were looked for.
    #[serde(default)]
    pub no_validation: Option<String>,
    /// What of these was chosen by the user.
    pub settings: EvalSettings,
    /// What the manifest tells of the data and of leaks between splits.
    pub audit: Audit,
}

/// A network of an evaluation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NetworkFacts {
    /// Name of its run.
    pub run: String,
    /// Kind of the network and its configuration with everything else that the run was told.
    pub config: Value,
    /// The program that trained it.
    pub program: String,
    /// Epochs trained.
    pub epoch: usize,
    /// Accuracy on the validation images that chose this epoch.
    pub validation_accuracy: Option<f64>,
    /// blake3 of `model.safetensors`.
    pub weights: String,
    /// Seal of the manifest that it was trained on; empty when that is not known.
    pub manifest_seal: String,
    /// Number of values that training could change.
    pub parameters: usize,
    /// When and where the training was begun, where its run folder tells.
    #[serde(default)]
    pub begun: Option<Begun>,
}

/// A temperature and what it does to the validation images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FittedTemperature {
    /// What logits are divided by.
    pub temperature: Temperature,
    /// Mean cross entropy of the validation images before; `None` where they were not at hand, and an earlier evaluation
    /// has fitted the temperature.
    pub validation_loss_before: Option<f64>,
    /// Mean cross entropy of the validation images after.
    pub validation_loss_after: Option<f64>,
}

/// An error of the network, pictured.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorPictures {
    /// Position among the predictions.
    pub sample: usize,
    /// What the network saw, as PNG.
    pub picture: Vec<u8>,
    /// Name of each heat map and the map laid over the picture, as PNG.
    pub heat: Vec<(String, Vec<u8>)>,
}

impl NetworkFacts {
    /// What the network is called: a preset such as `hemf-nano`, or `hemf of other sizes` and the like.
    pub fn network(&self) -> String {
        let model = self.model();
        let other = |model: &ModelConfig| format!("{} of other sizes", model.kind());
        let name = |model: ModelConfig| model.preset_name().map_or_else(|| other(&model), str::to_owned);
        model.map_or_else(|| "a network".to_owned(), name)
    }

    /// Its configuration.
    pub(crate) fn model(&self) -> Option<ModelConfig> {
        serde_json::from_value(self.config["model"].clone()).ok()
    }
}

impl Facts {
    /// The networks that were not trained on this manifest's training images: whether they saw the measured ones cannot
    /// be told.
    pub fn trained_elsewhere(&self) -> Vec<&NetworkFacts> {
        self.networks.iter().filter(|network| network.manifest_seal != self.manifest_seal).collect()
    }
}

impl Evaluation {
    /// Probabilities as `predict` gives them: by the temperature, where there is one.
    pub fn calibrated(&self) -> Predictions {
        self.with_temperature(&self.predictions)
    }

    /// The validation images' probabilities as `predict` gives them.
    pub fn calibrated_validation(&self) -> Option<Predictions> {
        self.validation.as_ref().map(|validation| self.with_temperature(validation))
    }

    fn with_temperature(&self, predictions: &Predictions) -> Predictions {
        match &self.facts.temperature {
            Some(fit) => fit.temperature.apply(predictions),
            None => predictions.clone(),
        }
    }
}

/// Positions of the samples that are classified wrongly, the most confident first.
pub(crate) fn confident_errors(predictions: &Predictions) -> Vec<usize> {
    let predicted = predictions.predicted();
    let mut errors: Vec<(usize, f64)> = predictions
        .rows()
        .zip(predictions.truth())
        .enumerate()
        .filter(|(sample, (_, truth))| predicted[*sample] != **truth)
        .map(|(sample, (row, _))| (sample, row[predicted[sample]]))
        .collect();
    errors.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    errors.into_iter().map(|(sample, _)| sample).collect()
}
