use crate::{Error, ModelConfig, ParamStore};
use candle_core::{DType, Device, Tensor, pickle, safetensors};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

/// What became of a file's weights.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// How many tensors of the model were set.
    pub loaded: usize,
    /// Tensors of the model that the file lacks; they keep their values.
    pub missing: Vec<String>,
    /// Tensors of the file that the published code builds but never uses; they were skipped.
    pub dead: Vec<String>,
    /// Tensors of the file that this model does not know; they were skipped.
    pub unexpected: Vec<String>,
}

/// Sets the model's tensors by name. A shape that differs is an error, and then nothing was set.
pub fn load_weights(
    store: &ParamStore,
    config: &ModelConfig,
    weights: &HashMap<String, Tensor>,
) -> Result<LoadReport, Error> {
    let state = store.state();
    for (name, tensor) in &state {
        if let Some(found) = weights.get(name).filter(|found| found.dims() != tensor.dims()) {
            let (found, expected) = (found.dims().to_vec(), tensor.dims().to_vec());
            return Err(Error::Shape { key: name.clone(), found, expected });
        }
    }
    let dead: HashSet<String> = dead_weights(config)?.into_iter().map(|(name, _)| name).collect();
    let known: HashSet<&String> = state.iter().map(|(name, _)| name).collect();
    let mut report = LoadReport::default();
    let mut others: Vec<&String> = weights.keys().filter(|name| !known.contains(name)).collect();
    others.sort();
    for name in others {
        let list = if dead.contains(name) { &mut report.dead } else { &mut report.unexpected };
        list.push(name.clone());
    }
    for (name, _) in &state {
        match weights.get(name) {
            Some(value) => {
                store.set(name, value)?;
                report.loaded += 1;
            }
            None => report.missing.push(name.clone()),
        }
    }
    Ok(report)
}

/// Reads a state dict: `.safetensors`, or PyTorch's `.pth`/`.pt`, plain or under `state_dict`, `net` or `model`.
///
/// A `.pth` is read as data: no code in it is run.
pub fn read_weights(path: &Path) -> Result<HashMap<String, Tensor>, Error> {
    let wrong = |message: String| Error::File { path: path.to_owned(), message };
    std::fs::metadata(path).map_err(|e| wrong(format!("cannot be read: {e}")))?;
    let extension = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
    let weights = match extension.as_deref() {
        Some("safetensors") => safetensors::load(path, &Device::Cpu).map_err(|e| {
            wrong(format!("not a whole .safetensors file (cut off while it was written or copied?): {}", cause(&e)))
        })?,
        Some("pth" | "pt") => read_pickle(path).map_err(|e| {
            wrong(format!("not a PyTorch file of PyTorch 1.6 or later with plain tensors: {}", cause(&e)))
        })?,
        _ => return Err(wrong("weights are read from .safetensors, .pth or .pt files".into())),
    };
    if weights.is_empty() {
        return Err(wrong("no tensors found: a state dict is wanted, plain or under state_dict, net or model".into()));
    }
    Ok(weights)
}

/// The first line of an error, without candle's backtrace.
fn cause(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

fn read_pickle(path: &Path) -> candle_core::Result<HashMap<String, Tensor>> {
    for key in [None, Some("state_dict"), Some("net"), Some("model")] {
        // A wrapper that is not there is an error here; the plain reading has told whether the file can be read at all.
        match pickle::read_all_with_key(path, key) {
            Ok(tensors) if !tensors.is_empty() => return Ok(tensors.into_iter().collect()),
            Err(e) if key.is_none() => return Err(e),
            _ => {}
        }
    }
    Ok(HashMap::new())
}

/// Writes the model's tensors as `.safetensors` under the published names, in PyTorch's shapes. `dead` adds the tensors
/// that the published code builds but never uses, at their initial values: it loads such a file strictly.
///
/// The file is written under a temporary name, synced and renamed.
pub fn write_weights(path: &Path, store: &ParamStore, config: &ModelConfig, dead: bool) -> Result<(), Error> {
    let mut tensors: BTreeMap<String, Tensor> = store.state().into_iter().collect();
    if dead {
        tensors.extend(dead_weights(config)?);
    }
    let bytes = ::safetensors::serialize(&tensors, None)
        .map_err(|e| Error::File { path: path.to_owned(), message: e.to_string() })?;
    write_whole(path, &bytes).map_err(|source| Error::Write { path: path.to_owned(), source })
}

fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let temporary = path.with_extension("safetensors.partial");
    let written = std::fs::File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| std::fs::rename(&temporary, path)).inspect_err(|_| drop(std::fs::remove_file(&temporary)))
}

/// Names and initial values of what the published code builds but never uses.
fn dead_weights(config: &ModelConfig) -> candle_core::Result<Vec<(String, Tensor)>> {
    let store = ParamStore::new(0, &Device::Cpu);
    config.build_dead(store.builder())?;
    debug_assert!(store.state().iter().all(|(_, t)| matches!(t.dtype(), DType::F32 | DType::I64)));
    Ok(store.state())
}
