//! Training: what a run is made of. The loop itself is in `steps.rs`.

use std::{fs, path::PathBuf};

use candle_core::Device;
use hemf_data::{Loader, Manifest, Split};
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
    Card, Error, Event, Learner, Loss, Observer, Optimizer, RunConfig, RunFolder, Schedule,
    checkpoint::Progress,
    config::ConfigError,
    dataset::{self, Dataset},
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
    log: RunLog,
    store: ParamStore,
    learner: Learner,
    ema: Option<Ema>,
    /// A second network without a graph, on the storage of the trained one or of its mean: validation sees every step's
    /// result.
    frozen: Box<dyn Classifier>,
    training: Loader,
    validation: Loader,
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
    /// Held as long as this run may write.
    _lock: Lock,
}

impl Trainer {
    /// Prepares a new run and makes its folder; nothing is made when anything given is wrong.
    ///
    /// # Errors
    /// A data set, class count or starting weights that do not fit, or a folder that cannot be written.
    pub fn start(mut config: RunConfig, observer: &mut dyn Observer) -> Result<Self, Error> {
        let data = dataset::open(&config.data, observer)?;
        let parts = Parts::start(&mut config, &data.manifest, observer)?;
        let folder = RunFolder::create(&config.output)?;
        Self::begin(config, &data, parts, &folder).inspect_err(|_| {
            let _ = fs::remove_dir_all(folder.path()); // the error at hand matters more
        })
    }

    /// Fills the new run's folder with what is known before the first step.
    fn begin(mut config: RunConfig, data: &Dataset, parts: Parts, folder: &RunFolder) -> Result<Self, Error> {
        if data.is_unwritten() {
            let path = folder.path().join("manifest.csv");
            data.manifest.write(&path)?;
            config.data.path = Some(path);
        }
        folder.write_config(&config)?;
        let lock = Lock::hold(folder)?;
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

    fn assemble(parts: Parts, card: Card, folder: RunFolder, progress: Progress, lock: Lock) -> Result<Self, Error> {
        let Parts { store, learner, ema, frozen, training, validation } = parts;
        let trainer = Self {
            log: RunLog::open(&folder, &progress, learner.schedule().steps() / card.config.train.epochs)?,
            card,
            folder,
            store,
            learner,
            ema,
            frozen,
            training,
            validation,
            progress,
            last_good: None,
            fresh: false,
            finite_at: None,
            memory_told: false,
            saved: SaveClock::now(),
            spikes: Spikes::default(),
            _lock: lock,
        };
        trainer.tidy()?;
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
}

impl Parts {
    /// What a run starts with: `config` gets the number of classes, and the store the weights that it names.
    fn start(config: &mut RunConfig, manifest: &Manifest, observer: &mut dyn Observer) -> Result<Self, Error> {
        config.model = with_classes_of(config.model.clone(), manifest)?;
        let mut parts = Self::build(config, manifest)?;
        if let Some(path) = &config.train.init {
            let note = init::start_from(&parts.store, &config.model, path)?;
            observer.event(&Event::Note(&note));
            parts.average(config)?;
        }
        observer.event(&Event::Note(&parts.describe(manifest)));
        Ok(parts)
    }

    fn build(config: &RunConfig, manifest: &Manifest) -> Result<Self, Error> {
        let train = &config.train;
        let (training, validation) = loaders(config, manifest)?;
        let store = ParamStore::new(train.seed, &Device::Cpu);
        let model = config.model.build(store.builder())?;
        let optimizer = Optimizer::with_rates(train.optimizer.clone(), select::trained(train, store.parameters())?);
        let schedule = Schedule::new(&train.schedule, training.steps().div_ceil(train.accumulate), train.epochs);
        let loss = loss(config, manifest.classes().len(), &training)?;
        let learner = Learner::new(model, loss, optimizer, schedule, train.clip_norm);
        let frozen = config.model.build(store.frozen_builder())?;
        let mut parts = Self { store, learner, ema: None, frozen, training, validation };
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
            "{:.2} million parameters{trained}; {} classes ({}), {} images to train on, {} to validate on",
            parameters as f64 / 1e6,
            manifest.classes().len(),
            manifest.classes().join(", "),
            self.training.samples().len(),
            self.validation.samples().len()
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

/// The batches to train on and those to validate on.
fn loaders(config: &RunConfig, manifest: &Manifest) -> Result<(Loader, Loader), Error> {
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
    .classes(manifest.classes().len());
    check_last_batch(config, training.samples().len())?;
    let validation = Loader::eval(
        dataset::samples(manifest, Split::Validation)?,
        data.preprocessing.clone(),
        train.batch,
        data.workers,
    )?;
    Ok((training, validation))
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
