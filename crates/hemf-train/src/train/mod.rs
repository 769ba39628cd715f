//! Training: what a run is made of. The loop itself is in `steps.rs`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use candle_core::Device;
use hemf_data::{Loader, Manifest, Split};
use hemf_model::{Classifier, ModelConfig, ParamStore};

mod init;
mod steps;

pub use steps::Outcome;

use crate::{
    AdamW, Card, Error, Event, Learner, Observer, RunConfig, RunFolder, Schedule,
    checkpoint::Progress,
    config::{ConfigError, Freeze},
    dataset::{self, Dataset},
    optim::OptimizerConfig,
    run::RunLog,
};

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
    /// A second network on the same storage, without a graph: validation sees every step's result.
    frozen: Box<dyn Classifier>,
    training: Loader,
    validation: Loader,
    progress: Progress,
    /// Where training can be taken up again if it goes wrong.
    last_good: Option<PathBuf>,
}

impl Trainer {
    /// Prepares a new run and makes its folder; nothing is made when anything given is wrong.
    ///
    /// # Errors
    /// A data set, class count or starting weights that do not fit, or a folder that cannot be written.
    pub fn start(mut config: RunConfig, observer: &mut dyn Observer) -> Result<Self, Error> {
        let data = dataset::open(&config.data, observer)?;
        config.model = with_classes_of(config.model, &data.manifest)?;
        let parts = Parts::build(&config, &data.manifest)?;
        if let Some(path) = &config.train.init {
            let note = init::start_from(&parts.store, &config.model, path)?;
            observer.event(&Event::Note(&note));
        }
        observer.event(&Event::Note(&parts.describe(&data.manifest)));
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
        let card = Card::new(config, &data.manifest);
        Self::assemble(parts, card, folder.clone(), Progress::default())
    }

    /// Takes up the run in `folder` at its last checkpoint; its data set must be the same, wherever it lies
    /// now (`data`).
    ///
    /// # Errors
    /// No or a damaged checkpoint, or another data set.
    pub fn resume(folder: RunFolder, data: Option<&Path>, observer: &mut dyn Observer) -> Result<Self, Error> {
        let checkpoint = folder.last();
        let model = checkpoint.model()?;
        let state = checkpoint.state()?;
        let mut card = model.card;
        if let Some(path) = data {
            card.config.data.path = Some(path.to_path_buf());
        }
        let data = dataset::open(&card.config.data, observer)?;
        if data.manifest.seal() != card.manifest_seal {
            return Err(Error::Integrity {
                path: checkpoint.path().to_path_buf(),
                what: "was trained on another data set or split than the manifest now given \
                       (the seals differ)"
                    .to_owned(),
            });
        }
        let mut parts = Parts::build(&card.config, &data.manifest)?;
        init::restore(&parts.store, &card.config.model, &model.tensors, &checkpoint)?;
        parts.optimizer.restore(&state.optimizer)?;
        let mut trainer = Self::assemble(parts, card, folder, state.progress)?;
        trainer.last_good = Some(checkpoint.path().to_path_buf());
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

    fn assemble(parts: Parts, card: Card, folder: RunFolder, progress: Progress) -> Result<Self, Error> {
        let Parts { store, model, frozen, optimizer, schedule, training, validation } = parts;
        let clip_norm = card.config.train.clip_norm;
        Ok(Self {
            log: RunLog::open(&folder, &progress)?,
            card,
            folder,
            store,
            learner: Learner::new(model, optimizer, schedule, clip_norm),
            frozen,
            training,
            validation,
            progress,
            last_good: None,
        })
    }
}

/// What a new run and a resumed one build alike.
struct Parts {
    store: ParamStore,
    model: Box<dyn Classifier>,
    frozen: Box<dyn Classifier>,
    optimizer: AdamW,
    schedule: Schedule,
    training: Loader,
    validation: Loader,
}

impl Parts {
    fn build(config: &RunConfig, manifest: &Manifest) -> Result<Self, Error> {
        let train = &config.train;
        let (training, validation) = loaders(config, manifest)?;
        let store = ParamStore::new(train.seed, &Device::Cpu);
        let model = config.model.build(store.builder())?;
        let frozen = config.model.build(store.frozen_builder())?;
        let OptimizerConfig::Adamw(adamw) = &train.optimizer;
        let mut trainable = store.parameters();
        if let Freeze::AllButHead {} = train.freeze {
            trainable.retain(|(name, _)| init::is_head(name));
        }
        Ok(Self {
            model,
            frozen,
            optimizer: AdamW::new(adamw.clone(), trainable),
            schedule: Schedule::new(&train.schedule, training.steps(), train.epochs),
            training,
            validation,
            store,
        })
    }

    /// One line about what is trained on what.
    fn describe(&self, manifest: &Manifest) -> String {
        let parameters: usize = self.store.parameters().iter().map(|(_, var)| var.elem_count()).sum();
        format!(
            "{:.2} million parameters; {} classes ({}), {} images to train on, {} to validate on",
            parameters as f64 / 1e6,
            manifest.classes().len(),
            manifest.classes().join(", "),
            self.training.samples().len(),
            self.validation.samples().len()
        )
    }
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
    )?;
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
