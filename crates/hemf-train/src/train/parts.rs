//! What a run is built from: network, optimizer, and this rank's share of the images.

use std::{rc::Rc, sync::Arc};

use hemf_data::{Loader, Manifest, PictureCache, Split};
use hemf_model::{Classifier, ModelConfig, ParamStore};

use super::{init, select};
use crate::{
    BatchNormOver, Error, Event, Learner, Loss, Observer, Optimizer, Precision, RunConfig, Schedule, World,
    config::ConfigError,
    dataset,
    device::{device, precision_note},
    ema::Ema,
};

/// What a new run and a resumed one build alike.
pub(super) struct Parts {
    pub(super) store: ParamStore,
    pub(super) learner: Learner,
    pub(super) ema: Option<Ema>,
    pub(super) frozen: Box<dyn Classifier>,
    pub(super) training: Loader,
    pub(super) validation: Loader,
    pub(super) truth: Vec<usize>,
    pub(super) world: Rc<World>,
}

impl Parts {
    /// What a run starts with: `config` gets the number of classes, and the store the weights that it names.
    pub(super) fn start(
        config: &mut RunConfig,
        manifest: &Manifest,
        world: Rc<World>,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        config.model = with_classes_of(config.model.clone(), manifest)?;
        let mut parts = Self::build(config, manifest, world)?;
        if let Some(path) = &config.train.init {
            let note = init::start_from(&parts.store, &config.model, manifest.classes(), path)?;
            observer.event(&Event::Note(&note));
            parts.average(config)?;
        }
        observer.event(&Event::Note(&parts.describe(manifest)));
        tell_if_slow(config.train.precision, observer);
        Ok(parts)
    }

    pub(super) fn build(config: &RunConfig, manifest: &Manifest, world: Rc<World>) -> Result<Self, Error> {
        let train = &config.train;
        train.precision.prepare(device()).map_err(|what| ConfigError::new("configuration", "train.precision", what))?;
        let cache = picture_cache(config)?;
        let training = training(config, manifest, &world, cache.clone())?;
        let (validation, truth) = validation(config, manifest, &world, cache)?;
        let store = ParamStore::new(train.seed, device());
        let model = config.model.build(store.builder())?;
        let optimizer = Optimizer::with_rates(train.optimizer.clone(), select::trained(train, store.parameters())?);
        let schedule = Schedule::new(&train.schedule, training.steps().div_ceil(train.accumulate), train.epochs);
        let loss = loss(config, manifest.classes().len(), &training)?;
        let synchronised = train.distributed.batch_norm == BatchNormOver::Synchronised;
        let learner = Learner::new(model, loss, optimizer, schedule, train.clip_norm);
        let mut learner = learner.among(Rc::clone(&world), synchronised);
        learner.recompute(train.recompute)?;
        learner.compute_in(train.precision);
        let frozen = config.model.build(store.frozen_builder())?;
        let mut parts = Self { store, learner, ema: None, frozen, training, validation, truth, world };
        parts.average(config)?;
        Ok(parts)
    }

    /// Begins the mean of the weights at what they are now, if there is to be one.
    fn average(&mut self, config: &RunConfig) -> Result<(), Error> {
        if let Some(decay) = config.train.ema {
            let ema = Ema::new(decay, &config.model, &self.store)?;
            self.frozen = ema.network(&config.model)?;
            self.ema = Some(ema);
        }
        Ok(())
    }

    /// One line about what is trained on what.
    fn describe(&self, manifest: &Manifest) -> String {
        let parameters: usize = self.store.parameters().iter().map(|(_, var)| var.elem_count()).sum();
        let (decay, no_decay) = self.learner.optimizer().groups();
        let all = self.store.parameters().len();
        let trained = match decay.len() + no_decay.len() {
            trained if trained == all => String::new(),
            trained => format!(" ({trained} of {all} tensors are trained)"),
        };
        format!(
            "{:.2} million parameters{trained}; {} classes ({}), {} images to train on, {} to validate on{}",
            parameters as f64 / 1e6,
            manifest.classes().len(),
            manifest.classes().join(", "),
            self.training.samples().len(),
            self.truth.len(),
            if self.world.is_alone() { String::new() } else { format!("; {} processes", self.world.ranks()) }
        )
    }
}

/// Tells of a precision that this device has no products for.
pub(super) fn tell_if_slow(precision: Precision, observer: &mut dyn Observer) {
    if let Some(note) = precision_note(precision) {
        observer.event(&Event::Note(note));
    }
}

/// The loss for the classes of the training images.
fn loss(config: &RunConfig, classes: usize, training: &Loader) -> Result<Loss, Error> {
    let mut images = vec![0; classes];
    for sample in training.samples() {
        images[sample.class] += 1;
    }
    Loss::new(&config.train.loss, &images)
        .map_err(|what| ConfigError::new("configuration", "train.loss.class_weights.weights", what).into())
}

/// The network with as many classes as the data set has, which must not be other than what it says itself.
fn with_classes_of(model: ModelConfig, manifest: &Manifest) -> Result<ModelConfig, Error> {
    let found = manifest.classes();
    match model.classes() {
        Some(classes) if classes != found.len() => {
            let what = format!(
                "{classes}, but the data set has {} ({}); leave the key out to take what the data set has",
                found.len(),
                found.join(", ")
            );
            Err(ConfigError::new("configuration", "model.classes", what).into())
        }
        _ => Ok(model.with_classes(found.len())),
    }
}

/// Where decoded pictures are kept, by training and validation alike.
type Cache = Option<Arc<PictureCache>>;

fn picture_cache(config: &RunConfig) -> Result<Cache, Error> {
    let limit = u64::from(config.data.cache) << 20;
    let cache = (limit > 0).then(|| PictureCache::open(None, limit)).transpose()?;
    Ok(cache.map(Arc::new))
}

/// This rank's share of the batches to train on.
fn training(config: &RunConfig, manifest: &Manifest, world: &World, cache: Cache) -> Result<Loader, Error> {
    let (data, train) = (&config.data, &config.train);
    let training = Loader::train(
        dataset::samples(manifest, Split::Train)?,
        data.preprocessing.clone(),
        data.augmentation.clone(),
        train.batch,
        train.seed,
        data.workers,
    )?
    .sampling(data.sampling.clone())?
    .classes(manifest.classes().len())
    .cache(cache);
    check_last_batch(config, training.samples().len())?;
    if world.is_alone() {
        return Ok(training);
    }
    training.share(world.rank(), world.ranks()).map_err(|error| match error {
        hemf_data::Error::Setting { reason, .. } => {
            ConfigError::new("configuration", "train.batch", reason + "; choose another batch").into()
        }
        other => other.into(),
    })
}

/// The images to validate on, and the classes of all of them. Of several ranks each takes neighbours, so that all their
/// shares in the order of the ranks are the whole, with every image once.
fn validation(
    config: &RunConfig,
    manifest: &Manifest,
    world: &World,
    cache: Cache,
) -> Result<(Loader, Vec<usize>), Error> {
    let mut samples = dataset::samples(manifest, Split::Validation)?;
    let truth: Vec<usize> = samples.iter().map(|sample| sample.class).collect();
    let (all, rank, ranks) = (samples.len(), world.rank(), world.ranks());
    if all < ranks {
        let what = format!("{all} images to validate on are too few for {ranks} processes");
        return Err(ConfigError::new("configuration", "data.path", what).into());
    }
    samples = samples.drain(all * rank / ranks..all * (rank + 1) / ranks).collect();
    let (data, batch) = (&config.data, config.train.batch.div_ceil(ranks));
    let loader = Loader::eval(samples, data.preprocessing.clone(), batch, data.workers)?.cache(cache);
    Ok((loader, truth))
}

/// Below 64 pixels an image is a single pixel at the last stage; alone in its batch, it has no variance there.
fn check_last_batch(config: &RunConfig, images: usize) -> Result<(), Error> {
    let (size, batch) = (config.data.preprocessing.size, config.train.batch);
    if size >= 64 || (batch > 1 && images % batch != 1) {
        return Ok(());
    }
    let what = format!(
        "{batch} leaves a batch of one of the {images} images, which batch norm cannot take at {size} pixels; \
         choose another batch, or 64 pixels"
    );
    Err(ConfigError::new("configuration", "train.batch", what).into())
}
