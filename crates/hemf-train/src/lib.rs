//! Training and evaluating HEMF: run configuration, optimizer, schedule, loop, checkpoints, logs.
//!
//! This is where the network (`hemf-model`), the images (`hemf-data`) and the scores (`hemf-metrics`) meet; none
//! of them knows another. It must not know command lines, terminals or how progress is shown: it tells an
//! [`Observer`].
//!
//! - [`RunConfig`] says everything about a run; it is read from YAML ([`RunConfig::load`]).
//! - [`Learner`] is one optimizer step: forward, [`Loss`], backward, [`Optimizer`] at the [`Schedule`]'s rate.
//! - [`Trainer`] runs it and leaves a [`RunFolder`] behind, with [`Checkpoint`]s that evaluation and resume need.
//! - [`evaluate()`] gives a checkpoint's predictions, [`export()`] its weights for the published code; [`info()`] tells how
//!   large a network is.
//!
//! ```
//! use hemf_train::{Layer, RunConfig, Schedule};
//!
//! let layer = Layer::parse("mine.yaml", "train: {epochs: 20}")?;
//! let config = RunConfig::from_layers(&[layer, Layer::from_argument("train.batch=8")?])?;
//! assert_eq!((config.train.epochs, config.train.batch), (20, 8));
//!
//! let schedule = Schedule::new(&config.train.schedule, 100, config.train.epochs);
//! assert_eq!(schedule.factor(100), 1.0); // warmed up after the first epoch
//!
//! let slip = Layer::from_argument("train.epocs=20")?;
//! let error = RunConfig::from_layers(&[slip]).unwrap_err();
//! assert!(error.to_string().contains("did you mean \"epochs\"?"));
//! # Ok::<(), hemf_train::ConfigError>(())
//! ```

mod checkpoint;
mod config;
mod dataset;
mod device;
mod ema;
mod error;
mod evaluate;
mod export;
mod import;
mod info;
mod json;
mod learner;
mod loss;
mod observe;
mod optim;
mod predict;
mod preview;
mod process;
mod quickstart;
mod reproduce;
mod room;
mod run;
mod schedule;
mod score;
mod series;
mod train;
mod words;
mod world;

pub use checkpoint::{
    Best, Card, Checkpoint, Difference, How, Model, Progress, State, Tally, TensorDifference, Verified, Waiting,
    difference, verify,
};
pub use config::{
    BatchNormOver, ConfigError, DataConfig, DistributedConfig, EarlyStopping, Every, Freeze, Layer, OutputConfig,
    Patterns, Precision, RunConfig, SaveEvery, TrainConfig, Validate,
};
pub use device::{DeviceChoice, Opened, device, precision_note, use_device};
pub use error::{Error, ErrorKind};
pub use evaluate::{EvalSet, evaluate};
pub use export::export;
pub use import::import;
pub use info::{Info, configuration, info};
pub use learner::{Gathered, Learner, Step, StepBatch, Taken};
pub use loss::{ClassWeights, CrossEntropyConfig, FocalConfig, Loss, LossConfig, Targets, WeightList};
pub use observe::{Event, Observer, Silent};
pub use optim::{AdamWConfig, GradientScale, Gradients, Optimizer, OptimizerConfig, Parameter, SgdConfig, decays};
pub use preview::preview;
pub use process::{memory_of, peak_memory};
pub use quickstart::quickstart;
pub use reproduce::{Compared, Network, Order, Reproduction, Row, Target, published_figures, reproduce};
pub use room::{Asked, explain_memory};
pub use run::{Begun, EpochRecord, LogReader, Logged, RunFolder, RunSummary, Standing, StepRecord, differing_settings};
pub use schedule::{ConstantConfig, CosineConfig, OneCycleConfig, Schedule, ScheduleConfig, StepConfig};
pub use score::{Metric, Validation};
pub use series::{AcrossFolds, CrossValidation, FoldScores, SeedRun, Seeds, cross_validate, train_seeds};
pub use train::{MemoryPlan, Outcome, Plan, Trainer};
pub use words::{duration, in_words, quoted};
pub use world::World;

// What the commands pass on or show, so that they need no other crate of the project.
pub use hemf_data::audit::{Audit, Severity};
pub use hemf_data::{Manifest, Placing, Prepare, Prepared, Reading, Rule, Split, Unreadable, counted};
pub use hemf_metrics::{Predictions, Report, write_report};

/// This program's name and version, as stored in checkpoints.
const PROGRAM: &str = concat!("hemf ", env!("CARGO_PKG_VERSION"));

pub use hemf_kernels::{Recycling, Replay, Rounded, awake, leave_threads_to_rayon};

/// Uses `threads` threads for everything from here on, by default as many as there are cores; call it once, before anything
/// else. The calling thread is one of them: it takes part in the work that it hands out, instead of sleeping until the
/// others have done it. (So no other thread may wait for work of the pool's while this one waits for that thread.)
///
/// # Errors
/// When the threads were set, or used, already.
pub fn use_threads(threads: Option<usize>) -> Result<(), String> {
    let threads = threads.unwrap_or(0); // rayon's default
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .use_current_thread()
        .build_global()
        .map_err(|error| error.to_string())
}
