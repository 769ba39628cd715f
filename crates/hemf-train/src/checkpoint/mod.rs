//! Checkpoints: everything that a later evaluation, and everything that a resume needs.
//!
//! A checkpoint is a folder of plain files:
//!
//! | file | content |
//! | --- | --- |
//! | `model.safetensors` | parameters and running statistics under their published names and in PyTorch's shapes; in the header's `hemf` entry, as JSON, the [`Card`] |
//! | `state.safetensors` | the optimizer's moments, and under `ema.NAME` the mean of the weights; in the header's `hemf` entry the [`Progress`]; absent from `best` |
//! | `checksums.b3` | blake3 sums of both, as `b3sum --check` reads them |
//!
//! Evaluation adds what it learnt about the model ([`Checkpoint::add`]): `calibration.json`, `inputs.json`. Each of these
//! names the model by its sum, and has a sum of its own.
//!
//! The folder is replaced whole (a kill at any moment leaves one that loads), and loading verifies the sums.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use candle_core::Tensor;
use hemf_model::WeightFile;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Error, RunConfig, RunFolder, run::no_run};

mod diff;
pub(crate) mod folder;
mod learnt;
mod progress;
mod tensors;
mod verify;

pub use diff::{Difference, How, TensorDifference, difference};
pub use progress::{Best, Progress, Tally, Waiting};
pub use verify::{Verified, verify};

const MODEL: &str = "model.safetensors";
const STATE: &str = "state.safetensors";

/// What a model must have with it to be used again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// The version of this program that wrote it.
    pub program: String,
    /// Class names, in the order of the logits.
    pub classes: Vec<String>,
    /// The resolved configuration: the network, its preprocessing, the recipe.
    pub config: RunConfig,
    /// Seal of the manifest that it was trained on.
    pub manifest_seal: String,
    /// Epochs trained.
    pub epoch: usize,
    /// Validation accuracy of exactly these weights, once measured.
    pub validation_accuracy: Option<f64>,
}

/// A trained model as stored.
#[derive(Debug)]
pub struct Model {
    /// What it is.
    pub card: Card,
    /// Parameters and buffers by published name, in a file that was found to be as it was written.
    pub weights: WeightFile,
    /// The blake3 sum of its file, in hex, which stands for the weights.
    pub digest: String,
}

/// What a resume needs beyond the model.
#[derive(Debug)]
pub struct State {
    /// Where the run stands.
    pub progress: Progress,
    /// [`Optimizer::state`](crate::Optimizer::state), and the mean of the weights under `ema.NAME`.
    pub tensors: HashMap<String, Tensor>,
}

/// A checkpoint folder, read or to be written.
#[derive(Clone, Debug)]
pub struct Checkpoint(PathBuf);

impl Checkpoint {
    /// The checkpoint in `folder`, which need not exist yet.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// The checkpoint that `path` means: a checkpoint folder, its `model.safetensors`, or the best (else the
    /// last) of a run folder.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when there is none.
    pub fn find(path: &Path) -> Result<Self, Error> {
        if path.file_name().is_some_and(|name| name == MODEL) {
            return Ok(Self::at(folder_of(path)));
        }
        let checkpoints = path.join("checkpoints");
        let candidates = [checkpoints.join("best"), checkpoints.join("last"), path.into()];
        candidates
            .into_iter()
            .map(Self::at)
            .find(|checkpoint| folder::current(checkpoint.path()).join(MODEL).is_file())
            .ok_or_else(|| {
                let what = match RunFolder::open(path) {
                    Ok(_) => "holds no checkpoint yet: this run has finished no epoch; wait for its first one",
                    Err(_) if path.join("fold-1").is_dir() => {
                        "is a cross-validation: name one of its folds, such as fold-1 in it"
                    }
                    Err(_) => "holds no checkpoint: expected a run folder or a folder with a model.safetensors",
                };
                no_run(path, what)
            })
    }

    /// Whether anything stands here.
    pub fn exists(&self) -> bool {
        folder::current(&self.0).exists()
    }

    /// Whether `path` is the `model.safetensors` of a checkpoint, whose sum can be checked.
    pub(crate) fn is_model_of_one(path: &Path) -> bool {
        path.file_name().is_some_and(|name| name == MODEL) && folder_of(path).join(folder::CHECKSUMS).is_file()
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The run that this checkpoint belongs to, when it lies in one.
    pub fn run(&self) -> Option<RunFolder> {
        // RUN/checkpoints/best, or RUN/checkpoints/top/NAME.
        let is = |folder: &Path, name: &str| folder.file_name().is_some_and(|it| it == name);
        let folder = self.0.parent()?;
        let folder = if is(folder, "top") { folder.parent()? } else { folder };
        is(folder, "checkpoints").then(|| RunFolder::open(folder.parent()?).ok())?
    }

    /// Writes the checkpoint in place of the one that was there.
    ///
    /// `state` is where the run stands and what a resume needs ([`State`]); without it the checkpoint can be used but
    /// not resumed.
    ///
    /// # Errors
    /// [`Error::Write`]; what was there before is then untouched.
    pub fn save(
        &self,
        card: &Card,
        tensors: &[(String, Tensor)],
        state: Option<(&Progress, &[(String, Tensor)])>,
    ) -> Result<(), Error> {
        self.write(card, tensors, state, None)
    }

    /// As [`Checkpoint::save`]; the checkpoint that was there becomes `previous`, in place of what that was.
    pub(crate) fn save_after(
        &self,
        previous: &Checkpoint,
        card: &Card,
        tensors: &[(String, Tensor)],
        state: (&Progress, &[(String, Tensor)]),
    ) -> Result<(), Error> {
        self.write(card, tensors, Some(state), Some(previous.path()))
    }

    fn write(
        &self,
        card: &Card,
        tensors: &[(String, Tensor)],
        state: Option<(&Progress, &[(String, Tensor)])>,
        previous: Option<&Path>,
    ) -> Result<(), Error> {
        let card = to_json(card, &self.0)?;
        let model: folder::Content<'_> = &|out| tensors::write(out, tensors, &card);
        let Some((progress, moments)) = state else {
            return folder::replace(&self.0, previous, &[(MODEL, model)]);
        };
        let progress = to_json(progress, &self.0)?;
        let state: folder::Content<'_> = &|out| tensors::write(out, moments, &progress);
        folder::replace(&self.0, previous, &[(MODEL, model), (STATE, state)])
    }

    /// Opens the model.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when this is no checkpoint of ours, [`Error::Integrity`] when it is not as it
    /// was written.
    pub fn model(&self) -> Result<Model, Error> {
        let (card, weights, digest) = self.part(MODEL)?;
        Ok(Model { card, weights, digest })
    }

    /// Loads what a resume needs.
    ///
    /// # Errors
    /// As [`Checkpoint::model`].
    pub fn state(&self) -> Result<State, Error> {
        let (progress, tensors, _) = self.part(STATE)?;
        Ok(State { progress, tensors: tensors.tensors()? })
    }

    /// Adds something that was learnt about the model of that [`digest`](Model::digest), as JSON in `name`; replaces what
    /// had the name. When another model has been put in place since that one was loaded, what is added is of no use to it
    /// and does it no harm.
    ///
    /// # Errors
    /// [`Error::Write`]; the checkpoint is then as it was.
    pub fn add(&self, name: &str, digest: &str, value: &impl Serialize) -> Result<(), Error> {
        learnt::write(&folder::current(&self.0), name, digest, value)
    }

    /// What was added under `name` about the model of that digest; `None` when nothing was.
    ///
    /// # Errors
    /// As [`Checkpoint::model`].
    pub fn added<T: DeserializeOwned>(&self, name: &str, digest: &str) -> Result<Option<T>, Error> {
        learnt::read(&folder::current(&self.0), name, digest)
    }

    /// The blake3 sum of the model's file, in hex, which stands for the weights.
    ///
    /// # Errors
    /// As [`Checkpoint::model`].
    pub fn digest(&self) -> Result<String, Error> {
        folder::open(&folder::current(&self.0), MODEL).map(|(_, sum)| sum)
    }

    /// The checksums of its files, as they are stored.
    pub(crate) fn sums(&self) -> Result<Vec<u8>, Error> {
        let path = folder::current(&self.0).join(folder::CHECKSUMS);
        std::fs::read(&path).map_err(|error| Error::checkpoint(&path, format!("cannot be read: {error}")))
    }

    /// A file's note, the file, and its sum.
    fn part<T: DeserializeOwned>(&self, name: &str) -> Result<(T, WeightFile, String), Error> {
        let folder = folder::current(&self.0);
        if !folder.exists() {
            return Err(Error::checkpoint(&self.0, "there is no checkpoint here"));
        }
        let (file, sum) = folder::open(&folder, name)?;
        let path = folder.join(name);
        let file = WeightFile::new(file).map_err(|error| Error::checkpoint(&path, error.to_string()))?;
        let note = file.note(tensors::NOTE).ok_or_else(|| Error::checkpoint(&path, "was not written by hemf"))?;
        let note = serde_json::from_str(note)
            .map_err(|error| Error::checkpoint(&path, format!("was written by another version of hemf: {error}")))?;
        Ok((note, file, sum))
    }
}

/// The folder that a file lies in: the working folder for a bare name.
fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn to_json(value: &impl Serialize, path: &Path) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Write { path: path.to_path_buf(), source: error.into() })
}
