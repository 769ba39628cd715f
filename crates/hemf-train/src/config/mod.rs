//! The configuration of a run: what may be set, its defaults, and how it is read.

use std::path::{Path, PathBuf};

use hemf_data::{Augmentation, Prepare, Preprocessing, Sampling};
use hemf_model::{HemfConfig, ModelConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_yaml::{Mapping, Value};

mod built_in;
mod check;
mod layers;
mod origins;
mod recipe;
mod schema;
mod typed;

pub use layers::Layer;
pub use recipe::{
    BatchNormOver, DistributedConfig, EarlyStopping, Every, Freeze, Patterns, Precision, SaveEvery, TrainConfig,
    Validate,
};

/// A configuration that cannot be used: `FILE: KEY: what is wrong and what is allowed`.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{source_name}: {}{message}", if key.is_empty() { String::new() } else { format!("{key}: ") })]
pub struct ConfigError {
    /// The file or flag that the key was read from.
    pub source_name: String,
    /// The key's path, such as `train.epochs`; empty when the whole file is meant.
    pub key: String,
    /// What is wrong, and what is allowed.
    pub message: String,
}

impl ConfigError {
    pub(crate) fn new(source: &str, key: &str, message: impl Into<String>) -> Self {
        Self {
            source_name: source.to_owned(),
            key: key.to_owned(),
            // YAML's own messages span lines when they quote the text.
            message: message.into().replace('\n', " "),
        }
    }
}

/// Everything that decides what a run does. The default is the published recipe (`docs/paper-to-code.md`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// The network.
    pub model: ModelConfig,
    /// The images and how they are prepared.
    pub data: DataConfig,
    /// How the network is trained.
    pub train: TrainConfig,
    /// Where results go.
    pub output: OutputConfig,
}

/// The images and how they become batches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// A manifest, or a folder of images; relative paths start at the working folder.
    pub path: Option<PathBuf>,
    /// Goes on with a manifest whose rows or files were changed since it was written, taking them as they are.
    pub allow_changed: bool,
    /// How a folder without a manifest is split.
    pub prepare: Prepare,
    /// Size and scaling; stored in every checkpoint, and the same for training, evaluation and prediction.
    pub preprocessing: Preprocessing,
    /// Random changes to training images.
    pub augmentation: Augmentation,
    /// Which training images an epoch takes.
    pub sampling: Sampling,
    /// Decoded pictures are kept on disk, in up to so many MiB (in `$HEMF_CACHE` or `~/.cache/hemf`), so that later epochs
    /// are cheap; 0: none are.
    pub cache: u32,
    /// Threads that decode images, each with up to two batches in memory; 0 for one per core, at most 16.
    pub workers: usize,
}

/// Where results go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OutputConfig {
    /// The folder that run folders are made in.
    pub folder: PathBuf,
    /// The run folder's name; a number is added when it is taken.
    pub name: String,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            model: ModelConfig::Hemf(HemfConfig::default()),
            data: DataConfig::default(),
            train: TrainConfig::default(),
            output: OutputConfig::default(),
        }
    }
}

impl Default for OutputConfig {
    fn default() -> Self {
        Self { folder: PathBuf::from("runs"), name: "run".to_owned() }
    }
}

impl RunConfig {
    /// Reads the file at `path`, or the built-in configuration of this name, over its `base:` files, with `over` (flags) on
    /// top.
    ///
    /// # Errors
    /// [`ConfigError`], when a file cannot be read, a key is unknown, or a value is not allowed.
    pub fn load(path: &Path, over: &[Layer]) -> Result<Self, ConfigError> {
        let mut layers = Layer::read_chain(path)?;
        layers.extend_from_slice(over);
        Self::from_layers(&layers)
    }

    /// Lays `layers` over the defaults, later over earlier.
    ///
    /// # Errors
    /// [`ConfigError`], when a key is unknown or a value is not allowed.
    pub fn from_layers(layers: &[Layer]) -> Result<Self, ConfigError> {
        let bottom = layers::variants(&as_mapping(&Self::default()));
        let merged = layers::merge_all(bottom, layers, preset)?;
        let config: Self = typed::typed(merged, layers, || schema::keys(&Self::schema()))?;
        config.check().map_err(|(key, message)| {
            let path: Vec<String> = key.split('.').map(str::to_owned).collect();
            let source = layers::origin(layers, &path).unwrap_or("configuration");
            ConfigError::new(source, &key, message)
        })?;
        Ok(config)
    }

    /// Whether a run of this configuration is one of `asked`: they are equal, but that a run knows its classes.
    pub(crate) fn is_run_of(&self, asked: &Self) -> bool {
        let mut asked = asked.clone();
        if let (None, Some(classes)) = (asked.model.classes(), self.model.classes()) {
            asked.model = asked.model.with_classes(classes);
        }
        *self == asked
    }

    /// The whole configuration as YAML, every default written out.
    pub fn to_yaml(&self) -> String {
        serde_yaml::to_string(&as_mapping(self)).unwrap_or_default()
    }

    /// The whole configuration as JSON, every default written out.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

/// The model that a preset's name stands for.
fn preset(name: &Value) -> Result<Mapping, String> {
    let name = name.as_str().unwrap_or_default();
    let model = ModelConfig::preset(name).ok_or_else(|| typed::unknown("preset", name, &ModelConfig::PRESETS))?;
    Ok(as_mapping(&model))
}

/// A configuration as YAML. Its keys are strings, and its values plain (paths were read from text), so this cannot fail.
fn as_mapping(config: &impl Serialize) -> Mapping {
    match serde_yaml::to_value(config) {
        Ok(Value::Mapping(mapping)) => mapping,
        _ => Mapping::new(),
    }
}
