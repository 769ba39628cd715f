//! Evaluation: a checkpoint's probabilities for the images of a split.

use std::{path::Path, sync::atomic::AtomicBool};

use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use hemf_data::{Loader, Split};
use hemf_metrics::Predictions;

use crate::{Checkpoint, Error, Observer, checkpoint::Model, dataset, predict::predict};

/// Scores the images of `split` with the model of `checkpoint`, prepared as the checkpoint says.
///
/// The images are those of the data set the model was trained on, or of `data` (a manifest or a folder), whose
/// classes must be the model's.
///
/// # Errors
/// A checkpoint that does not load, other classes, an image that cannot be read.
pub fn evaluate(
    checkpoint: &Checkpoint,
    data: Option<&Path>,
    split: Split,
    observer: &mut dyn Observer,
) -> Result<Predictions, Error> {
    let Model { card, tensors } = checkpoint.model()?;
    let mut config = card.config;
    if let Some(path) = data {
        config.data.path = Some(path.to_path_buf());
    }
    let manifest = dataset::open(&config.data, observer)?.manifest;
    if manifest.classes() != card.classes {
        let what = format!(
            "knows the {} classes {}, but the data set has the {} classes {}",
            card.classes.len(),
            card.classes.join(", "),
            manifest.classes().len(),
            manifest.classes().join(", ")
        );
        return Err(Error::checkpoint(checkpoint.path(), what));
    }
    let samples = dataset::samples(&manifest, split)?;
    let ids = samples.iter().map(|sample| manifest.rows()[sample.row].path.clone()).collect();
    let truth: Vec<usize> = samples.iter().map(|sample| sample.class).collect();
    let preprocessing = config.data.preprocessing;
    let loader = Loader::eval(samples, preprocessing, config.train.batch, config.data.workers)?;

    let weights = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
    let model = config.model.build(weights)?;
    let never = AtomicBool::new(false);
    let scores = predict(&*model, &loader, truth.len(), observer, &never)?;
    let probabilities = scores.map(|scores| scores.probabilities).unwrap_or_default();
    Ok(Predictions::new(card.classes, ids, truth, probabilities)?)
}
