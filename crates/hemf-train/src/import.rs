//! Weights of the published code as a checkpoint of ours.

use std::path::Path;

use candle_core::{Device, Tensor};
use hemf_model::{ParamStore, load_weights, read_weights};

use crate::{Card, Checkpoint, Error, RunConfig, config::ConfigError};

/// Makes a checkpoint in the new folder `out` of the weights in `weights`, a `.safetensors`, `.pth` or `.pt` file with the
/// published names: what the network is and how images are prepared says `config`, and `classes` names the classes in
/// the order of the logits. What evaluation and prediction do with a checkpoint works with it; the data set must be
/// named, since it was trained elsewhere.
///
/// Returns a sentence about what was taken.
///
/// # Errors
/// Weights that are not exactly the network's, another number of classes, or a folder that exists or cannot be written.
pub fn import(weights: &Path, out: &Path, mut config: RunConfig, classes: Vec<String>) -> Result<String, Error> {
    if out.exists() {
        return Err(Error::checkpoint(out, "is there already; name a folder that is not"));
    }
    let tensors = read_weights(weights)?;
    config.model = config.model.with_classes(classes.len());
    check_head(weights, tensors.get("conv_head.weight"), &classes)?;
    let store = ParamStore::new(0, &Device::Cpu);
    config.model.build(store.builder())?;
    let other = |what: String| Error::checkpoint(weights, format!("{what}; --config says which network it is of"));
    let report = load_weights(&store, &config.model, &tensors).map_err(|error| other(error.to_string()))?;
    if let Some(name) = report.missing.first().or(report.unexpected.first()) {
        let (missing, unknown) = (report.missing.len(), report.unexpected.len());
        return Err(other(format!("{missing} tensors are missing and {unknown} unknown, such as {name}")));
    }
    config.data.path = None;
    let card = Card {
        program: crate::PROGRAM.to_owned(),
        classes,
        config,
        manifest_seal: String::new(), // of no manifest that is known here
        epoch: 0,
        validation_accuracy: None,
    };
    Checkpoint::at(out).save(&card, &store.state(), None)?;
    let skipped = match report.dead.len() {
        0 => String::new(),
        n => format!("; {n} that the network does not use skipped"),
    };
    Ok(format!("{} tensors taken from {}{skipped}", report.loaded, weights.display()))
}

/// The last layer has as many rows as there are classes.
fn check_head(path: &Path, head: Option<&Tensor>, classes: &[String]) -> Result<(), Error> {
    match head.and_then(|head| head.dims().first().copied()) {
        Some(rows) if rows != classes.len() => {
            let what = format!("{} names, but the weights in {} are for {rows}", classes.len(), path.display());
            Err(ConfigError::new("--classes", "", what).into())
        }
        _ => Ok(()),
    }
}
