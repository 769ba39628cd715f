use crate::store::is_buffer;
use crate::{Error, ModelConfig, ParamStore, WeightFile};
use candle_core::{DType, Device, Shape, Tensor, bail, pickle};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// What became of a file's weights.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// How many tensors of the model were set.
    pub loaded: usize,
    /// Tensors of the model that the file lacks; they keep their values.
    pub missing: Vec<String>,
    /// Tensors of the file that the published code builds but never uses, constants that are computed here, and second
    /// copies of a tensor; they were skipped.
    pub dead: Vec<String>,
    /// Tensors of the file that this model does not know; they were skipped.
    pub unexpected: Vec<String>,
}

/// Sets the model's tensors by name; where the published code has two names for one tensor, by either. A shape that
/// differs is an error, as are two copies of one tensor that do, and then nothing was set.
pub fn load_weights(
    store: &ParamStore,
    config: &ModelConfig,
    weights: &HashMap<String, Tensor>,
) -> Result<LoadReport, Error> {
    let state = store.state();
    let mut values = vec![];
    for (name, tensor) in &state {
        let value = find(weights, config, name)?;
        if let Some(found) = value.filter(|found| found.dims() != tensor.dims()) {
            let (found, expected) = (found.dims().to_vec(), tensor.dims().to_vec());
            return Err(Error::Shape { key: name.clone(), found, expected });
        }
        values.push(value);
    }
    let known: HashSet<&String> = state.iter().map(|(name, _)| name).collect();
    let seconds: HashMap<String, &String> =
        known.iter().filter_map(|name| Some((config.second_name(name)?, *name))).collect();
    let dead: HashSet<String> = dead_weights(config)?.into_iter().map(|(name, _)| name).collect();
    let mut report = LoadReport::default();
    let mut others: Vec<&String> = weights.keys().filter(|name| !known.contains(name)).collect();
    others.sort();
    for name in others {
        let list = match seconds.get(name) {
            Some(first) if !weights.contains_key(*first) => continue, // taken in its place
            None if !dead.contains(name) => &mut report.unexpected,
            _ => &mut report.dead,
        };
        list.push(name.clone());
    }
    for ((name, _), value) in state.iter().zip(values) {
        match value {
            Some(value) => {
                store.set(name, value)?;
                report.loaded += 1;
            }
            None => report.missing.push(name.clone()),
        }
    }
    Ok(report)
}

/// A tensor of the file under its name, or under its second one.
fn find<'a>(
    weights: &'a HashMap<String, Tensor>,
    config: &ModelConfig,
    name: &str,
) -> Result<Option<&'a Tensor>, Error> {
    let Some(second) = config.second_name(name) else { return Ok(weights.get(name)) };
    let (Some(a), Some(b)) = (weights.get(name), weights.get(&second)) else {
        return Ok(weights.get(name).or(weights.get(&second)));
    };
    let values = |t: &Tensor| t.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>();
    if a.dims() != b.dims() || values(a)? != values(b)? {
        return Err(Error::Copies { key: name.to_owned(), second });
    }
    Ok(Some(a))
}

/// Reads a state dict: `.safetensors`, or PyTorch's `.pth`/`.pt`, plain or under `state_dict`, `net` or `model`.
///
/// A `.pth` is read as data: no code in it is run.
pub fn read_weights(path: &Path) -> Result<HashMap<String, Tensor>, Error> {
    match Format::of(path)? {
        Format::Safetensors(file) => file.tensors().map_err(|e| wrong(path, format!("cannot be read: {}", cause(&e)))),
        Format::Pickle(tensors) => Ok(tensors),
    }
}

/// Hands out the tensors of such a file as f32 on `device`; those of a `.safetensors` are read when they are asked for.
pub fn weights_builder(path: &Path, device: &Device) -> Result<VarBuilder<'static>, Error> {
    match Format::of(path)? {
        Format::Safetensors(file) => Ok(file.builder(device)),
        Format::Pickle(tensors) => Ok(VarBuilder::from_tensors(tensors, DType::F32, device)),
    }
}

/// A file of weights with at least one tensor.
enum Format {
    Safetensors(WeightFile),
    Pickle(HashMap<String, Tensor>),
}

impl Format {
    fn of(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(|e| wrong(path, format!("cannot be read: {e}")))?;
        let extension = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
        let found = match extension.as_deref() {
            Some("safetensors") => Self::Safetensors(WeightFile::new(file).map_err(|e| {
                let message = "not a whole .safetensors file (cut off while it was written or copied?)";
                wrong(path, format!("{message}: {e}"))
            })?),
            Some("pth" | "pt") => Self::Pickle(read_pickle(path).map_err(|e| {
                let message = "not a PyTorch file of PyTorch 1.6 or later with plain tensors";
                wrong(path, format!("{message}: {}", cause(&e)))
            })?),
            _ => return Err(wrong(path, "weights are read from .safetensors, .pth or .pt files".into())),
        };
        let empty = match &found {
            Self::Safetensors(file) => file.is_empty(),
            Self::Pickle(tensors) => tensors.is_empty(),
        };
        if empty {
            let message = "no tensors found: a state dict is wanted, plain or under state_dict, net or model";
            return Err(wrong(path, message.into()));
        }
        Ok(found)
    }
}

fn wrong(path: &Path, message: String) -> Error {
    Error::File { path: path.to_owned(), message }
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

/// Everything that a file of the published code holds, which loads such a file strictly: the model's tensors, those that
/// it builds but never uses at their initial values, and those that it has two names for a second time.
pub fn published_state(store: &ParamStore, config: &ModelConfig) -> Result<Vec<(String, Tensor)>, Error> {
    let mut tensors = store.state();
    let seconds: Vec<_> = tensors.iter().filter_map(|(name, t)| Some((config.second_name(name)?, t.clone()))).collect();
    tensors.extend(dead_weights(config)?);
    tensors.extend(seconds);
    Ok(tensors)
}

/// Writes the model's tensors as `.safetensors` under the published names, in PyTorch's shapes; with `dead` all those of
/// [`published_state`].
///
/// The file is written under a temporary name, synced and renamed.
pub fn write_weights(path: &Path, store: &ParamStore, config: &ModelConfig, dead: bool) -> Result<(), Error> {
    let tensors = if dead { published_state(store, config)? } else { store.state() };
    let tensors: BTreeMap<String, Tensor> = tensors.into_iter().collect();
    let bytes = safetensors::serialize(&tensors, None)
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

/// Names and sizes of the parameters that the published code builds but never uses.
pub(crate) fn unused_parameters(config: &ModelConfig) -> candle_core::Result<Vec<(String, usize)>> {
    let noted = Noted::default();
    config.build_dead(VarBuilder::from_backend(Box::new(&noted), DType::F32, Device::Cpu))?;
    let sizes = noted.0.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(sizes.into_iter().filter(|(name, _)| !is_buffer(name)).collect())
}

/// Notes the names and sizes that are asked for, without drawing or keeping any values.
#[derive(Default)]
struct Noted(Mutex<Vec<(String, usize)>>);

impl SimpleBackend for &Noted {
    fn get(&self, shape: Shape, name: &str, _: Init, dtype: DType, device: &Device) -> candle_core::Result<Tensor> {
        let mut sizes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sizes.push((name.to_owned(), shape.elem_count()));
        Tensor::zeros((), dtype, device)?.broadcast_as(shape)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        bail!("{name} was asked for without its shape")
    }

    fn contains_tensor(&self, _: &str) -> bool {
        true
    }
}

/// Names and initial values of what the published code builds but never uses, and constants that are computed here.
fn dead_weights(config: &ModelConfig) -> candle_core::Result<Vec<(String, Tensor)>> {
    let store = ParamStore::new(0, &Device::Cpu);
    config.build_dead(store.builder())?;
    debug_assert!(store.state().iter().all(|(_, t)| matches!(t.dtype(), DType::F32 | DType::I64)));
    Ok(store.state())
}
