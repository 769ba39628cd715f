//! Values that parameters start from: a file's, or a checkpoint's.

use std::{collections::HashMap, path::Path};

use candle_core::Tensor;
use hemf_model::{ModelConfig, ParamStore, load_weights};

use crate::{
    Error,
    checkpoint::{Checkpoint, Model},
};

/// Whether `name` belongs to the last linear layer, whose size depends on the classes.
pub(super) fn is_head(name: &str) -> bool {
    name.starts_with("conv_head.")
}

/// Fills `store` with the weights at `path`; a head made for another number of classes is left out. Returns a
/// sentence about what was done.
pub(super) fn start_from(store: &ParamStore, model: &ModelConfig, path: &Path) -> Result<String, Error> {
    let mut tensors = read(path)?;
    let wanted: HashMap<String, Tensor> = store.state().into_iter().collect();
    let other_head = |(name, tensor): &(&String, &Tensor)| {
        let here = wanted.get(*name).map(Tensor::shape);
        is_head(name) && here.is_some_and(|shape| shape != tensor.shape())
    };
    let dropped: Vec<String> = tensors.iter().filter(other_head).map(|(name, _)| name.clone()).collect();
    tensors.retain(|name, _| !dropped.contains(name));

    let report = load_weights(store, model, &tensors)?;
    let missing: Vec<&String> =
        report.missing.iter().filter(|name| !(is_head(name) && dropped.contains(name))).collect();
    if let Some(first) = missing.first() {
        let what = format!(
            "lacks {} of the network's tensors, {first} among them; is it a network of other sizes?",
            missing.len()
        );
        return Err(Error::checkpoint(path, what));
    }
    let mut note = format!("starting from {} ({} tensors)", path.display(), report.loaded);
    if !dropped.is_empty() {
        note += "; its head was made for other classes and is left out";
    }
    if let Some(first) = report.unexpected.first() {
        note += &format!("; {} unknown tensors ignored, such as {first}", report.unexpected.len());
    }
    Ok(note)
}

/// Fills `store` with exactly what a checkpoint of the same run holds.
pub(super) fn restore(
    store: &ParamStore,
    model: &ModelConfig,
    tensors: &HashMap<String, Tensor>,
    checkpoint: &Checkpoint,
) -> Result<(), Error> {
    let report = load_weights(store, model, tensors)?;
    let odd = report.missing.iter().chain(&report.unexpected).next();
    match odd {
        None => Ok(()),
        Some(name) => {
            let what = format!("{name} is in only one of checkpoint and network");
            Err(Error::checkpoint(checkpoint.path(), what))
        }
    }
}

/// The tensors of a weight file, a checkpoint or a run.
fn read(path: &Path) -> Result<HashMap<String, Tensor>, Error> {
    if path.is_dir() {
        let Model { tensors, .. } = Checkpoint::find(path)?.model()?;
        return Ok(tensors);
    }
    Ok(hemf_model::read_weights(path)?)
}
