//! Reading a folder of goldens.

use candle_core::{DType, Device, Tensor, safetensors};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Why goldens could not be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No case was found.
    #[error("{0}: no goldens here (a folder with blocks/manifest.json and model/ is wanted)")]
    Empty(PathBuf),
    /// A file that cannot be read.
    #[error("{path}: {message}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A case that this version cannot run.
    #[error("{case}: {message}")]
    Case {
        /// Its file.
        case: String,
        /// What is wrong.
        message: String,
    },
    /// A network that cannot be built.
    #[error(transparent)]
    Model(#[from] hemf_model::Error),
    /// A tensor operation that failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// Within which distance a value passes.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Tolerance {
    pub(crate) atol: f64,
    pub(crate) rtol: f64,
}

/// Reads a JSON file, or nothing where there is none.
pub(crate) fn json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let wrong = |message: String| Error::File { path: path.to_owned(), message };
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| wrong(e.to_string())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(wrong(e.to_string())),
    }
}

/// The tensors of a case's file.
pub(crate) struct Tensors {
    file: String,
    tensors: HashMap<String, Tensor>,
}

impl Tensors {
    /// Reads them. A file that the manifest names has to be there.
    pub(crate) fn read(folder: &Path, file: &str) -> Result<Self, Error> {
        let path = folder.join(file);
        let tensors = safetensors::load(&path, &Device::Cpu)
            .map_err(|e| Error::File { path: path.clone(), message: e.to_string() })?;
        Ok(Self { file: file.to_owned(), tensors })
    }

    /// A tensor that has to be there.
    pub(crate) fn get(&self, name: &str) -> Result<&Tensor, Error> {
        self.find(name)
            .ok_or_else(|| Error::Case { case: self.file.clone(), message: format!("no tensor {name} in the file") })
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// The tensors under a prefix, by the rest of their names, in the order of the names.
    pub(crate) fn under(&self, prefix: &str) -> Vec<(String, Tensor)> {
        let mut found: Vec<_> = (self.tensors.iter())
            .filter_map(|(name, t)| Some((name.strip_prefix(prefix)?.to_owned(), t.clone())))
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    }
}

/// All values, as f64.
pub(crate) fn values(t: &Tensor) -> candle_core::Result<Vec<f64>> {
    t.to_dtype(DType::F64)?.flatten_all()?.to_vec1()
}

/// (B, C, H, W) -> (B, H, W, C)
pub(crate) fn channels_last(t: &Tensor) -> candle_core::Result<Tensor> {
    t.permute((0, 2, 3, 1))?.contiguous()
}

/// (B, H, W, C) -> (B, C, H, W)
pub(crate) fn channels_first(t: &Tensor) -> candle_core::Result<Tensor> {
    t.permute((0, 3, 1, 2))?.contiguous()
}
