//! Values that parameters start from: a file's, or a checkpoint's.

use std::{collections::HashMap, path::Path};

use candle_core::Tensor;
use hemf_model::{ModelConfig, ParamStore, load_weights};

use crate::{Error, checkpoint::Checkpoint};

/// Whether `name` belongs to the last linear layer, whose size depends on the classes.
pub(super) fn is_head(name: &str) -> bool {
    name.starts_with("conv_head.")
}

/// Fills `store`, of a network that is to know `classes`, with the weights at `path`; a head made for another number of them, or
/// not whole, is left out. Returns a sentence about what was done.
pub(super) fn start_from(
    store: &ParamStore,
    model: &ModelConfig,
    classes: &[String],
    path: &Path,
) -> Result<String, Error> {
    let (mut tensors, known) = read(path)?;
    let wanted = store.state();
    let fits = |name: &str, tensor: &Tensor| tensors.get(name).is_some_and(|found| found.shape() == tensor.shape());
    let has_head = tensors.keys().any(|name| is_head(name));
    let keep_head = wanted.iter().filter(|(name, _)| is_head(name)).all(|(name, tensor)| fits(name, tensor));
    tensors.retain(|name, _| keep_head || !is_head(name));

    let report = load_weights(store, model, &tensors).map_err(of(path))?;
    let missing: Vec<&String> = report.missing.iter().filter(|name| !is_head(name)).collect();
    if let Some(first) = missing.first() {
        let what = format!(
            "lacks {} of the network's tensors, {first} among them; is it a network of other sizes?",
            missing.len()
        );
        return Err(Error::checkpoint(path, what));
    }
    let mut note = format!("starting from {} ({} tensors)", path.display(), report.loaded);
    note += &match (keep_head, has_head, known.filter(|known| known != classes)) {
        (true, _, None) => String::new(),
        (true, _, Some(known)) => format!("; its head, which is kept, knows the classes {}", known.join(", ")),
        (false, true, _) => "; its head was made for other classes and is left out".to_owned(),
        (false, false, _) => "; it has no head, which starts afresh".to_owned(),
    };
    if !report.dead.is_empty() {
        note += &format!("; {} tensors that the network does not use skipped", report.dead.len());
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
    let report = load_weights(store, model, tensors).map_err(of(checkpoint.path()))?;
    let odd = report.missing.iter().chain(&report.unexpected).next();
    match odd {
        None => Ok(()),
        Some(name) => {
            let what = format!("{name} is in only one of checkpoint and network");
            Err(Error::checkpoint(checkpoint.path(), what))
        }
    }
}

/// Names the file in errors about its weights, which say only the weight's name.
fn of(path: &Path) -> impl Fn(hemf_model::Error) -> Error {
    move |error| match error {
        hemf_model::Error::Shape { .. } | hemf_model::Error::Copies { .. } => {
            Error::checkpoint(path, error.to_string())
        }
        other => other.into(),
    }
}

type Tensors = HashMap<String, Tensor>;

/// The tensors of a weight file, a checkpoint or a run, and its classes where they are known.
fn read(path: &Path) -> Result<(Tensors, Option<Vec<String>>), Error> {
    if path.is_dir() || Checkpoint::is_model_of_one(path) {
        let model = Checkpoint::find(path)?.model()?;
        return Ok((model.weights.tensors()?, Some(model.card.classes)));
    }
    Ok((hemf_model::read_weights(path)?, None))
}
