//! How large a network is that a configuration, a checkpoint or a preset's name stands for.

use std::path::Path;

use hemf_model::{ModelConfig, Part};
use serde::Serialize;

use crate::{Checkpoint, ConfigError, Error, Layer, RunConfig};

/// Classes of a network that nobody has named a number for: those of ISIC2018, which the published sizes are for.
const CLASSES: usize = 7;

/// A network's size, and for which images and classes it was counted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Info {
    /// Side of the images in pixels.
    pub image_size: usize,
    /// Classes.
    pub classes: usize,
    /// Whether `classes` is a guess, since neither configuration nor checkpoint names a number.
    pub classes_assumed: bool,
    /// The network and its parts.
    pub network: Part,
}

/// The size of the network that `target` stands for: a configuration file, a run folder or checkpoint, or the name of a
/// preset. `over` changes settings of a configuration or preset.
///
/// # Errors
/// A file that is none of these, or settings that no network can be built from.
pub fn info(target: &Path, over: &[Layer]) -> Result<Info, Error> {
    let config = configuration(target, over)?;
    let classes_assumed = config.model.classes().is_none();
    let classes = config.model.classes().unwrap_or(CLASSES);
    let image_size = config.data.preprocessing.size;
    let network = config.model.with_classes(classes).size_report(image_size, image_size)?;
    Ok(Info { image_size, classes, classes_assumed, network })
}

/// What `target` names: a configuration file, a run folder or checkpoint, or a preset; with `over` laid over it.
///
/// # Errors
/// As [`info`].
pub fn configuration(target: &Path, over: &[Layer]) -> Result<RunConfig, Error> {
    let is_yaml = target.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    if is_yaml {
        return Ok(RunConfig::load(target, over)?);
    }
    let preset = target.to_str().filter(|name| ModelConfig::PRESETS.contains(name));
    if let Some(name) = preset.filter(|_| !target.exists()) {
        let layers = [&[Layer::set("preset", "model.preset", name)?], over].concat();
        return Ok(RunConfig::from_layers(&layers)?);
    }
    if let (false, Some(Ok(layers))) = (target.exists(), target.to_str().map(Layer::built_in)) {
        return Ok(RunConfig::from_layers(&[layers, over.to_vec()].concat())?);
    }
    let checkpoint = Checkpoint::find(target).map_err(|error| match target.exists() {
        true => error,
        false => {
            let presets = ModelConfig::PRESETS.join(", ");
            let what = "is not there, and no preset or built-in configuration is called so";
            Error::checkpoint(target, format!("{what}; presets: {presets}"))
        }
    })?;
    if !over.is_empty() {
        let what = "cannot change a network that is trained already; name a configuration file or a preset";
        return Err(ConfigError::new("--set", "", what).into());
    }
    let card = checkpoint.model()?.card;
    let mut config = card.config;
    config.model = config.model.with_classes(card.classes.len());
    Ok(config)
}
