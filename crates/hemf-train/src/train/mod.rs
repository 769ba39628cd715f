//! Training: what a run is made of. The loop itself is in `steps.rs`.

use std::{fs, path::PathBuf, rc::Rc, sync::Arc};

use hemf_data::{Loader, Manifest, PictureCache, Split};
use hemf_model::{Classifier, ModelConfig, ParamStore};

mod init;
mod memory;
mod plan;
mod resume;
mod save;
mod select;
mod spikes;
mod steps;
mod validate;

pub use plan::{MemoryPlan, Plan};
pub use steps::Outcome;

use crate::{
    BatchNormOver, Card, Error, Event, Learner, Loss, Observer, Optimizer, RunConfig, RunFolder, Schedule, World,
    checkpoint::Progress,
    config::ConfigError,
    dataset::{self, Dataset},
    device::device,
    ema::Ema,
    run::{Lock, RunLog},
};
use save::SaveClock;
use spikes::Spikes;

/// A training run: a network, its data, its optimizer and where it stands.
///
/// ```no_run
/// use std::{path::Path, sync::atomic::AtomicBool};
/// use hemf_train::{RunConfig, Silent, Trainer};
///
/// let config = RunConfig::load(Path::new("configs/covid19-ct-nano.yaml"), &[])?;
/// let mut trainer = Trainer::start(config, &mut Silent)?;
/// trainer.run(&mut Silent, &AtomicBool::new(false))?;
/// println!("{}", trainer.folder().path().display());
/// # Ok::<(), hemf_train::Error>(())
/// ```
pub struct Trainer {
    card: Card,
    folder: RunFolder,
    /// Of rank 0 alone.
    log: Option<RunLog>,
    store: ParamStore,
    learner: Learner,
    ema: Option<Ema>,
    /// A second network without a graph, on the storage of the trained one or of its mean: validation sees every step's
    /// result.
    frozen: Box<dyn Classifier>,
    training: Loader,
    /// This rank's share of the images to validate on.
    validation: Loader,
    /// The classes of all of them.
    truth: Vec<usize>,
    progress: Progress,
    /// Where training can be taken up again if it goes wrong.
    last_good: Option<PathBuf>,
    /// Whether the folder was made for this run just now, and holds nothing that anyone could miss.
    fresh: bool,
    /// The step after which all weights were last found finite.
    finite_at: Option<usize>,
    /// Whether the memory of a first step has been told.
    memory_told: bool,
    saved: SaveClock,
    spikes: Spikes,
    /// The processes that train together.
    world: Rc<World>,
    /// Held as long as this run may write; by rank 0.
    _lock: Option<Lock>,
}

impl Trainer {
    /// Prepares a new run and makes its folder; nothing is made when anything given is wrong.
    ///
    /// # Errors
    /// A data set, class count or starting weights that do not fit, or a folder that cannot be written.
    pub fn start(config: RunConfig, observer: &mut dyn Observer) -> Result<Self, Error> {
        Self::start_among(config, Rc::default(), observer)
    }

    /// As [`Trainer::start`], together with the other processes of `world`, of which rank 0 makes the folder.
    ///
    /// # Errors
    /// As [`Trainer::start`]; and ranks that are lost, or have other images or another configuration.
    pub fn start_among(mut config: RunConfig, world: Rc<World>, observer: &mut dyn Observer) -> Result<Self, Error> {
        let data = dataset::open(&config.data, observer)?;
        let parts = Parts::start(&mut config, &data.manifest, Rc::clone(&world), observer)?;
        check_same(&world, &config, &data.manifest)?;
        let folder = match world.is_first() {
            true => {
                let folder = RunFolder::create(&config.output)?;
                world.told(folder.path().to_string_lossy().into_owned().into_bytes())?;
                folder
            }
            false => RunFolder::at(String::from_utf8_lossy(&world.told(Vec::new())?).into_owned().into()),
        };
        Self::begin(config, &data, parts, &folder).inspect_err(|_| {
            if world.is_first() {
                let _ = fs::remove_dir_all(folder.path()); // the error at hand matters more
            }
        })
    }

    /// Fills the new run's folder with what is known before the first step.
    fn begin(mut config: RunConfig, data: &Dataset, parts: Parts, folder: &RunFolder) -> Result<Self, Error> {
        if data.is_unwritten() {
            let path = folder.path().join("manifest.csv");
            if parts.world.is_first() {
                data.manifest.write(&path)?;
            }
            config.data.path = Some(path);
        }
        let lock = match parts.world.is_first() {
            true => {
                folder.write_config(&config)?;
                Some(Lock::hold(folder)?)
            }
            false => None,
        };
        let card = Card::new(config, &data.manifest);
        let mut trainer = Self::assemble(parts, card, folder.clone(), Progress::default(), lock)?;
        trainer.fresh = true;
        Ok(trainer)
    }

    /// The run folder.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// Where the run stands.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The resolved configuration.
    pub fn config(&self) -> &RunConfig {
        &self.card.config
    }

    fn assemble(
        parts: Parts,
        card: Card,
        folder: RunFolder,
        progress: Progress,
        lock: Option<Lock>,
    ) -> Result<Self, Error> {
        let Parts { store, learner, ema, frozen, training, validation, truth, world } = parts;
        let steps = learner.schedule().steps() / card.config.train.epochs;
        let trainer = Self {
            log: world.is_first().then(|| RunLog::open(&folder, &progress, steps)).transpose()?,
            card,
            folder,
            store,
            learner,
            ema,
            frozen,
            training,
            validation,
            truth,
            progress,
            last_good: None,
            fresh: false,
            finite_at: None,
            memory_told: false,
            saved: SaveClock::now(),
            spikes: Spikes::default(),
            world,
            _lock: lock,
        };
        if trainer.world.is_first() {
            trainer.tidy()?;
        }
        Ok(trainer)
    }
}

/// What a new run and a resumed one build alike.
struct Parts {
    store: ParamStore,
    learner: Learner,
    ema: Option<Ema>,
    frozen: Box<dyn Classifier>,
    training: Loader,
    validation: Loader,
    truth: Vec<usize>,
    world: Rc<World>,
}

impl Parts {
    /// What a run starts with: `config` gets the number of classes, and the store the weights that it names.
    fn start(
        config: &mut RunConfig,
        manifest: &Manifest,
        world: Rc<World>,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        config.model = with_classes_of(config.model.clone(), manifest)?;
        let mut parts = Self::build(config, manifest, world)?;
        if let Some(path) = &config.train.init {
            let note = init::start_from(&parts.store, &config.model, path)?;
            observer.event(&Event::Note(&note));
            parts.average(config)?;
        }
        observer.event(&Event::Note(&parts.describe(manifest)));
        Ok(parts)
    }

    fn build(config: &RunConfig, manifest: &Manifest, world: Rc<World>) -> Result<Self, Error> {
        let train = &config.train;
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

/// All ranks must train on the same images by the same settings, wherever the images lie.
fn check_same(world: &World, config: &RunConfig, manifest: &Manifest) -> Result<(), Error> {
    let mut config = config.clone();
    config.data.path = None;
    world.same("configuration", config.to_json().as_bytes())?;
    world.same("data set or split", manifest.seal().as_bytes())
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

impl Card {
    fn new(config: RunConfig, manifest: &Manifest) -> Self {
        Self {
            program: crate::PROGRAM.to_owned(),
            classes: manifest.classes().to_vec(),
            config,
            manifest_seal: manifest.seal().to_owned(),
            epoch: 0,
            validation_accuracy: None,
        }
    }
}
