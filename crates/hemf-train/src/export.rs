//! A trained network for other programs: its weights in one plain file, or the whole of it as ONNX.

use std::{collections::HashMap, path::Path};

use candle_core::Device;
use hemf_model::{Graph, ModelConfig, ParamStore, load_weights, published_state, write_weights};

use crate::{Card, Checkpoint, Error, checkpoint::Model};

/// What an exported file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Safetensors,
    Pth,
    Onnx,
}

impl Format {
    fn of(path: &Path) -> Result<Self, Error> {
        let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
        match extension.as_deref() {
            Some("safetensors") => Ok(Self::Safetensors),
            Some("pth" | "pt") => Ok(Self::Pth),
            Some("onnx") => Ok(Self::Onnx),
            _ => Err(Error::checkpoint(path, "networks are exported to .safetensors, .pth, .pt or .onnx files")),
        }
    }
}

/// Writes the network of `checkpoint` to `out`, as its extension says.
///
/// `.safetensors`, `.pth` and `.pt` hold the weights under their published names. The published code loads them
/// strictly: what it builds but never uses is in them too, at initial values. `torch.load` opens a `.pth` with
/// `weights_only=True`.
///
/// `.onnx` is the network itself, for any batch of images of the size that it was trained with. Its metadata has
/// `classes` (their names, as JSON), `preprocessing` and `model` (as in the configuration, as JSON).
///
/// # Errors
/// Another extension, a checkpoint that does not load, or a file that cannot be written; what `out` held before is then
/// untouched.
pub fn export(checkpoint: &Checkpoint, out: &Path) -> Result<(), Error> {
    let format = Format::of(out)?;
    let Model { card, weights, .. } = checkpoint.model()?;
    let model = card.config.model.clone().with_classes(card.classes.len());
    let store = ParamStore::new(0, &Device::Cpu);
    model.build(store.builder())?;
    load_weights(&store, &model, &weights.tensors()?)?;
    match format {
        Format::Safetensors => write_weights(out, &store, &model, true)?,
        Format::Pth => hemf_export::write_pth(out, &published_state(&store, &model)?)?,
        Format::Onnx => {
            let size = card.config.data.preprocessing.size;
            let weights: HashMap<_, _> = store.state().into_iter().collect();
            hemf_export::write_onnx(out, &Graph::new(&model, size, size)?, &weights, &notes(&card, &model))?;
        }
    }
    Ok(())
}

/// What one must know to use the network, as JSON by key.
fn notes(card: &Card, model: &ModelConfig) -> Vec<(String, String)> {
    let classes = serde_json::to_string(&card.classes);
    let preprocessing = serde_json::to_string(&card.config.data.preprocessing);
    let model = serde_json::to_string(model);
    let parts = [("classes", classes), ("preprocessing", preprocessing), ("model", model)];
    let told = parts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), text.ok()?)));
    told.chain([("program".to_owned(), card.program.clone())]).collect()
}
