//! A trained network, ready to be asked.

use std::collections::HashMap;
use std::path::Path;
use std::sync::OnceLock;

use candle_core::{DType, Tensor};
use candle_nn::VarBuilder;
use hemf_data::{Preprocessing, Raster};
use hemf_metrics::decision::Temperature;
use hemf_model::{Classifier, Mode, WeightFile};
use hemf_train::{Asked, Card, Checkpoint, Error, Model, Precision, Replay, Rounded, device, explain_memory};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::explain::Spot;
use crate::{InputStatistics, View};

/// The file of a checkpoint that holds [`StoredTemperature`].
const CALIBRATION: &str = "calibration.json";
/// The file of a checkpoint that holds [`InputStatistics`].
const INPUTS: &str = "inputs.json";

/// The temperature that evaluation fitted on the validation images, kept beside the weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredTemperature {
    /// What logits are divided by.
    pub temperature: Temperature,
    /// Number of validation images that it was fitted on.
    pub images: usize,
    /// Seal of the manifest that lists them.
    pub manifest_seal: String,
}

/// The network of a checkpoint with all that the checkpoint knows of its use.
pub struct Network {
    checkpoint: Checkpoint,
    card: Card,
    digest: String,
    weights: WeightFile,
    /// For answers in f32.
    packed: Box<dyn Classifier>,
    /// For explanations, and answers in another precision; read when first asked for.
    plain: OnceLock<Plain>,
    precision: Precision,
    /// The weights in bf16, where that is the precision.
    rounded: Rounded,
    /// On a GPU, its forward passes.
    replay: Replay,
    temperature: Option<StoredTemperature>,
    inputs: Option<InputStatistics>,
    parameters: usize,
    /// Found when first asked for.
    spots: OnceLock<Vec<Spot>>,
}

/// The network as it was trained.
struct Plain {
    /// Has gradients.
    model: Box<dyn Classifier>,
    /// Its weights, where they are computed with.
    weights: Vec<Tensor>,
}

impl Network {
    /// Loads the checkpoint that `path` means: a run folder (its best), a checkpoint folder or its `model.safetensors`.
    ///
    /// # Errors
    /// No checkpoint, or one that is not as it was written.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let checkpoint = Checkpoint::find(path)?;
        let Model { card, weights, digest } = checkpoint.model()?;
        let (config, size) = (&card.config.model, card.config.data.preprocessing.size);
        Ok(Self {
            packed: config.build_packed(weights.builder(device()))?,
            plain: OnceLock::new(),
            weights,
            precision: Precision::F32,
            rounded: Rounded::default(),
            replay: Replay::default(),
            parameters: config.size_report(size, size)?.parameters.used,
            temperature: checkpoint.added(CALIBRATION, &digest)?,
            inputs: checkpoint.added(INPUTS, &digest)?,
            spots: OnceLock::new(),
            card,
            digest,
            checkpoint,
        })
    }

    /// What logits are computed in from here on.
    ///
    /// # Errors
    /// No room for the weights in it.
    pub(crate) fn compute_in(&mut self, precision: Precision) -> Result<(), Error> {
        self.precision = precision;
        self.rounded = match precision.dtype() {
            DType::BF16 => {
                Rounded::of(&self.plain()?.weights).map_err(|error| explain_memory(error.into(), &self.asked(0)))?
            }
            _ => Rounded::default(),
        };
        self.replay = Replay::default(); // what was noted computes as before
        Ok(())
    }

    /// Where it came from.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// What it is.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// The blake3 sum of the file of its weights, in hex.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Class names, in the order of the logits.
    pub fn classes(&self) -> &[String] {
        &self.card.classes
    }

    /// How pictures are brought to its input.
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.card.config.data.preprocessing
    }

    /// Number of values that training could change.
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// The temperature, once an evaluation has fitted it.
    pub fn temperature(&self) -> Option<&StoredTemperature> {
        self.temperature.as_ref()
    }

    /// What its training images were like, once an evaluation has looked.
    pub fn inputs(&self) -> Option<&InputStatistics> {
        self.inputs.as_ref()
    }

    /// Keeps a temperature in the checkpoint.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn keep_temperature(&mut self, temperature: StoredTemperature) -> Result<(), Error> {
        self.checkpoint.add(CALIBRATION, &self.digest, &temperature)?;
        self.temperature = Some(temperature);
        Ok(())
    }

    /// Keeps what the training images are like in the checkpoint.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn keep_inputs(&mut self, inputs: InputStatistics) -> Result<(), Error> {
        self.checkpoint.add(INPUTS, &self.digest, &inputs)?;
        self.inputs = Some(inputs);
        Ok(())
    }

    /// The pictures as the network's input, (B, C, size, size), each seen by `view`.
    ///
    /// # Errors
    /// A tensor that cannot be made, which is a bug.
    pub fn batch(&self, pictures: &[Raster], view: View) -> Result<Tensor, Error> {
        let settings = self.preprocessing();
        let (channels, size) = (settings.channels, settings.size);
        let mut values = vec![0f32; pictures.len() * channels * size * size];
        values
            .par_chunks_exact_mut(channels * size * size)
            .zip(pictures)
            .for_each(|(out, picture)| view.apply(picture, settings, out));
        Ok(Tensor::from_vec(values, (pictures.len(), channels, size, size), device())?)
    }

    /// Logits of each picture, one per class.
    ///
    /// # Errors
    /// An operation on tensors that fails, which is a bug.
    pub fn logits(&self, pictures: &[Raster], view: View) -> Result<Vec<Vec<f32>>, Error> {
        let images = self.batch(pictures, view)?;
        let dtype = self.precision.dtype();
        let network = if dtype == DType::F32 { &*self.packed } else { self.model()? }; // packed weights are f32
        let images = images.to_dtype(dtype)?;
        let forward = |images: &Tensor| network.forward(images, Mode::Eval)?.to_dtype(DType::F32);
        let logits = hemf_train::awake(device(), || self.rounded.within(|| self.replay.run(&images, forward)));
        Ok(logits.map_err(|error| explain_memory(error.into(), &self.asked(pictures.len())))?.to_vec2()?)
    }

    /// What a GPU without room was asked for.
    fn asked(&self, batch: usize) -> Asked<'static> {
        let lower = "--device cpu has room, and takes longer";
        Asked { batch, size: self.preprocessing().size, expected: None, lower }
    }

    /// For [`explain::spots`](crate::explain::spots).
    pub(crate) fn spots(&self) -> &OnceLock<Vec<Spot>> {
        &self.spots
    }

    /// With gradients.
    ///
    /// # Errors
    /// Weights that cannot be read any more, or have no room.
    pub(crate) fn model(&self) -> Result<&dyn Classifier, Error> {
        Ok(&*self.plain()?.model)
    }

    fn plain(&self) -> Result<&Plain, Error> {
        if let Some(plain) = self.plain.get() {
            return Ok(plain);
        }
        let there = |(name, tensor): (_, Tensor)| Ok((name, tensor.to_device(device())?));
        let tensors = self.weights.tensors()?.into_iter().map(there).collect::<Result<HashMap<_, _>, Error>>()?;
        let weights = tensors.values().cloned().collect();
        let model = self.card.config.model.build(VarBuilder::from_tensors(tensors, DType::F32, device()))?;
        Ok(self.plain.get_or_init(|| Plain { model, weights }))
    }
}
