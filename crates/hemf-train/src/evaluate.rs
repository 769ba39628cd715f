//! Evaluation: a checkpoint's probabilities for the images of a split.

use std::{path::Path, sync::atomic::AtomicBool};

use hemf_data::{Loader, Manifest, Prepare, Sample, Split, Unreadable};
use hemf_metrics::Predictions;

use crate::{
    Card, Checkpoint, Error, Event, Observer,
    checkpoint::Model,
    dataset::{self, Dataset},
    device::device,
    predict::predict,
};

/// The images that a model is measured on.
#[derive(Clone, Debug)]
pub struct EvalSet {
    /// What is known of them.
    pub manifest: Manifest,
    /// Those to be scored, in row order.
    pub samples: Vec<Sample>,
    /// Whether the manifest is the one of the training.
    pub trained_on: bool,
    /// Whether all images of a folder without a manifest are taken, whatever the split asked for.
    pub whole_folder: bool,
}

impl EvalSet {
    /// The images of `split`: of the data set that the model of `checkpoint` was trained on, or of `data`, whose classes
    /// must be the model's: a manifest, or a folder with a subfolder per class. A folder that has no manifest is taken
    /// whole, whatever `split` is: it has no split of its own, and the training's was made for other images. With
    /// `allow_changed`, rows and files of a manifest are taken as they are now, and what cannot be read is left out.
    ///
    /// # Errors
    /// Other classes, or no such images; without `data`, [`Error::Integrity`] when the data set is no longer the one of
    /// the training and that is not allowed.
    pub fn open(
        checkpoint: &Checkpoint,
        card: &Card,
        data: Option<&Path>,
        split: Split,
        allow_changed: bool,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        let mut config = card.config.data.clone();
        config.allow_changed = allow_changed;
        if let Some(path) = data {
            config.path = Some(path.to_path_buf());
            // The training's split and table of labels were made for its own folder.
            let unreadable = if allow_changed { Unreadable::Skip } else { Unreadable::Refuse };
            config.prepare = Prepare { classes: config.prepare.classes, unreadable, ..Prepare::default() };
        }
        let Dataset { manifest, prepared_now, .. } = dataset::open(&config, observer)?;
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
        let trained_on = manifest.seal() == card.manifest_seal;
        if data.is_none() && !trained_on && !allow_changed {
            let path = config.path.unwrap_or_default();
            let split = dataset::kept_split(checkpoint, &card.manifest_seal);
            let what = format!(
                "is not the data set or split that this model was trained on (the seals differ): evaluate on its own{split}, or \
                 on this one by naming it with --data"
            );
            return Err(Error::Integrity { path, what });
        }
        let whole_folder = data.is_some() && prepared_now;
        let samples = match (data, prepared_now) {
            (Some(path), true) => {
                let samples = dataset::all_samples(&manifest);
                let note =
                    format!("evaluating all {} images in {}, which has no manifest", samples.len(), path.display());
                observer.event(&Event::Note(&note));
                samples
            }
            _ => dataset::samples(&manifest, split)?,
        };
        if !trained_on {
            observer.event(&Event::Note("this is not the data set that the model was trained on"));
        }
        Ok(Self { manifest, samples, trained_on, whole_folder })
    }
}

/// Scores the images of an [`EvalSet`] with the model of `checkpoint`, prepared as the checkpoint says.
///
/// # Errors
/// A checkpoint that does not load, an [`EvalSet`] that cannot be opened, an image that cannot be read.
pub fn evaluate(
    checkpoint: &Checkpoint,
    data: Option<&Path>,
    split: Split,
    allow_changed: bool,
    observer: &mut dyn Observer,
) -> Result<Predictions, Error> {
    let predictions = evaluate_until(checkpoint, data, split, allow_changed, observer, &AtomicBool::new(false))?;
    predictions.ok_or_else(|| Error::checkpoint(checkpoint.path(), "was not evaluated")) // nothing stops it
}

/// As [`evaluate`]; `None` when `stop` was raised on the way.
pub(crate) fn evaluate_until(
    checkpoint: &Checkpoint,
    data: Option<&Path>,
    split: Split,
    allow_changed: bool,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Option<Predictions>, Error> {
    let Model { card, weights, .. } = checkpoint.model()?;
    let EvalSet { manifest, samples, .. } = EvalSet::open(checkpoint, &card, data, split, allow_changed, observer)?;
    let ids = samples.iter().map(|sample| manifest.rows()[sample.row].path.clone()).collect();
    let truth: Vec<usize> = samples.iter().map(|sample| sample.class).collect();
    let config = card.config;
    let loader = Loader::eval(samples, config.data.preprocessing, config.train.batch, config.data.workers)?;

    let model = config.model.build_packed(weights.builder(device()))?;
    let Some(scores) = predict(&*model, device(), &loader, truth.len(), observer, stop)? else { return Ok(None) };
    Ok(Some(Predictions::new(card.classes, ids, truth, scores.probabilities)?))
}
