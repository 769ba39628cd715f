//! Training: what a run is made of. The loop itself is in `steps.rs`.

use std::{fs, path::PathBuf, rc::Rc};

use hemf_data::{Loader, Manifest};
use hemf_kernels::Uploads;
use hemf_model::{Classifier, ParamStore};

mod init;
mod memory;
mod parts;
mod plan;
mod resume;
mod save;
mod select;
mod spikes;
mod steps;
mod unread;
mod validate;

pub use plan::{MemoryPlan, Plan};
pub use steps::Outcome;

use crate::{
    Card, Error, Learner, Observer, RunConfig, RunFolder, World,
    checkpoint::Progress,
    dataset::{self, Dataset},
    ema::Ema,
    run::{Lock, RunLog},
};
use parts::Parts;
use save::SaveClock;
use spikes::Spikes;
use unread::Unread;

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
    /// Steps that `progress` counts, and whose numbers nobody has seen.
    unread: Unread,
    /// Brings images to the device.
    uploads: Uploads,
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
        // Kept in any case: a split that is made anew elsewhere can be had back.
        let list = folder.manifest();
        if parts.world.is_first() {
            data.manifest.write(&list)?;
        }
        if data.is_unwritten() {
            config.data.path = Some(list);
        }
        let lock = match parts.world.is_first() {
            true => {
                folder.write_config(&config)?;
                folder.write_begun()?;
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
        let spikes = Spikes::new(&card.config.train);
        let uploads = Uploads::new(store.device(), card.config.train.accumulate + 1);
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
            unread: Unread::new(),
            uploads,
            last_good: None,
            fresh: false,
            finite_at: None,
            memory_told: false,
            saved: SaveClock::now(),
            spikes,
            world,
            _lock: lock,
        };
        if trainer.world.is_first() {
            trainer.tidy()?;
        }
        Ok(trainer)
    }
}

/// All ranks must train on the same images by the same settings, wherever the images lie.
fn check_same(world: &World, config: &RunConfig, manifest: &Manifest) -> Result<(), Error> {
    let mut config = config.clone();
    config.data.path = None;
    world.same("configuration", config.to_json().as_bytes())?;
    world.same("data set or split", manifest.seal().as_bytes())
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
