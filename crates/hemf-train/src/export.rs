//! Weights for the published code: a checkpoint's tensors in one plain file.

use std::path::Path;

use candle_core::Device;
use hemf_model::{ParamStore, load_weights, write_weights};

use crate::{Checkpoint, Error, checkpoint::Model};

/// Writes the weights of `checkpoint` to the `.safetensors` file `out` under their published names. The published code
/// loads it strictly: what it builds but never uses is in it too, at initial values.
///
/// # Errors
/// A checkpoint that does not load, or a file that cannot be written; what `out` held before is then untouched.
pub fn export(checkpoint: &Checkpoint, out: &Path) -> Result<(), Error> {
    let Model { card, tensors } = checkpoint.model()?;
    let model = card.config.model.with_classes(card.classes.len());
    let store = ParamStore::new(0, &Device::Cpu);
    model.build(store.builder())?;
    load_weights(&store, &model, &tensors)?;
    Ok(write_weights(out, &store, &model, true)?)
}
